//! The rows of the eleven tables, and those of the index.

use std::sync::LazyLock;

use app_core::{
    db::{RowSource, escape_like, inserted_ids, stream_rows},
    http::ApiError,
};
use futures_util::{Stream, TryStreamExt};
use serde::{Deserialize, Serialize};
use sqlx::{FromRow, MySql, MySqlConnection, QueryBuilder};

use super::{PerTable, column_of_part, search::INDEXED_PART};
use crate::model::{FoundPart, InventoryItem, ItemFilter, Table};

#[derive(FromRow)]
struct ItemRow {
    #[sqlx(flatten)]
    item: InventoryItem,
    bin: Option<String>,
}

/// A part to be inserted into one of the eleven tables.
#[derive(Clone, Debug, Default, PartialEq, Eq, FromRow, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NewPart {
    pub part_number: Option<String>,
    /// `None` if unknown.
    pub qty: Option<i64>,
    pub serial: Option<String>,
    pub condition: Option<String>,
    pub location: Option<String>,
    pub description: Option<String>,
    /// The number of the bin. Only `bins_inventory` has a column for it.
    pub bin: Option<String>,
}

/// Inserts `parts` into `table` and returns their ids there, in the same order.
pub async fn insert_parts(
    connection: &mut MySqlConnection,
    table: Table,
    parts: &[NewPart],
) -> Result<Vec<i64>, ApiError> {
    if parts.is_empty() {
        return Ok(Vec::new());
    }
    let has_bins = table == Table::BinsInventory;
    let (condition, bin) = table.condition_and_bin_columns();
    let mut statement = QueryBuilder::new(format!(
        "INSERT INTO `{}` (PN, QTY, SERIAL, LOCATION, DESCRIPTION, {condition}{}) ",
        table.name(),
        if has_bins { format!(", {bin}") } else { String::new() },
    ));
    statement.push_values(parts, |mut row, part| {
        row.push_bind(part.part_number.as_deref())
            .push_bind(part.qty)
            .push_bind(part.serial.as_deref())
            .push_bind(part.location.as_deref())
            .push_bind(part.description.as_deref())
            .push_bind(part.condition.as_deref());
        if has_bins {
            row.push_bind(part.bin.as_deref());
        }
    });
    // The triggers do not change LAST_INSERT_ID(), since their tables have no generated ids.
    let inserted = statement.build().execute(&mut *connection).await?;
    inserted_ids(connection, &inserted, parts.len()).await
}

/// Lists the rows of `table` that `filter` selects, by part number.
pub fn list_items<'db, Db: RowSource<'db>>(
    db: Db,
    table: Table,
    filter: &ItemFilter,
) -> impl Stream<Item = Result<InventoryItem, ApiError>> + Send + use<'db, Db> {
    static SELECT_ITEMS: LazyLock<PerTable> = LazyLock::new(|| {
        PerTable::new(|table| {
            let (condition, bin) = table.condition_and_bin_columns();
            format!(
                "SELECT id, PN AS part_number, QTY AS qty, SERIAL AS serial, {condition} AS `condition`, LOCATION AS location,
                        DESCRIPTION AS description, {bin} AS bin
                 FROM "
            )
        })
    });
    let (condition, bin) = table.condition_and_bin_columns();
    let mut statement = QueryBuilder::new(SELECT_ITEMS.get(table));
    push_table(&mut statement, table, filter.search.as_deref());
    statement.push(" WHERE TRUE");
    push_filter(&mut statement, filter, ["LOCATION", condition, bin], ["PN", "DESCRIPTION"]);
    statement.push(" ORDER BY PN, id");
    let has_bins = table == Table::BinsInventory;
    stream_rows(db, statement)
        .map_ok(move |ItemRow { item, bin }| InventoryItem { bin: has_bins.then_some(bin), ..item })
}

/// Lists the rows of the index that `filter` selects, by part number. They have no bins.
pub fn list_index<'db, Db: RowSource<'db>>(
    db: Db,
    filter: &ItemFilter,
) -> impl Stream<Item = Result<FoundPart, ApiError>> + Send + use<'db, Db> {
    let mut statement = QueryBuilder::new(format!(
        "SELECT {}
         FROM inventoryindex i
         WHERE TRUE",
        *INDEXED_PART
    ));
    let columns = ["i.Location", "i.`Condition`", "NULL"];
    push_filter(&mut statement, filter, columns, ["i.PartNumber", &column_of_part("DESCRIPTION")]);
    statement.push(" ORDER BY i.PartNumber, i.IndexId");
    stream_rows(db, statement)
}

/// Adds `table`, without rows that lack a trigram of `search`, if the table has an index of trigrams, and `search` is long enough. Whether
/// the others contain it is left to check.
fn push_table(statement: &mut QueryBuilder<MySql>, table: Table, search: Option<&str>) {
    let name = table.name();
    let trigrams = trigrams(search.unwrap_or_default());
    if let (Table::StockRoom | Table::BinsInventory, [first, others @ ..]) = (table, &*trigrams) {
        // Servers begin with the rarest trigram, in whatever order they are.
        statement.push(format!("(SELECT first.RowId FROM {name}_trigrams first"));
        for (number, trigram) in others.iter().enumerate() {
            let other = format!("other{number}");
            statement
                .push(format!(" JOIN {name}_trigrams {other} ON {other}.RowId = first.RowId AND {other}.Trigram = "))
                .push_bind(trigram.clone());
        }
        statement.push(" WHERE first.Trigram = ").push_bind(first.clone());
        statement.push(format!(") candidates STRAIGHT_JOIN `{name}` ON id = candidates.RowId"));
    } else {
        statement.push(format!("`{name}`"));
    }
}

/// Returns at most four of the runs of three characters in `text`, from its beginning to its end. More of them would hardly leave out
/// more rows.
fn trigrams(text: &str) -> Vec<String> {
    const MOST: usize = 4;
    let characters: Vec<char> = text.chars().collect();
    let all: Vec<&[char]> = characters.windows(3).collect();
    let count = all.len().min(MOST);
    let mut trigrams: Vec<String> =
        (0..count).map(|number| all[number * (all.len() - 1) / (count - 1).max(1)].iter().collect()).collect();
    trigrams.dedup();
    trigrams
}

/// Adds the conditions of `filter`. `columns` are those of the location, the condition and the bin, and `searched` those in which
/// the text is looked for.
fn push_filter(statement: &mut QueryBuilder<MySql>, filter: &ItemFilter, columns: [&str; 3], searched: [&str; 2]) {
    for (column, value) in columns.into_iter().zip([&filter.location, &filter.condition, &filter.bin]) {
        if let Some(value) = value {
            statement.push(format!(" AND TRIM({column}) = ")).push_bind(value.clone());
        }
    }
    if let Some(search) = &filter.search {
        let pattern = format!("%{}%", escape_like(search));
        let [number, description] = searched;
        statement.push(format!(" AND ({number} LIKE ")).push_bind(pattern.clone());
        statement.push(format!(" OR {description} LIKE ")).push_bind(pattern).push(")");
    }
}
