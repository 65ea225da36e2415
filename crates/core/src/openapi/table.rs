//! Route tables, from which both the router of a domain and its description are made.

use axum::Router;

use super::DescribedRoutes;

/// A table made by [`route_table!`](crate::route_table).
pub trait RouteTable {
    type State: Clone + Send + Sync + 'static;

    /// Adds the routes to `router`, with their paths below `prefix`. They are entered with their whole
    /// paths, because `nest` would enter each path twice, which takes time at each start.
    fn add_to(router: Router<Self::State>, prefix: &str) -> Router<Self::State>;

    /// Adds the descriptions of the handlers.
    fn describe(routes: &mut DescribedRoutes);
}

/// Joins `prefix` and `path`. The path `/` is the prefix itself.
pub fn path_below(prefix: &str, path: &str) -> String {
    [prefix, path.trim_end_matches('/')].concat()
}

/// Makes a [`RouteTable`] from lines with a path, methods and handlers:
///
/// ```ignore
/// route_table! {
///     /// Below `/api/ros`.
///     Orders(RosState) {
///         "/" => get(list::list).post(create::create),
///         "/{id}" => get(get::get),
///     }
/// }
/// ```
///
/// A handler without `#[utoipa::path(…)]` does not compile. The path in that attribute is left empty, because a handler may be mounted
/// at several paths.
#[macro_export]
macro_rules! route_table {
    (
        $(#[$attribute:meta])*
        $name:ident($state:ty) {
            $($path:literal => $($method:ident($module:ident::$handler:ident)).+),+ $(,)?
        }
    ) => {
        $(#[$attribute])*
        enum $name {}

        impl $crate::openapi::RouteTable for $name {
            type State = $state;

            fn add_to(router: ::axum::Router<$state>, prefix: &str) -> ::axum::Router<$state> {
                router$(
                    .route(
                        &$crate::openapi::path_below(prefix, $path),
                        ::axum::routing::MethodRouter::new()$(.$method($module::$handler))+,
                    )
                )+
            }

            fn describe(routes: &mut $crate::openapi::DescribedRoutes) {
                use $crate::openapi::utoipa;
                $($(
                    let (schemas, paths, _): (_, _, ::axum::routing::MethodRouter<$state>) =
                        $crate::openapi::utoipa_axum::routes!($module::$handler);
                    routes.add($path, stringify!($method), schemas, paths);
                )+)+
            }
        }
    };
}
