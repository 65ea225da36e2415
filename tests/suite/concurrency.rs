//! Concurrent requests for the same orders.

use std::{collections::HashSet, sync::Arc};

use futures_util::future::join_all;
use http::StatusCode;
use rotracker_tests::{
    App,
    app::{new_order, path_by_number, path_of},
    database::assert_all_agree,
};
use serde_json::json;

/// Asserts that `rotracker check` finds no difference.
async fn assert_all_agrees(app: &App) {
    let comparisons = ros::store::check(&mut *app.connection().await, 10).await.unwrap();
    assert_all_agree(&comparisons);
}

const ARCHIVES: [&str; 4] = ["ACTIVE", "PAID", "NET", "RETURNED"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_48_creates_of_one_number_one_succeeds() {
    let app = Arc::new(App::start().await);
    for round in 0..5 {
        let number = format!("RO{round}");
        let creates = (0..48).map(|index| {
            let (app, number) = (app.clone(), number.clone());
            tokio::spawn(async move {
                let order = new_order(json!({ "roNumber": number, "archiveStatus": ARCHIVES[index % 4] }));
                app.post("/api/ros", &order).await.status
            })
        });
        let statuses: Vec<StatusCode> = join_all(creates).await.into_iter().map(Result::unwrap).collect();
        let count = |status| statuses.iter().filter(|other| **other == status).count();
        assert_eq!((count(StatusCode::CREATED), count(StatusCode::CONFLICT)), (1, 47), "{statuses:?}");
        assert_eq!(app.rows().await.len(), round + 1);
    }
    assert_all_agrees(&app).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn simultaneous_creates_of_different_numbers_get_different_ids() {
    let app = Arc::new(App::start().await);
    let creates = (0..48).map(|index| {
        let app = app.clone();
        tokio::spawn(async move {
            let fields = json!({ "roNumber": format!("RO{index}"), "archiveStatus": ARCHIVES[index % 4] });
            app.create_with(fields).await["id"].clone()
        })
    });
    let ids: HashSet<String> = join_all(creates).await.into_iter().map(|id| id.unwrap().to_string()).collect();
    assert_eq!(ids.len(), 48);
    assert_eq!(app.rows().await.len(), 48);
    assert_all_agrees(&app).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_acknowledged_change_is_lost_among_32_clients() {
    let app = Arc::new(App::start().await);
    for round in 0..5 {
        let number = format!("RO{round}");
        let order = app.create(&number).await;
        let changes = (0..32).map(|index| {
            let (app, number, by_id) = (app.clone(), number.clone(), path_of(&order));
            tokio::spawn(async move {
                // Every request appends its own note, so a lost update is visible. Some move the order, some use its
                // number.
                let by_number = path_by_number(&number);
                let note = format!("note {index};");
                let status = app
                    .patch(&format!("{by_number}/status"), &json!({ "status": "APPROVED", "notes": note }))
                    .await
                    .status;
                let path = if index % 2 == 0 { by_id } else { by_number.clone() };
                let moved = app.patch(&path, &json!({ "archiveStatus": ARCHIVES[index % 4] })).await.status;
                (note, status, moved)
            })
        });
        let done: Vec<_> = join_all(changes).await.into_iter().map(Result::unwrap).collect();
        let rows: Vec<_> = app.rows().await.into_iter().filter(|(_, _, ro)| *ro == number).collect();
        assert_eq!(rows.len(), 1, "{rows:?}");
        assert_eq!(rows[0].1.to_string(), order["id"].as_str().unwrap(), "the id survives");
        let kept = app.get(&path_by_number(&number)).await.expect(200);
        let notes = kept["notes"].as_str().unwrap();
        for (note, status, moved) in done {
            assert_eq!((status, moved), (StatusCode::OK, StatusCode::OK));
            assert_eq!(notes.matches(&note).count(), 1, "{note} in {notes}");
        }
    }
    assert_all_agrees(&app).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_is_seen_once_while_it_moves() {
    let app = Arc::new(App::start().await);
    let order = app.create("RO1").await;
    let mover = {
        let (app, path) = (app.clone(), path_of(&order));
        tokio::spawn(async move {
            for round in 0..100 {
                app.patch(&path, &json!({ "archiveStatus": ARCHIVES[(round + 1) % 4] })).await.expect(200);
            }
        })
    };
    while !mover.is_finished() {
        app.get(&path_of(&order)).await.expect(200);
        app.get("/api/ros/by-number/RO1").await.expect(200);
        let rows = app.rows().await;
        assert_eq!(rows.len(), 1, "{rows:?}");
    }
    mover.await.unwrap();
    assert_all_agrees(&app).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_number_that_changes_orders_is_never_seen_twice() {
    let app = Arc::new(App::start().await);
    let orders = [app.create("RO-A").await, app.create("RO-B").await];
    let renames = (0..32).map(|index| {
        let (app, path) = (app.clone(), path_of(&orders[index % 2]));
        tokio::spawn(async move {
            let number = if index % 3 == 0 { "RO-X".to_owned() } else { format!("RO-{index}") };
            let archive = ARCHIVES[index % 4];
            app.patch(&path, &json!({ "roNumber": number, "archiveStatus": archive })).await.status
        })
    });
    for status in join_all(renames).await {
        let status = status.unwrap();
        assert!(matches!(status, StatusCode::OK | StatusCode::CONFLICT), "{status}");
    }
    let numbers: HashSet<String> = app.rows().await.into_iter().map(|(_, _, number)| number).collect();
    assert_eq!(numbers.len(), 2);
    assert_all_agrees(&app).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_32_archives_to_two_statuses_each_is_answered_as_it_happened() {
    let app = Arc::new(App::start().await);
    for round in 0..5 {
        let number = format!("RO{round}");
        let id = app.create(&number).await["id"].clone();
        let archives = (0..32).map(|index| {
            let (app, path) = (app.clone(), format!("{}/archive", path_by_number(&number)));
            let target = ["PAID", "NET"][index % 2];
            tokio::spawn(async move { (target, app.post(&path, &json!({ "archiveStatus": target })).await) })
        });
        let mut moves = 0;
        let mut tags = HashSet::new();
        for response in join_all(archives).await {
            let (target, response) = response.unwrap();
            if response.status == StatusCode::OK {
                moves += 1;
                assert!(tags.insert(response.header("etag").unwrap().to_owned()), "each move makes a tag of its own");
                assert_eq!(response.json()["archiveStatus"], target);
            } else {
                assert_eq!(response.expect_error(409), format!("{number} is already {target}."));
            }
        }
        let rows: Vec<_> = app.rows().await.into_iter().filter(|(_, _, ro)| *ro == number).collect();
        assert_eq!(rows.len(), 1, "{rows:?}");
        assert_eq!(json!(rows[0].1.to_string()), id);
        // The history has the moves that were answered, each from where the one before it ended.
        let history = app.get(&format!("{}/history?limit=100", path_by_number(&number))).await.expect(200);
        let mut archive = json!(null);
        for entry in history["history"].as_array().unwrap().iter().rev() {
            let changes = entry["changes"].as_array().unwrap();
            let change = changes.iter().find(|change| change["field"] == "archiveStatus").expect("a move");
            assert_eq!(change["old"], archive, "{history}");
            archive = change["new"].clone();
        }
        assert_eq!(history["total"], moves + 1);
        let order = app.get(&path_by_number(&number)).await;
        assert!(tags.contains(order.header("etag").unwrap()), "the last tag was in an answer");
        assert_eq!(order.expect(200)["archiveStatus"], archive);
    }
    assert_all_agrees(&app).await;
}
