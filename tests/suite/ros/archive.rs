//! `POST /api/ros/by-number/{ro_number}/archive`

use rotracker_tests::App;
use serde_json::json;

#[tokio::test]
async fn an_order_is_archived_by_number() {
    let app = App::start().await;
    let order = app.create("RO 1").await;
    let moved = app.post("/api/ros/by-number/RO%201/archive", &json!({ "archiveStatus": "PAID" })).await.expect(200);
    assert_eq!((&moved["archiveStatus"], &moved["id"]), (&json!("PAID"), &order["id"]));
    assert_eq!(app.get("/api/ros/by-number/RO%201").await.expect_order(), moved);
}

#[tokio::test]
async fn archiving_a_paid_order_twice_is_a_conflict() {
    let app = App::start().await;
    app.create_with(json!({ "roNumber": "RO1", "archiveStatus": "PAID" })).await;
    let response = app.post("/api/ros/by-number/RO1/archive", &json!({ "archiveStatus": "PAID" })).await;
    assert_eq!(response.expect_error(409), "RO1 is already PAID.");
}

#[tokio::test]
async fn of_two_simultaneous_archives_to_one_status_one_succeeds() {
    let app = App::start().await;
    for round in 0..10 {
        app.create(&format!("RO{round}")).await;
        let path = format!("/api/ros/by-number/RO{round}/archive");
        let paid = json!({ "archiveStatus": "PAID" });
        let (first, second) = tokio::join!(app.post(&path, &paid), app.post(&path, &paid));
        let mut statuses = [first.status.as_u16(), second.status.as_u16()];
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 409]);
    }
}

#[tokio::test]
async fn of_two_simultaneous_archives_to_different_statuses_the_later_wins() {
    let app = App::start().await;
    for round in 0..10 {
        app.create(&format!("RO{round}")).await;
        let path = format!("/api/ros/by-number/RO{round}/archive");
        let (paid, net) = (json!({ "archiveStatus": "PAID" }), json!({ "archiveStatus": "NET" }));
        let (to_paid, to_net) = tokio::join!(app.post(&path, &paid), app.post(&path, &net));
        assert_eq!(
            (to_paid.expect(200)["archiveStatus"].clone(), to_net.expect(200)["archiveStatus"].clone()),
            (json!("PAID"), json!("NET"))
        );
        let history = app.get(&format!("/api/ros/by-number/RO{round}/history")).await.expect(200);
        let changes = history["history"][0]["changes"].as_array().unwrap();
        let last_change = changes.iter().find(|change| change["field"] == "archiveStatus");
        let order = app.get(&format!("/api/ros/by-number/RO{round}")).await.expect(200);
        assert_eq!(last_change.unwrap()["new"], order["archiveStatus"], "{history}");
    }
}

#[tokio::test]
async fn an_invalid_target_is_named() {
    let app = App::start().await;
    let order = app.create("RO1").await;
    for body in
        [json!({}), json!({ "archiveStatus": null }), json!({ "archiveStatus": "paid" }), json!({ "archiveStatus": 1 })]
    {
        let response = app.post("/api/ros/by-number/RO1/archive", &body).await.expect(400);
        assert!(response["details"]["fields"]["archiveStatus"].is_string(), "{response}");
    }
    assert_eq!(app.get("/api/ros/by-number/RO1").await.expect_order(), order);
    app.post("/api/ros/by-number/RO2/archive", &json!({ "archiveStatus": "PAID" })).await.expect_error(404);
}
