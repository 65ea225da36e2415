//! The route table: every path of the function, and the handler that answers it.

mod adjust;
mod bins;
mod change;
mod decrement;
mod increment;
mod low_stock;
mod search;
mod stats;
mod stock_room;
mod table;
mod tables;
mod transactions;

use app_core::http::under_both_prefixes;
use axum::{
    Router,
    routing::{get, post},
};

use crate::InventoryState;

/// All routes, without the layers around them.
pub fn router(state: InventoryState) -> Router {
    let inventory = Router::new()
        .route("/search", get(search::search))
        .route("/table/{table_name}", get(table::table))
        .route("/stock-room", get(stock_room::stock_room))
        .route("/bins", get(bins::bins))
        .route("/tables", get(tables::tables))
        .route("/stats", get(stats::stats))
        .route("/low-stock", get(low_stock::low_stock))
        .route("/decrement", post(decrement::decrement))
        .route("/increment", post(increment::increment))
        .route("/adjust", post(adjust::adjust))
        .route("/transactions", get(transactions::transactions));
    under_both_prefixes("/inventory", inventory).with_state(state)
}
