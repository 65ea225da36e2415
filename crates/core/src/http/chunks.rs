//! Responses that are sent while their rows are read, chunk by chunk.

use std::time::{Duration, Instant};

use async_stream::try_stream;
use axum::{
    body::Body,
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use futures_util::{Stream, TryStreamExt};
use http::{HeaderValue, header};

use super::ApiError;
use crate::{db, metrics::ClientWait};

/// The approximate size of the chunks that are sent. A chunk for each row would cost more than the row.
pub(super) const CHUNK_BYTES: usize = 16 * 1024;

/// The longest time that a response may take. A client that reads slowly holds a connection to the database.
const LONGEST: Duration = Duration::from_secs(5 * 60);

/// Responds with the chunks of the stream that `chunks` opens.
///
/// If the stream fails before its first chunk, the response is an ordinary error, after the retries that any read gets. If it
/// fails later, the connection is cut, so that the client gets no complete body.
///
/// # Errors
/// The error of the stream before its first chunk.
pub(super) async fn respond_with_chunks<S>(
    content_type: HeaderValue,
    chunks: impl Fn() -> S,
) -> Result<Response, ApiError>
where
    S: Stream<Item = Result<Bytes, ApiError>> + Send + 'static,
{
    let (first, rest) = db::retry(|| async {
        let mut chunks = Box::pin(chunks());
        let first = chunks.try_next().await?;
        Ok((first, chunks))
    })
    .await?;
    let body = timed(first, rest, LONGEST);
    let body = body.inspect_err(|error: &ApiError| error.log("a response failed after its first part was sent"));
    Ok(([(header::CONTENT_TYPE, content_type)], Body::from_stream(body)).into_response())
}

/// Yields `first` and the chunks of `rest`. It fails when the client asks for another chunk after `longest`.
fn timed<S>(
    first: Option<Bytes>,
    mut rest: S,
    longest: Duration,
) -> impl Stream<Item = Result<Bytes, ApiError>> + Send + 'static
where
    S: Stream<Item = Result<Bytes, ApiError>> + Send + Unpin + 'static,
{
    try_stream! {
        let started = Instant::now();
        let mut next = first;
        while let Some(chunk) = next {
            let waiting_for_the_client = ClientWait::begin();
            yield chunk;
            drop(waiting_for_the_client);
            if started.elapsed() >= longest {
                Err(ApiError::internal("the client took longer to read the response than it may"))?;
            }
            next = rest.try_next().await?;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use futures_util::{StreamExt, stream};

    use super::*;

    #[tokio::test]
    async fn a_response_that_takes_too_long_is_cut() {
        for (longest, chunks) in [(LONGEST, 3), (Duration::ZERO, 1)] {
            let rest = stream::iter([Ok(Bytes::from("b")), Ok(Bytes::from("c"))]);
            let mut body = pin!(timed(Some(Bytes::from("a")), rest, longest));
            let mut sent = 0;
            let end = loop {
                match body.next().await {
                    Some(Ok(_)) => sent += 1,
                    end => break end,
                }
            };
            assert_eq!((sent, end.is_some()), (chunks, chunks == 1), "{longest:?}");
        }
    }
}
