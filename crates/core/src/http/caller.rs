//! Who asks, and in which request: what a change leaves behind beside itself.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use http::request::Parts;

use super::ApiError;

/// Who sends the request. A handler that does not ask for it is visibly public.
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

    /// The subject of the verified token; none where authentication is off.
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
        Ok(parts.extensions.get().cloned().unwrap_or_else(Self::unknown))
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
