//! Lists that are written while they are read, whatever their length.

use std::pin::pin;

use axum::{
    body::Body,
    response::{IntoResponse, Response},
};
use bytes::{BufMut, Bytes, BytesMut};
use futures_util::{Stream, StreamExt, TryStreamExt};
use http::{HeaderValue, header};
use serde::Serialize;

use super::ApiError;
use crate::db;

/// Items are gathered into chunks of about this size: one packet a row would cost more than the row.
const CHUNK_BYTES: usize = 16 * 1024;

/// Answers with a JSON array of the items that `query` reads from the database, sent in chunks as they come.
///
/// A failure before the first chunk is an ordinary error answer, after the attempts that any read gets. A later one
/// breaks the answer off without the closing bracket, so that no client can take the part for the whole.
///
/// # Errors
/// What `query` failed with before the first chunk was full.
pub async fn json_array<T, S>(query: impl Fn() -> S) -> Result<Response, ApiError>
where
    T: Serialize + Send + 'static,
    S: Stream<Item = Result<T, ApiError>> + Send + 'static,
{
    let (first, rest) = db::retry(|| async {
        let mut chunks = Box::pin(chunks(query()));
        let first = chunks.try_next().await?.unwrap_or_default();
        Ok((first, chunks))
    })
    .await?;
    let rest = rest.inspect_err(|error| {
        tracing::error!(error = error as &dyn std::error::Error, "a list broke off after its first part was sent");
    });
    let body = Body::from_stream(futures_util::stream::once(async { Ok::<_, ApiError>(first) }).chain(rest));
    Ok(([(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))], body).into_response())
}

fn chunks<T, S>(items: S) -> impl Stream<Item = Result<Bytes, ApiError>> + Send
where
    T: Serialize + Send + 'static,
    S: Stream<Item = Result<T, ApiError>> + Send + 'static,
{
    async_stream::try_stream! {
        let mut items = pin!(items);
        let mut buffer = BytesMut::with_capacity(CHUNK_BYTES + CHUNK_BYTES / 4);
        buffer.put_u8(b'[');
        let mut is_first = true;
        while let Some(item) = items.try_next().await? {
            if !is_first {
                buffer.put_u8(b',');
            }
            is_first = false;
            serde_json::to_writer((&mut buffer).writer(), &item).map_err(ApiError::internal)?;
            if buffer.len() >= CHUNK_BYTES {
                yield buffer.split().freeze();
                buffer.reserve(CHUNK_BYTES + CHUNK_BYTES / 4);
            }
        }
        buffer.put_u8(b']');
        yield buffer.freeze();
    }
}
