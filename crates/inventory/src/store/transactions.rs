//! The ledger: the table `transactions`.

use app_core::{
    db::{NewestFirst, Pool, push_limit, push_older, push_period, stream_rows},
    http::{ApiError, Page, Placed},
};
use futures_util::Stream;
use sqlx::{MySql, MySqlConnection, QueryBuilder};

use crate::model::{NewStockTransaction, StockTransaction, TransactionFilter};

/// Inserts a transaction and returns its number.
pub async fn insert_transaction(
    connection: &mut MySqlConnection,
    transaction: &NewStockTransaction,
) -> Result<u64, ApiError> {
    let mut statement = transactions_statement(std::slice::from_ref(transaction));
    Ok(statement.build().execute(connection).await?.last_insert_id())
}

/// Inserts `transactions`, if there are any.
pub async fn insert_transactions(
    connection: &mut MySqlConnection,
    transactions: &[NewStockTransaction],
) -> Result<(), ApiError> {
    if !transactions.is_empty() {
        transactions_statement(transactions).build().execute(connection).await?;
    }
    Ok(())
}

/// Returns the statement that inserts `transactions`, of which there must be at least one.
fn transactions_statement(transactions: &[NewStockTransaction]) -> QueryBuilder<MySql> {
    let mut statement = QueryBuilder::new(
        "INSERT INTO transactions
             (Timestamp, Action, IndexId, PartNumber, DeltaQty, NewQty, RONumber, Note, ChangedBy, ChangedByProgram, RequestId) ",
    );
    statement.push_values(transactions, |mut row, transaction| {
        row.push_bind(transaction.timestamp)
            .push_bind(transaction.action.name())
            .push_bind(transaction.index_id)
            .push_bind(transaction.part_number.trim())
            .push_bind(transaction.delta_qty())
            .push_bind(transaction.new_qty)
            .push_bind(transaction.ro_number.as_deref())
            .push_bind(transaction.notes.as_deref())
            .push_bind(transaction.actor.user())
            .push_bind(transaction.actor.program_name())
            .push_bind(transaction.actor.request_id());
    });
    statement
}

/// Counts the transactions that `filter` selects.
pub async fn count_transactions(connection: &mut MySqlConnection, filter: &TransactionFilter) -> Result<i64, ApiError> {
    let mut statement = QueryBuilder::new("SELECT COUNT(*) FROM transactions WHERE TRUE");
    push_filter(&mut statement, filter);
    Ok(statement.build_query_scalar().fetch_one(connection).await?)
}

/// Lists a page of the transactions that `filter` selects, newest first. The page is found by ids alone, which the indexes
/// have, and its rows are read afterwards.
pub fn list_transactions(
    db: Pool,
    filter: &TransactionFilter,
    page: &Page<NewestFirst>,
) -> impl Stream<Item = Result<Placed<StockTransaction, NewestFirst>, ApiError>> + Send + use<> {
    let mut statement = QueryBuilder::new(
        "SELECT TxnId,
                -- Other programs may have left zero dates, which are no instants.
                IF(Timestamp > '1000-01-01', Timestamp, NULL) AS Timestamp,
                Action, IndexId, PartNumber, NewQty - DeltaQty AS PreviousQty, DeltaQty, NewQty, RONumber, Note,
                ChangedBy, ChangedByProgram, RequestId,
                CAST(page_timestamp AS CHAR) AS place_instant, page_id AS place_id
         FROM (SELECT TxnId AS page_id, Timestamp AS page_timestamp
               FROM transactions
               WHERE TRUE",
    );
    push_filter(&mut statement, filter);
    if let Some(place) = page.start.place() {
        push_older(&mut statement, "Timestamp", "TxnId", place);
    }
    statement.push(" ORDER BY Timestamp DESC, TxnId DESC");
    push_limit(&mut statement, page);
    statement.push(
        ") page
         JOIN transactions ON TxnId = page_id
         ORDER BY page_timestamp DESC, page_id DESC",
    );
    stream_rows(db, statement)
}

fn push_filter(statement: &mut QueryBuilder<MySql>, filter: &TransactionFilter) {
    if let Some(number) = &filter.part_number {
        statement.push(" AND PartNumberKey = UPPER(").push_bind(number.in_any_case()).push(" COLLATE utf8mb4_bin)");
    }
    if let Some(number) = &filter.ro_number {
        statement.push(" AND RONumberKey = UPPER(").push_bind(&**number).push(" COLLATE utf8mb4_bin)");
    }
    if let Some(action) = filter.action {
        statement.push(" AND Action = ").push_bind(action.name());
    }
    push_period(statement, "Timestamp", filter.period);
}
