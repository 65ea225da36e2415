//! Starts logs and metrics. Logs are JSON on Lambda, for CloudWatch, and plain text elsewhere.

use std::{
    error::Error,
    fmt::{self, Display},
    io::{self, Write},
    iter::successors,
    panic,
};

use tokio::task::JoinHandle;
use tracing::Instrument;
use tracing_subscriber::{
    filter::{LevelFilter, Targets},
    prelude::*,
};

use crate::metrics::{self, StatementCounter};

/// At `debug` and `trace` these libraries log what they send and receive: bodies, prompts, names and tokens. They stay at these
/// levels unless `RUST_LOG` names them, whose filter comes later and wins. (The runtime's own span around every request repeats
/// ours.)
const LIBRARY_LEVELS: &str = "lambda_runtime=warn,lambda_http=info,aws_=info,hyper=info,h2=info";

/// Starts the logs of the process, panics included, and its [metrics](crate::metrics). `RUST_LOG` has levels, such as
/// `info,sqlx=debug` (default `info`). `LOG_FORMAT=json|text` sets the format, and `METRICS=emf|off` turns metrics on or off; they are on where logs are JSON.
/// Call it first, because the duration of Init is measured from here.
pub fn init() {
    let metrics = metrics::is_wanted(&std::env::var("METRICS").unwrap_or_default(), wants_json());
    if metrics {
        metrics::init();
    }
    let levels = log_levels(&std::env::var("RUST_LOG").unwrap_or_default());
    let logs = if wants_json() {
        tracing_subscriber::fmt::layer()
            .json()
            .flatten_event(true)
            .with_current_span(true)
            .with_span_list(false)
            .boxed()
    } else {
        tracing_subscriber::fmt::layer()
            .with_ansi(false)
            .with_target(false)
            .with_writer(|| OneLine(io::stdout()))
            .boxed()
    };
    // Statements are counted whatever `RUST_LOG` is set to, so this layer has its own filter.
    let statements = metrics.then(|| {
        StatementCounter.with_filter(Targets::new().with_target(StatementCounter::TARGET, LevelFilter::DEBUG))
    });
    // A second call (tests start several functions in one process) keeps the first subscriber.
    let _ = tracing_subscriber::registry().with(logs.with_filter(levels)).with(statements).try_init();
    panic::set_hook(Box::new(|panic| {
        let message = panic.payload_as_str().unwrap_or("a panic without a message");
        let location = panic.location().map(ToString::to_string).unwrap_or_default();
        tracing::error!(panic.message = message, panic.location = location, "panicked");
    }));
}

/// Reads `RUST_LOG`. Malformed parts are left out.
fn log_levels(rust_log: &str) -> Targets {
    let rust_log = if rust_log.trim().is_empty() { "info" } else { rust_log };
    let parts = LIBRARY_LEVELS.split(',').chain(rust_log.split(',').map(str::trim));
    let valid: Vec<&str> = parts.filter(|part| !part.is_empty() && part.parse::<Targets>().is_ok()).collect();
    valid.join(",").parse().unwrap_or_default()
}

/// Returns the error with all its causes, for the log. The JSON of `tracing` would have the outermost error only.
pub fn error_chain(error: &dyn Error) -> impl Display {
    fmt::from_fn(move |formatter| {
        for (depth, error) in successors(Some(error), |&error| error.source()).enumerate() {
            let separator = if depth == 0 { "" } else { ": " };
            write!(formatter, "{separator}{error}")?;
        }
        Ok(())
    })
}

/// Starts a task that is part of the current request: its log lines carry the request's id, its metrics are added to those of the
/// request, and these are written after the task has ended, too.
pub fn spawn<F>(task: F) -> JoinHandle<F::Output>
where
    F: Future<Output: Send> + Send + 'static,
{
    tokio::spawn(metrics::scope(metrics::current(), task.in_current_span()))
}

/// Returns whether logs are JSON. `LAMBDA_TASK_ROOT` is set on Lambda and in containers of `sam local`, but not by `cargo lambda
/// watch`.
fn wants_json() -> bool {
    match std::env::var("LOG_FORMAT").as_deref() {
        Ok("json") => true,
        Ok("text") => false,
        _ => std::env::var_os("LAMBDA_TASK_ROOT").is_some(),
    }
}

/// Writes each event on one line, with control characters escaped, so that a value with a line break or a terminal command cannot
/// look like another event. JSON escapes them itself.
struct OneLine<W>(W);

impl<W: Write> Write for OneLine<W> {
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(event);
        let mut line = String::with_capacity(text.len() + 1);
        for character in text.trim_end_matches('\n').chars() {
            if character.is_control() { line.extend(character.escape_default()) } else { line.push(character) }
        }
        line.push('\n');
        self.0.write_all(line.as_bytes())?;
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

#[cfg(test)]
mod tests {
    use tracing::Level;

    use super::*;

    #[test]
    fn rust_log_sets_levels() {
        for (rust_log, target, level) in [
            ("", "ros", Level::INFO),
            (" ", "ros", Level::INFO),
            ("warn", "ros", Level::WARN),
            ("info, sqlx=debug", "sqlx::query", Level::DEBUG),
            ("info,,sqlx=loud", "sqlx::query", Level::INFO),
            ("trace", "aws_sigv4", Level::INFO),
            ("trace,aws_sigv4=trace", "aws_sigv4", Level::TRACE),
        ] {
            let levels = log_levels(rust_log);
            assert!(levels.would_enable(target, &level), "{rust_log}");
            let more = [Level::INFO, Level::DEBUG, Level::TRACE].into_iter().find(|more| *more > level);
            assert!(more.is_none_or(|more| !levels.would_enable(target, &more)), "{rust_log}");
        }
    }

    #[test]
    fn errors_are_logged_with_their_causes() {
        let error = crate::http::ApiError::Database(sqlx::Error::Io(io::Error::other("the cable is cut")));
        assert_eq!(
            error_chain(&error).to_string(),
            "the database failed: error communicating with database: the cable is cut: the cable is cut"
        );
    }

    #[test]
    fn an_event_is_always_one_line() {
        let mut written = Vec::new();
        OneLine(&mut written).write_all("a\nb\r\u{1b}[31mc\u{9b}\u{2708}\n".as_bytes()).unwrap();
        assert_eq!(String::from_utf8(written).unwrap(), "a\\nb\\r\\u{1b}[31mc\\u{9b}\u{2708}\n");
    }
}
