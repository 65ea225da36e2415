//! Reads the database server's counters, to measure the cost of a request.

use serde_json::Value;
use sqlx::Row;

use crate::App;

/// Sums the session counters whose names begin with `name`. The pool must have one connection.
pub async fn counter(app: &App, name: &str) -> i64 {
    let statement = format!("SHOW SESSION STATUS LIKE '{name}%'");
    let rows = sqlx::raw_sql(sqlx::AssertSqlSafe(statement))
        .fetch_all(&mut *app.connection().await)
        .await
        .expect("the counters can be read");
    rows.iter().map(|row| row.get::<String, _>(1).parse::<i64>().expect("a counter is a number")).sum()
}

/// Sends a `GET` and returns the body and the number of rows the storage engine read. The pool must have one
/// connection.
pub async fn rows_read(app: &App, path: &str) -> (Value, i64) {
    // The first request also reads table metadata.
    app.get(path).await;
    let before = counter(app, "Handler_read").await;
    // Reading the counters adds reads itself, which are subtracted below.
    let start = counter(app, "Handler_read").await;
    let response = app.get(path).await.json();
    let end = counter(app, "Handler_read").await;
    (response, end - start - (start - before))
}
