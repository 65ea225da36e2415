//! The description of the whole API, which each domain describes its part of.

use anyhow::{Result, anyhow};

/// What a reader should know before anything else.
const ABOUT: &str = "GenThrust's repair orders, its inventory, and an assistant that knows about both.

- Errors are always `{error, message, details?}`. Each operation lists its own. An unknown path is 404, and a method that \
  a path does not have is 405. On AWS the gateway may also send 429 (too many requests from all clients together), 502 \
  and 504, without `details`.
- Unknown query parameters and unknown members of a body are ignored; changes of stock reject the latter.
- A blank query parameter counts as absent. In changes of stock, chats and entries of the log, so does an optional member \
  of the body that is blank.
- Instants are in UTC with milliseconds. Days are shown as midnight in UTC. Amounts of money are strings with two decimals.
- Every request except health checks needs a bearer token of the configured issuer: otherwise 401, or 503 while the keys \
  of the issuer cannot be fetched. On a developer's machine no token is needed unless an issuer is configured.
- Users of the assistant and conversations compare byte for byte. With a token, the user is its subject as the issuer spells \
  it, and users in parameters and bodies are subjects, too. Without one, the name of a user is first put in lower case and in \
  Unicode's NFC.
- Every response has the header `x-request-id`, which is also in its log line, together with the `traceparent` of the \
  request. Pages of the configured origins may send and read all headers that this description names. API Gateway renames \
  `WWW-Authenticate` to `x-amzn-remapped-www-authenticate`.
- With `Idempotency-Key`, a POST, and any change of a repair order, can be sent again safely: it takes effect once, and for \
  24 hours the first response is sent again. That response may also be a refusal by the data (404, 409, 412): a new attempt \
  needs a new key. A request that was invalid (400, 401, 413, 415) or failed (5xx) is not saved, and the same key may be \
  sent again. Keys belong to their caller. The same key with another path or body is 422, and 409 while the first request \
  is still running. `POST /api/ai/chat` ignores the key.
- The `ETag` of a repair order, sent as `If-Match` with a change, prevents overwriting a version that the client has not \
  seen. Sent as `If-None-Match` with a GET, it saves the transfer of an unchanged response (304). The tag changes with \
  every change of the order, by other programs too, and when an overdue order becomes a day older.
- The same paths also work below `/.netlify/functions`, and below the base path of a custom domain, if one is configured.
- Bodies are at most 6 MB long, and not compressed. A byte order mark before the JSON is skipped.

## The legacy dashboard

With `LEGACY_DASHBOARD=true`, the paths below `/.netlify/functions/api` answer in the shapes that version 2.6 of the dashboard \
expects. The paths below `/api` never differ.

- `GET …/inventory/search` answers a bare list of the `results`. It is empty (200) if nothing is found, and for a blank \
  `partNumber` or a text that is none.
- Amounts of orders and of the dashboard's figures are numbers: `estimatedCost`, `finalCost`, `cost` of a status, \
  `totalValue`, `totalEstimatedValue`, `totalFinalValue`. The history of an order shows amounts as text.
- In `POST …/ros` a missing, blank or null `currentStatus` is `TO SEND`, and `dateMade` and `currentStatusDate` are today. \
  `nextDateToUpdate` is the day on which someone should ask again about that status: for `TO SEND` in three days.
- In changes of an order a blank date or amount (`\"\"`) is null, which clears it; in a new status it counts as absent.
- `POST …/archive` for an order that has the archive status already answers 200 with the order, which stays as it is.
- Without an issuer, a deployed service needs no token but the header `X-Proxy-Secret`, which the CDN in front of the \
  dashboard adds. Such callers are no administrators and have no entries in the log of the assistant.";

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
