//! The format of responses to Lambda.

use std::io::Read;

use http::Method;
use rotracker_tests::{
    App,
    gateway::{Call, Gateway},
    runtime_api::Outcome,
};
use serde_json::{Value, json};

use super::Function;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_response_is_prelude_eight_zeros_and_body() {
    let app = App::start().await;
    app.create("RO1").await;
    let ros = Function::start("ros", &app.database, &[]).await;
    for gateway in Gateway::ALL {
        let call = Call::get("/api/ros").header("origin", "https://repairs.example").header("accept-encoding", "gzip");
        let mut posted = ros.lambda.open(gateway, &call).await;
        let kind = posted.headers["content-type"].to_str().unwrap();
        assert_eq!(kind, "application/vnd.awslambda.http-integration-response");
        let prelude = posted.prelude().await;
        let members: Vec<&String> = prelude.as_object().unwrap().keys().collect();
        assert_eq!(members, ["cookies", "headers", "statusCode"]);
        assert_eq!((&prelude["statusCode"], &prelude["cookies"]), (&json!(200), &json!([])));
        // The format allows one string per header.
        for (name, value) in prelude["headers"].as_object().unwrap() {
            assert!(value.is_string(), "{name}: {value}");
        }
        let header = |name: &str| prelude["headers"][name].as_str().unwrap_or_default();
        assert_eq!((header("content-type"), header("content-encoding")), ("application/json", "gzip"));
        for varied in ["origin", "accept-encoding"] {
            assert!(header("vary").split(", ").any(|name| name == varied), "{prelude}");
        }
        let mut packed = Vec::new();
        while let Some(piece) = posted.next().await {
            packed.extend(piece);
        }
        let mut unpacked = Vec::new();
        flate2::read::GzDecoder::new(packed.as_slice()).read_to_end(&mut unpacked).unwrap();
        let plain = ros.lambda.call(gateway, &Call::get("/api/ros")).await;
        assert_eq!(plain.header("content-encoding"), None);
        assert_eq!(unpacked, plain.body);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn repeated_headers_are_joined_except_cookies() {
    let odd = Function::odd().await;
    for gateway in Gateway::ALL {
        let response =
            odd.lambda.call(gateway, &Call::get("/api/odd/headers").header("origin", "https://a.example")).await;
        assert_eq!(response.status(), 200);
        assert_eq!(response.prelude["cookies"], json!(["a=1; Path=/", "b=2; Expires=Fri, 15 Nov 2024 12:00:00 GMT"]));
        assert_eq!(response.header("set-cookie"), None);
        assert_eq!(response.header("link"), Some("</a>; rel=preload, </b>; rel=preload"));
        // The body may contain any bytes, including zeros.
        assert_eq!(response.body, (0..=255).chain([0; 16]).collect::<Vec<u8>>());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_empty_response_is_a_prelude() {
    let app = App::start().await;
    let ros = Function::start("ros", &app.database, &[]).await;
    for gateway in Gateway::ALL {
        let head = ros.lambda.call(gateway, &Call::new(Method::HEAD, "/api/ros")).await;
        assert_eq!((head.status(), head.body.len(), head.has_ended), (200, 0, true));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn under_sam_local_a_response_is_one_document() {
    let app = App::start().await;
    app.create("RO1").await;
    let ros = Function::start("ros", &app.database, &[("AWS_SAM_LOCAL", "true".to_owned())]).await;
    for gateway in Gateway::ALL {
        for (call, status) in [(Call::get("/api/ros"), 200), (Call::get("/api/ros/by-number/nothing"), 404)] {
            let call = call.header("accept-encoding", "gzip").header("origin", "https://repairs.example");
            let Outcome::Response(posted) = ros.lambda.invoke(&gateway.event(&call)).await else { panic!("an error") };
            let document = posted.read_document().await;
            assert_eq!((&document["statusCode"], &document["isBase64Encoded"]), (&json!(status), &json!(false)));
            let body: Value = serde_json::from_str(document["body"].as_str().unwrap()).unwrap();
            assert_eq!(body.pointer("/0/roNumber").is_some(), status == 200, "{document}");
            let header = |name: &str| match gateway {
                Gateway::RestApi => document["multiValueHeaders"][name][0].clone(),
                Gateway::HttpApi | Gateway::FunctionUrl => document["headers"][name].clone(),
            };
            assert_eq!(header("content-type"), "application/json", "{document}");
            assert_eq!(header("access-control-allow-origin"), "https://repairs.example", "{document}");
            assert!(header("x-request-id").is_string() && header("content-encoding").is_null(), "{document}");
        }
    }
}
