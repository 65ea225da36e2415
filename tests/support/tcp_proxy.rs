//! The line to a server, which a test can cut or let fall silent while nobody looks.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream, lookup_host},
    sync::watch,
};

/// What becomes of the connections that are there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disconnect {
    /// They are closed in good order.
    Fin,
    /// They are reset.
    Reset,
    /// Whatever is sent vanishes, and nobody says so.
    Silent,
}

/// A line to one server.
pub struct TcpProxy {
    /// Where it begins.
    pub address: SocketAddr,
    /// What becomes of the connections of now; those to come get another one.
    connections: Arc<Mutex<watch::Sender<Option<Disconnect>>>>,
}

impl TcpProxy {
    /// A line to `server`, a host and a port.
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

    /// Ends all connections of now that way, of which there must be some. Later ones work.
    pub fn end(&self, disconnect: Disconnect) {
        let mut connections = self.connections.lock().unwrap_or_else(PoisonError::into_inner);
        let ended = std::mem::take(&mut *connections);
        assert!(ended.receiver_count() > 0, "nobody is connected");
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
        // Open until the test ends.
        Some(Disconnect::Silent) => std::future::pending().await,
        Some(Disconnect::Fin) | None => {}
    }
}
