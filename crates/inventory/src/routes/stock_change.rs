//! The transaction of `decrement`, `increment` and `adjust`.

use app_core::{
    clock::Clock,
    db,
    http::{Actor, ApiError, JsonResponse},
    idempotency::IdempotencyKey,
};
use chrono::SubsecRound;
use sqlx::MySqlConnection;

use crate::{
    InventoryState,
    model::{NewStockTransaction, StockChange, StockChangeResponse},
    store,
};

/// Changes a quantity in the index and in the part's table, and inserts the transaction into the ledger; all of it or nothing.
pub(super) async fn change_stock(
    state: &InventoryState,
    actor: &Actor,
    key: &IdempotencyKey,
    change: StockChange,
) -> Result<JsonResponse, ApiError> {
    let _lock = state.part_locks.lock(change.index_id).await;
    db::transaction!(state.db, key, state.clock, |connection| {
        let response = lock_and_change(connection, actor, &change, &state.clock).await?;
        JsonResponse::new(&response)
    })
}

async fn lock_and_change(
    connection: &mut MySqlConnection,
    actor: &Actor,
    change: &StockChange,
    clock: &Clock,
) -> Result<StockChangeResponse, ApiError> {
    let stock = store::lock_stock(connection, change.index_id)
        .await?
        .filter(|stock| change.part_number.matches(&stock.part_number))
        .ok_or_else(|| ApiError::NotFound("There is no such part with that number.".to_owned()))?;
    let new_qty = change.apply(stock.quantity)?;
    let transaction = NewStockTransaction {
        // Taken under the lock, so that the times of transactions are in their order. The column has whole seconds, and the
        // database would round up to one that has not begun.
        timestamp: clock.now().trunc_subsecs(0),
        action: change.quantity_change.action(),
        index_id: change.index_id,
        previous_qty: stock.quantity,
        new_qty: Some(new_qty),
        part_number: stock.part_number,
        ro_number: change.ro_number.as_deref().map(str::to_owned),
        notes: change.notes.as_deref().map(str::to_owned),
        actor: actor.clone(),
    };
    store::set_quantity(connection, change.index_id, stock.table, Some(new_qty), transaction.timestamp).await?;
    let transaction_id = store::insert_transaction(connection, &transaction).await?;
    Ok(StockChangeResponse::new(&transaction, new_qty, transaction_id))
}
