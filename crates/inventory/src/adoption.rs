//! Taking over a database that the Node service filled: what must be right before the migrations may run, so that they
//! never fail half-way.

use app_core::db::adoption::Findings;
use sqlx::MySqlConnection;

use crate::model::Table;

/// The specification's columns of the index.
const INDEX_COLUMNS: [&str; 7] = ["IndexId", "PartNumber", "TableName", "RowId", "Qty", "Condition", "Location"];

/// The specification's columns of the ledger.
const LEDGER_COLUMNS: [&str; 8] =
    ["TxnId", "Timestamp", "Action", "PartNumber", "DeltaQty", "NewQty", "RONumber", "Note"];

/// What the migrations add to the ledger.
const LEDGER_ADDITIONS: [(&str, &str); 4] =
    [("IndexId", "int"), ("ChangedBy", "varchar"), ("ChangedByProgram", "varchar"), ("RequestId", "varchar")];

/// Looks at the database `connection` is on, whose thirteen tables may be there or not, and changes nothing in it (to
/// see whether triggers may be created, it creates one on a table of its own, and drops both).
///
/// # Errors
/// When the database fails.
pub async fn inspect(connection: &mut MySqlConnection) -> Result<Findings, sqlx::Error> {
    let mut findings = Findings::default();
    inspect_table(&mut findings, connection, "inventoryindex", &INDEX_COLUMNS, &["PartNumberKey"]).await?;
    inspect_table(&mut findings, connection, "transactions", &LEDGER_COLUMNS, &LEDGER_ADDITIONS.map(|(name, _)| name))
        .await?;
    findings.refuse_other_types(connection, "transactions", &LEDGER_ADDITIONS).await?;
    for table in Table::ALL {
        let (condition, ours): (_, &[&str]) = match table {
            Table::BinsInventory => ("CONDITION", &["BIN"]),
            _ => ("COND", &[]),
        };
        let columns = ["id", "PN", "QTY", "SERIAL", condition, "LOCATION", "DESCRIPTION"];
        inspect_table(&mut findings, connection, table.name(), &columns, ours).await?;
    }
    if let Some(obstacle) = doubled_places(connection).await? {
        findings.obstacles.push(obstacle);
    }
    findings.try_trigger(connection, "Triggers keep the index for the search by a part of a number.").await?;
    Ok(findings)
}

/// Looks at one table; `ours` are columns that the migrations add.
async fn inspect_table(
    findings: &mut Findings,
    connection: &mut MySqlConnection,
    table: &str,
    columns: &[&str],
    ours: &[&str],
) -> Result<(), sqlx::Error> {
    let Some(mut live) = findings.inspect_table(connection, table, columns).await? else { return Ok(()) };
    live.extra.retain(|name| !ours.iter().any(|column| name.eq_ignore_ascii_case(column)));
    findings.remark_extra(table, &live.extra, "");
    Ok(())
}

/// Two rows of the index for one part would each keep a quantity of its own; the specification's unique key prevents it.
async fn doubled_places(connection: &mut MySqlConnection) -> Result<Option<String>, sqlx::Error> {
    let keys: Option<i64> = sqlx::query_scalar(
        "SELECT (SELECT COUNT(*) FROM (SELECT INDEX_NAME FROM information_schema.STATISTICS \
         WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = 'inventoryindex' AND NON_UNIQUE = 0 GROUP BY INDEX_NAME \
         HAVING GROUP_CONCAT(COLUMN_NAME ORDER BY COLUMN_NAME) = 'RowId,TableName') one_for_each_place) \
         FROM information_schema.TABLES WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = 'inventoryindex'",
    )
    .fetch_optional(connection)
    .await?;
    Ok((keys == Some(0)).then(|| {
        "The table `inventoryindex` may hold the same part twice, and then its quantity would be in two places. Add the \
         specification's key (ALTER TABLE inventoryindex ADD UNIQUE KEY unique_location (TableName, RowId); where that \
         finds duplicates, delete all but one of each) and run the migration again."
            .to_owned()
    }))
}
