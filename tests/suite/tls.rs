//! Encrypted connections to the database, verified against the given authority.

use std::{
    net::SocketAddr,
    os::fd::{AsFd, RawFd},
};

use rotracker_tests::tls_server::{TlsServer, authority};
use rustix::{
    net::{getpeername, sockopt::tcp_nodelay},
    process::{PidfdFlags, PidfdGetfdFlags, getpid, pidfd_getfd, pidfd_open},
};

/// The cipher of a connection with these variables, or the error.
async fn cipher(tls: &TlsServer, host: &str, variables: &[(&str, &str)]) -> Result<String, String> {
    let mut connection = tls.pool(host, variables)?.acquire().await.map_err(|error| error.to_string())?;
    let row: Result<(String, String), _> =
        sqlx::query_as("SHOW SESSION STATUS LIKE 'Ssl_cipher'").fetch_one(&mut *connection).await;
    row.map(|(_, cipher)| cipher).map_err(|error| error.to_string())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_server_certificate_must_match_the_ca() {
    let tls = TlsServer::start().await;
    let good = tls.authority.as_str();
    let bad = authority("another authority").pem();
    for (host, variables, encrypted) in [
        ("localhost", vec![("DB_SSL_CA_CONTENT", good)], Some(true)),
        ("127.0.0.1", vec![("DB_SSL_CA_CONTENT", good)], Some(true)),
        ("127.0.0.1", vec![("DB_SSL_CA_CONTENT", good), ("DB_SSL_MODE", "REQUIRED")], Some(true)),
        ("localhost", vec![("DB_SSL_CA_CONTENT", good), ("DB_SSL_MODE", "VERIFY_IDENTITY")], Some(true)),
        ("127.0.0.1", vec![("DB_SSL_CA_CONTENT", good), ("DB_SSL_MODE", "VERIFY_IDENTITY")], None),
        ("localhost", vec![("DB_SSL_CA_CONTENT", bad.as_str())], None),
        ("localhost", vec![("DB_SSL_CA_CONTENT", bad.as_str()), ("DB_SSL_MODE", "REQUIRED")], None),
        ("localhost", vec![("DB_SSL_MODE", "REQUIRED")], Some(true)),
        ("localhost", vec![("DB_SSL_MODE", "DISABLED")], Some(false)),
    ] {
        let used = cipher(&tls, host, &variables).await;
        let found = used.as_ref().ok().map(|cipher| !cipher.is_empty());
        let mode: Vec<_> = variables.iter().filter(|(name, _)| *name == "DB_SSL_MODE").collect();
        assert_eq!(found, encrypted, "{host} {mode:?}: {used:?}");
    }
    // The authority may be given as a file, or as bare base64 lines as some consoles show it.
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ca.pem");
    std::fs::write(&path, good).unwrap();
    let path = path.to_string_lossy().into_owned();
    let bare: String = good.lines().filter(|line| !line.starts_with("-----")).collect();
    for variable in [("DB_SSL_CA", path.as_str()), ("DB_SSL_CA_CONTENT", bare.as_str())] {
        let used = cipher(&tls, "localhost", &[variable]).await;
        assert!(used.as_ref().is_ok_and(|cipher| !cipher.is_empty()), "{}: {used:?}", variable.0);
    }
}

/// Whether `TCP_NODELAY` is set, for each connection of this process to a server on `port`.
fn nodelay_of_connections_to(port: u16) -> Vec<bool> {
    let this_process = pidfd_open(getpid(), PidfdFlags::empty()).unwrap();
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc/self/fd").unwrap() {
        let Ok(number) = entry.unwrap().file_name().to_string_lossy().parse::<RawFd>() else { continue };
        let Ok(socket) = pidfd_getfd(this_process.as_fd(), number, PidfdGetfdFlags::empty()) else { continue };
        let peer = getpeername(&socket).ok().flatten().and_then(|peer| SocketAddr::try_from(peer).ok());
        if peer.is_some_and(|peer| peer.port() == port) {
            found.push(tcp_nodelay(&socket).unwrap());
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn packets_are_sent_without_delay() {
    let tls = TlsServer::start().await;
    for mode in ["DISABLED", "REQUIRED"] {
        let connection = tls.pool("localhost", &[("DB_SSL_MODE", mode)]).unwrap().acquire().await.unwrap();
        assert_eq!(nodelay_of_connections_to(tls.server.port), [true], "{mode}");
        drop(connection);
    }
}
