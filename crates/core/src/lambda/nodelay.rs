//! Sets `TCP_NODELAY` on the connections to the runtime API.
//!
//! The runtime's client writes a streamed response in several small pieces, with Nagle's algorithm on. The second piece waits for
//! the acknowledgement of the first one, which Linux delays by 40 ms. The client cannot be configured, so its connection is found
//! among the file descriptors of the process.

use std::{
    fs, io,
    net::{SocketAddr, ToSocketAddrs},
    os::fd::{AsFd, OwnedFd, RawFd},
};

use rustix::{
    net::{getpeername, sockopt},
    process::{PidfdFlags, PidfdGetfdFlags, getpid, pidfd_getfd, pidfd_open},
};

use crate::telemetry;

/// The connections to the runtime API.
#[derive(Clone, Debug)]
pub(super) struct RuntimeConnections {
    addresses: Vec<SocketAddr>,
}

impl RuntimeConnections {
    /// Reads the address from `AWS_LAMBDA_RUNTIME_API`.
    pub(super) fn of_process() -> Self {
        let api = std::env::var("AWS_LAMBDA_RUNTIME_API").unwrap_or_default();
        let authority = api.rsplit("//").next().unwrap_or_default().split('/').next().unwrap_or_default().to_owned();
        Self { addresses: authority.to_socket_addrs().map(Iterator::collect).unwrap_or_default() }
    }

    /// Sets `TCP_NODELAY` on all of them. This takes some ten system calls, which is cheap enough for every request.
    pub(super) fn set_nodelay(&self) {
        // Without it responses are late but correct.
        if let Err(error) = self.try_set_nodelay() {
            tracing::debug!(error = %telemetry::error_chain(&error), "TCP_NODELAY cannot be set");
        }
    }

    fn try_set_nodelay(&self) -> io::Result<()> {
        let this_process = pidfd_open(getpid(), PidfdFlags::empty())?;
        for entry in fs::read_dir("/proc/self/fd")? {
            let Ok(number) = entry?.file_name().to_string_lossy().parse::<RawFd>() else { continue };
            // A second descriptor of the same connection. Options belong to the connection.
            let Ok(socket) = pidfd_getfd(this_process.as_fd(), number, PidfdGetfdFlags::empty()) else { continue };
            if self.is_runtime_connection(&socket) {
                sockopt::set_tcp_nodelay(&socket, true)?;
            }
        }
        Ok(())
    }

    fn is_runtime_connection(&self, socket: &OwnedFd) -> bool {
        let peer = getpeername(socket).ok().flatten().and_then(|peer| SocketAddr::try_from(peer).ok());
        peer.is_some_and(|peer| self.addresses.contains(&peer))
    }
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    fn nodelay_is_set_on_runtime_connections_only() {
        let [runtime, other] = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
        let [to_runtime, to_other] = [&runtime, &other].map(|it| TcpStream::connect(it.local_addr().unwrap()).unwrap());
        RuntimeConnections { addresses: vec![runtime.local_addr().unwrap()] }.set_nodelay();
        assert!(to_runtime.nodelay().unwrap());
        assert!(!to_other.nodelay().unwrap());
    }
}
