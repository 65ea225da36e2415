//! `GET /api/inventory/search`

use app_core::{
    db,
    http::{ApiError, FieldProblems, Json, Query},
    openapi::NotFound,
};
use axum::extract::State;
use serde::Deserialize;
use sqlx::MySqlConnection;
use utoipa::IntoParams;

use crate::{
    InventoryState,
    model::{FoundPart, PartNumber, SearchMethod, SearchResponse},
    store,
};

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(rename_all = "camelCase")]
pub(super) struct Parameters {
    /// The part number or a part of it. Case and the white space around it do not matter.
    #[param(value_type = PartNumber, example = "MS20470AD4", inline)]
    pub(super) part_number: Option<String>,
}

/// Finds parts by part number, in the first of three ways that finds any.
#[utoipa::path(get, path = "", operation_id = "searchParts", params(Parameters), responses(
    (status = 200, body = SearchResponse),
    (status = 404, response = NotFound),
))]
pub(super) async fn search(
    State(state): State<InventoryState>,
    Query(Parameters { part_number }): Query<Parameters>,
) -> Result<Json<SearchResponse>, ApiError> {
    let mut problems = FieldProblems::default();
    let part_number = problems.require("partNumber", part_number);
    let number = problems.parse("partNumber", part_number.as_deref(), PartNumber::parse);
    let number = problems.finish(number)?;
    let (results, search_method) = db::read!(state.db, |connection| find(connection, &number).await)?;
    if results.is_empty() {
        return Err(ApiError::NotFound(format!("No part with a number like {} was found.", number.as_str())));
    }
    Ok(Json(SearchResponse { total_results: results.len(), results, search_method }))
}

/// Finds parts in the first of the three ways that finds any.
pub(super) async fn find(
    connection: &mut MySqlConnection,
    number: &PartNumber,
) -> Result<(Vec<FoundPart>, SearchMethod), ApiError> {
    let mut search_method = SearchMethod::Exact;
    let mut results = store::search_exact(connection, number).await?;
    if results.is_empty() {
        search_method = SearchMethod::Like;
        results = store::search_index_containing(connection, number).await?;
    }
    if results.is_empty() {
        search_method = SearchMethod::Direct;
        results = store::search_tables_containing(connection, number).await?;
    }
    Ok((results, search_method))
}
