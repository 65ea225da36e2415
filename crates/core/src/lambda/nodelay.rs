//! Sends answers at once.
//!
//! The runtime's client writes a streamed answer in several small pieces over a connection on which Nagle's algorithm
//! is on: the second piece waits until the first one is acknowledged, which Linux delays by 40 ms. The client cannot be
//! configured, so its connection is found among the process's own and told not to wait (`TCP_NODELAY`).

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
    /// Connections to the address in `AWS_LAMBDA_RUNTIME_API`.
    pub(super) fn of_process() -> Self {
        let api = std::env::var("AWS_LAMBDA_RUNTIME_API").unwrap_or_default();
        let authority = api.rsplit("//").next().unwrap_or_default().split('/').next().unwrap_or_default().to_owned();
        Self { addresses: authority.to_socket_addrs().map(Iterator::collect).unwrap_or_default() }
    }

    /// Turns Nagle's algorithm off on all of them. Cheap enough for every request: some ten system calls.
    pub(super) fn send_at_once(&self) {
        // Where it cannot be done answers are late, but right.
        if let Err(error) = self.try_send_at_once() {
            tracing::debug!(error = %telemetry::error_chain(&error), "TCP_NODELAY cannot be set");
        }
    }

    fn try_send_at_once(&self) -> io::Result<()> {
        let this_process = pidfd_open(getpid(), PidfdFlags::empty())?;
        for entry in fs::read_dir("/proc/self/fd")? {
            let Ok(number) = entry?.file_name().to_string_lossy().parse::<RawFd>() else { continue };
            // A second descriptor of the same connection; options belong to the connection.
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
    fn only_connections_to_the_runtime_api_stop_waiting() {
        let [runtime, other] = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
        let [to_runtime, to_other] = [&runtime, &other].map(|it| TcpStream::connect(it.local_addr().unwrap()).unwrap());
        RuntimeConnections { addresses: vec![runtime.local_addr().unwrap()] }.send_at_once();
        assert!(to_runtime.nodelay().unwrap());
        assert!(!to_other.nodelay().unwrap());
    }
}
