//! The two prefixes of every route: `/api`, and `/.netlify/functions/api`, which version 2.6 of the dashboard uses.

use axum::Router;

use crate::openapi::{RouteTable, path_below};

/// The beginning of the second prefix, before `/api`.
const NETLIFY_FUNCTIONS: &str = "/.netlify/functions";

/// Returns the routes of a table at `path` under both prefixes.
pub fn under_both_prefixes<T: RouteTable>(path: &str) -> Router<T::State> {
    under_each_prefix::<T>(path, None)
}

/// Returns the routes of a table at `path` under `/api`. Under `/.netlify/functions/api` are
/// `netlify_routes`, or the same routes if that is `None`.
pub fn under_each_prefix<T: RouteTable>(path: &str, netlify_routes: Option<Router<T::State>>) -> Router<T::State> {
    let path = path_below("/api", path);
    let netlify_path = path_below(NETLIFY_FUNCTIONS, &path);
    let routes = T::add_to(Router::new(), &path);
    match netlify_routes {
        Some(netlify_routes) => routes.nest(&netlify_path, netlify_routes),
        None => T::add_to(routes, &netlify_path),
    }
}

/// Returns the route as it is called under `/api`.
pub(super) fn without_prefix(route: &str) -> &str {
    route.strip_prefix(NETLIFY_FUNCTIONS).unwrap_or(route)
}
