//! Writes metrics in CloudWatch's embedded metric format to the standard output.

use std::{
    borrow::Cow,
    io::Write,
    sync::{
        Mutex, OnceLock, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use metrique_writer_core::{Entry, EntryWriter, MetricFlags, Observation, Value, ValueWriter, format::Format};
use metrique_writer_format_emf::{Emf, MetricDefinition, MetricDirective};

use super::{BY_FUNCTION, FUNCTION, METRICS, MODEL, Metric, NAMESPACE, ROUTE, STATUS, request::Measurements};
use crate::telemetry;

/// The writer of the metrics of this process.
struct Writer {
    function: String,
    started: Instant,
    init: OnceLock<Duration>,
    has_begun: AtomicBool,
    /// The formats of requests without and with a model, because a line must not name a dimension that it does not have.
    formats: [Mutex<Emf>; 2],
}

static WRITER: OnceLock<Writer> = OnceLock::new();

/// Returns whether the value of `METRICS` is valid.
pub(crate) fn is_valid(metrics: &str) -> bool {
    matches!(metrics.trim(), "" | "emf" | "off")
}

/// Returns whether to write metrics. Unless `METRICS` is set they are written where logs are JSON.
pub(crate) fn is_wanted(metrics: &str, logs_are_json: bool) -> bool {
    match metrics.trim() {
        "emf" => true,
        "off" => false,
        _ => logs_are_json,
    }
}

/// Begins to write metrics, at the start of the process.
pub(crate) fn init() {
    // A second call (tests start several functions in one process) changes nothing.
    let _ = WRITER.set(Writer {
        function: std::env::var("AWS_LAMBDA_FUNCTION_NAME").unwrap_or_else(|_| "local".to_owned()),
        started: Instant::now(),
        init: OnceLock::new(),
        has_begun: AtomicBool::new(false),
        formats: [format(&[ROUTE, STATUS]), format(&[ROUTE, STATUS, MODEL])].map(Mutex::new),
    });
}

/// Ends the time of Init.
pub(crate) fn ready() {
    if let Some(writer) = WRITER.get() {
        writer.init.get_or_init(|| writer.started.elapsed());
    }
}

/// Begins a request, if metrics are written. The first request gets the time of Init.
pub(super) fn begin_request() -> Option<Option<Duration>> {
    let writer = WRITER.get()?;
    let is_first = !writer.has_begun.swap(true, Ordering::Relaxed);
    Some(is_first.then(|| *writer.init.get_or_init(|| writer.started.elapsed())))
}

/// Returns the format of lines that have `dimensions` beside the function. All metrics of a line are stored by function; each further
/// set of dimensions is a directive for the metrics that have it.
fn format(dimensions: &[&str]) -> Emf {
    let by_function = BY_FUNCTION.iter().map(|set| set.iter().map(|&name| name.to_owned()).collect()).collect();
    let mut builder = Emf::builder(NAMESPACE.to_owned(), by_function);
    let mut sets: Vec<&[&str]> = Vec::new();
    for &set in METRICS.iter().flat_map(|metric| metric.dimension_sets()) {
        let is_more = !BY_FUNCTION.contains(&set) && !sets.contains(&set);
        if is_more && set.iter().all(|name| *name == FUNCTION || dimensions.contains(name)) {
            sets.push(set);
        }
    }
    for set in sets {
        let metrics = METRICS.iter().filter(|metric| metric.dimension_sets().contains(&set));
        let definition =
            |metric: &Metric| MetricDefinition { name: metric.name(), unit: metric.unit(), storage_resolution: None };
        builder = builder.directive(MetricDirective {
            dimensions: vec![set.to_vec()],
            metrics: metrics.map(definition).collect(),
            namespace: NAMESPACE,
        });
    }
    builder.build()
}

/// Writes the line of a request.
pub(super) fn write(measurements: &Measurements) {
    let Some(writer) = WRITER.get() else { return };
    // The request was cancelled before it had a response.
    if measurements.end.is_none() {
        return;
    }
    let format = &writer.formats[usize::from(measurements.model.is_some())];
    let mut line = Vec::with_capacity(2048);
    let formatted = format
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .format(&Line { function: &writer.function, measurements }, &mut line);
    if let Err(error) = formatted {
        tracing::error!(error = %telemetry::error_chain(&error), "the metrics of a request could not be written");
        return;
    }
    // One write, so that no other line gets in between. If standard output is closed, the line is lost.
    let _ = std::io::stdout().lock().write_all(&line);
}

/// The line of a request: dimensions, properties such as the status, and metrics.
struct Line<'m> {
    function: &'m str,
    measurements: &'m Measurements,
}

impl Entry for Line<'_> {
    fn write<'a>(&'a self, writer: &mut impl EntryWriter<'a>) {
        writer.value(FUNCTION, self.function);
        if let Some(end) = &self.measurements.end {
            writer.value(ROUTE, &end.route);
            writer.value(STATUS, &format!("{}xx", end.status.as_u16() / 100));
            writer.value("http.status", end.status.as_str());
            writer.value("outcome", end.outcome);
            writer.value("request.id", &*end.request_id);
            if let Some(trace_id) = &end.trace_id {
                writer.value("trace.id", trace_id);
            }
        }
        if let Some(model) = &self.measurements.model {
            writer.value(MODEL, model);
        }
        for metric in METRICS {
            if let Some(value) = self.measurements.values[*metric as usize] {
                writer.value(Cow::Borrowed(metric.name()), &Measured { metric: *metric, value });
            }
        }
    }
}

struct Measured {
    metric: Metric,
    value: f64,
}

impl Value for Measured {
    fn write(&self, writer: impl ValueWriter) {
        // Times are in milliseconds. Round them to microseconds.
        let value = (self.value * 1e3).round() / 1e3;
        writer.metric([Observation::Floating(value)], self.metric.unit(), [], MetricFlags::empty());
    }
}
