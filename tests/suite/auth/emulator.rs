//! Authentication in the real binaries, and what their logs contain.

use rotracker_cli::local_client::local_client;
use rotracker_tests::{
    TestDatabase,
    anthropic::{FakeAnthropic, Script},
    app::{bearer, new_order},
    dynamodb,
    emulator::Emulator,
    issuer::{ADMIN_ROLE, Issuer},
};
use serde_json::{Value, json};

use super::tokens::bad_tokens;

fn requests(log: &[String]) -> Vec<&String> {
    log.iter().filter(|line| line.contains("http.status")).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_rejected_token_is_logged_once_without_the_token() {
    let (issuer, database, emulator) = (Issuer::start().await, TestDatabase::migrated().await, Emulator::start().await);
    let ros = emulator.ros(&database, &issuer.variables()).await;
    let url = format!("{}/lambda-url/ros/api/ros", emulator.url);
    let client = local_client().build().unwrap();
    let good = issuer.token("ann");
    let response = client.get(&url).header("authorization", bearer(&good)).send().await.unwrap();
    assert_eq!((response.status().as_u16(), response.text().await.unwrap().as_str()), (200, "[]"));
    // The keys are fetched during Init, before the first request.
    assert_eq!(issuer.fetches(), 1);
    let before = ros.log().len();
    let bad = bad_tokens(&issuer);
    for (case, token, _) in &bad {
        let response = client.get(&url).header("authorization", bearer(token)).send().await.unwrap();
        assert_eq!(response.status(), 401, "{case}");
        assert_eq!(response.json::<Value>().await.unwrap()["error"], "Unauthorized", "{case}");
    }
    // A function never receives two `Authorization` headers: the emulator and `lambda_http` keep the last one.
    // `auth::tokens` tests two headers without them.
    let log = ros.log();
    let lines = &log[before..];
    assert_eq!((lines.len(), requests(lines).len()), (bad.len(), bad.len()), "{lines:#?}");
    // An empty token is indistinguishable from a missing one.
    for (line, (case, _, reason)) in lines.iter().zip(&bad).filter(|(_, (_, token, _))| !token.is_empty()) {
        assert!(line.contains(reason), "{case}: {line}");
    }
    for (case, token, _) in bad.iter().filter(|(_, token, _)| token.len() > 40) {
        let (start, end) = (&token[..40], &token[token.len() - 40..]);
        assert!(!lines.iter().any(|line| line.contains(start) || line.contains(end)), "{case}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_log_says_why_a_caller_is_no_administrator() {
    let (issuer, database, emulator) = (Issuer::start().await, TestDatabase::migrated().await, Emulator::start().await);
    let logs = emulator.ai_logs(&database, &issuer.variables()).await;
    let client = local_client().build().unwrap();
    let url = format!("{}/lambda-url/ai-logs/api/ai-logs", emulator.url);
    let missing = "The token does not have the role of administrators";
    let left_out = "its groups were left out because there are too many (_claim_names or hasgroups)";
    let graph = "https://graph.microsoft.com/v1.0/users/5d0c/getMemberObjects";
    for (claims, reason) in [
        (json!({ "roles": ["Reader"] }), "administrators.".to_owned()),
        (
            json!({ "_claim_names": { "groups": "src1" }, "_claim_sources": { "src1": { "endpoint": graph } } }),
            format!("{missing}, and {left_out}"),
        ),
        (json!({ "hasgroups": true, "roles": ["Reader"] }), format!("{missing}, and {left_out}")),
        (json!({ "_claim_names": { "address": "src1" } }), format!("{missing}.")),
    ] {
        let token = bearer(&issuer.token_with("ann", claims.clone()));
        for request in [client.delete(format!("{url}/user/bob")), client.get(format!("{url}?user=bob"))] {
            let before = logs.log().len();
            let response = request.header("authorization", &token).send().await.unwrap();
            assert_eq!(response.status(), 403, "{claims}");
            assert!(!response.text().await.unwrap().contains("groups"), "{claims}");
            let log = logs.log();
            let [line] = &requests(&log[before..])[..] else { panic!("{log:#?}") };
            assert!(line.contains("refusal") && line.contains(&reason), "{claims}: {line}");
        }
    }
    // Groups that are left out do not matter to an administrator.
    let token = issuer.token_with("eve", json!({ "roles": [ADMIN_ROLE], "_claim_names": { "groups": "src1" } }));
    let response =
        client.delete(format!("{url}/user/bob")).header("authorization", bearer(&token)).send().await.unwrap();
    assert_eq!(response.status(), 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_an_issuer_all_requests_are_rejected() {
    let (database, emulator) = (TestDatabase::migrated().await, Emulator::start().await);
    let client = local_client().build().unwrap();
    let get = async |path: &str| {
        let response = client.get(format!("{}/lambda-url/ros{path}", emulator.url)).send().await.unwrap();
        let hsts = response.headers().get("strict-transport-security").cloned();
        let retry = response.headers().contains_key("retry-after");
        (response.status().as_u16(), hsts.is_some(), retry)
    };
    let production = [
        ("APP_ENV", "production".to_owned()),
        ("DB_NAME_PROD", database.name.clone()),
        ("FRONTEND_URL", "https://repairs.example".to_owned()),
    ];
    let ros = emulator.ros(&database, &production).await;
    assert_eq!(get("/api/ros").await, (503, true, true));
    assert_eq!(get("/nothing").await, (503, true, true));
    assert_eq!(get("/health").await, (200, true, false));
    assert!(ros.log()[0].contains("AUTH_ISSUER is not set"), "{:?}", ros.log());
    ros.stop().await;

    let open = [production.as_slice(), &[("AUTH_MODE", "none".to_owned())]].concat();
    let ros = emulator.ros(&database, &open).await;
    assert_eq!(get("/api/ros").await, (200, true, false));
    assert!(ros.log()[0].contains("AUTH_MODE is none"), "{:?}", ros.log());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tokens_and_bodies_are_never_logged() {
    let (issuer, database, emulator) = (Issuer::start().await, TestDatabase::migrated().await, Emulator::start().await);
    let (anthropic, dynamodb) =
        (FakeAnthropic::start([Script::message("canary-answer")]).await, dynamodb::emulator().await);
    let variables = [issuer.variables().as_slice(), &[("RUST_LOG", "trace,aws_sigv4=info".to_owned())]].concat();
    let ros = emulator.ros(&database, &variables).await;
    let ai = emulator.ai(&database, &anthropic, &dynamodb, &variables).await;
    let client = local_client().build().unwrap();
    let token = issuer.token("canary-subject");
    let post = |path: &str, body: &Value| {
        let url = format!("{}/lambda-url{path}", emulator.url);
        client.post(url).header("authorization", bearer(&token)).json(body).send()
    };
    let order = new_order(json!({ "notes": "canary-notes", "roNumber": "RO1" }));
    assert_eq!(post("/ros/api/ros", &order).await.unwrap().status(), 201);
    let body = json!({ "messages": [{ "role": "user", "content": "canary-prompt" }], "conversationId": "canary-talk" });
    let response = post("/ai/api/ai/chat", &body).await.unwrap();
    assert_eq!(response.status(), 200);
    assert!(response.text().await.unwrap().contains("canary-answer"));
    let list = client.get(format!("{}/lambda-url/ros/api/ros", emulator.url)).header("authorization", bearer(&token));
    assert!(list.send().await.unwrap().text().await.unwrap().contains("canary-notes"));
    for (instance, name) in [(&ros, "ros"), (&ai, "ai")] {
        let log = instance.log();
        assert!(log.iter().any(|line| line.contains("DEBUG")), "{name} is not talkative");
        let signature = token.rsplit('.').next().unwrap();
        for secret in ["canary-", signature, &issuer.token("x")[..20]] {
            let line = log.iter().find(|line| line.contains(secret));
            assert_eq!(line, None, "{name}: {secret}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn proxy_variables_are_ignored() {
    let (issuer, proxy) = (Issuer::start().await, FakeAnthropic::start([]).await);
    let (database, emulator) = (TestDatabase::migrated().await, Emulator::start().await);
    let proxies = ["http_proxy", "HTTP_PROXY", "ALL_PROXY"].map(|name| (name, proxy.url.clone()));
    let _ros = emulator.ros(&database, &[issuer.variables().as_slice(), &proxies].concat()).await;
    let url = format!("{}/lambda-url/ros/api/ros", emulator.url);
    let response = local_client().build().unwrap().get(url).header("authorization", bearer(&issuer.token("ann")));
    assert_eq!(response.send().await.unwrap().status(), 200);
    assert_eq!((issuer.fetches(), proxy.received().len()), (1, 0));
}
