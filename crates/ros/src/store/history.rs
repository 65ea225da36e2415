//! The table `ro_history`. The status history of an order is read with the order, in `orders::find`.

use app_core::{
    db::{Pool, push_limit, stream_rows},
    http::{ApiError, Page, Placed},
};
use futures_util::Stream;
use sqlx::{MySql, MySqlConnection, QueryBuilder, Row};

use super::no_such_order;
use crate::model::{HistoryEntry, HistoryPlace, NewHistoryEntry, OrderKey};

/// Inserts `entries`, if there are any.
pub async fn insert_history(connection: &mut MySqlConnection, entries: &[NewHistoryEntry]) -> Result<(), ApiError> {
    if entries.is_empty() {
        return Ok(());
    }
    let mut statement = QueryBuilder::new(
        "INSERT INTO ro_history
             (order_id, revision, ro_number, action, changed_at, user, program, request_id, changes, digest, digest_columns,
              status, status_date, cost, notes) ",
    );
    statement.push_values(entries, |mut row, entry| {
        let digest = entry.digest.as_ref();
        let status_change = entry.status_change.as_ref();
        row.push_bind(entry.order_id)
            .push_bind(entry.revision)
            .push_bind(&entry.ro_number)
            .push_bind(entry.action.name())
            .push_bind(entry.changed_at)
            .push_bind(entry.actor.user())
            .push_bind(entry.actor.program_name())
            .push_bind(entry.actor.request_id())
            .push_bind(&entry.changes)
            .push_bind(digest.map(|digest| &*digest.digest))
            .push_bind(digest.map(|digest| &*digest.columns))
            .push_bind(status_change.map(|change| &*change.status))
            .push_bind(status_change.and_then(|change| change.date))
            .push_bind(status_change.and_then(|change| change.cost))
            .push_bind(status_change.and_then(|change| change.notes.as_deref()));
    });
    statement.build().execute(connection).await?;
    Ok(())
}

/// Counts the history entries of an order.
///
/// # Errors
/// [`ApiError::NotFound`] if there is neither an entry nor an order. An order that another program inserted, and that was not
/// changed since, has no entry.
pub async fn count_history(connection: &mut MySqlConnection, key: &OrderKey) -> Result<i64, ApiError> {
    let mut statement = QueryBuilder::new("SELECT COUNT(*) AS total, EXISTS (SELECT 1 FROM ro_registry WHERE ");
    match key {
        OrderKey::Id(id) => statement.push("id = ").push_bind(id),
        OrderKey::Number(number) => {
            statement.push("number_key = UPPER(").push_bind(&**number).push(" COLLATE utf8mb4_bin)")
        }
    };
    statement.push(") AS order_exists FROM ro_history WHERE ");
    push_history_of(&mut statement, key);
    let row = statement.build().fetch_one(connection).await?;
    let total = row.try_get("total")?;
    if total == 0 && !row.try_get::<bool, _>("order_exists")? { Err(no_such_order()) } else { Ok(total) }
}

/// Lists a page of an order's history, newest entries first. Deleted orders have a history, too.
pub fn list_history(
    db: Pool,
    key: &OrderKey,
    page: &Page<HistoryPlace>,
) -> impl Stream<Item = Result<Placed<HistoryEntry, HistoryPlace>, ApiError>> + Send + use<> {
    let mut statement = QueryBuilder::new(
        "SELECT revision, order_id, ro_number, action, changed_at, user, program, request_id, changes,
                revision AS place_revision
         -- Without the word, MariaDB reads all later entries of the order before those of the page.
         FROM ro_history FORCE INDEX (revision)
         WHERE ",
    );
    push_history_of(&mut statement, key);
    if let Some(HistoryPlace { place_revision }) = page.start.place() {
        statement.push(" AND revision < ").push_bind(*place_revision);
    }
    // Revisions are numbered under the order's lock. Times would not do, since the clocks of instances may differ.
    statement.push(" ORDER BY revision DESC");
    push_limit(&mut statement, page);
    stream_rows(db, statement)
}

/// Adds the condition that an entry belongs to the order. A number stands for the order that has it now, or else for the one
/// that had it last.
fn push_history_of(statement: &mut QueryBuilder<MySql>, key: &OrderKey) {
    match key {
        OrderKey::Id(id) => statement.push("order_id = ").push_bind(id),
        OrderKey::Number(number) => statement
            .push("order_id = COALESCE((SELECT id FROM ro_registry WHERE number_key = UPPER(")
            .push_bind(&**number)
            .push(" COLLATE utf8mb4_bin)), (SELECT order_id FROM ro_history last WHERE last.number_key = UPPER(")
            .push_bind(&**number)
            .push(" COLLATE utf8mb4_bin) ORDER BY last.id DESC LIMIT 1))"),
    };
}
