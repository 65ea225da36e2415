//! An answer as a whole: what is sent, and what can be kept to be sent again.

use axum::response::{IntoResponse, Response};
use headers::{ETag, HeaderMapExt};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use serde::Serialize;

use super::ApiError;

/// Says that an answer was given before, to the first request with the same `Idempotency-Key`.
pub const IDEMPOTENCY_REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// JSON with its status and, where it shows one thing that can be changed, the tag of that.
#[derive(Clone, Debug)]
pub struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) tag: Option<ETag>,
    pub(crate) body: Vec<u8>,
    pub(crate) is_replayed: bool,
}

impl Answer {
    /// `content` as JSON, with status 200.
    ///
    /// # Errors
    /// When it cannot be written as JSON, which would be a defect.
    pub fn json(content: &impl Serialize) -> Result<Self, ApiError> {
        let body = serde_json::to_vec(content).map_err(ApiError::internal)?;
        Ok(Self { status: StatusCode::OK, tag: None, body, is_replayed: false })
    }

    /// The same with another status.
    #[must_use]
    pub fn with_status(self, status: StatusCode) -> Self {
        Self { status, ..self }
    }

    /// The tag as it is sent.
    pub(crate) fn tag_text(&self) -> Option<String> {
        let mut headers = HeaderMap::new();
        headers.typed_insert(self.tag.clone()?);
        Some(headers.get(header::ETAG)?.to_str().ok()?.to_owned())
    }

    /// The same with the tag of what it shows.
    #[must_use]
    pub fn with_tag(self, tag: ETag) -> Self {
        Self { tag: Some(tag), ..self }
    }
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        let content_type = [(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))];
        let mut response = (self.status, content_type, self.body).into_response();
        if let Some(tag) = self.tag {
            response.headers_mut().typed_insert(tag);
        }
        if self.is_replayed {
            response.headers_mut().insert(IDEMPOTENCY_REPLAYED, HeaderValue::from_static("true"));
        }
        response
    }
}
