//! `PATCH /api/ros/{id}` and `PATCH /api/ros/by-number/{ro_number}`

use rotracker_tests::{
    App,
    app::{new_order, path_by_number, path_of},
    database::execute,
};
use serde_json::{Value, json};

/// Every field that a `PATCH` may change, with two values as responses show them.
fn fields() -> Vec<(&'static str, Value, Value)> {
    let day = |day: u8| json!(format!("2024-10-{day:02}T00:00:00.000Z"));
    vec![
        ("roNumber", json!("RO1"), json!("RO2")),
        ("dateMade", day(1), day(2)),
        ("shopName", json!("a"), json!("b")),
        ("partNumber", json!("a"), json!("b")),
        ("serialNumber", json!("a"), json!("b")),
        ("partDescription", json!("a"), json!("b")),
        ("requiredWork", json!("a"), json!("b")),
        ("dateDroppedOff", day(3), day(4)),
        ("estimatedCost", json!("1.00"), json!("2.50")),
        ("finalCost", json!("3.00"), json!("4.50")),
        ("terms", json!("a"), json!("b")),
        ("shopReferenceNumber", json!("a"), json!("b")),
        ("estimatedDeliveryDate", day(5), day(6)),
        ("currentStatus", json!("a"), json!("b")),
        ("currentStatusDate", day(7), day(8)),
        ("genThrustStatus", json!("a"), json!("b")),
        ("shopStatus", json!("a"), json!("b")),
        ("trackingNumber", json!("a"), json!("b")),
        ("notes", json!("a"), json!("b")),
        ("nextDateToUpdate", json!("2024-12-09T00:00:00.000Z"), json!("2024-12-10T00:00:00.000Z")),
    ]
}

const REQUIRED: [&str; 4] = ["roNumber", "shopName", "partDescription", "currentStatus"];

#[tokio::test]
async fn fields_are_set_cleared_or_unchanged() {
    let app = App::start().await;
    let first: Value = fields().into_iter().map(|(field, first, _)| (field.to_owned(), first)).collect();
    let mut expected = app.create_with(first).await;
    let path = path_of(&expected);
    for (field, _, second) in fields() {
        let mut changes = json!({ field: second });
        if field == "currentStatus" {
            changes["currentStatusDate"] = expected["currentStatusDate"].clone();
        }
        expected[field] = second;
        assert_eq!(app.patch(&path, &changes).await.expect(200), expected, "setting {field}");
        assert_eq!(app.get(&path).await.expect_order(), expected, "after setting {field}");
    }
    for (field, ..) in fields() {
        let response = app.patch(&path, &json!({ field: null })).await;
        if REQUIRED.contains(&field) {
            assert_eq!(response.expect(400)["details"]["fields"][field], "must not be empty");
            let blank = app.patch(&path, &json!({ field: " " })).await.expect(400);
            assert_eq!(blank["details"]["fields"][field], "must not be empty");
        } else {
            expected[field] = Value::Null;
            assert_eq!(response.expect(200), expected, "clearing {field}");
        }
        assert_eq!(app.get(&path).await.expect_order(), expected, "after clearing {field}");
    }
}

#[tokio::test]
async fn the_dashboard_may_send_the_whole_order_back() {
    let app = App::start().await;
    let order = app.create_with(json!({ "nextDateToUpdate": "2024-11-01" })).await;
    let mut sent = order.clone();
    sent["id"] = json!(12345);
    sent["isOverdue"] = json!("nonsense");
    sent["lastDateUpdated"] = json!("1999-01-01");
    sent["statusHistory"] = json!([{ "status": "x" }]);
    assert_eq!(app.patch(&path_of(&order), &sent).await.expect(200), order);
}

#[tokio::test]
async fn an_imported_order_with_empty_fields_can_be_edited() {
    let app = App::start().await;
    for (index, (stored, values)) in [("NULL", "NULL, NULL, NULL"), ("blank", "'', ' ', ''")].into_iter().enumerate() {
        let insert = format!(
            "INSERT INTO active (RO, SHOP_NAME, PART_DESCRIPTION, CURENT_STATUS) VALUES ('RO{index}', {values})"
        );
        execute(&mut app.database.connect().await, &insert).await;
        let path = path_by_number(&format!("RO{index}"));
        let mut expected = app.get(&path).await.expect_order();
        for (prefix, empty, note) in [
            ("", json!(null), "a"),
            ("", json!(""), "b"),
            ("/.netlify/functions", json!(null), "c"),
            ("/.netlify/functions", json!("\t"), "d"),
        ] {
            let mut sent = expected.clone();
            for field in ["shopName", "partDescription", "currentStatus"] {
                sent[field] = empty.clone();
            }
            sent["notes"] = json!(note);
            expected["notes"] = json!(note);
            expected["lastDateUpdated"] = json!("2024-11-15T00:00:00.000Z");
            assert_eq!(app.patch(&format!("{prefix}{path}"), &sent).await.expect(200), expected, "{stored}");
        }
        assert_eq!(app.get(&path).await.expect_order(), expected);
        // A field that has a value by now cannot be emptied again.
        app.patch(&path, &json!({ "shopName": "XYZ" })).await.expect(200);
        for empty in [json!(null), json!("")] {
            let refused = app.patch(&path, &json!({ "shopName": empty, "currentStatus": empty })).await.expect(400);
            assert_eq!(refused["details"]["fields"], json!({ "shopName": "must not be empty" }));
        }
    }
    // Another program may even have left the number empty.
    execute(&mut app.database.connect().await, "INSERT INTO active (id, RO) VALUES (77, '')").await;
    let order = app.patch("/api/ros/77", &json!({ "roNumber": "", "terms": "COD" })).await.expect(200);
    assert_eq!((&order["roNumber"], &order["terms"]), (&json!(""), &json!("COD")));
}

#[tokio::test]
async fn values_that_are_there_already_change_nothing() {
    let app = App::start().await;
    let order = app.create_with(json!({ "roNumber": "RO1", "estimatedCost": "12.50", "notes": "x" })).await;
    let before = app.get(&path_of(&order)).await;
    app.clock.set("2024-11-18T12:00:00Z".parse().unwrap());
    for path in [path_of(&order), path_by_number("ro1"), format!("/.netlify/functions{}", path_of(&order))] {
        for same in [
            json!({ "currentStatus": "WAITING QUOTE" }),
            json!({ "estimatedCost": 12.5, "notes": "x", "terms": null, "archiveStatus": "ACTIVE" }),
            order.clone(),
        ] {
            let response = app.patch(&path, &same).await;
            assert_eq!(response.header("etag"), before.header("etag"), "{same}");
            assert_eq!(response.expect(200), order, "{same}");
        }
    }
    assert_eq!(app.get(&format!("{}/history", path_of(&order))).await.expect(200)["total"], 1);
}

#[tokio::test]
async fn a_note_beside_the_same_status_is_no_new_status() {
    let app = App::start().await;
    let order = app.create_with(json!({ "currentStatusDate": "2024-11-01" })).await;
    let path = path_of(&order);
    let changed = app.patch(&path, &json!({ "currentStatus": "WAITING QUOTE", "notes": "called" })).await.expect(200);
    assert_eq!(changed["notes"], "called");
    assert_eq!(changed["currentStatusDate"], "2024-11-01T00:00:00.000Z");
    let steps = async || app.get(&path).await.expect(200)["statusHistory"].as_array().unwrap().len();
    assert_eq!(steps().await, 1);
    app.patch(&path, &json!({ "currentStatus": "APPROVED", "notes": "called" })).await.expect(200);
    assert_eq!(steps().await, 2);
}

#[tokio::test]
async fn only_the_status_route_sets_the_next_update_date() {
    let app = App::start().await;
    let order = app.create_with(json!({ "roNumber": "RO1", "nextDateToUpdate": "2024-12-24" })).await;
    let path = path_of(&order);
    app.patch(&path, &json!({ "currentStatus": "APPROVED" })).await.expect(200);
    let archived = app.post("/api/ros/by-number/RO1/archive", &json!({ "archiveStatus": "PAID" })).await.expect(200);
    assert_eq!(archived["nextDateToUpdate"], "2024-12-24T00:00:00.000Z");
    let status = json!({ "status": "BER" });
    let cleared = app.patch("/api/ros/by-number/RO1/status", &status).await.expect(200);
    assert_eq!(cleared["nextDateToUpdate"], Value::Null);
}

#[tokio::test]
async fn instants_are_days_in_the_time_zone_of_the_business() {
    // Half past eight in the evening of 14 November in New York.
    let evening = "2024-11-15T01:30:00.000Z";
    let app = App::start_in_new_york(evening).await;
    let order = app.create_with(json!({ "roNumber": "RO1", "nextDateToUpdate": evening })).await;
    let today = json!("2024-11-14T00:00:00.000Z");
    assert_eq!((&order["currentStatusDate"], &order["lastDateUpdated"]), (&today, &today));
    assert_eq!((&order["nextDateToUpdate"], &order["daysOverdue"]), (&today, &json!(0)));
    let path = path_of(&order);
    for (sent, day) in [
        (evening, "2024-11-14"),
        ("2024-11-15T00:00:00.000Z", "2024-11-15"),
        ("2024-11-15T05:00:00.000Z", "2024-11-15"),
        ("2024-11-15", "2024-11-15"),
    ] {
        for field in ["dateMade", "dateDroppedOff", "estimatedDeliveryDate", "currentStatusDate", "nextDateToUpdate"] {
            app.patch(&path, &json!({ field: "2000-01-01" })).await.expect(200);
            let changed = app.patch(&path, &json!({ field: sent })).await.expect(200);
            assert_eq!(changed[field], format!("{day}T00:00:00.000Z"), "{field} sent as {sent}");
        }
    }
    let update = json!({ "status": "APPROVED", "deliveryDate": evening });
    let updated = app.patch("/api/ros/by-number/RO1/status", &update).await.expect(200);
    assert_eq!((&updated["estimatedDeliveryDate"], &updated["currentStatusDate"]), (&today, &today));
    assert_eq!(updated["nextDateToUpdate"], "2024-11-28T00:00:00.000Z");
}

#[tokio::test]
async fn changes_are_dated_and_status_days_default_to_today() {
    let app = App::start().await;
    let order = app.create_with(json!({ "currentStatusDate": "2024-11-01" })).await;
    let path = path_of(&order);
    app.clock.set("2024-11-20T23:59:59Z".parse().unwrap());
    let updated = app.patch(&path, &json!({ "terms": "COD" })).await.expect(200);
    assert_eq!(updated["lastDateUpdated"], "2024-11-20T00:00:00.000Z");
    assert_eq!(updated["currentStatusDate"], "2024-11-01T00:00:00.000Z");
    let updated = app.patch(&path, &json!({ "currentStatus": "APPROVED" })).await.expect(200);
    assert_eq!(updated["currentStatusDate"], "2024-11-20T00:00:00.000Z");
    let dated = json!({ "currentStatus": "APPROVED", "currentStatusDate": "2024-11-18" });
    assert_eq!(app.patch(&path, &dated).await.expect(200)["currentStatusDate"], "2024-11-18T00:00:00.000Z");
}

#[tokio::test]
async fn a_move_keeps_all_fields_and_applies_changes() {
    let app = App::start().await;
    let first: Value = fields().into_iter().map(|(field, first, _)| (field.to_owned(), first)).collect();
    let mut expected = app.create_with(first).await;
    let path = path_of(&expected);
    for (archive, table, cost) in [
        ("PAID", "paid", "5.00"),
        ("NET", "net", "6.00"),
        ("RETURNED", "returns", "7.00"),
        ("ACTIVE", "active", "8.00"),
    ] {
        let changes = json!({ "archiveStatus": archive, "finalCost": cost });
        expected["archiveStatus"] = json!(archive);
        expected["finalCost"] = json!(cost);
        assert_eq!(app.patch(&path, &changes).await.expect(200), expected);
        assert_eq!(app.get(&path).await.expect_order(), expected);
        let rows = app.rows().await;
        assert_eq!(rows.len(), 1);
        assert_eq!((rows[0].0.as_str(), rows[0].1.to_string()), (table, expected["id"].as_str().unwrap().to_owned()));
    }
}

#[tokio::test]
async fn renaming_frees_the_old_number() {
    let app = App::start().await;
    let order = app.create("RO1").await;
    app.create_with(json!({ "roNumber": "RO2", "archiveStatus": "NET" })).await;
    let path = path_of(&order);
    app.patch(&path, &json!({ "roNumber": "ro2", "notes": "lost" })).await.expect_error(409);
    app.patch(&path, &json!({ "roNumber": "RO2", "archiveStatus": "PAID" })).await.expect_error(409);
    assert_eq!(app.get(&path).await.expect_order(), order, "a refused change changes nothing");
    let renamed = app.patch(&path_by_number("RO1"), &json!({ "roNumber": " RO3 " })).await.expect(200);
    assert_eq!((&renamed["roNumber"], &renamed["id"]), (&json!("RO3"), &order["id"]));
    app.get(&path_by_number("RO1")).await.expect_error(404);
    app.create("RO1").await;
    // Changing only the case of its number is not a conflict.
    assert_eq!(app.patch(&path, &json!({ "roNumber": "ro3" })).await.expect(200)["roNumber"], "ro3");
    for archive in ["ACTIVE", "PAID", "NET", "RETURNED"] {
        let old = format!("{archive} old");
        let order = app.create_with(json!({ "roNumber": old, "archiveStatus": archive })).await;
        app.patch(&path_of(&order), &json!({ "roNumber": format!("{archive} new") })).await.expect(200);
        app.create(&old).await;
        let taken = new_order(json!({ "roNumber": format!("{archive} new") }));
        app.post("/api/ros", &taken).await.expect_error(409);
    }
}

#[tokio::test]
async fn a_body_without_known_fields_is_400() {
    let app = App::start().await;
    let order = app.create("RO1").await;
    for body in [json!({}), json!({ "colour": "red" }), json!({ "id": "1", "isOverdue": true, "daysOverdue": 3 })] {
        app.patch(&path_of(&order), &body).await.expect_error(400);
    }
    for (field, value) in [("notes", json!(1)), ("estimatedCost", json!("x")), ("archiveStatus", json!("GONE"))] {
        let body = app.patch(&path_of(&order), &json!({ field: value, "terms": "COD" })).await.expect(400);
        assert!(body["details"]["fields"][field].is_string(), "{body}");
    }
    assert_eq!(app.get(&path_of(&order)).await.expect_order(), order);
}

#[tokio::test]
async fn an_unknown_order_is_404() {
    let app = App::start().await;
    for path in ["/api/ros/1", "/api/ros/by-number/RO1"] {
        app.patch(path, &json!({ "notes": "x" })).await.expect_error(404);
        app.patch(path, &json!({ "archiveStatus": "PAID" })).await.expect_error(404);
    }
}
