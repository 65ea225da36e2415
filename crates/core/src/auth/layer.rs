//! The layer that asks every request who sends it.

use axum::{
    extract::{MatchedPath, Request, State},
    middleware::Next,
    response::{IntoResponse, Response},
};

use super::Authentication;
use crate::http::ApiError;

/// The routes that anybody may ask, as they are written in the route table. Whether the service lives is all that they
/// tell.
const PUBLIC: [&str; 3] = ["/health", "/api/health", "/.netlify/functions/api/health"];

/// Lets the request through with its [`Caller`](crate::http::Caller), or refuses it. By the route that matched rather
/// than by the path, so that no way to write a path is taken for another; what matches no route is not public.
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
