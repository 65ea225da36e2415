//! Lost database connections and other failures of the database.

use http::StatusCode;
use rotracker_tests::{
    App, TestDatabase,
    app::{new_order, path_of},
    database::execute,
    proxy::{Cut, Proxy},
};
use serde_json::json;
use sqlx::Row;

/// The statements are BEGIN, lock, DELETE, INSERT, history, COMMIT.
const STATEMENTS_OF_A_MOVE: usize = 6;

/// With more, a second connection could be opened, and its setup counted, while the first returns to the pool.
const ONE_CONNECTION: u32 = 1;

async fn app_behind(proxy: &Proxy) -> App {
    let database = TestDatabase::migrated().await;
    let pool = proxy.pool(&database, ONE_CONNECTION);
    App::on(database, pool)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cut_move_leaves_one_order() {
    let proxy = Proxy::start().await;
    let app = app_behind(&proxy).await;
    let order = app.create("RO1").await;
    let path = path_of(&order);
    let mut target = ("PAID", "NET");
    for cut in [Cut::Before, Cut::After] {
        for statement in 1..=STATEMENTS_OF_A_MOVE {
            let case = format!("cut {cut:?} statement {statement}");
            // Continue from wherever the previous round left the order.
            let now = app.get(&path).await.expect(200);
            if now["archiveStatus"] == target.0 {
                target = (target.1, target.0);
            }
            proxy.cut_at(statement, cut);
            let response = app.patch(&path, &json!({ "archiveStatus": target.0, "notes": case })).await;
            assert!(proxy.has_cut(), "{case}: the statement was never reached");
            let is_commit = statement == STATEMENTS_OF_A_MOVE;
            if is_commit {
                // The outcome is unknown, and the response says so.
                let message = response.expect_error(503);
                assert!(message.contains("Check whether it was"), "{case}: {message}");
            } else {
                // The server rolled back, so the change was retried.
                assert_eq!(response.expect(200)["notes"], case.as_str());
            }
            let rows = app.rows().await;
            assert_eq!(rows.len(), 1, "{case}: {rows:?}");
            let kept = app.get(&path).await.expect(200);
            assert_eq!(kept["id"], order["id"]);
            let is_moved = kept["archiveStatus"] == target.0;
            assert_eq!(is_moved, kept["notes"] == case.as_str(), "{case}: half a change was kept: {kept}");
            assert!(is_moved || is_commit, "{case}");
            // The number is still taken, by this order only.
            app.post("/api/ros", &new_order(json!({ "roNumber": "RO1" }))).await.expect_error(409);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cut_create_is_all_or_nothing() {
    let proxy = Proxy::start().await;
    let app = app_behind(&proxy).await;
    for cut in [Cut::Before, Cut::After] {
        for statement in 1..=4 {
            // Open the connection first, so that its setup statements are not counted.
            app.get("/health").await.expect(200);
            let number = format!("RO-{cut:?}-{statement}");
            proxy.cut_at(statement, cut);
            let response = app.post("/api/ros", &new_order(json!({ "roNumber": number }))).await;
            assert!(proxy.has_cut());
            let count = app.rows().await.iter().filter(|(_, _, ro)| *ro == number).count();
            match response.status {
                StatusCode::CREATED => assert_eq!(count, 1, "{number}"),
                StatusCode::SERVICE_UNAVAILABLE => assert!(statement == 4 && count <= 1, "{number}"),
                status => panic!("{number}: {status}"),
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cut_decrement_is_all_or_nothing() {
    let proxy = Proxy::start().await;
    let database = TestDatabase::inventory().await;
    let pool = proxy.pool(&database, ONE_CONNECTION);
    let app = App::inventory_on(database, pool);
    let part = app.put("stock_room", "A-1", 100).await;
    // The statements are BEGIN, lock, UPDATE, INSERT, COMMIT.
    for (cut, statement) in [Cut::Before, Cut::After].into_iter().flat_map(|cut| (1..=5).map(move |at| (cut, at))) {
        // Open the connection first, so that its setup statements are not counted.
        app.get("/api/inventory/stats").await.expect(200);
        let notes = format!("cut {cut:?} statement {statement}");
        proxy.cut_at(statement, cut);
        let response = app.post("/api/inventory/decrement", &part.change(&json!({ "notes": notes }))).await;
        assert!(proxy.has_cut(), "{notes}: the statement was never reached");
        let entries = app.transactions(&part).await;
        let taken = entries.iter().filter(|(.., note)| note.as_deref() == Some(&*notes)).count();
        if statement == 5 {
            // The outcome is unknown, and the response says so.
            assert!(response.expect_error(503).contains("Check whether it was") && taken <= 1, "{notes}: {taken}");
        } else {
            // The server rolled back, so the change was retried.
            response.expect(200);
            assert_eq!(taken, 1, "{notes}");
        }
    }
    app.assert_conserved(&[(part.index_id, (part, 100))].into()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dead_idle_connections_are_replaced() {
    let app = App::start().await;
    let order = app.create("RO1").await;
    let path = path_of(&order);
    for (method, path, body) in [
        ("GET", path.as_str(), String::new()),
        ("GET", "/api/ros", String::new()),
        ("GET", "/api/ros/stats/dashboard", String::new()),
        ("GET", "/health", String::new()),
        ("PATCH", path.as_str(), json!({ "notes": "x" }).to_string()),
        ("PATCH", path.as_str(), json!({ "archiveStatus": "PAID" }).to_string()),
        ("POST", "/api/ros", new_order(json!({ "roNumber": "RO2" })).to_string()),
        ("DELETE", path.as_str(), String::new()),
    ] {
        // Several idle connections, all of which are killed.
        futures_util::future::join_all((0..4).map(|_| app.get("/health"))).await;
        app.database.kill_sessions().await;
        let response = app.send_text(method.parse().unwrap(), path, body).await;
        assert!(response.status.is_success(), "{method} {path}: {response:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_locked_row_is_503_with_retry_after() {
    let app = App::start().await;
    let order = app.create("RO1").await;
    let mut other = app.database.connect().await;
    execute(&mut other, "START TRANSACTION; UPDATE active SET NOTES = 'theirs'").await;
    let response = app.patch(&path_of(&order), &json!({ "notes": "ours" })).await;
    assert!(response.header("retry-after").is_some());
    response.expect_error(503);
    execute(&mut other, "COMMIT").await;
    assert_eq!(app.patch(&path_of(&order), &json!({ "terms": "COD" })).await.expect(200)["notes"], "theirs");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_locked_table_is_503_with_retry_after() {
    let app = App::start().await;
    let mut other = app.database.connect().await;
    execute(&mut other, "LOCK TABLES active WRITE").await;
    let response = app.get("/api/ros/stats/dashboard").await;
    assert!(response.header("retry-after").is_some());
    response.expect_error(503);
    execute(&mut other, "UNLOCK TABLES").await;
    app.get("/api/ros/stats/dashboard").await.expect(200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn deadlocks_are_retried() {
    let app = std::sync::Arc::new(App::start().await);
    let order = app.create("RO1").await;
    let mut other = app.database.connect().await;
    // A deadlock: the other transaction holds the row and needs the registry; ours holds the registry and needs the
    // row.
    execute(&mut other, "START TRANSACTION; UPDATE active SET NOTES = 'theirs'").await;
    let ours = {
        let (app, path) = (app.clone(), path_of(&order));
        tokio::spawn(async move { app.patch(&path, &json!({ "terms": "COD" })).await })
    };
    let mut watcher = app.database.connect().await;
    // InnoDB caches its lock tables while they are queried often, but not its status.
    let waits_for_row = |status: &str| {
        let row = format!("`{}`.`active`", app.database.name);
        status.lines().any(|line| line.contains(&row) && line.ends_with("waiting"))
    };
    loop {
        let status = sqlx::raw_sql("SHOW ENGINE INNODB STATUS").fetch_one(&mut watcher).await.unwrap();
        if waits_for_row(&status.get::<String, _>("Status")) {
            break;
        }
        assert!(!ours.is_finished(), "it did not wait for their lock");
    }
    execute(&mut other, "UPDATE active SET RO = 'RO2'; COMMIT").await;
    let kept = ours.await.unwrap().expect(200);
    assert_eq!((&kept["roNumber"], &kept["notes"], &kept["terms"]), (&json!("RO2"), &json!("theirs"), &json!("COD")));
    assert_eq!(app.get(&path_of(&order)).await.expect_order(), kept);
}
