//! How a path names an order: `/{id}` or `/by-number/{ro_number}`. The same handlers answer both.

use app_core::http::{ApiError, Path};
use axum::extract::FromRequestParts;
use http::request::Parts;
use serde::Deserialize;

use crate::{model::RoNumber, store::OrderKey};

#[derive(Deserialize)]
struct Parameters {
    id: Option<String>,
    ro_number: Option<String>,
}

impl<S: Send + Sync> FromRequestParts<S> for OrderKey {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let Path(parameters) = Path::<Parameters>::from_request_parts(parts, state).await?;
        match parameters {
            Parameters { ro_number: Some(number), .. } => {
                RoNumber::parse(&number).map(Self::Number).map_err(|problem| ApiError::invalid("roNumber", problem))
            }
            Parameters { id, .. } => parse_id(&id.unwrap_or_default()).map(Self::Id),
        }
    }
}

/// An id is a string of decimal digits; one that is too large for any row is no error of form.
fn parse_id(id: &str) -> Result<i64, ApiError> {
    if id.is_empty() || !id.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(ApiError::invalid("id", "must be a string of decimal digits"));
    }
    id.parse().map_err(|_| no_such_order())
}

/// 404 for an order that is in none of the four tables.
pub(super) fn no_such_order() -> ApiError {
    ApiError::NotFound("Repair order not found".to_owned())
}
