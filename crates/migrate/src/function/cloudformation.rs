//! Custom resources of CloudFormation. CloudFormation invokes the function and waits up to an hour for a document that the function
//! puts at a URL, so there is a response to every request, failures included.

use std::{future::Future, time::Duration};

use app_core::{outbound, telemetry};
use backon::{ConstantBuilder, Retryable};
use lambda_runtime::Error;
use reqwest::Client;
use serde_json::{Value, json};

use super::{applied, catching_panics};
use crate::migrations::{MigratedDatabase, summary};

/// The physical id of the resource, unless CloudFormation has another one. If it changed, CloudFormation would take the resource
/// for a new one and delete the old one.
const PHYSICAL_RESOURCE_ID: &str = "migrations";

/// The longest document that CloudFormation accepts, in bytes.
const DOCUMENT_LIMIT_BYTES: usize = 4096;

/// The response is sent in at most three attempts of three seconds.
const PUT_TIMEOUT: Duration = Duration::from_secs(3);
const PUT_RETRIES: usize = 2;
const PUT_RETRY_DELAY: Duration = Duration::from_millis(500);

/// A request of CloudFormation. Members that it lacks are empty.
#[derive(Debug)]
pub struct Request {
    /// `Create`, `Update` or `Delete`.
    request_type: String,
    /// The URL for the response. It is signed, so it is not logged.
    response_url: String,
    stack_id: String,
    request_id: String,
    logical_resource_id: String,
    physical_resource_id: String,
}

impl Request {
    /// Reads the request. It has a URL for the response; otherwise the event is not CloudFormation's.
    pub fn parse(event: &Value) -> Option<Self> {
        let member = |name: &str| event.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        let response_url = member("ResponseURL");
        if response_url.is_empty() {
            return None;
        }
        Some(Self {
            request_type: member("RequestType"),
            response_url,
            stack_id: member("StackId"),
            request_id: member("RequestId"),
            logical_resource_id: member("LogicalResourceId"),
            physical_resource_id: member("PhysicalResourceId"),
        })
    }

    /// Returns the document of the response to this request.
    fn response(&self, outcome: &Outcome) -> Value {
        let physical_resource_id = match &*self.physical_resource_id {
            "" => PHYSICAL_RESOURCE_ID,
            id => id,
        };
        let mut response = json!({
            "Status": if outcome.error.is_none() { "SUCCESS" } else { "FAILED" },
            "PhysicalResourceId": physical_resource_id,
            "StackId": self.stack_id,
            "RequestId": self.request_id,
            "LogicalResourceId": self.logical_resource_id,
        });
        match &outcome.error {
            Some(reason) => response["Reason"] = json!(shortened(reason, &response)),
            None => {
                response["Reason"] = json!(outcome.summary);
                response["Data"] = json!({ "Applied": outcome.applied, "Summary": outcome.summary });
            }
        }
        response
    }
}

/// The outcome of a request.
struct Outcome {
    applied: usize,
    summary: String,
    error: Option<String>,
}

impl Outcome {
    fn of(migrated: &[MigratedDatabase]) -> Self {
        Self { applied: applied(migrated), summary: summary(migrated), error: None }
    }

    fn nothing_done(summary: &str) -> Self {
        Self { applied: 0, summary: summary.to_owned(), error: None }
    }

    fn failed(error: String) -> Self {
        Self { applied: 0, summary: String::new(), error: Some(error) }
    }
}

/// Migrates with `migrate`, unless the resource is deleted, and sends the response to CloudFormation. Returns the response.
///
/// # Errors
/// When the response cannot be sent.
pub async fn respond(
    request: &Request,
    migrate: impl Future<Output = Result<Vec<MigratedDatabase>, String>>,
) -> Result<Value, Error> {
    let outcome = match &*request.request_type {
        "Create" | "Update" => match catching_panics(migrate).await {
            Ok(migrated) => Outcome::of(&migrated),
            Err(error) => Outcome::failed(error),
        },
        "Delete" => Outcome::nothing_done("The databases stay as they are."),
        other => Outcome::failed(format!("{other:?} is no type of request; nothing was done")),
    };
    match &outcome.error {
        None => tracing::info!("{}", outcome.summary),
        Some(error) => tracing::error!(error, "the databases were not migrated"),
    }
    let response = request.response(&outcome);
    if let Err(error) = send(&request.response_url, &response).await {
        let error = telemetry::error_chain(&*error).to_string();
        tracing::error!(error, "CloudFormation does not get the response");
        return Err(format!("the response to CloudFormation could not be sent: {error}").into());
    }
    Ok(response)
}

/// Returns `reason`, cut so that `response` with it is not too long.
fn shortened(reason: &str, response: &Value) -> String {
    const CUT: &str = " … (the log of the function migrate has the rest)";
    let length_with = |reason: &str| {
        let mut response = response.clone();
        response["Reason"] = json!(reason);
        response.to_string().len()
    };
    let mut shortened = reason.to_owned();
    let mut kept = reason.len();
    while length_with(&shortened) > DOCUMENT_LIMIT_BYTES && kept > 0 {
        // A character takes up to six bytes for each of its own, as `\u0001` does.
        let excess = (length_with(&shortened) - DOCUMENT_LIMIT_BYTES).div_ceil(6);
        kept = reason.floor_char_boundary(kept.saturating_sub(excess));
        shortened = format!("{}{CUT}", &reason[..kept]);
    }
    shortened
}

/// Puts the response at the URL, whose signature is for a request without a `Content-Type`.
async fn send(url: &str, response: &Value) -> Result<(), Error> {
    let http: Client = outbound::client_builder()?.timeout(PUT_TIMEOUT).build()?;
    let document = response.to_string();
    let put = || async {
        let response = http.put(url).body(document.clone()).send().await;
        response.and_then(reqwest::Response::error_for_status).map_err(reqwest::Error::without_url)
    };
    let pauses = ConstantBuilder::new().with_delay(PUT_RETRY_DELAY).with_max_times(PUT_RETRIES);
    put.retry(pauses).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request() -> Request {
        let url = "https://bucket.example/response";
        Request::parse(&json!({ "RequestType": "Create", "ResponseURL": url, "StackId": "s", "RequestId": 1 })).unwrap()
    }

    #[test]
    fn a_long_reason_is_cut_to_the_limit_of_the_document() {
        for character in ["x", "\n", "é", "\u{1}"] {
            let outcome = Outcome::failed(character.repeat(10_000));
            let response = request().response(&outcome);
            let length = response.to_string().len();
            assert!(length <= DOCUMENT_LIMIT_BYTES, "{length}");
            let reason = response["Reason"].as_str().unwrap();
            assert!(reason.starts_with(&character.repeat(500)) && reason.ends_with("has the rest)"), "{reason}");
        }
        let response = request().response(&Outcome::failed("short".to_owned()));
        assert_eq!(response["Reason"], "short");
    }

    #[test]
    fn the_physical_id_never_changes() {
        let mut request = request();
        let outcome = Outcome::nothing_done("");
        assert_eq!(request.response(&outcome)["PhysicalResourceId"], PHYSICAL_RESOURCE_ID);
        request.physical_resource_id = "an older one".to_owned();
        assert_eq!(request.response(&outcome)["PhysicalResourceId"], "an older one");
    }
}
