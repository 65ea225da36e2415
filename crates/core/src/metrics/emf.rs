//! Writes metrics in CloudWatch's embedded metric format to the standard output.

use std::{
    io::Write,
    sync::{
        OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use chrono_tz::Tz;
use serde_json::{Map, Value, json};

use super::{ENVIRONMENT, FUNCTION, METRICS, MODEL, Metric, NAMESPACE, ROUTE, STATUS, VERSION, request::Measurements};
use crate::clock::Clock;

/// The writer of the metrics of this process.
struct Writer {
    process: Process,
    started: Instant,
    init: OnceLock<Duration>,
    has_begun: AtomicBool,
    clock: Clock,
}

/// The dimensions that all metrics of a process share.
struct Process {
    function: String,
    version: String,
    environment: String,
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
    // CloudWatch accepts no empty dimension.
    let dimension =
        |variable| std::env::var(variable).ok().filter(|value| !value.is_empty()).unwrap_or("local".to_owned());
    let process = Process {
        function: dimension("AWS_LAMBDA_FUNCTION_NAME"),
        version: dimension("AWS_LAMBDA_FUNCTION_VERSION"),
        environment: dimension("APP_ENV"),
    };
    // A second call (tests start several functions in one process) changes nothing.
    let _ = WRITER.set(Writer {
        process,
        started: Instant::now(),
        init: OnceLock::new(),
        has_begun: AtomicBool::new(false),
        clock: Clock::system(Tz::UTC),
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

/// Writes the line of a request.
pub(super) fn write(measurements: &Measurements) {
    let Some(writer) = WRITER.get() else { return };
    // Without an end the request was cancelled before it had a response.
    let Some(line) = line(&writer.process, writer.clock.now().timestamp_millis(), measurements) else { return };
    // One write, so that no other line gets in between. If standard output is closed, the line is lost.
    let _ = std::io::stdout().lock().write_all(format!("{line}\n").as_bytes());
}

/// Returns the line of a request that has ended: dimensions, properties such as the status, and metrics.
fn line(process: &Process, timestamp: i64, measurements: &Measurements) -> Option<Value> {
    let end = measurements.end.as_ref()?;
    let mut line = Map::new();
    let mut add = |name: &str, value: Value| line.insert(name.to_owned(), value);
    add("_aws", json!({ "Timestamp": timestamp, "CloudWatchMetrics": directives(measurements) }));
    add(FUNCTION, json!(process.function));
    add(VERSION, json!(process.version));
    add(ENVIRONMENT, json!(process.environment));
    add(ROUTE, json!(end.route));
    add(STATUS, json!(format!("{}xx", end.status.as_u16() / 100)));
    add("http.status", json!(end.status.as_str()));
    add("outcome", json!(end.outcome));
    add("request.id", json!(&*end.request_id));
    if let Some(trace_id) = &end.trace_id {
        add("trace.id", json!(trace_id));
    }
    if let Some(model) = &measurements.model {
        add(MODEL, json!(model));
    }
    for (metric, value) in measured(measurements) {
        // Times are in milliseconds. Round them to microseconds.
        add(metric.name(), json!((value * 1e3).round() / 1e3));
    }
    Some(Value::Object(line))
}

/// Returns the metrics that the request has.
fn measured(measurements: &Measurements) -> impl Iterator<Item = (Metric, f64)> {
    METRICS.iter().filter_map(|&metric| Some((metric, measurements.values[metric as usize]?)))
}

/// Returns the directives, which tell CloudWatch under which dimensions to store which metrics. Each set of dimensions is a directive.
fn directives(measurements: &Measurements) -> Vec<Value> {
    let mut directives: Vec<(&[&str], Vec<Value>)> = Vec::new();
    for (metric, _) in measured(measurements) {
        let definition = json!({ "Name": metric.name(), "Unit": metric.unit().name() });
        for &set in metric.dimension_sets() {
            match directives.iter_mut().find(|(dimensions, _)| *dimensions == set) {
                Some((_, definitions)) => definitions.push(definition.clone()),
                None => directives.push((set, vec![definition.clone()])),
            }
        }
    }
    let directive =
        |(dimensions, metrics)| json!({ "Namespace": NAMESPACE, "Dimensions": [dimensions], "Metrics": metrics });
    directives.into_iter().map(directive).collect()
}
