//! Counts of the tables and figures of the index.

use app_core::http::ApiError;
use chrono::{DateTime, Utc};
use sqlx::{MySql, MySqlConnection, QueryBuilder, Row};

use crate::model::{DEFAULT_THRESHOLD, Stats, Table, Tables};

/// Counts the rows of each table.
pub async fn count_tables(connection: &mut MySqlConnection) -> Result<Tables, ApiError> {
    let mut statement = QueryBuilder::<MySql>::new("SELECT ");
    let mut counts = statement.separated(", ");
    for table in Table::ALL {
        counts.push(format!("(SELECT COUNT(*) FROM `{name}`) AS `{name}`", name = table.name()));
    }
    let row = statement.build().fetch_one(connection).await?;
    let counts = Table::ALL.into_iter().map(|table| Ok((table, row.try_get(table.name())?)));
    Ok(Tables::new(counts.collect::<Result<Vec<_>, sqlx::Error>>()?))
}

/// Reads the figures of the index, and the number of stock transactions from `since` on.
pub async fn stats(connection: &mut MySqlConnection, since: DateTime<Utc>) -> Result<Stats, ApiError> {
    let stock = sqlx::query_as(
        "SELECT CAST(TableNumber AS SIGNED) AS table_number, NULL AS other_table, COUNT(*) AS parts,
                CAST(COALESCE(SUM(Qty), 0) AS SIGNED) AS quantity
         FROM inventoryindex
         GROUP BY TableNumber
         UNION ALL
         -- The names behind the number 0.
         SELECT NULL, TableName, COUNT(*), CAST(COALESCE(SUM(Qty), 0) AS SIGNED)
         FROM inventoryindex
         WHERE TableNumber = 0
         GROUP BY TableName",
    )
    .fetch_all(&mut *connection)
    .await?;
    let low = sqlx::query_as(
        "SELECT COUNT(*) AS low_parts,
                COUNT(IF(Qty <= 0, 1, NULL)) AS out_of_stock,
                (SELECT COUNT(*) FROM transactions WHERE Timestamp >= ?) AS recent_transactions
         FROM inventoryindex
         WHERE Qty < ?",
    )
    .bind(since)
    .bind(DEFAULT_THRESHOLD)
    .fetch_one(connection)
    .await?;
    Ok(Stats::new(stock, &low))
}
