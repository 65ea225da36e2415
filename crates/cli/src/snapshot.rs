//! Reads of several tables, and of both databases, as they are at one instant.

use app_core::db::{Connection, Pool};
use sqlx::{AssertSqlSafe, Connection as _, Executor};

/// Begins a transaction all of whose statements see the database as it is now.
pub(crate) async fn snapshot(pool: &Pool) -> Result<Connection, sqlx::Error> {
    // The level of the pool's sessions is READ COMMITTED, on which each statement sees the latest commits.
    const BEGIN: &str = "
        SET TRANSACTION ISOLATION LEVEL REPEATABLE READ;
        START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY";
    let mut connection = pool.acquire().await?;
    connection.execute(sqlx::raw_sql(BEGIN)).await?;
    Ok(connection)
}

/// Makes `name` the database of the following statements. The transaction goes on.
pub(crate) async fn use_database(connection: &mut Connection, name: &str) -> sqlx::Result<()> {
    // A name cannot be bound. This one comes from the operator and is quoted.
    let statement = format!("USE `{}`", name.replace('`', "``"));
    connection.execute(sqlx::raw_sql(AssertSqlSafe(statement))).await?;
    // A prepared statement goes on to read the tables of the database in which it was prepared.
    connection.clear_cached_statements().await
}
