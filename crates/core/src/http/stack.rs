//! The layers around every router.

use std::{any::Any, future::ready};

use axum::{
    Router,
    extract::{DefaultBodyLimit, Request},
    middleware::{from_fn, from_fn_with_state, map_request, map_response_with_state},
    response::Response,
};
use http::{Extensions, HeaderMap, HeaderName, StatusCode, Version, header};
use tower_http::{
    catch_panic::CatchPanicLayer,
    compression::{
        CompressionLayer,
        predicate::{DefaultPredicate, Predicate},
    },
    normalize_path::NormalizePath,
};

use super::{ApiError, cors, guards, observe};
use crate::{auth::layer::authenticate, config::HttpConfig, lambda::Delivery};

/// The largest body: the limit of Lambda for a request.
pub const BODY_LIMIT_BYTES: usize = 6 * 1024 * 1024;

/// The header that names the user of a chat, if neither a token nor the body does.
pub const USER_ID: HeaderName = HeaderName::from_static("x-user-id");

/// Adds the layers of every function to `routes`: request id and log line, security headers, CORS, limits, base path, compression,
/// authentication, panics, and our error body for unknown routes and methods.
pub fn with_layers(routes: Router, config: &HttpConfig, delivery: Delivery) -> Router {
    let base_path = config.base_path.clone();
    // A router puts each of its layers around every one of its routes, which takes time at the start. So the inner router has only the
    // layers that need the matched route, and both have one layer, which consists of several. The first is the outermost.
    let routes = routes
        .fallback(async || ApiError::NotFound("There is nothing at this path.".to_owned()))
        .method_not_allowed_fallback(async || ApiError::MethodNotAllowed)
        .layer((
            from_fn(observe::add_matched_route),
            // Fallbacks are authenticated, too.
            from_fn_with_state(config.auth.clone(), authenticate),
            CatchPanicLayer::custom(panic_response),
        ));
    // Takes `/api/ros/` for `/api/ros`. Outside the inner router, because it changes the path before routing.
    let routes = Router::new().fallback_service(NormalizePath::trim_trailing_slash(routes));
    let routes = match delivery {
        Delivery::Streaming => {
            routes.layer(CompressionLayer::new().compress_when(DefaultPredicate::new().and(is_untagged)))
        }
        Delivery::Buffered => routes,
    };
    routes.layer((
        from_fn(observe::observe),
        map_response_with_state(config.is_deployed, guards::secure),
        cors::layer(config),
        from_fn(guards::limit),
        DefaultBodyLimit::max(BODY_LIMIT_BYTES),
        map_request(move |request: Request| ready(base_path.strip(request))),
    ))
}

/// Responses with a strong entity tag are not compressed, because the tag stands for the exact bytes. They are short.
fn is_untagged(_: StatusCode, _: Version, headers: &HeaderMap, _: &Extensions) -> bool {
    !headers.contains_key(header::ETAG)
}

/// The panic hook has logged the panic.
fn panic_response(_: Box<dyn Any + Send>) -> Response {
    ApiError::internal("a handler panicked").response()
}
