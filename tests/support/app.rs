//! The functions' routers, called without a network.

use std::ops::{Deref, DerefMut};

use ai_logs::AiLogsState;
use app_core::{
    clock::Clock,
    config::HttpConfig,
    db::{Connection, Pool},
    http::with_layers,
    lambda::Delivery,
};
use axum::{Router, body::Body};
use chrono::DateTime;
use http::{HeaderMap, Method, Request, StatusCode, header};
use http_body_util::BodyExt;
use inventory::InventoryState;
use ros::RosState;
use serde_json::{Value, json};
use sqlx::MySqlConnection;
use tower::ServiceExt;

use crate::{TestDatabase, issuer::Issuer};

/// A function on a database of its own, on 15 November 2024 at noon.
pub struct App {
    /// The layers and routes that the Lambda serves.
    pub router: Router,
    /// The pool that the handlers use.
    pub pool: Pool,
    /// What the handlers take for the time.
    pub clock: Clock,
    /// The database behind it.
    pub database: TestDatabase,
}

/// An answer, read to its end.
#[derive(Debug)]
pub struct TestResponse {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body as it was sent.
    pub bytes: Vec<u8>,
}

impl TestResponse {
    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.bytes)
            .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&self.bytes)))
    }

    /// The body as JSON, of an answer that must have `status`.
    #[track_caller]
    pub fn expect(self, status: u16) -> Value {
        assert_eq!(self.status.as_u16(), status, "{}", String::from_utf8_lossy(&self.bytes));
        self.json()
    }

    /// The order that the answer to a GET shows, as other answers show it: without the steps of its status.
    #[track_caller]
    pub fn expect_order(self) -> Value {
        let mut order = self.expect(200);
        let steps = order.as_object_mut().and_then(|order| order.remove("statusHistory"));
        assert!(steps.is_some_and(|steps| steps.is_array()), "{order}");
        order
    }

    /// Asserts an error answer of our shape, and returns its message.
    #[track_caller]
    pub fn expect_error(self, status: u16) -> String {
        let body = self.expect(status);
        assert!(body["error"].is_string(), "{body}");
        body["message"].as_str().unwrap_or_else(|| panic!("no message: {body}")).to_owned()
    }

    /// A header's value.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().expect("headers are text"))
    }
}

/// The configuration of the tests' dashboard.
pub fn http_config() -> HttpConfig {
    HttpConfig::local(vec!["https://repairs.example".parse().expect("an origin is a header value")])
}

/// Noon of a Friday.
pub fn clock() -> Clock {
    let noon: DateTime<chrono::Utc> = "2024-11-15T12:00:00Z".parse().expect("an instant");
    Clock::standing_at(noon, chrono_tz::Tz::UTC)
}

impl App {
    /// `ros` on a new database.
    pub async fn start() -> Self {
        let database = TestDatabase::migrated().await;
        let pool = database.large_pool();
        Self::on(database, pool)
    }

    /// `ros` on a pool made elsewhere.
    pub fn on(database: TestDatabase, pool: Pool) -> Self {
        let clock = clock();
        Self::new(ros::router(RosState::new(pool.clone(), clock.clone())), clock, database, pool)
    }

    /// `ros` on a new database, for bearers of tokens of `issuer`; its clock also says how old the issuer's keys are.
    pub async fn start_for(issuer: &Issuer) -> Self {
        let database = TestDatabase::migrated().await;
        let (pool, clock) = (database.large_pool(), clock());
        let routes = ros::router(RosState::new(pool.clone(), clock.clone()));
        Self::with(&issuer.config(clock.clone()), routes, clock, database, pool)
    }

    /// `inventory` on a new database, for bearers of tokens of `issuer`.
    pub async fn inventory_for(issuer: &Issuer) -> Self {
        let database = TestDatabase::inventory().await;
        let (pool, clock) = (database.large_pool(), clock());
        let routes = inventory::router(InventoryState { db: pool.clone(), clock: clock.clone() });
        Self::with(&issuer.config(clock.clone()), routes, clock, database, pool)
    }

    /// `ai-logs` on a new database, for bearers of tokens of `issuer`.
    pub async fn ai_logs_for(issuer: &Issuer) -> Self {
        let database = TestDatabase::migrated().await;
        let (pool, clock) = (database.large_pool(), clock());
        let routes = ai_logs::router(AiLogsState { db: pool.clone(), clock: clock.clone() });
        Self::with(&issuer.config(clock.clone()), routes, clock, database, pool)
    }

    /// `inventory` on a new database.
    pub async fn inventory() -> Self {
        let database = TestDatabase::inventory().await;
        let pool = database.large_pool();
        Self::inventory_on(database, pool)
    }

    /// `inventory` on a pool made elsewhere.
    pub fn inventory_on(database: TestDatabase, pool: Pool) -> Self {
        let clock = clock();
        let state = InventoryState { db: pool.clone(), clock: clock.clone() };
        Self::new(inventory::router(state), clock, database, pool)
    }

    /// `ai-logs` on a new database.
    pub async fn ai_logs() -> Self {
        let database = TestDatabase::migrated().await;
        let pool = database.large_pool();
        Self::ai_logs_on(database, pool)
    }

    /// `ai-logs` on a pool made elsewhere.
    pub fn ai_logs_on(database: TestDatabase, pool: Pool) -> Self {
        let clock = clock();
        let state = AiLogsState { db: pool.clone(), clock: clock.clone() };
        Self::new(ai_logs::router(state), clock, database, pool)
    }

    fn new(routes: Router, clock: Clock, database: TestDatabase, pool: Pool) -> Self {
        Self::with(&http_config(), routes, clock, database, pool)
    }

    fn with(config: &HttpConfig, routes: Router, clock: Clock, database: TestDatabase, pool: Pool) -> Self {
        let router = with_layers(routes, config, Delivery::Streaming);
        Self { router, pool, clock, database }
    }

    /// Sends a request as the bearer of `token`, with a JSON body unless that is null.
    pub async fn send_as(&self, token: &str, method: &str, path: &str, body: &Value) -> TestResponse {
        let request = Request::builder().method(method).uri(path).header(header::AUTHORIZATION, bearer(token));
        let request = match body {
            Value::Null => request.body(Body::empty()),
            body => request.header(header::CONTENT_TYPE, "application/json").body(Body::from(body.to_string())),
        };
        self.send(request.expect("a request")).await
    }

    /// `GET` as the bearer of `token`.
    pub async fn get_as(&self, token: &str, path: &str) -> TestResponse {
        self.send_as(token, "GET", path, &Value::Null).await
    }

    /// A connection of the handlers' pool, to look with.
    pub async fn connection(&self) -> PooledConnection {
        borrow(&self.pool).await
    }

    /// Sends any request.
    pub async fn send(&self, request: Request<Body>) -> TestResponse {
        let response = self.router.clone().oneshot(request).await.expect("the router does not fail");
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.expect("the answer is complete").to_bytes().to_vec();
        TestResponse { status: parts.status, headers: parts.headers, bytes }
    }

    /// Sends a request with a JSON body.
    pub async fn send_json(&self, method: Method, path: &str, body: &Value) -> TestResponse {
        self.send_text(method, path, body.to_string()).await
    }

    /// Sends a request whose body is said to be JSON.
    pub async fn send_text(&self, method: Method, path: &str, body: impl Into<Body>) -> TestResponse {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::CONTENT_TYPE, "application/json")
            .body(body.into())
            .expect("a request");
        self.send(request).await
    }

    /// Sends a request with headers and, if there is one, a JSON body.
    pub async fn send_with(
        &self,
        method: Method,
        path: &str,
        headers: &[(&'static str, &str)],
        body: Option<&Value>,
    ) -> TestResponse {
        let mut request = Request::builder().method(method).uri(path).header(header::CONTENT_TYPE, "application/json");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let body = body.map_or_else(Body::empty, |body| Body::from(body.to_string()));
        self.send(request.body(body).expect("a request")).await
    }

    /// `POST` with JSON and an `Idempotency-Key`.
    pub async fn post_once(&self, key: &str, path: &str, body: &Value) -> TestResponse {
        self.send_with(Method::POST, path, &[("idempotency-key", key)], Some(body)).await
    }

    /// `GET`.
    pub async fn get(&self, path: &str) -> TestResponse {
        self.send(Request::get(path).body(Body::empty()).expect("a request")).await
    }

    /// `POST` with JSON.
    pub async fn post(&self, path: &str, body: &Value) -> TestResponse {
        self.send_json(Method::POST, path, body).await
    }

    /// `PATCH` with JSON.
    pub async fn patch(&self, path: &str, body: &Value) -> TestResponse {
        self.send_json(Method::PATCH, path, body).await
    }

    /// `DELETE`.
    pub async fn delete(&self, path: &str) -> TestResponse {
        self.send(Request::delete(path).body(Body::empty()).expect("a request")).await
    }

    /// Creates an active order with that number, and returns it.
    pub async fn create(&self, number: &str) -> Value {
        self.create_with(json!({ "roNumber": number })).await
    }

    /// Creates an order with `fields` beside what is required, and returns it.
    pub async fn create_with(&self, fields: Value) -> Value {
        self.post("/api/ros", &new_order(fields)).await.expect(201)
    }

    /// The ids and tables of all rows, straight from the database.
    pub async fn rows(&self) -> Vec<(String, i64, String)> {
        let sql = "SELECT 'active', id, RO FROM active UNION ALL SELECT 'paid', id, RO FROM paid UNION ALL \
                   SELECT 'net', id, RO FROM net UNION ALL SELECT 'returns', id, RO FROM `returns` ORDER BY 2";
        sqlx::query_as(sql).fetch_all(&mut *self.connection().await).await.expect("the tables can be read")
    }
}

/// The value of the header that carries `token`.
pub fn bearer(token: &str) -> String {
    format!("Bearer {token}")
}

/// The body of a POST: `fields` and, unless they are among them, the four required ones.
pub fn new_order(fields: Value) -> Value {
    let mut order = json!({
        "roNumber": "RO38463",
        "shopName": "XYZ Repair Services",
        "partDescription": "Landing gear actuator",
        "currentStatus": "WAITING QUOTE",
    });
    let Value::Object(fields) = fields else { panic!("the fields of an order are an object") };
    order.as_object_mut().expect("an object").extend(fields);
    order
}

/// The path of an order by its id.
pub fn path_of(order: &Value) -> String {
    format!("/api/ros/{}", order["id"].as_str().expect("an id is a string"))
}

/// The path of an order by its number.
pub fn path_by_number(number: &str) -> String {
    format!("/api/ros/by-number/{}", encoded(number))
}

/// `text` as it may stand in a path or a query.
pub fn encoded(text: &str) -> String {
    percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
}

/// A connection of a pool, which is given back whatever happens.
pub struct PooledConnection(Option<Connection>);

/// A connection of `pool`, to look with.
pub async fn borrow(pool: &Pool) -> PooledConnection {
    PooledConnection(Some(pool.acquire().await.expect("the database can be reached")))
}

impl Deref for PooledConnection {
    type Target = MySqlConnection;

    fn deref(&self) -> &MySqlConnection {
        self.0.as_deref().expect("it is not given back")
    }
}

impl DerefMut for PooledConnection {
    fn deref_mut(&mut self) -> &mut MySqlConnection {
        self.0.as_deref_mut().expect("it is not given back")
    }
}

impl Drop for PooledConnection {
    fn drop(&mut self) {
        if let Some(connection) = self.0.take() {
            connection.release();
        }
    }
}
