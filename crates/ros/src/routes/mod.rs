//! The route table: every path of the function, and the handler that answers it.

mod archive;
mod create;
mod dashboard;
mod delete;
mod get;
mod health;
mod history;
mod key;
mod list;
mod status;
mod update;

use app_core::http::under_both_prefixes;
use axum::{
    Router,
    routing::{get, patch, post},
};

use crate::RosState;

/// All routes, without the layers around them.
pub fn router(state: RosState) -> Router {
    let orders = Router::new()
        .route("/", get(list::list).post(create::create))
        .route("/stats/dashboard", get(dashboard::dashboard))
        .route("/by-number/{ro_number}", get(get::get).patch(update::update).delete(delete::delete))
        .route("/by-number/{ro_number}/history", get(history::history))
        .route("/by-number/{ro_number}/status", patch(status::status))
        .route("/by-number/{ro_number}/archive", post(archive::archive))
        .route("/{id}", get(get::get).patch(update::update).delete(delete::delete))
        .route("/{id}/history", get(history::history));
    let health = Router::new().route("/", get(health::health));
    Router::new()
        .nest("/health", health.clone())
        .merge(under_both_prefixes("/health", health))
        .merge(under_both_prefixes("/ros", orders))
        .with_state(state)
}
