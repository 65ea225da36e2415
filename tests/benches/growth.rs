//! `cargo bench --bench growth`: how the latency of inventory requests grows with the number of rows. Times depend on
//! the machine; compare each row of the output from 10,000 to 1,000,000 rows.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, missing_docs)]

use std::time::{Duration, Instant};

use http::Method;
use rotracker_tests::{App, TestDatabase, app::encoded, stock::fill_stock};
use serde_json::json;

/// Sizes of the index; there are half as many stock transactions.
const SIZES: [u32; 3] = [10_000, 100_000, 1_000_000];

/// The number of parts with fewer than five pieces, at every size.
const LOW: u32 = 100;

/// A request, the number of repetitions, and the expected status.
struct Case {
    name: &'static str,
    rounds: u32,
    method: Method,
    path: String,
    body: Option<serde_json::Value>,
    status: u16,
}

async fn median(app: &App, case: &Case) -> Duration {
    let mut samples = Vec::new();
    // The first requests fill caches.
    for round in 0..case.rounds + 2 {
        let started = Instant::now();
        let response = match &case.body {
            None => app.get(&case.path).await,
            Some(body) => app.send_json(case.method.clone(), &case.path, body).await,
        };
        let elapsed = started.elapsed();
        assert_eq!(response.status, case.status, "{}", case.name);
        if round >= 2 {
            samples.push(elapsed);
        }
    }
    samples.sort_unstable();
    samples[samples.len() / 2]
}

/// A part number in the middle of the index, and its id.
async fn some_part(app: &App) -> (i64, String) {
    let any =
        "SELECT IndexId, PartNumber FROM inventoryindex WHERE Qty > 50 ORDER BY PartNumberKey LIMIT 1 OFFSET 1000";
    sqlx::query_as(any).fetch_one(&mut *app.connection().await).await.unwrap()
}

async fn cases(app: &App) -> Vec<Case> {
    let (id, number) = some_part(app).await;
    let get = |name, rounds, path: String| Case {
        name,
        rounds,
        method: Method::GET,
        path: format!("/api/inventory/{path}"),
        body: None,
        status: 200,
    };
    let exact = encoded(&number);
    // The part number without its first two characters, which few numbers contain.
    let rare = encoded(&number[2..]);
    let page = app.get("/api/inventory/transactions?offset=2500").await.expect(200);
    let cursor = page["nextCursor"].as_str().unwrap();
    vec![
        get("search, exact", 300, format!("search?partNumber={exact}")),
        get("search, part of a number, few hits", 300, format!("search?partNumber={rare}")),
        get("search, part of a number, all rows hit", 300, "search?partNumber=-".to_owned()),
        Case { status: 404, ..get("search, nothing found", 5, "search?partNumber=QQQQ".to_owned()) },
        get("low stock, 100 low parts", 30, "low-stock".to_owned()),
        get("transactions of a number", 300, format!("transactions?partNumber={exact}")),
        get("transactions, newest page of all", 10, "transactions".to_owned()),
        get("transactions, 50 pages later by cursor", 10, format!("transactions?cursor={cursor}")),
        get("stock room, few hits", 100, format!("stock-room?search={rare}")),
        get("stats", 5, "stats".to_owned()),
        get("tables", 5, "tables".to_owned()),
        Case {
            method: Method::POST,
            body: Some(json!({ "indexId": id, "partNumber": number, "newQty": 60, "notes": "growth" })),
            ..get("adjust", 300, "adjust".to_owned())
        },
    ]
}

async fn measure(size: u32) -> Vec<(&'static str, Duration)> {
    let database = TestDatabase::inventory().await;
    let pool = database.pool(1);
    let app = App::inventory_on(database, pool);
    fill_stock(&app.database, size, size / LOW).await;
    let mut medians = Vec::new();
    for case in cases(&app).await {
        medians.push((case.name, median(&app, &case).await));
    }
    medians
}

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let mut columns = Vec::new();
    for size in SIZES {
        columns.push(runtime.block_on(measure(size)));
    }
    println!("| request, median ms | 10,000 rows | 100,000 rows | 1,000,000 rows |\n|---|---|---|---|");
    for (line, (name, _)) in columns[0].iter().enumerate() {
        let times: Vec<String> =
            columns.iter().map(|column| format!("{:.2}", column[line].1.as_secs_f64() * 1e3)).collect();
        println!("| {name} | {} |", times.join(" | "));
    }
}
