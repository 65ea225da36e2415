//! Route tables, from which both the router of a domain and its description are made.

use axum::Router;

use super::DescribedRoutes;

/// A table made by [`route_table!`](crate::route_table).
pub trait RouteTable {
    type State;

    /// Returns the routes, with paths relative to the prefix.
    fn routes() -> Router<Self::State>;

    /// Adds the descriptions of the handlers.
    fn describe(routes: &mut DescribedRoutes);
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
