//! Lists that are read row by row, so that memory does not grow with the table.

use async_stream::try_stream;
use futures_util::{Stream, TryStreamExt};
use sqlx::{
    Execute, FromRow, MySql, QueryBuilder,
    mysql::{MySqlArguments, MySqlRow},
    query::Query,
};

use super::Pool;
use crate::http::ApiError;

/// A statement with its arguments: a [`sqlx::query`] or a [`QueryBuilder`].
pub trait Statement: Send + 'static {
    /// Returns a query that owns the statement and its arguments.
    ///
    /// # Errors
    /// When an argument could not be encoded.
    fn into_query(self) -> Result<Query<'static, MySql, MySqlArguments>, ApiError>;
}

impl Statement for Query<'static, MySql, MySqlArguments> {
    fn into_query(self) -> Result<Self, ApiError> {
        Ok(self)
    }
}

impl Statement for QueryBuilder<MySql> {
    fn into_query(mut self) -> Result<Query<'static, MySql, MySqlArguments>, ApiError> {
        let arguments = self.build().take_arguments().map_err(ApiError::internal)?.unwrap_or_default();
        Ok(sqlx::query_with(self.into_sql(), arguments))
    }
}

/// Streams the rows of `statement` for a response in `http::json_list`, which runs the statement again after a transient error
/// before the first row. The rows come from a connection of its own, which goes back to the pool after the last row.
///
/// A stream that is dropped before its end closes the connection, since rows may still be on their way.
pub fn stream_rows<T>(pool: Pool, statement: impl Statement) -> impl Stream<Item = Result<T, ApiError>> + Send
where
    T: for<'row> FromRow<'row, MySqlRow> + Send,
{
    try_stream! {
        let query = statement.into_query()?;
        let mut connection = pool.acquire().await?;
        {
            let mut rows = query.fetch(&mut *connection);
            while let Some(row) = rows.try_next().await? {
                yield T::from_row(&row)?;
            }
        }
        connection.release();
    }
}
