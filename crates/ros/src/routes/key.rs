//! The order that a path names: `/{id}` or `/by-number/{ro_number}`. The same handlers serve both.

use app_core::{
    http::{ApiError, Path},
    openapi::Digits,
    values::parse_id,
};
use axum::extract::FromRequestParts;
use http::request::Parts;
use serde::Deserialize;
use utoipa::IntoParams;

use crate::model::{OrderKey, RoNumber};

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub(super) struct Parameters {
    /// The order's id, which is unique over the four tables.
    #[param(value_type = Digits, inline)]
    id: Option<String>,
    /// The order's number, in any case.
    #[param(rename = "roNumber", value_type = RoNumber, example = "RO38472", inline)]
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
            Parameters { id, .. } => {
                let id = parse_id(&id.unwrap_or_default());
                id.map(Self::Id).map_err(|problem| ApiError::invalid("id", problem))
            }
        }
    }
}
