//! The originator of a change, which is stored with the change.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use http::request::Parts;

use super::{ApiError, Caller, RequestId};

/// The originator of a change: a user in a request, or a program. Without authentication users have no name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Actor {
    user: Option<Arc<str>>,
    program: Option<&'static str>,
    request_id: Option<Arc<str>>,
}

impl Actor {
    /// Returns the actor for a program, such as `rotracker reindex`.
    pub fn program(name: &'static str) -> Self {
        Self { program: Some(name), ..Self::default() }
    }

    #[must_use]
    pub fn on_behalf_of(self, user: &str) -> Self {
        Self { user: Some(user.into()), ..self }
    }

    /// Returns the subject of the verified token.
    pub fn user(&self) -> Option<&str> {
        self.user.as_deref()
    }

    /// Returns the name of the program, if no request asked for the change.
    pub fn program_name(&self) -> Option<&'static str> {
        self.program
    }

    /// Returns the id of the request, which its log lines and its response carry, too.
    pub fn request_id(&self) -> Option<&str> {
        self.request_id.as_deref()
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Actor {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let caller = Caller::from_request_parts(parts, state).await?;
        let RequestId(id) = RequestId::from_request_parts(parts, state).await?;
        Ok(Self { user: caller.subject().map(Arc::from), program: None, request_id: Some(id) })
    }
}
