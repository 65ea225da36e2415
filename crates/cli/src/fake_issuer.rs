//! A fake OpenID Connect issuer for `cargo dev --auth` and the tests. It signs tokens for any subject and roles without
//! authentication.

use std::{net::Ipv4Addr, sync::Arc};

use anyhow::{Context, Result};
use app_core::clock::Clock;
use axum::{
    Router,
    extract::{RawQuery, State},
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
    routing::get,
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use reqwest::Url;
use ring::{
    rand::SystemRandom,
    rsa::PublicKeyComponents,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair, RSA_PKCS1_SHA256, RsaKeyPair},
};
use serde_json::{Value, json};
use tokio::{net::TcpListener, task::AbortHandle};

/// The audience of the issuer's tokens.
pub const AUDIENCE: &str = "ro-tracker";

/// The role of administrators.
pub const ADMIN_ROLE: &str = "administrator";

/// The lifetime of the issuer's tokens.
const LIFETIME_SECONDS: i64 = 8 * 60 * 60;

/// A private key that signs tokens.
#[derive(Debug)]
pub struct SigningKey {
    id: String,
    pair: Pair,
}

#[derive(Debug)]
enum Pair {
    Es256(EcdsaKeyPair),
    Rs256(RsaKeyPair),
}

impl SigningKey {
    /// Generates a key for ES256.
    ///
    /// # Errors
    /// When the system's random number generator fails.
    pub fn es256(id: &str) -> Result<Self> {
        let (random, curve) = (SystemRandom::new(), &ECDSA_P256_SHA256_FIXED_SIGNING);
        let key = EcdsaKeyPair::generate_pkcs8(curve, &random).ok().context("no key can be generated")?;
        let pair = EcdsaKeyPair::from_pkcs8(curve, key.as_ref(), &random).ok().context("a new key cannot be read")?;
        Ok(Self { id: id.to_owned(), pair: Pair::Es256(pair) })
    }

    /// Parses a key for RS256 from PKCS#8, because ring cannot generate RSA keys.
    ///
    /// # Errors
    /// When `pkcs8` is not an RSA key.
    pub fn rs256(id: &str, pkcs8: &[u8]) -> Result<Self> {
        let pair = RsaKeyPair::from_pkcs8(pkcs8).ok().context("this is not an RSA key")?;
        Ok(Self { id: id.to_owned(), pair: Pair::Rs256(pair) })
    }

    /// Returns the name of the key's signature algorithm.
    pub fn algorithm(&self) -> &'static str {
        match self.pair {
            Pair::Es256(_) => "ES256",
            Pair::Rs256(_) => "RS256",
        }
    }

    /// Returns the public key as a JSON Web Key.
    pub fn jwk(&self) -> Value {
        let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let mut jwk = match &self.pair {
            Pair::Es256(pair) => {
                // An uncompressed point: 0x04, x, y.
                let point = pair.public_key().as_ref();
                json!({ "kty": "EC", "crv": "P-256", "x": encode(&point[1..33]), "y": encode(&point[33..]) })
            }
            Pair::Rs256(pair) => {
                let PublicKeyComponents { n, e } = PublicKeyComponents::<Vec<u8>>::from(pair.public());
                json!({ "kty": "RSA", "n": encode(&n), "e": encode(&e) })
            }
        };
        jwk["kid"] = json!(self.id);
        jwk["use"] = json!("sig");
        jwk
    }

    /// Signs a token with these claims.
    ///
    /// # Errors
    /// When signing fails.
    pub fn sign(&self, claims: &Value) -> Result<String> {
        self.sign_with(&json!({ "alg": self.algorithm(), "typ": "JWT", "kid": self.id }), claims)
    }

    /// Signs a token with these claims and this header, which is not checked.
    ///
    /// # Errors
    /// When signing fails.
    pub fn sign_with(&self, header: &Value, claims: &Value) -> Result<String> {
        let [header, claims] = [header, claims].map(|part| URL_SAFE_NO_PAD.encode(part.to_string()));
        let message = format!("{header}.{claims}");
        let random = SystemRandom::new();
        let signature = match &self.pair {
            Pair::Es256(pair) => pair.sign(&random, message.as_bytes()).map(|signature| signature.as_ref().to_vec()),
            Pair::Rs256(pair) => {
                let mut signature = vec![0; pair.public().modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &random, message.as_bytes(), &mut signature).map(|()| signature)
            }
        };
        let signature = signature.ok().context("a token cannot be signed")?;
        Ok(format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }
}

/// Returns the discovery document of the issuer at `url`.
pub fn discovery(url: &str) -> Value {
    json!({
        "issuer": url, "jwks_uri": format!("{url}/keys"), "authorization_endpoint": format!("{url}/authorize"),
        "response_types_supported": ["id_token"], "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["RS256", "ES256"],
    })
}

/// Returns the claims of a token of the issuer at `url` for `subject`, valid from now for eight hours.
pub fn claims(url: &str, subject: &str, roles: &[String]) -> Value {
    let now = Clock::system(chrono_tz::Tz::UTC).now().timestamp();
    json!({
        "iss": url, "aud": AUDIENCE, "sub": subject, "roles": roles,
        "iat": now, "nbf": now, "exp": now + LIFETIME_SECONDS,
    })
}

/// A running issuer. Dropping this stops it.
pub struct FakeIssuer {
    /// The value for `AUTH_ISSUER`.
    pub url: String,
    server: AbortHandle,
}

struct Issuer {
    url: String,
    key: SigningKey,
}

impl FakeIssuer {
    /// Starts an issuer with a new key on a free port of this machine.
    ///
    /// # Errors
    /// When no port can be bound.
    pub async fn start() -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.context("no port is free")?;
        let url = format!("http://{}", listener.local_addr()?);
        let issuer = Arc::new(Issuer { url: url.clone(), key: SigningKey::es256("cargo-dev")? });
        let routes = Router::new()
            .route(
                "/.well-known/openid-configuration",
                get(async |State(issuer): State<Arc<Issuer>>| json(&discovery(&issuer.url))),
            )
            .route("/keys", get(async |State(issuer): State<Arc<Issuer>>| json(&json!({ "keys": [issuer.key.jwk()] }))))
            .route("/token", get(token))
            .with_state(issuer);
        let server = tokio::spawn(async move { axum::serve(listener, routes).await }).abort_handle();
        Ok(Self { url, server })
    }
}

impl Drop for FakeIssuer {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// Handles `GET /token?sub=…&role=…&role=…` and returns a token as text.
async fn token(State(issuer): State<Arc<Issuer>>, RawQuery(query): RawQuery) -> String {
    let (mut subject, mut roles) = ("me".to_owned(), Vec::new());
    if let Ok(url) = Url::parse(&format!("{}?{}", issuer.url, query.unwrap_or_default())) {
        for (name, value) in url.query_pairs() {
            match &*name {
                "sub" => subject = value.into_owned(),
                "role" => roles.push(value.into_owned()),
                _ => {}
            }
        }
    }
    let token = issuer.key.sign(&claims(&issuer.url, &subject, &roles));
    token.unwrap_or_else(|error| format!("{error:#}"))
}

fn json(document: &Value) -> Response {
    ([(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))], document.to_string()).into_response()
}
