//! Logs: JSON on Lambda, where CloudWatch reads them, and readable lines at a desk. And whether metrics are written.

use std::{io::IsTerminal, panic};

use tokio::task::JoinHandle;
use tracing::Instrument;
use tracing_subscriber::{
    EnvFilter,
    filter::{LevelFilter, Targets},
    fmt,
    prelude::*,
};

use crate::metrics::{self, Statements};

/// Starts logging for the process and sends panics through it. `RUST_LOG` filters as usual (default `info`);
/// `LOG_FORMAT=json|text` overrides the guess of where this runs. `METRICS=emf|off` says whether [metrics](crate::metrics)
/// are written, which they are where logs are JSON. To be called first, since Init is measured from here.
pub fn init() {
    let metrics = metrics::is_wanted(&std::env::var("METRICS").unwrap_or_default(), wants_json());
    if metrics {
        metrics::init();
    }
    let filter = std::env::var("RUST_LOG").unwrap_or_default();
    // The runtime's own span around every request says nothing that ours does not.
    let quiet = if filter.contains("lambda_runtime") { "" } else { ",lambda_runtime=warn" };
    let filter = if filter.trim().is_empty() { "info".to_owned() } else { filter };
    let filter = EnvFilter::builder().parse_lossy(format!("{filter}{quiet}"));
    let logs = if wants_json() {
        fmt::layer().json().flatten_event(true).with_current_span(true).with_span_list(false).boxed()
    } else {
        fmt::layer().with_ansi(std::io::stdout().is_terminal()).with_target(false).boxed()
    };
    // Statements are counted whatever is logged, hence a filter for each.
    let statements =
        metrics.then(|| Statements.with_filter(Targets::new().with_target(Statements::TARGET, LevelFilter::DEBUG)));
    // A second call (tests start several functions in one process) keeps the first subscriber.
    let _ = tracing_subscriber::registry().with(logs.with_filter(filter)).with(statements).try_init();
    panic::set_hook(Box::new(|panic| {
        let message = panic.payload_as_str().unwrap_or("a panic without a message");
        let location = panic.location().map(ToString::to_string).unwrap_or_default();
        tracing::error!(panic.message = message, panic.location = location, "panicked");
    }));
}

/// Starts a task that is part of the current request: its log lines carry the request's id, and what it counts counts
/// for the request, whose metrics are written when it has ended, too.
pub fn spawn<F>(task: F) -> JoinHandle<F::Output>
where
    F: Future<Output: Send> + Send + 'static,
{
    tokio::spawn(metrics::scope(metrics::current(), task.in_current_span()))
}

/// On Lambda and in `sam local`'s containers, `LAMBDA_TASK_ROOT` names the function's folder; `cargo lambda watch`
/// leaves it unset.
fn wants_json() -> bool {
    match std::env::var("LOG_FORMAT").as_deref() {
        Ok("json") => true,
        Ok("text") => false,
        _ => std::env::var_os("LAMBDA_TASK_ROOT").is_some(),
    }
}
