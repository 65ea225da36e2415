//! Proxies that record each connection of a function and hold it until the test releases all of them.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::watch,
};

/// An event at one of the proxies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// A client connected.
    Connected(&'static str),
    /// A client disconnected before the connections were released.
    Disconnected(&'static str),
}

/// The proxies of a test.
pub struct HeldConnections {
    events: Arc<Mutex<Vec<Event>>>,
    are_released: watch::Sender<bool>,
}

impl HeldConnections {
    /// Starts without proxies; new connections are held.
    pub fn start() -> Self {
        Self { events: Arc::default(), are_released: watch::Sender::new(false) }
    }

    /// Starts a proxy called `name` in front of the server at `address`, and returns its port.
    pub async fn before(&self, name: &'static str, address: String) -> u16 {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
        let port = listener.local_addr().expect("a bound socket has an address").port();
        let (events, are_released) = (self.events.clone(), self.are_released.subscribe());
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                record(&events, Event::Connected(name));
                tokio::spawn(hold(client, name, address.clone(), events.clone(), are_released.clone()));
            }
        });
        port
    }

    /// The events so far, in order.
    pub fn events(&self) -> Vec<Event> {
        self.events.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits for at least `count` events and returns them.
    pub async fn wait_for(&self, count: usize) -> Vec<Event> {
        loop {
            let events = self.events();
            if events.len() >= count {
                return events;
            }
            tokio::task::yield_now().await;
        }
    }

    /// Forwards all held connections, and later ones at once.
    pub fn release(&self) {
        self.are_released.send_replace(true);
    }
}

fn record(events: &Mutex<Vec<Event>>, event: Event) {
    events.lock().unwrap_or_else(PoisonError::into_inner).push(event);
}

async fn hold(
    mut client: TcpStream,
    name: &'static str,
    address: String,
    events: Arc<Mutex<Vec<Event>>>,
    mut are_released: watch::Receiver<bool>,
) {
    let mut sent = Vec::new();
    loop {
        tokio::select! {
            _ = are_released.wait_for(|is_released| *is_released) => break,
            read = client.read_buf(&mut sent) => {
                if !read.is_ok_and(|length| length > 0) {
                    record(&events, Event::Disconnected(name));
                    return;
                }
            }
        }
    }
    let Ok(mut server) = TcpStream::connect(address).await else { return };
    if server.write_all(&sent).await.is_ok() {
        let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
    }
}
