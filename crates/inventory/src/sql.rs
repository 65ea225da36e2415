//! Every statement about inventory. All are made of constants: no input reaches SQL text.
//!
//! `inventoryindex` holds the quantities. A change locks its row there first, so that changes of one part queue up in one
//! place, and takes the part's row in its table along.

use app_core::{
    db::{push_limit, push_period},
    http::Page,
};
use sqlx::{MySql, QueryBuilder};

use crate::{
    model::{Entry, LedgerFilter, Table},
    reindex::Fields,
};

/// What `$statement!` makes of the table's name and of its columns for the condition and the bin, which the bins spell
/// out and the other ten abbreviate and lack. Table names cannot be bound, and this way every statement is a constant.
macro_rules! in_table {
    ($table:expr, $statement:ident) => {
        match $table {
            Table::StockRoom => $statement!("stock_room", "COND", "NULL"),
            Table::BinsInventory => $statement!("bins_inventory", "`CONDITION`", "`BIN`"),
            Table::Md82Parts => $statement!("md82_parts", "COND", "NULL"),
            Table::Parts727 => $statement!("727_parts", "COND", "NULL"),
            Table::Terra => $statement!("terra", "COND", "NULL"),
            Table::AsiaArParts => $statement!("asia_ar_parts", "COND", "NULL"),
            Table::BerRai => $statement!("b_e_r__r_a_i", "COND", "NULL"),
            Table::BoliviaPart => $statement!("bolivia_part", "COND", "NULL"),
            Table::DeltaApa => $statement!("delta_apa", "COND", "NULL"),
            Table::AsiaArSanfordParts => $statement!("asia_ar_sanford_parts", "COND", "NULL"),
            Table::ApaSanfordAr757 => $statement!("apa_sanford_ar_757", "COND", "NULL"),
        }
    };
}

/// `$each!` of every table's name, one after the other.
macro_rules! of_all_tables {
    ($each:ident) => {
        concat!(
            $each!("stock_room"),
            $each!("bins_inventory"),
            $each!("md82_parts"),
            $each!("727_parts"),
            $each!("terra"),
            $each!("asia_ar_parts"),
            $each!("b_e_r__r_a_i"),
            $each!("bolivia_part"),
            $each!("delta_apa"),
            $each!("asia_ar_sanford_parts"),
            $each!("apa_sanford_ar_757")
        )
    };
}

macro_rules! description_of {
    ($name:literal) => {
        concat!(" WHEN '", $name, "' THEN (SELECT DESCRIPTION FROM `", $name, "` WHERE id = i.RowId)")
    };
}

/// A part of the index as searches show it. Its description is in one of eleven tables; only that one is asked.
macro_rules! select_indexed {
    ($from:literal) => {
        concat!(
            "SELECT i.IndexId, i.PartNumber, i.TableName, i.RowId, COALESCE(i.Qty, 0), i.`Condition`, i.Location, \
             CASE i.TableName",
            of_all_tables!(description_of),
            " END FROM ",
            $from
        )
    };
}

/// Parts of the index with a number. Takes the number, trimmed. Both sides are in capitals; that of the index has an
/// index of its own.
pub const SEARCH_EXACT: &str =
    select_indexed!("inventoryindex i WHERE i.PartNumberKey = UPPER(?) ORDER BY i.TableName, i.RowId");

/// Parts of the index whose number contains a text, in the order of what follows in the number, and at most 50 (design,
/// reading 15). Takes the text twice, the second time escaped for LIKE.
///
/// A number contains a text if one of its suffixes begins with it, which is a range of that table's primary key, and
/// reading it stops at the limit. A number that contains the text several times is taken at the first place; that
/// condition also drops suffixes of a row whose number is another one by now.
pub const SEARCH_LIKE: &str = select_indexed!(
    "inventoryindex_suffixes x STRAIGHT_JOIN inventoryindex i ON i.IndexId = x.RowId \
     AND LOCATE(UPPER(?), i.PartNumberKey) = x.Position \
     WHERE x.Suffix LIKE CONCAT(UPPER(?), '%') ORDER BY x.Suffix, x.Position, x.RowId LIMIT 50"
);

macro_rules! search_in {
    ($name:literal, $condition:literal) => {
        concat!(
            "(SELECT NULL, s.PN, '",
            $name,
            "', s.id, COALESCE(s.QTY, 0), s.",
            $condition,
            ", s.LOCATION, s.DESCRIPTION FROM `",
            $name,
            "_suffixes` x STRAIGHT_JOIN `",
            $name,
            "` s ON s.id = x.RowId AND LOCATE(UPPER(?), UPPER(TRIM(s.PN))) = x.Position \
             WHERE x.Suffix LIKE CONCAT(UPPER(?), '%') ORDER BY x.Suffix, x.Position, x.RowId LIMIT 25)"
        )
    };
}

/// Parts of the stock room and the bins whose number contains a text, for those that the index misses, as
/// [`SEARCH_LIKE`] finds them in the index, and at most 25 of each. Takes the text and the text escaped for LIKE, twice.
pub const SEARCH_DIRECT: &str =
    concat!(search_in!("stock_room", "COND"), " UNION ALL ", search_in!("bins_inventory", "`CONDITION`"));

/// Rows of one table. Takes location, condition, bin and, escaped for LIKE, the text to search for: each of the first
/// three twice, the last three times, and null where it does not matter.
pub fn list(table: Table) -> &'static str {
    macro_rules! statement {
        ($name:literal, $condition:literal, $bin:literal) => {
            concat!(
                "SELECT id, PN, QTY, SERIAL, ",
                $condition,
                ", LOCATION, DESCRIPTION, ",
                $bin,
                " FROM `",
                $name,
                "` WHERE (? IS NULL OR TRIM(LOCATION) = ?) AND (? IS NULL OR TRIM(",
                $condition,
                ") = ?) AND (? IS NULL OR TRIM(",
                $bin,
                ") = ?) AND (? IS NULL OR PN LIKE CONCAT('%', ?, '%') OR DESCRIPTION LIKE CONCAT('%', ?, '%')) \
                 ORDER BY PN, id"
            )
        };
    }
    in_table!(table, statement)
}

macro_rules! count_of {
    ($name:literal) => {
        concat!("(SELECT COUNT(*) FROM `", $name, "`), ")
    };
}

/// How many rows each table has, in the order of [`Table::ALL`].
pub const COUNT_TABLES: &str = concat!("SELECT ", of_all_tables!(count_of), "0");

/// The index in figures by table: rows, pieces, rows with fewer pieces than the threshold that it takes, rows without.
pub const STATS: &str = "SELECT TableName, COUNT(*), CAST(COALESCE(SUM(Qty), 0) AS SIGNED), \
     COUNT(IF(COALESCE(Qty, 0) < ?, 1, NULL)), COUNT(IF(COALESCE(Qty, 0) <= 0, 1, NULL)) \
     FROM inventoryindex GROUP BY TableName";

/// Parts with fewer pieces than a threshold, their use since an instant, how urgent they are (the position in
/// [`crate::model::Urgency::ALL`]) and the days that they last (design, reading 17). Takes the instant and the threshold.
///
/// With `used` pieces in 90 days, `quantity / (used / 3) * 30` days are `quantity * 90 / used`, without rounding in
/// between. The use is looked up part by part in an index, so that only low parts and their entries are read.
pub const LOW_STOCK: &str = "SELECT IndexId, PartNumber, TableName, quantity, used, Location, `Condition`, \
     CASE WHEN pieces = 0 THEN 0 WHEN pieces < 2 OR days < 30 THEN 1 WHEN days < 60 THEN 2 ELSE 3 END AS urgency, days \
     FROM (SELECT used_low.*, IF(used > 0, pieces * 90 DIV used, NULL) AS days FROM \
     (SELECT i.IndexId, i.PartNumber, i.TableName, COALESCE(i.Qty, 0) AS quantity, GREATEST(COALESCE(i.Qty, 0), 0) AS pieces, \
     i.Location, i.`Condition`, (SELECT CAST(COALESCE(SUM(-t.DeltaQty), 0) AS SIGNED) FROM transactions t \
     WHERE t.PartNumber = TRIM(i.PartNumber) AND t.Action = 'DECREMENT' AND t.Timestamp >= ?) AS used \
     FROM inventoryindex i WHERE i.Qty < ? OR i.Qty IS NULL LIMIT 18446744073709551615) used_low) low \
     ORDER BY urgency, days IS NULL, days, PartNumber, IndexId";

/// A row of the index, locked until the transaction ends: number, pieces, table. Takes the id.
pub const LOCK: &str =
    "SELECT PartNumber, COALESCE(Qty, 0), TableName FROM inventoryindex WHERE IndexId = ? FOR UPDATE";

/// Writes the quantity of a row of the index and of its row in `table`, where that exists. Takes the quantity twice and
/// the id.
pub fn set_quantity(table: Table) -> &'static str {
    macro_rules! statement {
        ($name:literal, $condition:literal, $bin:literal) => {
            concat!(
                "UPDATE inventoryindex i LEFT JOIN `",
                $name,
                "` s ON s.id = i.RowId SET i.Qty = ?, s.QTY = ? WHERE i.IndexId = ?"
            )
        };
    }
    in_table!(table, statement)
}

/// Writes the quantity of a row of the index that points to none of the eleven tables. Takes the quantity and the id.
pub const SET_INDEXED_QUANTITY: &str = "UPDATE inventoryindex SET Qty = ? WHERE IndexId = ?";

/// Adds entries to the ledger, of which there must be some.
pub fn add_entries(entries: &[Entry]) -> QueryBuilder<MySql> {
    let mut statement = QueryBuilder::new(
        "INSERT INTO transactions (Timestamp, Action, IndexId, PartNumber, DeltaQty, NewQty, RONumber, Note, ChangedBy, \
         ChangedByProgram, RequestId) ",
    );
    statement.push_values(entries, |mut row, entry| {
        row.push_bind(entry.at)
            .push_bind(entry.action.name())
            .push_bind(entry.index_id.0)
            .push_bind(entry.part_number.trim().to_owned())
            .push_bind(entry.new_qty - entry.previous_qty)
            .push_bind(entry.new_qty)
            .push_bind(entry.ro_number.clone())
            .push_bind(entry.notes.clone())
            .push_bind(entry.actor.user().map(str::to_owned))
            .push_bind(entry.actor.program_name())
            .push_bind(entry.actor.request_id().map(str::to_owned));
    });
    statement
}

/// Counts the transactions that `filter` selects.
pub fn count_transactions(filter: &LedgerFilter) -> QueryBuilder<MySql> {
    let mut statement = QueryBuilder::new("SELECT COUNT(*) FROM transactions WHERE TRUE");
    push_ledger_filter(&mut statement, filter);
    statement
}

/// Lists a page of the transactions that `filter` selects, newest first. The page is found by ids alone, which the indexes
/// hold, and its rows are read afterwards.
pub fn list_transactions(filter: &LedgerFilter, page: Page) -> QueryBuilder<MySql> {
    let mut statement = QueryBuilder::new(
        // Another program may have left zero dates, which are no instants.
        "SELECT TxnId, IF(Timestamp > '1000-01-01', Timestamp, NULL) AS Timestamp, Action, IndexId, PartNumber,
                NewQty - DeltaQty AS PreviousQty, DeltaQty, NewQty, RONumber, Note, ChangedBy, ChangedByProgram, RequestId
         FROM (SELECT TxnId AS page_id, Timestamp AS page_timestamp
               FROM transactions
               WHERE TRUE",
    );
    push_ledger_filter(&mut statement, filter);
    statement.push(" ORDER BY Timestamp DESC, TxnId DESC");
    push_limit(&mut statement, page);
    statement.push(
        ") page
         JOIN transactions ON TxnId = page_id
         ORDER BY page_timestamp DESC, page_id DESC",
    );
    statement
}

/// Adds what `filter` lets through.
pub fn push_ledger_filter(statement: &mut QueryBuilder<MySql>, filter: &LedgerFilter) {
    if let Some(number) = &filter.part_number {
        statement.push(" AND PartNumber = ").push_bind(number.as_str().to_owned());
    }
    if let Some(number) = &filter.ro_number {
        statement.push(" AND RONumber = ").push_bind(number.to_string());
    }
    if let Some(action) = filter.action {
        statement.push(" AND Action = ").push_bind(action.name());
    }
    push_period(statement, "Timestamp", filter.period);
}

/// The id of the last of the 500 rows of a table that follow an id, if there are as many: so many rows `rotracker reindex`
/// looks at in one transaction. Takes the id.
pub fn batch_after(table: Table) -> &'static str {
    macro_rules! statement {
        ($name:literal, $condition:literal, $bin:literal) => {
            concat!("SELECT id FROM `", $name, "` WHERE id > ? ORDER BY id LIMIT 1 OFFSET 499")
        };
    }
    in_table!(table, statement)
}

/// Locks the rows of the index that point to a batch of a table. Takes the table's name, the id before the first row and
/// that of the last.
pub const LOCK_BATCH: &str =
    "SELECT IndexId FROM inventoryindex WHERE TableName = ? AND RowId > ? AND RowId <= ? FOR UPDATE";

/// Whether an entry of the ledger has moved the quantity of a row of the index. Entries of the Node service know only the
/// number; those of `rotracker reindex` itself only say what it took from the table.
macro_rules! is_moved {
    () => {
        "(EXISTS (SELECT 1 FROM transactions t WHERE t.IndexId = i.IndexId AND t.Action <> 'REINDEX') OR EXISTS (SELECT 1 FROM transactions t \
         WHERE t.IndexId IS NULL AND t.PartNumber = TRIM(i.PartNumber)))"
    };
}

/// The rows of a batch of a table, each beside its row of the index. Takes the id before the first row and that of the
/// last.
pub fn pairs(table: Table) -> &'static str {
    macro_rules! statement {
        ($name:literal, $condition:literal, $bin:literal) => {
            concat!(
                "SELECT s.id, COALESCE(s.PN, ''), COALESCE(s.QTY, 0), s.",
                $condition,
                ", s.LOCATION, i.IndexId, i.PartNumber, COALESCE(i.Qty, 0), i.`Condition`, i.Location, ",
                is_moved!(),
                " FROM `",
                $name,
                "` s LEFT JOIN inventoryindex i ON i.TableName = '",
                $name,
                "' AND i.RowId = s.id WHERE s.id > ? AND s.id <= ? ORDER BY s.id"
            )
        };
    }
    in_table!(table, statement)
}

/// Rows of the index that point to rows of a batch of a table that are not there, whether an entry of the ledger has moved
/// their quantity, their numbers and quantities. Takes the id before the first row and
/// that of the last.
pub fn gone(table: Table) -> &'static str {
    macro_rules! statement {
        ($name:literal, $condition:literal, $bin:literal) => {
            concat!(
                "SELECT i.IndexId, ",
                is_moved!(),
                ", i.PartNumber, COALESCE(i.Qty, 0) FROM inventoryindex i LEFT JOIN `",
                $name,
                "` s ON s.id = i.RowId WHERE i.TableName = '",
                $name,
                "' AND i.RowId > ? AND i.RowId <= ? AND s.id IS NULL"
            )
        };
    }
    in_table!(table, statement)
}

/// Adds rows of `table` to the index, unless another program was faster.
pub fn add_indexed(table: Table, rows: &[(i64, Fields)]) -> QueryBuilder<MySql> {
    let mut statement =
        QueryBuilder::new("INSERT INTO inventoryindex (PartNumber, TableName, RowId, Qty, `Condition`, Location) ");
    statement.push_values(rows, |mut values, (row_id, fields)| {
        values
            .push_bind(fields.part_number.clone())
            .push_bind(table.name())
            .push_bind(*row_id)
            .push_bind(fields.qty)
            .push_bind(fields.condition.clone())
            .push_bind(fields.location.clone());
    });
    statement.push(" ON DUPLICATE KEY UPDATE IndexId = IndexId");
    statement
}

/// Rows of the index that point to a batch of a table and have no entry in the ledger at all: id, number, quantity. Takes
/// the table's name, the id before the first row and that of the last.
pub const WITHOUT_ENTRIES: &str = "SELECT i.IndexId, i.RowId, i.PartNumber, COALESCE(i.Qty, 0) FROM inventoryindex i \
     WHERE i.TableName = ? AND i.RowId > ? AND i.RowId <= ? \
     AND NOT EXISTS (SELECT 1 FROM transactions t WHERE t.IndexId = i.IndexId)";

/// Writes a row of the index. Takes number, quantity, condition, location and the id.
pub const UPDATE_INDEXED: &str =
    "UPDATE inventoryindex SET PartNumber = ?, Qty = ?, `Condition` = ?, Location = ? WHERE IndexId = ?";

/// Removes a row of the index. Takes the id.
pub const REMOVE_INDEXED: &str = "DELETE FROM inventoryindex WHERE IndexId = ?";
