//! An instance works after a freeze, as between two invocations on Lambda, during which its connections were lost. If it is never
//! thawed, its connections end on the server.

use std::time::Duration;

use futures_util::future::join_all;
use http::Method;
use rotracker_tests::{
    App, TestDatabase,
    anthropic::FakeAnthropic,
    app::new_order,
    assistant::chat,
    database::{migrate, server},
    dynamodb,
    emulator::{Instance, assistant_variables, binary, database_variables, template_variables},
    gateway::{Call, Gateway},
    proxy::Proxy,
    runtime_api::RuntimeApi,
    tcp_proxy::{Disconnect, TcpProxy},
};
use serde_json::json;

/// A function that a test can freeze, and whose connections to the database it can end.
struct FreezableFunction {
    lambda: RuntimeApi,
    instance: Instance,
    proxy: TcpProxy,
}

async fn proxy_to_database() -> TcpProxy {
    let server = server();
    TcpProxy::to(&format!("{}:{}", server.host, server.port)).await
}

impl FreezableFunction {
    async fn start(name: &str, database: &TestDatabase, variables: &[(&'static str, String)]) -> Self {
        let (lambda, proxy) = (RuntimeApi::start().await, proxy_to_database().await);
        let proxy_address =
            [("DB_HOST", proxy.address.ip().to_string()), ("DB_PORT", proxy.address.port().to_string())];
        let variables =
            [database_variables(database).as_slice(), &template_variables(), &proxy_address, variables].concat();
        let instance = Instance::start(&lambda.address, &binary(name).await, &variables);
        Self { lambda, instance, proxy }
    }

    /// Freezes the instance, ends its database connections, and then sends `call`, which must return `status`.
    async fn after_freeze(
        &self,
        database: &TestDatabase,
        end: Disconnection,
        call: &Call,
        status: u64,
    ) -> serde_json::Value {
        self.freeze(database, end).await;
        self.instance.thaw();
        self.lambda.call(Gateway::RestApi, call).await.expect(status)
    }

    /// Freezes the instance after a request and ends its database connections.
    async fn freeze(&self, database: &TestDatabase, end: Disconnection) {
        self.lambda.call(Gateway::RestApi, &Call::get("/api/nothing")).await.expect(404);
        self.instance.freeze();
        match end {
            Disconnection::Killed => database.kill_sessions().await,
            Disconnection::Network(disconnect) => {
                if disconnect == Disconnect::Silent {
                    // A silent connection is only checked before use if it has been idle for a while.
                    database.wait_until_idle(Duration::from_secs(2)).await;
                }
                self.proxy.end(disconnect);
            }
        }
    }
}

/// How the database connections end while the instance is frozen.
#[derive(Clone, Copy, Debug)]
enum Disconnection {
    /// The server kills the connection.
    Killed,
    /// The network ends the connection.
    Network(Disconnect),
}

const DISCONNECTIONS: [Disconnection; 4] = [
    Disconnection::Killed,
    Disconnection::Network(Disconnect::Fin),
    Disconnection::Network(Disconnect::Reset),
    Disconnection::Network(Disconnect::Silent),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn orders_work_after_a_freeze() {
    let database = TestDatabase::migrated().await;
    let ros = FreezableFunction::start("ros", &database, &[]).await;
    let patch = |notes: &str| {
        let patch = Call::new(Method::PATCH, "/api/ros/by-number/RO-0").header("content-type", "application/json");
        patch.text(&json!({ "notes": notes }).to_string())
    };
    for (round, end) in DISCONNECTIONS.into_iter().enumerate() {
        let create = Call::post("/api/ros", &new_order(json!({ "roNumber": format!("RO-{round}") })));
        ros.after_freeze(&database, end, &create, 201).await;
        let list = ros.after_freeze(&database, end, &Call::get("/api/ros"), 200).await;
        assert_eq!(list.as_array().unwrap().len(), round + 1, "{end:?}");
        let patched = ros.after_freeze(&database, end, &patch(&format!("{end:?}")), 200).await;
        assert_eq!(patched["notes"], format!("{end:?}"));
        let health = ros.after_freeze(&database, end, &Call::get("/health"), 200).await;
        assert_eq!(health["database"], "connected");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stock_works_after_a_freeze() {
    let app = App::inventory().await;
    let part = app.put("stock_room", "A-1", 40).await;
    app.pool.close();
    let inventory = FreezableFunction::start("inventory", &app.database, &[]).await;
    let decrement = Call::post("/api/inventory/decrement", &part.change(&json!({})));
    for (end, left) in DISCONNECTIONS.into_iter().zip([39, 38, 37, 36]) {
        let taken = inventory.after_freeze(&app.database, end, &decrement, 200).await;
        assert_eq!(taken["newQty"], left, "{end:?}");
        let table =
            inventory.after_freeze(&app.database, end, &Call::get("/api/inventory/table/stock_room"), 200).await;
        assert_eq!(table["count"], 1);
    }
    app.assert_conserved(&[(part.index_id, (part, 40))].into()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn conversation_logs_work_after_a_freeze() {
    let database = TestDatabase::migrated().await;
    let logs = FreezableFunction::start("ai-logs", &database, &[]).await;
    let entry = json!({ "conversationId": "c", "user": "u", "userMessage": "m", "aiResponse": "a", "success": true });
    for (round, end) in DISCONNECTIONS.into_iter().enumerate() {
        logs.after_freeze(&database, end, &Call::post("/api/ai-logs", &entry), 201).await;
        let page = logs.after_freeze(&database, end, &Call::get("/api/ai-logs"), 200).await;
        assert_eq!(page["total"], round + 1, "{end:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_assistant_works_after_a_freeze() {
    let database = TestDatabase::migrated().await;
    let (anthropic, dynamodb) = (FakeAnthropic::start([]).await, dynamodb::emulator().await);
    let to_anthropic = TcpProxy::to(anthropic.url.trim_start_matches("http://")).await;
    let to_dynamodb = TcpProxy::to(dynamodb.endpoint.trim_start_matches("http://")).await;
    let [anthropic_url, dynamodb_url] = [&to_anthropic, &to_dynamodb].map(|proxy| format!("http://{}", proxy.address));
    let variables = assistant_variables(&anthropic_url, &dynamodb_url);
    let variables = [variables.as_slice(), &[("AI_TOKENS_PER_DAY", "1000000".to_owned())]].concat();
    let ai = FreezableFunction::start("ai", &database, &variables).await;
    for (round, end) in DISCONNECTIONS.into_iter().enumerate() {
        for stream in [false, true] {
            let user = format!("{end:?} {stream}").to_lowercase();
            let body = chat(&json!({ "userId": user, "conversationId": "c", "stream": stream }));
            ai.freeze(&database, end).await;
            if let Disconnection::Network(disconnect) = end {
                to_dynamodb.end(disconnect);
                // A silent connection to Anthropic times out only after seconds, by the clock of the system, which
                // tests cannot set.
                to_anthropic.end(if disconnect == Disconnect::Silent { Disconnect::Reset } else { disconnect });
            }
            ai.instance.thaw();
            let response = ai.lambda.call(Gateway::RestApi, &Call::post("/api/ai/chat", &body)).await;
            assert_eq!(response.status(), 200, "{end:?}: {}", String::from_utf8_lossy(&response.body));
            assert!(response.has_ended && !response.body.is_empty());
            let used = dynamodb::used_tokens_of_all_days(&dynamodb.endpoint, &user).await;
            assert_eq!(used, 245 + 156 + 100 + 7, "{end:?}");
        }
        let logged: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM ai_conversation_logs WHERE success")
            .fetch_one(&mut database.connect().await)
            .await
            .unwrap();
        assert_eq!(logged, 2 * (round as i64 + 1), "{end:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_of_frozen_instances_end_on_the_server() {
    let database = TestDatabase::empty().await;
    migrate(&database, &database, false).await.unwrap();
    // The sessions as the functions begin them, with five seconds instead of ten minutes.
    let proxy = Proxy::replacing("wait_timeout = 600", "wait_timeout = 005").await;
    let through_proxy = [
        ("DB_HOST", "127.0.0.1".to_owned()),
        ("DB_PORT", proxy.port.to_string()),
        // The proxy must read the statements.
        ("DB_SSL_MODE", "DISABLED".to_owned()),
    ];
    let variables = [database_variables(&database).as_slice(), &template_variables(), &through_proxy].concat();
    let reads = [
        ("ros", "/api/ros"),
        ("ros", "/api/ros/stats/dashboard"),
        ("inventory", "/api/inventory/stats"),
        ("ai-logs", "/api/ai-logs"),
    ];
    // At the same time, so that the first connection is still there when they are counted.
    let functions = join_all(reads.map(async |(name, path)| {
        let lambda = RuntimeApi::start().await;
        let instance = Instance::start(&lambda.address, &binary(name).await, &variables);
        let read = Call::get(path);
        lambda.call(Gateway::RestApi, &read).await.expect(200);
        (lambda, instance, read)
    }))
    .await;
    // AWS ends instances while they are frozen, and nothing tells the server so.
    for (_, instance, _) in &functions {
        instance.freeze();
    }
    assert_eq!(database.count_sessions().await, functions.len(), "one connection of each instance");
    database.wait_until_unused().await;
    for (lambda, instance, read) in &functions {
        instance.thaw();
        lambda.call(Gateway::RestApi, read).await.expect(200);
    }
}
