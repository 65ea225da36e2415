//! Sets options on connections of libraries that neither set them nor can be configured: the client of the Lambda runtime, and sqlx
//! 0.9.0.
//!
//! Without `TCP_NODELAY`, the second of two small packets waits until the first one is acknowledged, and Linux delays acknowledgements
//! by up to 40 ms. Without `TCP_USER_TIMEOUT` and keep-alives, a connection to a machine that has vanished ends after a quarter of an
//! hour, or never if it waits for an answer.
//!
//! The connections are found among the file descriptors of the process. This works on Linux only; elsewhere nothing happens.

use std::{net::SocketAddr, time::Duration};

/// Which of the connections without `TCP_NODELAY` are looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// The search ends at the first. The caller knows that there is at most one.
    One,
    /// All of them.
    All,
}

/// Sets `TCP_NODELAY` on the connections of this process to peers that `is_meant` accepts, and returns whether one of
/// them did not have it. This takes about ten system calls, and up to six more for each file that is looked at.
pub(crate) fn set_nodelay(wanted: Wanted, is_meant: impl Fn(SocketAddr) -> bool) -> bool {
    set_options(wanted, is_meant, None)
}

/// Sets `TCP_NODELAY` like [`set_nodelay`], and on the same connections the time after which they are lost if the peer's machine
/// acknowledges nothing. While nothing is sent, a keep-alive asks it each second from half of that time on.
pub(crate) fn set_nodelay_and_timeout(
    wanted: Wanted,
    is_meant: impl Fn(SocketAddr) -> bool,
    lost_after: Duration,
) -> bool {
    set_options(wanted, is_meant, Some(lost_after))
}

fn set_options(wanted: Wanted, is_meant: impl Fn(SocketAddr) -> bool, lost_after: Option<Duration>) -> bool {
    // A failure only costs time, so it is logged and not returned.
    #[cfg(target_os = "linux")]
    return linux::set_options(wanted, is_meant, lost_after).unwrap_or_else(|error| {
        tracing::debug!(error = %crate::telemetry::error_chain(&error), "the options of connections cannot be set");
        false
    });
    #[cfg(not(target_os = "linux"))]
    {
        let _ = (wanted, is_meant, lost_after);
        false
    }
}

#[cfg(target_os = "linux")]
mod linux {
    use std::{
        io, mem,
        net::SocketAddr,
        os::fd::{AsFd, OwnedFd, RawFd},
        time::Duration,
    };

    use rustix::{
        fs::{AtFlags, FileType, Mode, OFlags, RawDir, open, statat},
        io::Errno,
        net::{getpeername, sockopt},
        process::{PidfdFlags, PidfdGetfdFlags, getpid, pidfd_getfd, pidfd_open},
    };

    use super::Wanted;

    /// The size of the buffer for the names of some hundred descriptors. More are read in several parts.
    const NAMES: usize = 8192;

    pub(super) fn set_options(
        wanted: Wanted,
        is_meant: impl Fn(SocketAddr) -> bool,
        lost_after: Option<Duration>,
    ) -> io::Result<bool> {
        let this_process = pidfd_open(getpid(), PidfdFlags::empty())?;
        let folder = open("/proc/self/fd", OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
        let mut names = Vec::with_capacity(NAMES);
        let mut entries = RawDir::new(&folder, names.spare_capacity_mut());
        let mut numbers = Vec::new();
        while let Some(entry) = entries.next() {
            // Neither the folder itself, its parent, nor the standard streams.
            let number = entry?.file_name().to_str().ok().and_then(|name| name.parse::<RawFd>().ok());
            numbers.extend(number.filter(|number| *number > 2));
        }
        let mut is_new = false;
        // The highest number first. A new connection usually has it, and then the search ends early.
        for number in numbers.into_iter().rev() {
            // Other files must not be opened a second time: closing the second descriptor would release the locks on the file.
            let is_socket = statat(&folder, number.to_string(), AtFlags::empty())
                .is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Socket);
            if !is_socket {
                continue;
            }
            // A second descriptor of the same socket. Options that are set on it apply to the socket. The connection may have been
            // closed meanwhile.
            let Ok(socket) = pidfd_getfd(this_process.as_fd(), number, PidfdGetfdFlags::empty()) else { continue };
            let peer = match getpeername(&socket) {
                Err(Errno::NOTSOCK) => {
                    // Another thread closed the socket and opened a file under its number. This descriptor of the file stays open
                    // for the sake of its locks.
                    mem::forget(socket);
                    continue;
                }
                peer => peer.ok().flatten().and_then(|peer| SocketAddr::try_from(peer).ok()),
            };
            if peer.is_some_and(&is_meant) && !sockopt::tcp_nodelay(&socket).unwrap_or(true) {
                is_new |= set_options_of(&socket, lost_after).is_ok();
                if is_new && wanted == Wanted::One {
                    break;
                }
            }
        }
        Ok(is_new)
    }

    fn set_options_of(socket: &OwnedFd, lost_after: Option<Duration>) -> io::Result<()> {
        sockopt::set_tcp_nodelay(socket, true)?;
        if let Some(lost_after) = lost_after {
            let milliseconds = u32::try_from(lost_after.as_millis()).unwrap_or(u32::MAX);
            sockopt::set_tcp_user_timeout(socket, milliseconds)?;
            sockopt::set_tcp_keepidle(socket, lost_after / 2)?;
            sockopt::set_tcp_keepintvl(socket, Duration::from_secs(1))?;
            sockopt::set_socket_keepalive(socket, true)?;
        }
        Ok(())
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::{
        env, fs,
        net::{TcpListener, TcpStream},
        os::unix::fs::MetadataExt,
        process,
    };

    use rustix::{
        fs::{FlockOperation, fcntl_lock},
        net::sockopt::{socket_keepalive, tcp_keepidle, tcp_user_timeout},
    };

    use super::*;

    #[test]
    fn locks_on_files_are_kept() {
        let path = env::temp_dir().join(format!("rotracker-lock-{}", process::id()));
        let file = fs::File::create(&path).unwrap();
        fcntl_lock(&file, FlockOperation::NonBlockingLockExclusive).unwrap();
        let inode = format!(":{} ", file.metadata().unwrap().ino());
        let is_locked = || fs::read_to_string("/proc/locks").unwrap().lines().any(|lock| lock.contains(&inode));
        assert!(is_locked());
        let _ = set_nodelay(Wanted::All, |_| true);
        assert!(is_locked());
        fs::remove_file(path).unwrap();
    }

    #[test]
    fn nodelay_is_set_on_the_meant_connections_only() {
        let [meant, other] = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
        let address = meant.local_addr().unwrap();
        let [to_meant, to_other] = [&meant, &other].map(|it| TcpStream::connect(it.local_addr().unwrap()).unwrap());
        assert!(set_nodelay(Wanted::All, |peer| peer == address));
        assert!(!set_nodelay(Wanted::All, |peer| peer == address));
        assert!(to_meant.nodelay().unwrap());
        assert!(!to_other.nodelay().unwrap());
    }

    #[test]
    fn if_one_is_wanted_the_others_are_left() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let both = [(); 2].map(|()| TcpStream::connect(address).unwrap());
        for count in [1, 2] {
            assert!(set_nodelay(Wanted::One, |peer| peer == address));
            assert_eq!(both.iter().filter(|it| it.nodelay().unwrap()).count(), count);
        }
    }

    #[test]
    fn connections_are_lost_if_nothing_is_acknowledged() {
        let [meant, other] = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
        let address = meant.local_addr().unwrap();
        let [to_meant, to_other] = [&meant, &other].map(|it| TcpStream::connect(it.local_addr().unwrap()).unwrap());
        assert!(set_nodelay_and_timeout(Wanted::One, |peer| peer == address, Duration::from_secs(6)));
        assert!(to_meant.nodelay().unwrap() && socket_keepalive(&to_meant).unwrap());
        assert_eq!(tcp_user_timeout(&to_meant).unwrap(), 6_000);
        assert_eq!(tcp_keepidle(&to_meant).unwrap(), Duration::from_secs(3));
        assert_eq!(tcp_user_timeout(&to_other).unwrap(), 0);
    }
}
