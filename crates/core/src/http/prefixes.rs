//! The two prefixes of every route: `/api`, and `/.netlify/functions/api`, which version 2.6 of the dashboard uses.

use axum::Router;

/// The beginning of the second prefix, before `/api`.
const NETLIFY_FUNCTIONS: &str = "/.netlify/functions";

/// Mounts `routes` at `path` under both prefixes.
pub fn under_both_prefixes<S: Clone + Send + Sync + 'static>(path: &str, routes: Router<S>) -> Router<S> {
    under_each_prefix(path, routes.clone(), routes)
}

/// Mounts `routes` at `path` under `/api`, and `netlify_routes` under the other prefix.
pub fn under_each_prefix<S: Clone + Send + Sync + 'static>(
    path: &str,
    routes: Router<S>,
    netlify_routes: Router<S>,
) -> Router<S> {
    Router::new().nest(&format!("/api{path}"), routes).nest(&format!("{NETLIFY_FUNCTIONS}/api{path}"), netlify_routes)
}

/// Returns the route as it is called under `/api`.
pub(super) fn without_prefix(route: &str) -> &str {
    route.strip_prefix(NETLIFY_FUNCTIONS).unwrap_or(route)
}
