//! What is measured of one request, wherever its work is done: in the handler, in its answer's body, in tasks of its
//! own.

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
    static CURRENT: Option<Arc<Request>>;
}

/// The measures of a request. They are written when the last part of its work lets go of them; a client that leaves
/// does not end that work.
pub(crate) struct Request {
    measures: Mutex<Measures>,
}

/// What was measured so far.
#[derive(Default)]
pub(super) struct Measures {
    pub(super) values: [Option<f64>; METRICS.len()],
    pub(super) model: Option<String>,
    pub(super) end: Option<End>,
    statement_time: Duration,
    paused: Duration,
    waits_for_connection: bool,
}

/// How a request ended.
pub(crate) struct End {
    /// Method and path of the route, or `(none)`.
    pub(crate) route: String,
    /// The answer's status.
    pub(crate) status: StatusCode,
    /// From the request's start to its last byte.
    pub(crate) duration: Duration,
    /// In the log's words.
    pub(crate) outcome: &'static str,
    /// Whether the answer broke off.
    pub(crate) is_broken: bool,
    /// The request's id.
    pub(crate) request_id: Arc<str>,
    /// The id of the trace that it is part of.
    pub(crate) trace_id: Option<String>,
}

impl Measures {
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

impl Request {
    /// A request that begins now; none where no metrics are written.
    pub(crate) fn begin() -> Option<Arc<Self>> {
        let mut measures = Measures::default();
        let init = emf::begin_request()?;
        measures.add(Metric::ColdStarts, f64::from(init.is_some()));
        if let Some(init) = init {
            measures.add_time(Metric::InitDuration, init);
        }
        Some(Arc::new(Self { measures: Mutex::new(measures) }))
    }

    /// Notes how it ended. Tasks of its own may still add to it.
    pub(crate) fn end(&self, end: End) {
        let mut measures = self.measures();
        measures.add_time(Metric::Duration, end.duration);
        measures.add(Metric::Errors, f64::from(end.status.is_server_error()));
        measures.add(Metric::BrokenAnswers, f64::from(end.is_broken));
        measures.end = Some(end);
    }

    fn measures(&self) -> MutexGuard<'_, Measures> {
        self.measures.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Request {
    fn drop(&mut self) {
        let measures = self.measures.get_mut().unwrap_or_else(PoisonError::into_inner);
        if measures.values[Metric::DatabaseStatements as usize].is_some_and(|statements| statements > 0.0) {
            let time = measures.statement_time.saturating_sub(measures.paused);
            measures.add_time(Metric::DatabaseTime, time);
        }
        emf::write(measures);
    }
}

/// The request that this work is part of.
pub(crate) fn current() -> Option<Arc<Request>> {
    CURRENT.try_with(Clone::clone).ok().flatten()
}

/// Makes `future` part of `request`.
pub(crate) fn scope<F: Future>(request: Option<Arc<Request>>, future: F) -> impl Future<Output = F::Output> {
    CURRENT.scope(request, future)
}

/// Makes what `poll` does part of `request`.
pub(crate) fn sync_scope<T>(request: Option<Arc<Request>>, poll: impl FnOnce() -> T) -> T {
    CURRENT.sync_scope(request, poll)
}

fn with_current(change: impl FnOnce(&mut Measures)) {
    let _ = CURRENT.try_with(|request| {
        if let Some(request) = request {
            change(&mut request.measures());
        }
    });
}

/// Adds `amount` to a count of the current request. 0 says that there was nothing to count, which is more than
/// silence.
pub fn count(metric: Metric, amount: u64) {
    with_current(|measures| measures.add(metric, amount as f64));
}

/// Adds to a time of the current request.
pub fn add_time(metric: Metric, time: Duration) {
    with_current(|measures| measures.add_time(metric, time));
}

/// Says which model the current request's tokens are of.
pub fn name_model(model: &str) {
    with_current(|measures| measures.model = Some(model.to_owned()));
}

/// The current request waits for a connection until this is dropped.
pub(crate) struct PoolWait {
    started: Instant,
}

impl PoolWait {
    /// Begins to wait.
    pub(crate) fn begin() -> Self {
        with_current(|measures| {
            measures.waits_for_connection = true;
            for metric in [
                Metric::DatabaseStatements,
                Metric::DatabaseConnects,
                Metric::DatabaseRetries,
                Metric::DatabaseUnavailable,
            ] {
                measures.add(metric, 0.0);
            }
        });
        Self { started: Instant::now() }
    }
}

impl Drop for PoolWait {
    fn drop(&mut self) {
        with_current(|measures| {
            measures.waits_for_connection = false;
            measures.add_time(Metric::DatabasePoolWait, self.started.elapsed());
        });
    }
}

/// The current request's only statement is not waited for until this is dropped: its client is.
pub(crate) struct Pause {
    request: Option<Arc<Request>>,
    started: Instant,
}

impl Pause {
    /// Begins the pause.
    pub(crate) fn begin() -> Self {
        Self { request: current(), started: Instant::now() }
    }
}

impl Drop for Pause {
    fn drop(&mut self) {
        if let Some(request) = &self.request {
            request.measures().paused += self.started.elapsed();
        }
    }
}

/// Notices every statement: sqlx tells of each in an event, when its last row was read, in the task that sent it. There
/// is no other place that all of them pass, those of transactions and of streamed lists included.
pub(crate) struct Statements;

impl Statements {
    /// The target of those events.
    pub(crate) const TARGET: &str = "sqlx::query";
}

impl<S: Subscriber> Layer<S> for Statements {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut elapsed = Elapsed::default();
        event.record(&mut elapsed);
        with_current(|measures| {
            // What sets a connection up is part of the wait for it.
            if !measures.waits_for_connection && measures.is_known(Metric::DatabaseStatements) {
                measures.add(Metric::DatabaseStatements, 1.0);
                measures.statement_time += elapsed.0;
            }
        });
    }
}

/// The time that an event tells of.
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
