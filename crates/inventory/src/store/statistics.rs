//! Counts of the tables and figures of the index.

use app_core::http::ApiError;
use chrono::{DateTime, Utc};
use sqlx::{MySql, MySqlConnection, QueryBuilder, Row};

use crate::model::{Stats, Table, Tables};

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
        "-- Parts are only counted here. Their quantities are few, and adding them up part by part would take half as long again.
         SELECT CAST(TableNumber AS SIGNED) AS table_number, NULL AS other_table, Qty AS quantity, COUNT(*) AS parts
         FROM inventoryindex
         GROUP BY TableNumber, Qty
         HAVING table_number > 0
         UNION ALL
         -- Names that differ in case only are one, whatever the quantity.
         SELECT 0, MIN(MIN(TableName)) OVER (PARTITION BY TableName), Qty, COUNT(*)
         FROM inventoryindex
         WHERE TableNumber = 0
         GROUP BY TableName, Qty",
    )
    .fetch_all(&mut *connection)
    .await?;
    let recent_transactions = sqlx::query_scalar("SELECT COUNT(*) FROM transactions WHERE Timestamp >= ?")
        .bind(since)
        .fetch_one(connection)
        .await?;
    Ok(Stats::new(stock, recent_transactions))
}
