//! Calls the functions' routers without a network.

use std::ops::{Deref, DerefMut};

use ai_logs::AiLogsState;
use app_core::{
    clock::Clock,
    config::HttpConfig,
    db::{Connection, Pool},
    http::with_layers,
    lambda::Delivery,
};
use axum::{Router, body::Body, routing::any};
use chrono::DateTime;
use http::{HeaderMap, Method, Request, StatusCode, header};
use http_body_util::BodyExt;
use inventory::InventoryState;
use ros::RosState;
use serde_json::{Value, json};
use sqlx::MySqlConnection;
use tower::ServiceExt;

use crate::{TestDatabase, issuer::Issuer};

/// A function with a database of its own; its clock stands at noon on 15 November 2024.
pub struct App {
    /// The router that the Lambda serves, with all layers.
    pub router: Router,
    /// The handlers' connection pool.
    pub pool: Pool,
    /// The clock that the handlers read.
    pub clock: Clock,
    pub database: TestDatabase,
}

/// A complete response.
#[derive(Debug)]
pub struct TestResponse {
    pub status: StatusCode,
    pub headers: HeaderMap,
    /// The body as sent, possibly compressed.
    pub bytes: Vec<u8>,
}

impl TestResponse {
    /// Parses the body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.bytes)
            .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&self.bytes)))
    }

    /// Asserts the status and returns the body as JSON.
    #[track_caller]
    pub fn expect(self, status: u16) -> Value {
        assert_eq!(self.status.as_u16(), status, "{}", String::from_utf8_lossy(&self.bytes));
        self.json()
    }

    /// Returns the order from a `GET` without `statusHistory`, which other responses do not have.
    #[track_caller]
    pub fn expect_order(self) -> Value {
        let mut order = self.expect(200);
        let steps = order.as_object_mut().and_then(|order| order.remove("statusHistory"));
        assert!(steps.is_some_and(|steps| steps.is_array()), "{order}");
        order
    }

    /// Asserts the status and the common error format, and returns the message.
    #[track_caller]
    pub fn expect_error(self, status: u16) -> String {
        let body = self.expect(status);
        assert!(body["error"].is_string(), "{body}");
        body["message"].as_str().unwrap_or_else(|| panic!("no message: {body}")).to_owned()
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().expect("headers are text"))
    }
}

/// The HTTP configuration that most tests use.
pub fn http_config() -> HttpConfig {
    HttpConfig::local(vec!["https://repairs.example".parse().expect("an origin is a header value")])
}

/// A clock that stands at noon on Friday, 15 November 2024.
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

    /// `ros` on a new database, with the time zone of a business in New York. Its clock stands at `instant`.
    pub async fn start_in_new_york(instant: &str) -> Self {
        let database = TestDatabase::migrated().await;
        let pool = database.large_pool();
        let clock = Clock::standing_at(instant.parse().expect("an instant"), chrono_tz::America::New_York);
        Self::new(ros::router(RosState::new(pool.clone(), clock.clone()), false), clock, database, pool)
    }

    /// `ros` with the given pool.
    pub fn on(database: TestDatabase, pool: Pool) -> Self {
        let clock = clock();
        Self::new(ros::router(RosState::new(pool.clone(), clock.clone()), false), clock, database, pool)
    }

    /// `ros` on a new database, with tokens of `issuer`. The key cache reads the same clock.
    pub async fn start_for(issuer: &Issuer) -> Self {
        let database = TestDatabase::migrated().await;
        let (pool, clock) = (database.large_pool(), clock());
        let routes = ros::router(RosState::new(pool.clone(), clock.clone()), false);
        Self::with(&issuer.config(clock.clone()), routes, clock, database, pool)
    }

    /// `inventory` on a new database, with tokens of `issuer`.
    pub async fn inventory_for(issuer: &Issuer) -> Self {
        let database = TestDatabase::inventory().await;
        let (pool, clock) = (database.large_pool(), clock());
        let routes = inventory::router(InventoryState::new(pool.clone(), clock.clone()), false);
        Self::with(&issuer.config(clock.clone()), routes, clock, database, pool)
    }

    /// `ai-logs` on a new database, with tokens of `issuer`.
    pub async fn ai_logs_for(issuer: &Issuer) -> Self {
        Self::ai_logs_with(&issuer.config(clock())).await
    }

    /// `ai-logs` on a new database, with this configuration.
    pub async fn ai_logs_with(config: &HttpConfig) -> Self {
        let database = TestDatabase::migrated().await;
        let (pool, clock) = (database.large_pool(), clock());
        let routes = ai_logs::router(AiLogsState { db: pool.clone(), clock: clock.clone() });
        Self::with(config, routes, clock, database, pool)
    }

    /// `inventory` on a new database.
    pub async fn inventory() -> Self {
        let database = TestDatabase::inventory().await;
        let pool = database.large_pool();
        Self::inventory_on(database, pool)
    }

    /// `inventory` on a new database, with an instance for each request, as on Lambda. They share their connections.
    pub async fn inventory_instances() -> Self {
        let database = TestDatabase::inventory().await;
        let (pool, clock) = (database.large_pool(), clock());
        let (instance_pool, instance_clock) = (pool.clone(), clock.clone());
        let respond = move |request: Request<Body>| {
            let state = InventoryState::new(instance_pool.clone(), instance_clock.clone());
            inventory::router(state, false).oneshot(request)
        };
        let routes = Router::new().route("/{*path}", any(respond));
        Self::new(routes, clock, database, pool)
    }

    /// `inventory` with the given pool.
    pub fn inventory_on(database: TestDatabase, pool: Pool) -> Self {
        let clock = clock();
        let state = InventoryState::new(pool.clone(), clock.clone());
        Self::new(inventory::router(state, false), clock, database, pool)
    }

    /// `ai-logs` on a new database.
    pub async fn ai_logs() -> Self {
        let database = TestDatabase::migrated().await;
        let pool = database.large_pool();
        Self::ai_logs_on(database, pool)
    }

    /// `ai-logs` with the given pool.
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

    /// Sends a request with the bearer token `token`; a `body` of null sends no body.
    pub async fn send_as(&self, token: &str, method: &str, path: &str, body: &Value) -> TestResponse {
        let request = Request::builder().method(method).uri(path).header(header::AUTHORIZATION, bearer(token));
        let request = match body {
            Value::Null => request.body(Body::empty()),
            body => request.header(header::CONTENT_TYPE, "application/json").body(Body::from(body.to_string())),
        };
        self.send(request.expect("a request")).await
    }

    /// Sends a `GET` with the bearer token `token`.
    pub async fn get_as(&self, token: &str, path: &str) -> TestResponse {
        self.send_as(token, "GET", path, &Value::Null).await
    }

    /// Takes a connection from the handlers' pool.
    pub async fn connection(&self) -> PooledConnection {
        acquire(&self.pool).await
    }

    /// Sends `request` and reads the whole response.
    pub async fn send(&self, request: Request<Body>) -> TestResponse {
        let response = self.router.clone().oneshot(request).await.expect("the router does not fail");
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.expect("the response is complete").to_bytes().to_vec();
        TestResponse { status: parts.status, headers: parts.headers, bytes }
    }

    /// Sends a request with a JSON body.
    pub async fn send_json(&self, method: Method, path: &str, body: &Value) -> TestResponse {
        self.send_text(method, path, body.to_string()).await
    }

    /// Sends a request with `Content-Type: application/json` and any body.
    pub async fn send_text(&self, method: Method, path: &str, body: impl Into<Body>) -> TestResponse {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::CONTENT_TYPE, "application/json")
            .body(body.into())
            .expect("a request");
        self.send(request).await
    }

    /// Sends a request with headers and an optional JSON body.
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

    /// Sends a `POST` with JSON and an `Idempotency-Key`.
    pub async fn post_once(&self, key: &str, path: &str, body: &Value) -> TestResponse {
        self.send_with(Method::POST, path, &[("idempotency-key", key)], Some(body)).await
    }

    pub async fn get(&self, path: &str) -> TestResponse {
        self.send(Request::get(path).body(Body::empty()).expect("a request")).await
    }

    pub async fn post(&self, path: &str, body: &Value) -> TestResponse {
        self.send_json(Method::POST, path, body).await
    }

    pub async fn patch(&self, path: &str, body: &Value) -> TestResponse {
        self.send_json(Method::PATCH, path, body).await
    }

    pub async fn delete(&self, path: &str) -> TestResponse {
        self.send(Request::delete(path).body(Body::empty()).expect("a request")).await
    }

    /// Creates an active order with this number and returns it.
    pub async fn create(&self, number: &str) -> Value {
        self.create_with(json!({ "roNumber": number })).await
    }

    /// Creates an order with `fields` added to the required ones, and returns it.
    pub async fn create_with(&self, fields: Value) -> Value {
        self.post("/api/ros", &new_order(fields)).await.expect(201)
    }

    /// Reads all orders from the database, as (table, id, number) by id.
    pub async fn rows(&self) -> Vec<(String, i64, String)> {
        let sql = "SELECT 'active', id, RO FROM active UNION ALL SELECT 'paid', id, RO FROM paid UNION ALL \
                   SELECT 'net', id, RO FROM net UNION ALL SELECT 'returns', id, RO FROM `returns` ORDER BY 2";
        sqlx::query_as(sql).fetch_all(&mut *self.connection().await).await.expect("the tables can be read")
    }
}

/// The `Authorization` header for `token`.
pub fn bearer(token: &str) -> String {
    format!("Bearer {token}")
}

/// The body of a `POST`: the four required fields, extended or overridden by `fields`.
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

/// The path of `order` by its id.
pub fn path_of(order: &Value) -> String {
    format!("/api/ros/{}", order["id"].as_str().expect("an id is a string"))
}

/// The path of an order by its number.
pub fn path_by_number(number: &str) -> String {
    format!("/api/ros/by-number/{}", encoded(number))
}

/// Percent-encodes `text` for a path or a query.
pub fn encoded(text: &str) -> String {
    percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
}

/// A connection that is returned to its pool on drop.
pub struct PooledConnection(Option<Connection>);

/// Takes a connection from `pool`.
pub async fn acquire(pool: &Pool) -> PooledConnection {
    PooledConnection(Some(pool.acquire().await.expect("the database can be reached")))
}

impl Deref for PooledConnection {
    type Target = MySqlConnection;

    fn deref(&self) -> &MySqlConnection {
        self.0.as_deref().expect("only drop returns the connection")
    }
}

impl DerefMut for PooledConnection {
    fn deref_mut(&mut self) -> &mut MySqlConnection {
        self.0.as_deref_mut().expect("only drop returns the connection")
    }
}

impl Drop for PooledConnection {
    fn drop(&mut self) {
        if let Some(connection) = self.0.take() {
            connection.release();
        }
    }
}
