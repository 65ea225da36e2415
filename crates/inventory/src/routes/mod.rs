//! The route table: every path of the function, and the handler that answers it.

mod adjust;
mod bins;
mod decrement;
mod export;
mod increment;
mod legacy_dashboard;
mod low_stock;
mod search;
mod stats;
mod stock_change;
mod stock_room;
mod table;
mod tables;
mod transactions;

use app_core::{http::under_each_prefix, openapi::Description, route_table};
use axum::Router;
use serde_json::json;

use crate::InventoryState;

route_table! {
    /// Inventory.
    Inventory(InventoryState) {
        "/search" => get(search::search),
        "/table/{table_name}" => get(table::table),
        "/stock-room" => get(stock_room::stock_room),
        "/bins" => get(bins::bins),
        "/export" => get(export::export),
        "/tables" => get(tables::tables),
        "/stats" => get(stats::stats),
        "/low-stock" => get(low_stock::low_stock),
        "/decrement" => post(decrement::decrement),
        "/increment" => post(increment::increment),
        "/adjust" => post(adjust::adjust),
        "/transactions" => get(transactions::transactions),
    }
}

/// Creates the router, without the layers around it. `is_legacy_dashboard` selects the routes that the dashboard calls.
pub fn router(state: InventoryState, is_legacy_dashboard: bool) -> Router {
    let of_dashboard = is_legacy_dashboard.then(legacy_dashboard::routes);
    under_each_prefix::<Inventory>("/inventory", of_dashboard).with_state(state)
}

/// Describes the routes for the OpenAPI document.
pub fn openapi() -> Description {
    let found = json!({
        "indexId": "{$response.body#/results/0/indexId}", "partNumber": "{$response.body#/results/0/partNumber}",
    });
    let low = json!({
        "indexId": "{$response.body#/items/0/indexId}", "partNumber": "{$response.body#/items/0/partNumber}",
    });
    let mut description =
        Description::new("Inventory", "The parts on the shelves, and the ledger of every change of a quantity.")
            .examples(include_str!("examples.json"))
            .table::<Inventory>("/api/inventory");
    for change in ["takeStock", "addStock", "adjustStock"] {
        description = description.link_to_body("searchParts", 200, change, &found).link_to_body(
            "listLowStock",
            200,
            change,
            &low,
        );
    }
    description
}
