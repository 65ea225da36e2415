//! Lists that are written while they are read, whatever their length: by themselves, or as a member of an object whose
//! other members sum them up.

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

/// The members of an object beside its list, of which there must be at least one. They are written after the list, so
/// that they can say how many items it had.
pub trait Summary<T>: Serialize + Clone + Send + Sync + 'static {
    /// Takes notice of an item that is being written.
    fn count(&mut self, item: &T);
}

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
    stream(query, Array).await
}

/// Answers with a JSON object whose member `list` is what [`json_array`] would answer; `summary` has the others.
///
/// # Errors
/// As [`json_array`].
pub async fn json_object<T, S>(
    list: &'static str,
    query: impl Fn() -> S,
    summary: impl Summary<T>,
) -> Result<Response, ApiError>
where
    T: Serialize + Send + 'static,
    S: Stream<Item = Result<T, ApiError>> + Send + 'static,
{
    stream(query, Object { list, summary }).await
}

/// What stands around the items.
trait Frame<T>: Clone + Send + 'static {
    /// What is written before the first item.
    fn open(&self) -> String;

    /// Takes notice of an item.
    fn count(&mut self, item: &T);

    /// What is written after the last item.
    fn close(self) -> Result<Vec<u8>, serde_json::Error>;
}

#[derive(Clone)]
struct Array;

impl<T> Frame<T> for Array {
    fn open(&self) -> String {
        "[".to_owned()
    }

    fn count(&mut self, _: &T) {}

    fn close(self) -> Result<Vec<u8>, serde_json::Error> {
        Ok(b"]".to_vec())
    }
}

#[derive(Clone)]
struct Object<S> {
    list: &'static str,
    summary: S,
}

impl<T, S: Summary<T>> Frame<T> for Object<S> {
    fn open(&self) -> String {
        format!("{{\"{}\":[", self.list)
    }

    fn count(&mut self, item: &T) {
        self.summary.count(item);
    }

    fn close(self) -> Result<Vec<u8>, serde_json::Error> {
        // An object of its own, whose opening brace gives way to the comma after the list.
        let mut members = serde_json::to_vec(&self.summary)?;
        members.splice(..1, *b"],");
        Ok(members)
    }
}

async fn stream<T, S>(query: impl Fn() -> S, frame: impl Frame<T>) -> Result<Response, ApiError>
where
    T: Serialize + Send + 'static,
    S: Stream<Item = Result<T, ApiError>> + Send + 'static,
{
    let (first, rest) = db::retry(|| async {
        let mut chunks = Box::pin(chunks(query(), frame.clone()));
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

fn chunks<T, S>(items: S, mut frame: impl Frame<T>) -> impl Stream<Item = Result<Bytes, ApiError>> + Send
where
    T: Serialize + Send + 'static,
    S: Stream<Item = Result<T, ApiError>> + Send + 'static,
{
    async_stream::try_stream! {
        let mut items = pin!(items);
        let mut buffer = BytesMut::with_capacity(CHUNK_BYTES + CHUNK_BYTES / 4);
        buffer.put(frame.open().as_bytes());
        let mut is_first = true;
        while let Some(item) = items.try_next().await? {
            if !is_first {
                buffer.put_u8(b',');
            }
            is_first = false;
            serde_json::to_writer((&mut buffer).writer(), &item).map_err(ApiError::internal)?;
            frame.count(&item);
            if buffer.len() >= CHUNK_BYTES {
                yield buffer.split().freeze();
                buffer.reserve(CHUNK_BYTES + CHUNK_BYTES / 4);
            }
        }
        buffer.put(&*frame.close().map_err(ApiError::internal)?);
        yield buffer.freeze();
    }
}
