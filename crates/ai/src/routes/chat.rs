//! `POST /api/ai/chat`

use app_core::{
    http::{ApiError, Caller, Json, RequestId, USER_ID},
    openapi::{BadGateway, GatewayTimeout, TooManyRequests},
};
use axum::{
    extract::{FromRequest, Request, State},
    response::{IntoResponse, Response},
};
use conversations::User;
use http::{HeaderMap, HeaderValue, header};
use serde::Serialize;
use serde_json::value::RawValue;
use tokio::time::Instant;
use utoipa::ToSchema;

use crate::{
    AiError, AiState,
    anthropic::{Anthropic, Observed, UpstreamError},
    chat::{ChatBody, ChatRequest},
    journal::{Journal, Outcome},
    stream,
};

/// Who asks if nobody says.
const ANONYMOUS: &str = "anonymous";

/// A streamed answer, for the description.
fn streamed_example() -> &'static str {
    r#"data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"This "}}

data: [DONE]

"#
}

/// Asks the assistant.
///
/// In this order (design, reading 20): is there a key, may this user ask, is the question valid.
#[utoipa::path(post, path = "", operation_id = "chat", request_body = ChatBody,
    params(("X-User-Id" = Option<String>, Header, description = "Who asks, if neither a token nor the body says so; text of 1 to 255 characters, or nobody is named")),
    responses(
        (status = 200, description = "The answer: whole, or with `stream` its events as they come and then `[DONE]`", content(
            (ChatAnswer = "application/json"),
            (String = "text/event-stream", example = streamed_example),
        )),
        (status = 429, response = TooManyRequests),
        (status = 502, response = BadGateway),
        (status = 504, response = GatewayTimeout),
    ))]
pub(super) async fn chat(
    State(state): State<AiState>,
    id: RequestId,
    caller: Caller,
    request: Request,
) -> Result<Response, AiError> {
    let anthropic = state.anthropic.as_ref().ok_or(AiError::NotConfigured)?;
    let named = user_header(request.headers());
    let body = Json::<ChatBody>::from_request(request, &()).await.map(|Json(body)| body);
    // Whom the token names, whatever else the request says; without authentication, whom the request names.
    let (user, body) = match caller.subject() {
        Some(subject) => (User::parse(subject), body),
        None => {
            let body = body?;
            (body.user_id().or(named).map_or_else(|| User::parse(ANONYMOUS), Ok), Ok(body))
        }
    };
    let user = user.map_err(ApiError::internal)?;

    let decision = state.limiter.admit(&user).await?;
    if !decision.is_admitted() {
        return Err(AiError::Limited(decision));
    }
    let answer = match body.and_then(|body| body.parse(&state.models)) {
        Ok(request) => {
            let journal = state.journals.begin(&user, &request);
            ask(anthropic, request, &id, journal).await
        }
        Err(error) => Err(error.into()),
    };
    // Whatever became of it, it took a place.
    let mut response = answer.into_response();
    for (name, value) in &decision.headers() {
        response.headers_mut().entry(name).or_insert_with(|| value.clone());
    }
    Ok(response)
}

/// Who asks, as a header says.
fn user_header(headers: &HeaderMap) -> Option<User> {
    User::parse(headers.get(USER_ID)?.to_str().ok()?).ok()
}

async fn ask(
    anthropic: &Anthropic,
    request: ChatRequest,
    id: &RequestId,
    journal: Journal,
) -> Result<Response, AiError> {
    let started = Instant::now();
    let ChatRequest { model, stream, body, .. } = request;
    let answer = match anthropic.send(body, id).await {
        Ok(answer) if stream => return Ok(streamed(stream::body(answer.events(), model, journal))),
        Ok(answer) => answer
            .bytes()
            .await
            .and_then(|body| RawMessage::new(&body).map(|message| (message, Observed::of_message(&body)))),
        Err(error) => Err(error),
    };
    match answer {
        Ok((response, observed)) => {
            observed.usage.count(&model);
            let cached = observed.usage.is_cached();
            journal.enter(observed, Outcome::Complete).await;
            let duration_ms = started.elapsed().as_millis();
            let metadata = Metadata { duration_ms, model, cached };
            Ok(Json(ChatAnswer { success: true, response, metadata }).into_response())
        }
        Err(error) => {
            error.count();
            journal.enter(Observed::default(), Outcome::Failed(error.message())).await;
            Err(error.into())
        }
    }
}

fn streamed(body: axum::body::Body) -> Response {
    ([(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"))], body).into_response()
}

/// The answer that is not streamed (design, reading 25).
#[derive(Serialize, ToSchema)]
struct ChatAnswer {
    success: bool,
    /// Anthropic's message, as it came.
    #[schema(value_type = Object)]
    response: RawMessage,
    metadata: Metadata,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = ChatMetadata)]
struct Metadata {
    /// How long it took, in milliseconds.
    #[schema(value_type = u64)]
    duration_ms: u128,
    /// What answered.
    model: String,
    /// Whether a part of the question was in the prompt cache.
    cached: bool,
}

/// Anthropic's answer, as it came.
#[derive(Serialize)]
#[serde(transparent)]
struct RawMessage(Box<RawValue>);

impl RawMessage {
    fn new(body: &[u8]) -> Result<Self, UpstreamError> {
        serde_json::from_slice(body).map(Self).map_err(|error| UpstreamError::Broken(error.into()))
    }
}
