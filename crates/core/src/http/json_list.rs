//! JSON lists that are written while their rows are read, so that memory does not grow with the list.

use std::{mem, pin::pin};

use axum::response::Response;
use bytes::Bytes;
use futures_util::{Stream, TryStreamExt};
use http::HeaderValue;
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    ApiError, ListId, Page, Placed,
    chunks::{CHUNK_BYTES, respond_with_chunks},
};

/// The members of a JSON object beside its list, of which there must be at least one. They are written after the list, so
/// that they can depend on its items.
pub trait Summary<T>: Serialize + Clone + Send + Sync + 'static {
    /// Takes an item of the list into account.
    fn count(&mut self, item: &T);
}

/// An item of a list that is sent in groups.
#[derive(Clone, Debug)]
pub struct GroupedItem<G, T> {
    /// The members of the group beside its list, of which there must be at least one. `None` unless the item is the group's first.
    pub first_of: Option<G>,
    pub item: T,
    /// Whether the item is the last of its group.
    pub is_last: bool,
}

impl<G, T> GroupedItem<G, T> {
    /// Converts the item, which keeps its place in its group.
    pub fn map<U>(self, convert: impl FnOnce(T) -> U) -> GroupedItem<G, U> {
        let Self { first_of, item, is_last } = self;
        GroupedItem { first_of, item: convert(item), is_last }
    }
}

/// Responds with a JSON array of the items in the stream that `items` opens.
///
/// If the stream fails before the first chunk is full, the response is an ordinary error, after the retries that any read
/// gets. If it fails later, the response ends without the closing bracket, so that no client takes a part for the whole.
///
/// # Errors
/// The error of the stream before the first chunk was full.
pub async fn json_array<T, S>(items: impl Fn() -> S) -> Result<Response, ApiError>
where
    T: Serialize + Send + 'static,
    S: Stream<Item = Result<T, ApiError>> + Send + 'static,
{
    respond(items, write_item, Brackets::<NoSummary>::of_array).await
}

/// Responds with a JSON object whose member `list` is the array that [`json_array`] would send. `summary` has the other
/// members.
///
/// # Errors
/// As [`json_array`].
pub async fn json_object<T, S>(
    list: &'static str,
    items: impl Fn() -> S,
    summary: impl Summary<T>,
) -> Result<Response, ApiError>
where
    T: Serialize + Send + 'static,
    S: Stream<Item = Result<T, ApiError>> + Send + 'static,
{
    respond(items, write_item, || Brackets { list: Some(list), summary: Some(summary.clone()) }).await
}

/// Responds as [`json_object`] does with a list of groups, whose member `group_list` is a list of its own. Groups are written item
/// by item, so that they may be long.
///
/// # Errors
/// As [`json_array`].
pub async fn json_groups<G, T, S>(
    list: &'static str,
    group_list: &'static str,
    items: impl Fn() -> S,
    summary: impl Summary<GroupedItem<G, T>>,
) -> Result<Response, ApiError>
where
    G: Serialize + Send + 'static,
    T: Serialize + Send + 'static,
    S: Stream<Item = Result<GroupedItem<G, T>, ApiError>> + Send + 'static,
{
    let write = move |buffer: &mut Vec<u8>, grouped: &GroupedItem<G, T>| {
        if let Some(group) = &grouped.first_of {
            write_item(buffer, group)?;
            // The closing brace of the group's other members becomes the comma before the list.
            buffer.truncate(buffer.len() - 1);
            buffer.extend_from_slice(format!(",\"{group_list}\":[").as_bytes());
        }
        write_item(buffer, &grouped.item)?;
        if grouped.is_last {
            buffer.extend_from_slice(b"]}");
        }
        Ok(())
    };
    respond(items, write, || Brackets { list: Some(list), summary: Some(summary.clone()) }).await
}

/// Responds as [`json_object`] does with a page of a list that has `total` items in all. The stream has one item more than the page
/// if there is another page.
///
/// # Errors
/// As [`json_array`].
pub async fn json_page<T, P, S>(
    list: &'static str,
    items: impl Fn() -> S,
    page: &Page<P>,
    total: i64,
) -> Result<Response, ApiError>
where
    T: Serialize + Send + 'static,
    P: Serialize + Clone + Send + 'static,
    S: Stream<Item = Result<Placed<T, P>, ApiError>> + Send + 'static,
{
    let offset = page.start.place().is_none().then(|| page.start.offset());
    let summary = PageSummary { total, limit: page.limit, offset, next_cursor: None };
    json_object(list, || items_of_page(items(), page.limit, page.list.clone()), summary).await
}

/// An item of a page.
#[derive(Serialize)]
#[serde(transparent)]
struct PageItem<T> {
    item: T,
    /// The cursor of the next page, if the item is the last of this page and there is another.
    #[serde(skip)]
    next_cursor: Option<String>,
}

/// Takes the first `limit` of `items`, and reads the others to their end, so that the connection can be used again.
fn items_of_page<T: Send, P: Serialize + Send>(
    items: impl Stream<Item = Result<Placed<T, P>, ApiError>> + Send,
    limit: i64,
    list: ListId,
) -> impl Stream<Item = Result<PageItem<T>, ApiError>> + Send {
    async_stream::try_stream! {
        let mut items = pin!(items);
        let mut last = None;
        let mut count = 0;
        while let Some(placed) = items.try_next().await? {
            count += 1;
            if count > limit {
                continue;
            }
            if let Some(Placed { item, place: _ }) = last.replace(placed) {
                yield PageItem { item, next_cursor: None };
            }
        }
        if let Some(Placed { item, place }) = last {
            let next_cursor = (count > limit).then(|| list.cursor(&place)).transpose()?;
            yield PageItem { item, next_cursor };
        }
    }
}

/// The members of a page beside its list.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct PageSummary {
    /// The number of items on all pages.
    total: i64,
    /// The most items on this page: the requested `limit`, lowered to the maximum if it was higher.
    limit: i64,
    /// The number of items skipped before this page; null if the request had a `cursor`.
    offset: Option<i64>,
    /// The `cursor` with which a request with the same filters gets the next page; null if this is the last one.
    next_cursor: Option<String>,
}

impl<T> Summary<PageItem<T>> for PageSummary {
    fn count(&mut self, item: &PageItem<T>) {
        self.next_cursor.clone_from(&item.next_cursor);
    }
}

/// The summary of an array, which has none.
#[derive(Clone, Serialize)]
struct NoSummary;

impl<T> Summary<T> for NoSummary {
    fn count(&mut self, _: &T) {}
}

/// The text around the items.
struct Brackets<S> {
    /// The name of the list's member; `None` for a bare array.
    list: Option<&'static str>,
    summary: Option<S>,
}

impl<S: Serialize> Brackets<S> {
    fn of_array() -> Self {
        Self { list: None, summary: None }
    }

    fn open(&self) -> String {
        self.list.map_or_else(|| "[".to_owned(), |list| format!("{{\"{list}\":["))
    }

    fn close(self) -> Result<Vec<u8>, serde_json::Error> {
        let Some(summary) = self.summary else { return Ok(b"]".to_vec()) };
        // The summary is an object; its opening brace becomes the comma after the list.
        let mut members = serde_json::to_vec(&summary)?;
        members.splice(..1, *b"],");
        Ok(members)
    }
}

/// Returns a buffer for a chunk, with room for the item that makes it full.
fn new_buffer() -> Vec<u8> {
    Vec::with_capacity(CHUNK_BYTES + CHUNK_BYTES / 4)
}

fn write_item<T: Serialize>(buffer: &mut Vec<u8>, item: &T) -> serde_json::Result<()> {
    serde_json::to_writer(buffer, item)
}

/// Writes an item of a list. Commas between the items are added.
trait Write<T>: Fn(&mut Vec<u8>, &T) -> serde_json::Result<()> + Copy + Send + 'static {}

impl<T, W: Fn(&mut Vec<u8>, &T) -> serde_json::Result<()> + Copy + Send + 'static> Write<T> for W {}

async fn respond<T, S, M>(
    items: impl Fn() -> S,
    write: impl Write<T>,
    brackets: impl Fn() -> Brackets<M>,
) -> Result<Response, ApiError>
where
    T: Send + 'static,
    S: Stream<Item = Result<T, ApiError>> + Send + 'static,
    M: Summary<T>,
{
    respond_with_chunks(HeaderValue::from_static("application/json"), || chunks(items(), write, brackets())).await
}

fn chunks<T, S, M>(
    items: S,
    write: impl Write<T>,
    mut brackets: Brackets<M>,
) -> impl Stream<Item = Result<Bytes, ApiError>> + Send
where
    T: Send + 'static,
    S: Stream<Item = Result<T, ApiError>> + Send + 'static,
    M: Summary<T>,
{
    async_stream::try_stream! {
        let mut items = pin!(items);
        let mut buffer = new_buffer();
        buffer.extend_from_slice(brackets.open().as_bytes());
        let mut is_first = true;
        while let Some(item) = items.try_next().await? {
            if let Some(summary) = &mut brackets.summary {
                summary.count(&item);
            }
            if !is_first {
                buffer.push(b',');
            }
            is_first = false;
            write(&mut buffer, &item).map_err(ApiError::internal)?;
            if buffer.len() >= CHUNK_BYTES {
                yield Bytes::from(mem::replace(&mut buffer, new_buffer()));
            }
        }
        buffer.extend(brackets.close().map_err(ApiError::internal)?);
        yield Bytes::from(buffer);
    }
}
