//! Quantities.

use std::sync::LazyLock;

use app_core::http::ApiError;
use chrono::{DateTime, Utc};
use sqlx::{MySqlConnection, Row};

use super::PerTable;
use crate::model::{IndexId, Table};

/// A row of the index that is locked until the transaction ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IndexedStock {
    pub part_number: String,
    /// `None` if unknown.
    pub quantity: Option<i64>,
    /// The table that has the part. `None` if the index names none of the eleven.
    pub table: Option<Table>,
}

/// Returns a row of the index, if it exists, and locks it until the transaction ends.
pub async fn lock_stock(connection: &mut MySqlConnection, id: IndexId) -> Result<Option<IndexedStock>, ApiError> {
    let row = sqlx::query(
        "SELECT PartNumber, Qty AS quantity, TableName
         FROM inventoryindex
         WHERE IndexId = ?
         FOR UPDATE",
    )
    .bind(id)
    .fetch_optional(connection)
    .await?;
    let Some(row) = row else { return Ok(None) };
    Ok(Some(IndexedStock {
        part_number: row.try_get("PartNumber")?,
        quantity: row.try_get("quantity")?,
        table: Table::from_index_name(row.try_get("TableName")?),
    }))
}

/// Sets the quantity of a row of the index, and of its row in `table`, if that exists, at the time `seen`. `None` is an unknown
/// quantity.
pub async fn set_quantity(
    connection: &mut MySqlConnection,
    id: IndexId,
    table: Option<Table>,
    quantity: Option<i64>,
    seen: DateTime<Utc>,
) -> Result<(), ApiError> {
    static SET_BOTH_QUANTITIES: LazyLock<PerTable> = LazyLock::new(|| {
        PerTable::new(|table| {
            format!(
                "UPDATE inventoryindex i
                 LEFT JOIN `{}` part ON part.id = i.RowId
                 SET i.Qty = ?, i.LastSeen = ?, part.QTY = ?
                 WHERE i.IndexId = ?",
                table.name()
            )
        })
    });
    let query = match table {
        Some(table) => sqlx::query(SET_BOTH_QUANTITIES.get(table)).bind(quantity).bind(seen).bind(quantity),
        None => {
            sqlx::query("UPDATE inventoryindex SET Qty = ?, LastSeen = ? WHERE IndexId = ?").bind(quantity).bind(seen)
        }
    };
    query.bind(id).execute(connection).await?;
    Ok(())
}
