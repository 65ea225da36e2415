//! `GET /api/ai/health`

use app_core::http::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use crate::AiState;

/// The state of the assistant.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = AssistantHealth)]
pub(super) struct Health {
    status: &'static str,
    api_key_configured: bool,
    models: Vec<String>,
}

/// Returns whether an API key is configured, and the models. It does not call Anthropic.
#[utoipa::path(get, path = "", operation_id = "getAssistantHealth", responses((status = 200, body = Health)))]
pub(super) async fn health(State(state): State<AiState>) -> Json<Health> {
    Json(Health {
        status: "ok",
        api_key_configured: state.anthropic.is_some(),
        models: state.models.ids().into_iter().map(str::to_owned).collect(),
    })
}
