//! The layers around every router.

use std::any::Any;

use axum::{
    Router,
    extract::DefaultBodyLimit,
    middleware::{from_fn, from_fn_with_state, map_response_with_state},
    response::Response,
};
use http::{Extensions, HeaderMap, HeaderName, Method, StatusCode, Version, header};
use tower_http::{
    catch_panic::CatchPanicLayer,
    compression::{
        CompressionLayer,
        predicate::{DefaultPredicate, Predicate},
    },
    cors::CorsLayer,
    normalize_path::NormalizePath,
};

use super::{ApiError, IDEMPOTENCY_REPLAYED, TOTAL_COUNT, guards, observe};
use crate::{auth::layer::authenticate, config::HttpConfig, idempotency::IDEMPOTENCY_KEY, lambda::Delivery};

/// The largest body: the limit of Lambda for a request.
pub const BODY_LIMIT_BYTES: usize = 6 * 1024 * 1024;

/// The header that names the user of a chat, if neither a token nor the body does.
pub const USER_ID: HeaderName = HeaderName::from_static("x-user-id");

/// The headers of the rate limit, which the dashboard's scripts may read.
const RATE_LIMIT: [HeaderName; 5] = [
    HeaderName::from_static("x-ratelimit-limit"),
    HeaderName::from_static("x-ratelimit-remaining"),
    HeaderName::from_static("x-ratelimit-reset"),
    HeaderName::from_static("ratelimit"),
    HeaderName::from_static("ratelimit-policy"),
];

/// Adds the layers of every function to `routes`: request id and log line, security headers, CORS, limits, compression,
/// authentication, panics, and our error body for unknown routes and methods.
pub fn with_layers(routes: Router, config: &HttpConfig, delivery: Delivery) -> Router {
    let routes = routes
        .fallback(async || ApiError::NotFound("There is nothing at this path.".to_owned()))
        .method_not_allowed_fallback(async || ApiError::MethodNotAllowed)
        .layer(CatchPanicLayer::custom(panic_response))
        // Inside the router, where the matched route is known. Fallbacks are authenticated, too.
        .layer(from_fn_with_state(config.auth.clone(), authenticate))
        .layer(from_fn(observe::add_matched_route))
        .layer(DefaultBodyLimit::max(BODY_LIMIT_BYTES));
    let routes = match delivery {
        Delivery::Streaming => {
            routes.layer(CompressionLayer::new().compress_when(DefaultPredicate::new().and(is_untagged)))
        }
        Delivery::Buffered => routes,
    };
    // Takes `/api/ros/` for `/api/ros`. Outside the router, because it changes the path before routing.
    let routes = NormalizePath::trim_trailing_slash(routes);
    Router::new()
        .fallback_service(routes)
        .layer(from_fn(guards::limit))
        .layer(cors(config))
        .layer(map_response_with_state(config.is_deployed, guards::secure))
        .layer(from_fn(observe::observe))
}

/// Responses with a strong entity tag are not compressed, because the tag stands for the exact bytes. They are short.
fn is_untagged(_: StatusCode, _: Version, headers: &HeaderMap, _: &Extensions) -> bool {
    !headers.contains_key(header::ETAG)
}

/// Lets browsers call from the configured origins only, with credentials.
fn cors(config: &HttpConfig) -> CorsLayer {
    CorsLayer::new()
        .allow_origin(config.frontend_origins.clone())
        .allow_credentials(true)
        .allow_methods([Method::GET, Method::POST, Method::PATCH, Method::DELETE])
        .allow_headers([
            header::CONTENT_TYPE,
            header::AUTHORIZATION,
            header::ACCEPT,
            header::IF_MATCH,
            header::IF_NONE_MATCH,
            IDEMPOTENCY_KEY,
            USER_ID,
        ])
        .expose_headers(
            [
                observe::REQUEST_ID,
                IDEMPOTENCY_REPLAYED,
                TOTAL_COUNT,
                header::ETAG,
                header::LINK,
                header::RETRY_AFTER,
                header::WWW_AUTHENTICATE,
            ]
            .into_iter()
            .chain(RATE_LIMIT)
            .collect::<Vec<_>>(),
        )
        .max_age(std::time::Duration::from_secs(600))
}

/// The panic hook has logged the panic.
fn panic_response(_: Box<dyn Any + Send>) -> Response {
    ApiError::internal("a handler panicked").response()
}
