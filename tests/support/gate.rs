//! Doors before the things that a function connects to: who comes is noted, and waits until the test opens all doors.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::watch,
};

/// What happened at a door.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// A connection came.
    Came(&'static str),
    /// A connection was given up before the doors were opened.
    Left(&'static str),
}

/// The doors of a test.
pub struct Gates {
    events: Arc<Mutex<Vec<Event>>>,
    are_open: watch::Sender<bool>,
}

impl Gates {
    /// No doors yet; those to come are closed.
    pub fn closed() -> Self {
        Self { events: Arc::default(), are_open: watch::Sender::new(false) }
    }

    /// A door called `name` before the server at `address`; the answer is its port.
    pub async fn before(&self, name: &'static str, address: String) -> u16 {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
        let port = listener.local_addr().expect("a bound socket has an address").port();
        let (events, are_open) = (self.events.clone(), self.are_open.subscribe());
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                note(&events, Event::Came(name));
                tokio::spawn(hold(client, name, address.clone(), events.clone(), are_open.clone()));
            }
        });
        port
    }

    /// What happened so far, in its order.
    pub fn events(&self) -> Vec<Event> {
        self.events.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits until that many things have happened, and gives them.
    pub async fn wait_for(&self, count: usize) -> Vec<Event> {
        loop {
            let events = self.events();
            if events.len() >= count {
                return events;
            }
            tokio::task::yield_now().await;
        }
    }

    /// Opens all doors.
    pub fn open(&self) {
        self.are_open.send_replace(true);
    }
}

fn note(events: &Mutex<Vec<Event>>, event: Event) {
    events.lock().unwrap_or_else(PoisonError::into_inner).push(event);
}

async fn hold(
    mut client: TcpStream,
    name: &'static str,
    address: String,
    events: Arc<Mutex<Vec<Event>>>,
    mut are_open: watch::Receiver<bool>,
) {
    let mut said = Vec::new();
    loop {
        tokio::select! {
            _ = are_open.wait_for(|is_open| *is_open) => break,
            read = client.read_buf(&mut said) => {
                if !read.is_ok_and(|length| length > 0) {
                    note(&events, Event::Left(name));
                    return;
                }
            }
        }
    }
    let Ok(mut server) = TcpStream::connect(address).await else { return };
    if server.write_all(&said).await.is_ok() {
        let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
    }
}
