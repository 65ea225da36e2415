//! `GET /health`

use app_core::{db, http::Json, values::Timestamp};
use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use chrono::SecondsFormat;
use http::{StatusCode, header};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{RosState, store};

/// The state of the service. When the database cannot be reached, it also has the members of an error.
#[derive(Serialize, ToSchema)]
pub(super) struct Health {
    /// `ok` or `error`.
    status: &'static str,
    #[schema(value_type = Timestamp)]
    timestamp: String,
    /// Seconds since the process started.
    uptime: u64,
    /// `connected` or `disconnected`.
    database: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    error: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    message: Option<&'static str>,
}

/// Checks that the function and its database work.
#[utoipa::path(get, path = "", operation_id = "getHealth", responses(
    (status = 200, description = "Everything works", body = Health),
    (status = 503, description = "The database cannot be reached", body = Health),
))]
pub(super) async fn health(State(state): State<RosState>) -> Response {
    let healthy = Health {
        status: "ok",
        timestamp: state.clock.now().to_rfc3339_opts(SecondsFormat::Millis, true),
        uptime: state.started.elapsed().as_secs(),
        database: "connected",
        error: None,
        message: None,
    };
    match db::read!(state.db, |connection| store::ping(connection).await) {
        Ok(()) => Json(healthy).into_response(),
        Err(error) => {
            error.log("the database cannot be reached");
            let unhealthy = Health {
                status: "error",
                database: "disconnected",
                error: Some("Service unavailable"),
                message: Some("The database cannot be reached."),
                ..healthy
            };
            (StatusCode::SERVICE_UNAVAILABLE, [(header::RETRY_AFTER, "1")], Json(unhealthy)).into_response()
        }
    }
}
