//! The layer that authenticates every request.

use axum::{
    extract::{MatchedPath, Request, State},
    middleware::Next,
    response::{IntoResponse, Response},
};

use super::Authentication;
use crate::http::ApiError;

/// The routes that need no token, as the route table writes them. They show only the state of the service.
const PUBLIC: [&str; 4] = ["/health", "/api/health", "/.netlify/functions/health", "/.netlify/functions/api/health"];

/// Adds the [`Caller`](crate::http::Caller) to the request, or rejects it. Public routes are recognised by the matched
/// route, because one path can be written in several ways. A request that matches no route needs a token.
pub(crate) async fn authenticate(State(auth): State<Authentication>, mut request: Request, next: Next) -> Response {
    let route = request.extensions().get::<MatchedPath>();
    if route.is_some_and(|route| PUBLIC.contains(&route.as_str())) {
        return next.run(request).await;
    }
    match auth.caller(request.headers()).await {
        Ok(caller) => {
            request.extensions_mut().insert(caller);
            next.run(request).await
        }
        Err(error) => ApiError::from(error).into_response(),
    }
}
