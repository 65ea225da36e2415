//! Who asks: bearer tokens of an OpenID Connect issuer (Microsoft Entra ID, Amazon Cognito, Auth0), checked in every
//! function, since REST APIs of the gateway cannot check them and the check must be the same everywhere.
//!
//! A token is a signed JWT. Its signature is checked with the issuer's public keys ([`keys`]), its claims with the
//! configuration ([`config`]); what it says of the caller becomes a [`Caller`](crate::http::Caller) ([`verify`]).

pub mod config;
mod crypto;
pub mod keys;
pub(crate) mod layer;
pub mod verify;

use std::{fmt, sync::Arc};

pub use config::{AuthConfig, IssuerConfig};
pub use verify::{TokenError, VerifyError};

use crate::{clock::Clock, http::Caller};
use keys::Keys;

/// Decides who a request is from. Clones share the issuer's keys.
#[derive(Clone)]
pub struct Authentication(Arc<Policy>);

enum Policy {
    Off { on_purpose: bool },
    Missing,
    Issuer { config: IssuerConfig, keys: Keys },
}

impl Authentication {
    /// Authentication as `config` says; nothing is connected yet. `clock` says how old keys are.
    ///
    /// # Errors
    /// When the TLS library cannot be set up.
    pub fn new(config: AuthConfig, clock: Clock) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        Ok(Self(Arc::new(match config {
            AuthConfig::Off { on_purpose } => Policy::Off { on_purpose },
            AuthConfig::Missing => Policy::Missing,
            AuthConfig::Issuer(config) => Policy::Issuer { keys: Keys::new(&config.issuer, clock)?, config },
        })))
    }

    /// None: everybody may do everything.
    pub fn off() -> Self {
        Self(Arc::new(Policy::Off { on_purpose: false }))
    }

    /// Says in the log when nobody is asked who they are, or nobody is let in; fetches the issuer's keys ahead of the
    /// first request. A failure is only logged: the request will try again.
    pub async fn warm_up(&self) {
        match &*self.0 {
            Policy::Off { on_purpose: false } => {}
            Policy::Off { on_purpose: true } => {
                tracing::warn!("AUTH_MODE is none: nobody is asked who they are, and everybody may do everything");
            }
            Policy::Missing => tracing::error!(
                "there is no AUTH_ISSUER: every request but those for health is answered 503; AUTH_MODE=none would \
                 let everybody in"
            ),
            Policy::Issuer { keys, .. } => keys.warm_up().await,
        }
    }

    /// Who sends a request with these headers.
    ///
    /// # Errors
    /// [`VerifyError`]: nobody whom the issuer vouches for, or that cannot be told.
    pub async fn caller(&self, headers: &http::HeaderMap) -> Result<Caller, VerifyError> {
        match &*self.0 {
            Policy::Off { .. } => Ok(Caller::unknown()),
            Policy::Missing => Err(VerifyError::NotConfigured),
            Policy::Issuer { config, keys } => verify::verify(verify::bearer(headers)?, config, keys).await,
        }
    }
}

impl fmt::Debug for Authentication {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match &*self.0 {
            Policy::Off { .. } => "off",
            Policy::Missing => "missing",
            Policy::Issuer { config, .. } => &config.issuer,
        })
    }
}
