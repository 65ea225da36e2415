//! The authenticated caller and the id of the request.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use http::request::Parts;

use super::ApiError;

/// The caller. Every request has one, except those for health.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    subject: Option<Arc<str>>,
    administrator: Result<(), NotAdministrator>,
}

/// The reason why a caller is no administrator. The log line of a request that only administrators may make has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAdministrator {
    /// The request came through the proxy in front of the legacy dashboard.
    #[error("The request has no token.")]
    NoToken,
    /// The configuration names no role of administrators.
    #[error("AUTH_ADMIN_ROLE is not set, so nobody is an administrator.")]
    NoRoleConfigured,
    /// The claim with the roles is missing, or does not have the role.
    #[error("The token does not have the role of administrators.")]
    RoleMissing,
    /// The same, but the role may be among the groups that Entra leaves out of the token of a user who is in very many.
    #[error(
        "The token does not have the role of administrators, and its groups were left out because there are too many \
         (_claim_names or hasgroups)."
    )]
    GroupsLeftOut,
}

impl Caller {
    /// Returns the caller when authentication is off: one without a name who may do everything.
    pub fn unknown() -> Self {
        Self { subject: None, administrator: Ok(()) }
    }

    /// Returns the caller with a verified token.
    pub fn verified(subject: &str, administrator: Result<(), NotAdministrator>) -> Self {
        Self { subject: Some(subject.into()), administrator }
    }

    /// Returns the caller of a request that came through the proxy in front of the legacy dashboard: one without a name who is no
    /// administrator.
    pub fn behind_proxy() -> Self {
        Self { subject: None, administrator: Err(NotAdministrator::NoToken) }
    }

    /// Returns the subject of the verified token, 1 to 255 characters without white space around them. An issuer never gives it to
    /// anybody else. `None` without authentication.
    pub fn subject(&self) -> Option<&str> {
        self.subject.as_deref()
    }

    pub fn is_administrator(&self) -> bool {
        self.administrator.is_ok()
    }

    /// Returns the error for a request that only administrators may make, with `message` for the client.
    pub fn forbidden(&self, message: &str) -> ApiError {
        ApiError::Forbidden(message.to_owned(), self.administrator.err())
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
            Err(caller.forbidden("Only administrators may do this."))
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
