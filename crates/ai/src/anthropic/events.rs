//! The events of a streamed response.

use std::time::Duration;

use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream::BoxStream};
use sse_stream::{Error, Sse, SseByteStream};
use tokio::time::{Instant, timeout_at};

use super::UpstreamError;

/// The events of a streamed response.
pub struct Events {
    /// The first event, while it has been read but not returned.
    first: Option<String>,
    events: BoxStream<'static, Result<Sse, Error>>,
    deadline: Instant,
    between_events: Duration,
}

impl Events {
    pub(super) fn new(
        bytes: impl Stream<Item = reqwest::Result<Bytes>> + Send + 'static,
        deadline: Instant,
        between_events: Duration,
    ) -> Self {
        Self { first: None, events: SseByteStream::new(bytes.boxed()).boxed(), deadline, between_events }
    }

    /// Reads the first event and returns its data. [`next`](Self::next) returns it again.
    ///
    /// # Errors
    /// As those of `next`, and when there is no event.
    pub(super) async fn peek(&mut self) -> Result<&str, UpstreamError> {
        let first = self.next().await?;
        let first = first.ok_or_else(|| UpstreamError::ConnectionLost("the stream has no event".into()))?;
        Ok(self.first.insert(first))
    }

    /// Returns the data of the next event, of any kind, byte for byte, or `None` at the end.
    ///
    /// # Errors
    /// When the connection is lost, the next event does not come in time, or the body is not a stream of events.
    pub async fn next(&mut self) -> Result<Option<String>, UpstreamError> {
        if let Some(first) = self.first.take() {
            return Ok(Some(first));
        }
        loop {
            let by = self.deadline.min(Instant::now() + self.between_events);
            match timeout_at(by, self.events.next()).await {
                Err(_) => return Err(UpstreamError::TimedOut),
                Ok(None) => return Ok(None),
                Ok(Some(Err(error))) => return Err(UpstreamError::ConnectionLost(error.into())),
                Ok(Some(Ok(Sse { data: Some(data), .. }))) => return Ok(Some(data)),
                // A comment, or a name without data.
                Ok(Some(Ok(_))) => {}
            }
        }
    }
}
