//! `GET /api/inventory/export`

use axum::body::Body;
use futures_util::StreamExt;
use http::{Method, Request};
use rotracker_tests::{
    App,
    csv_file::{CsvFile, text_of},
    database::execute,
    stock::fill_stock,
};
use serde_json::json;
use tower::ServiceExt;

use super::TABLES;

async fn export(app: &App, query: &str) -> CsvFile {
    let response = app.get(&format!("/api/inventory/export?{query}")).await;
    assert_eq!(response.status, 200, "{query}");
    CsvFile::parse(&response.bytes)
}

#[tokio::test]
async fn the_file_of_a_table_has_the_items_of_its_list() {
    let app = App::inventory().await;
    for table in TABLES {
        assert!(export(&app, &format!("tableName={table}")).await.rows.is_empty());
        app.put(table, "MS20470AD4-6", 12).await;
        app.put(table, "00123", 0).await;
        let unknown = format!("INSERT INTO `{table}` (PN, DESCRIPTION) VALUES (NULL, 'Ailerón, 2\"')");
        execute(&mut app.database.connect().await, &unknown).await;
    }
    execute(&mut app.database.connect().await, "UPDATE bins_inventory SET BIN = '1-2' WHERE id = 1").await;
    for table in TABLES {
        let list = app.get(&format!("/api/inventory/table/{table}")).await.expect(200);
        let file = export(&app, &format!("tableName={table}")).await;
        file.assert_has(&list["items"], &[]);
        assert_eq!(file.headings.contains(&"bin".to_owned()), table == "bins_inventory", "{table}");
    }
}

#[tokio::test]
async fn the_file_of_the_index_has_the_parts_of_all_tables() {
    let app = App::inventory().await;
    for (index, table) in TABLES.into_iter().enumerate() {
        app.put(table, &format!("AB-{:02}", 20 - index), 5).await;
    }
    let seen = "UPDATE inventoryindex SET LastSeen = '2024-11-15 12:00:00' WHERE IndexId = 1";
    execute(&mut app.database.connect().await, seen).await;
    execute(&mut app.database.connect().await, "UPDATE inventoryindex SET Qty = NULL WHERE IndexId = 2").await;
    let file = export(&app, "").await;
    assert_eq!(file, export(&app, "tableName=inventoryindex").await);
    let mut tables = TABLES.to_vec();
    tables.reverse();
    assert_eq!(file.column("tableName"), tables, "they are sorted by part number");
    let mut items = Vec::new();
    for number in file.column("partNumber") {
        let found = app.get(&format!("/api/inventory/search?partNumber={number}")).await.expect(200);
        items.push(found["results"][0].clone());
    }
    file.assert_has(&json!(items), &[]);
}

#[tokio::test]
async fn the_filters_are_those_of_the_lists() {
    let app = App::inventory().await;
    for table in ["stock_room", "bins_inventory"] {
        for number in ["AB-1", "AB-2", "CD_3", "65%"] {
            app.put(table, number, 1).await;
        }
    }
    let changes = "UPDATE stock_room SET LOCATION = ' B-7 ', COND = 'oh' WHERE PN = 'AB-2';
                   UPDATE inventoryindex SET Location = ' B-7 ', `Condition` = 'oh' WHERE PartNumber = 'AB-2';
                   UPDATE bins_inventory SET BIN = '12', LOCATION = 'B-7' WHERE PN = 'AB-1';";
    execute(&mut app.database.connect().await, changes).await;
    for query in [
        "location=b-7",
        "condition=OH",
        "search=ab",
        "search=_",
        "search=%25",
        "search=stock_room",
        "search=AB&condition=SV",
        "location=A-12&search=3&condition=",
    ] {
        let list = app.get(&format!("/api/inventory/stock-room?{query}")).await.expect(200);
        assert!(!list["items"].as_array().unwrap().is_empty(), "{query} finds nothing");
        export(&app, &format!("tableName=stock_room&{query}")).await.assert_has(&list["items"], &[]);
        // The index has the same values, but its rows stand for the parts of all tables.
        let index = export(&app, query).await;
        let of_stock_room = index.column("tableName").into_iter().filter(|table| *table == "stock_room").count();
        assert_eq!(of_stock_room, list["items"].as_array().unwrap().len(), "{query}");
    }
    for query in ["bin=12", "location=b-7", "bin=12&search=cd", "search=ab"] {
        let list = app.get(&format!("/api/inventory/bins?{query}")).await.expect(200);
        export(&app, &format!("tableName=bins_inventory&{query}")).await.assert_has(&list["items"], &[]);
    }
}

#[tokio::test]
async fn no_text_is_taken_for_a_formula_and_negative_numbers_stay_numbers() {
    let app = App::inventory().await;
    for text in ["=1+1", "+1", "-65", "@x", "'x"] {
        let part = app.put("stock_room", text, 1).await;
        let negative = format!(
            "UPDATE inventoryindex SET Qty = -3 WHERE IndexId = {}; UPDATE stock_room SET QTY = -3",
            part.index_id
        );
        execute(&mut app.database.connect().await, &negative).await;
    }
    for query in ["", "tableName=stock_room"] {
        let file = export(&app, query).await;
        let mut numbers = file.column("partNumber");
        assert!(numbers.iter().all(|number| number.starts_with('\'')), "{numbers:?}");
        numbers = numbers.into_iter().map(text_of).collect();
        numbers.sort_unstable();
        assert_eq!(numbers, ["'x", "+1", "-65", "=1+1", "@x"]);
        assert!(file.column("qty").iter().all(|quantity| *quantity == "-3"));
    }
}

#[tokio::test]
async fn browsers_save_the_file_under_the_table_and_the_day() {
    let app = App::inventory().await;
    for (query, name) in [("", "inventoryindex-2024-11-15.csv"), ("tableName=727_parts", "727_parts-2024-11-15.csv")] {
        for method in [Method::GET, Method::HEAD] {
            let response = app.send_text(method.clone(), &format!("/api/inventory/export?{query}"), "").await;
            assert_eq!(response.header("content-type"), Some("text/csv; charset=utf-8; header=present"));
            let disposition = format!("attachment; filename=\"{name}\"");
            assert_eq!(response.header("content-disposition"), Some(disposition.as_str()));
            assert_eq!(response.bytes.is_empty(), method == Method::HEAD);
        }
    }
}

#[tokio::test]
async fn invalid_params_are_reported() {
    let app = App::inventory().await;
    for (query, parameter) in [
        ("tableName=shops", "tableName"),
        ("tableName=STOCK_ROOM", "tableName"),
        ("bin=12", "bin"),
        ("tableName=terra&bin=12", "bin"),
    ] {
        let body = app.get(&format!("/api/inventory/export?{query}")).await.expect(400);
        assert!(body["details"]["fields"][parameter].is_string(), "{query}: {body}");
    }
    execute(&mut app.database.connect().await, "DROP TABLE terra").await;
    app.get("/api/inventory/export?tableName=terra").await.expect_error(404);
}

#[tokio::test]
async fn a_long_file_is_sent_while_it_is_read_and_cut_if_that_fails() {
    let app = App::inventory().await;
    fill_stock(&app.database, 40_000, 100).await;
    let open = async || {
        let request = Request::get("/api/inventory/export").body(Body::empty()).unwrap();
        app.router.clone().oneshot(request).await.unwrap().into_body().into_data_stream()
    };
    let chunks: Vec<_> = open().await.map(Result::unwrap).collect().await;
    assert!(chunks.iter().all(|chunk| chunk.len() < 64 * 1024));
    assert_eq!(CsvFile::parse(&chunks.concat()).rows.len(), 40_000);

    let mut body = open().await;
    body.next().await.unwrap().unwrap();
    app.database.kill_sessions().await;
    let rest: Vec<_> = body.collect().await;
    assert!(rest.iter().any(Result::is_err), "the body ended as if it were complete");
}
