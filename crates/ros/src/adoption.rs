//! Taking over a database that the Node service filled: what must be right before the migrations may run, so that they
//! never fail half-way.

use std::fmt::Write;

use sqlx::{AssertSqlSafe, MySqlConnection, Row};

use crate::model::Archive;

/// What stands in the way, and what deserves a word; each a paragraph for people.
#[derive(Debug, Default)]
pub struct Findings {
    /// The migrations must not run before these are dealt with.
    pub obstacles: Vec<String>,
    /// The migrations may run.
    pub remarks: Vec<String>,
}

/// The specification's columns.
const COLUMNS: [&str; 22] = [
    "id",
    "RO",
    "DATE_MADE",
    "SHOP_NAME",
    "PART",
    "SERIAL",
    "PART_DESCRIPTION",
    "REQ_WORK",
    "DATE_DROPPED_OFF",
    "ESTIMATED_COST",
    "FINAL_COST",
    "TERMS",
    "SHOP_REF",
    "ESTIMATED_DELIVERY_DATE",
    "CURENT_STATUS",
    "CURENT_STATUS_DATE",
    "GENTHRUST_STATUS",
    "SHOP_STATUS",
    "TRACKING_NUMBER_PICKING_UP",
    "NOTES",
    "LAST_DATE_UPDATED",
    "NEXT_DATE_TO_UPDATE",
];

/// Looks at the database `connection` is on, whose four tables may be there or not, and changes nothing in it (to see
/// whether triggers may be created, it creates one on a table of its own, and drops both).
///
/// # Errors
/// When the database fails.
pub async fn inspect(connection: &mut MySqlConnection) -> Result<Findings, sqlx::Error> {
    let mut findings = Findings::default();
    let mut readable = Vec::new();
    for archive in Archive::ALL {
        let table = archive.table();
        let found: Vec<String> = sqlx::query_scalar(
            "SELECT CAST(COLUMN_NAME AS CHAR) FROM information_schema.COLUMNS \
             WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = ?",
        )
        .bind(table)
        .fetch_all(&mut *connection)
        .await?;
        if found.is_empty() {
            continue;
        }
        let is_known = |name: &&String| COLUMNS.iter().any(|column| column.eq_ignore_ascii_case(name));
        let missing: Vec<&str> =
            COLUMNS.into_iter().filter(|column| !found.iter().any(|name| name.eq_ignore_ascii_case(column))).collect();
        if missing.is_empty() {
            readable.push(table);
        } else {
            findings.obstacles.push(format!(
                "The table `{table}` lacks the columns {}. Add them as the specification has them (for example \
                 ALTER TABLE `{table}` ADD COLUMN NOTES TEXT) and run the migration again.",
                missing.join(", ")
            ));
        }
        let extra: Vec<&str> = found.iter().filter(|name| !is_known(name)).map(String::as_str).collect();
        if !extra.is_empty() {
            findings.remarks.push(format!(
                "The table `{table}` has columns that the specification does not know: {}. They are kept, but an \
                 order that moves to another table leaves their values behind.",
                extra.join(", ")
            ));
        }
    }
    if let Some(obstacle) = doubled_numbers(connection, &readable).await? {
        findings.obstacles.push(obstacle);
    }
    if let Err(error) = try_trigger(connection).await {
        findings.obstacles.push(format!(
            "The account may not create tables with triggers here: {error}. Ids and numbers of repair orders are kept \
             unique by triggers. Grant CREATE, DROP, INSERT and TRIGGER on this database, and where binary logging is \
             on and the account has no SUPER privilege, set log_bin_trust_function_creators = 1; then run the \
             migration again."
        ));
    }
    Ok(findings)
}

/// Numbers that more than one row has, compared as the registry will compare them.
async fn doubled_numbers(connection: &mut MySqlConnection, tables: &[&str]) -> Result<Option<String>, sqlx::Error> {
    let Some(rows) = tables
        .iter()
        .map(|table| {
            format!(
                "SELECT '{table}' AS place, id, CONVERT(SHOP_NAME USING utf8mb4) AS shop, \
                 CONVERT(CURENT_STATUS USING utf8mb4) AS status, \
                 TRIM(CONVERT(RO USING utf8mb4)) COLLATE utf8mb4_unicode_520_ci AS number FROM `{table}`"
            )
        })
        .reduce(|all, one| format!("{all} UNION ALL {one}"))
    else {
        return Ok(None);
    };
    // Made of constants alone.
    let rows = sqlx::query(AssertSqlSafe(format!(
        "SELECT number, place, id, shop, status FROM \
         (SELECT orders.*, COUNT(*) OVER (PARTITION BY number) AS times FROM ({rows}) orders) counted \
         WHERE times > 1 ORDER BY number, place, id"
    )))
    .fetch_all(connection)
    .await?;
    let Some(last) = rows.last() else { return Ok(None) };
    let mut message =
        "These repair order numbers are there more than once, but an order is known by its number:\n".to_owned();
    for row in &rows {
        let (number, place, id): (String, String, i64) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
        let text = |index| row.try_get::<Option<String>, _>(index).map(Option::unwrap_or_default);
        // Writing to a string cannot fail.
        let _ = writeln!(message, "  {number}  in `{place}`, id {id}: {}, {}", text(3)?, text(4)?);
    }
    let (number, place, id): (String, String, i64) = (last.try_get(0)?, last.try_get(1)?, last.try_get(2)?);
    let _ = write!(
        message,
        "Leave each number to one row: delete the others or give them another number, for example\n  \
         UPDATE `{place}` SET RO = '{}-2' WHERE id = {id};\nand run the migration again.",
        number.replace('\'', "''")
    );
    Ok(Some(message))
}

/// Creates a trigger and drops it again.
async fn try_trigger(connection: &mut MySqlConnection) -> Result<(), sqlx::Error> {
    // Left by an inspection that was cut off.
    let drop = "DROP TABLE IF EXISTS ro_trigger_probe";
    sqlx::raw_sql(drop).execute(&mut *connection).await?;
    sqlx::raw_sql("CREATE TABLE ro_trigger_probe (id INT PRIMARY KEY)").execute(&mut *connection).await?;
    let created = sqlx::raw_sql(
        "CREATE TRIGGER ro_trigger_probe BEFORE INSERT ON ro_trigger_probe FOR EACH ROW SET NEW.id = NEW.id",
    )
    .execute(&mut *connection)
    .await;
    // Drops its trigger too.
    sqlx::raw_sql(drop).execute(&mut *connection).await?;
    created.map(|_| ())
}
