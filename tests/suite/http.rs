//! HTTP rules that apply to every path.

use std::{collections::BTreeSet, io::Read};

use app_core::{config::HttpConfig, http::with_layers, lambda::Delivery};
use axum::{Router, body::Body, routing::get};
use http::{Method, Request};
use http_body_util::BodyExt;
use rotracker_cli::openapi;
use rotracker_tests::{
    App, TestResponse,
    app::{http_config, new_order, path_of},
};
use serde_json::{Value, json};
use tower::ServiceExt;

#[tokio::test]
async fn every_failure_has_the_same_shape() {
    let app = App::start().await;
    let order = app.create("RO1").await;
    let path = path_of(&order);
    let json_type = "application/json";
    for (status, kind, method, path, content_type, body) in [
        (404, "Not found", "GET", "/", "", ""),
        (404, "Not found", "GET", "/api", "", ""),
        (404, "Not found", "GET", "/api/ross", "", ""),
        (404, "Not found", "GET", "/api/ros/1/2", "", ""),
        (404, "Not found", "POST", "/API/ros", json_type, "{}"),
        (405, "Method not allowed", "PUT", "/api/ros", json_type, "{}"),
        (405, "Method not allowed", "DELETE", "/api/ros", "", ""),
        (405, "Method not allowed", "POST", "/health", "", ""),
        (405, "Method not allowed", "POST", path.as_str(), json_type, "{}"),
        (400, "Validation error", "POST", "/api/ros", json_type, "{"),
        (400, "Validation error", "POST", "/api/ros", json_type, "[]"),
        (400, "Validation error", "POST", "/api/ros", json_type, ""),
        (400, "Validation error", "PATCH", path.as_str(), json_type, "{\"notes\":1}"),
        (415, "Unsupported media type", "POST", "/api/ros", "text/plain", "{}"),
        (415, "Unsupported media type", "PATCH", path.as_str(), "", "{}"),
        (
            409,
            "Conflict",
            "POST",
            "/api/ros",
            json_type,
            r#"{"roNumber":"RO1","shopName":"a","partDescription":"b","currentStatus":"c"}"#,
        ),
    ] {
        let mut request = Request::builder().method(method).uri(path);
        if !content_type.is_empty() {
            request = request.header("content-type", content_type);
        }
        let response = app.send(request.body(Body::from(body)).unwrap()).await;
        assert_eq!(response.header("content-type"), Some("application/json"));
        let response = response.expect(status);
        assert_eq!(response["error"], kind, "{method} {path}");
        assert!(response["message"].as_str().unwrap().ends_with(['.', 'd']), "{response}");
    }
    assert_eq!(app.get(&path).await.expect_order(), order);
}

#[tokio::test]
async fn a_wrong_method_is_405_with_allow() {
    let app = App::start().await;
    let response = app.send_text(Method::PUT, "/api/ros", "").await;
    let mut allowed: Vec<&str> = response.header("allow").unwrap().split(',').map(str::trim).collect();
    allowed.sort_unstable();
    assert_eq!(allowed, ["GET", "HEAD", "POST"]);
}

#[tokio::test]
async fn a_body_over_6_mb_is_413() {
    let app = App::start().await;
    let padded = |length: usize| {
        let order = new_order(json!({ "padding": "" })).to_string();
        let padding = "x".repeat(length - order.len());
        order.replace("\"padding\":\"\"", &format!("\"padding\":\"{padding}\""))
    };
    let limit = 6 * 1024 * 1024;
    app.send_text(Method::POST, "/api/ros", padded(limit + 1)).await.expect_error(413);
    assert!(app.rows().await.is_empty());
    app.send_text(Method::POST, "/api/ros", padded(limit)).await.expect(201);
}

#[tokio::test]
async fn routes_work_under_both_prefixes() {
    let app = App::start().await;
    let order = app.create("RO1").await;
    let id = order["id"].as_str().unwrap();
    for route in ["/health", "/ros", "/ros/", "/ros/stats/dashboard", "/ros/by-number/RO1", &format!("/ros/{id}")] {
        let there = app.get(&format!("/.netlify/functions/api{route}")).await.expect(200);
        let here = app.get(&format!("/api{route}")).await.expect(200);
        if route != "/health" {
            assert_eq!(here, there, "{route}");
        }
    }
    let path = format!("/.netlify/functions/api/ros/{id}");
    app.patch(&path, &json!({ "notes": "x" })).await.expect(200);
    app.patch("/.netlify/functions/api/ros/by-number/RO1/status", &json!({ "status": "x" })).await.expect(200);
    app.post("/.netlify/functions/api/ros/by-number/RO1/archive", &json!({ "archiveStatus": "NET" })).await.expect(200);
    app.delete(&path).await.expect(200);
    app.post("/.netlify/functions/api/ros", &new_order(json!({}))).await.expect(201);
}

#[tokio::test]
async fn browsers_may_call_from_the_configured_origin_only() {
    let app = App::start().await;
    let ask = async |method: Method, origin: &str| {
        let request = Request::builder()
            .method(method)
            .uri("/api/ros")
            .header("origin", origin)
            .header("access-control-request-method", "PATCH")
            .header("access-control-request-headers", "content-type,authorization");
        app.send(request.body(Body::empty()).unwrap()).await
    };
    for method in [Method::GET, Method::OPTIONS] {
        let response = ask(method.clone(), "https://repairs.example").await;
        assert_eq!(response.status, 200);
        assert_eq!(response.header("access-control-allow-origin"), Some("https://repairs.example"));
        assert_eq!(response.header("access-control-allow-credentials"), Some("true"));
        let mut varies = response.headers.get_all("vary").iter();
        assert!(varies.any(|value| value.to_str().unwrap().contains("origin")));
        let response = ask(method, "https://evil.example").await;
        assert_eq!(response.header("access-control-allow-origin"), None);
    }
    let preflight = ask(Method::OPTIONS, "https://repairs.example").await;
    assert!(preflight.header("access-control-allow-methods").unwrap().contains("PATCH"));
    assert!(preflight.header("access-control-allow-headers").unwrap().contains("authorization"));
    // Error responses need CORS headers, too, or the dashboard cannot read them.
    let request = Request::get("/api/nothing").header("origin", "https://repairs.example").body(Body::empty()).unwrap();
    let response = app.send(request).await;
    assert_eq!(response.header("access-control-allow-origin"), Some("https://repairs.example"));
    assert!(response.header("access-control-expose-headers").unwrap().contains("x-request-id"));
}

/// The names in a list of headers, in lower case.
fn listed(response: &TestResponse, header: &str) -> BTreeSet<String> {
    response.header(header).unwrap().split(',').map(|name| name.trim().to_lowercase()).collect()
}

#[tokio::test]
async fn scripts_may_send_and_read_every_header_of_the_description() {
    let app = App::start().await;
    let document: Value = serde_json::from_str(&openapi::document().unwrap()).unwrap();
    let (mut sent, mut read) = (Vec::new(), Vec::new());
    let operations =
        document["paths"].as_object().unwrap().values().flat_map(|path| path.as_object().unwrap().values());
    for operation in operations {
        let parameters = operation["parameters"].as_array().into_iter().flatten();
        sent.extend(parameters.filter(|parameter| parameter["in"] == "header").map(|header| &header["name"]));
        read.extend(operation["responses"].as_object().unwrap().values());
    }
    read.extend(document["components"]["responses"].as_object().unwrap().values());
    let mut sent: BTreeSet<String> = sent.into_iter().map(|name| name.as_str().unwrap().to_lowercase()).collect();
    let read =
        read.into_iter().filter_map(|response| response["headers"].as_object()).flat_map(|headers| headers.keys());
    let mut read: BTreeSet<String> = read.map(|name| name.to_lowercase()).collect();
    for (names, known) in
        [(&sent, "if-match"), (&sent, "idempotency-key"), (&read, "etag"), (&read, "x-ratelimit-reset")]
    {
        assert!(names.contains(known), "{known} is not found: {names:?}");
    }
    // Headers that the description has in words only.
    sent.extend(
        ["accept", "authorization", "content-type", "traceparent", "tracestate", "x-request-id"].map(str::to_owned),
    );
    read.extend(
        ["content-disposition", "link", "x-amzn-remapped-www-authenticate", "x-total-count"].map(str::to_owned),
    );

    let request = |method: Method| {
        let asked = sent.iter().cloned().collect::<Vec<_>>().join(",");
        let request = Request::builder().method(method).uri("/api/ros").header("origin", "https://repairs.example");
        let request = request.header("access-control-request-method", "POST");
        request.header("access-control-request-headers", asked).body(Body::empty()).unwrap()
    };
    let preflight = app.send(request(Method::OPTIONS)).await;
    assert_eq!(listed(&preflight, "access-control-allow-headers"), sent);
    let response = app.send(request(Method::GET)).await;
    assert_eq!(listed(&response, "access-control-expose-headers"), read);
}

#[tokio::test]
async fn routes_also_work_below_the_base_path() {
    let config = HttpConfig { base_path: "/ro".parse().unwrap(), ..http_config() };
    let routes =
        Router::new().route("/api/ros", get(async |uri: http::Uri| uri.to_string())).route("/health", get(async || ""));
    let router = with_layers(routes, &config, Delivery::Buffered);
    for (path, status) in [
        ("/ro/api/ros?limit=1", 200),
        ("/ro/api/ros/", 200),
        ("/ro/health", 200),
        ("/api/ros", 200),
        ("/ro", 404),
        ("/rods/api/ros", 404),
        ("/ro/ro/api/ros", 404),
    ] {
        let (parts, body) = ask(&router, path, "identity").await;
        assert_eq!(parts.status, status, "{path}");
        if path.ends_with("limit=1") {
            assert_eq!(body, b"/api/ros?limit=1");
        }
    }
}

#[tokio::test]
async fn a_byte_order_mark_before_the_body_is_skipped() {
    let app = App::start().await;
    let order = |number: &str| new_order(json!({ "roNumber": number })).to_string();
    let created = app.send_text(Method::POST, "/api/ros", format!("\u{feff}{}", order("RO1"))).await.expect(201);
    assert_eq!(created["roNumber"], "RO1");
    // It is none in another place.
    for sent in [format!("\u{feff}\u{feff}{}", order("RO2")), format!(" \u{feff}{}", order("RO2"))] {
        app.send_text(Method::POST, "/api/ros", sent).await.expect_error(400);
    }
}

#[tokio::test]
async fn an_encoded_body_is_415_naming_the_header() {
    let app = App::start().await;
    let order = new_order(json!({ "roNumber": "RO1" }));
    let send = async |encoding: &str| {
        app.send_with(Method::POST, "/api/ros", &[("content-encoding", encoding)], Some(&order)).await
    };
    for encoding in ["gzip", "br", "aws-chunked", "identity, gzip"] {
        let response = send(encoding).await;
        assert_eq!(response.header("accept-encoding"), Some("identity"), "{encoding}");
        let message = response.expect_error(415);
        assert!(message.contains("Content-Encoding"), "{encoding}: {message}");
    }
    assert!(app.rows().await.is_empty());
    send("Identity").await.expect(201);
}

#[tokio::test]
async fn blank_parameters_are_absent() {
    let app = App::start().await;
    let order = app.create("RO1").await;
    for query in ["?archiveStatus=", "?archiveStatus=%20&limit=&offset=+", "?limit&offset"] {
        assert_eq!(app.get(&format!("/api/ros{query}")).await.expect(200), json!([order]), "{query}");
    }
}

#[tokio::test]
async fn responses_are_compressed_as_accepted() {
    let app = App::start().await;
    for number in 0..20 {
        app.create(&format!("RO{number}")).await;
    }
    let plain = app.get("/api/ros").await;
    assert_eq!(plain.header("content-encoding"), None);
    let request = Request::get("/api/ros").header("accept-encoding", "br, gzip").body(Body::empty()).unwrap();
    let packed = app.send(request).await;
    assert_eq!(packed.header("content-encoding"), Some("gzip"));
    assert!(packed.bytes.len() * 4 < plain.bytes.len());
    let mut unpacked = Vec::new();
    flate2::read::GzDecoder::new(packed.bytes.as_slice()).read_to_end(&mut unpacked).unwrap();
    assert_eq!(unpacked, plain.bytes);
}

/// A router with handlers that panic or fail.
fn odd_router(delivery: Delivery) -> Router {
    let routes = Router::new()
        .route("/panic", get(async || -> String { panic!("a secret: hunter2") }))
        .route("/events", get(async || ([("content-type", "text/event-stream")], "data: x\n\n".repeat(100))))
        .route("/text", get(async || "x".repeat(10_000)));
    with_layers(routes, &http_config(), delivery)
}

async fn ask(router: &Router, path: &str, accepted: &str) -> (http::response::Parts, Vec<u8>) {
    let request =
        Request::get(path).header("accept-encoding", accepted).header("x-request-id", "mine").body(Body::empty());
    let (parts, body) = router.clone().oneshot(request.unwrap()).await.unwrap().into_parts();
    (parts, body.collect().await.unwrap().to_bytes().to_vec())
}

#[tokio::test]
async fn a_panic_is_500_without_details() {
    let router = odd_router(Delivery::Streaming);
    for _ in 0..3 {
        let (parts, body) = ask(&router, "/panic", "identity").await;
        assert_eq!(parts.status, 500);
        let body: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(body, json!({ "error": "Internal server error", "message": "An unexpected error occurred." }));
        assert!(parts.headers.contains_key("x-request-id"));
        assert_eq!(ask(&router, "/text", "identity").await.0.status, 200);
    }
}

#[tokio::test]
async fn event_streams_are_not_compressed() {
    for (delivery, path, compressed) in [
        (Delivery::Streaming, "/text", true),
        (Delivery::Streaming, "/events", false),
        (Delivery::Buffered, "/text", false),
        (Delivery::Buffered, "/events", false),
    ] {
        let (parts, _) = ask(&odd_router(delivery), path, "gzip").await;
        assert_eq!(parts.headers.contains_key("content-encoding"), compressed, "{delivery:?} {path}");
    }
}

#[tokio::test]
async fn every_response_has_a_request_id() {
    let router = odd_router(Delivery::Streaming);
    let mut ids = std::collections::HashSet::new();
    for path in ["/text", "/nothing", "/panic"] {
        let (parts, _) = ask(&router, path, "identity").await;
        ids.insert(parts.headers["x-request-id"].clone());
    }
    assert_eq!(ids.len(), 3);
    assert!(ids.iter().all(|id| id != "mine"));
}

#[tokio::test]
async fn database_errors_are_never_shown() {
    let app = App::start().await;
    let mut other = app.database.connect().await;
    rotracker_tests::database::execute(&mut other, "ALTER TABLE active DROP COLUMN NOTES").await;
    for path in ["/api/ros", "/api/ros/1", "/api/ros/by-number/RO1"] {
        let message = app.get(path).await.expect_error(500);
        assert_eq!(message, "An unexpected error occurred.", "{path}");
    }
    let message = app.post("/api/ros", &new_order(json!({}))).await.expect_error(500);
    assert_eq!(message, "An unexpected error occurred.");
}
