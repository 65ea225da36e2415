//! The tables, columns, unique keys and triggers that the migrations make, by their names, compared with those of a database.
//!
//! A database can lose some although its migrations stay applied: a dump has no triggers if its account lacked the privilege.

use anyhow::Result;
use sqlx::{MySqlConnection, migrate::Migrator};

use crate::{
    doctor::grants::Privileges,
    migrations::{MAIN, created_tables},
};

/// The parts of the two databases as [`parts`] lists them, without the table of sqlx. A test compares them with new databases.
const OF_MAIN: &str = include_str!("parts/main.txt");
const OF_INVENTORY: &str = include_str!("parts/inventory.txt");

/// Lists the parts of the database, such as `column active.id`. Triggers are among them if the account may see them.
///
/// # Errors
/// When the statement fails.
pub async fn parts(connection: &mut MySqlConnection) -> Result<Vec<String>, sqlx::Error> {
    let mut parts: Vec<String> = sqlx::query_scalar(
        "SELECT CAST(CONCAT('table ', TABLE_NAME) AS CHAR)
         FROM information_schema.TABLES
         WHERE TABLE_SCHEMA = DATABASE()
         UNION
         SELECT CAST(CONCAT('column ', TABLE_NAME, '.', COLUMN_NAME) AS CHAR)
         FROM information_schema.COLUMNS
         WHERE TABLE_SCHEMA = DATABASE()
         UNION
         SELECT CAST(CONCAT('unique key ', TABLE_NAME, '.', INDEX_NAME) AS CHAR)
         FROM information_schema.STATISTICS
         WHERE TABLE_SCHEMA = DATABASE() AND NON_UNIQUE = 0
         UNION
         SELECT CAST(CONCAT('trigger ', TRIGGER_NAME) AS CHAR)
         FROM information_schema.TRIGGERS
         WHERE TRIGGER_SCHEMA = DATABASE()",
    )
    .fetch_all(connection)
    .await?;
    parts.retain(|part| !part.contains(" _sqlx_migrations"));
    parts.sort();
    Ok(parts)
}

/// Names the parts of the migrated database that are missing, and says what to do. `None` if there are all that the account can
/// see.
pub(crate) async fn missing_parts(connection: &mut MySqlConnection, migrator: &Migrator) -> Result<Option<String>> {
    let found: Vec<String> = parts(connection).await?.iter().map(|part| part.to_lowercase()).collect();
    let sees_triggers =
        found.iter().any(|part| part.starts_with("trigger ")) || may_see_triggers(&mut *connection).await?;
    let expected = if std::ptr::eq(migrator, &*MAIN) { OF_MAIN } else { OF_INVENTORY };
    let missing: Vec<&str> = expected
        .lines()
        .filter(|part| sees_triggers || !part.starts_with("trigger "))
        .filter(|part| !found.contains(&part.to_lowercase()))
        .collect();
    // A missing table stands for its columns and keys.
    let has_table = |part: &&&str| match part.rsplit(' ').next().and_then(|name| name.split_once('.')) {
        Some((table, _)) => !missing.contains(&&*format!("table {table}")),
        None => true,
    };
    let named: Vec<&str> = missing.iter().filter(has_table).copied().collect();
    Ok((!named.is_empty()).then(|| format!("it lacks the {}. {}", named.join(", the "), advice(&named, migrator))))
}

/// Returns whether the account has the privilege TRIGGER on the database. Without it, it sees no trigger.
async fn may_see_triggers(connection: &mut MySqlConnection) -> Result<bool, sqlx::Error> {
    let name: String = sqlx::query_scalar("SELECT DATABASE()").fetch_one(&mut *connection).await?;
    let grants: Vec<String> = sqlx::query_scalar("SHOW GRANTS").fetch_all(connection).await?;
    Ok(Privileges::on(&name, &grants).missing(&["TRIGGER"]).is_empty())
}

/// Says how the `missing` parts come back. A migration can be repeated, but leaves a table that is there as it is.
fn advice(missing: &[&str], migrator: &Migrator) -> String {
    let from_dump =
        "Restore it from a dump that has them (`mysqldump --triggers`, by an account with the privilege TRIGGER)";
    if missing.iter().any(|part| part.starts_with("column ") || part.starts_with("unique key ")) {
        return format!("{from_dump}, or execute the statements by hand that make them in the folder migrations");
    }
    let creates = |sql: &str, tables: &[&str]| {
        missing.iter().any(|part| match part.split_once(' ') {
            Some(("trigger", name)) => sql.contains(&format!("CREATE TRIGGER {name} ")),
            Some((_, name)) => tables.contains(&name),
            None => false,
        })
    };
    let versions: Vec<String> = migrator
        .iter()
        .filter(|migration| creates(migration.sql.as_str(), &created_tables(migration).collect::<Vec<_>>()))
        .map(|migration| migration.version.to_string())
        .collect();
    format!(
        "{from_dump}. Or make `rotracker migrate` create them again, after this statement: UPDATE _sqlx_migrations SET success = \
         FALSE WHERE version IN ({}). Rows that were inserted or changed while triggers were missing stay unknown to \
         ro_registry and to the tables of suffixes",
        versions.join(", ")
    )
}
