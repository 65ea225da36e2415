//! The description of the whole API, which each domain describes its part of.

use anyhow::{Result, anyhow};

/// What a reader should know before anything else.
const ABOUT: &str = "GenThrust's repair orders, its inventory, and an assistant that knows about both.

- Errors are always `{error, message, details?}`. Besides those that are listed with each operation, a path that does not \
  exist is answered 404, and a method that a path does not take 405; and where the service is deployed, the gateway before \
  it may answer 429 (too many requests of everybody together), 502 and 504, without a `details`.
- Members of a body that are not listed are ignored; so are unknown query parameters.
- Instants are in UTC with milliseconds; days are shown as their midnight in UTC. Amounts of money are strings with two \
  decimals.
- Everything but the health of the service wants a bearer token of the configured issuer: without one 401, or 503 while \
  its keys cannot be had. On a developer's machine nobody is asked unless an issuer is configured.
- Every answer has the header `x-request-id`, which is in its log line, too.
- `Idempotency-Key` on a POST makes it safe to send again: one effect, and the first answer again for 24 hours. A \
  request that failed has changed nothing and leaves no trace of its key.
- `ETag` of a repair order, sent as `If-Match` with a change, keeps a client from overwriting what it has not seen; sent \
  as `If-None-Match` with a GET, it saves an answer that is there already.
- Bodies are at most 6 MB long.";

/// The description of all four functions: OpenAPI 3.1 as JSON, the same every time.
///
/// # Errors
/// When attributes contradict each other.
pub fn document() -> Result<String> {
    let description = ros::openapi().and(inventory::openapi()).and(ai::openapi()).and(ai_logs::openapi());
    let document =
        description.document("RO Tracker", env!("CARGO_PKG_VERSION"), ABOUT).map_err(|problems| anyhow!(problems))?;
    Ok(serde_json::to_string_pretty(&document)?)
}
