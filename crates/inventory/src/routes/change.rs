//! What decrement, increment and adjust have in common.

use app_core::{
    clock::Clock,
    db::{self, Transaction},
    http::{Actor, ApiError, JsonResponse},
    idempotency::IdempotencyKey,
};
use chrono::SubsecRound;
use sqlx::MySqlConnection;

use crate::{
    InventoryState,
    model::{Changed, Entry, StockChange},
    store,
};

/// Changes a quantity, in the index and in the part's table, and enters it in the ledger; all or nothing.
pub(super) async fn change(
    state: &InventoryState,
    actor: &Actor,
    key: &IdempotencyKey,
    change: StockChange,
) -> Result<JsonResponse, ApiError> {
    let done = db::retry(|| async {
        let mut transaction = Transaction::begin(&state.db).await?;
        let answer = change_once(&mut transaction, actor, key, &change, &state.clock).await;
        transaction.commit_or_roll_back(answer).await
    });
    key.save_refusal(&state.db, &state.clock, done.await).await
}

async fn change_once(
    connection: &mut MySqlConnection,
    actor: &Actor,
    key: &IdempotencyKey,
    change: &StockChange,
    clock: &Clock,
) -> Result<JsonResponse, ApiError> {
    if let Some(answer) = key.saved_response(connection, clock).await? {
        return Ok(answer);
    }
    let changed = lock_and_write(connection, actor, change, clock).await?;
    key.save_response(connection, clock, JsonResponse::new(&changed)?).await
}

async fn lock_and_write(
    connection: &mut MySqlConnection,
    actor: &Actor,
    change: &StockChange,
    clock: &Clock,
) -> Result<Changed, ApiError> {
    let stock = store::lock(connection, change.index_id).await?;
    let stock = stock
        .filter(|stock| change.part_number.is(&stock.part_number))
        .ok_or_else(|| ApiError::NotFound("There is no such part with that number.".to_owned()))?;
    let entry = Entry {
        // Under the lock, so that one machine's clock has the entries in their order. The ledger keeps whole seconds, and
        // the database would round up to one that has not begun.
        at: clock.now().trunc_subsecs(0),
        action: change.effect.action(),
        index_id: change.index_id,
        previous_qty: stock.quantity,
        new_qty: change.effect.apply(stock.quantity)?,
        part_number: stock.part_number,
        ro_number: change.ro_number.as_deref().map(str::to_owned),
        notes: change.notes.as_deref().map(str::to_owned),
        actor: actor.clone(),
    };
    store::set_quantity(connection, change.index_id, stock.table, entry.new_qty).await?;
    let transaction_id = store::add_entry(connection, &entry).await?;
    Ok(Changed::new(&entry, transaction_id))
}
