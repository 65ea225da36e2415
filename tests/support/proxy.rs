//! A database proxy that cuts a connection at a chosen statement, or replaces a text in statements.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicUsize, Ordering},
};

use app_core::db::{DatabaseConfig, Pool, TlsMode};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use crate::{TestDatabase, database};

/// Whether the connection is cut before or after the server receives the statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// The server does not receive the statement.
    Before,
    /// The server receives the statement, but its response is lost.
    After,
}

/// The next cut.
#[derive(Clone, Copy, Debug)]
struct Plan {
    statement: usize,
    cut: Cut,
}

/// A text that takes the place of another one.
#[derive(Clone, Copy, Debug)]
struct Replacement {
    old: &'static str,
    new: &'static str,
}

impl Replacement {
    fn apply(self, packet: &mut [u8]) {
        let position = packet.windows(self.old.len()).position(|bytes| bytes == self.old.as_bytes());
        if let Some(position) = position {
            packet[position..position + self.new.len()].copy_from_slice(self.new.as_bytes());
        }
    }
}

/// A proxy in front of the database server that counts statements.
pub struct Proxy {
    pub port: u16,
    statements: Arc<AtomicUsize>,
    plan: Arc<Mutex<Option<Plan>>>,
}

/// The commands that execute a statement; preparing, closing and pinging are not counted.
const COM_QUERY: u8 = 0x03;
const COM_STMT_EXECUTE: u8 = 0x17;

impl Proxy {
    /// Starts a proxy in front of the server under test.
    pub async fn start() -> Self {
        Self::start_with(None).await
    }

    /// Starts a proxy that replaces `old` in statements that are not prepared by `new`, which must be as long.
    pub async fn replacing(old: &'static str, new: &'static str) -> Self {
        assert_eq!(old.len(), new.len());
        Self::start_with(Some(Replacement { old, new })).await
    }

    async fn start_with(replacement: Option<Replacement>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
        let port = listener.local_addr().expect("a bound socket has an address").port();
        let statements = Arc::new(AtomicUsize::new(0));
        let plan = Arc::new(Mutex::new(None));
        let proxy = Self { port, statements: statements.clone(), plan: plan.clone() };
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(relay(client, statements.clone(), plan.clone(), replacement));
            }
        });
        proxy
    }

    /// A pool that connects through the proxy, without TLS so that the proxy can read the packets.
    pub fn pool(&self, database: &TestDatabase, max_connections: u32) -> Pool {
        let config = DatabaseConfig {
            host: "127.0.0.1".to_owned(),
            port: self.port,
            tls: TlsMode::Disabled,
            max_connections,
            ..database::server().clone()
        };
        Pool::new(&config, &database.name)
    }

    /// Cuts a connection once, at the `statement`-th statement from now; the first is 1.
    pub fn cut_at(&self, statement: usize, cut: Cut) {
        self.statements.store(0, Ordering::SeqCst);
        *self.plan.lock().unwrap_or_else(PoisonError::into_inner) = Some(Plan { statement, cut });
    }

    /// Returns the number of statements since the previous call or since a cut was planned.
    pub fn statements(&self) -> usize {
        self.statements.swap(0, Ordering::SeqCst)
    }

    /// Returns whether the planned cut has happened.
    pub fn has_cut(&self) -> bool {
        self.plan.lock().unwrap_or_else(PoisonError::into_inner).is_none()
    }
}

/// Forwards packets in both directions until one side closes or the planned cut is due.
async fn relay(
    client: TcpStream,
    statements: Arc<AtomicUsize>,
    plan: Arc<Mutex<Option<Plan>>>,
    replacement: Option<Replacement>,
) {
    let server = database::server();
    let Ok(upstream) = TcpStream::connect((server.host.as_str(), server.port)).await else { return };
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = upstream.into_split();
    let responses = tokio::spawn(async move {
        let _ = tokio::io::copy(&mut from_server, &mut to_client).await;
    });
    while let Some(mut packet) = read_packet(&mut from_client).await {
        if let Some(replacement) = replacement {
            replacement.apply(&mut packet);
        }
        let is_first_of_command = packet[3] == 0;
        let is_statement = is_first_of_command && matches!(packet.get(4), Some(&(COM_QUERY | COM_STMT_EXECUTE)));
        let cut = if is_statement {
            let number = statements.fetch_add(1, Ordering::SeqCst) + 1;
            let mut plan = plan.lock().unwrap_or_else(PoisonError::into_inner);
            plan.take_if(|plan| plan.statement == number).map(|plan| plan.cut)
        } else {
            None
        };
        match cut {
            None => {
                if to_server.write_all(&packet).await.is_err() {
                    break;
                }
            }
            Some(Cut::Before) => {
                responses.abort();
                return;
            }
            Some(Cut::After) => {
                responses.abort();
                let _ = responses.await;
                // Responses are no longer read. An orderly shutdown lets the server finish the statement.
                let _ = to_server.write_all(&packet).await;
                let _ = to_server.shutdown().await;
                return;
            }
        }
    }
    let _ = to_server.shutdown().await;
    let _ = responses.await;
}

/// Reads one packet of the MySQL protocol with its header: three bytes of length and one of sequence.
async fn read_packet(stream: &mut (impl AsyncReadExt + Unpin)) -> Option<Vec<u8>> {
    let mut packet = vec![0; 4];
    stream.read_exact(&mut packet).await.ok()?;
    let length = u32::from_le_bytes([packet[0], packet[1], packet[2], 0]) as usize;
    packet.resize(4 + length, 0);
    stream.read_exact(&mut packet[4..]).await.ok()?;
    Some(packet)
}
