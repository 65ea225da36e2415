//! The check of a new version before clients reach it. A deployment invokes the version with the event `{"deploymentCheck": true}`,
//! and the function reports whether it works.
//!
//! No client can send this event: gateways wrap each request in an event of their own, of which the client's body is one member.

use std::pin::Pin;

use axum::{
    Router,
    body::{Body, to_bytes},
    extract::Request,
};
use futures_util::{StreamExt, future::join_all};
use lambda_http::tower::ServiceExt;
use serde::Serialize;
use serde_json::{Value, json};

use crate::http::Caller;

/// The longest body of an error that is read for its message.
const ERROR_LIMIT_BYTES: usize = 64 * 1024;

/// Returns whether `event`, which is that of no gateway, asks for the check. The event has no other members.
pub(super) fn is_requested(event: &str) -> bool {
    serde_json::from_str::<Value>(event).is_ok_and(|event| event == json!({ "deploymentCheck": true }))
}

/// The result of a check: the reason why something does not work.
pub type CheckResult = Result<(), String>;

type Check = Box<dyn Fn() -> Pin<Box<dyn Future<Output = CheckResult> + Send>> + Send + Sync>;

/// The checks of a function.
pub struct DeploymentCheck {
    function: &'static str,
    checks: Vec<(&'static str, Check)>,
}

/// The answer to the event. `ok` is false if any check failed. The function itself fails (`FunctionError`) only if it cannot
/// make this report, for example because it does not start.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    ok: bool,
    function: &'static str,
    checks: Vec<CheckReport>,
}

#[derive(Debug, Serialize)]
struct CheckReport {
    name: &'static str,
    ok: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

impl DeploymentCheck {
    /// Creates the checks of `function`; none yet.
    pub fn new(function: &'static str) -> Self {
        Self { function, checks: Vec::new() }
    }

    /// Adds a check that `GET target` of `routes` responds 200. `routes` are those without the layers around them, so the request
    /// needs no token. It is one of an administrator.
    #[must_use]
    pub fn get(self, name: &'static str, routes: &Router, target: &'static str) -> Self {
        let routes = routes.clone();
        self.check(name, move || get(routes.clone(), target))
    }

    /// Adds a check.
    #[must_use]
    pub fn check<F>(mut self, name: &'static str, check: impl Fn() -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = CheckResult> + Send + 'static,
    {
        self.checks.push((name, Box::new(move || Box::pin(check()))));
        self
    }

    /// Runs the checks side by side, and logs those that fail. While the database is down, each takes ten seconds.
    pub(super) async fn run(&self) -> Report {
        let checks = self.checks.iter().map(async |(name, check)| {
            let reason = check().await.err();
            if let Some(reason) = &reason {
                tracing::error!(check = name, reason, "the check of the deployment failed");
            }
            CheckReport { name, ok: reason.is_none(), reason }
        });
        let checks = join_all(checks).await;
        Report { ok: checks.iter().all(|check| check.ok), function: self.function, checks }
    }
}

async fn get(routes: Router, target: &'static str) -> CheckResult {
    let mut request = Request::new(Body::empty());
    *request.uri_mut() = http::Uri::from_static(target);
    request.extensions_mut().insert(Caller::unknown());
    let Ok(response) = routes.oneshot(request).await;
    let status = response.status();
    if status == http::StatusCode::OK {
        // Lists are read from the database while they are sent.
        let mut body = response.into_body().into_data_stream();
        while let Some(data) = body.next().await {
            data.map_err(|error| format!("GET {target} broke off: {error}"))?;
        }
        return Ok(());
    }
    let body = to_bytes(response.into_body(), ERROR_LIMIT_BYTES).await.unwrap_or_default();
    let error: Value = serde_json::from_slice(&body).unwrap_or_default();
    let message = error["message"].as_str().unwrap_or_default();
    Err(format!("GET {target} responds {}: {message}", status.as_u16()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_exact_event_asks_for_the_check() {
        assert!(is_requested(r#" {"deploymentCheck": true} "#));
        for event in [
            r#"{"deploymentCheck": false}"#,
            r#"{"deploymentCheck": "true"}"#,
            r#"{"deploymentCheck": true, "requestContext": {}}"#,
            r#"{"body": "{\"deploymentCheck\": true}"}"#,
            r#"{"deploymentcheck": true}"#,
            "[true]",
            "true",
            "",
        ] {
            assert!(!is_requested(event), "{event}");
        }
    }
}
