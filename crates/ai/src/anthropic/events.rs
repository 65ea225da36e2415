//! The events of a streamed response.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream::BoxStream};
use sse_stream::{Error, Sse, SseByteStream};
use tokio::time::Instant;

use super::{Deadline, MAX_RESPONSE, TimeLimit, UpstreamError, too_long};

/// The events of a streamed response.
pub struct Events {
    /// The first event, while it has been read but not returned.
    first: Option<String>,
    events: BoxStream<'static, Result<Sse, Error>>,
    /// The bytes that came since the last event. They are in memory until that event is complete.
    since_last_event: Arc<AtomicUsize>,
    deadline: Deadline,
    between_events: Duration,
}

impl Events {
    pub(super) fn new(
        bytes: impl Stream<Item = reqwest::Result<Bytes>> + Send + 'static,
        deadline: Deadline,
        between_events: Duration,
    ) -> Self {
        let since_last_event = Arc::<AtomicUsize>::default();
        let counter = since_last_event.clone();
        let bytes = bytes.map(move |part| {
            let part = part.map_err(io::Error::other)?;
            let count = counter.fetch_add(part.len(), Ordering::Relaxed) + part.len();
            if count > MAX_RESPONSE { Err(io::Error::other(too_long())) } else { Ok(part) }
        });
        let events = SseByteStream::new(bytes.boxed()).boxed();
        Self { first: None, events, since_last_event, deadline, between_events }
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
    /// When the connection is lost, the next event does not come in time or is too long, or the body is not a stream of events.
    pub async fn next(&mut self) -> Result<Option<String>, UpstreamError> {
        if let Some(first) = self.first.take() {
            return Ok(Some(first));
        }
        loop {
            let deadline = self.deadline.or_earlier(Instant::now() + self.between_events, TimeLimit::BetweenEvents);
            let event = deadline.wait_for(self.events.next()).await?;
            let count = self.since_last_event.swap(0, Ordering::Relaxed);
            match event {
                None => return Ok(None),
                Some(Err(_)) if count > MAX_RESPONSE => return Err(too_long()),
                Some(Err(error)) => return Err(UpstreamError::ConnectionLost(error.into())),
                Some(Ok(Sse { data: Some(data), .. })) => return Ok(Some(data)),
                // A comment, or a name without data.
                Some(Ok(_)) => {}
            }
        }
    }
}
