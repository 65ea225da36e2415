//! The number of statements and of rows read per request. Both are counted, so the tests do not depend on time.

use http::Method;
use rotracker_tests::{
    App, TestDatabase,
    app::encoded,
    counters::{counter, rows_read},
    database::execute,
    stock::fill_stock,
};
use serde_json::json;

/// An app with one connection, so that the session counters count its requests.
async fn app_with_one_connection() -> App {
    let database = TestDatabase::inventory().await;
    let pool = database.pool(1);
    App::inventory_on(database, pool)
}

#[tokio::test]
async fn statement_counts_stay_within_limits() {
    let app = app_with_one_connection().await;
    let part = app.put("stock_room", "AB-1", 50).await;
    app.put_unindexed("bins_inventory", "CD-2", 1).await;
    let change = |fields| Some(part.change(&fields));
    let wrong = Some(json!({ "indexId": part.index_id, "partNumber": "other" }));
    for (case, budget, path, body) in [
        ("exact search", 1, "search?partNumber=ab-1", None),
        ("search for a part of a number", 2, "search?partNumber=b-1", None),
        ("search in the tables", 3, "search?partNumber=cd", None),
        ("search for nothing", 3, "search?partNumber=zzz", None),
        ("search without a number", 0, "search", None),
        ("table", 1, "table/stock_room", None),
        ("stock room", 1, "stock-room?location=A-12&search=ab", None),
        ("bins", 1, "bins", None),
        ("export of a table", 1, "export?tableName=stock_room&search=ab", None),
        ("export of the index", 1, "export?search=ab", None),
        ("tables", 1, "tables", None),
        ("stats", 2, "stats", None),
        ("low stock with its use", 1, "low-stock?threshold=100", None),
        ("transactions", 2, "transactions?partNumber=AB-1&action=DECREMENT&limit=10", None),
        ("decrement", 5, "decrement", change(json!({}))),
        ("increment", 5, "increment", change(json!({ "quantity": 3 }))),
        ("adjust", 5, "adjust", change(json!({ "newQty": 3, "notes": "x" }))),
        ("refused adjust", 3, "adjust", change(json!({ "newQty": 3, "expectedQty": 99, "notes": "x" }))),
        ("refused decrement", 3, "decrement", change(json!({ "quantity": 1_000 }))),
        ("decrement of another number", 3, "decrement", wrong),
        ("bad decrement", 0, "decrement", Some(json!({}))),
    ] {
        let before = counter(&app, "Questions").await;
        let path = format!("/api/inventory/{path}");
        match body {
            None => app.get(&path).await,
            Some(body) => app.send_json(Method::POST, &path, &body).await,
        };
        let cost = counter(&app, "Questions").await - before - 1;
        assert!(cost <= budget, "{case}: {cost} statements, {budget} allowed");
    }
}

#[tokio::test]
async fn an_exact_search_uses_an_index() {
    let app = app_with_one_connection().await;
    fill_stock(&app.database, 2_000, 100).await;
    let any = "SELECT LOWER(PartNumber) FROM inventoryindex ORDER BY IndexId LIMIT 1 OFFSET 1000";
    let number: String = sqlx::query_scalar(any).fetch_one(&mut *app.connection().await).await.unwrap();
    let number = format!(" {number} ");
    let explain =
        "EXPLAIN FORMAT = JSON SELECT IndexId FROM inventoryindex i WHERE i.PartNumberKey = UPPER(? COLLATE utf8mb4_bin)".to_owned();
    let plan = sqlx::query_scalar(sqlx::AssertSqlSafe(explain))
        .bind(number.trim())
        .fetch_one(&mut *app.connection().await)
        .await;
    let plan: String = plan.unwrap();
    assert!(plan.contains("idx_part_number_key"), "{plan}");
    assert!(!plan.contains("\"ALL\"") && !plan.contains("Table scan"), "a table is scanned: {plan}");
    let (response, read) = rows_read(&app, &format!("/api/inventory/search?partNumber={}", encoded(&number))).await;
    assert_eq!((&response["searchMethod"], &response["totalResults"]), (&json!("exact"), &json!(1)));
    // The part's table is read for the serial number and for the description.
    assert!(read <= 6, "{read} rows were read");
}

#[tokio::test]
async fn a_partial_search_reads_about_what_it_returns() {
    let app = app_with_one_connection().await;
    fill_stock(&app.database, 2_000, 100).await;
    for (text, most) in [("7919-1", 10), ("-", 50), ("5", 50), ("ACB3", 50)] {
        let (response, read) = rows_read(&app, &format!("/api/inventory/search?partNumber={text}")).await;
        let found = response["totalResults"].as_i64().unwrap();
        assert!(response["searchMethod"] == "like" && (1..=most).contains(&found), "{text}: {response}");
        // Each match reads its suffix, its index row and its table row, which two columns need; one number may contain the text
        // several times.
        assert!(read <= 10 * found + 20, "{text}: {read} rows were read for {found}");
    }
}

#[tokio::test]
async fn a_search_without_results_reads_few_rows() {
    let app = app_with_one_connection().await;
    fill_stock(&app.database, 2_000, 100).await;
    let (response, read) = rows_read(&app, "/api/inventory/search?partNumber=QQQ").await;
    assert_eq!(response["error"], "Not found");
    assert!(read <= 10, "{read} rows were read");
}

#[tokio::test]
async fn a_search_in_the_stock_room_reads_about_what_it_finds() {
    let app = app_with_one_connection().await;
    fill_stock(&app.database, 11_000, 100).await;
    let rare = "INSERT INTO stock_room (PN, DESCRIPTION) VALUES ('QQ-1', 'HYDRAULIC PUMP SEAL'), ('QQ-2', NULL)";
    execute(&mut app.database.connect().await, rare).await;
    for (search, found) in [("qq-", 2), ("pump%20seal", 1), ("hydraulic%20pump%20valve", 0), ("zzz", 0)] {
        let (response, read) = rows_read(&app, &format!("/api/inventory/stock-room?search={search}")).await;
        assert_eq!(response["count"], found, "{search}");
        assert!(read <= 30, "{search}: {read} rows were read for {found}");
    }
}

#[tokio::test]
async fn figures_read_no_row_of_the_index_twice() {
    let app = app_with_one_connection().await;
    fill_stock(&app.database, 2_000, 100).await;
    let (stats, read) = rows_read(&app, "/api/inventory/stats").await;
    let (parts, low) = (stats["totalParts"].as_i64().unwrap(), stats["lowStockItems"].as_i64().unwrap());
    let recent = stats["recentTransactions"].as_i64().unwrap();
    assert!(read <= parts + low + recent + 30, "{read} rows were read for {parts} parts");
}

#[tokio::test]
async fn low_stock_reads_only_low_parts() {
    let app = app_with_one_connection().await;
    fill_stock(&app.database, 2_000, 100).await;
    let (response, read) = rows_read(&app, "/api/inventory/low-stock").await;
    let low = response["totalLowStockItems"].as_i64().unwrap();
    assert_eq!(low, 20);
    // Each part reads its row, its table row for two columns, its transactions and the next one for each of their figures; sorting
    // then reads all parts again.
    assert!(read <= 14 * low, "{read} rows were read for {low}");
}

#[tokio::test]
async fn transactions_of_a_number_read_only_their_rows() {
    let app = app_with_one_connection().await;
    fill_stock(&app.database, 2_000, 100).await;
    let entries = "INSERT INTO transactions (Action, PartNumber, DeltaQty, NewQty) VALUES ('DECREMENT', 'MINE', -1, 1), \
                   ('DECREMENT', 'MINE', -1, 0)";
    execute(&mut app.database.connect().await, entries).await;
    for query in ["partNumber=mine", "partNumber=mine&action=DECREMENT", "roNumber=RO30002"] {
        let (response, read) = rows_read(&app, &format!("/api/inventory/transactions?{query}")).await;
        let found = response["total"].as_i64().unwrap();
        assert!((1..10).contains(&found), "{response}");
        assert!(read <= 6 * found + 10, "{query}: {read} rows were read for {found}");
    }
}
