//! The two prefixes of every route: `/api`, and `/.netlify/functions/api`, which the deployed dashboard uses.

use axum::Router;

/// The beginning of the second prefix, before `/api`.
const NETLIFY_FUNCTIONS: &str = "/.netlify/functions";

/// Mounts `routes` at `path` under both prefixes.
pub fn under_both_prefixes<S: Clone + Send + Sync + 'static>(path: &str, routes: Router<S>) -> Router<S> {
    Router::new().nest(&format!("/api{path}"), routes.clone()).nest(&format!("{NETLIFY_FUNCTIONS}/api{path}"), routes)
}

/// Returns the route as it is called under `/api`.
pub(super) fn without_prefix(route: &str) -> &str {
    route.strip_prefix(NETLIFY_FUNCTIONS).unwrap_or(route)
}
