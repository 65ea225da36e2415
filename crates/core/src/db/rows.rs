//! Reads rows: lists row by row, so that memory does not grow with the table, and columns by name.

use async_stream::try_stream;
use futures_util::{Stream, StreamExt, TryStreamExt};
use sqlx::{
    Column, ColumnIndex, Decode, Execute, FromRow, MySql, MySqlConnection, QueryBuilder, Row, Type,
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

/// The connection from which rows are read: one of a pool, or one that the caller holds.
pub trait RowSource<'source> {
    /// Streams the rows of `query`.
    fn rows(
        self,
        query: Query<'static, MySql, MySqlArguments>,
    ) -> impl Stream<Item = Result<MySqlRow, ApiError>> + Send + use<'source, Self>;
}

/// The rows come from a connection of its own, which goes back to the pool after the last row.
///
/// A stream that is dropped before its end closes the connection, since rows may still be on their way.
impl RowSource<'static> for Pool {
    fn rows(
        self,
        query: Query<'static, MySql, MySqlArguments>,
    ) -> impl Stream<Item = Result<MySqlRow, ApiError>> + Send + use<> {
        try_stream! {
            let mut connection = self.acquire().await?;
            {
                let mut rows = query.fetch(&mut *connection);
                while let Some(row) = rows.try_next().await? {
                    yield row;
                }
            }
            connection.release();
        }
    }
}

/// For several statements in one transaction.
impl<'connection> RowSource<'connection> for &'connection mut MySqlConnection {
    fn rows(
        self,
        query: Query<'static, MySql, MySqlArguments>,
    ) -> impl Stream<Item = Result<MySqlRow, ApiError>> + Send + use<'connection> {
        query.fetch(self).map_err(ApiError::from)
    }
}

/// Streams the rows of `statement`. The response of `http::json_list` or `http::csv` runs the statement again after a transient error
/// before the first row.
pub fn stream_rows<'source, T>(
    source: impl RowSource<'source>,
    statement: impl Statement,
) -> impl Stream<Item = Result<T, ApiError>> + Send
where
    T: for<'row> FromRow<'row, MySqlRow> + Send,
{
    let rows = statement.into_query().map(|query| source.rows(query));
    // Decoded only here, since a row is much smaller to pass on than an order.
    futures_util::stream::iter([rows]).try_flatten().map(|row| Ok(T::from_row(&row?)?))
}

/// Reads the columns of a row by name. It is quick if they are read in the order in which the row has them, because it looks at
/// the next column before it searches for the name.
pub struct RowReader<'row> {
    row: &'row MySqlRow,
    next: usize,
}

impl<'row> RowReader<'row> {
    pub fn new(row: &'row MySqlRow) -> Self {
        Self { row, next: 0 }
    }

    /// Returns the value of the column `name`; of the last one if there are several.
    ///
    /// # Errors
    /// When there is no such column, or its value is none of `T`.
    pub fn get<T>(&mut self, name: &str) -> sqlx::Result<T>
    where
        T: Decode<'row, MySql> + Type<MySql>,
    {
        let is_next = self.row.columns().get(self.next).is_some_and(|column| column.name() == name);
        let position = if is_next { self.next } else { name.index(self.row)? };
        self.next = position + 1;
        self.row.try_get(position).map_err(|error| match error {
            sqlx::Error::ColumnDecode { index: _, source } => {
                sqlx::Error::ColumnDecode { index: name.to_owned(), source }
            }
            error => error,
        })
    }
}
