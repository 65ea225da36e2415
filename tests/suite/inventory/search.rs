//! `GET /api/inventory/search`

use rotracker_tests::{App, app::encoded, database::execute};
use serde_json::{Value, json};

use super::TABLES;

async fn search(app: &App, number: &str) -> Value {
    app.get(&format!("/api/inventory/search?partNumber={}", encoded(number))).await.expect(200)
}

fn numbers(response: &Value) -> Vec<&str> {
    response["results"].as_array().unwrap().iter().map(|found| found["partNumber"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn an_exact_match_has_all_fields() {
    let app = App::inventory().await;
    let part = app.put("stock_room", "A123-456", 15).await;
    app.put("stock_room", "A123-4567", 1).await;
    let response = search(&app, "A123-456").await;
    let expected = json!({
        "results": [{
            "indexId": part.index_id.to_string(),
            "partNumber": "A123-456",
            "tableName": "stock_room",
            "rowId": part.row_id,
            "serialNumber": "SN-001",
            "qty": 15,
            "condition": "SV",
            "location": "A-12",
            "description": "Part A123-456 of stock_room",
            "lastSeen": null,
        }],
        "totalResults": 1,
        "searchMethod": "exact",
    });
    assert_eq!(response, expected);
}

#[tokio::test]
async fn results_tell_when_the_quantity_was_last_changed() {
    let app = App::inventory().await;
    let part = app.put("stock_room", "A123-456", 15).await;
    app.post("/api/inventory/decrement", &part.change(&json!({}))).await.expect(200);
    for text in ["A123-456", "A123"] {
        let found = search(&app, text).await;
        assert_eq!(found["results"][0]["lastSeen"], "2024-11-15T12:00:00.000Z", "{text}");
    }
    execute(&mut app.database.connect().await, "SET sql_mode = ''; UPDATE inventoryindex SET LastSeen = 0").await;
    assert_eq!(search(&app, "A123").await["results"][0]["lastSeen"], Value::Null);
}

#[tokio::test]
async fn the_description_comes_from_the_parts_table() {
    let app = App::inventory().await;
    for table in TABLES {
        app.put(table, "MS20470AD4-6", 1).await;
    }
    let response = search(&app, "MS20470AD4-6").await;
    assert_eq!(response["totalResults"], 11);
    let mut found = response["results"].as_array().unwrap().clone();
    found.sort_by_key(|found| TABLES.iter().position(|table| found["tableName"] == **table));
    for (table, found) in TABLES.into_iter().zip(found) {
        assert_eq!(found["tableName"], table);
        assert_eq!(found["description"], format!("Part MS20470AD4-6 of {table}"));
        assert_eq!(found["serialNumber"], "SN-001");
    }
}

#[tokio::test]
async fn parts_without_a_table_row_are_found() {
    let app = App::inventory().await;
    let part = app.put("terra", "X-1", 2).await;
    let mut other = app.database.connect().await;
    execute(&mut other, "DELETE FROM terra; INSERT INTO inventoryindex (PartNumber, TableName, RowId, Qty) VALUES ('X-1', 'gone', 1, NULL)").await;
    let response = search(&app, "X-1").await;
    assert_eq!(response["totalResults"], 2);
    for found in response["results"].as_array().unwrap() {
        assert_eq!((&found["description"], &found["serialNumber"]), (&Value::Null, &Value::Null));
        let is_first = found["indexId"] == json!(part.index_id.to_string());
        assert_eq!(found["qty"], if is_first { json!(2) } else { Value::Null });
    }
}

#[tokio::test]
async fn search_ignores_blanks_and_case() {
    let app = App::inventory().await;
    app.put("stock_room", "  bacb30nn4k5 ", 1).await;
    for text in ["BACB30NN4K5", "bacb30nn4k5", "  BaCb30nN4k5  ", "\tBACB30NN4K5\n"] {
        let response = search(&app, text).await;
        assert_eq!((&response["searchMethod"], &response["totalResults"]), (&json!("exact"), &json!(1)), "{text:?}");
        assert_eq!(response["results"][0]["partNumber"], "  bacb30nn4k5 ", "shown as it is kept");
    }
}

#[tokio::test]
async fn exact_search_is_unlimited_and_exact() {
    let app = App::inventory().await;
    for _ in 0..120 {
        app.put("stock_room", "AN960-10", 1).await;
    }
    app.put("stock_room", "ÁN960-10", 1).await;
    let response = search(&app, "an960-10").await;
    assert_eq!((&response["totalResults"], &response["searchMethod"]), (&json!(120), &json!("exact")));
}

#[tokio::test]
async fn partial_search_returns_at_most_50() {
    let app = App::inventory().await;
    for number in ["65-90305-17", "65-90305-18", "165-90305", "65-9030"] {
        app.put("727_parts", number, 1).await;
    }
    let response = search(&app, "5-90305").await;
    assert_eq!(response["searchMethod"], "like");
    assert_eq!(numbers(&response), ["165-90305", "65-90305-17", "65-90305-18"]);
    assert_eq!(response["results"][0]["description"], "Part 165-90305 of 727_parts");
    assert_eq!(response["results"][0]["indexId"].as_str().map(|id| id.parse::<i64>().is_ok()), Some(true));
    // The suffix index also finds lower case and the end of a number.
    assert_eq!(numbers(&search(&app, "305-18").await), ["65-90305-18"]);
    for number in 0..70 {
        app.put("terra", &format!("LOT-{number:03}-X"), 1).await;
    }
    let response = search(&app, "lot-0").await;
    assert_eq!((&response["totalResults"], &response["searchMethod"]), (&json!(50), &json!("like")));
    assert_eq!(numbers(&response)[..2], ["LOT-000-X", "LOT-001-X"]);
}

#[tokio::test]
async fn repeated_matches_are_returned_once() {
    let app = App::inventory().await;
    app.put("terra", "1-1-1-1", 1).await;
    assert_eq!(numbers(&search(&app, "-1").await), ["1-1-1-1"]);
    assert_eq!(numbers(&search(&app, "1-1-").await), ["1-1-1-1"]);
}

#[tokio::test]
async fn unindexed_parts_are_found_in_stock_room_and_bins() {
    let app = App::inventory().await;
    app.put("stock_room", "OTHER", 1).await;
    for number in 0..30 {
        app.put_unindexed("stock_room", &format!("S-LEGACY-{number:02}"), number).await;
        app.put_unindexed("bins_inventory", &format!("B-LEGACY-{number:02}"), number).await;
        app.put_unindexed("terra", &format!("T-LEGACY-{number:02}"), number).await;
    }
    let response = search(&app, "legacy").await;
    assert_eq!((&response["totalResults"], &response["searchMethod"]), (&json!(50), &json!("direct")));
    let count = |table: &str| {
        response["results"].as_array().unwrap().iter().filter(|found| found["tableName"] == table).count()
    };
    assert_eq!((count("stock_room"), count("bins_inventory")), (25, 25));
    let response = search(&app, "B-LEGACY-07").await;
    let found = &response["results"][0];
    assert_eq!((&found["indexId"], &found["qty"], &found["condition"]), (&Value::Null, &json!(7), &json!("SV")));
    assert_eq!(
        (&found["location"], &found["description"]),
        (&json!("A-12"), &json!("Part B-LEGACY-07 of bins_inventory"))
    );
    assert_eq!((&found["serialNumber"], &found["lastSeen"]), (&json!("SN-001"), &Value::Null));
    assert!(found["rowId"].is_number());
}

#[tokio::test]
async fn the_first_successful_method_is_the_only_one() {
    let app = App::inventory().await;
    app.put_unindexed("stock_room", "AB-1", 1).await;
    assert_eq!(search(&app, "AB-1").await["searchMethod"], "direct");
    app.put("stock_room", "XAB-1", 1).await;
    assert_eq!(numbers(&search(&app, "AB-1").await), ["XAB-1"]);
    app.put("stock_room", "AB-1", 1).await;
    let response = search(&app, "AB-1").await;
    assert_eq!((&response["searchMethod"], &response["totalResults"]), (&json!("exact"), &json!(1)));
}

#[tokio::test]
async fn special_characters_are_literal() {
    let app = App::inventory().await;
    for (indexed, number) in [
        (true, "100%"),
        (true, "A_B"),
        (true, r"C\D"),
        (false, "200%S"),
        (false, "E_FS"),
        (false, r"G\HS"),
        (true, "AXB"),
    ] {
        if indexed {
            app.put("stock_room", number, 1).await;
        } else {
            app.put_unindexed("bins_inventory", number, 1).await;
        }
    }
    for (text, method, found) in [
        ("100%", "exact", "100%"),
        ("00%", "like", "100%"),
        ("_B", "like", "A_B"),
        (r"\D", "like", r"C\D"),
        (r"C\", "like", r"C\D"),
        ("200%", "direct", "200%S"),
        ("E_F", "direct", "E_FS"),
        (r"G\H", "direct", r"G\HS"),
    ] {
        let response = search(&app, text).await;
        assert_eq!((response["searchMethod"].as_str(), numbers(&response)), (Some(method), vec![found]), "{text}");
    }
    for text in ["%", "%%", "A%B", "_", "' OR '1'='1", "\"; DROP TABLE terra", "😀"] {
        let response = app.get(&format!("/api/inventory/search?partNumber={}", encoded(text))).await;
        if ["%", "_"].contains(&text) {
            let expected = if text == "%" { "100%" } else { "A_B" };
            assert_eq!(numbers(&response.expect(200)), [expected]);
        } else {
            response.expect_error(404);
        }
    }
}

#[tokio::test]
async fn the_partial_index_follows_foreign_writes() {
    let app = App::inventory().await;
    let part = app.put("terra", "OLD-77", 1).await;
    let mut other = app.database.connect().await;
    execute(&mut other, &format!("UPDATE inventoryindex SET PartNumber = 'new-88' WHERE IndexId = {}", part.index_id))
        .await;
    app.get("/api/inventory/search?partNumber=LD-7").await.expect_error(404);
    assert_eq!(numbers(&search(&app, "EW-8").await), ["new-88"]);
    execute(&mut other, "DELETE FROM inventoryindex").await;
    app.get("/api/inventory/search?partNumber=EW-8").await.expect_error(404);
    let left: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM inventoryindex_suffixes")
        .fetch_one(&mut *app.connection().await)
        .await
        .unwrap();
    assert_eq!(left, 0);
    // A reload from the sheets truncates the index, which fires no trigger and restarts the ids.
    app.put("terra", "LEFTOVER-1", 1).await;
    execute(&mut other, "TRUNCATE inventoryindex").await;
    let again = app.put("terra", "FRESH-1", 1).await;
    assert_eq!(again.index_id, 1);
    app.get("/api/inventory/search?partNumber=EFTOVER").await.expect_error(404);
    assert_eq!(numbers(&search(&app, "RESH").await), ["FRESH-1"]);
}

#[tokio::test]
async fn direct_search_follows_foreign_writes() {
    let app = App::inventory().await;
    app.put_unindexed("stock_room", " a-b-a-b ", 1).await;
    let mut other = app.database.connect().await;
    assert_eq!(numbers(&search(&app, "a-b").await), [" a-b-a-b "], "once, though it is there twice");
    for (change, gone, there) in [
        ("UPDATE stock_room SET PN = 'B-C'", "A-B", "-C"),
        ("UPDATE stock_room SET QTY = 7, PN = 'b-c'", "A-B", "B-C"),
        ("UPDATE stock_room SET id = 900", "A-B", "B-"),
        ("DELETE FROM stock_room; INSERT INTO bins_inventory (PN) VALUES ('D-E'), (NULL)", "B-C", "-E"),
        ("UPDATE bins_inventory SET PN = 'E-F' WHERE PN IS NULL", "B-C", "-F"),
        ("UPDATE bins_inventory SET PN = NULL WHERE PN = 'D-E'", "D-E", "E-F"),
    ] {
        execute(&mut other, change).await;
        app.get(&format!("/api/inventory/search?partNumber={gone}")).await.expect_error(404);
        let response = search(&app, there).await;
        assert_eq!((&response["totalResults"], &response["searchMethod"]), (&json!(1), &json!("direct")), "{change}");
    }
}

#[tokio::test]
async fn a_missing_or_blank_number_is_400_and_an_unknown_one_404() {
    let app = App::inventory().await;
    for query in
        ["", "?partNumber=", "?partNumber=%20%09", "?partnumber=A", &format!("?partNumber={}", "9".repeat(101))]
    {
        let body = app.get(&format!("/api/inventory/search{query}")).await.expect(400);
        assert!(body["details"]["fields"]["partNumber"].is_string(), "{query}: {body}");
    }
    app.get("/api/inventory/search?partNumber=NOTHING").await.expect_error(404);
    app.get("/.netlify/functions/api/inventory/search?partNumber=NOTHING").await.expect_error(404);
}
