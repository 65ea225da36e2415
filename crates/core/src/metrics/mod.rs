//! Metrics of every request, written as one line of CloudWatch's embedded metric format ([`emf`]). Code adds to the metrics of the
//! current request where something happens; they are written when the request and all its tasks have ended.

mod emf;
mod request;

pub(crate) use emf::{init, is_valid, is_wanted, ready};
pub(crate) use request::{
    ClientWait, PoolWait, RequestEnd, RequestMetrics, StatementCounter, current, scope, sync_scope,
};
pub use request::{add_time, count, name_model};

/// The namespace of all metrics.
pub const NAMESPACE: &str = "RoTracker";

/// The name of the function on AWS, which includes the stage.
pub const FUNCTION: &str = "Function";
/// The version of the function, a number.
pub const VERSION: &str = "Version";
/// The value of `APP_ENV`, which tells the stages apart.
pub const ENVIRONMENT: &str = "Environment";
/// The property with the method and path of the matched route, such as `GET /api/ros/{id}`, or `(none)`.
pub(crate) const ROUTE: &str = "Route";
/// The property with the class of the status: `2xx`, `3xx`, `4xx` or `5xx`.
pub(crate) const STATUS: &str = "Status";
/// The property with the model's name in requests of clients.
pub(crate) const MODEL: &str = "Model";

/// The unit of a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    Milliseconds,
    Count,
}

impl Unit {
    /// Returns the name in CloudWatch.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Milliseconds => "Milliseconds",
            Self::Count => "Count",
        }
    }
}

const MILLISECONDS: Unit = Unit::Milliseconds;
const COUNT: Unit = Unit::Count;

// CloudWatch bills each metric under each value of its dimensions. So it stores only those that alarms watch.
const BY_ENVIRONMENT: &[&[&str]] = &[&[ENVIRONMENT]];
const BY_FUNCTION: &[&[&str]] = &[&[FUNCTION]];
const BY_FUNCTION_AND_VERSION: &[&[&str]] = &[&[FUNCTION], &[FUNCTION, VERSION]];
/// A number in the log line, for queries, and no metric in CloudWatch.
const IN_LOG_ONLY: &[&[&str]] = &[];

/// Declares the metrics with their units and dimensions in one list.
macro_rules! metrics {
    ($($(#[$documentation:meta])* $name:ident: $unit:ident, $dimension_sets:ident;)*) => {
        /// A metric. Its name in CloudWatch is that of the variant.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Metric { $($(#[$documentation])* $name,)* }

        /// All metrics that the functions write.
        pub const METRICS: &[Metric] = &[$(Metric::$name),*];

        impl Metric {
            /// Returns the name in CloudWatch.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$name => stringify!($name)),* }
            }

            /// Returns the unit.
            pub const fn unit(self) -> Unit {
                match self { $(Self::$name => $unit),* }
            }

            /// Returns the sets of dimensions under which CloudWatch stores it; none if it is only in the log.
            pub const fn dimension_sets(self) -> &'static [&'static [&'static str]] {
                match self { $(Self::$name => $dimension_sets),* }
            }
        }
    };
}

metrics! {
    /// The time from the start of the request to the last byte of the response.
    Duration: MILLISECONDS, BY_FUNCTION;
    /// 1 for a response with status 5xx, else 0.
    Errors: COUNT, BY_FUNCTION_AND_VERSION;
    /// 1 for a response that failed after its first byte, else 0. A client that disconnects is no failure.
    BrokenAnswers: COUNT, BY_ENVIRONMENT;
    /// 1 for the first request of an instance, else 0.
    ColdStarts: COUNT, IN_LOG_ONLY;
    /// The time from the start of the process until it was ready for its first request, on that request.
    InitDuration: MILLISECONDS, IN_LOG_ONLY;
    /// The time of the statements of the request, from sending each until its last row was read, without the time that a list
    /// waits for a slow client. Only of requests with statements.
    DatabaseTime: MILLISECONDS, IN_LOG_ONLY;
    /// The number of statements, including `BEGIN` and `COMMIT` but not those that set up a connection. This and the other
    /// `Database…` metrics are written only for requests that use the database.
    DatabaseStatements: COUNT, IN_LOG_ONLY;
    /// The time of waiting for a connection, including opening and pinging it.
    DatabasePoolWait: MILLISECONDS, BY_ENVIRONMENT;
    /// The number of connections opened during the request.
    DatabaseConnects: COUNT, IN_LOG_ONLY;
    /// The number of attempts after the first, because of contention or lost connections.
    DatabaseRetries: COUNT, IN_LOG_ONLY;
    /// 1 for a request that failed because the database could not be reached or stayed busy, else 0.
    DatabaseUnavailable: COUNT, BY_ENVIRONMENT;
    /// 1 for a request that the rate limit admitted, also if the user's tokens are used up. Every decision is 1 for one of these four
    /// metrics and 0 for the others.
    RateLimitAdmitted: COUNT, IN_LOG_ONLY;
    /// 1 for a request that the rate limit refused.
    RateLimitRefused: COUNT, IN_LOG_ONLY;
    /// 1 for a request whose rate or tokens could not be checked, and that did not fail for that (`RATE_LIMIT_ON_FAILURE=allow`).
    RateLimitUnchecked: COUNT, BY_FUNCTION;
    /// 1 for a request that failed because its rate or tokens could not be checked.
    RateLimitUnavailable: COUNT, BY_FUNCTION;
    /// 1 for a request that was refused because the user's tokens of the day are used up, else 0.
    TokenLimitRefused: COUNT, IN_LOG_ONLY;
    /// The time of the decision.
    RateLimitTime: MILLISECONDS, IN_LOG_ONLY;
    /// The time from the first attempt of a request to Anthropic until the response began. A response that is not streamed begins
    /// when the response is complete.
    UpstreamTimeToFirstByte: MILLISECONDS, IN_LOG_ONLY;
    /// 1 for a request that Anthropic failed to answer completely, else 0. A request that it rejects as invalid is no failure.
    UpstreamErrors: COUNT, BY_FUNCTION;
    /// 1 for a request that Anthropic rejected because of our key, account or model, else 0.
    UpstreamMisconfigured: COUNT, BY_FUNCTION;
    /// The input tokens that were neither read from the prompt cache nor written to it.
    InputTokens: COUNT, BY_FUNCTION;
    /// The output tokens.
    OutputTokens: COUNT, BY_FUNCTION;
    /// The input tokens read from the prompt cache.
    CacheReadTokens: COUNT, BY_FUNCTION;
    /// The input tokens written to the prompt cache.
    CacheWriteTokens: COUNT, BY_FUNCTION;
    /// 1 for an exchange that could not be logged, 0 for one that was.
    JournalFailures: COUNT, BY_FUNCTION;
}
