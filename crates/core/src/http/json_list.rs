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
use utoipa::ToSchema;

use super::{ApiError, Page};
use crate::{
    db::{self, PageRow},
    metrics::Pause,
};

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

/// Answers with a JSON object whose member `list` has the items of `page` and whose others are `total`, `limit` and
/// `offset`; sent and broken off as [`json_array`] is.
///
/// # Errors
/// As [`json_array`].
pub async fn json_page<T, S>(list: &'static str, query: impl Fn() -> S, page: Page) -> Result<Response, ApiError>
where
    T: Serialize + Send + 'static,
    S: Stream<Item = Result<PageRow<T>, ApiError>> + Send + 'static,
{
    stream(query, Paged { list, total: 0, page }).await
}

/// What stands around the items.
trait Frame<R>: Clone + Send + 'static {
    /// What is written of a row.
    type Item: Serialize;

    /// What is written before the first item.
    fn open(&self) -> String;

    /// Takes notice of a row, and says what is written of it.
    fn item<'row>(&mut self, row: &'row R) -> Option<&'row Self::Item>;

    /// What is written after the last item.
    fn close(self) -> Result<Vec<u8>, serde_json::Error>;
}

#[derive(Clone)]
struct Array;

impl<T: Serialize> Frame<T> for Array {
    type Item = T;

    fn open(&self) -> String {
        "[".to_owned()
    }

    fn item<'row>(&mut self, row: &'row T) -> Option<&'row T> {
        Some(row)
    }

    fn close(self) -> Result<Vec<u8>, serde_json::Error> {
        Ok(b"]".to_vec())
    }
}

#[derive(Clone)]
struct Object<S> {
    list: &'static str,
    summary: S,
}

impl<T: Serialize, S: Summary<T>> Frame<T> for Object<S> {
    type Item = T;

    fn open(&self) -> String {
        open_object(self.list)
    }

    fn item<'row>(&mut self, row: &'row T) -> Option<&'row T> {
        self.summary.count(row);
        Some(row)
    }

    fn close(self) -> Result<Vec<u8>, serde_json::Error> {
        close_object(&self.summary)
    }
}

#[derive(Clone)]
struct Paged {
    list: &'static str,
    total: i64,
    page: Page,
}

/// The members of a page beside its list.
#[derive(Debug, Serialize, ToSchema)]
pub struct PageSummary {
    /// How many there are in all.
    total: i64,
    /// How many are listed at most; what was asked for, cut to the most that is allowed.
    limit: i64,
    /// How many are left out before.
    offset: i64,
}

impl<T: Serialize> Frame<PageRow<T>> for Paged {
    type Item = T;

    fn open(&self) -> String {
        open_object(self.list)
    }

    fn item<'row>(&mut self, row: &'row PageRow<T>) -> Option<&'row T> {
        self.total = row.total;
        row.item.as_ref()
    }

    fn close(self) -> Result<Vec<u8>, serde_json::Error> {
        let Page { limit, offset } = self.page;
        close_object(&PageSummary { total: self.total, limit, offset })
    }
}

fn open_object(list: &str) -> String {
    format!("{{\"{list}\":[")
}

fn close_object(summary: &impl Serialize) -> Result<Vec<u8>, serde_json::Error> {
    // An object of its own, whose opening brace gives way to the comma after the list.
    let mut members = serde_json::to_vec(summary)?;
    members.splice(..1, *b"],");
    Ok(members)
}

async fn stream<R, S>(query: impl Fn() -> S, frame: impl Frame<R>) -> Result<Response, ApiError>
where
    R: Send + 'static,
    S: Stream<Item = Result<R, ApiError>> + Send + 'static,
{
    let (first, rest) = db::retry(|| async {
        let mut chunks = Box::pin(chunks(query(), frame.clone()));
        let first = chunks.try_next().await?.unwrap_or_default();
        Ok((first, chunks))
    })
    .await?;
    let rest = rest.inspect_err(|error| error.report("a list broke off after its first part was sent"));
    let body = Body::from_stream(futures_util::stream::once(async { Ok::<_, ApiError>(first) }).chain(rest));
    Ok(([(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))], body).into_response())
}

fn chunks<R, S>(rows: S, mut frame: impl Frame<R>) -> impl Stream<Item = Result<Bytes, ApiError>> + Send
where
    R: Send + 'static,
    S: Stream<Item = Result<R, ApiError>> + Send + 'static,
{
    async_stream::try_stream! {
        let mut rows = pin!(rows);
        let mut buffer = BytesMut::with_capacity(CHUNK_BYTES + CHUNK_BYTES / 4);
        buffer.put(frame.open().as_bytes());
        let mut is_first = true;
        while let Some(row) = rows.try_next().await? {
            let Some(item) = frame.item(&row) else { continue };
            if !is_first {
                buffer.put_u8(b',');
            }
            is_first = false;
            serde_json::to_writer((&mut buffer).writer(), item).map_err(ApiError::internal)?;
            if buffer.len() >= CHUNK_BYTES {
                let waiting_for_the_client = Pause::begin();
                yield buffer.split().freeze();
                drop(waiting_for_the_client);
                buffer.reserve(CHUNK_BYTES + CHUNK_BYTES / 4);
            }
        }
        buffer.put(&*frame.close().map_err(ApiError::internal)?);
        yield buffer.freeze();
    }
}
