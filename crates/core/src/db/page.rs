//! A page of a table, newest rows first, and how many rows there are in all: one statement, so that both are of one
//! moment.

use async_stream::try_stream;
use futures_util::{Stream, TryStreamExt};
use sqlx::{MySql, QueryBuilder, Row, mysql::MySqlRow};

use super::Pool;
use crate::{
    http::{ApiError, Page, Period},
    values::Moment,
};

/// A table that is shown page by page. All its members become part of statements: they are constants, never input.
#[derive(Clone, Copy, Debug)]
pub struct PagedTable {
    /// The table's name.
    pub name: &'static str,
    /// Its primary key, which orders rows of the same instant.
    pub id: &'static str,
    /// The column that says when a row came.
    pub instant: &'static str,
    /// What is shown of a row, as a list of expressions.
    pub columns: &'static str,
}

/// A row of a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageRow<T> {
    /// How many rows there are in all.
    pub total: i64,
    /// What the row shows; a page without rows has one without this, for the sake of the total.
    pub item: Option<T>,
}

impl PagedTable {
    /// The rows of `page` among those that `filter` lets through; it adds conditions that begin with ` AND `. `decode`
    /// finds the first of [`columns`](Self::columns) at [`FIRST_COLUMN`](Self::FIRST_COLUMN).
    pub fn rows<T: Send>(
        self,
        db: Pool,
        page: Page,
        filter: &dyn Fn(&mut QueryBuilder<MySql>),
        decode: fn(&MySqlRow) -> Result<T, ApiError>,
    ) -> impl Stream<Item = Result<PageRow<T>, ApiError>> + Send + use<T> {
        let mut statement = self.statement(page, filter);
        try_stream! {
            let mut connection = db.acquire().await?;
            {
                let mut rows = statement.build().fetch(&mut *connection);
                while let Some(row) = rows.try_next().await? {
                    let is_there = row.try_get::<Option<i64>, _>(1)?.is_some();
                    let item = if is_there { Some(decode(&row)?) } else { None };
                    yield PageRow { total: row.try_get(0)?, item };
                }
            }
            connection.rest();
        }
    }

    /// Where the columns of a row begin, after the total and the id.
    pub const FIRST_COLUMN: usize = 2;

    /// The page is found by its ids alone, which indexes hold, and put in order before its rows are read, so that none of
    /// them, however long, is sorted. (The largest limit keeps servers from merging the ids with the rows.)
    fn statement(self, page: Page, filter: &dyn Fn(&mut QueryBuilder<MySql>)) -> QueryBuilder<MySql> {
        let Self { name, id, instant, columns } = self;
        let mut statement = QueryBuilder::new(format!(
            "SELECT page.total, page.page_id, {columns} FROM (SELECT counted.total, found.page_id, found.page_instant \
             FROM (SELECT COUNT(*) AS total FROM {name} WHERE TRUE"
        ));
        filter(&mut statement);
        statement.push(format!(
            ") counted LEFT JOIN (SELECT {id} AS page_id, {instant} AS page_instant FROM {name} WHERE TRUE"
        ));
        filter(&mut statement);
        statement.push(format!(" ORDER BY {instant} DESC, {id} DESC LIMIT ")).push_bind(page.limit);
        statement.push(" OFFSET ").push_bind(page.offset);
        statement.push(format!(
            ") found ON TRUE LIMIT 18446744073709551615) page LEFT JOIN {name} ON {name}.{id} = page.page_id \
             ORDER BY page.page_instant DESC, page.page_id DESC"
        ));
        statement
    }
}

/// Adds the condition that `column`, a constant, is within `period`.
pub fn push_period(statement: &mut QueryBuilder<MySql>, column: &'static str, period: Period) {
    for (bound, relation) in [(period.start, ">="), (period.end, "<=")] {
        if let Some(Moment(instant)) = bound {
            statement.push(format!(" AND {column} {relation} ")).push_bind(instant);
        }
    }
}
