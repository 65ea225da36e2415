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

// The answer, for the description: it is written as it is read.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only described")]
struct Conversation {
    logs: Vec<LogEntry>,
    #[serde(flatten)]
    summary: ConversationSummary,
}

/// All entries of a conversation, oldest first; of them the caller's own, but for administrators.
#[utoipa::path(get, path = "", operation_id = "getConversation",
    params(("conversationId" = inline(ConversationId), Path, description = "The name that the client gave it")),
    responses((status = 200, body = Conversation), (status = 404, response = NotFound)))]
pub(super) async fn conversation(
    State(state): State<AiLogsState>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Response, ApiError> {
    let id = ConversationId::parse(&id).map_err(|problem| ApiError::invalid("conversationId", problem))?;
    let owner = conversations::owner(&caller)?;
    let entries = || found(store::conversation(state.db.clone(), &id, owner.as_ref()));
    json_object("logs", entries, ConversationSummary::new(&id)).await
}

/// `entries`, of which there must be one: a conversation is its entries.
fn found(
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
