//! The authenticated caller and the id of the request.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use http::request::Parts;

use super::ApiError;

/// The caller. Every request has one, except those for health.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    subject: Option<Arc<str>>,
    is_administrator: bool,
}

impl Caller {
    /// Returns the caller when authentication is off: one without a name who may do everything.
    pub fn unknown() -> Self {
        Self { subject: None, is_administrator: true }
    }

    /// Returns the caller with a verified token.
    pub fn verified(subject: &str, is_administrator: bool) -> Self {
        Self { subject: Some(subject.into()), is_administrator }
    }

    /// Returns the caller of a request that came through the proxy in front of the legacy dashboard: one without a name who is no
    /// administrator.
    pub fn behind_proxy() -> Self {
        Self { subject: None, is_administrator: false }
    }

    /// Returns the subject of the verified token, 1 to 255 characters without white space around them. An issuer never gives it to
    /// anybody else. `None` without authentication.
    pub fn subject(&self) -> Option<&str> {
        self.subject.as_deref()
    }

    pub fn is_administrator(&self) -> bool {
        self.is_administrator
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        // The authentication layer inserts it. Without that layer nobody may be taken for an administrator.
        parts.extensions.get().cloned().ok_or_else(|| ApiError::internal("the request was not authenticated"))
    }
}

/// A caller who is an administrator. Others get a 403. As an argument of a handler it comes before the body, so that others do not
/// learn whether their body is valid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Administrator(pub Caller);

impl<S: Send + Sync> FromRequestParts<S> for Administrator {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let caller = Caller::from_request_parts(parts, state).await?;
        if caller.is_administrator() {
            Ok(Self(caller))
        } else {
            Err(ApiError::Forbidden("Only administrators may do this.".to_owned()))
        }
    }
}

/// The id of the request, which its log lines and its response (`x-request-id`) carry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestId(pub Arc<str>);

impl<S: Send + Sync> FromRequestParts<S> for RequestId {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        parts.extensions.get().cloned().ok_or_else(|| ApiError::internal("the request has no id"))
    }
}
