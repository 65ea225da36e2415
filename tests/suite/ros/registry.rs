//! The registry of ids and numbers, and moves between the four tables: changes by other programs and additional
//! columns.

use ros::{
    model::{ArchiveStatus, RepairOrder},
    store::insert_many,
};
use rotracker_tests::{
    App,
    app::path_of,
    database::{execute, try_execute},
};
use serde_json::json;
use sqlx::Row;

/// The rows of the registry, as (number, archive).
async fn registry(app: &App) -> Vec<(String, String)> {
    let query = sqlx::query_as("SELECT ro_number, archive FROM ro_registry ORDER BY ro_number");
    query.fetch_all(&mut app.database.connect().await).await.unwrap()
}

#[tokio::test]
async fn other_programs_cannot_use_an_id_or_number_twice() {
    let app = App::start().await;
    let order = app.create("RO1").await;
    let mut node = app.database.connect().await;
    for insert in [
        format!("INSERT INTO paid (id, RO) VALUES ({}, 'RO2')", order["id"].as_str().unwrap()),
        format!("INSERT INTO paid (id, RO) VALUES ({}, 'RO1')", order["id"].as_str().unwrap()),
        "INSERT INTO net (RO) VALUES (' ro1')".to_owned(),
    ] {
        let error = try_execute(&mut node, &insert).await.unwrap_err();
        assert!(app_core::db::is_duplicate_key(&error), "{insert}: {error}");
    }
    assert_eq!(registry(&app).await, [("RO1".to_owned(), "ACTIVE".to_owned())]);
    // Another program moves an order by deleting the row and inserting it elsewhere.
    let moved = format!(
        "START TRANSACTION; DELETE FROM active; INSERT INTO paid (id, RO) VALUES ({}, 'RO1'); COMMIT",
        order["id"].as_str().unwrap()
    );
    execute(&mut node, &moved).await;
    assert_eq!(registry(&app).await, [("RO1".to_owned(), "PAID".to_owned())]);
    execute(&mut node, "DELETE FROM paid").await;
    assert_eq!(registry(&app).await, []);
}

#[tokio::test]
async fn a_move_copies_columns_that_the_service_does_not_know() {
    let app = App::start().await;
    let mut node = app.database.connect().await;
    for table in ["active", "paid", "net", "returns"] {
        execute(&mut node, &format!("ALTER TABLE `{table}` ADD COLUMN `SISTEMA ``x``` VARCHAR(20), ADD PRICE DOUBLE"))
            .await;
    }
    let order = app.create("RO1").await;
    execute(&mut node, "UPDATE active SET `SISTEMA ``x``` = 'kept', PRICE = 0.1").await;
    let path = path_of(&order);
    for (body, table) in [
        (json!({ "archiveStatus": "PAID", "roNumber": "RO2", "notes": "x" }), "paid"),
        (json!({ "archiveStatus": "RETURNED" }), "returns"),
        (json!({ "archiveStatus": "ACTIVE" }), "active"),
    ] {
        let moved = app.patch(&path, &body).await.expect(200);
        assert_eq!((&moved["id"], &moved["archiveStatus"]), (&order["id"], &body["archiveStatus"]));
        let query = format!("SELECT `SISTEMA ``x``` AS sistema, PRICE FROM `{table}`");
        let row = sqlx::query(sqlx::AssertSqlSafe(query)).fetch_one(&mut node).await.unwrap();
        assert_eq!((row.get::<&str, _>("sistema"), row.get::<f64, _>("PRICE")), ("kept", 0.1), "{table}");
    }
    assert_eq!(registry(&app).await, [("RO2".to_owned(), "ACTIVE".to_owned())]);
    // The history must not attribute any of this to another program.
    let history = app.get(&format!("{path}/history")).await.expect(200);
    let actions: Vec<&str> =
        history["history"].as_array().unwrap().iter().map(|entry| entry["action"].as_str().unwrap()).collect();
    assert_eq!(actions, ["MOVED", "MOVED", "MOVED", "CREATED"]);
}

#[tokio::test]
async fn a_move_to_a_table_without_such_a_column_changes_nothing() {
    let app = App::start().await;
    let order = app.create("RO1").await;
    let mut node = app.database.connect().await;
    execute(&mut node, "ALTER TABLE active ADD COLUMN SISTEMA VARCHAR(20)").await;
    execute(&mut node, "UPDATE active SET SISTEMA = 'kept'").await;
    app.patch(&path_of(&order), &json!({ "archiveStatus": "PAID" })).await.expect_error(500);
    assert_eq!(app.get(&path_of(&order)).await.expect_order(), order);
    let kept: String = sqlx::query_scalar("SELECT SISTEMA FROM active").fetch_one(&mut node).await.unwrap();
    assert_eq!(kept, "kept");
    assert_eq!(registry(&app).await, [("RO1".to_owned(), "ACTIVE".to_owned())]);
}

#[tokio::test]
async fn a_move_to_a_taken_number_changes_nothing() {
    let app = App::start().await;
    let order = app.create("RO1").await;
    app.create("RO2").await;
    let body = json!({ "archiveStatus": "PAID", "roNumber": "ro2" });
    app.patch(&path_of(&order), &body).await.expect_error(409);
    assert_eq!(app.get(&path_of(&order)).await.expect_order(), order);
    let expected = ["RO1", "RO2"].map(|number| (number.to_owned(), "ACTIVE".to_owned()));
    assert_eq!(registry(&app).await, expected);
}

#[tokio::test]
async fn many_orders_get_their_ids_in_order() {
    let app = App::start().await;
    app.create("RO0").await;
    let order = |number: String| RepairOrder {
        ro_number: number,
        notes: Some("kept".to_owned()),
        // The table decides, and the database gives the id.
        archive_status: ArchiveStatus::Paid,
        id: 7,
        ..RepairOrder::default()
    };
    let orders: Vec<RepairOrder> = (1..=300).rev().map(|number| order(format!("Ro-ä{number}"))).collect();
    let mut connection = app.connection().await;
    let ids = insert_many(&mut connection, ArchiveStatus::Net, &orders).await.unwrap();
    let rows: Vec<(String, i64)> =
        sqlx::query_as("SELECT RO, id FROM net ORDER BY id").fetch_all(&mut *connection).await.unwrap();
    let expected: Vec<_> = orders.iter().map(|order| order.ro_number.clone()).zip(ids).collect();
    assert_eq!(rows, expected);
    for taken in [vec!["NEW".to_owned(), "ro-Ä7".to_owned()], vec!["A".to_owned(), "a".to_owned()]] {
        let orders: Vec<RepairOrder> = taken.into_iter().map(order).collect();
        let error = insert_many(&mut connection, ArchiveStatus::Active, &orders).await.unwrap_err();
        assert!(matches!(error, app_core::http::ApiError::Conflict(_)), "{error}");
    }
    assert_eq!(registry(&app).await.len(), 301);
    assert_eq!(insert_many(&mut connection, ArchiveStatus::Net, &[]).await.unwrap(), [0; 0]);
}
