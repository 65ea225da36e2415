//! `GET /api/ros/{id}/history` and `GET /api/ros/by-number/{ro_number}/history`: the change history and the status
//! steps.

use std::{collections::BTreeMap, sync::Arc};

use futures_util::future::join_all;
use rand::{Rng, SeedableRng, rngs::StdRng};
use rotracker_cli::seed::{OrderCounts, seed_repair_orders};
use rotracker_tests::{
    App,
    app::{new_order, path_by_number, path_of},
    database::execute,
};
use serde_json::{Map, Value, json};

/// All history entries of an order, oldest first.
async fn entries(app: &App, path: &str) -> Vec<Value> {
    let mut entries = Vec::new();
    loop {
        let page = app.get(&format!("{path}/history?limit=100&offset={}", entries.len())).await.expect(200);
        let found = page["history"].as_array().unwrap();
        entries.extend(found.iter().cloned());
        if found.len() < 100 {
            assert_eq!(page["total"], entries.len());
            entries.reverse();
            return entries;
        }
    }
}

/// Rebuilds the order from its history; `None` if the last entry deletes it.
fn replay(entries: &[Value]) -> Option<Map<String, Value>> {
    let mut order = Map::new();
    for (index, entry) in entries.iter().enumerate() {
        assert_eq!(entry["revision"], index + 1, "{entry}");
        if entry["action"] == "FOUND" {
            order.clear();
        }
        for change in entry["changes"].as_array().unwrap() {
            let (field, old, new) = (change["field"].as_str().unwrap(), &change["old"], &change["new"]);
            assert_eq!(order.get(field).unwrap_or(&Value::Null), old, "{entry} does not follow");
            assert_ne!(old, new, "{entry}");
            order.insert(field.to_owned(), new.clone());
        }
        if entry["action"] == "DELETED" {
            assert!(order.values().all(Value::is_null), "{entry}");
            order.clear();
        }
        order.retain(|_, value| !value.is_null());
    }
    (!order.is_empty()).then_some(order)
}

/// The stored fields of an order, without the computed ones.
fn stored(order: &Value) -> Map<String, Value> {
    let mut order = order.as_object().unwrap().clone();
    for computed in ["id", "isOverdue", "daysOverdue", "statusHistory"] {
        order.remove(computed);
    }
    order.retain(|_, value| !value.is_null());
    order
}

#[tokio::test]
async fn entries_survive_moves_renames_and_deletion() {
    let app = App::start().await;
    let order = app.create("RO1").await;
    let path = path_of(&order);
    app.clock.set("2024-11-16T08:30:00.123456Z".parse().unwrap());
    let patched = app.patch(&path, &json!({ "terms": "COD", "notes": null })).await;
    let request = patched.header("x-request-id").unwrap().to_owned();
    app.patch(&path, &json!({ "archiveStatus": "PAID", "finalCost": 12.5 })).await.expect(200);
    app.patch(&path, &json!({ "roNumber": "RO2" })).await.expect(200);
    let page = app.get(&format!("{path}/history?limit=1&offset=2")).await.expect(200);
    assert_eq!((&page["total"], &page["limit"], &page["offset"]), (&json!(4), &json!(1), &json!(2)));
    let expected = json!({
        "revision": 2, "orderId": order["id"], "roNumber": "RO1", "action": "UPDATED",
        "timestamp": "2024-11-16T08:30:00.123Z", "user": null, "program": null, "requestId": request,
        "changes": [
            { "field": "lastDateUpdated", "old": "2024-11-15T00:00:00.000Z", "new": "2024-11-16T00:00:00.000Z" },
            { "field": "terms", "old": null, "new": "COD" },
        ],
    });
    assert_eq!(page["history"], json!([expected]));
    app.delete(&path).await.expect(200);
    app.get(&path).await.expect_error(404);
    for path in [path.clone(), path_by_number("RO1"), path_by_number("ro2")] {
        let entries = entries(&app, &path).await;
        let actions: Vec<&str> = entries.iter().map(|entry| entry["action"].as_str().unwrap()).collect();
        assert_eq!(actions, ["CREATED", "UPDATED", "MOVED", "UPDATED", "DELETED"], "{path}");
        assert_eq!(replay(&entries), None);
        assert_eq!(stored(&order), replay(&entries[..1]).unwrap());
        let numbers: Vec<&str> = entries.iter().map(|entry| entry["roNumber"].as_str().unwrap()).collect();
        assert_eq!(numbers, ["RO1", "RO1", "RO1", "RO2", "RO2"]);
    }
}

#[tokio::test]
async fn a_number_means_its_current_or_last_order() {
    let app = App::start().await;
    let first = app.create("RO1").await;
    app.patch(&path_of(&first), &json!({ "roNumber": "RO2" })).await.expect(200);
    let owner = async |number| entries(&app, &path_by_number(number)).await[0]["orderId"].clone();
    assert_eq!(owner("RO1").await, first["id"]);
    let second = app.create("RO1").await;
    assert_eq!((owner("RO1").await, owner("RO2").await), (second["id"].clone(), first["id"].clone()));
    app.delete(&path_of(&second)).await.expect(200);
    assert_eq!(owner("RO1").await, second["id"], "the last one that had it");
    app.patch(&path_of(&first), &json!({ "notes": "x" })).await.expect(200);
    assert_eq!(owner("RO1").await, second["id"]);
    app.patch(&path_of(&first), &json!({ "roNumber": "RO1" })).await.expect(200);
    assert_eq!(owner("RO1").await, first["id"], "it has it again");
    for path in ["/api/ros/999999/history", "/api/ros/by-number/RO3/history"] {
        assert_eq!(app.get(path).await.expect_error(404), "Repair order not found");
    }
    app.get("/api/ros/x/history").await.expect_error(400);
    assert!(app.get("/api/ros/1/history?limit=0").await.expect(400)["details"]["fields"]["limit"].is_string());
}

#[tokio::test]
async fn rejected_and_empty_changes_leave_no_entry() {
    let app = App::start().await;
    let order = app.create_with(json!({ "estimatedCost": 1 })).await;
    let path = path_of(&order);
    app.create("RO2").await;
    app.patch(&path, &json!({ "estimatedCost": "1.00", "currentStatus": "WAITING QUOTE" })).await.expect(200);
    app.patch(&path, &json!({ "roNumber": "RO2" })).await.expect_error(409);
    app.patch(&path, &json!({ "roNumber": "RO2", "archiveStatus": "PAID" })).await.expect_error(409);
    app.post(&format!("{}/archive", path_by_number("RO38463")), &json!({ "archiveStatus": "ACTIVE" }))
        .await
        .expect_error(409);
    app.patch(&path, &json!({ "notes": 1 })).await.expect_error(400);
    assert_eq!(entries(&app, &path).await.len(), 1);
}

#[tokio::test]
async fn status_changes_have_day_cost_and_notes() {
    let app = App::start().await;
    let order = app.create_with(json!({ "roNumber": "RO1", "notes": "in the hangar" })).await;
    let status = format!("{}/status", path_by_number("RO1"));
    app.clock.set("2024-11-16T12:00:00Z".parse().unwrap());
    let quoted = json!({ "status": "WAITING APPROVAL", "cost": 250, "notes": "quote by mail" });
    app.patch(&status, &quoted).await.expect(200);
    app.patch(&path_of(&order), &json!({ "terms": "COD", "estimatedCost": "300.00" })).await.expect(200);
    app.patch(&path_of(&order), &json!({ "currentStatus": "APPROVED", "currentStatusDate": "2024-11-18" }))
        .await
        .expect(200);
    let shipped = json!({ "archiveStatus": "PAID", "currentStatus": "PAID SHIPPING", "finalCost": "310.10" });
    app.patch(&path_of(&order), &shipped).await.expect(200);
    // Setting the same status again adds a step with its note and cost.
    app.patch(&status, &json!({ "status": "PAID SHIPPING", "notes": "tomorrow", "cost": "310.1" })).await.expect(200);
    let day = |day: u8| format!("2024-11-{day}T00:00:00.000Z");
    let step = |status: &str, at: u8, cost: Value, notes: Value| json!({ "status": status, "date": day(at), "user": null, "cost": cost, "notes": notes });
    let expected = json!([
        step("WAITING QUOTE", 15, Value::Null, json!("in the hangar")),
        step("WAITING APPROVAL", 16, json!("250.00"), json!("quote by mail")),
        step("APPROVED", 18, Value::Null, Value::Null),
        step("PAID SHIPPING", 16, json!("310.10"), Value::Null),
        step("PAID SHIPPING", 16, json!("310.10"), json!("tomorrow")),
    ]);
    for path in [path_of(&order), path_by_number("ro1")] {
        assert_eq!(app.get(&path).await.expect(200)["statusHistory"], expected);
    }
    // A change by another program adds a step only if it changes the status.
    let mut expected = expected.as_array().unwrap().clone();
    for (found, is_step) in [("TERMS = 'NET 30'", false), ("CURENT_STATUS = 'PAID'", true)] {
        execute(&mut app.database.connect().await, &format!("UPDATE paid SET {found}")).await;
        app.patch(&path_of(&order), &json!({ "notes": found })).await.expect(200);
        let steps = app.get(&path_of(&order)).await.expect(200)["statusHistory"].clone();
        if is_step {
            expected.push(steps.as_array().unwrap().last().unwrap().clone());
        }
        assert_eq!(steps, json!(expected), "{found}");
        assert_eq!(steps.as_array().unwrap().last().unwrap()["status"] == "PAID", is_step);
    }
}

#[tokio::test]
async fn foreign_orders_are_recorded_as_found() {
    let app = App::start().await;
    let mut node = app.database.connect().await;
    execute(
        &mut node,
        "INSERT INTO net (RO, SHOP_NAME, CURENT_STATUS, ESTIMATED_COST, NOTES) VALUES (' RO1 ', 'Shop', 'NET', 7.5, 'x')",
    )
    .await;
    let path = path_by_number("RO1");
    assert_eq!(app.get(&format!("{path}/history")).await.expect(200)["total"], 0, "it is there, and nothing is known");
    assert_eq!(app.get(&path).await.expect(200)["statusHistory"], json!([]));
    let order = app.patch(&path, &json!({ "notes": "y" })).await.expect(200);
    // The next change also records what the other program changed or cleared in between.
    execute(&mut node, "UPDATE net SET SHOP_NAME = NULL, TERMS = 'NET 30', CURENT_STATUS = NULL").await;
    let order_again = app.patch(&path, &json!({ "notes": "z" })).await.expect(200);
    let entries = entries(&app, &path).await;
    let actions: Vec<&str> = entries.iter().map(|entry| entry["action"].as_str().unwrap()).collect();
    assert_eq!(actions, ["FOUND", "UPDATED", "FOUND", "UPDATED"]);
    assert_eq!(replay(&entries[..2]).unwrap(), stored(&order));
    assert_eq!(replay(&entries).unwrap(), stored(&order_again));
    assert_eq!((&entries[0]["requestId"], &entries[0]["roNumber"]), (&Value::Null, &json!("RO1")));
    execute(&mut node, "UPDATE net SET TERMS = 'gone'").await;
    app.delete(&path).await.expect(200);
    let entries = self::entries(&app, &path).await;
    assert_eq!(replay(&entries), None);
    assert!(
        entries[4]["changes"].as_array().unwrap().contains(&json!({ "field": "terms", "old": null, "new": "gone" }))
    );
}

const ARCHIVES: [&str; 4] = ["ACTIVE", "PAID", "NET", "RETURNED"];

fn any<'a>(random: &mut StdRng, list: &[&'a str]) -> &'a str {
    list[random.random_range(0..list.len())]
}

/// A random valid change of one field, sometimes to an unusual value.
fn any_change(random: &mut StdRng) -> Value {
    let text = json!(any(random, &["a", "b", "", " ", "é😀\n\"\\", "0"]));
    let nullable = |random: &mut StdRng, value: Value| if random.random_bool(0.3) { Value::Null } else { value };
    match random.random_range(0..9) {
        0 => json!({ "notes": nullable(random, text) }),
        1 => json!({ "terms": nullable(random, text), "trackingNumber": random.random_range(0..3).to_string() }),
        2 => {
            let cost = json!(format!("{}.{:02}", random.random_range(0..3), random.random_range(0..100)));
            json!({ "estimatedCost": nullable(random, cost) })
        }
        3 => {
            let day = json!(format!("2024-0{}-01", random.random_range(1..4)));
            json!({ "nextDateToUpdate": nullable(random, day) })
        }
        4 => json!({ "currentStatus": any(random, &["APPROVED", "BER"]) }),
        5 => json!({ "archiveStatus": any(random, &ARCHIVES), "finalCost": random.random_range(0..5) }),
        6 => json!({ "roNumber": format!("RO{}", random.random_range(0..12)) }),
        7 => {
            let number = format!("ro{}", random.random_range(0..12));
            json!({ "roNumber": number, "archiveStatus": any(random, &ARCHIVES) })
        }
        _ => json!({ "requiredWork": text, "dateMade": "2024-02-29", "shopName": "S", "partNumber": "P" }),
    }
}

/// Sends `steps` random requests, one after the other.
async fn do_anything(app: &App, seed: u64, steps: u32) {
    let mut random = StdRng::seed_from_u64(seed);
    for _ in 0..steps {
        let number = format!("RO{}", random.random_range(0..12));
        let by_number = path_by_number(&number);
        let path = if random.random_bool(0.5) {
            by_number.clone()
        } else {
            format!("/api/ros/{}", random.random_range(1..40))
        };
        let response = match random.random_range(0..10) {
            0 | 1 => {
                let mut fields = any_change(&mut random);
                fields["roNumber"] = json!(number);
                fields["shopName"] = json!("S");
                fields["currentStatus"] = json!("WAITING QUOTE");
                app.post("/api/ros", &new_order(fields)).await
            }
            2 => app.delete(&path).await,
            3 => {
                let archive = json!({ "archiveStatus": any(&mut random, &ARCHIVES) });
                app.post(&format!("{by_number}/archive"), &archive).await
            }
            4 | 5 => {
                let status = json!({
                    "status": any(&mut random, &["APPROVED", "PAID", "SHIPPING"]),
                    "notes": random.random_bool(0.5).then_some("n"),
                    "cost": random.random_bool(0.5).then_some("1.5"),
                });
                app.patch(&format!("{by_number}/status"), &status).await
            }
            _ => app.patch(&path, &any_change(&mut random)).await,
        };
        let status = response.status.as_u16();
        assert!([200, 201, 400, 404, 409].contains(&status), "{status}: {}", String::from_utf8_lossy(&response.bytes));
    }
}

/// Checks that replaying the history of every order gives the rows of the tables, and that there are no other rows.
async fn assert_replays(app: &App) {
    let mut there = BTreeMap::new();
    for archive in ARCHIVES {
        let orders = app.get(&format!("/api/ros?archiveStatus={archive}")).await.expect(200);
        for order in orders.as_array().unwrap() {
            there.insert(order["id"].as_str().unwrap().parse::<i64>().unwrap(), stored(order));
        }
    }
    let ids: Vec<i64> = sqlx::query_scalar("SELECT DISTINCT order_id FROM ro_history ORDER BY 1")
        .fetch_all(&mut *app.connection().await)
        .await
        .unwrap();
    assert!(there.keys().all(|id| ids.contains(id)), "{:?} of {ids:?}", there.keys());
    let mut changes = 0;
    for id in ids {
        let entries = entries(app, &format!("/api/ros/{id}")).await;
        assert!(entries.iter().all(|entry| entry["action"] != "FOUND"), "nobody else wrote anything: {entries:?}");
        assert_eq!(replay(&entries), there.remove(&id), "{id}");
        changes += entries.len();
    }
    assert!(changes > 100, "{changes}");
}

#[tokio::test]
async fn replayed_sample_history_gives_the_sample_orders() {
    let app = App::start().await;
    let today = app.clock.today();
    let counts = OrderCounts { active: 60, paid: 20, net: 20, returned: 20 };
    seed_repair_orders(&mut app.database.connect().await, today, counts, |_| {}).await.unwrap();
    assert_replays(&app).await;
    let order = app.get("/api/ros?archiveStatus=PAID&limit=1").await.expect(200)[0].clone();
    let steps = app.get(&path_of(&order)).await.expect(200)["statusHistory"].clone();
    assert_eq!(steps.as_array().unwrap().last().unwrap()["status"], order["currentStatus"]);
    assert!(steps.as_array().unwrap().len() > 1 && steps[0]["user"].is_string(), "{steps}");
}

#[tokio::test]
async fn replayed_history_gives_the_current_orders() {
    let app = App::start().await;
    for seed in 0..4 {
        do_anything(&app, seed, 250).await;
        app.clock.set(format!("2024-11-{}T12:00:00Z", 16 + seed).parse().unwrap());
        assert_replays(&app).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replayed_concurrent_history_gives_the_current_orders() {
    let app = Arc::new(App::start().await);
    let clients = (0..16).map(|seed| {
        let app = app.clone();
        tokio::spawn(async move { do_anything(&app, 1_000 + seed, 60).await })
    });
    for client in join_all(clients).await {
        client.unwrap();
    }
    assert_replays(&app).await;
}
