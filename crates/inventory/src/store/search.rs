//! Searches by part number.

use std::sync::LazyLock;

use app_core::{db::escape_like, http::ApiError};
use sqlx::MySqlConnection;

use super::{BOUND_KEY as KEY, LAST_SEEN, column_of_part};
use crate::model::{FoundPart, PartNumber, Table};

/// The columns of a part in the index.
pub(super) static INDEXED_PART: LazyLock<String> = LazyLock::new(|| {
    format!(
        "i.IndexId AS index_id, i.PartNumber AS part_number, i.TableName AS table_name, i.RowId AS row_id,
         {serial} AS serial_number, i.Qty AS qty, i.`Condition` AS `condition`, i.Location AS location,
         {description} AS description, {LAST_SEEN} AS last_seen",
        serial = column_of_part("SERIAL"),
        description = column_of_part("DESCRIPTION"),
    )
});

/// Finds the parts of the index with this number.
pub async fn search_exact(connection: &mut MySqlConnection, number: &PartNumber) -> Result<Vec<FoundPart>, ApiError> {
    static SEARCH_EXACT: LazyLock<String> = LazyLock::new(|| {
        format!(
            "SELECT {}
             FROM inventoryindex i
             WHERE i.PartNumberKey = {KEY}
             ORDER BY i.TableName, i.RowId",
            *INDEXED_PART
        )
    });
    Ok(sqlx::query_as(SEARCH_EXACT.as_str()).bind(number.in_any_case()).fetch_all(connection).await?)
}

/// Finds at most 50 parts of the index whose number contains `number`, sorted by the rest of their numbers.
pub async fn search_index_containing(
    connection: &mut MySqlConnection,
    number: &PartNumber,
) -> Result<Vec<FoundPart>, ApiError> {
    static SEARCH_LIKE: LazyLock<String> = LazyLock::new(|| {
        format!(
            "SELECT {}
             -- A number contains a text if one of its suffixes begins with it. These are a range of the primary key, and
             -- reading it stops at the limit.
             FROM inventoryindex_suffixes suffix
             -- Only the first place of the text in the number counts. This also drops suffixes of a former number.
             STRAIGHT_JOIN inventoryindex i
                 ON i.IndexId = suffix.RowId AND LOCATE({KEY}, i.PartNumberKey) = suffix.Position
             WHERE suffix.Suffix LIKE CONCAT({KEY}, '%')
             ORDER BY suffix.Suffix, suffix.Position, suffix.RowId
             LIMIT 50",
            *INDEXED_PART
        )
    });
    let number = number.in_any_case();
    let query = sqlx::query_as(SEARCH_LIKE.as_str()).bind(&number).bind(escape_like(&number));
    Ok(query.fetch_all(connection).await?)
}

/// Finds at most 25 parts of the stock room and 25 of the bins whose number contains `number`, as [`search_index_containing`] does in the
/// index. For parts that the index misses.
pub async fn search_tables_containing(
    connection: &mut MySqlConnection,
    number: &PartNumber,
) -> Result<Vec<FoundPart>, ApiError> {
    static SEARCH_DIRECT: LazyLock<String> = LazyLock::new(|| {
        [Table::StockRoom, Table::BinsInventory]
            .map(|table| {
                let (condition, _) = table.condition_and_bin_columns();
                format!(
                    "(SELECT NULL AS index_id, part.PN AS part_number, '{name}' AS table_name, part.id AS row_id,
                             part.SERIAL AS serial_number, part.QTY AS qty, part.{condition} AS `condition`,
                             part.LOCATION AS location, part.DESCRIPTION AS description, NULL AS last_seen
                      FROM `{name}_suffixes` suffix
                      STRAIGHT_JOIN `{name}` part
                          ON part.id = suffix.RowId AND LOCATE({KEY}, part.PartNumberKey) = suffix.Position
                      WHERE suffix.Suffix LIKE CONCAT({KEY}, '%')
                      ORDER BY suffix.Suffix, suffix.Position, suffix.RowId
                      LIMIT 25)",
                    name = table.name(),
                )
            })
            .join(" UNION ALL ")
    });
    let number = number.in_any_case();
    let escaped = escape_like(&number);
    let query = sqlx::query_as(SEARCH_DIRECT.as_str());
    let query = query.bind(&number).bind(&escaped).bind(&number).bind(&escaped);
    Ok(query.fetch_all(connection).await?)
}
