//! `POST /api/inventory/decrement`, and the rules that `increment` and `adjust` share with it.

use http::Method;
use rotracker_tests::{
    App,
    database::execute,
    stock::{Part, Quantities},
};
use serde_json::{Value, json};

use super::TABLES;

const DECREMENT: &str = "/api/inventory/decrement";

fn both(quantity: i64) -> Quantities {
    Quantities { indexed: Some(quantity), in_table: Some(quantity) }
}

#[tokio::test]
async fn index_table_and_transaction_agree() {
    let app = App::inventory().await;
    let part = app.put("stock_room", "A123-456", 5).await;
    let bystander = app.put("stock_room", "A123-456", 5).await;
    let fields = json!({ "roNumber": " RO38462 ", "notes": "Used for RO38462 repair" });
    let response = app.post(DECREMENT, &part.change(&fields)).await.expect(200);
    let expected = json!({
        "success": true,
        "indexId": part.index_id.to_string(),
        "partNumber": "A123-456",
        "previousQty": 5,
        "newQty": 4,
        "isLowStock": false,
        "transactionId": response["transactionId"],
        "message": "1 piece of A123-456 taken; 4 are left.",
    });
    assert_eq!(response, expected);
    assert_eq!(app.quantities(&part).await, both(4));
    assert_eq!(app.quantities(&bystander).await, both(5));
    let page = app.get("/api/inventory/transactions").await.expect(200);
    let entry = json!({
        "transactionId": response["transactionId"],
        "timestamp": "2024-11-15T12:00:00.000Z",
        "action": "DECREMENT",
        "indexId": part.index_id.to_string(),
        "partNumber": "A123-456",
        "previousQty": 5,
        "deltaQty": -1,
        "newQty": 4,
        "roNumber": "RO38462",
        "notes": "Used for RO38462 repair",
        "user": null,
        "program": null,
        "requestId": page["transactions"][0]["requestId"],
    });
    assert_eq!(page["transactions"], json!([entry]));
}

#[tokio::test]
async fn every_table_follows_the_index() {
    let app = App::inventory().await;
    for table in TABLES {
        let part = app.put(table, "A-1", 3).await;
        app.post(DECREMENT, &part.change(&json!({ "quantity": 2 }))).await.expect(200);
        assert_eq!(app.quantities(&part).await, both(1), "{table}");
    }
}

#[tokio::test]
async fn is_low_stock_below_two() {
    let app = App::inventory().await;
    let part = app.put("stock_room", "A-1", 3).await;
    for (previous, is_low) in [(3, false), (2, true), (1, true)] {
        let response = app.post(DECREMENT, &part.change(&json!({}))).await.expect(200);
        assert_eq!((&response["previousQty"], &response["isLowStock"]), (&json!(previous), &json!(is_low)));
    }
}

#[tokio::test]
async fn insufficient_stock_is_409() {
    let app = App::inventory().await;
    for (quantity, wanted) in [(0, 1), (3, 4), (3, 2_147_483_647)] {
        let part = app.put("terra", "A-1", quantity).await;
        let response = app.post(DECREMENT, &part.change(&json!({ "quantity": wanted }))).await;
        let message = response.expect_error(409);
        assert!(message.contains(&format!("{quantity} there")), "{message}");
        assert_eq!(app.quantities(&part).await, both(quantity));
        assert_eq!(app.transactions(&part).await, []);
    }
}

#[tokio::test]
async fn id_and_number_must_match() {
    let app = App::inventory().await;
    let part = app.put("stock_room", " ab-1 ", 9).await;
    for number in ["ab-1", " AB-1", "aB-1\t"] {
        for id in [json!(part.index_id), json!(part.index_id.to_string()), json!(format!("00{}", part.index_id))] {
            let body = json!({ "indexId": id, "partNumber": number });
            assert_eq!(app.post(DECREMENT, &body).await.expect(200)["partNumber"], " ab-1 ");
        }
    }
    assert_eq!(app.quantities(&part).await, both(0));
    for body in [
        json!({ "indexId": part.index_id, "partNumber": "AB-2" }),
        json!({ "indexId": part.index_id, "partNumber": "AB" }),
        json!({ "indexId": part.index_id, "partNumber": "AB-1%" }),
        json!({ "indexId": part.index_id + 1, "partNumber": "AB-1" }),
        json!({ "indexId": 0, "partNumber": "AB-1" }),
        json!({ "indexId": u64::MAX, "partNumber": "AB-1" }),
        json!({ "indexId": "99999999999999999999999999", "partNumber": "AB-1" }),
    ] {
        app.post(DECREMENT, &body).await.expect_error(404);
    }
}

#[tokio::test]
async fn an_invalid_body_is_400_with_the_field() {
    let app = App::inventory().await;
    let part = app.put("stock_room", "A-1", 9).await;
    for path in [DECREMENT, "/api/inventory/increment"] {
        for (field, value) in [
            ("indexId", Value::Null),
            ("indexId", json!("")),
            ("indexId", json!("abc")),
            ("indexId", json!(" 1")),
            ("indexId", json!(-1)),
            ("indexId", json!(1.5)),
            ("indexId", json!(true)),
            ("indexId", json!([1])),
            ("partNumber", Value::Null),
            ("partNumber", json!("  ")),
            ("partNumber", json!(12)),
            ("partNumber", json!("9".repeat(101))),
            ("quantity", json!(0)),
            ("quantity", json!(-1)),
            ("quantity", json!(1.5)),
            ("quantity", json!("1")),
            ("quantity", json!(2_147_483_648_u64)),
            ("roNumber", json!("\u{200b}")),
            ("roNumber", json!("R".repeat(51))),
            ("roNumber", json!(38462)),
            ("notes", json!("x".repeat(65_536))),
            ("notes", json!("a\u{0}b")),
            ("notes", json!(5)),
        ] {
            let mut body = part.change(&json!({}));
            body[field] = value.clone();
            let response = app.post(path, &body).await.expect(400);
            assert!(response["details"]["fields"][field].is_string(), "{path} {field} = {value}: {response}");
        }
        let response = app.post(path, &json!({})).await.expect(400);
        let fields: Vec<&String> = response["details"]["fields"].as_object().unwrap().keys().collect();
        assert_eq!(fields, ["indexId", "partNumber"]);
        app.send_text(Method::POST, path, "[]").await.expect_error(400);
        app.send_text(Method::POST, path, "{").await.expect_error(400);
        app.get(path).await.expect_error(405);
    }
}

#[tokio::test]
async fn null_and_blank_optional_fields_are_absent() {
    let app = App::inventory().await;
    let part = app.put("stock_room", "A-1", 9).await;
    for (path, quantity) in [(DECREMENT, 8), ("/api/inventory/increment", 9)] {
        for blank in [Value::Null, json!(""), json!(" \t\u{a0}")] {
            let fields = json!({ "quantity": blank, "roNumber": blank, "notes": blank });
            assert_eq!(app.post(path, &part.change(&fields)).await.expect(200)["newQty"], quantity, "{blank}");
            let page = app.get("/api/inventory/transactions?limit=1").await.expect(200);
            let entry = &page["transactions"][0];
            assert_eq!((&entry["roNumber"], &entry["notes"]), (&Value::Null, &Value::Null), "{blank}");
            let back = if quantity == 8 { "/api/inventory/increment" } else { DECREMENT };
            app.post(back, &part.change(&json!({}))).await.expect(200);
        }
        app.post(path, &part.change(&json!({}))).await.expect(200);
    }
}

#[tokio::test]
async fn an_unknown_field_is_400_and_changes_nothing() {
    let app = App::inventory().await;
    let part = app.put("stock_room", "A-1", 9).await;
    for (path, fields, unknown) in [
        ("decrement", json!({ "qty": 3 }), "qty"),
        ("decrement", json!({ "quantity": 3, "ronumber": "RO1" }), "ronumber"),
        ("increment", json!({ "Quantity": 3 }), "Quantity"),
        ("adjust", json!({ "newQty": 3, "notes": "Stock take", "expected_qty": 9 }), "expected_qty"),
    ] {
        let response = app.post(&format!("/api/inventory/{path}"), &part.change(&fields)).await.expect(400);
        let problem = response["details"]["fields"][unknown].as_str().unwrap_or_default();
        assert!(problem.starts_with("is no field of this request, which may have one of `indexId`"), "{response}");
    }
    assert_eq!(app.quantities(&part).await, both(9));
    assert_eq!(app.transactions(&part).await, []);
}

#[tokio::test]
async fn a_sentence_says_what_was_done() {
    let app = App::inventory().await;
    let part = app.put("stock_room", " A-1 ", 5).await;
    for (path, fields, message) in [
        ("decrement", json!({ "quantity": 3 }), "3 pieces of A-1 taken; 2 are left."),
        ("decrement", json!({}), "1 piece of A-1 taken; 1 is left."),
        ("decrement", json!({}), "1 piece of A-1 taken; none is left."),
        ("increment", json!({}), "1 piece of A-1 added; 1 is there now."),
        ("increment", json!({ "quantity": 20 }), "20 pieces of A-1 added; 21 are there now."),
        ("adjust", json!({ "newQty": 0, "notes": "x" }), "The quantity of A-1 is 0 now; it was 21."),
    ] {
        let response = app.post(&format!("/api/inventory/{path}"), &part.change(&fields)).await.expect(200);
        assert_eq!(response["message"], message);
    }
    execute(&mut app.database.connect().await, "UPDATE inventoryindex SET Qty = NULL").await;
    let body = part.change(&json!({ "newQty": 1, "notes": "x" }));
    let response = app.post("/api/inventory/adjust", &body).await.expect(200);
    assert_eq!(response["message"], "The quantity of A-1 is 1 now; it was unknown.");
}

#[tokio::test]
async fn a_part_without_a_table_row_is_decremented() {
    let app = App::inventory().await;
    let part = app.put("terra", "A-1", 2).await;
    let mut other = app.database.connect().await;
    execute(&mut other, "DELETE FROM terra").await;
    app.post(DECREMENT, &part.change(&json!({}))).await.expect(200);
    assert_eq!(app.quantities(&part).await, Quantities { indexed: Some(1), in_table: None });
    execute(&mut other, "UPDATE inventoryindex SET TableName = 'an_old_sheet'").await;
    app.post(DECREMENT, &part.change(&json!({}))).await.expect(200);
    assert_eq!(app.quantities(&part).await.indexed, Some(0));
    // A missing quantity counts as zero.
    execute(&mut other, "UPDATE inventoryindex SET Qty = NULL").await;
    app.post(DECREMENT, &part.change(&json!({}))).await.expect_error(409);
}

#[tokio::test]
async fn a_differing_table_is_corrected() {
    let app = App::inventory().await;
    let part = app.put("bins_inventory", "A-1", 5).await;
    for drifted in ["3", "NULL", "100"] {
        let drift = format!("UPDATE bins_inventory SET Qty = {drifted}");
        execute(&mut app.database.connect().await, &drift).await;
        let response = app.post(DECREMENT, &part.change(&json!({}))).await.expect(200);
        assert_eq!(app.quantities(&part).await, both(response["newQty"].as_i64().unwrap()), "{drifted}");
    }
}

#[tokio::test]
async fn a_failed_change_is_rolled_back() {
    let app = App::inventory().await;
    let part: Part = app.put("stock_room", "A-1", 5).await;
    let mut other = app.database.connect().await;
    // Inserting the stock transaction fails; it is the third of three statements.
    execute(&mut other, "ALTER TABLE transactions ADD COLUMN Required INT NOT NULL").await;
    let message = app.post(DECREMENT, &part.change(&json!({}))).await.expect_error(500);
    assert!(!message.contains("Required"), "{message}");
    assert_eq!(app.quantities(&part).await, both(5));
    execute(&mut other, "ALTER TABLE transactions DROP COLUMN Required").await;
    app.post(DECREMENT, &part.change(&json!({}))).await.expect(200);
}
