//! The body of a streamed response: each event is sent as soon as it comes from Anthropic.

use app_core::{
    metrics::{self, Metric},
    telemetry,
};
use axum::body::Body;
use bytes::Bytes;
use futures_util::stream;
use serde::Serialize;
use sse_stream::Sse;
use tokio::sync::mpsc;

use crate::{
    anthropic::{Events, OUTAGE, ResponseSummary, UpstreamError},
    conversation_log::Outcome,
    exchange::RunningExchange,
};

/// The most events that wait for a slow client. When as many wait, Anthropic has to wait, too.
const MAX_WAITING_EVENTS: usize = 16;

/// The last event of every stream.
const DONE: &str = "[DONE]";

/// The end of a stream before its last event.
#[derive(Debug, thiserror::Error)]
enum StreamError {
    #[error("the client disconnected")]
    ClientDisconnected,
    #[error(transparent)]
    Upstream(#[from] UpstreamError),
}

/// Creates the body of a response of `model`: the data of each event in an event of its own, and then `[DONE]`. A failure is an
/// event, too. When everything is sent, or the client has disconnected, `exchange` ends.
pub(crate) fn body(events: Events, model: String, exchange: RunningExchange) -> Body {
    let (sender, mut receiver) = mpsc::channel(MAX_WAITING_EVENTS);
    // In a task of its own, so that the exchange is logged even if nobody reads the rest of the body.
    telemetry::spawn(forward(events, model, exchange, sender));
    Body::from_stream(stream::poll_fn(move |context| {
        receiver.poll_recv(context).map(|event| event.map(Ok::<Bytes, StreamError>))
    }))
}

async fn forward(mut events: Events, model: String, exchange: RunningExchange, client: mpsc::Sender<Bytes>) {
    let mut summary = ResponseSummary::default();
    let outcome = match forward_events(&mut events, &mut summary, exchange.needs_text(), &client).await {
        Err(StreamError::ClientDisconnected) => Outcome::ClientDisconnected,
        Err(StreamError::Upstream(error)) => {
            error.count();
            Outcome::Failed(error.message())
        }
        Ok(()) => match summary.error.take() {
            Some(message) => {
                // The error's own text is not logged. It comes from Anthropic, and the client has got it.
                tracing::error!(hint = OUTAGE, "Anthropic ended a streamed response with an error");
                metrics::count(Metric::UpstreamErrors, 1);
                Outcome::Failed(message)
            }
            None => Outcome::Complete,
        },
    };
    if matches!(outcome, Outcome::Failed(_)) {
        // HTTP takes the response for complete, since the failure is an event of it.
        metrics::count(Metric::BrokenAnswers, 1);
    }
    summary.usage.count(&model);
    summary.record_in_log_line();
    // Close the connection to Anthropic before the log is written.
    drop(events);
    exchange.end(summary, outcome).await;
    // End the body last, because the instance may be frozen as soon as it has ended.
    drop(client);
}

/// Sends the events of Anthropic and then `[DONE]`. If Anthropic fails, sends that as an event before `[DONE]`, and returns the
/// error.
async fn forward_events(
    events: &mut Events,
    summary: &mut ResponseSummary,
    keep_text: bool,
    client: &mpsc::Sender<Bytes>,
) -> Result<(), StreamError> {
    let result = loop {
        let next = tokio::select! {
            next = events.next() => next,
            () = client.closed() => return Err(StreamError::ClientDisconnected),
        };
        match next {
            Ok(Some(data)) => {
                summary.record(&data, keep_text);
                send(client, data).await?;
            }
            // After the last event of an answer, the end of the stream says nothing about it.
            Ok(None) | Err(_) if summary.is_complete || summary.error.is_some() => break Ok(()),
            Ok(None) => break Err(UpstreamError::ConnectionLost("the stream ended before the message did".into())),
            Err(error) => break Err(error),
        }
    };
    if let Err(error) = &result {
        error.log("a streamed response failed");
        send(client, error_event(error)).await?;
    }
    send(client, DONE.to_owned()).await?;
    Ok(result?)
}

async fn send(client: &mpsc::Sender<Bytes>, data: String) -> Result<(), StreamError> {
    // Encoding fails only for names and ids of events, and these have none.
    let event = Sse::default().data(data).encode().map_err(|_| StreamError::ClientDisconnected)?;
    client.send(event).await.map_err(|_| StreamError::ClientDisconnected)
}

/// Writes a failure as an event in Anthropic's format.
fn error_event(error: &UpstreamError) -> String {
    #[derive(Serialize)]
    struct Event<'a> {
        r#type: &'a str,
        error: EventError<'a>,
    }
    #[derive(Serialize)]
    struct EventError<'a> {
        r#type: &'a str,
        message: String,
    }
    let kind = if matches!(error, UpstreamError::TimedOut(_)) { "timeout_error" } else { "api_error" };
    let event = Event { r#type: "error", error: EventError { r#type: kind, message: error.message() } };
    serde_json::to_string(&event).unwrap_or_default()
}
