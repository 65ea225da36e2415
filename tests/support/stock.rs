//! Creates stock in a test's inventory, and checks that its transactions add up.

use std::collections::BTreeMap;

use inventory::model::Table;
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, MySqlConnection, Row};

use crate::{
    App, TestDatabase,
    database::{assert_all_agree, execute, numbers},
};

/// A part with a row in its table and a row in the index.
#[derive(Clone, Debug)]
pub struct Part {
    /// The id of its index row.
    pub index_id: i64,
    /// The id of its row in `table`.
    pub row_id: i64,
    pub table: String,
    /// The part number.
    pub number: String,
}

impl Part {
    /// The body of a stock change: the required fields and `fields`.
    pub fn change(&self, fields: &Value) -> Value {
        let mut body = json!({ "indexId": self.index_id.to_string(), "partNumber": self.number });
        let fields = fields.as_object().expect("the fields are an object").clone();
        body.as_object_mut().expect("an object").extend(fields);
        body
    }
}

/// The quantities of a part in the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quantities {
    /// The quantity in the index.
    pub indexed: Option<i64>,
    /// The quantity in its table.
    pub in_table: Option<i64>,
}

impl App {
    /// Adds a part with a row in `table` and a row in the index.
    pub async fn put(&self, table: &str, number: &str, quantity: i64) -> Part {
        put(&mut *self.connection().await, table, number, quantity).await
    }

    /// Adds a part without a row in the index.
    pub async fn put_unindexed(&self, table: &str, number: &str, quantity: i64) -> i64 {
        put_unindexed(&mut *self.connection().await, table, number, quantity).await
    }

    /// Reads the current quantities of `part`.
    pub async fn quantities(&self, part: &Part) -> Quantities {
        quantities(&mut self.database.connect().await, part).await
    }

    /// The stock transactions of `part`, oldest first: action, difference, new quantity, notes.
    pub async fn transactions(&self, part: &Part) -> Vec<(String, i64, i64, Option<String>)> {
        transactions(&mut self.database.connect().await, part).await
    }

    /// Checks that the transactions of each part add up, and that `rotracker check` finds no fault. `openings` are the quantities
    /// before the first transaction.
    pub async fn assert_conserved(&self, openings: &BTreeMap<i64, (Part, i64)>) {
        let mut connection = self.database.connect().await;
        for (part, opening) in openings.values() {
            assert_eq!(ledger_fault(&mut connection, part, *opening).await, None);
        }
        let comparisons = inventory::store::check(&mut connection, 10).await.expect("the tables are compared");
        assert_all_agree(&comparisons);
    }
}

/// Adds a part with a row in `table` and a row in the index.
pub async fn put(connection: &mut MySqlConnection, table: &str, number: &str, quantity: i64) -> Part {
    let row_id = put_unindexed(connection, table, number, quantity).await;
    let statement = "INSERT INTO inventoryindex (PartNumber, TableName, RowId, Qty, `Condition`, Location) \
                     VALUES (?, ?, ?, ?, 'SV', 'A-12')";
    let row = sqlx::query(statement).bind(number).bind(table).bind(row_id).bind(quantity);
    let index_id = insert(connection, row).await;
    Part { index_id, row_id, table: table.to_owned(), number: number.to_owned() }
}

async fn put_unindexed(connection: &mut MySqlConnection, table: &str, number: &str, quantity: i64) -> i64 {
    let condition = if table == "bins_inventory" { "`CONDITION`" } else { "COND" };
    let statement = format!(
        "INSERT INTO `{table}` (PN, QTY, SERIAL, {condition}, LOCATION, DESCRIPTION) \
         VALUES (?, ?, 'SN-001', 'SV', 'A-12', ?)"
    );
    let description = format!("Part {number} of {table}");
    insert(connection, sqlx::query(AssertSqlSafe(statement)).bind(number).bind(quantity).bind(description)).await
}

/// Runs an `INSERT` and returns the new id.
async fn insert(
    connection: &mut MySqlConnection,
    query: sqlx::query::Query<'_, sqlx::MySql, sqlx::mysql::MySqlArguments>,
) -> i64 {
    let done = query.execute(connection).await.expect("the row is added");
    i64::try_from(done.last_insert_id()).expect("an id fits")
}

async fn quantities(connection: &mut MySqlConnection, part: &Part) -> Quantities {
    let statement = format!(
        "SELECT (SELECT Qty FROM inventoryindex WHERE IndexId = ?), (SELECT QTY FROM `{}` WHERE id = ?)",
        part.table
    );
    let row = sqlx::query(AssertSqlSafe(statement))
        .bind(part.index_id)
        .bind(part.row_id)
        .fetch_one(connection)
        .await
        .expect("the quantities can be read");
    Quantities { indexed: row.get(0), in_table: row.get(1) }
}

async fn transactions(connection: &mut MySqlConnection, part: &Part) -> Vec<(String, i64, i64, Option<String>)> {
    sqlx::query_as("SELECT Action, DeltaQty, NewQty, Note FROM transactions WHERE IndexId = ? ORDER BY TxnId")
        .bind(part.index_id)
        .fetch_all(connection)
        .await
        .expect("the transactions can be read")
}

/// Returns how the transactions of `part` do not add up, if they do not: each must start from the quantity of the one before, no
/// quantity may be negative, and the last one must equal the quantity in the index and in the table. `opening` is the quantity
/// before the first transaction.
pub async fn ledger_fault(connection: &mut MySqlConnection, part: &Part, opening: i64) -> Option<String> {
    let mut running = opening;
    for (action, delta, after, notes) in transactions(connection, part).await {
        running += delta;
        if after != running {
            return Some(format!("{action} {delta} of {part:?} ({notes:?}) does not follow"));
        }
        if after < 0 {
            return Some(format!("{part:?}: {after}"));
        }
    }
    let expected = Quantities { indexed: Some(running), in_table: Some(running) };
    let found = quantities(connection, part).await;
    (found != expected).then(|| format!("{part:?}: {found:?} instead of {expected:?}"))
}

/// Fills the eleven tables and the index with `count` parts, at most a million, and adds `count / 2` stock
/// transactions in the year before noon of 15 November 2024. One part in `one_low_of` has fewer than five pieces, the others at
/// least ten.
pub async fn fill_stock(database: &TestDatabase, count: u32, one_low_of: u32) {
    fill_stock_until(database, count, one_low_of, "2024-11-15 12:00:00").await;
}

/// Fills the tables as [`fill_stock`] does, with stock transactions in the year before `newest`, such as `2024-11-15 12:00:00`. The
/// database may have an earlier schema, without trigrams.
///
/// The triggers of the suffixes and trigrams work row by row, so they are dropped meanwhile, and both are inserted with one statement
/// for each table.
pub async fn fill_stock_until(database: &TestDatabase, count: u32, one_low_of: u32, newest: &str) {
    let mut connection = database.connect().await;
    execute(&mut connection, "SET SESSION sql_mode = 'STRICT_ALL_TABLES'; SET SESSION foreign_key_checks = 0").await;
    let triggers = drop_slow_triggers(&mut connection).await;
    for (index, table) in Table::ALL.into_iter().map(Table::name).enumerate() {
        let condition = if table == "bins_inventory" { "`CONDITION`" } else { "COND" };
        let fill = format!(
            "INSERT INTO `{table}` (id, PN, QTY, {condition}, LOCATION, DESCRIPTION) SELECT n + 1, \
             CONCAT(ELT(1 + n % 6, 'MS2', 'NAS1', '65-', 'BACB3', '251N', 'AN'), (n * 7919) % 1000003, '-', n % 89), \
             IF(n % {one_low_of} = 0, n % 5, 10 + n % 90), 'SV', CONCAT('A-', n % 40), 'HYDRAULIC PUMP' \
             FROM {} WHERE n < {count} AND n % 11 = {index}",
            numbers()
        );
        execute(&mut connection, &fill).await;
        let index = format!(
            "INSERT INTO inventoryindex (PartNumber, TableName, RowId, Qty, `Condition`, Location) \
             SELECT PN, '{table}', id, QTY, {condition}, LOCATION FROM `{table}` ORDER BY id"
        );
        execute(&mut connection, &index).await;
    }
    let transactions = format!(
        "INSERT INTO transactions (Timestamp, Action, IndexId, PartNumber, DeltaQty, NewQty, RONumber) \
         SELECT TIMESTAMP('{newest}') - INTERVAL (IndexId * 37) % 365 DAY, 'DECREMENT', IndexId, \
         PartNumber, -1, Qty, CONCAT('RO', 30000 + IndexId % 9000) FROM inventoryindex WHERE IndexId % 2 = 0"
    );
    execute(&mut connection, &transactions).await;
    for (table, id) in SUFFIXED {
        let suffixes = format!(
            "INSERT INTO {table}_suffixes (Suffix, Position, RowId)
             WITH RECURSIVE places (place) AS (SELECT 1 UNION ALL SELECT place + 1 FROM places WHERE place < 255)
             SELECT SUBSTRING(PartNumberKey, place), place, {id}
             FROM {table} JOIN places ON place <= CHAR_LENGTH(PartNumberKey)"
        );
        execute(&mut connection, &suffixes).await;
    }
    for table in SEARCHED {
        if !triggers.iter().any(|trigger| trigger.name == format!("trigrams_inserted_{table}")) {
            continue;
        }
        let trigrams = format!(
            "INSERT INTO {table}_trigrams (Trigram, RowId)
             WITH RECURSIVE places (place) AS (SELECT 1 UNION ALL SELECT place + 1 FROM places WHERE place < 255)
             SELECT DISTINCT SUBSTRING(CONCAT_WS(' ', PN, DESCRIPTION), place, 3), id
             FROM {table} JOIN places ON place <= CHAR_LENGTH(CONCAT_WS(' ', PN, DESCRIPTION)) - 2"
        );
        execute(&mut connection, &trigrams).await;
        execute(&mut connection, &format!("ANALYZE TABLE {table}_trigrams")).await;
    }
    for trigger in triggers {
        execute(&mut connection, &trigger.statement).await;
    }
    execute(&mut connection, "ANALYZE TABLE inventoryindex, inventoryindex_suffixes, transactions, stock_room").await;
}

/// A trigger that was dropped, and the statement that creates it again.
struct DroppedTrigger {
    name: String,
    statement: String,
}

/// Drops the triggers that insert suffixes and trigrams, as far as the schema has them.
async fn drop_slow_triggers(connection: &mut MySqlConnection) -> Vec<DroppedTrigger> {
    let names = "SELECT CAST(TRIGGER_NAME AS CHAR) FROM information_schema.TRIGGERS
                 WHERE TRIGGER_SCHEMA = DATABASE() AND TRIGGER_NAME REGEXP '^(suffix|trigrams)_inserted_'";
    let names: Vec<String> =
        sqlx::query_scalar(names).fetch_all(&mut *connection).await.expect("the triggers are listed");
    let mut dropped = Vec::new();
    for name in names {
        let show = sqlx::query(AssertSqlSafe(format!("SHOW CREATE TRIGGER {name}")));
        let row = show.fetch_one(&mut *connection).await.expect("the trigger is shown");
        let statement = row.get("SQL Original Statement");
        execute(connection, &format!("DROP TRIGGER {name}")).await;
        dropped.push(DroppedTrigger { name, statement });
    }
    dropped
}

/// The tables whose part numbers have a suffix index, with their columns for the id.
const SUFFIXED: [(&str, &str); 3] = [("inventoryindex", "IndexId"), ("stock_room", "id"), ("bins_inventory", "id")];

/// The tables with an index of trigrams.
const SEARCHED: [&str; 2] = ["stock_room", "bins_inventory"];
