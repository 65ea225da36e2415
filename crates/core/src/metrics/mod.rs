//! What operators see of every request: counts and times in CloudWatch's embedded metric format, one line per request
//! ([`emf`]). What happens during a request is added here where it happens, and written when the request is over and
//! nothing can be added any more.

mod emf;
mod request;

pub(crate) use emf::{init, is_valid, is_wanted, ready};
use metrique_writer_core::{Unit, unit::NegativeScale};
pub(crate) use request::{End, Pause, PoolWait, Request, Statements, current, scope, sync_scope};
pub use request::{add_time, count, name_model};

/// The namespace of all metrics.
pub const NAMESPACE: &str = "RoTracker";

/// The function's name on AWS, which has the stage in it.
pub const FUNCTION: &str = "Function";
/// Method and path of the route that answered, such as `GET /api/ros/{id}`; `(none)` where there is no such route.
pub const ROUTE: &str = "Route";
/// The class of the answer's status: `2xx`, `3xx`, `4xx` or `5xx`.
pub const STATUS: &str = "Status";
/// The model that was asked, as clients call it.
pub const MODEL: &str = "Model";

const MILLISECONDS: Unit = Unit::Second(NegativeScale::Milli);
const COUNT: Unit = Unit::Count;

const BY_FUNCTION: &[&[&str]] = &[&[FUNCTION]];
const BY_ROUTE: &[&[&str]] = &[&[FUNCTION], &[FUNCTION, ROUTE, STATUS]];
const BY_MODEL: &[&[&str]] = &[&[FUNCTION], &[FUNCTION, MODEL]];

/// Declares the metrics once, so that their list is the one that is written.
macro_rules! metrics {
    ($($(#[$documentation:meta])* $name:ident: $unit:ident, $dimension_sets:ident;)*) => {
        /// A metric. Its name in CloudWatch is the variant's.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Metric { $($(#[$documentation])* $name,)* }

        /// All metrics that the functions write.
        pub const METRICS: &[Metric] = &[$(Metric::$name),*];

        impl Metric {
            /// Its name in CloudWatch.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$name => stringify!($name)),* }
            }

            /// Its unit, in CloudWatch's words.
            pub const fn unit(self) -> Unit {
                match self { $(Self::$name => $unit),* }
            }

            /// The sets of dimensions under which CloudWatch keeps it.
            pub const fn dimension_sets(self) -> &'static [&'static [&'static str]] {
                match self { $(Self::$name => $dimension_sets),* }
            }
        }
    };
}

metrics! {
    /// From a request's start to its last byte.
    Duration: MILLISECONDS, BY_ROUTE;
    /// 1 for an answer of status 5xx, else 0.
    Errors: COUNT, BY_FUNCTION;
    /// 1 for an answer that broke off after its first byte, else 0. A client that left broke nothing.
    BrokenAnswers: COUNT, BY_FUNCTION;
    /// 1 for the first request of an instance, else 0.
    ColdStarts: COUNT, BY_FUNCTION;
    /// From the process's start until it asked for its first request; with that request.
    InitDuration: MILLISECONDS, BY_FUNCTION;
    /// What a request waited for its statements, from sending each until its last row was read. While a list waits for
    /// its client, the clock stands. Only of requests that sent statements.
    DatabaseTime: MILLISECONDS, BY_FUNCTION;
    /// A request's statements, `BEGIN` and `COMMIT` among them, those that set up a connection not. This and the
    /// other `Database…` metrics: only of requests that asked the database.
    DatabaseStatements: COUNT, BY_FUNCTION;
    /// What a request waited for connections, opening and checking them included.
    DatabasePoolWait: MILLISECONDS, BY_FUNCTION;
    /// Connections opened during the request: after Init, those that were lost.
    DatabaseConnects: COUNT, BY_FUNCTION;
    /// Attempts beyond the first, because of contention or lost connections.
    DatabaseRetries: COUNT, BY_FUNCTION;
    /// 1 for a request that failed since the database could not be reached or stayed busy, else 0.
    DatabaseUnavailable: COUNT, BY_FUNCTION;
    /// 1 for a request that the rate limit let through. Every decision counts for one of the four `RateLimit…` metrics
    /// and is 0 for the others.
    RateLimitAdmitted: COUNT, BY_FUNCTION;
    /// 1 for a request that the rate limit refused.
    RateLimitRefused: COUNT, BY_FUNCTION;
    /// 1 for a request that went on although nobody knows how often the user asked (`RATE_LIMIT_ON_FAILURE=allow`).
    RateLimitUnchecked: COUNT, BY_FUNCTION;
    /// 1 for a request that failed since nobody knows how often the user asked.
    RateLimitUnavailable: COUNT, BY_FUNCTION;
    /// What the decision took.
    RateLimitTime: MILLISECONDS, BY_FUNCTION;
    /// From the first try to send a question until its answer began, all tries included; only of those that began. An
    /// answer that is not streamed begins when it is complete.
    UpstreamTimeToFirstByte: MILLISECONDS, BY_FUNCTION;
    /// 1 for a question that the model's maker failed to answer whole, else 0. One that it found wrong or too large is
    /// not its failure.
    UpstreamErrors: COUNT, BY_FUNCTION;
    /// 1 for a question that the model's maker refused because of our key, account or model, else 0.
    UpstreamMisconfigured: COUNT, BY_FUNCTION;
    /// Tokens read, neither found in the cache nor written to it. Tokens: of every exchange of which they are known.
    InputTokens: COUNT, BY_MODEL;
    /// Tokens written.
    OutputTokens: COUNT, BY_MODEL;
    /// Tokens read from the cache.
    CacheReadTokens: COUNT, BY_MODEL;
    /// Tokens read and written to the cache.
    CacheWriteTokens: COUNT, BY_MODEL;
    /// 1 for an exchange that could not be entered in the log, 0 for one that was.
    JournalFailures: COUNT, BY_FUNCTION;
}
