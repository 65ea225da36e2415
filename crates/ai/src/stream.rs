//! A streamed answer on its way through: each event leaves as it comes (design, reading 24).

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
    anthropic::{Events, Observed, UpstreamError},
    journal::{Journal, Outcome},
};

/// Events that may wait for a client that reads slowly; then Anthropic waits, too.
const WAITING_EVENTS: usize = 16;

/// The last event of every stream.
const DONE: &str = "[DONE]";

/// The body of the answer of `model`: each event's data in an event of its own, then `[DONE]`. A failure on the way is an event,
/// too. When everything is sent, or the client has left, the exchange is entered in `journal`.
pub(crate) fn body(events: Events, model: String, journal: Journal) -> Body {
    let (sender, mut receiver) = mpsc::channel(WAITING_EVENTS);
    // On its own, so that it still enters what arrived when nobody asks for more of the body.
    telemetry::spawn(pass_on(events, model, journal, sender));
    Body::from_stream(stream::poll_fn(move |context| {
        receiver.poll_recv(context).map(|event| event.map(Ok::<Bytes, Gone>))
    }))
}

/// The client has left.
#[derive(Debug, thiserror::Error)]
#[error("the client left")]
struct Gone;

async fn pass_on(mut events: Events, model: String, journal: Journal, client: mpsc::Sender<Bytes>) {
    let mut observed = Observed::default();
    let outcome = match pass_events(&mut events, &mut observed, journal.keeps_text(), &client).await {
        Err(Gone) => Outcome::ClientLeft,
        Ok(Err(error)) => {
            error.count();
            Outcome::Failed(error.message())
        }
        Ok(Ok(())) => match observed.error.take() {
            Some(message) => {
                metrics::count(Metric::UpstreamErrors, 1);
                Outcome::Failed(message)
            }
            None => Outcome::Complete,
        },
    };
    if matches!(outcome, Outcome::Failed(_)) {
        // To HTTP it is whole, since the failure is an event of it.
        metrics::count(Metric::BrokenAnswers, 1);
    }
    observed.usage.count(&model);
    // Whoever waits for Anthropic in vain does not wait any longer.
    drop(events);
    journal.enter(observed, outcome).await;
    // Only now the body ends: an instance may be frozen as soon as it has.
    drop(client);
}

/// Sends everything there is to send; the inner result says how Anthropic ended.
async fn pass_events(
    events: &mut Events,
    observed: &mut Observed,
    keep_text: bool,
    client: &mpsc::Sender<Bytes>,
) -> Result<Result<(), UpstreamError>, Gone> {
    let end = loop {
        let next = tokio::select! {
            next = events.next() => next,
            () = client.closed() => return Err(Gone),
        };
        match next {
            Ok(Some(data)) => {
                observed.note(&data, keep_text);
                send(client, data).await?;
            }
            Ok(None) if observed.is_complete || observed.error.is_some() => break Ok(()),
            Ok(None) => break Err(UpstreamError::Broken("the stream ended before the message".into())),
            Err(error) => break Err(error),
        }
    };
    if let Err(error) = &end {
        tracing::error!(error = %telemetry::error_chain(error), "an answer broke off after it had begun");
        send(client, error_event(error)).await?;
    }
    send(client, DONE.to_owned()).await?;
    Ok(end)
}

async fn send(client: &mpsc::Sender<Bytes>, data: String) -> Result<(), Gone> {
    // Only names and ids can be unfit, and there are none.
    let event = Sse::default().data(data).encode().map_err(|_| Gone)?;
    client.send(event).await.map_err(|_| Gone)
}

/// A failure as Anthropic would tell it.
fn error_event(error: &UpstreamError) -> String {
    #[derive(Serialize)]
    struct Event<'a> {
        r#type: &'a str,
        error: Inner<'a>,
    }
    #[derive(Serialize)]
    struct Inner<'a> {
        r#type: &'a str,
        message: String,
    }
    let kind = if matches!(error, UpstreamError::TimedOut) { "timeout_error" } else { "api_error" };
    let event = Event { r#type: "error", error: Inner { r#type: kind, message: error.message() } };
    serde_json::to_string(&event).unwrap_or_default()
}
