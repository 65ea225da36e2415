//! Measures the time that the router (HTTP, JSON, authentication) adds to the statements of the store, and the memory
//! of a function. Times depend on the machine, but ratios hardly do: both sides are measured alternately in one run.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, missing_docs)]

use std::time::{Duration, Instant};

use app_core::{db::Pool, http::Actor};
use axum::{body::Body, extract::Request};
use futures_util::TryStreamExt;
use ros::{
    model::{
        ArchiveStatus, ChangeContext, HistoryAction, LockedOrder, NewHistoryEntry, OrderKey, RepairOrder,
        history_of_change,
    },
    store,
};
use rotracker_cli::local_client::local_client;
use rotracker_tests::{
    App, TestDatabase,
    app::{acquire, clock, new_order, path_of},
    database::fill,
    emulator::Emulator,
};
use serde_json::json;
use sqlx::Connection;
use tower::ServiceExt;

/// The measured durations of one side.
#[derive(Default)]
struct Samples(Vec<Duration>);

impl Samples {
    async fn time(&mut self, work: impl Future<Output = ()>) {
        let started = Instant::now();
        work.await;
        self.0.push(started.elapsed());
    }

    fn percentile(&self, percent: usize) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        sorted[(sorted.len() - 1) * percent / 100].as_secs_f64() * 1e3
    }
}

fn report(case: &str, bare: &Samples, routed: &Samples) {
    let (bare_p50, routed_p50) = (bare.percentile(50), routed.percentile(50));
    println!(
        "| {case} | {bare_p50:.3} | {routed_p50:.3} | {:.2} | {:.3} | {:.3} |",
        routed_p50 / bare_p50,
        bare.percentile(99),
        routed.percentile(99)
    );
}

/// Reads and decodes all active orders, and discards them.
async fn list_bare(pool: &Pool) {
    let mut connection = acquire(pool).await;
    let query = sqlx::query_as::<_, RepairOrder>(
        "SELECT 'ACTIVE' AS archive, active.*
         FROM active
         ORDER BY NEXT_DATE_TO_UPDATE IS NULL, NEXT_DATE_TO_UPDATE, DATE_MADE DESC, id",
    );
    let mut orders = query.fetch(&mut *connection);
    while orders.try_next().await.unwrap().is_some() {}
}

/// Requests the same list, and discards each part of the response as it comes.
async fn list_routed(app: &App) {
    let request = Request::get("/api/ros").body(Body::empty()).unwrap();
    let response = app.router.clone().oneshot(request).await.unwrap();
    assert!(response.status().is_success());
    let mut parts = response.into_body().into_data_stream();
    while parts.try_next().await.unwrap().is_some() {}
}

/// The history entry of a change from `old` to `new`.
fn history_entry(old: Option<&LockedOrder>, new: &RepairOrder) -> NewHistoryEntry {
    let context = ChangeContext { action: HistoryAction::Updated, actor: Actor::default(), cost: None };
    history_of_change(old, Some(new), &context, clock().now()).unwrap().pop().unwrap()
}

async fn compare(rows: u32, rounds: usize) {
    let database = TestDatabase::migrated().await;
    let pool = database.pool(1);
    let app = App::on(database, pool.clone());
    fill(&app.database, rows).await;

    let (mut bare, mut routed) = (Samples::default(), Samples::default());
    for _ in 0..rounds {
        bare.time(list_bare(&pool)).await;
        routed.time(list_routed(&app)).await;
    }
    report(&format!("list of {rows} orders"), &bare, &routed);
}

async fn compare_single(rounds: usize) {
    let database = TestDatabase::migrated().await;
    let pool = database.pool(1);
    let app = App::on(database, pool.clone());
    fill(&app.database, 500).await;

    let order = app.create("RO-GET").await;
    let id: i64 = order["id"].as_str().unwrap().parse().unwrap();
    let path = path_of(&order);
    let (mut bare, mut routed) = (Samples::default(), Samples::default());
    for _ in 0..rounds {
        bare.time(async {
            let mut connection = acquire(&pool).await;
            store::find(&mut connection, &OrderKey::Id(id)).await.unwrap().unwrap();
        })
        .await;
        routed.time(async { assert!(app.get(&path).await.status.is_success()) }).await;
    }
    report("get", &bare, &routed);

    let (mut bare, mut routed) = (Samples::default(), Samples::default());
    let example = store::find(&mut *acquire(&pool).await, &OrderKey::Id(id)).await.unwrap().unwrap().order;
    for round in 0..rounds {
        let number = format!("BARE{round}");
        bare.time(async {
            let mut connection = acquire(&pool).await;
            let mut transaction = connection.begin().await.unwrap();
            let order = RepairOrder { ro_number: number.clone(), ..example.clone() };
            let id = store::insert(&mut transaction, &order).await.unwrap();
            let order = RepairOrder { id, ..order };
            store::insert_history(&mut transaction, &[history_entry(None, &order)]).await.unwrap();
            transaction.commit().await.unwrap();
        })
        .await;
        let body = new_order(json!({ "roNumber": format!("ROUTED{round}") }));
        routed.time(async { assert_eq!(app.post("/api/ros", &body).await.status, 201) }).await;
    }
    report("create", &bare, &routed);

    let bare_order = app.create("RO-BARE").await;
    let bare_id: i64 = bare_order["id"].as_str().unwrap().parse().unwrap();
    let mut places = (ArchiveStatus::Active, ArchiveStatus::Paid);
    let (mut bare, mut routed) = (Samples::default(), Samples::default());
    for _ in 0..rounds {
        let (from, to) = places;
        bare.time(async {
            let mut connection = acquire(&pool).await;
            let mut transaction = connection.begin().await.unwrap();
            let locked = store::lock(&mut transaction, &OrderKey::Id(bare_id)).await.unwrap().unwrap();
            let order = RepairOrder { archive_status: to, ..locked.order.clone() };
            store::move_order(&mut transaction, &locked, &order).await.unwrap();
            store::insert_history(&mut transaction, &[history_entry(Some(&locked), &order)]).await.unwrap();
            transaction.commit().await.unwrap();
        })
        .await;
        let body = json!({ "archiveStatus": to.name() });
        routed.time(async { assert!(app.patch(&path, &body).await.status.is_success()) }).await;
        places = (to, from);
    }
    report("move", &bare, &routed);

    let today = app.clock.today();
    let (mut bare, mut routed) = (Samples::default(), Samples::default());
    for _ in 0..rounds {
        bare.time(async {
            store::dashboard(&mut *acquire(&pool).await, today).await.unwrap();
        })
        .await;
        routed.time(async { assert!(app.get("/api/ros/stats/dashboard").await.status.is_success()) }).await;
    }
    report("dashboard", &bare, &routed);
}

async fn measure_memory() {
    let database = TestDatabase::migrated().await;
    let emulator = Emulator::start().await;
    let client = local_client().build().unwrap();
    fill(&database, 50_000).await;
    let ros = emulator.ros(&database, &[]).await;
    let list = client.get(format!("{}/lambda-url/ros/api/ros", emulator.url)).send().await.unwrap();
    let length = list.bytes().await.unwrap().len();
    println!(
        "\nThe release binary's memory at its peak, after a list of 50,000 orders ({} MB): {} MB",
        length / 1_000_000,
        ros.peak_memory().unwrap() / 1_000_000
    );
}

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        println!("| request | statements alone p50 ms | through the router p50 ms | ratio | bare p99 | router p99 |");
        println!("|---|---|---|---|---|---|");
        compare(500, 300).await;
        compare(50_000, 15).await;
        compare_single(1_000).await;
        measure_memory().await;
    });
}
