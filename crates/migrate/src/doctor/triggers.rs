//! Whether the triggers fire. An account without the privilege TRIGGER does not see them, and none sees whether their owner still
//! exists and has its rights. So rows are inserted, updated and deleted in a transaction that is rolled back. Only numbers of
//! AUTO_INCREMENT are used up.

use app_core::db::error_number;
use sqlx::{AssertSqlSafe, Connection, MySqlConnection, migrate::Migrator};

use super::Finding;
use crate::migrations::INVENTORY;

/// A statement that waits longer for a lock is given up.
const SET_LOCK_TIMEOUT: &str = "SET SESSION lock_wait_timeout = 5, innodb_lock_wait_timeout = 5";

/// A table with triggers.
struct Table {
    name: &'static str,
    /// The column whose text the triggers copy.
    column: &'static str,
    /// The statement that inserts a text.
    insert: &'static str,
    /// The statement that counts the copies of a text.
    copies: &'static str,
}

const COPIES_IN_REGISTRY: &str = "SELECT COUNT(*) FROM ro_registry WHERE number_key = ?";

const OF_MAIN: [Table; 4] = [
    Table { name: "active", column: "RO", insert: "INSERT INTO `active` (RO) VALUES (?)", copies: COPIES_IN_REGISTRY },
    Table { name: "paid", column: "RO", insert: "INSERT INTO `paid` (RO) VALUES (?)", copies: COPIES_IN_REGISTRY },
    Table { name: "net", column: "RO", insert: "INSERT INTO `net` (RO) VALUES (?)", copies: COPIES_IN_REGISTRY },
    Table {
        name: "returns",
        column: "RO",
        insert: "INSERT INTO `returns` (RO) VALUES (?)",
        copies: COPIES_IN_REGISTRY,
    },
];

const OF_INVENTORY: [Table; 3] = [
    Table {
        name: "inventoryindex",
        column: "PartNumber",
        insert: "INSERT INTO inventoryindex (PartNumber, TableName, RowId)
                 SELECT number, number, 0 FROM (SELECT ? AS number) AS new",
        copies: "SELECT COUNT(*) FROM inventoryindex_suffixes WHERE Suffix = ? AND Position = 1",
    },
    Table {
        name: "stock_room",
        column: "PN",
        insert: "INSERT INTO stock_room (PN) VALUES (?)",
        copies: "SELECT COUNT(*) FROM stock_room_suffixes WHERE Suffix = ? AND Position = 1",
    },
    Table {
        name: "bins_inventory",
        column: "PN",
        insert: "INSERT INTO bins_inventory (PN) VALUES (?)",
        copies: "SELECT COUNT(*) FROM bins_inventory_suffixes WHERE Suffix = ? AND Position = 1",
    },
];

/// Examines the triggers of the migrated database behind `connection`, and leaves its rows as they are.
pub(super) async fn examine(connection: &mut MySqlConnection, name: &str, migrator: &Migrator) -> Finding {
    let check = format!("triggers of {name}");
    let tables: &[Table] = if std::ptr::eq(migrator, &*INVENTORY) { &OF_INVENTORY } else { &OF_MAIN };
    match fault(connection, tables).await {
        Ok(None) => Finding::ok(&check, "they fire, and their owner has its rights"),
        Ok(Some(fault)) => Finding::error(&check, fault),
        Err((table, error)) => failed(&check, table, &error),
    }
}

/// Returns the first fault. An error comes with the name of the table at which it occurred.
async fn fault(
    connection: &mut MySqlConnection,
    tables: &[Table],
) -> Result<Option<String>, (&'static str, sqlx::Error)> {
    let at_start = |error| ("the database", error);
    // Changes of other tables could not be rolled back.
    let others: Vec<String> = sqlx::query_scalar(
        "SELECT CAST(TABLE_NAME AS CHAR)
         FROM information_schema.TABLES
         WHERE TABLE_SCHEMA = DATABASE() AND TABLE_TYPE = 'BASE TABLE' AND ENGINE <> 'InnoDB'
         ORDER BY 1",
    )
    .fetch_all(&mut *connection)
    .await
    .map_err(at_start)?;
    if !others.is_empty() {
        return Ok(Some(format!(
            "they were not tried, because {} is no InnoDB table, and its changes cannot be rolled back. ALTER TABLE … ENGINE = \
             InnoDB makes it one",
            others.join(", ")
        )));
    }
    sqlx::query(SET_LOCK_TIMEOUT).execute(&mut *connection).await.map_err(at_start)?;
    let id: String = sqlx::query_scalar("SELECT UPPER(UUID())").fetch_one(&mut *connection).await.map_err(at_start)?;
    for table in tables {
        let mut transaction = connection.begin().await.map_err(at_start)?;
        let fault = fault_of_table(&mut transaction, table, &id).await;
        transaction.rollback().await.map_err(at_start)?;
        if let Some(fault) = fault.map_err(|error| (table.name, error))? {
            return Ok(Some(fault));
        }
    }
    Ok(None)
}

async fn fault_of_table(
    connection: &mut MySqlConnection,
    table: &Table,
    id: &str,
) -> Result<Option<String>, sqlx::Error> {
    let Table { name, column, insert, copies } = *table;
    let (first, second) = (format!("DOCTOR-{id}"), format!("DOCTOR2-{id}"));
    let silent = |event: &str| {
        Ok(Some(format!(
            "no trigger fires after {event} {name}. It is missing or another one. `rotracker doctor --migrator` names the missing ones"
        )))
    };
    sqlx::query(insert).bind(&first).execute(&mut *connection).await?;
    if count(connection, copies, &first).await? != 1 {
        return silent("an INSERT into");
    }
    // The names are constants.
    let update = format!("UPDATE `{name}` SET {column} = ? WHERE {column} = ?");
    sqlx::query(AssertSqlSafe(update)).bind(&second).bind(&first).execute(&mut *connection).await?;
    if count(connection, copies, &second).await? != 1 {
        return silent("an UPDATE of");
    }
    let delete = format!("DELETE FROM `{name}` WHERE {column} = ?");
    sqlx::query(AssertSqlSafe(delete)).bind(&second).execute(&mut *connection).await?;
    if count(connection, copies, &second).await? != 0 {
        return silent("a DELETE from");
    }
    Ok(None)
}

async fn count(connection: &mut MySqlConnection, copies: &'static str, text: &str) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar(copies).bind(text).fetch_one(connection).await
}

/// Describes the error of a statement.
fn failed(check: &str, table: &str, error: &sqlx::Error) -> Finding {
    const NO_SUCH_DEFINER: u16 = 1449;
    const DENIED: [u16; 3] = [1142, 1143, 1370];
    const LOCK_WAIT_TIMEOUT: u16 = 1205;
    let advice = match error_number(error) {
        Some(LOCK_WAIT_TIMEOUT) => {
            return Finding::warning(
                check,
                format!("they were not tried, because another session holds a lock on {table}"),
            );
        }
        Some(NO_SUCH_DEFINER) => {
            "The account that owns the triggers is gone. Create it again with its privileges: see migrations/accounts.sql"
        }
        Some(number) if DENIED.contains(&number) => {
            "The account in this message lacks a privilege: it serves requests, or owns the triggers. migrations/accounts.sql grants it"
        }
        _ => "Requests that change rows fail in the same way",
    };
    Finding::error(check, format!("a row of {table} cannot be changed: {error}. {advice}"))
}
