//! `cargo bench`: what the service adds to the database's own time, and the memory of a function. Times depend on the
//! machine; the ratios, whose two sides are measured in turns in one run, hardly.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, missing_docs)]

use std::time::{Duration, Instant};

use app_core::{Digest, db::Pool, http::Actor};
use futures_util::TryStreamExt;
use ros::{
    history::{Action, Entry},
    model::Archive,
    sql,
};
use rotracker_cli::local_client::local_client;
use rotracker_tests::{
    App, TestDatabase,
    app::{borrow, clock, new_order, path_of},
    database::fill,
    emulator::Emulator,
};
use serde_json::json;
use sqlx::{Connection, Executor, MySqlConnection};

/// Durations of one side, and what can be said of them.
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

fn report(what: &str, bare: &Samples, routed: &Samples) {
    let (bare_p50, routed_p50) = (bare.percentile(50), routed.percentile(50));
    println!(
        "| {what} | {bare_p50:.3} | {routed_p50:.3} | {:.2} | {:.3} | {:.3} |",
        routed_p50 / bare_p50,
        bare.percentile(99),
        routed.percentile(99)
    );
}

/// Reads every row that `statement` gives and throws it away.
async fn drain(pool: &Pool, query: sqlx::query::Query<'_, sqlx::MySql, sqlx::mysql::MySqlArguments>) {
    let mut connection = borrow(pool).await;
    let mut rows = query.fetch(&mut *connection);
    while rows.try_next().await.unwrap().is_some() {}
}

/// The columns of an order in a statement of `sql`: a number, and otherwise what [`new_order`] holds.
fn bind_order<'q>(
    statement: &'static str,
    number: &'q str,
) -> sqlx::query::Query<'q, sqlx::MySql, sqlx::mysql::MySqlArguments> {
    let none = None::<&str>;
    let mut query = sqlx::query(statement).bind(number).bind(none).bind("XYZ Repair Services");
    for _ in 0..2 {
        query = query.bind(none);
    }
    query = query.bind("Landing gear actuator");
    for _ in 0..7 {
        query = query.bind(none);
    }
    query = query.bind("WAITING QUOTE").bind("2024-11-15");
    for _ in 0..4 {
        query = query.bind(none);
    }
    query.bind("2024-11-15").bind(none)
}

async fn run(
    connection: &mut MySqlConnection,
    query: sqlx::query::Query<'_, sqlx::MySql, sqlx::mysql::MySqlArguments>,
) {
    connection.execute(query).await.unwrap();
}

/// An entry of the history, as long as that of a move.
async fn enter(connection: &mut MySqlConnection, id: u64, revision: i64) {
    let changes = r#"[{"field":"archiveStatus","old":"ACTIVE","new":"PAID"}]"#;
    let entry = Entry {
        order_id: i64::try_from(id).unwrap(),
        revision,
        ro_number: "RO-BARE".to_owned(),
        action: Action::Moved,
        at: clock().now(),
        actor: Actor::default(),
        changes: changes.to_owned(),
        digest: Some(Digest::of_bytes(&[changes.as_bytes()])),
        step: None,
    };
    sql::add_history(&[entry]).build().execute(connection).await.unwrap();
}

async fn compare(rows: u32, rounds: usize) {
    let database = TestDatabase::migrated().await;
    let pool = database.pool(1);
    let app = App::on(database, pool.clone());
    fill(&app.database, rows).await;

    let (mut bare, mut routed) = (Samples::default(), Samples::default());
    for _ in 0..rounds {
        bare.time(drain(&pool, sqlx::query(sql::list(Archive::Active)).bind(u64::MAX).bind(0_u64))).await;
        routed.time(async { assert!(app.get("/api/ros").await.status.is_success()) }).await;
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
        bare.time(drain(&pool, sqlx::query(sql::FIND_BY_ID).bind(id).bind(id))).await;
        routed.time(async { assert!(app.get(&path).await.status.is_success()) }).await;
    }
    report("get", &bare, &routed);

    let (mut bare, mut routed) = (Samples::default(), Samples::default());
    for round in 0..rounds {
        let number = format!("BARE{round}");
        bare.time(async {
            let mut connection = borrow(&pool).await;
            let mut transaction = connection.begin().await.unwrap();
            let done = bind_order(sql::insert(Archive::Active), &number).bind(0).execute(&mut *transaction).await;
            enter(&mut transaction, done.unwrap().last_insert_id(), 1).await;
            transaction.commit().await.unwrap();
        })
        .await;
        let body = new_order(json!({ "roNumber": format!("ROUTED{round}") }));
        routed.time(async { assert_eq!(app.post("/api/ros", &body).await.status, 201) }).await;
    }
    report("create", &bare, &routed);

    let bare_order = app.create("RO-BARE").await;
    let bare_id: i64 = bare_order["id"].as_str().unwrap().parse().unwrap();
    let mut places = (Archive::Active, Archive::Paid);
    let (mut bare, mut routed) = (Samples::default(), Samples::default());
    for revision in 2..i64::try_from(rounds).unwrap() + 2 {
        let (from, to) = places;
        bare.time(async {
            let mut connection = borrow(&pool).await;
            let mut transaction = connection.begin().await.unwrap();
            run(&mut transaction, sqlx::query(sql::LOCK_BY_ID).bind(bare_id)).await;
            run(&mut transaction, sqlx::query(sql::delete(from)).bind(bare_id)).await;
            run(&mut transaction, bind_order(sql::insert(to), "RO-BARE").bind(bare_id)).await;
            enter(&mut transaction, u64::try_from(bare_id).unwrap(), revision).await;
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
        let query = sqlx::query(sql::DASHBOARD).bind(today).bind(today).bind(today).bind(today);
        bare.time(drain(&pool, query)).await;
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
        println!("| request | bare sqlx p50 ms | through the router p50 ms | ratio | bare p99 | router p99 |");
        println!("|---|---|---|---|---|---|");
        compare(500, 300).await;
        compare(50_000, 15).await;
        compare_single(1_000).await;
        measure_memory().await;
    });
}
