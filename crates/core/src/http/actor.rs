//! Who made a change, and in which request: what every change leaves behind beside itself.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use http::request::Parts;

use super::{ApiError, Caller, RequestId};

/// Who made a change. Where authentication is off, requests are made by nobody by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Actor {
    user: Option<Arc<str>>,
    program: Option<&'static str>,
    request_id: Option<Arc<str>>,
}

impl Actor {
    /// A program that works by itself, such as `rotracker reindex`.
    pub fn program(name: &'static str) -> Self {
        Self { program: Some(name), ..Self::default() }
    }

    /// The same actor, on behalf of `user`.
    #[must_use]
    pub fn on_behalf_of(self, user: &str) -> Self {
        Self { user: Some(user.into()), ..self }
    }

    /// The subject of the verified token.
    pub fn user(&self) -> Option<&str> {
        self.user.as_deref()
    }

    /// The program's name, of changes that no request asked for.
    pub fn program_name(&self) -> Option<&'static str> {
        self.program
    }

    /// The id of the request, which is in its log lines and its answer.
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
