//! Validation of bearer tokens.

use axum::body::Body;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use http::{HeaderValue, Request, header};
use ring::hmac;
use rotracker_tests::{
    App, TestResponse,
    app::bearer,
    issuer::{AUDIENCE, Issuer, RSA_TWO, rsa},
};
use serde_json::{Value, json};

const PATH: &str = "/api/ros?limit=1";

/// Invalid tokens: a name, the token, and the reason in the response.
pub(super) fn bad_tokens(issuer: &Issuer) -> Vec<(&'static str, String, &'static str)> {
    let now = issuer.claims("ann", json!({}))["iat"].as_u64().unwrap();
    let claims = issuer.claims("ann", json!({}));
    let (ec, rs) = (issuer.key("ec"), issuer.key("rsa"));
    let encode = |part: &Value| URL_SAFE_NO_PAD.encode(part.to_string());
    let good = issuer.token("ann");
    // An algorithm confusion attack: the public key is used as an HMAC secret.
    let message = format!("{}.{}", encode(&json!({ "alg": "HS256", "kid": "rsa" })), encode(&claims));
    let public = rs.jwk();
    let secret = hmac::Key::new(hmac::HMAC_SHA256, public["n"].as_str().unwrap().as_bytes());
    let hs256 = format!("{message}.{}", URL_SAFE_NO_PAD.encode(hmac::sign(&secret, message.as_bytes())));
    let none = |signature: &str| format!("{}.{}.{signature}", encode(&json!({ "alg": "none" })), encode(&claims));
    let parts: Vec<&str> = good.split('.').collect();
    let other_claims = encode(&issuer.claims("bob", json!({})));
    let with_header = |header: Value| ec.sign_with(&header, &claims).unwrap();
    vec![
        ("expired", issuer.token_with("ann", json!({ "exp": now - 61 })), "The token has expired."),
        ("without an end", issuer.token_with("ann", json!({ "exp": null })), "The token is malformed."),
        ("not yet valid", issuer.token_with("ann", json!({ "nbf": now + 300 })), "The token is not valid yet."),
        (
            "of another issuer",
            issuer.token_with("ann", json!({ "iss": "https://x.example" })),
            "The token is of another issuer.",
        ),
        ("of no issuer", issuer.token_with("ann", json!({ "iss": null })), "The token is malformed."),
        (
            "for another audience",
            issuer.token_with("ann", json!({ "aud": "api://other" })),
            "The token is for another audience.",
        ),
        (
            "for other audiences",
            issuer.token_with("ann", json!({ "aud": ["a", "b", 5] })),
            "The token is for another audience.",
        ),
        ("for nobody", issuer.token_with("ann", json!({ "aud": null })), "The token is for another audience."),
        ("for an odd audience", issuer.token_with("ann", json!({ "aud": 5 })), "The token is for another audience."),
        (
            "an identity token",
            issuer.token_with("ann", json!({ "token_use": "id" })),
            "The token is for another audience.",
        ),
        (
            "for another client",
            issuer.token_with("ann", json!({ "aud": null, "token_use": "access", "client_id": "client-2" })),
            "The token is for another audience.",
        ),
        ("unsigned", none(""), "The token is malformed."),
        ("unsigned with a signature", none(parts[2]), "The token is malformed."),
        ("HS256 with the public key", hs256, "The token is not signed by the expected issuer."),
        (
            "of an unknown key",
            rsa("unknown", RSA_TWO).sign(&claims).unwrap(),
            "The token is not signed by the expected issuer.",
        ),
        (
            "of another key by the name of ours",
            rsa("rsa", RSA_TWO).sign(&claims).unwrap(),
            "The token is not signed by the expected issuer.",
        ),
        (
            "ES256 by the name of the RSA key",
            with_header(json!({ "alg": "ES256", "kid": "rsa" })),
            "The token is not signed by the expected issuer.",
        ),
        (
            "with no key's name",
            with_header(json!({ "alg": "ES256" })),
            "The token is not signed by the expected issuer.",
        ),
        (
            "that must be understood",
            with_header(json!({ "alg": "ES256", "kid": "ec", "crit": ["b64"], "b64": true })),
            "The token is malformed.",
        ),
        (
            "with other claims",
            format!("{}.{other_claims}.{}", parts[0], parts[2]),
            "The token is not signed by the expected issuer.",
        ),
        ("truncated", good[..good.len() - 10].to_owned(), "The token is not signed by the expected issuer."),
        ("without its signature", format!("{}.{}", parts[0], parts[1]), "The token is malformed."),
        ("empty", String::new(), "The token is malformed."),
        ("two of them", format!("{good},{good}"), "The token is malformed."),
        ("of 100 KB", issuer.token_with("ann", json!({ "x": "x".repeat(100_000) })), "The token is malformed."),
        ("of nobody", issuer.token_with("", json!({})), "The token has no valid subject."),
        ("without a subject", issuer.token_with("", json!({ "sub": null })), "The token has no valid subject."),
        ("of somebody's almost", issuer.token_with(" ann", json!({})), "The token has no valid subject."),
        ("of two lines", issuer.token_with("a\nb", json!({})), "The token has no valid subject."),
        ("of a long name", issuer.token_with(&"é".repeat(256), json!({})), "The token has no valid subject."),
        ("of a number", issuer.token_with("", json!({ "sub": 5 })), "The token has no valid subject."),
    ]
}

#[track_caller]
fn expect_refusal(response: TestResponse, challenge: &str) -> String {
    assert_eq!(response.header("www-authenticate"), Some(challenge));
    assert_eq!(response.header("content-type"), Some("application/json"));
    let body = response.expect(401);
    assert_eq!(body["error"], "Unauthorized");
    body["message"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn invalid_tokens_are_401_with_the_reason() {
    let issuer = Issuer::start().await;
    let app = App::start_for(&issuer).await;
    for (case, token, reason) in bad_tokens(&issuer) {
        let challenge = format!("Bearer realm=\"ro-tracker\", error=\"invalid_token\", error_description=\"{reason}\"");
        let response = app.get_as(&token, PATH).await;
        assert_eq!(response.status, 401, "{case}");
        assert_eq!(expect_refusal(response, &challenge), reason, "{case}");
    }
}

#[tokio::test]
async fn valid_tokens_of_every_form_are_accepted() {
    let issuer = Issuer::start().await;
    let app = App::start_for(&issuer).await;
    let now = issuer.claims("ann", json!({}))["iat"].as_u64().unwrap();
    for (case, fields) in [
        ("plain", json!({})),
        ("several audiences", json!({ "aud": ["other", AUDIENCE] })),
        ("by a clock that is ahead", json!({ "nbf": now + 30, "iat": now + 30 })),
        ("by a clock that is behind", json!({ "exp": now - 30 })),
        ("an access token of Cognito", json!({ "aud": null, "token_use": "access", "client_id": "client-1" })),
        ("odd claims", json!({ "roles": 5, "groups": [1, null], "name": {} })),
    ] {
        for key in ["ec", "rsa"] {
            let token = issuer.key(key).sign(&issuer.claims("ann", fields.clone())).unwrap();
            assert_eq!(app.get_as(&token, PATH).await.status, 200, "{case}, {key}");
        }
    }
    for scheme in ["bearer", "BEARER"] {
        let value = format!("{scheme} {}", issuer.token("ann"));
        let request = Request::get(PATH).header(header::AUTHORIZATION, value).body(Body::empty()).unwrap();
        assert_eq!(app.send(request).await.status, 200, "{scheme}");
    }
}

#[tokio::test]
async fn a_missing_token_is_401_without_an_error_code() {
    let issuer = Issuer::start().await;
    let app = App::start_for(&issuer).await;
    let none = "Bearer realm=\"ro-tracker\"";
    let several = "Bearer realm=\"ro-tracker\", error=\"invalid_request\", \
                   error_description=\"There must be one Authorization header.\"";
    let good = bearer(&issuer.token("ann"));
    for (values, challenge) in [
        (vec![], none),
        (vec!["Basic YTpi".to_owned()], none),
        (vec![good.replace("Bearer ", "")], none),
        (vec![good.clone(), good.clone()], several),
        (vec!["Basic YTpi".to_owned(), good.clone()], several),
    ] {
        let mut request = Request::post("/api/ros").header("content-type", "application/json");
        for value in &values {
            request = request.header(header::AUTHORIZATION, HeaderValue::try_from(value).unwrap());
        }
        let response = app.send(request.body(Body::from("{")).unwrap()).await;
        expect_refusal(response, challenge);
    }
    // Tokens in the query or in the body are ignored, because they would be logged or stored.
    let token = issuer.token("ann");
    expect_refusal(app.get(&format!("/api/ros?access_token={token}")).await, none);
    assert!(app.rows().await.is_empty());
}

#[tokio::test]
async fn only_health_needs_no_token() {
    let issuer = Issuer::start().await;
    let app = App::start_for(&issuer).await;
    for path in ["/health", "/api/health", "/api/health/", "/.netlify/functions/api/health"] {
        assert_eq!(app.get(path).await.status, 200, "{path}");
    }
    for path in [
        "/",
        "/nothing",
        "/api/ros",
        "/api/ros/",
        "/api/ros/health",
        "/health/x",
        "/%68ealth",
        "/health/../api/ros",
        "/api/health/..%2fros",
        "/api/ros/stats/dashboard",
        "/API/health",
        "//api/ros",
        "/api/ros?x=/health",
        "/.netlify/functions/api/ros",
    ] {
        assert_eq!(app.get(path).await.status, 401, "{path}");
        let status = app.get_as(&issuer.token("ann"), path).await.status;
        assert!(status != 401 && status != 500, "{path}: {status}");
    }
    assert_eq!(app.send_text(http::Method::PUT, "/api/ros", "").await.status, 401);
}

#[tokio::test]
async fn browsers_read_the_reason_and_preflight_without_token() {
    let issuer = Issuer::start().await;
    let app = App::start_for(&issuer).await;
    let preflight = Request::options("/api/ros")
        .header("origin", "https://repairs.example")
        .header("access-control-request-method", "POST")
        .header("access-control-request-headers", "authorization,content-type,idempotency-key,if-match,if-none-match")
        .body(Body::empty())
        .unwrap();
    let response = app.send(preflight).await;
    assert_eq!(response.status, 200);
    let allowed = response.header("access-control-allow-headers").unwrap();
    for name in ["authorization", "content-type", "idempotency-key", "if-match", "if-none-match"] {
        assert!(allowed.contains(name), "{allowed}");
    }
    let request = |origin: &str| Request::get(PATH).header("origin", origin).body(Body::empty()).unwrap();
    let response = app.send(request("https://repairs.example")).await;
    assert_eq!(
        (response.status.as_u16(), response.header("access-control-allow-origin")),
        (401, Some("https://repairs.example"))
    );
    let exposed = response.header("access-control-expose-headers").unwrap();
    assert!(exposed.contains("www-authenticate") && exposed.contains("etag"), "{exposed}");
    assert!(varies_by_origin(&response), "{:?}", response.headers);
    let response = app.send(request("https://evil.example")).await;
    assert_eq!((response.status.as_u16(), response.header("access-control-allow-origin")), (401, None));
    assert!(varies_by_origin(&response), "{:?}", response.headers);
}

fn varies_by_origin(response: &TestResponse) -> bool {
    response.headers.get_all("vary").iter().any(|value| value.to_str().unwrap().contains("origin"))
}
