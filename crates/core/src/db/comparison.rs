//! Comparisons of rows that must agree, for `rotracker check`.

use std::fmt;

use futures_util::TryStreamExt;
use sqlx::{AssertSqlSafe, FromRow, MySqlConnection, Row};

use crate::http::ApiError;

/// A row that does not agree with others.
#[derive(Clone, Debug, PartialEq, Eq, FromRow)]
pub struct Difference {
    pub table_name: String,
    /// The row's primary key, or another value that tells which row it is.
    pub row_id: String,
    /// The rest of a sentence that begins with the row.
    pub difference: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { table_name, row_id, difference } = self;
        write!(formatter, "{table_name} {row_id} {difference}")
    }
}

/// The result of a comparison. It keeps only the first differences, so that memory does not grow with their number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Comparison {
    /// The rows that were compared.
    pub name: &'static str,
    /// Whether the differences do no harm by themselves. Otherwise something was lost, or another program has changed it.
    pub is_tolerated: bool,
    /// The number of all differences.
    pub count: u64,
    /// The differences that were kept.
    pub first: Vec<Difference>,
    kept: usize,
}

impl Comparison {
    /// Creates a comparison without differences, which keeps as many as `kept`.
    pub fn new(name: &'static str, kept: usize) -> Self {
        Self { name, is_tolerated: false, count: 0, first: Vec::new(), kept }
    }

    /// Returns whether there are differences that do harm.
    pub fn has_failed(&self) -> bool {
        self.count > 0 && !self.is_tolerated
    }

    /// Adds a difference, which is kept if it is one of the first.
    pub fn add(&mut self, difference: Difference) {
        self.count += 1;
        if self.first.len() < self.kept {
            self.first.push(difference);
        }
    }

    /// Adds the rows of `query`, which selects the columns of [`Difference`]. It must be a constant of the program.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn add_rows(&mut self, connection: &mut MySqlConnection, query: &str) -> Result<(), ApiError> {
        let mut rows = sqlx::query_as(AssertSqlSafe(query.to_owned())).fetch(connection);
        while let Some(difference) = rows.try_next().await? {
            self.add(difference);
        }
        Ok(())
    }

    /// Compares by one statement; see [`add_rows`](Self::add_rows).
    ///
    /// # Errors
    /// When the database fails.
    pub async fn of_rows(
        connection: &mut MySqlConnection,
        name: &'static str,
        kept: usize,
        query: &str,
    ) -> Result<Self, ApiError> {
        let mut comparison = Self::new(name, kept);
        comparison.add_rows(connection, query).await?;
        Ok(comparison)
    }

    /// Compares the id that the next row of `table` gets with the greatest that was ever used, which `greatest` selects. A table
    /// that was filled without its counter would give ids to new rows that others refer to.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn of_next_id(
        connection: &mut MySqlConnection,
        name: &'static str,
        table: &'static str,
        greatest: &'static str,
    ) -> Result<Self, ApiError> {
        let mut comparison = Self::new(name, 1);
        let greatest: Option<i64> = sqlx::query_scalar(greatest).fetch_one(&mut *connection).await?;
        let show = format!("SHOW CREATE TABLE `{table}`");
        let row = sqlx::query(AssertSqlSafe(show)).fetch_one(&mut *connection).await?;
        let next = counter_in(row.try_get("Create Table")?);
        if let Some(greatest) = greatest.filter(|greatest| *greatest >= next) {
            comparison.add(Difference {
                table_name: table.to_owned(),
                row_id: format!("AUTO_INCREMENT={next}"),
                difference: format!("gives its next row an id that was used: {greatest} is the greatest"),
            });
        }
        Ok(comparison)
    }
}

/// Returns the counter in a statement that creates a table. A table that never had a row has none.
fn counter_in(statement: &str) -> i64 {
    let digits = statement.rsplit_once(" AUTO_INCREMENT=").map(|(_, rest)| rest.split(' ').next().unwrap_or_default());
    digits.and_then(|digits| digits.parse().ok()).unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_first_differences_are_kept() {
        let mut comparison = Comparison::new("rows", 2);
        for id in 1..=1000 {
            let difference = "differs".to_owned();
            comparison.add(Difference { table_name: "t".to_owned(), row_id: id.to_string(), difference });
        }
        let kept: Vec<&str> = comparison.first.iter().map(|difference| &*difference.row_id).collect();
        assert_eq!((comparison.count, kept), (1000, vec!["1", "2"]));
    }

    #[test]
    fn the_counter_of_a_table_is_found() {
        let table = |options: &str| format!("CREATE TABLE `t` (\n  `id` int NOT NULL AUTO_INCREMENT\n) {options}");
        assert_eq!(counter_in(&table("ENGINE=InnoDB AUTO_INCREMENT=42 DEFAULT CHARSET=utf8mb4")), 42);
        assert_eq!(counter_in(&table("ENGINE=InnoDB DEFAULT CHARSET=utf8mb4")), 1);
    }
}
