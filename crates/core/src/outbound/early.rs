//! Connections that are opened ahead of the first request of a client. A request for this purpose would make the start wait for a
//! response, too.

use std::{
    any::Any,
    error::Error,
    future::ready,
    iter::successors,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
    time::{Duration, Instant},
};

use hyper::rt::{Read, ReadBuf};
use lambda_http::{Service, tower::Layer};
use reqwest::Client;
use tokio::task_local;

use super::MAX_IDLE;

/// How long opening a connection may take.
const OPEN_TIMEOUT: Duration = Duration::from_secs(2);

task_local! {
    /// Set while a connection is opened ahead.
    static IS_EARLY: ();
}

/// The connections of a client to its only server that were opened ahead and have not been used. It is a layer of the client's
/// connector. Clones share the connections.
#[derive(Clone, Debug, Default)]
pub struct EarlyConnections(Arc<Mutex<Vec<EarlyConnection>>>);

#[derive(Debug)]
struct EarlyConnection {
    opened_at: Instant,
    /// reqwest does not name the type.
    connection: Box<dyn Any + Send>,
}

/// The error that ends a request when its connection is open.
#[derive(Debug, thiserror::Error)]
#[error("the connection was opened ahead")]
struct Opened;

impl EarlyConnections {
    /// Opens a connection to the server of `url` for the next request of `client`, which has this layer.
    ///
    /// # Errors
    /// When the server is not reached within 2 s.
    pub async fn open(&self, client: &Client, url: &str) -> Result<(), reqwest::Error> {
        // The request ends before it is sent.
        let sent = IS_EARLY.scope((), client.head(url).timeout(OPEN_TIMEOUT).send()).await;
        match sent {
            Err(error) if !is_opened(&error) => Err(error),
            _ => Ok(()),
        }
    }

    /// Takes a connection that can be used.
    fn take<C: Read + Unpin + 'static>(&self) -> Option<C> {
        loop {
            let EarlyConnection { opened_at, connection } = self.lock().pop()?;
            let mut connection = connection.downcast::<C>().ok()?;
            // A server sends nothing before the first request, except that it closes the connection.
            let mut byte = [0];
            let mut buffer = ReadBuf::new(&mut byte);
            let mut context = Context::from_waker(Waker::noop());
            let is_open = Pin::new(&mut *connection).poll_read(&mut context, buffer.unfilled()).is_pending();
            if is_open && opened_at.elapsed() < MAX_IDLE {
                return Some(*connection);
            }
        }
    }

    fn put(&self, connection: Box<dyn Any + Send>) {
        self.lock().push(EarlyConnection { opened_at: Instant::now(), connection });
    }

    fn lock(&self) -> MutexGuard<'_, Vec<EarlyConnection>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_opened(error: &reqwest::Error) -> bool {
    successors(Some(error as &dyn Error), |&error| error.source()).any(|error| error.is::<Opened>())
}

impl<S> Layer<S> for EarlyConnections {
    type Service = Connector<S>;

    fn layer(&self, inner: S) -> Connector<S> {
        Connector { inner, early: self.clone() }
    }
}

/// A connector that uses the connections that were opened ahead.
#[derive(Clone)]
pub struct Connector<S> {
    inner: S,
    early: EarlyConnections,
}

type BoxError = Box<dyn Error + Send + Sync>;

impl<S, T> Service<T> for Connector<S>
where
    S: Service<T, Error = BoxError>,
    S::Response: Read + Unpin + Send + 'static,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, target: T) -> Self::Future {
        let is_early = IS_EARLY.try_with(|()| ()).is_ok();
        if !is_early && let Some(connection) = self.early.take() {
            return Box::pin(ready(Ok(connection)));
        }
        let (connecting, early) = (self.inner.call(target), self.early.clone());
        Box::pin(async move {
            let connection = connecting.await?;
            if !is_early {
                return Ok(connection);
            }
            early.put(Box::new(connection));
            Err(Opened.into())
        })
    }
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::{TcpListener, TcpStream},
        task::yield_now,
        time::timeout,
    };

    use super::*;
    use crate::outbound::client_builder;

    const HANG_GUARD: Duration = Duration::from_secs(10);

    async fn answer(mut connection: TcpStream) {
        let mut request = [0; 1024];
        let length = connection.read(&mut request).await.unwrap();
        assert!(request[..length].starts_with(b"GET /first"));
        connection.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await.unwrap();
    }

    #[tokio::test]
    async fn the_first_request_uses_the_early_connection_unless_it_was_closed() {
        let server = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/first", server.local_addr().unwrap());
        for is_closed in [false, true] {
            let early = EarlyConnections::default();
            let client = client_builder().unwrap().connector_layer(early.clone()).build().unwrap();
            early.open(&client, &url).await.unwrap();
            let (early_connection, _) = server.accept().await.unwrap();
            let open = (!is_closed).then_some(early_connection);
            // The event that it was closed is processed.
            yield_now().await;
            let request = tokio::spawn(client.get(&url).send());
            let connection = match open {
                Some(open) => open,
                None => timeout(HANG_GUARD, server.accept()).await.unwrap().unwrap().0,
            };
            timeout(HANG_GUARD, answer(connection)).await.unwrap();
            assert_eq!(request.await.unwrap().unwrap().status(), 204);
        }
    }

    #[tokio::test]
    async fn a_server_that_is_not_there_is_an_error() {
        let address = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let early = EarlyConnections::default();
        let client = client_builder().unwrap().connector_layer(early.clone()).build().unwrap();
        assert!(early.open(&client, &format!("http://{address}")).await.unwrap_err().is_connect());
    }
}
