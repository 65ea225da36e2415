//! Stock is conserved under concurrency and lost connections: a successful change has exactly one stock transaction, a
//! rejected one none, and the transactions add up to the quantities.

use std::{collections::BTreeMap, sync::Arc};

use futures_util::future::join_all;
use rand::{Rng, SeedableRng, rngs::StdRng};
use rotracker_tests::{App, TestDatabase, TestResponse, database::execute, stock::Part};
use serde_json::{Value, json};
use sqlx::Row;
use tokio::{sync::watch, task::yield_now};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_100_decrements_of_40_pieces_40_succeed() {
    let app = Arc::new(App::inventory_instances().await);
    for table in ["stock_room", "bins_inventory", "727_parts"] {
        let part = app.put(table, "A-1", 40).await;
        let decrements = (0..100).map(|_| {
            let (app, body) = (app.clone(), part.change(&json!({})));
            tokio::spawn(async move { app.post("/api/inventory/decrement", &body).await })
        });
        let responses: Vec<TestResponse> = join_all(decrements).await.into_iter().map(Result::unwrap).collect();
        let mut previous: Vec<i64> = responses
            .iter()
            .filter(|response| response.status == 200)
            .map(|response| response.json()["previousQty"].as_i64().unwrap())
            .collect();
        previous.sort_unstable();
        assert_eq!(previous, (1..=40).collect::<Vec<i64>>(), "each previous quantity once");
        assert_eq!(responses.iter().filter(|response| response.status == 409).count(), 60);
        assert_eq!(app.transactions(&part).await.len(), 40);
        app.assert_conserved(&BTreeMap::from([(part.index_id, (part, 40))])).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_clients_on_one_row_get_no_5xx() {
    let app = Arc::new(App::inventory_instances().await);
    let part = app.put("stock_room", "A-1", 100).await;
    let changes = (0..200).map(|client| {
        let (path, mut fields) = match client % 4 {
            1 => ("increment", json!({ "quantity": 1 + client % 3 })),
            3 => ("adjust", json!({ "newQty": client })),
            _ => ("decrement", json!({ "quantity": 1 + client % 3 })),
        };
        fields["notes"] = json!(format!("client {client}"));
        let (app, body) = (app.clone(), part.change(&fields));
        tokio::spawn(async move { app.post(&format!("/api/inventory/{path}"), &body).await.status.as_u16() })
    });
    let statuses: Vec<u16> = join_all(changes).await.into_iter().map(Result::unwrap).collect();
    assert!(statuses.iter().all(|status| [200, 409].contains(status)), "{statuses:?}");
    assert_eq!(app.transactions(&part).await.len(), statuses.iter().filter(|status| **status == 200).count());
    app.assert_conserved(&BTreeMap::from([(part.index_id, (part, 100))])).await;
}

#[tokio::test]
async fn changes_of_one_part_leave_connections_to_other_requests() {
    let database = TestDatabase::inventory().await;
    let pool = database.pool(2);
    let app = Arc::new(App::inventory_on(database, pool));
    let part = app.put("stock_room", "A-1", 40).await;
    let mut other = app.database.connect().await;
    execute(&mut other, "BEGIN; UPDATE inventoryindex SET Qty = 30").await;
    let decrements: Vec<_> = (0..8)
        .map(|_| {
            let (app, body) = (app.clone(), part.change(&json!({})));
            tokio::spawn(async move { app.post("/api/inventory/decrement", &body).await })
        })
        .collect();
    // Each change goes on until it has to wait: one for the locked row with one of the two connections, and the others without one.
    yield_now().await;
    app.get("/api/inventory/search?partNumber=A-1").await.expect(200);
    execute(&mut other, "COMMIT").await;
    for response in join_all(decrements).await {
        assert_eq!(response.unwrap().status, 200);
    }
    app.assert_conserved(&BTreeMap::from([(part.index_id, (part, 30))])).await;
}

/// A change that a client requested, and its response.
struct RequestedChange {
    part: i64,
    path: &'static str,
    fields: Value,
    status: u16,
    response: Value,
}

const CLIENTS: u64 = 64;
const CHANGES_EACH: u64 = 20;
const OPENING: i64 = 12;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stock_is_conserved_despite_killed_connections() {
    let app = Arc::new(App::inventory_instances().await);
    let mut openings = BTreeMap::new();
    // Two parts have the same number, as happens in practice.
    for (table, number) in
        [("stock_room", "A-1"), ("terra", "A-1"), ("bins_inventory", "B-2"), ("delta_apa", "C-3"), ("727_parts", "D-4")]
    {
        let part = app.put(table, number, OPENING).await;
        openings.insert(part.index_id, (part, OPENING));
    }
    let parts: Arc<Vec<Part>> = Arc::new(openings.values().map(|(part, _)| part.clone()).collect());
    let (progress, mut changes_done) = watch::channel(0_u64);
    let progress = Arc::new(progress);

    let clients = (0..CLIENTS).map(|client| {
        let (app, parts, progress) = (app.clone(), parts.clone(), progress.clone());
        tokio::spawn(async move {
            let mut random = StdRng::seed_from_u64(client);
            let mut requested = Vec::new();
            for change in 0..CHANGES_EACH {
                let part = &parts[random.random_range(0..parts.len())];
                let (path, mut fields) = match random.random_range(0..10) {
                    0..5 => ("decrement", json!({ "quantity": random.random_range(1..4) })),
                    5..9 => ("increment", json!({ "quantity": random.random_range(1..4) })),
                    _ => ("adjust", json!({ "newQty": random.random_range(0..20) })),
                };
                fields["notes"] = json!(format!("{client}/{change}"));
                let response = app.post(&format!("/api/inventory/{path}"), &part.change(&fields)).await;
                let (status, response) = (response.status.as_u16(), response.json());
                requested.push(RequestedChange { part: part.index_id, path, fields, status, response });
                progress.send_modify(|done| *done += 1);
            }
            requested
        })
    });
    let clients: Vec<_> = clients.collect();
    let killer = {
        let app = app.clone();
        tokio::spawn(async move {
            let mut random = StdRng::seed_from_u64(0);
            let mut killed = 0;
            let mut next = 5;
            // Kill a connection every few changes.
            while next < CLIENTS * CHANGES_EACH {
                changes_done.wait_for(|done| *done >= next).await.unwrap();
                killed += u32::from(app.database.kill_one_session(random.random_range(0..100)).await);
                next = *changes_done.borrow() + random.random_range(3..12);
            }
            killed
        })
    };
    let requested: Vec<RequestedChange> = join_all(clients).await.into_iter().flat_map(Result::unwrap).collect();
    let killed = killer.await.unwrap();
    assert!(killed > 20, "only {killed} connections were killed");

    let entries = sqlx::query("SELECT TxnId, IndexId, Action, DeltaQty, NewQty, Note FROM transactions")
        .fetch_all(&mut app.database.connect().await)
        .await
        .unwrap();
    let mut successes = 0;
    for RequestedChange { part, path, fields, status, response } in &requested {
        let notes = fields["notes"].as_str().unwrap();
        let found: Vec<_> = entries.iter().filter(|entry| entry.get::<String, _>("Note") == notes).collect();
        match status {
            200 => {
                successes += 1;
                assert_eq!(found.len(), 1, "{notes}: acknowledged, so it is there once");
                let entry = found[0];
                let (previous, new) = (response["previousQty"].as_i64().unwrap(), response["newQty"].as_i64().unwrap());
                let quantity = fields["quantity"].as_i64();
                let (action, expected) = match *path {
                    "decrement" => ("DECREMENT", previous - quantity.unwrap()),
                    "increment" => ("INCREMENT", previous + quantity.unwrap()),
                    _ => ("ADJUSTMENT", fields["newQty"].as_i64().unwrap()),
                };
                assert_eq!(new, expected, "{notes}");
                assert_eq!(entry.get::<i64, _>("IndexId"), *part);
                assert_eq!(entry.get::<String, _>("Action"), action);
                assert_eq!((entry.get::<i64, _>("DeltaQty"), entry.get::<i64, _>("NewQty")), (new - previous, new));
                assert_eq!(entry.get::<i64, _>("TxnId"), response["transactionId"].as_i64().unwrap());
            }
            409 => assert!(found.is_empty() && *path == "decrement", "{notes}: refused, so nothing is there"),
            // The connection was killed during COMMIT, so the outcome is unknown.
            503 => {
                let message = response["message"].as_str().unwrap();
                assert!(message.contains("Check whether it was") && found.len() <= 1, "{notes}: {message}");
            }
            status => panic!("{notes}: {status} {response}"),
        }
    }
    let known: usize = requested.len();
    assert!(successes * 2 > known, "only {successes} of {known} changes were made");
    assert!(entries.len() >= successes);
    app.assert_conserved(&openings).await;
}
