//! Authentication by bearer tokens of an OpenID Connect issuer (Microsoft Entra ID, Amazon Cognito, Auth0, Okta, Keycloak). Every
//! function checks them, because REST APIs of API Gateway cannot.
//!
//! A token is a signed JWT. [`verify`] checks its signature with the issuer's public keys ([`keys`]) and its claims with the
//! configuration ([`config`]), and makes a [`Caller`](crate::http::Caller) of them.
//!
//! The legacy dashboard sends no token. Its requests show by a secret that they came through the proxy in front of it.

pub mod config;
mod crypto;
pub mod keys;
pub(crate) mod layer;
mod proxy;
pub mod verify;

use std::{fmt, sync::Arc};

pub use config::{AuthConfig, IssuerConfig};
pub use proxy::{PROXY_SECRET, ProxySecrets};
pub use verify::{TokenError, VerifyError};

use crate::{clock::Clock, http::Caller};
use keys::Keys;

/// Authenticates requests. Clones share the issuer's keys.
#[derive(Clone)]
pub struct Authentication(Arc<Policy>);

enum Policy {
    /// No authentication, because of `AUTH_MODE=none` or on a developer's machine.
    Off {
        on_purpose: bool,
    },
    /// No request is let in, because no issuer is configured.
    Missing,
    Issuer {
        config: IssuerConfig,
        keys: Keys,
    },
    /// Requests that carry a secret of the proxy are let in, as those of a caller without a name.
    Proxy(ProxySecrets),
    /// No request is let in, because the proxy's secret is not configured.
    MissingProxySecret,
}

impl Authentication {
    /// Creates it from the configuration. Nothing is connected yet.
    ///
    /// # Errors
    /// When the TLS library cannot be set up.
    pub fn new(config: AuthConfig, clock: Clock) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        Ok(Self(Arc::new(match config {
            AuthConfig::Off { on_purpose } => Policy::Off { on_purpose },
            AuthConfig::Missing => Policy::Missing,
            AuthConfig::Issuer(config) => Policy::Issuer { keys: Keys::new(&config.issuer, clock)?, config },
            AuthConfig::Proxy(secrets) => Policy::Proxy(secrets),
            AuthConfig::MissingProxySecret => Policy::MissingProxySecret,
        })))
    }

    /// Lets every request in, as one of an administrator.
    pub fn off() -> Self {
        Self(Arc::new(Policy::Off { on_purpose: false }))
    }

    /// Fetches the issuer's keys ahead of the first request. A failure is logged, and the request will try again. Also logs a warning
    /// if authentication is off, or if no request is let in.
    pub async fn warm_up(&self) {
        match &*self.0 {
            Policy::Off { on_purpose: false } => {}
            Policy::Off { on_purpose: true } => {
                tracing::warn!("AUTH_MODE is none: requests are not authenticated, and everybody may do everything");
            }
            Policy::Missing => tracing::error!(
                "AUTH_ISSUER is not set: every request except those for health is answered 503; AUTH_MODE=none would \
                 let everybody in"
            ),
            Policy::Issuer { keys, .. } => keys.warm_up().await,
            Policy::Proxy(_) => {}
            Policy::MissingProxySecret => tracing::error!(
                "PROXY_SECRET is not set: every request except those for health is answered 503; with LEGACY_DASHBOARD and \
                 without AUTH_ISSUER, requests must carry the secret of the proxy in front of the dashboard"
            ),
        }
    }

    /// Checks that requests can be authenticated: that it is configured, and that the issuer's keys can be had.
    ///
    /// # Errors
    /// The reason why every request would be refused.
    pub async fn check(&self) -> Result<(), &'static str> {
        match &*self.0 {
            Policy::Off { .. } | Policy::Proxy(_) => Ok(()),
            Policy::Missing => Err("AUTH_ISSUER is not set, so no request is let in"),
            Policy::MissingProxySecret => Err("PROXY_SECRET is not set, so no request is let in"),
            Policy::Issuer { keys, .. } if keys.are_available().await => Ok(()),
            Policy::Issuer { .. } => Err("the keys of AUTH_ISSUER cannot be fetched, so no token can be checked"),
        }
    }

    /// Returns the caller of a request with these headers.
    ///
    /// # Errors
    /// [`VerifyError`] when the token is not valid or cannot be checked.
    pub async fn caller(&self, headers: &http::HeaderMap) -> Result<Caller, VerifyError> {
        match &*self.0 {
            Policy::Off { .. } => Ok(Caller::unknown()),
            Policy::Missing => Err(VerifyError::NotConfigured),
            Policy::Issuer { config, keys } => verify::verify(verify::bearer(headers)?, config, keys).await,
            Policy::Proxy(secrets) if secrets.are_in(headers) => Ok(Caller::behind_proxy()),
            Policy::Proxy(_) => Err(TokenError::NotThroughProxy.into()),
            Policy::MissingProxySecret => Err(VerifyError::NoProxySecret),
        }
    }
}

impl fmt::Debug for Authentication {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match &*self.0 {
            Policy::Off { .. } => "off",
            Policy::Missing => "missing",
            Policy::Issuer { config, .. } => &config.issuer,
            Policy::Proxy(_) => "by the proxy's secret",
            Policy::MissingProxySecret => "the proxy's secret is missing",
        })
    }
}
