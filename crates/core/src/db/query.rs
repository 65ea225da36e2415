//! Conditions and clauses that several lists have in common, patterns, and the ids of inserted rows.

use chrono::SubsecRound;
use serde::{Deserialize, Serialize};
use sqlx::{Encode, FromRow, MySql, MySqlConnection, QueryBuilder, Type, mysql::MySqlQueryResult};

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

/// Adds the LIMIT and OFFSET of `page`. They let one row more through than the page has, which tells that there is another page.
pub fn push_limit<P>(statement: &mut QueryBuilder<MySql>, page: &Page<P>) {
    statement.push(" LIMIT ").push_bind(page.limit + 1).push(" OFFSET ").push_bind(page.start.offset());
}

/// The place of a row in a list that is sorted by an instant, newest first, and then by the id, highest first. Rows without an instant
/// come last.
#[derive(Clone, Debug, PartialEq, Eq, FromRow, Serialize, Deserialize)]
pub struct NewestFirst {
    /// The instant as the database writes it, since other programs may have left zero dates.
    pub place_instant: Option<String>,
    pub place_id: i64,
}

/// Adds the condition that a row comes after `place`. The columns become part of the statement, so they must be constants. With an index
/// of the instant, which InnoDB extends by the id, the rows are ranges of that index.
pub fn push_older(statement: &mut QueryBuilder<MySql>, instant: &'static str, id: &'static str, place: &NewestFirst) {
    let NewestFirst { place_instant, place_id } = place;
    match place_instant {
        Some(place_instant) => {
            // Bound as text, a wrong instant is an error on some servers. CAST makes NULL of it.
            let bound = |statement: &mut QueryBuilder<MySql>| {
                statement.push("CAST(").push_bind(place_instant.clone()).push(" AS DATETIME)");
            };
            statement.push(format!(" AND ({instant} IS NULL OR {instant} < "));
            bound(statement);
            statement.push(format!(" OR {instant} = "));
            bound(statement);
            statement.push(format!(" AND {id} < ")).push_bind(*place_id).push(")");
        }
        None => _ = statement.push(format!(" AND {instant} IS NULL AND {id} < ")).push_bind(*place_id),
    }
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
