//! Route tables: one text from which a domain's router and its description are both made.

use axum::Router;

use super::DescribedRoutes;

/// A table made by [`route_table!`](crate::route_table).
pub trait RouteTable {
    /// What the handlers work with.
    type State;

    /// The routes, at paths relative to where they are mounted.
    fn routes() -> Router<Self::State>;

    /// What is above their handlers.
    fn describe(routes: &mut DescribedRoutes);
}

/// Makes a [`RouteTable`] of lines that say which handler answers which method at which path:
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
/// Each handler has a `#[utoipa::path(…)]` above it, or this does not compile. That attribute wants a path as well, which
/// is left empty there: where a handler is mounted is said here alone, and some are at two paths.
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

            fn routes() -> ::axum::Router<$state> {
                ::axum::Router::new()$(
                    .route($path, ::axum::routing::MethodRouter::new()$(.$method($module::$handler))+)
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
