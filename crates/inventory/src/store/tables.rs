//! The rows of the eleven tables.

use std::sync::LazyLock;

use app_core::{
    db::{Pool, stream_rows},
    http::ApiError,
};
use futures_util::{Stream, TryStreamExt};
use sqlx::{FromRow, QueryBuilder};

use super::{PerTable, escape_like};
use crate::model::{InventoryItem, ItemFilter, Table};

#[derive(FromRow)]
struct ItemRow {
    #[sqlx(flatten)]
    item: InventoryItem,
    bin: Option<String>,
}

/// Lists the rows of `table` that `filter` selects, by part number.
pub fn list_items(
    db: Pool,
    table: Table,
    filter: &ItemFilter,
) -> impl Stream<Item = Result<InventoryItem, ApiError>> + Send + use<> {
    static SELECT_ITEMS: LazyLock<PerTable> = LazyLock::new(|| {
        PerTable::new(|table| {
            let (condition, bin) = table.condition_and_bin_columns();
            format!(
                "SELECT id, PN AS part_number, QTY AS qty, SERIAL AS serial, {condition} AS `condition`, LOCATION AS location,
                        DESCRIPTION AS description, {bin} AS bin
                 FROM `{}`
                 WHERE TRUE",
                table.name()
            )
        })
    });
    let (condition_column, bin_column) = table.condition_and_bin_columns();
    let mut statement = QueryBuilder::new(SELECT_ITEMS.get(table));
    for (column, value) in
        [("LOCATION", &filter.location), (condition_column, &filter.condition), (bin_column, &filter.bin)]
    {
        if let Some(value) = value {
            statement.push(format!(" AND TRIM({column}) = ")).push_bind(value);
        }
    }
    if let Some(search) = &filter.search {
        let pattern = format!("%{}%", escape_like(search));
        statement.push(" AND (PN LIKE ").push_bind(&pattern);
        statement.push(" OR DESCRIPTION LIKE ").push_bind(&pattern).push(")");
    }
    statement.push(" ORDER BY PN, id");
    let has_bins = table == Table::BinsInventory;
    stream_rows(db, statement)
        .map_ok(move |ItemRow { item, bin }| InventoryItem { bin: has_bins.then_some(bin), ..item })
}
