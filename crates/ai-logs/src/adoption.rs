//! Taking over a database that the Node service filled: what must be right before the migrations may run, so that they
//! never fail half-way.

use app_core::db::adoption::Findings;
use sqlx::MySqlConnection;

const TABLE: &str = "ai_conversation_logs";

/// The specification's columns.
const COLUMNS: [&str; 11] = [
    "id",
    "conversation_id",
    "timestamp",
    "user",
    "user_message",
    "ai_response",
    "success",
    "error",
    "model",
    "duration_ms",
    "context_ro_count",
];

/// Columns that the migrations add.
const OURS: [&str; 4] = ["input_tokens", "output_tokens", "cached_tokens", "cache_creation_tokens"];

/// Looks at the database `connection` is on, whose log may be there or not, and changes nothing in it.
///
/// # Errors
/// When the database fails.
pub async fn inspect(connection: &mut MySqlConnection) -> Result<Findings, sqlx::Error> {
    let mut findings = Findings::default();
    let Some(mut live) = findings.inspect_table(connection, TABLE, &COLUMNS).await? else { return Ok(findings) };
    live.extra.retain(|name| !OURS.iter().any(|column| name.eq_ignore_ascii_case(column)));
    findings.remark_extra(TABLE, &live.extra, ", and entries that this program makes leave them at their default");
    findings.obstacles.extend(short_keys(connection).await?);
    findings.obstacles.extend(demanding_columns(connection).await?);
    Ok(findings)
}

/// In the row formats of old servers an index holds 767 bytes of a column; a user's name takes 1,020.
async fn short_keys(connection: &mut MySqlConnection) -> Result<Option<String>, sqlx::Error> {
    let format: Option<String> = sqlx::query_scalar(
        "SELECT CAST(ROW_FORMAT AS CHAR) FROM information_schema.TABLES WHERE TABLE_SCHEMA = DATABASE() \
         AND TABLE_NAME = ? AND ROW_FORMAT IN ('Compact', 'Redundant')",
    )
    .bind(TABLE)
    .fetch_optional(connection)
    .await?;
    Ok(format.map(|format| {
        format!(
            "The table `{TABLE}` is in the row format {format}, in which names in utf8mb4 are too long for an index. \
             Convert it (ALTER TABLE `{TABLE}` ROW_FORMAT = DYNAMIC) and run the migration again."
        )
    }))
}

/// Further columns that must be given a value would refuse every entry that this program makes.
async fn demanding_columns(connection: &mut MySqlConnection) -> Result<Option<String>, sqlx::Error> {
    let columns: Vec<(String, String)> = sqlx::query_as(
        "SELECT CAST(COLUMN_NAME AS CHAR), CAST(COLUMN_TYPE AS CHAR) FROM information_schema.COLUMNS \
         WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = ? AND IS_NULLABLE = 'NO' AND COLUMN_DEFAULT IS NULL \
         AND EXTRA NOT LIKE '%auto_increment%' AND EXTRA NOT LIKE '%GENERATED%' ORDER BY ORDINAL_POSITION",
    )
    .bind(TABLE)
    .fetch_all(connection)
    .await?;
    let is_known = |name: &str| COLUMNS.iter().chain(&OURS).any(|column| name.eq_ignore_ascii_case(column));
    let demanding: Vec<(String, String)> = columns.into_iter().filter(|(name, _)| !is_known(name)).collect();
    let Some((name, column_type)) = demanding.first() else { return Ok(None) };
    let names: Vec<&str> = demanding.iter().map(|(name, _)| name.as_str()).collect();
    Ok(Some(format!(
        "The table `{TABLE}` has columns that must be given a value, but the specification does not know them: {}. No \
         entry could be made. Allow them to be empty (for example ALTER TABLE `{TABLE}` MODIFY `{name}` {column_type} \
         NULL) and run the migration again.",
        names.join(", ")
    )))
}
