//! `GET /api/ros/{id}` and `GET /api/ros/by-number/{ro_number}`

use rotracker_tests::{
    App,
    app::{path_by_number, path_of},
    database::execute,
};
use serde_json::{Value, json};

#[tokio::test]
async fn an_order_is_found_by_id_and_number_in_every_table() {
    let app = App::start().await;
    for archive in ["ACTIVE", "PAID", "NET", "RETURNED"] {
        let order = app.create_with(json!({ "roNumber": archive, "archiveStatus": archive })).await;
        assert_eq!(app.get(&path_of(&order)).await.expect_order(), order);
        assert_eq!(app.get(&path_by_number(archive)).await.expect_order(), order);
    }
}

#[tokio::test]
async fn a_number_is_percent_encoded_in_the_path() {
    let app = App::start().await;
    for number in ["RO 1/2", "RO%20", "ü?#&+", "..", "a/b/status", "%2F"] {
        let order = app.create(number).await;
        assert_eq!(app.get(&path_by_number(number)).await.expect(200)["id"], order["id"], "{number}");
    }
    app.get("/api/ros/by-number/%20RO%201%2F2%20").await.expect(200);
    app.get("/api/ros/by-number/%ff").await.expect_error(400);
    app.get("/api/ros/by-number/%00").await.expect_error(400);
    app.get("/api/ros/by-number/%20").await.expect_error(400);
}

#[tokio::test]
async fn an_unknown_order_is_404() {
    let app = App::start().await;
    for path in ["/api/ros/1", "/api/ros/99999999999999999999999", "/api/ros/by-number/RO1"] {
        let body = app.get(path).await.expect(404);
        assert_eq!(body, json!({ "error": "Not found", "message": "Repair order not found" }), "{path}");
    }
}

#[tokio::test]
async fn an_invalid_id_is_400() {
    let app = App::start().await;
    for id in ["abc", "-1", "1.5", "0x1", "1%20", "%D9%A1", "1;2"] {
        let body = app.get(&format!("/api/ros/{id}")).await.expect(400);
        assert!(body["details"]["fields"]["id"].is_string(), "{body}");
    }
}

#[tokio::test]
async fn zero_dates_are_null() {
    let app = App::start().await;
    let mut other = app.database.connect().await;
    execute(
        &mut other,
        "SET sql_mode = ''; INSERT INTO active (RO, DATE_MADE, NEXT_DATE_TO_UPDATE) VALUES ('RO1', '0000-00-00', '2024-00-00')",
    )
    .await;
    let order = app.get("/api/ros/by-number/RO1").await.expect_order();
    assert_eq!((&order["dateMade"], &order["nextDateToUpdate"]), (&Value::Null, &Value::Null));
    assert_eq!(app.get("/api/ros").await.expect(200), json!([order]));
    let moved = app.patch(&path_of(&order), &json!({ "archiveStatus": "NET" })).await.expect(200);
    assert_eq!(moved["id"], order["id"]);
}
