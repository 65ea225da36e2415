//! A token issuer with a real discovery document, key set and keys over HTTP. It counts requests, and can change its
//! keys, fail or stop responding.

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
    config::{Env, HttpConfig, Stage},
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

/// The audience that tokens must have.
pub const AUDIENCE: &str = "api://ro-tracker";

/// The role of administrators.
pub const ADMIN_ROLE: &str = "RoTracker.Admin";

/// A running issuer; dropping it stops the server.
pub struct Issuer {
    /// The value for `AUTH_ISSUER`.
    pub url: String,
    served: Arc<Served>,
    server: AbortHandle,
}

struct Served {
    url: String,
    keys: Mutex<BTreeMap<String, Arc<SigningKey>>>,
    is_down: AtomicBool,
    is_silent: AtomicBool,
    has_unnamed_keys: AtomicBool,
    discoveries: AtomicUsize,
    /// The URL that requests for the key set are redirected to.
    moved_to: Mutex<Option<String>>,
    fetches: AtomicUsize,
}

/// Reads an RS256 key. ring cannot generate RSA keys, so two test keys are kept beside this file.
pub fn rsa(id: &str, pkcs8: &[u8]) -> SigningKey {
    SigningKey::rs256(id, pkcs8).expect("an RSA key")
}

/// The first RSA test key.
pub const RSA_ONE: &[u8] = include_bytes!("keys/rsa-one.pk8");

/// The second RSA test key.
pub const RSA_TWO: &[u8] = include_bytes!("keys/rsa-two.pk8");

impl Issuer {
    /// Starts an issuer with an RS256 key `rsa` and an ES256 key `ec`.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
        let url = format!("http://{}", listener.local_addr().expect("a bound socket has an address"));
        let served = Arc::new(Served {
            url: url.clone(),
            keys: Mutex::default(),
            is_down: AtomicBool::new(false),
            is_silent: AtomicBool::new(false),
            has_unnamed_keys: AtomicBool::new(false),
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

    /// Adds a key to the key set.
    pub fn publish(&self, id: &str, key: SigningKey) {
        self.served.keys.lock().expect("not poisoned").insert(id.to_owned(), Arc::new(key));
    }

    /// Removes a key from the key set.
    pub fn withdraw(&self, id: &str) -> Arc<SigningKey> {
        self.served.keys.lock().expect("not poisoned").remove(id).expect("a published key")
    }

    /// Returns a published key.
    pub fn key(&self, id: &str) -> Arc<SigningKey> {
        self.served.keys.lock().expect("not poisoned").get(id).expect("a published key").clone()
    }

    /// Sets whether every request fails with 500.
    pub fn set_down(&self, is_down: bool) {
        self.served.is_down.store(is_down, Ordering::SeqCst);
    }

    /// Stops responding to requests for the discovery document.
    pub fn fall_silent(&self) {
        self.served.is_silent.store(true, Ordering::SeqCst);
    }

    /// Leaves the ids of keys out of the key set.
    pub fn leave_out_key_ids(&self) {
        self.served.has_unnamed_keys.store(true, Ordering::SeqCst);
    }

    /// Counts the requests for the discovery document.
    pub fn discoveries(&self) -> usize {
        self.served.discoveries.load(Ordering::SeqCst)
    }

    /// Redirects requests for the key set to `other`.
    pub fn redirect_to(&self, other: &Self) {
        *self.served.moved_to.lock().expect("not poisoned") = Some(format!("{}/keys", other.url));
    }

    /// Counts the requests for the key set.
    pub fn fetches(&self) -> usize {
        self.served.fetches.load(Ordering::SeqCst)
    }

    /// The claims of a valid token for `subject`, extended or overridden by `fields`; a null removes a claim.
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

    /// The configuration of a function that accepts these tokens. The age of cached keys is read from `clock`.
    pub fn config(&self, clock: Clock) -> HttpConfig {
        self.config_of(&self.variables(), clock)
    }

    /// The configuration of a function with these variables. Keys are this issuer's, also where `AUTH_ISSUER` is another.
    pub fn config_of(&self, variables: &[(&str, String)], clock: Clock) -> HttpConfig {
        let mut env: Env = variables.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
        let stage = Stage::read(&mut env);
        let config = AuthConfig::read(&mut env, stage, false);
        let Ok(AuthConfig::Issuer(config)) = env.finish(config) else { panic!("no issuer in {variables:?}") };
        let config = IssuerConfig { issuer: self.url.clone(), ..config };
        let auth = Authentication::new(AuthConfig::Issuer(config), clock).expect("TLS can be set up");
        HttpConfig { auth, ..http_config() }
    }

    /// The environment variables of a function that accepts these tokens.
    pub fn variables(&self) -> Vec<(&'static str, String)> {
        vec![
            ("AUTH_ISSUER", self.url.clone()),
            ("AUTH_AUDIENCE", format!("{AUDIENCE}, client-1")),
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
    let mut keys: Vec<Value> = issuer.keys.lock().expect("not poisoned").values().map(|key| key.jwk()).collect();
    if issuer.has_unnamed_keys.load(Ordering::SeqCst) {
        for key in keys.iter_mut().filter_map(Value::as_object_mut) {
            key.remove("kid");
        }
    }
    // Unknown kinds of keys must not affect the others.
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
