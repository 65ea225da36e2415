//! The legacy dashboard sends no token. Its requests carry a secret that the CDN in front of it adds.

use ai_logs::AiLogsState;
use app_core::{
    auth::{AuthConfig, Authentication, ProxySecrets},
    config::HttpConfig,
    http::with_layers,
    lambda::Delivery,
};
use http::Method;
use inventory::InventoryState;
use ros::RosState;
use rotracker_cli::local_client::local_client;
use rotracker_tests::{
    App, TestDatabase,
    anthropic::FakeAnthropic,
    app::{clock, http_config, new_order},
    assistant::{Assistant, Options},
    emulator::Emulator,
};
use serde_json::{Value, json};

const SECRET: &str = "canary-6a1f0c39d2b84e57a9c01d6e8f4b";
const NEXT_SECRET: &str = "canary-b7e2d4905f6c4a1d8e3b72c9a0f1";
const HEADER: &str = "x-proxy-secret";

fn config() -> HttpConfig {
    let auth = AuthConfig::Proxy(ProxySecrets::new([SECRET, NEXT_SECRET]));
    let auth = Authentication::new(auth, clock()).unwrap();
    HttpConfig { auth, legacy_dashboard: true, ..http_config() }
}

async fn ros() -> App {
    let (database, clock) = (TestDatabase::migrated().await, clock());
    let pool = database.large_pool();
    let routes = ros::router(RosState::new(pool.clone(), clock.clone()), true);
    App { router: with_layers(routes, &config(), Delivery::Streaming), pool, clock, database }
}

#[tokio::test]
async fn every_route_but_health_needs_the_secret() {
    let app = ros().await;
    let body = new_order(json!({}));
    for (method, path) in [
        ("GET", "/api/ros"),
        ("GET", "/.netlify/functions/api/ros"),
        ("POST", "/.netlify/functions/api/ros"),
        ("PATCH", "/.netlify/functions/api/ros/1"),
        ("DELETE", "/.netlify/functions/api/ros/by-number/RO1"),
        ("GET", "/nothing"),
        ("PUT", "/api/ros"),
    ] {
        let short = &SECRET[1..];
        for headers in [&[][..], &[(HEADER, "")], &[(HEADER, short)], &[("authorization", SECRET)]] {
            let response = app.send_with(method.parse().unwrap(), path, headers, Some(&body)).await;
            assert_eq!(response.header("www-authenticate"), Some("Bearer realm=\"ro-tracker\""));
            let message = response.expect_error(401);
            assert_eq!(message, "This request must come through the address of the dashboard.", "{method} {path}");
        }
    }
    for path in ["/health", "/api/health", "/.netlify/functions/health", "/.netlify/functions/api/health"] {
        app.get(path).await.expect(200);
    }
    assert!(app.rows().await.is_empty());
    for secret in [SECRET, NEXT_SECRET] {
        let headers = [(HEADER, secret)];
        let list = app.send_with(Method::GET, "/.netlify/functions/api/ros", &headers, None).await;
        assert_eq!(list.expect(200), json!([]));
    }
    let created = app.send_with(Method::POST, "/.netlify/functions/api/ros", &[(HEADER, SECRET)], Some(&body)).await;
    let id = created.expect(201)["id"].as_str().unwrap().to_owned();
    let path = format!("/api/ros/{id}/history");
    let history = app.send_with(Method::GET, &path, &[(HEADER, SECRET)], None).await.expect(200);
    assert_eq!(history["history"][0]["user"], Value::Null);
}

#[tokio::test]
async fn pages_may_not_send_the_secret() {
    let app = ros().await;
    let headers = [
        ("origin", "https://repairs.example"),
        ("access-control-request-method", "GET"),
        ("access-control-request-headers", "content-type,x-proxy-secret"),
    ];
    let preflight = app.send_with(Method::OPTIONS, "/.netlify/functions/api/ros", &headers, None).await;
    assert_eq!(preflight.status, 200, "preflights carry no secret");
    let allowed = preflight.header("access-control-allow-headers").unwrap().to_ascii_lowercase();
    assert!(allowed.contains("content-type") && !allowed.contains(HEADER), "{allowed}");
    assert!(!preflight.header("access-control-expose-headers").unwrap_or_default().contains(HEADER));
}

#[tokio::test]
async fn nobody_who_comes_through_the_proxy_is_an_administrator() {
    let (database, clock) = (TestDatabase::inventory().await, clock());
    let pool = database.large_pool();
    let routes = inventory::router(InventoryState::new(pool.clone(), clock.clone()), true);
    let app = App { router: with_layers(routes, &config(), Delivery::Streaming), pool, clock, database };
    let part = app.put("stock_room", "A1", 5).await;
    let count = part.change(&json!({ "newQty": 9, "notes": "counted" }));
    for prefix in ["/api", "/.netlify/functions/api"] {
        let path = format!("{prefix}/inventory/adjust");
        app.send_with(Method::POST, &path, &[(HEADER, SECRET)], Some(&count)).await.expect_error(403);
        app.send_with(Method::POST, &path, &[], Some(&count)).await.expect_error(401);
    }
    let path = "/.netlify/functions/api/inventory/decrement";
    let taken = app.send_with(Method::POST, path, &[(HEADER, SECRET)], Some(&part.change(&json!({})))).await;
    assert_eq!(taken.expect(200)["newQty"], 4);

    let options = Options { http: config(), ..Options::default() };
    let assistant = Assistant::with(FakeAnthropic::start([]).await, options).await;
    let path = "/.netlify/functions/api/ai/clear-rate-limit";
    let user = json!({ "userId": "ann" });
    assistant.app.send_with(Method::POST, path, &[(HEADER, SECRET)], Some(&user)).await.expect_error(403);

    // The log shows people their own questions, and these callers have no names.
    let pool = assistant.app.pool.clone();
    let routes = ai_logs::router(AiLogsState { db: pool, clock: assistant.app.clock.clone() });
    let logs = App { router: with_layers(routes, &config(), Delivery::Streaming), ..assistant.app };
    for (method, path) in [
        (Method::GET, "/.netlify/functions/api/ai-logs"),
        (Method::GET, "/.netlify/functions/api/ai-logs/stats"),
        (Method::DELETE, "/.netlify/functions/api/ai-logs/user/ann"),
        (Method::DELETE, "/.netlify/functions/api/ai-logs/1"),
    ] {
        logs.send_with(method, path, &[(HEADER, SECRET)], None).await.expect_error(403);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deployed_function_needs_the_secret_and_never_logs_it() {
    let (database, emulator) = (TestDatabase::migrated().await, Emulator::start().await);
    let client = local_client().build().unwrap();
    let get = async |path: &str, secret: &str| {
        let url = format!("{}/lambda-url/ros{path}", emulator.url);
        client.get(url).header(HEADER, secret).send().await.unwrap().status().as_u16()
    };
    let production = [
        ("APP_ENV", "production".to_owned()),
        ("DB_NAME_PROD", database.name.clone()),
        ("FRONTEND_URL", "https://repairs.example".to_owned()),
        ("LEGACY_DASHBOARD", "true".to_owned()),
        ("RUST_LOG", "trace".to_owned()),
    ];
    let ros = emulator.ros(&database, &production).await;
    assert_eq!(get("/.netlify/functions/api/ros", SECRET).await, 503);
    assert_eq!(get("/health", "").await, 200);
    let log = ros.log();
    let faults = log.iter().filter(|line| line.contains("PROXY_SECRET is not set"));
    assert_eq!(faults.count(), 2, "at start, and for the request: {log:#?}");
    ros.stop().await;

    let secrets = ("PROXY_SECRET", format!("{SECRET},{NEXT_SECRET}"));
    let ros = emulator.ros(&database, &[production.as_slice(), &[secrets]].concat()).await;
    for (secret, status) in [(SECRET, 200), (NEXT_SECRET, 200), ("canary-guess", 401), ("", 401)] {
        assert_eq!(get("/.netlify/functions/api/ros", secret).await, status, "{secret}");
    }
    let log = ros.log();
    assert!(log.iter().any(|line| line.contains("DEBUG")), "the log is not talkative");
    let line = log.iter().find(|line| line.contains("canary-"));
    assert_eq!(line, None);
}
