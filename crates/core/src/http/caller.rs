//! Who asks, and in which request: what a change leaves behind beside itself.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use http::request::Parts;

use super::ApiError;

/// Who sends the request. Known to every handler but those of health, whether it asks or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    subject: Option<Arc<str>>,
    is_administrator: bool,
}

impl Caller {
    /// The caller where authentication is off: nobody by name, who may do everything.
    pub fn unknown() -> Self {
        Self { subject: None, is_administrator: true }
    }

    /// The bearer of a verified token.
    pub fn verified(subject: &str, is_administrator: bool) -> Self {
        Self { subject: Some(subject.into()), is_administrator }
    }

    /// The subject of the verified token, by which the issuer knows the caller for good; none where authentication is
    /// off. 1 to 255 characters, without white space around them.
    pub fn subject(&self) -> Option<&str> {
        self.subject.as_deref()
    }

    /// Whether the caller may do what only administrators may.
    pub fn is_administrator(&self) -> bool {
        self.is_administrator
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        // Put there by the layer that asks; a route without it must not take anybody for an administrator.
        parts.extensions.get().cloned().ok_or_else(|| ApiError::internal("nobody asked who the caller is"))
    }
}

/// A caller who may do what only administrators may; anybody else is answered 403. Comes before the body among a handler's
/// arguments, so that nobody else learns what is wrong with theirs.
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

/// The request's id, which is in its log lines and in its answer (`x-request-id`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestId(pub Arc<str>);

impl<S: Send + Sync> FromRequestParts<S> for RequestId {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        parts.extensions.get().cloned().ok_or_else(|| ApiError::internal("the request has no id"))
    }
}
