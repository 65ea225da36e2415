//! `POST /api/ros`

use rotracker_tests::{
    App,
    app::{new_order, path_of},
};
use serde_json::{Value, json};

#[tokio::test]
async fn an_order_is_created() {
    let app = App::start().await;
    let order = app
        .create_with(json!({
            "archiveStatus": "ACTIVE",
            "partNumber": "LG-789",
            "dateMade": "2024-11-23",
            "requiredWork": "Inspection and repair",
            "estimatedCost": "1500.00",
        }))
        .await;
    assert_eq!(
        order,
        json!({
            "id": order["id"],
            "roNumber": "RO38463",
            "dateMade": "2024-11-23T00:00:00.000Z",
            "shopName": "XYZ Repair Services",
            "partNumber": "LG-789",
            "serialNumber": null,
            "partDescription": "Landing gear actuator",
            "requiredWork": "Inspection and repair",
            "dateDroppedOff": null,
            "estimatedCost": "1500.00",
            "finalCost": null,
            "terms": null,
            "shopReferenceNumber": null,
            "estimatedDeliveryDate": null,
            "currentStatus": "WAITING QUOTE",
            "currentStatusDate": "2024-11-15T00:00:00.000Z",
            "genThrustStatus": null,
            "shopStatus": null,
            "trackingNumber": null,
            "notes": null,
            "lastDateUpdated": "2024-11-15T00:00:00.000Z",
            "nextDateToUpdate": null,
            "archiveStatus": "ACTIVE",
            "isOverdue": false,
            "daysOverdue": 0,
        })
    );
    let id = order["id"].as_str().unwrap();
    assert!(id.parse::<u64>().unwrap() > 0 && !id.starts_with('0'));
    assert_eq!(app.get(&path_of(&order)).await.expect_order(), order);
}

#[tokio::test]
async fn orders_are_created_in_all_tables_with_unique_ids() {
    let app = App::start().await;
    for (archive, table) in [("ACTIVE", "active"), ("PAID", "paid"), ("NET", "net"), ("RETURNED", "returns")] {
        let order = app.create_with(json!({ "roNumber": table, "archiveStatus": archive })).await;
        assert_eq!(order["archiveStatus"], archive);
    }
    let rows = app.rows().await;
    let tables: Vec<&str> = rows.iter().map(|(table, ..)| table.as_str()).collect();
    assert_eq!(tables, ["active", "paid", "net", "returns"], "in the order of their ids");
    assert!(rows.windows(2).all(|pair| pair[0].1 < pair[1].1), "{rows:?}");
}

#[tokio::test]
async fn missing_fields_are_named_together() {
    let app = App::start().await;
    let response = app.post("/api/ros", &json!({ "shopName": null, "currentStatus": "  " })).await.expect(400);
    assert_eq!(response["error"], "Validation error");
    assert_eq!(
        response["details"]["fields"],
        json!({
            "roNumber": "is required",
            "shopName": "must not be empty",
            "partDescription": "is required",
            "currentStatus": "must not be empty",
        })
    );
    assert!(app.rows().await.is_empty());
}

#[tokio::test]
async fn numbers_are_unique_across_tables() {
    let app = App::start().await;
    app.create_with(json!({ "roNumber": "RO1", "archiveStatus": "PAID" })).await;
    for (archive, number) in [("ACTIVE", "RO1"), ("PAID", "RO1"), ("NET", " RO1 "), ("RETURNED", "ro1")] {
        let message = app
            .post("/api/ros", &new_order(json!({ "roNumber": number, "archiveStatus": archive })))
            .await
            .expect_error(409);
        assert!(message.contains(number.trim()), "{message}");
    }
    assert_eq!(app.rows().await.len(), 1);
}

#[tokio::test]
async fn deleted_numbers_are_reusable_and_ids_are_not() {
    let app = App::start().await;
    let first = app.create("RO1").await;
    app.delete(&path_of(&first)).await.expect(200);
    let second = app.create("RO1").await;
    assert_ne!(first["id"], second["id"]);
}

#[tokio::test]
async fn text_is_stored_byte_for_byte() {
    let app = App::start().await;
    let notes = "O'Brien said \"ok\"; DROP TABLE active;--\r\n\tЗапчасть 部品 🛩️ ﷽ \\ % _ {} ' \u{200b} e\u{301}  ";
    let order = app
        .create_with(
            json!({ "roNumber": "RO-日本/ü%_'\"", "shopName": " Ångström & Sønner ", "notes": notes, "terms": "" }),
        )
        .await;
    let read = app.get(&path_of(&order)).await.expect_order();
    assert_eq!(read["notes"], notes);
    assert_eq!(read["shopName"], " Ångström & Sønner ");
    assert_eq!(read["roNumber"], "RO-日本/ü%_'\"");
    assert_eq!(read["terms"], "", "empty text stays empty text");
    assert_eq!(read, app.get("/api/ros").await.expect(200)[0]);
}

#[tokio::test]
async fn text_may_fill_its_column() {
    let app = App::start().await;
    let limits = [
        ("roNumber", 50),
        ("shopName", 255),
        ("partNumber", 100),
        ("serialNumber", 100),
        ("terms", 50),
        ("shopReferenceNumber", 100),
        ("currentStatus", 100),
        ("genThrustStatus", 100),
        ("shopStatus", 100),
        ("trackingNumber", 100),
    ];
    let full: Value = limits.iter().map(|(field, limit)| ((*field).to_owned(), json!("é".repeat(*limit)))).collect();
    let order = app.create_with(full.clone()).await;
    for (field, limit) in limits {
        assert_eq!(order[field], full[field]);
        let response = app.post("/api/ros", &new_order(json!({ field: "x".repeat(limit + 1) }))).await.expect(400);
        assert_eq!(response["details"]["fields"][field], format!("must be at most {limit} characters long"));
    }
    for field in ["partDescription", "requiredWork", "notes"] {
        let order = app.create_with(json!({ "roNumber": field, field: "x".repeat(65_535) })).await;
        assert_eq!(order[field].as_str().unwrap().len(), 65_535);
        let response = app.post("/api/ros", &new_order(json!({ field: "x".repeat(65_536) }))).await.expect(400);
        assert!(response["details"]["fields"][field].is_string());
    }
    assert_eq!(app.rows().await.len(), 4);
}

#[tokio::test]
async fn values_that_do_not_fit_are_rejected() {
    let app = App::start().await;
    let cases = [
        ("dateMade", json!("2024-13-45")),
        ("dateMade", json!("0000-00-00")),
        ("dateMade", json!("")),
        ("dateDroppedOff", json!(20_241_115)),
        ("estimatedDeliveryDate", json!("next week")),
        ("currentStatusDate", json!(true)),
        ("nextDateToUpdate", json!("2023-02-29")),
        ("estimatedCost", json!("abc")),
        ("estimatedCost", json!("1.005")),
        ("estimatedCost", json!(-1)),
        ("finalCost", json!("100000000.00")),
        ("finalCost", json!([1])),
        ("shopName", json!(5)),
        ("shopName", json!("a\0b")),
        ("partNumber", json!({})),
        ("notes", json!("\0")),
        ("roNumber", json!("   ")),
        ("roNumber", json!(38_463)),
        ("roNumber", json!("RO\0")),
        ("archiveStatus", json!("paid")),
        ("archiveStatus", json!("DONE")),
        ("archiveStatus", json!(null)),
    ];
    for (field, value) in cases {
        let response = app.post("/api/ros", &new_order(json!({ field: value }))).await.expect(400);
        assert!(response["details"]["fields"][field].is_string(), "{field}: {value} gave {response}");
    }
    let huge = new_order(json!({ "finalCost": 0 })).to_string().replace("\"finalCost\":0", "\"finalCost\":1e400");
    let response = app.send_text(http::Method::POST, "/api/ros", huge).await.expect(400);
    assert!(response["details"]["fields"]["finalCost"].is_string(), "{response}");
    assert!(app.rows().await.is_empty());
}

#[tokio::test]
async fn money_is_exact_and_may_be_a_string_or_a_number() {
    let app = App::start().await;
    for (number, sent, kept) in
        [("RO1", json!("2500"), "2500.00"), ("RO2", json!(0.1), "0.10"), ("RO3", json!(99_999_999.99), "99999999.99")]
    {
        let order = app.create_with(json!({ "roNumber": number, "estimatedCost": sent, "finalCost": sent })).await;
        assert_eq!((&order["estimatedCost"], &order["finalCost"]), (&json!(kept), &json!(kept)));
        assert_eq!(app.get(&path_of(&order)).await.expect_order(), order);
    }
}

#[tokio::test]
async fn orders_of_other_programs_get_an_id() {
    let app = App::start().await;
    let mut other = app.database.connect().await;
    rotracker_tests::database::execute(&mut other, "INSERT INTO net (RO, SHOP_NAME) VALUES ('RO7', 'Other')").await;
    app.post("/api/ros", &new_order(json!({ "roNumber": "RO7" }))).await.expect_error(409);
    let ours = app.create("RO8").await;
    let theirs = app.get("/api/ros/by-number/RO7").await.expect(200);
    assert_ne!(ours["id"], theirs["id"]);
    let moved = app.patch(&path_of(&theirs), &json!({ "archiveStatus": "PAID" })).await.expect(200);
    assert_eq!(moved["id"], theirs["id"]);
    assert_eq!(app.get("/api/ros?archiveStatus=PAID").await.expect(200)[0]["shopName"], "Other");
    app.delete(&path_of(&theirs)).await.expect(200);
    app.create("RO7").await;
    // The database also rejects a taken number or id from another program.
    for insert in [
        "INSERT INTO paid (RO) VALUES ('RO8')".to_owned(),
        "INSERT INTO active (RO) VALUES (' ro8 ')".to_owned(),
        format!("INSERT INTO paid (id, RO) VALUES ({}, 'RO9')", ours["id"].as_str().unwrap()),
        "UPDATE active SET RO = 'RO7' WHERE RO = 'RO8'".to_owned(),
    ] {
        let refused = sqlx::query(sqlx::AssertSqlSafe(insert.clone())).execute(&mut other).await;
        assert!(refused.unwrap_err().as_database_error().unwrap().is_unique_violation(), "{insert}");
    }
}
