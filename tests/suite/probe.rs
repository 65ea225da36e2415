//! The `probe` function: the real binary, against the real system and against one that fails.

use axum::{Router, body::Bytes, routing::post};
use http::StatusCode;
use rotracker_tests::{
    emulator::{Instance, binary, free_port},
    issuer::Issuer,
    runtime_api::{Outcome, RuntimeApi},
};
use serde_json::json;
use tokio::net::TcpListener;

use crate::smoke::{Service, Spoil, Spoiler, off};

const SECRET: &str = "0123456789abcdef0123456789abcdef";

/// Runs the check once and returns its result: nothing, or what failed.
async fn check(url: &str, variables: &[(&'static str, String)]) -> Result<(), String> {
    let lambda = RuntimeApi::start().await;
    let variables = [&[("PROBE_URL", url.to_owned())], variables].concat();
    let instance = Instance::start(&lambda.address, &binary("probe").await, &variables);
    let outcome = lambda.invoke(&json!({ "source": "aws.events" })).await;
    let log = instance.log().join("\n");
    assert!(!log.contains(SECRET) && !log.contains("client-secret"), "{log}");
    instance.stop().await;
    match outcome {
        Outcome::Response(posted) => {
            assert_eq!(posted.read_document().await, json!({ "ok": true }));
            Ok(())
        }
        Outcome::Error(error) => Err(error["errorMessage"].as_str().unwrap().to_owned()),
    }
}

/// Asserts that the check fails because of these paths only.
#[track_caller]
fn assert_failed(result: Result<(), String>, paths: &[&str]) {
    let error = result.unwrap_err();
    let failed: Vec<&str> = error.split("; ").map(|failure| failure.split([' ', '?', ':']).next().unwrap()).collect();
    assert_eq!(failed, paths, "{error}");
}

/// A token endpoint that answers as this issuer does.
async fn token_endpoint(token: Option<String>) -> String {
    let answer = async move |form: Bytes| {
        let form = String::from_utf8(form.to_vec()).unwrap();
        let expected =
            "grant_type=client_credentials&client_id=probe&client_secret=client-secret&scope=api%3A%2F%2Fro%2F.default";
        assert_eq!(form, expected);
        match token {
            Some(token) => (StatusCode::OK, json!({ "access_token": token, "expires_in": 3600 }).to_string()),
            None => (StatusCode::UNAUTHORIZED, json!({ "error": "invalid_client" }).to_string()),
        }
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/token", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, Router::new().route("/token", post(answer))).await });
    url
}

fn client_of(token_url: String) -> Vec<(&'static str, String)> {
    vec![
        ("PROBE_TOKEN_URL", token_url),
        ("PROBE_CLIENT_ID", "probe".to_owned()),
        ("PROBE_CLIENT_SECRET", "client-secret".to_owned()),
        ("PROBE_TOKEN_PARAMETERS", "scope=api%3A%2F%2Fro%2F.default".to_owned()),
    ]
}

#[tokio::test]
async fn a_sound_system_passes_with_each_identity() {
    let issuer = Issuer::start().await;
    let with_tokens = Service::start(&[], &issuer.variables(), vec![]).await;
    let client = client_of(token_endpoint(Some(issuer.token("probe"))).await);
    assert_eq!(check(&with_tokens.url, &client).await, Ok(()));
    assert_eq!(check(&format!("{}/", with_tokens.url), &[]).await, Ok(()), "every function refuses");

    let of_proxy = Service::start(&["--legacy-dashboard"], &[("PROXY_SECRET", SECRET.to_owned())], vec![]).await;
    assert_eq!(check(&of_proxy.url, &[("PROBE_PROXY_SECRET", SECRET.to_owned())]).await, Ok(()));

    let open = Service::start(&[], &off(), vec![]).await;
    assert_eq!(check(&open.url, &[]).await, Ok(()));
    assert_eq!(open.chats(), 0, "no tokens of Anthropic are used");
}

#[tokio::test]
async fn a_function_that_fails_is_named() {
    let issuer = Issuer::start().await;
    let service = Service::start(&[], &issuer.variables(), vec![]).await;
    let client = client_of(token_endpoint(Some(issuer.token("probe"))).await);
    let spoils: [(&str, Spoil); 5] = [
        ("/health", |_, path, _| path.starts_with("/health").then_some(StatusCode::BAD_GATEWAY)),
        ("/api/ros", |_, path, _| path.starts_with("/api/ros").then_some(StatusCode::BAD_GATEWAY)),
        ("/api/inventory/stats", |_, path, _| path.starts_with("/api/inv").then_some(StatusCode::BAD_GATEWAY)),
        ("/api/ai/health", |_, path, _| path.starts_with("/api/ai/").then_some(StatusCode::BAD_GATEWAY)),
        ("/api/ai-logs", |_, path, _| path.starts_with("/api/ai-logs").then_some(StatusCode::BAD_GATEWAY)),
    ];
    for (path, spoil) in spoils {
        let spoiler = Spoiler::start(&service, spoil).await;
        assert_failed(check(&spoiler.url, &client).await, &[path]);
        assert_failed(check(&spoiler.url, &[]).await, &[path]);
    }
    // The gateway's own refusal is not that of a function.
    let refusing: Spoil = |_, path, _| path.starts_with("/api/ros").then_some(StatusCode::UNAUTHORIZED);
    let spoiler = Spoiler::start(&service, refusing).await;
    assert_failed(check(&spoiler.url, &[]).await, &["/api/ros"]);
}

#[tokio::test]
async fn nothing_that_answers_and_refused_tokens_are_failures() {
    let nowhere = format!("http://127.0.0.1:{}", free_port());
    let every = ["/api/ros", "/api/inventory/stats", "/api/ai/health", "/api/ai-logs", "/health"];
    assert_failed(check(&nowhere, &[]).await, &every);

    let issuer = Issuer::start().await;
    let service = Service::start(&[], &issuer.variables(), vec![]).await;
    let refusing = client_of(token_endpoint(None).await);
    let refused = check(&service.url, &refusing).await.unwrap_err();
    assert_eq!(refused, "the issuer gives no token: 401 \"invalid_client\"");
    let unknown = client_of(token_endpoint(Some("unknown".to_owned())).await);
    assert_failed(check(&service.url, &unknown).await, &every[..4]);
    let gone = check(&service.url, &client_of(nowhere)).await.unwrap_err();
    assert!(gone.starts_with("the issuer: "), "{gone}");

    let of_proxy = Service::start(&["--legacy-dashboard"], &[("PROXY_SECRET", SECRET.to_owned())], vec![]).await;
    let wrong = SECRET.replace('0', "1");
    assert_failed(check(&of_proxy.url, &[("PROBE_PROXY_SECRET", wrong)]).await, &every[..4]);
    let without_secret = &client_of(String::from("http://127.0.0.1/token"))[..1];
    let incomplete = check(&service.url, without_secret).await.unwrap_err();
    assert!(incomplete.contains("PROBE_CLIENT_ID is missing"), "{incomplete}");
}
