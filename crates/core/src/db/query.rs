//! Conditions and clauses that several lists have in common, patterns, and the ids of inserted rows.

use chrono::SubsecRound;
use sqlx::{Encode, MySql, MySqlConnection, QueryBuilder, Type, mysql::MySqlQueryResult};

use crate::{
    http::{ApiError, Page, Period},
    values::Timestamp,
};

/// Adds the conditions that `column`, which has whole seconds, is within `period`, both ends included. Instants are cut to whole
/// seconds when they are stored, and so is the start here. Otherwise a client that asks for what came after an instant would
/// never see what came later in the same second. `column` becomes part of the statement, so it must be a constant.
pub fn push_period(statement: &mut QueryBuilder<MySql>, column: &'static str, period: Period) {
    let start = period.start.map(|Timestamp(start)| Timestamp(start.trunc_subsecs(0)));
    for (bound, comparison) in [(start, ">="), (period.end, "<=")] {
        if let Some(Timestamp(instant)) = bound {
            statement.push(format!(" AND {column} {comparison} ")).push_bind(instant);
        }
    }
}

/// Adds the LIMIT and OFFSET of `page`.
pub fn push_limit(statement: &mut QueryBuilder<MySql>, page: Page) {
    statement.push(" LIMIT ").push_bind(page.limit).push(" OFFSET ").push_bind(page.offset);
}

/// Adds `values`, separated by commas: the list of an IN, between the parentheses. SQL has no empty list, so there must be at least
/// one value.
pub fn push_list<'values, T>(statement: &mut QueryBuilder<MySql>, values: impl IntoIterator<Item = T>)
where
    T: Encode<'values, MySql> + Type<MySql>,
{
    let mut list = statement.separated(", ");
    for value in values {
        list.push_bind(value);
    }
}

/// Escapes the characters that LIKE takes for a pattern.
pub fn escape_like(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        if matches!(character, '%' | '_' | '\\') {
            escaped.push('\\');
        }
        escaped.push(character);
    }
    escaped
}

/// Returns the generated ids of the `count` rows that one INSERT with VALUES inserted, in the order of the rows. The server reserves
/// them together, so they follow each other in steps of the configured increment. The first of them is LAST_INSERT_ID().
///
/// # Errors
/// When the connection is lost.
pub async fn inserted_ids(
    connection: &mut MySqlConnection,
    inserted: &MySqlQueryResult,
    count: usize,
) -> Result<Vec<i64>, ApiError> {
    let step: i64 =
        sqlx::query_scalar("SELECT CAST(@@auto_increment_increment AS SIGNED)").fetch_one(connection).await?;
    let first = i64::try_from(inserted.last_insert_id()).map_err(ApiError::internal)?;
    Ok((0..).map(|row| first + row * step).take(count).collect())
}
