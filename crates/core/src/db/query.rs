//! Conditions and clauses that several lists have in common.

use sqlx::{MySql, QueryBuilder};

use crate::{
    http::{Page, Period},
    values::Timestamp,
};

/// Adds the conditions that `column` is within `period`, both ends included. `column` becomes part of the statement, so
/// it must be a constant.
pub fn push_period(statement: &mut QueryBuilder<MySql>, column: &'static str, period: Period) {
    for (bound, comparison) in [(period.start, ">="), (period.end, "<=")] {
        if let Some(Timestamp(instant)) = bound {
            statement.push(format!(" AND {column} {comparison} ")).push_bind(instant);
        }
    }
}

/// Adds the LIMIT and OFFSET of `page`.
pub fn push_limit(statement: &mut QueryBuilder<MySql>, page: Page) {
    statement.push(" LIMIT ").push_bind(page.limit).push(" OFFSET ").push_bind(page.offset);
}
