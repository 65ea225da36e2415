//! A TCP proxy whose connections a test can close, reset, silence or refuse, and which it can point at another server.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream, lookup_host},
    sync::watch,
    task::JoinHandle,
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
    /// The server to which later connections are forwarded.
    server: Arc<Mutex<SocketAddr>>,
    accepting: JoinHandle<()>,
}

impl TcpProxy {
    /// Starts a proxy for `server`, given as host and port.
    pub async fn to(server: &str) -> Self {
        Self::at("127.0.0.1:0", server).await
    }

    /// Starts a proxy that listens at `address`.
    pub async fn at(address: &str, server: &str) -> Self {
        let server = Arc::new(Mutex::new(address_of(server).await));
        let listener = TcpListener::bind(address).await.expect("the port is free");
        let address = listener.local_addr().expect("a bound socket has an address");
        let connections = Arc::new(Mutex::new(watch::Sender::new(None)));
        let accepting = tokio::spawn(accept(listener, connections.clone(), server.clone()));
        Self { address, connections, server, accepting }
    }

    /// Forwards later connections to `server`.
    pub async fn move_to(&self, server: &str) {
        *self.server.lock().unwrap_or_else(PoisonError::into_inner) = address_of(server).await;
    }

    /// Refuses further connections until [`listen`](Self::listen).
    pub async fn refuse(&mut self) {
        self.accepting.abort();
        // Once the task has ended, its listener is closed.
        let _ = (&mut self.accepting).await;
    }

    /// Accepts connections again.
    pub async fn listen(&mut self) {
        let listener = TcpListener::bind(self.address).await.expect("the port is still free");
        self.accepting = tokio::spawn(accept(listener, self.connections.clone(), self.server.clone()));
    }

    /// Ends all current connections, at least one; later ones are forwarded.
    pub fn end(&self, disconnect: Disconnect) {
        assert!(self.end_any(disconnect), "there is no connection");
    }

    /// Ends all current connections, and returns whether there was one.
    pub fn end_any(&self, disconnect: Disconnect) -> bool {
        let mut connections = self.connections.lock().unwrap_or_else(PoisonError::into_inner);
        let ended = std::mem::take(&mut *connections);
        let is_any = ended.receiver_count() > 0;
        ended.send_replace(Some(disconnect));
        is_any
    }
}

async fn address_of(server: &str) -> SocketAddr {
    lookup_host(server).await.expect("the server has an address").next().expect("one")
}

/// Accepts connections, also after the proxy was dropped.
async fn accept(
    listener: TcpListener,
    connections: Arc<Mutex<watch::Sender<Option<Disconnect>>>>,
    server: Arc<Mutex<SocketAddr>>,
) {
    while let Ok((client, _)) = listener.accept().await {
        let disconnect = connections.lock().unwrap_or_else(PoisonError::into_inner).subscribe();
        let server = *server.lock().unwrap_or_else(PoisonError::into_inner);
        tokio::spawn(relay(client, server, disconnect));
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
