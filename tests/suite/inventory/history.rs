//! The history of stock changes: each transaction records the user, the time, the request and the previous quantity.

use std::{collections::BTreeMap, sync::Arc};

use futures_util::future::join_all;
use rand::{Rng, SeedableRng, rngs::StdRng};
use rotracker_cli::reindex::{Options, reindex};
use rotracker_tests::{App, database::execute};
use serde_json::{Value, json};

const REBUILD: Options = Options { dry_run: false, rebuild: true, accept_renumbered: false };

/// All stock transactions, in the order of their creation.
async fn transactions(app: &App) -> Vec<Value> {
    let mut entries = Vec::new();
    loop {
        let page =
            app.get(&format!("/api/inventory/transactions?limit=100&offset={}", entries.len())).await.expect(200);
        let found = page["transactions"].as_array().unwrap();
        entries.extend(found.iter().cloned());
        if found.len() < 100 {
            entries.sort_by_key(|entry| entry["transactionId"].as_i64());
            return entries;
        }
    }
}

/// Computes the quantity of each index row from its transactions.
fn replay(entries: &[Value]) -> BTreeMap<i64, i64> {
    let mut quantities = BTreeMap::new();
    for entry in entries {
        let id = entry["indexId"].as_str().unwrap().parse().unwrap();
        let quantity = |name: &str| entry[name].as_i64().unwrap();
        assert_eq!(quantities.get(&id).copied().unwrap_or(0), quantity("previousQty"), "{entry} does not follow");
        assert_eq!(quantity("previousQty") + quantity("deltaQty"), quantity("newQty"), "{entry}");
        quantities.insert(id, quantity("newQty"));
        if entry["notes"] == "removed from the index" {
            quantities.remove(&id);
        }
    }
    quantities
}

async fn index(app: &App) -> BTreeMap<i64, i64> {
    let rows: Vec<(i64, i64)> = sqlx::query_as("SELECT IndexId, Qty FROM inventoryindex")
        .fetch_all(&mut *app.connection().await)
        .await
        .unwrap();
    rows.into_iter().collect()
}

#[tokio::test]
async fn transactions_name_the_request_or_program() {
    let app = App::inventory().await;
    let part = app.put("stock_room", "A-1", 5).await;
    let response = app.post("/api/inventory/decrement", &part.change(&json!({ "quantity": 2 }))).await;
    let request = response.header("x-request-id").unwrap().to_owned();
    response.expect(200);
    app.put_unindexed("terra", "B-2", 7).await;
    reindex(&app.pool, REBUILD).await.unwrap();
    let entries = transactions(&app).await;
    assert_eq!((&entries[0]["requestId"], &entries[0]["program"]), (&json!(request), &Value::Null));
    assert_eq!((&entries[0]["previousQty"], &entries[0]["newQty"]), (&json!(5), &json!(3)));
    assert_eq!((&entries[1]["requestId"], &entries[1]["program"]), (&Value::Null, &json!("rotracker reindex")));
    assert_eq!((&entries[1]["previousQty"], &entries[1]["newQty"]), (&json!(0), &json!(7)));
    assert_eq!(app.get("/api/inventory/transactions?action=REINDEX").await.expect(200)["total"], 1);
    assert_eq!(entries.len(), 2);
}

#[tokio::test]
async fn quantities_written_by_reindex_are_not_kept() {
    let app = App::inventory().await;
    app.put_unindexed("terra", "A-1", 7).await;
    reindex(&app.pool, REBUILD).await.unwrap();
    execute(&mut app.database.connect().await, "UPDATE terra SET QTY = 9").await;
    reindex(&app.pool, REBUILD).await.unwrap();
    assert_eq!(index(&app).await.into_values().collect::<Vec<_>>(), [9]);
    execute(&mut app.database.connect().await, "DELETE FROM terra").await;
    reindex(&app.pool, REBUILD).await.unwrap();
    let entries = transactions(&app).await;
    let quantities: Vec<_> = entries.iter().map(|entry| (&entry["previousQty"], &entry["newQty"])).collect();
    assert_eq!(quantities, [(&json!(0), &json!(7)), (&json!(7), &json!(9)), (&json!(9), &json!(0))]);
    assert!(replay(&entries).is_empty() && index(&app).await.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replayed_transactions_give_the_quantities() {
    let app = Arc::new(App::inventory().await);
    let tables = ["stock_room", "bins_inventory", "terra", "delta_apa"];
    for table in tables {
        for number in 0..3 {
            app.put_unindexed(table, &format!("{table}-{number}"), 5).await;
        }
    }
    reindex(&app.pool, REBUILD).await.unwrap();
    let parts: Vec<(i64, String)> = sqlx::query_as("SELECT IndexId, PartNumber FROM inventoryindex")
        .fetch_all(&mut *app.connection().await)
        .await
        .unwrap();
    let parts = Arc::new(parts);
    let mut tasks: Vec<_> = (0..12)
        .map(|seed| {
            let (app, parts) = (app.clone(), parts.clone());
            tokio::spawn(async move {
                let mut random = StdRng::seed_from_u64(seed);
                for _ in 0..40 {
                    // Half of the parts get no transactions, so a reindex takes their quantity from the sheet.
                    let (id, number) = &parts[random.random_range(0..parts.len() / 2)];
                    let (path, mut body) = match random.random_range(0..3) {
                        0 => ("decrement", json!({ "quantity": random.random_range(1..4) })),
                        1 => ("increment", json!({ "quantity": random.random_range(1..4) })),
                        _ => ("adjust", json!({ "newQty": random.random_range(0..9) })),
                    };
                    body["indexId"] = json!(id);
                    body["partNumber"] = json!(number);
                    body["notes"] = json!("n");
                    let response = app.post(&format!("/api/inventory/{path}"), &body).await;
                    assert!([200, 409].contains(&response.status.as_u16()), "{response:?}");
                }
            })
        })
        .collect();
    let editor = app.clone();
    tasks.push(tokio::spawn(async move {
        let mut node = editor.database.connect().await;
        for round in 0..10 {
            for table in tables {
                let edit = format!(
                    "UPDATE `{table}` SET QTY = {round} WHERE id = 1 + {round} % 3; \
                     INSERT INTO `{table}` (PN, QTY) VALUES ('{table}-new-{round}', {round}); \
                     DELETE FROM `{table}` WHERE PN = '{table}-new-{}'",
                    round - 3
                );
                execute(&mut node, &edit).await;
            }
            reindex(&editor.pool, REBUILD).await.unwrap();
        }
    }));
    for task in join_all(tasks).await {
        task.unwrap();
    }
    let entries = transactions(&app).await;
    assert_eq!(replay(&entries), index(&app).await);
    assert!(entries.len() > 200, "{}", entries.len());
}
