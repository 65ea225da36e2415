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
use tracing::Span;
use utoipa::ToSchema;

use crate::{
    AiError, AiState,
    anthropic::{Anthropic, AnthropicResponse, ResponseSummary},
    chat_request::{ChatBody, ChatRequest},
    conversation_log::Outcome,
    exchange::RunningExchange,
    stream,
};

/// The user of a request that names none.
const ANONYMOUS: &str = "anonymous";

/// The most bytes of the names of tools in a log line.
const MAX_LOGGED_TOOLS: usize = 500;

/// The example of a streamed response in the OpenAPI document.
fn streamed_example() -> &'static str {
    r#"data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"This "}}

data: [DONE]

"#
}

/// Asks the assistant.
///
/// The body has the fields of Anthropic's Messages API, which are passed on, and some of our own. Anthropic judges what it gets;
/// its 400 and 413 are repeated. The request fails with 503 if no API key is configured, then with 429 if the user asks too often,
/// and then with 400 if it is not valid. An invalid body counts towards the rate limit; without a token, only if it is a JSON
/// object. A request that the rate limit refuses does not count. With a token, the user is its subject, and `userId` and
/// `X-User-Id` are ignored. `Idempotency-Key` is ignored, and so are all headers of Anthropic's API but `anthropic-beta`.
///
/// The tokens of a user's day may be limited, too. When they are used up, requests fail with 429 and `Token limit exceeded` until
/// the next day begins. This is checked after the rate limit, so such a request counts there. Answers that are under way may exceed
/// the limit. All tokens that Anthropic counts are counted, also those of the prompt cache.
#[utoipa::path(post, path = "", operation_id = "chat", request_body = ChatBody,
    params(("X-User-Id" = Option<String>, Header, description = "The user, if neither a token nor the body names one: 1 to 255 characters. Other values are ignored."),
        ("anthropic-beta" = Option<String>, Header, description = "Beta features of Anthropic's API: names separated by commas. Each must be one that the configuration allows; by default none is.")),
    responses(
        (status = 200, description = "The answer: whole, or with `stream` its events as they come, and then `[DONE]`", content(
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
    let betas = state.betas.requested(request.headers());
    let body = Json::<ChatBody>::from_request(request, &()).await.map(|Json(body)| body);
    // With authentication the user is the subject of the token. Without it, the request names the user.
    let (user, body) = match caller.subject() {
        Some(subject) => (User::from_subject(subject), body),
        None => {
            let body = body?;
            (body.user_id().or(named).map_or_else(|| User::from_name(ANONYMOUS), Ok), Ok(body))
        }
    };
    let user = user.map_err(ApiError::internal)?;

    let decision = state.limiter.admit(&user).await?;
    if !decision.may_proceed() {
        return Err(AiError::Limited(decision));
    }
    let response = match body.and_then(|body| Ok((body.parse(&state.models)?, betas?))) {
        Ok((request, betas)) => {
            let exchange = RunningExchange {
                log_entry: state.conversation_log.begin(&user, &request),
                tokens: state.limiter.begin_tokens(&user, &id),
            };
            ask(anthropic, request, betas, &id, exchange).await
        }
        Err(error) => Err(error.into()),
    };
    // Any admitted request counts, also one that fails.
    let mut response = response.into_response();
    for (name, value) in &decision.headers() {
        response.headers_mut().entry(name).or_insert_with(|| value.clone());
    }
    Ok(response)
}

/// Reads the user from the header.
fn user_header(headers: &HeaderMap) -> Option<User> {
    User::from_name(str::from_utf8(headers.get(USER_ID)?.as_bytes()).ok()?).ok()
}

async fn ask(
    anthropic: &Anthropic,
    request: ChatRequest,
    betas: Option<HeaderValue>,
    id: &RequestId,
    exchange: RunningExchange,
) -> Result<Response, AiError> {
    let started = Instant::now();
    let ChatRequest { model, stream, tools, body, .. } = request;
    if !tools.is_empty() {
        Span::current().record("upstream.tools", shortened(&tools.join(",")));
    }
    match anthropic.send(body, stream, betas, id).await {
        Ok(AnthropicResponse::Stream(events)) => Ok(streamed(stream::body(events, model, exchange))),
        Ok(AnthropicResponse::Whole(message)) => {
            let summary = ResponseSummary::from_message(message.get().as_bytes());
            summary.usage.count(&model);
            summary.record_in_log_line();
            let (cached, usage) = (summary.usage.is_cached(), summary.usage);
            exchange.end(summary, Outcome::Complete).await;
            let duration_ms = started.elapsed().as_millis();
            let metadata = Metadata {
                duration_ms,
                model,
                cached,
                cached_tokens: usage.cache_read_input_tokens,
                cache_creation_tokens: usage.cache_creation_input_tokens,
            };
            Ok(Json(ChatAnswer { success: true, response: message, metadata }).into_response())
        }
        Err(error) => {
            error.count();
            exchange.end(ResponseSummary::default(), Outcome::Failed(error.message())).await;
            Err(error.into())
        }
    }
}

/// Cuts a text to the length that a log line may have of it.
fn shortened(text: &str) -> &str {
    &text[..text.floor_char_boundary(MAX_LOGGED_TOOLS)]
}

fn streamed(body: axum::body::Body) -> Response {
    ([(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"))], body).into_response()
}

/// A response that is not streamed.
#[derive(Serialize, ToSchema)]
struct ChatAnswer {
    success: bool,
    /// Anthropic's message, byte for byte.
    #[schema(value_type = Object)]
    response: Box<RawValue>,
    metadata: Metadata,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = ChatMetadata)]
struct Metadata {
    /// The duration in milliseconds.
    #[schema(value_type = u64)]
    duration_ms: u128,
    /// The model that answered.
    model: String,
    /// Whether a part of the question was read from the prompt cache.
    cached: bool,
    /// The input tokens that were read from the prompt cache.
    cached_tokens: Option<i64>,
    /// The input tokens that were written to the prompt cache.
    cache_creation_tokens: Option<i64>,
}
