//! What requests cost the database, as the server counts it.

use serde_json::Value;
use sqlx::Row;

use crate::App;

/// The sum of the session's counters that begin with `name`. The pool has one connection.
pub async fn counter(app: &App, name: &str) -> i64 {
    let statement = format!("SHOW SESSION STATUS LIKE '{name}%'");
    let rows = sqlx::raw_sql(sqlx::AssertSqlSafe(statement))
        .fetch_all(&mut *app.connection().await)
        .await
        .expect("the counters can be read");
    rows.iter().map(|row| row.get::<String, _>(1).parse::<i64>().expect("a counter is a number")).sum()
}

/// The answer to a GET of `path`, and how many rows the server's engine was asked for. The pool has one connection.
pub async fn rows_read(app: &App, path: &str) -> (Value, i64) {
    // The first time, the server also reads what it knows about the tables.
    app.get(path).await;
    let before = counter(app, "Handler_read").await;
    // Reading the counters costs reads, too.
    let start = counter(app, "Handler_read").await;
    let response = app.get(path).await.json();
    let end = counter(app, "Handler_read").await;
    (response, end - start - (start - before))
}
