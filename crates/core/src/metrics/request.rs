//! The metrics of one request, wherever its work is done: in the handler, in the body of its response, in its tasks.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use http::StatusCode;
use tracing::{
    Event, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{Layer, layer::Context};

use super::{METRICS, Metric, emf};

tokio::task_local! {
    static CURRENT: Option<Arc<RequestMetrics>>;
}

/// The metrics of a request. They are written when the last part of its work drops them. A client that disconnects does not end
/// that work.
pub(crate) struct RequestMetrics {
    measurements: Mutex<Measurements>,
}

/// The measurements so far.
#[derive(Default)]
pub(super) struct Measurements {
    pub(super) values: [Option<f64>; METRICS.len()],
    pub(super) model: Option<String>,
    pub(super) end: Option<RequestEnd>,
    statement_time: Duration,
    client_wait: Duration,
    waits_for_connection: bool,
}

/// The end of a request.
pub(crate) struct RequestEnd {
    /// The method and path of the route, or `(none)`.
    pub(crate) route: String,
    pub(crate) status: StatusCode,
    /// The time from the start of the request to its last byte.
    pub(crate) duration: Duration,
    /// The word that the log line has, too.
    pub(crate) outcome: &'static str,
    /// Whether the response failed after its first byte.
    pub(crate) is_broken: bool,
    pub(crate) request_id: Arc<str>,
    pub(crate) trace_id: Option<String>,
}

impl Measurements {
    fn add(&mut self, metric: Metric, amount: f64) {
        *self.values[metric as usize].get_or_insert(0.0) += amount;
    }

    fn add_time(&mut self, metric: Metric, time: Duration) {
        self.add(metric, time.as_secs_f64() * 1e3);
    }

    fn is_known(&self, metric: Metric) -> bool {
        self.values[metric as usize].is_some()
    }
}

impl RequestMetrics {
    /// Begins the metrics of a request; `None` where no metrics are written.
    pub(crate) fn begin() -> Option<Arc<Self>> {
        let mut measurements = Measurements::default();
        let init = emf::begin_request()?;
        measurements.add(Metric::ColdStarts, f64::from(init.is_some()));
        if let Some(init) = init {
            measurements.add_time(Metric::InitDuration, init);
        }
        Some(Arc::new(Self { measurements: Mutex::new(measurements) }))
    }

    /// Adds the end of the request. Its tasks may still add to the metrics.
    pub(crate) fn end(&self, end: RequestEnd) {
        let mut measurements = self.measurements();
        measurements.add_time(Metric::Duration, end.duration);
        measurements.add(Metric::Errors, f64::from(end.status.is_server_error()));
        measurements.add(Metric::BrokenAnswers, f64::from(end.is_broken));
        measurements.end = Some(end);
    }

    fn measurements(&self) -> MutexGuard<'_, Measurements> {
        self.measurements.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for RequestMetrics {
    fn drop(&mut self) {
        let measurements = self.measurements.get_mut().unwrap_or_else(PoisonError::into_inner);
        if measurements.values[Metric::DatabaseStatements as usize].is_some_and(|statements| statements > 0.0) {
            let time = measurements.statement_time.saturating_sub(measurements.client_wait);
            measurements.add_time(Metric::DatabaseTime, time);
        }
        emf::write(measurements);
    }
}

/// Returns the metrics of the current request.
pub(crate) fn current() -> Option<Arc<RequestMetrics>> {
    CURRENT.try_with(Clone::clone).ok().flatten()
}

/// Runs `future` as part of `request`.
pub(crate) fn scope<F: Future>(request: Option<Arc<RequestMetrics>>, future: F) -> impl Future<Output = F::Output> {
    CURRENT.scope(request, future)
}

/// Runs `poll` as part of `request`.
pub(crate) fn sync_scope<T>(request: Option<Arc<RequestMetrics>>, poll: impl FnOnce() -> T) -> T {
    CURRENT.sync_scope(request, poll)
}

fn with_current(change: impl FnOnce(&mut Measurements)) {
    let _ = CURRENT.try_with(|request| {
        if let Some(request) = request {
            change(&mut request.measurements());
        }
    });
}

/// Adds `amount` to a count of the current request. An amount of 0 records 0 explicitly.
pub fn count(metric: Metric, amount: u64) {
    with_current(|measurements| measurements.add(metric, amount as f64));
}

/// Adds `time` to a time of the current request.
pub fn add_time(metric: Metric, time: Duration) {
    with_current(|measurements| measurements.add_time(metric, time));
}

/// Sets the model of the current request, whose tokens are counted.
pub fn name_model(model: &str) {
    with_current(|measurements| measurements.model = Some(model.to_owned()));
}

/// The current request waits for a connection of the pool until this is dropped.
pub(crate) struct PoolWait {
    started: Instant,
}

impl PoolWait {
    pub(crate) fn begin() -> Self {
        with_current(|measurements| {
            measurements.waits_for_connection = true;
            for metric in [
                Metric::DatabaseStatements,
                Metric::DatabaseConnects,
                Metric::DatabaseRetries,
                Metric::DatabaseUnavailable,
            ] {
                measurements.add(metric, 0.0);
            }
        });
        Self { started: Instant::now() }
    }
}

impl Drop for PoolWait {
    fn drop(&mut self) {
        with_current(|measurements| {
            measurements.waits_for_connection = false;
            measurements.add_time(Metric::DatabasePoolWait, self.started.elapsed());
        });
    }
}

/// The current request waits for its client until this is dropped. That time does not count as time of the statement.
pub(crate) struct ClientWait {
    request: Option<Arc<RequestMetrics>>,
    started: Instant,
}

impl ClientWait {
    pub(crate) fn begin() -> Self {
        Self { request: current(), started: Instant::now() }
    }
}

impl Drop for ClientWait {
    fn drop(&mut self) {
        if let Some(request) = &self.request {
            request.measurements().client_wait += self.started.elapsed();
        }
    }
}

/// Counts statements. sqlx logs an event for each one when its last row was read, in the task that sent it. No other place sees all of
/// them, including those of transactions and of streamed lists.
pub(crate) struct StatementCounter;

impl StatementCounter {
    /// The target of these events.
    pub(crate) const TARGET: &str = "sqlx::query";
}

impl<S: Subscriber> Layer<S> for StatementCounter {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut elapsed = Elapsed::default();
        event.record(&mut elapsed);
        with_current(|measurements| {
            // The statements that set up a connection are part of the wait for it.
            if !measurements.waits_for_connection && measurements.is_known(Metric::DatabaseStatements) {
                measurements.add(Metric::DatabaseStatements, 1.0);
                measurements.statement_time += elapsed.0;
            }
        });
    }
}

/// The time in an event.
#[derive(Default)]
struct Elapsed(Duration);

impl Visit for Elapsed {
    fn record_f64(&mut self, field: &Field, value: f64) {
        if field.name() == "elapsed_secs" {
            self.0 = Duration::try_from_secs_f64(value).unwrap_or_default();
        }
    }

    fn record_debug(&mut self, _: &Field, _: &dyn std::fmt::Debug) {}
}
