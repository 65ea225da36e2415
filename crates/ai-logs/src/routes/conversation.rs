//! `GET /api/ai-logs/conversation/{conversation_id}`

use app_core::{
    http::{ApiError, Caller, Path, json_object},
    openapi::NotFound,
};
use async_stream::try_stream;
use axum::{extract::State, response::Response};
use conversations::ConversationId;
use futures_util::{Stream, TryStreamExt};
use utoipa::ToSchema;

use crate::{
    AiLogsState,
    model::{ConversationSummary, LogEntry},
    store,
};

// Describes the response in the OpenAPI document. The handler streams it.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only described")]
struct Conversation {
    logs: Vec<LogEntry>,
    #[serde(flatten)]
    summary: ConversationSummary,
}

/// Lists the entries of a conversation, oldest first: the caller's own, and for administrators those of all users.
#[utoipa::path(get, path = "", operation_id = "getConversation",
    params(("conversationId" = inline(ConversationId), Path, description = "The name that the client gave the conversation")),
    responses((status = 200, body = Conversation), (status = 404, response = NotFound)))]
pub(super) async fn conversation(
    State(state): State<AiLogsState>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Response, ApiError> {
    let id = ConversationId::parse(&id).map_err(|problem| ApiError::invalid("conversationId", problem))?;
    let owner = conversations::owner(&caller)?;
    let entries = || not_empty(store::conversation(state.db.clone(), &id, owner.as_ref()));
    json_object("logs", entries, ConversationSummary::new(&id)).await
}

/// Fails with 404 if there is no entry, since a conversation exists only through its entries.
fn not_empty(
    entries: impl Stream<Item = Result<LogEntry, ApiError>> + Send,
) -> impl Stream<Item = Result<LogEntry, ApiError>> + Send {
    try_stream! {
        let mut entries = std::pin::pin!(entries);
        let first = entries.try_next().await?;
        yield first.ok_or_else(|| ApiError::NotFound("Conversation not found".to_owned()))?;
        while let Some(entry) = entries.try_next().await? {
            yield entry;
        }
    }
}
