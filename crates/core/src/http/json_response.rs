//! A JSON response as a value, so that it can be saved and sent again.

use axum::response::{IntoResponse, Response};
use headers::{ETag, HeaderMapExt};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use serde::Serialize;

use super::ApiError;

/// The header of a response that is repeated from an earlier request with the same `Idempotency-Key`.
const IDEMPOTENCY_REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// A JSON body with its status and, if it shows one resource that can be changed, the entity tag of that resource.
#[derive(Clone, Debug)]
pub struct JsonResponse {
    pub(crate) status: StatusCode,
    pub(crate) tag: Option<ETag>,
    pub(crate) body: Vec<u8>,
    pub(crate) is_replayed: bool,
}

impl JsonResponse {
    /// Writes `content` as JSON, with status 200.
    ///
    /// # Errors
    /// When it cannot be written as JSON, which would be a defect.
    pub fn new(content: &impl Serialize) -> Result<Self, ApiError> {
        let body = serde_json::to_vec(content).map_err(ApiError::internal)?;
        Ok(Self { status: StatusCode::OK, tag: None, body, is_replayed: false })
    }

    #[must_use]
    pub fn with_status(self, status: StatusCode) -> Self {
        Self { status, ..self }
    }

    /// The tag as the header carries it.
    pub(crate) fn tag_text(&self) -> Option<String> {
        let mut headers = HeaderMap::new();
        headers.typed_insert(self.tag.clone()?);
        Some(headers.get(header::ETAG)?.to_str().ok()?.to_owned())
    }

    #[must_use]
    pub fn with_tag(self, tag: ETag) -> Self {
        Self { tag: Some(tag), ..self }
    }
}

impl IntoResponse for JsonResponse {
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
