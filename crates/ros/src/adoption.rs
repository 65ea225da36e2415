//! Taking over a database that the Node service filled: what must be right before the migrations may run, so that they
//! never fail half-way.

use std::fmt::Write;

use app_core::db::adoption::Findings;
use sqlx::{AssertSqlSafe, MySqlConnection, Row};

use crate::model::ArchiveStatus as Archive;

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

/// What tells our history from another program's table of that name.
const HISTORY_COLUMNS: [(&str, &str); 4] =
    [("order_id", "int"), ("revision", "int"), ("changes", "mediumtext"), ("digest", "binary")];

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
        let Some(live) = findings.inspect_table(connection, table, &COLUMNS).await? else { continue };
        if live.is_complete {
            readable.push(table);
        }
        findings.remark_extra(
            table,
            &live.extra,
            ", but an order that moves to another table leaves their values behind",
        );
    }
    if let Some(obstacle) = doubled_numbers(connection, &readable).await? {
        findings.obstacles.push(obstacle);
    }
    findings.refuse_namesake(connection, "ro_history", &HISTORY_COLUMNS).await?;
    findings.try_trigger(connection, "Ids and numbers of repair orders are kept unique by triggers.").await?;
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
