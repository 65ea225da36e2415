//! Every route answers under two prefixes (design, reading 3).

use axum::Router;

/// Mounts `routes` at `path` under `/api` and under `/.netlify/functions/api`, the prefix that the deployed dashboard
/// uses.
pub fn under_both_prefixes<S: Clone + Send + Sync + 'static>(path: &str, routes: Router<S>) -> Router<S> {
    Router::new().nest(&format!("/api{path}"), routes.clone()).nest(&format!("/.netlify/functions/api{path}"), routes)
}
