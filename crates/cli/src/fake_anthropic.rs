//! A fake of Anthropic's API, so that the dashboard can be developed without a key. It streams the same reply to every
//! request, word by word.

use std::{convert::Infallible, net::Ipv4Addr, time::Duration};

use anyhow::{Context, Result};
use axum::{
    Router,
    body::{Body, Bytes},
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
    routing::post,
};
use futures_util::stream;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::{net::TcpListener, task::AbortHandle, time::sleep};

/// The API key for the fake, which accepts any key.
pub const KEY: &str = "fake-key-of-cargo-dev";

/// The delay of each event, similar to that of the real API.
const EVENT_DELAY: Duration = Duration::from_millis(40);

const REPLY: &str = "This is the stand-in that `cargo dev --fake-anthropic` serves instead of Anthropic. It knows nothing \
                     about your repair orders \u{2708}, but it streams every word of this sentence separately.";

/// A running fake. Dropping this stops it.
pub struct FakeAnthropic {
    /// The value for `ANTHROPIC_BASE_URL`.
    pub url: String,
    server: AbortHandle,
}

impl FakeAnthropic {
    /// Starts the fake on a free port of `address`, which must belong to this machine.
    ///
    /// # Errors
    /// When no port can be bound.
    pub async fn start(address: Ipv4Addr) -> Result<Self> {
        let listener = TcpListener::bind((address, 0)).await.context("no port is free")?;
        let url = format!("http://{}", listener.local_addr()?);
        let routes = Router::new().route("/v1/messages", post(messages));
        let server = tokio::spawn(async move { axum::serve(listener, routes).await }).abort_handle();
        Ok(Self { url, server })
    }
}

impl Drop for FakeAnthropic {
    fn drop(&mut self) {
        self.server.abort();
    }
}

#[derive(Deserialize)]
struct Request {
    model: String,
    #[serde(default)]
    stream: bool,
}

async fn messages(body: Bytes) -> Response {
    let Ok(Request { model, stream }) = serde_json::from_slice(&body) else {
        let error = json!({ "type": "error", "error": { "type": "invalid_request_error", "message": "the body is not a valid request" } });
        return (StatusCode::BAD_REQUEST, error.to_string()).into_response();
    };
    let words: Vec<String> = REPLY.split_inclusive(' ').map(str::to_owned).collect();
    // A rough estimate of the token counts.
    let usage =
        json!({ "input_tokens": body.len() / 4, "output_tokens": words.len() * 4 / 3, "cache_read_input_tokens": 0 });
    if !stream {
        sleep(EVENT_DELAY * 10).await;
        let message = json!({
            "id": "msg_fake", "type": "message", "role": "assistant", "model": model,
            "content": [{ "type": "text", "text": REPLY }], "stop_reason": "end_turn", "usage": usage,
        });
        return ([(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))], message.to_string())
            .into_response();
    }
    let message = json!({
        "id": "msg_fake", "type": "message", "role": "assistant", "model": model, "content": [], "usage": usage,
    });
    let mut events = vec![
        json!({ "type": "message_start", "message": message }),
        json!({ "type": "content_block_start", "index": 0, "content_block": { "type": "text", "text": "" } }),
    ];
    events.extend(words.into_iter().map(
        |word| json!({ "type": "content_block_delta", "index": 0, "delta": { "type": "text_delta", "text": word } }),
    ));
    events.extend([
        json!({ "type": "content_block_stop", "index": 0 }),
        json!({ "type": "message_delta", "delta": { "stop_reason": "end_turn" }, "usage": { "output_tokens": usage["output_tokens"] } }),
        json!({ "type": "message_stop" }),
    ]);
    let body = stream::unfold(events.into_iter(), async |mut events: std::vec::IntoIter<Value>| {
        let event = events.next()?;
        sleep(EVENT_DELAY).await;
        let name = event["type"].as_str().unwrap_or_default();
        Some((Ok::<_, Infallible>(format!("event: {name}\ndata: {event}\n\n")), events))
    });
    ([(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"))], Body::from_stream(body)).into_response()
}
