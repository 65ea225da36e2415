//! A TCP proxy whose connections a test can close, reset or silence.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream, lookup_host},
    sync::watch,
};

/// How the proxy ends a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disconnect {
    /// Closes the connection with FIN.
    Fin,
    /// Resets the connection with RST.
    Reset,
    /// Keeps the connection open but drops all data.
    Silent,
}

/// A proxy in front of one server.
pub struct TcpProxy {
    /// The address that clients connect to.
    pub address: SocketAddr,
    /// Tells the current connections how to end; later connections get a new sender.
    connections: Arc<Mutex<watch::Sender<Option<Disconnect>>>>,
}

impl TcpProxy {
    /// Starts a proxy for `server`, given as host and port.
    pub async fn to(server: &str) -> Self {
        let server = lookup_host(server).await.expect("the server has an address").next().expect("one");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
        let address = listener.local_addr().expect("a bound socket has an address");
        let connections = Arc::new(Mutex::new(watch::Sender::new(None)));
        let proxy = Self { address, connections: connections.clone() };
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let disconnect = connections.lock().unwrap_or_else(PoisonError::into_inner).subscribe();
                tokio::spawn(relay(client, server, disconnect));
            }
        });
        proxy
    }

    /// Ends all current connections, at least one; later ones are forwarded.
    pub fn end(&self, disconnect: Disconnect) {
        let mut connections = self.connections.lock().unwrap_or_else(PoisonError::into_inner);
        let ended = std::mem::take(&mut *connections);
        assert!(ended.receiver_count() > 0, "there is no connection");
        ended.send_replace(Some(disconnect));
    }
}

async fn relay(mut client: TcpStream, server: SocketAddr, mut disconnect: watch::Receiver<Option<Disconnect>>) {
    let Ok(mut server) = TcpStream::connect(server).await else { return };
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let ended = tokio::select! {
        _ = copy_bidirectional(&mut client, &mut server) => return,
        ended = disconnect.wait_for(Option::is_some) => ended.ok().and_then(|disconnect| *disconnect),
    };
    drop(server);
    match ended {
        Some(Disconnect::Reset) => {
            let _ = client.set_zero_linger();
        }
        // Keeps the connection open until the test ends.
        Some(Disconnect::Silent) => std::future::pending().await,
        Some(Disconnect::Fin) | None => {}
    }
}
