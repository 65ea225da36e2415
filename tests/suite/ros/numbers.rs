//! What is one number of an order: numbers are stored in one form, compared without case, and accents count.

use rotracker_tests::{
    App,
    app::{new_order, path_by_number, path_of},
    database::{execute, try_execute},
};
use serde_json::json;

#[tokio::test]
async fn one_number_is_stored_in_one_form() {
    let app = App::start().await;
    let order = app.create_with(json!({ "roNumber": " PCX\u{a0}\u{200b} 8001\u{2010}é\n" })).await;
    assert_eq!(order["roNumber"], "PCX 8001-é");
    for same in [
        "PCX 8001-é",
        "pcx 8001-É",
        "PCX  8001-e\u{301}",
        "PCX\t8001\u{2212}é",
        "PCX\u{a0}8001-é",
        "\u{feff}PCX \u{200b}8001-é",
    ] {
        assert_eq!(app.get(&path_by_number(same)).await.expect(200)["id"], order["id"], "{same:?}");
        let taken = app.post("/api/ros", &new_order(json!({ "roNumber": same }))).await;
        assert!(taken.expect_error(409).contains("already"), "{same:?}");
        app.patch(&path_by_number(same), &json!({ "notes": same })).await.expect(200);
        let history = app.get(&format!("{}/history", path_by_number(same))).await.expect(200);
        assert_eq!(history["history"][0]["roNumber"], "PCX 8001-é", "{same:?}");
    }
    for other in ["PCX8001-é", "PCX 8001-e", "PCX 8001é"] {
        app.get(&path_by_number(other)).await.expect_error(404);
    }
    for blank in ["\u{200b}", " \u{feff}\t"] {
        let body = new_order(json!({ "roNumber": blank }));
        let response = app.post("/api/ros", &body).await.expect(400);
        assert!(response["details"]["fields"]["roNumber"].is_string(), "{blank:?}: {response}");
    }
}

#[tokio::test]
async fn accents_count() {
    let app = App::start().await;
    let plain = app.create("X-A1").await;
    let accented = app.create("X-Ä1").await;
    for (number, order) in [("x-a1", &plain), ("x-ä1", &accented)] {
        assert_eq!(app.get(&path_by_number(number)).await.expect_order(), *order);
        let change = json!({ "notes": number });
        assert_eq!(app.patch(&path_by_number(number), &change).await.expect(200)["id"], order["id"]);
    }
    app.delete(&path_of(&accented)).await.expect(200);
    for (number, order) in [("X-A1", &plain), ("X-Ä1", &accented)] {
        let history = app.get(&format!("{}/history", path_by_number(number))).await.expect(200);
        assert_eq!(history["history"][0]["orderId"], order["id"], "the last order that had {number}");
    }
    // In one table and in several.
    app.patch(&path_of(&plain), &json!({ "archiveStatus": "PAID" })).await.expect(200);
    for archive in ["ACTIVE", "PAID"] {
        app.create_with(json!({ "roNumber": format!("X-Á1{archive}"), "archiveStatus": archive })).await;
        app.create_with(json!({ "roNumber": format!("X-A1{archive}"), "archiveStatus": archive })).await;
    }
    let renamed = app.patch(&path_of(&plain), &json!({ "roNumber": "x-á1paid" })).await;
    assert!(renamed.expect_error(409).contains("already"));
}

#[tokio::test]
async fn numbers_of_other_programs_are_compared_alike() {
    let app = App::start().await;
    let mut node = app.database.connect().await;
    execute(&mut node, "INSERT INTO active (RO) VALUES (CONCAT(' ab', CHAR(9), _utf8mb4 0xC2A0, 'Ä', _utf8mb4 0xE28091, '1', _utf8mb4 0xE2808B))")
        .await;
    let order = app.get(&path_by_number("AB ä-1")).await.expect_order();
    for taken in ["INSERT INTO net (RO) VALUES ('Ab Ä-1')", "INSERT INTO active (RO) VALUES ('AB ä-1 ')"] {
        let error = try_execute(&mut node, taken).await.unwrap_err();
        assert!(app_core::db::is_duplicate_key(&error), "{taken}: {error}");
    }
    execute(&mut node, "INSERT INTO active (RO) VALUES ('AB A-1'), ('AB Á-1')").await;
    execute(&mut node, "UPDATE active SET RO = 'AB Å-1' WHERE RO = 'AB A-1' COLLATE utf8mb4_bin").await;
    assert_eq!(app.get(&path_of(&order)).await.expect_order(), order);
}
