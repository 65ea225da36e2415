//! An issuer of tokens: a real discovery document and a real key set over HTTP, with real keys. It counts who asks, changes
//! its keys and falls silent when told to.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use app_core::{
    auth::{AuthConfig, Authentication, IssuerConfig},
    clock::Clock,
    config::HttpConfig,
};
use axum::{
    Router,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Redirect, Response},
    routing::get,
};
use rotracker_cli::fake_issuer::{self, SigningKey, discovery};
use serde_json::{Value, json};
use tokio::{net::TcpListener, task::AbortHandle};

use crate::app::http_config;

/// Whom tokens must be for.
pub const AUDIENCE: &str = "api://ro-tracker";

/// The role of administrators.
pub const ADMIN_ROLE: &str = "RoTracker.Admin";

/// A running issuer, which ends when it is dropped.
pub struct Issuer {
    /// What `AUTH_ISSUER` must be.
    pub url: String,
    served: Arc<Served>,
    server: AbortHandle,
}

struct Served {
    url: String,
    keys: Mutex<BTreeMap<String, Arc<SigningKey>>>,
    is_down: AtomicBool,
    is_silent: AtomicBool,
    discoveries: AtomicUsize,
    /// Where the set of keys is said to be now.
    moved_to: Mutex<Option<String>>,
    fetches: AtomicUsize,
}

/// A key for RS256; ring makes none, so that two are kept beside this file. They are for tests and open nothing.
pub fn rsa(id: &str, pkcs8: &[u8]) -> SigningKey {
    SigningKey::rs256(id, pkcs8).expect("an RSA key")
}

/// The first of the two.
pub const RSA_ONE: &[u8] = include_bytes!("keys/rsa-one.pk8");

/// The second of the two.
pub const RSA_TWO: &[u8] = include_bytes!("keys/rsa-two.pk8");

impl Issuer {
    /// An issuer with a key for RS256, `rsa`, and one for ES256, `ec`.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
        let url = format!("http://{}", listener.local_addr().expect("a bound socket has an address"));
        let served = Arc::new(Served {
            url: url.clone(),
            keys: Mutex::default(),
            is_down: AtomicBool::new(false),
            is_silent: AtomicBool::new(false),
            discoveries: AtomicUsize::new(0),
            moved_to: Mutex::default(),
            fetches: AtomicUsize::new(0),
        });
        let routes = Router::new()
            .route("/.well-known/openid-configuration", get(configuration))
            .route("/keys", get(keys))
            .with_state(served.clone());
        let server = tokio::spawn(async move { axum::serve(listener, routes).await }).abort_handle();
        let issuer = Self { url, served, server };
        issuer.publish("rsa", rsa("rsa", RSA_ONE));
        issuer.publish("ec", SigningKey::es256("ec").expect("a key"));
        issuer
    }

    /// Adds a key to the set.
    pub fn publish(&self, id: &str, key: SigningKey) {
        self.served.keys.lock().expect("not poisoned").insert(id.to_owned(), Arc::new(key));
    }

    /// Takes a key out of the set.
    pub fn withdraw(&self, id: &str) -> Arc<SigningKey> {
        self.served.keys.lock().expect("not poisoned").remove(id).expect("a published key")
    }

    /// A published key.
    pub fn key(&self, id: &str) -> Arc<SigningKey> {
        self.served.keys.lock().expect("not poisoned").get(id).expect("a published key").clone()
    }

    /// Answers nothing but 500, or answers again.
    pub fn set_down(&self, is_down: bool) {
        self.served.is_down.store(is_down, Ordering::SeqCst);
    }

    /// Answers nothing at all from now on.
    pub fn fall_silent(&self) {
        self.served.is_silent.store(true, Ordering::SeqCst);
    }

    /// How often the discovery document was asked for.
    pub fn discoveries(&self) -> usize {
        self.served.discoveries.load(Ordering::SeqCst)
    }

    /// Answers who asks for the set of keys that it is at `other`, from now on.
    pub fn redirect_to(&self, other: &Self) {
        *self.served.moved_to.lock().expect("not poisoned") = Some(format!("{}/keys", other.url));
    }

    /// How often the set of keys was asked for.
    pub fn fetches(&self) -> usize {
        self.served.fetches.load(Ordering::SeqCst)
    }

    /// The claims of a valid token for `subject` with `fields` beside or instead of them; null takes one away.
    pub fn claims(&self, subject: &str, fields: Value) -> Value {
        let mut claims = fake_issuer::claims(&self.url, subject, &[]);
        claims["aud"] = json!(AUDIENCE);
        let Value::Object(fields) = fields else { panic!("claims are an object") };
        let all = claims.as_object_mut().expect("an object");
        all.extend(fields);
        all.retain(|_, claim| !claim.is_null());
        claims
    }

    /// A valid token for `subject`, with `fields` among its claims.
    pub fn token_with(&self, subject: &str, fields: Value) -> String {
        self.key("ec").sign(&self.claims(subject, fields)).expect("a token")
    }

    /// A valid token for `subject`.
    pub fn token(&self, subject: &str) -> String {
        self.token_with(subject, json!({}))
    }

    /// A valid token of an administrator.
    pub fn admin(&self, subject: &str) -> String {
        self.token_with(subject, json!({ "roles": [ADMIN_ROLE] }))
    }

    /// The configuration of a function that takes its tokens; `clock` says how old its keys are.
    pub fn config(&self, clock: Clock) -> HttpConfig {
        let config = IssuerConfig {
            issuer: self.url.clone(),
            accepted: vec![self.url.clone()],
            audiences: vec![AUDIENCE.to_owned(), "client-1".to_owned()],
            admin_role: Some(ADMIN_ROLE.to_owned()),
        };
        let auth = Authentication::new(AuthConfig::Issuer(config), clock).expect("TLS can be set up");
        HttpConfig { auth, ..http_config() }
    }

    /// The same as the environment of a real function.
    pub fn variables(&self) -> Vec<(&'static str, String)> {
        vec![
            ("AUTH_ISSUER", self.url.clone()),
            ("AUTH_AUDIENCE", AUDIENCE.to_owned()),
            ("AUTH_ADMIN_ROLE", ADMIN_ROLE.to_owned()),
        ]
    }
}

impl Drop for Issuer {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn configuration(State(issuer): State<Arc<Served>>) -> Response {
    issuer.discoveries.fetch_add(1, Ordering::SeqCst);
    if issuer.is_silent.load(Ordering::SeqCst) {
        std::future::pending::<()>().await;
    }
    issuer.respond(&discovery(&issuer.url))
}

async fn keys(State(issuer): State<Arc<Served>>) -> Response {
    issuer.fetches.fetch_add(1, Ordering::SeqCst);
    if let Some(other) = &*issuer.moved_to.lock().expect("not poisoned") {
        return Redirect::temporary(other).into_response();
    }
    let keys: Vec<Value> = issuer.keys.lock().expect("not poisoned").values().map(|key| key.jwk()).collect();
    // Kinds that nobody here knows must not spoil the others.
    let odd = [json!({ "kty": "OKP", "crv": "X448", "x": "AA", "kid": "odd" }), json!({ "kty": "new" }), json!(5)];
    let keys = [odd.as_slice(), &keys].concat();
    issuer.respond(&json!({ "keys": keys }))
}

impl Served {
    fn respond(&self, document: &Value) -> Response {
        if self.is_down.load(Ordering::SeqCst) {
            return StatusCode::INTERNAL_SERVER_ERROR.into_response();
        }
        document.to_string().into_response()
    }
}
