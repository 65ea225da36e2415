//! The route table: every path of the function, and the handler that answers it.

mod archive;
mod change;
mod create;
mod dashboard;
mod delete;
mod export;
mod follow_ups;
mod get;
mod health;
mod history;
mod key;
mod legacy_dashboard;
mod list;
mod status;
mod update;

use app_core::{
    http::under_each_prefix,
    openapi::{Description, RouteTable},
    route_table,
};
use axum::Router;

use crate::RosState;

route_table! {
    /// Repair orders.
    Orders(RosState) {
        "/" => get(list::list).post(create::create),
        "/export" => get(export::export),
        "/follow-ups" => get(follow_ups::follow_ups),
        "/stats/dashboard" => get(dashboard::dashboard),
        "/by-number/{ro_number}" => get(get::get).patch(update::update).delete(delete::delete),
        "/by-number/{ro_number}/history" => get(history::history),
        "/by-number/{ro_number}/status" => patch(status::status),
        "/by-number/{ro_number}/archive" => post(archive::archive),
        "/{id}" => get(get::get).patch(update::update).delete(delete::delete),
        "/{id}/history" => get(history::history),
    }
}

route_table! {
    /// The state of the service.
    Health(RosState) {
        "/" => get(health::health),
    }
}

/// Creates the router, without the layers around it. `is_legacy_dashboard` selects the routes of orders that the dashboard calls.
pub fn router(state: RosState, is_legacy_dashboard: bool) -> Router {
    let orders = under_each_prefix::<Orders>("/ros", is_legacy_dashboard.then(legacy_dashboard::routes));
    ["/health", "/.netlify/functions/health", "/api/health", "/.netlify/functions/api/health"]
        .into_iter()
        .fold(orders, Health::add_to)
        .with_state(state)
}

const EXAMPLES: &str = include_str!("examples.json");

/// Describes the routes for the OpenAPI document.
pub fn openapi() -> Description {
    let orders = Description::new("Repair orders", "Orders for repairs at outside shops: status, dates, costs.")
        .examples(EXAMPLES)
        .table::<Orders>("/api/ros")
        .links("createOrder", 201, &[("id", "$response.body#/id"), ("roNumber", "$response.body#/roNumber")])
        .links("listOrders", 200, &[("id", "$response.body#/0/id"), ("roNumber", "$response.body#/0/roNumber")])
        .links("updateOrderById", 200, &[("id", "$response.body#/id"), ("roNumber", "$response.body#/roNumber")])
        .links("archiveOrder", 200, &[("id", "$response.body#/id")]);
    let health = Description::new("Health", "The state of the service.")
        .examples(EXAMPLES)
        .table::<Health>("/health")
        .table::<Health>("/api/health")
        .public();
    orders.and(health)
}
