//! The examples in the OpenAPI description are real responses: each is sent here, in an order in which the requests
//! depend on each other.
//!
//! `UPDATE_EXAMPLES=1 cargo test --workspace examples` writes the responses; then regenerate `infra/openapi.json`.

use std::path::PathBuf;

use rotracker_tests::{
    App, TestResponse,
    anthropic::{FakeAnthropic, Script},
    app::clock,
    assistant::{Assistant, Options},
    emulator::workspace,
    issuer::Issuer,
};
use serde_json::{Map, Value, json};

/// The subject of the token that the examples are sent with.
const SUBJECT: &str = "8c1f7a60-3d4e-4b8f-9a52-6e0d1c7b2f35";

/// Fields that differ from run to run.
const VOLATILE: [&str; 3] = ["durationMs", "requestId", "uptime"];

/// The examples of a crate while they are compared.
struct Scenario {
    file: PathBuf,
    written: Map<String, Value>,
    sent: Map<String, Value>,
    token: String,
}

impl Scenario {
    fn new(domain: &str, issuer: &Issuer) -> Self {
        let file = workspace().join(format!("crates/{domain}/src/routes/examples.json"));
        let written = serde_json::from_str(&std::fs::read_to_string(&file).unwrap()).unwrap();
        Self { file, written, sent: Map::new(), token: issuer.admin(SUBJECT) }
    }

    /// Sends the example request of the operation `id` and records the response.
    async fn send(&mut self, app: &App, id: &str, method: &str, path: &str) {
        let request = self.written.get(id).map_or(&Value::Null, |example| &example["request"]).clone();
        let response = app.send_as(&self.token, method, path, &request).await;
        let TestResponse { status, .. } = &response;
        assert!(status.is_success(), "{id}: {response:?}");
        let is_json = response.header("content-type") == Some("application/json");
        let body = if is_json { response.json() } else { String::from_utf8(response.bytes).unwrap().into() };
        let mut example = json!({ "response": body });
        if !request.is_null() {
            example["request"] = request;
        }
        if let Some(written) = self.written.get(id) {
            keep_volatile(written, &mut example);
        }
        assert!(self.sent.insert(id.to_owned(), example).is_none(), "{id} is sent twice");
    }

    fn finish(self) {
        if std::env::var_os("UPDATE_EXAMPLES").is_some() {
            let text = serde_json::to_string_pretty(&self.sent).unwrap();
            std::fs::write(&self.file, text + "\n").unwrap();
            return;
        }
        let renew = "if that is meant: UPDATE_EXAMPLES=1 cargo test --workspace examples";
        for (id, sent) in &self.sent {
            assert_eq!(self.written.get(id), Some(sent), "{id} is not what {:?} says; {renew}", self.file);
        }
        assert_eq!(self.written.len(), self.sent.len(), "{:?} has examples that are not sent; {renew}", self.file);
    }
}

/// Copies the volatile values of `then` to `now`.
fn keep_volatile(then: &Value, now: &mut Value) {
    match (then, now) {
        (Value::Array(then), Value::Array(now)) => {
            then.iter().zip(now).for_each(|(then, now)| keep_volatile(then, now));
        }
        (Value::Object(then), Value::Object(now)) => {
            for (name, now) in now {
                match then.get(name) {
                    Some(then) if VOLATILE.contains(&&**name) && then.is_string() == now.is_string() => {
                        *now = then.clone();
                    }
                    Some(then) => keep_volatile(then, now),
                    None => {}
                }
            }
        }
        _ => {}
    }
}

#[tokio::test]
async fn orders() {
    let issuer = Issuer::start().await;
    let app = App::start_for(&issuer).await;
    let mut scenario = Scenario::new("ros", &issuer);
    let order = "/api/ros/by-number/RO38472";
    scenario.send(&app, "createOrder", "POST", "/api/ros").await;
    scenario.send(&app, "updateOrder", "PATCH", order).await;
    scenario.send(&app, "setOrderStatus", "PATCH", &format!("{order}/status")).await;
    scenario.send(&app, "getOrder", "GET", order).await;
    scenario.send(&app, "listOrders", "GET", "/api/ros?archiveStatus=ACTIVE").await;
    scenario.send(&app, "exportOrders", "GET", "/api/ros/export?archiveStatus=ACTIVE").await;
    scenario.send(&app, "listFollowUps", "GET", "/api/ros/follow-ups?until=2024-12-31").await;
    scenario.send(&app, "getDashboard", "GET", "/api/ros/stats/dashboard").await;
    scenario.send(&app, "archiveOrder", "POST", &format!("{order}/archive")).await;
    scenario.send(&app, "deleteOrder", "DELETE", order).await;
    scenario.send(&app, "getOrderHistory", "GET", &format!("{order}/history?offset=1&limit=3")).await;
    scenario.send(&app, "getHealth", "GET", "/health").await;
    scenario.finish();
}

#[tokio::test]
async fn inventory() {
    let issuer = Issuer::start().await;
    let app = App::inventory_for(&issuer).await;
    let mut scenario = Scenario::new("inventory", &issuer);
    app.put("stock_room", "MS20470AD4-6", 12).await;
    app.put("stock_room", "65-70342-1", 1).await;
    app.put("bins_inventory", "NAS1801-3-8", 40).await;
    app.put("terra", "TRT-250D", 2).await;
    scenario.send(&app, "searchParts", "GET", "/api/inventory/search?partNumber=ms20470ad4").await;
    scenario.send(&app, "takeStock", "POST", "/api/inventory/decrement").await;
    scenario.send(&app, "addStock", "POST", "/api/inventory/increment").await;
    scenario.send(&app, "adjustStock", "POST", "/api/inventory/adjust").await;
    scenario.send(&app, "listTransactions", "GET", "/api/inventory/transactions?limit=2").await;
    scenario.send(&app, "listLowStock", "GET", "/api/inventory/low-stock?threshold=5").await;
    scenario.send(&app, "listStockRoom", "GET", "/api/inventory/stock-room?location=A-12&search=65-").await;
    scenario.send(&app, "listBins", "GET", "/api/inventory/bins?search=nas").await;
    scenario.send(&app, "listTable", "GET", "/api/inventory/table/terra").await;
    scenario.send(&app, "exportParts", "GET", "/api/inventory/export?tableName=terra").await;
    scenario.send(&app, "listTables", "GET", "/api/inventory/tables").await;
    scenario.send(&app, "getInventoryStats", "GET", "/api/inventory/stats").await;
    scenario.finish();
}

#[tokio::test]
async fn assistant() {
    let issuer = Issuer::start().await;
    let options = Options { http: issuer.config(clock()), ..Options::default() };
    let anthropic = FakeAnthropic::start([Script::message("RO38472 is overdue by three days.")]).await;
    let assistant = Assistant::with(anthropic, options).await;
    let mut scenario = Scenario::new("ai", &issuer);
    scenario.send(&assistant.app, "chat", "POST", "/api/ai/chat").await;
    scenario.send(&assistant.app, "getAssistantHealth", "GET", "/api/ai/health").await;
    scenario.send(&assistant.app, "clearRateLimit", "POST", "/api/ai/clear-rate-limit").await;
    scenario.finish();
}

#[tokio::test]
async fn conversation_logs() {
    let issuer = Issuer::start().await;
    let app = App::ai_logs_for(&issuer).await;
    let mut scenario = Scenario::new("ai-logs", &issuer);
    scenario.send(&app, "createLog", "POST", "/api/ai-logs").await;
    scenario.send(&app, "listLogs", "GET", "/api/ai-logs").await;
    scenario.send(&app, "getConversation", "GET", "/api/ai-logs/conversation/conv-abc-123").await;
    scenario.send(&app, "getLogStats", "GET", "/api/ai-logs/stats").await;
    scenario.send(&app, "getUsage", "GET", "/api/ai-logs/usage").await;
    scenario.send(&app, "deleteLog", "DELETE", "/api/ai-logs/1").await;
    app.send_as(&scenario.token, "POST", "/api/ai-logs", &scenario.written["createLog"]["request"]).await.expect(201);
    scenario.send(&app, "deleteLogsOfUser", "DELETE", &format!("/api/ai-logs/user/{SUBJECT}")).await;
    scenario.finish();
}
