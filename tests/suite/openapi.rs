//! The committed OpenAPI description equals the generated one. `tests/contract/run` checks that the functions conform
//! to it.

use rotracker_cli::openapi;
use rotracker_tests::emulator::workspace;
use serde_json::Value;

#[test]
fn the_committed_description_is_current() {
    let committed = std::fs::read_to_string(workspace().join("infra/openapi.json")).unwrap();
    let described = openapi::document().unwrap();
    // Compare parsed values: the order of members depends on the features of serde_json.
    let [committed, described] = [committed, described].map(|text| serde_json::from_str::<Value>(&text).unwrap());
    assert!(
        committed == described,
        "infra/openapi.json is not what the code describes. Look at the difference, and commit it if it is meant: \
         cargo run --bin rotracker -- openapi > infra/openapi.json"
    );
}

#[test]
fn every_operation_is_described() {
    let document: Value = serde_json::from_str(&openapi::document().unwrap()).unwrap();
    let paths = document["paths"].as_object().unwrap();
    let mut count = 0;
    for (path, operations) in paths {
        assert!(path == "/health" || path.starts_with("/api/"), "{path}");
        for (method, operation) in operations.as_object().unwrap() {
            count += 1;
            let name = format!("{method} {path}");
            assert!(
                operation["summary"].as_str().is_some_and(|summary| summary.ends_with('.')),
                "{name} has no summary"
            );
            assert!(operation["operationId"].is_string(), "{name} has no name");
            for parameter in operation["parameters"].as_array().into_iter().flatten() {
                assert!(parameter["description"].is_string(), "{name}: {parameter} is not described");
            }
            let responses = operation["responses"].as_object().unwrap();
            assert!(responses.keys().any(|status| status.starts_with('2')), "{name} never succeeds");
            let refers_to_error =
                |status: &str| responses.get(status).is_some_and(|response| response["$ref"].is_string());
            assert!(refers_to_error("500"), "{name} never fails");
            assert_eq!(
                refers_to_error("401"),
                !path.ends_with("/health") || path.contains("/ai/"),
                "{name}: whom it asks"
            );
            assert_eq!(operation["security"].is_null(), refers_to_error("401"), "{name}: whom it asks");
            for (status, response) in responses.iter().filter(|(_, response)| response["$ref"].is_null()) {
                assert!(response["content"].is_object(), "{name}: the body of {status} is not described");
                assert!(response["headers"]["x-request-id"].is_object(), "{name}: {status} has no id");
            }
            if operation["requestBody"].is_object() {
                assert!(["400", "413", "415"].iter().all(|status| refers_to_error(status)), "{name} takes any body");
            }
        }
    }
    assert!(count >= 36, "{count} operations");
}

#[test]
fn every_change_of_stock_takes_an_idempotency_key_and_no_unknown_field() {
    let document: Value = serde_json::from_str(&openapi::document().unwrap()).unwrap();
    let mut count = 0;
    for (path, operations) in document["paths"].as_object().unwrap() {
        let Some(operation) = operations.get("post").filter(|_| path.starts_with("/api/inventory/")) else { continue };
        count += 1;
        let parameters = operation["parameters"].as_array().unwrap();
        assert!(parameters.iter().any(|parameter| parameter["name"] == "Idempotency-Key"), "{path}");
        let body = operation["requestBody"]["content"]["application/json"]["schema"]["$ref"].as_str().unwrap();
        let schema = document.pointer(body.trim_start_matches('#')).unwrap();
        assert_eq!(schema["additionalProperties"], false, "{path}: {schema}");
    }
    assert_eq!(count, 3);
}

#[test]
fn descriptions_are_self_contained() {
    fn check(value: &Value) {
        match value {
            Value::String(text) => {
                let text = text.to_lowercase();
                for word in ["design", "specification", "[`"] {
                    assert!(!text.contains(word), "{text}");
                }
            }
            Value::Array(items) => items.iter().for_each(check),
            Value::Object(members) => members.values().for_each(check),
            _ => {}
        }
    }
    check(&serde_json::from_str(&openapi::document().unwrap()).unwrap());
}
