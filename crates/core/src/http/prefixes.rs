//! Every route answers under two prefixes (design, reading 3).

use axum::Router;

/// What stands before the second prefix's `/api`.
const DEPLOYED: &str = "/.netlify/functions";

/// Mounts `routes` at `path` under `/api` and under `/.netlify/functions/api`, the prefix that the deployed dashboard
/// uses.
pub fn under_both_prefixes<S: Clone + Send + Sync + 'static>(path: &str, routes: Router<S>) -> Router<S> {
    Router::new().nest(&format!("/api{path}"), routes.clone()).nest(&format!("{DEPLOYED}/api{path}"), routes)
}

/// A route as it is called under `/api`.
pub(super) fn without_prefix(route: &str) -> &str {
    route.strip_prefix(DEPLOYED).unwrap_or(route)
}
