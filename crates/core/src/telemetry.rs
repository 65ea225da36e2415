//! Logs: JSON on Lambda, where CloudWatch reads them, and readable lines at a desk.

use std::{io::IsTerminal, panic};

use tracing_subscriber::{EnvFilter, fmt, prelude::*};

/// Starts logging for the process and sends panics through it. `RUST_LOG` filters as usual (default `info`);
/// `LOG_FORMAT=json|text` overrides the guess of where this runs.
pub fn init() {
    let filter = std::env::var("RUST_LOG").unwrap_or_default();
    // The runtime's own span around every request says nothing that ours does not.
    let quiet = if filter.contains("lambda_runtime") { "" } else { ",lambda_runtime=warn" };
    let filter = if filter.trim().is_empty() { "info".to_owned() } else { filter };
    let filter = EnvFilter::builder().parse_lossy(format!("{filter}{quiet}"));
    let registry = tracing_subscriber::registry().with(filter);
    // A second call (tests start several functions in one process) keeps the first subscriber.
    let _ = if wants_json() {
        registry.with(fmt::layer().json().flatten_event(true).with_current_span(true).with_span_list(false)).try_init()
    } else {
        registry.with(fmt::layer().with_ansi(std::io::stdout().is_terminal()).with_target(false)).try_init()
    };
    panic::set_hook(Box::new(|panic| {
        let message = panic.payload_as_str().unwrap_or("a panic without a message");
        let location = panic.location().map(ToString::to_string).unwrap_or_default();
        tracing::error!(panic.message = message, panic.location = location, "panicked");
    }));
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
