//! `GET /api/ros/stats/dashboard`

use chrono::NaiveDate;
use rand::{Rng, SeedableRng, rngs::StdRng, seq::IndexedRandom};
use ros::model::{ArchiveStatus, StatusClass};
use rotracker_tests::{
    App, TestDatabase,
    counters::rows_read,
    database::{execute, fill, numbers},
};
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Row};

#[tokio::test]
async fn an_empty_database_counts_nothing() {
    let app = App::start().await;
    let dashboard = app.get("/api/ros/stats/dashboard").await.expect(200);
    let fields = dashboard.as_object().unwrap();
    assert_eq!(fields.len(), 18);
    for (field, value) in fields {
        let expected = if field.ends_with("Value") { json!("0.00") } else { json!(0) };
        assert_eq!(*value, expected, "{field}");
    }
}

#[tokio::test]
async fn each_figure_follows_its_rule() {
    let app = App::start().await;
    // Today is 15 November 2024; 30 days before it is 16 October.
    let orders = [
        ("ACTIVE", "WAITING QUOTE", Some("2024-11-14"), Some("100.10"), Some("1")),
        ("ACTIVE", "WAITING QUOTE", Some("2024-11-15"), Some("200.20"), None),
        ("ACTIVE", "waiting quote", Some("2024-11-16"), None, None),
        ("ACTIVE", "APPROVED", Some("2024-10-16"), None, None),
        ("ACTIVE", "APPROVED BY SHOP", Some("2024-10-15"), None, None),
        ("ACTIVE", "BEING REPAIRED", None, Some("99999999.99"), None),
        ("ACTIVE", "CURRENTLY SHIPPING", None, None, None),
        ("ACTIVE", "SHIPPING", None, None, None),
        ("PAID", "PAID", Some("2024-01-01"), Some("7"), Some("1000.00")),
        ("PAID", "APPROVED", None, None, Some("99999999.99")),
        ("NET", "SHIPPING", None, None, Some("0.01")),
        ("RETURNED", "RAI", None, None, Some("10.00")),
        ("RETURNED", "rai - shop", None, None, None),
        ("RETURNED", "BER", None, None, None),
        ("RETURNED", "Cancelled", None, None, None),
        ("RETURNED", "CANCEL", None, None, None),
        ("RETURNED", "SCRAPPED", None, None, None),
        ("RETURNED", "Scrap", None, None, None),
        ("RETURNED", "NOT RAI", None, None, None),
    ];
    for (index, (archive, status, next, estimated, final_cost)) in orders.into_iter().enumerate() {
        app.create_with(json!({
            "roNumber": format!("RO{index}"),
            "archiveStatus": archive,
            "currentStatus": status,
            "nextDateToUpdate": next,
            "estimatedCost": estimated,
            "finalCost": final_cost,
        }))
        .await;
    }
    let expected: Value = json!({
        "totalActive": 8,
        "overdue": 3,
        "waitingQuote": 3,
        "approved": 2,
        "beingRepaired": 1,
        "shipping": 2,
        "dueToday": 1,
        "overdue30Plus": 1,
        "onTrack": 2,
        "totalValue": "200001310.29",
        "totalEstimatedValue": "100000300.29",
        "totalFinalValue": "100001010.00",
        "approvedPaid": 2,
        "approvedNet": 1,
        "rai": 2,
        "ber": 1,
        "cancel": 2,
        "scrapped": 2,
    });
    assert_eq!(app.get("/api/ros/stats/dashboard").await.expect(200), expected);
}

#[tokio::test]
async fn statuses_count_as_people_mean_them() {
    let app = App::start().await;
    let statuses = [
        ("ACTIVE", "APPROVED >>>>"),
        ("ACTIVE", "WAITING QUOTE "),
        ("ACTIVE", "Being Repaired"),
        ("ACTIVE", "CURRENTLY BEING SHIPPED"),
        ("ACTIVE", "WAITING FOR QUOTE"),
        ("ACTIVE", "PREPAID QUOTE"),
        // To the collation this is RAI.
        ("RETURNED", "RAÍ"),
        ("RETURNED", "Rai - no fault found"),
        ("RETURNED", "RAISED"),
        ("RETURNED", "-- ber --"),
    ];
    for (index, (archive, status)) in statuses.into_iter().enumerate() {
        let number = format!("RO{index}");
        app.create_with(json!({ "roNumber": number, "archiveStatus": archive, "currentStatus": status })).await;
    }
    let dashboard = app.get("/api/ros/stats/dashboard").await.expect(200);
    for (figure, count) in [
        ("totalActive", 6),
        ("approved", 1),
        ("waitingQuote", 2),
        ("beingRepaired", 1),
        ("shipping", 1),
        ("rai", 1),
        ("ber", 1),
        ("scrapped", 0),
        ("cancel", 0),
    ] {
        assert_eq!(dashboard[figure], count, "{figure}");
    }
}

/// The figures, computed order by order from the tables.
async fn expected_figures(app: &App) -> Value {
    let today: NaiveDate = app.clock.today();
    let mut counts = std::collections::BTreeMap::<&str, i64>::new();
    // In cents.
    let mut values = [0_i64; 2];
    for archive in ArchiveStatus::ALL {
        let select = format!(
            "SELECT CURENT_STATUS, CAST(COALESCE(ESTIMATED_COST, 0) * 100 AS SIGNED) AS estimated,
                    CAST(COALESCE(FINAL_COST, 0) * 100 AS SIGNED) AS final,
                    IF(DAYOFMONTH(NEXT_DATE_TO_UPDATE) > 0, NEXT_DATE_TO_UPDATE, NULL) AS next
             FROM `{}`",
            archive.table()
        );
        for row in sqlx::query(AssertSqlSafe(select)).fetch_all(&mut *app.connection().await).await.unwrap() {
            let class = row.get::<Option<String>, _>(0).as_deref().and_then(StatusClass::of);
            let is_active = archive == ArchiveStatus::Active;
            values[usize::from(!is_active)] += row.get::<i64, _>(if is_active { "estimated" } else { "final" });
            let of_archive = match archive {
                ArchiveStatus::Active => "totalActive",
                ArchiveStatus::Paid => "approvedPaid",
                ArchiveStatus::Net => "approvedNet",
                ArchiveStatus::Returned => "",
            };
            let of_class = match (archive, class) {
                (ArchiveStatus::Active, Some(StatusClass::WaitingQuote)) => "waitingQuote",
                (ArchiveStatus::Active, Some(StatusClass::Approved)) => "approved",
                (ArchiveStatus::Active, Some(StatusClass::BeingRepaired)) => "beingRepaired",
                (ArchiveStatus::Active, Some(StatusClass::Shipping)) => "shipping",
                (ArchiveStatus::Returned, Some(StatusClass::Rai)) => "rai",
                (ArchiveStatus::Returned, Some(StatusClass::Ber)) => "ber",
                (ArchiveStatus::Returned, Some(StatusClass::Cancelled)) => "cancel",
                (ArchiveStatus::Returned, Some(StatusClass::Scrapped)) => "scrapped",
                _ => "",
            };
            let days = row.get::<Option<NaiveDate>, _>("next").map(|next| (today - next).num_days());
            let days = days.filter(|_| is_active);
            for (name, is_counted) in [
                (of_archive, true),
                (of_class, true),
                ("overdue", days.is_some_and(|days| days > 0)),
                ("overdue30Plus", days.is_some_and(|days| days > 30)),
                ("dueToday", days == Some(0)),
                ("onTrack", days.is_some_and(|days| days <= 0)),
            ] {
                *counts.entry(name).or_default() += i64::from(is_counted);
            }
        }
    }
    counts.remove("");
    let [estimated, of_archived] = values;
    let amount = |cents: i64| {
        let sign = if cents < 0 { "-" } else { "" };
        format!("{sign}{}.{:02}", cents.abs() / 100, cents.abs() % 100)
    };
    let mut figures = json!({
        "totalValue": amount(estimated + of_archived), "totalEstimatedValue": amount(estimated),
        "totalFinalValue": amount(of_archived), "approvedPaid": 0, "approvedNet": 0, "rai": 0, "ber": 0, "cancel": 0,
        "scrapped": 0, "waitingQuote": 0, "approved": 0, "beingRepaired": 0, "shipping": 0,
    });
    figures.as_object_mut().unwrap().extend(counts.into_iter().map(|(name, count)| (name.to_owned(), json!(count))));
    figures
}

#[tokio::test]
async fn the_figures_are_those_of_the_orders_whatever_other_programs_write() {
    const STATUSES: [&str; 18] = [
        "NULL",
        "''",
        "'RAI'",
        "'rai '",
        "'  RAI'",
        "'RAÍ'",
        "'RAI\u{301}'",
        "'Ber >>>'",
        "'BÉR'",
        "'scrapped'",
        "'CANCELLED'",
        "'approved'",
        "'ÁPPROVED'",
        "'\tAPPROVED by shop'",
        "'WAITING\u{a0}QUOTE'",
        "'waiting  quote'",
        "'-- in work --'",
        "'not yet SHIPPING'",
    ];
    const DAYS: [&str; 9] = [
        "NULL",
        "'0000-00-00'",
        "'2024-11-00'",
        "'2024-10-15'",
        "'2024-10-16'",
        "'2024-11-14'",
        "'2024-11-15'",
        "'2024-11-16'",
        "'2025-12-31'",
    ];
    const COSTS: [&str; 6] = ["NULL", "0", "0.01", "-5.50", "99999999.99", "12.3"];
    const TABLES: [&str; 4] = ["active", "paid", "net", "returns"];
    let app = App::start().await;
    let mut random = StdRng::seed_from_u64(22);
    let mut other = app.database.connect().await;
    execute(&mut other, "SET sql_mode = ''").await;
    for round in 0..40 {
        for number in 0..10 {
            let mut choose = |values: &[&'static str]| *values.choose(&mut random).unwrap();
            let (table, status, day) = (choose(&TABLES), choose(&STATUSES), choose(&DAYS));
            let (estimated, of_shop) = (choose(&COSTS), choose(&COSTS));
            let insert = format!(
                "INSERT INTO `{table}` (RO, CURENT_STATUS, NEXT_DATE_TO_UPDATE, ESTIMATED_COST, FINAL_COST)
                 VALUES ('RO{round}-{number}', {status}, {day}, {estimated}, {of_shop})"
            );
            execute(&mut other, &insert).await;
        }
        let mut choose = |values: &[&'static str]| *values.choose(&mut random).unwrap();
        let (table, target, status, cost) = (choose(&TABLES), choose(&TABLES[1..]), choose(&STATUSES), choose(&COSTS));
        let id = random.random_range(1..=10 * (round + 1));
        let columns = "RO, CURENT_STATUS, NEXT_DATE_TO_UPDATE, ESTIMATED_COST, FINAL_COST";
        let change = match round % 4 {
            0 => {
                format!("UPDATE `{table}` SET CURENT_STATUS = {status}, FINAL_COST = {cost} WHERE id % 3 = {}", id % 3)
            }
            1 => format!("DELETE FROM `{table}` WHERE id % 7 = {}", id % 7),
            2 => format!("UPDATE `{table}` SET id = id + 1000 WHERE id = {id}; UPDATE `{table}` SET NOTES = 'x'"),
            _ => format!(
                "BEGIN;
                 CREATE TEMPORARY TABLE moved AS SELECT id, {columns} FROM `{table}` WHERE id = {id};
                 DELETE FROM `{table}` WHERE id = {id};
                 INSERT INTO `{target}` (id, {columns}) SELECT id, {columns} FROM moved;
                 DROP TEMPORARY TABLE moved;
                 COMMIT"
            ),
        };
        execute(&mut other, &change).await;
        let figures = app.get("/api/ros/stats/dashboard").await.expect(200);
        assert_eq!(figures, expected_figures(&app).await, "round {round}: {change}");
    }
    // A change that is rolled back is not counted.
    execute(&mut other, "BEGIN; DELETE FROM paid; DELETE FROM `returns` LIMIT 3; ROLLBACK").await;
    let figures = app.get("/api/ros/stats/dashboard").await.expect(200);
    assert_eq!(figures, expected_figures(&app).await);
}

#[tokio::test]
async fn archived_orders_are_not_read() {
    let database = TestDatabase::migrated().await;
    fill(&database, 100).await;
    let pool = database.pool(1);
    let app = App::on(database, pool);
    let mut read_before = None;
    for (first, last) in [(0, 500), (500, 5_000)] {
        for table in ["paid", "net", "returns"] {
            let archive = format!(
                "INSERT INTO `{table}` (RO, CURENT_STATUS, FINAL_COST)
                 SELECT CONCAT('{table}', n), ELT(1 + n % 3, 'RAI', 'BER', NULL), n FROM {} WHERE n >= {first} AND n < {last}",
                numbers()
            );
            execute(&mut app.database.connect().await, &archive).await;
        }
        let (_, read) = rows_read(&app, "/api/ros/stats/dashboard").await;
        // The active orders, twice, and a few rows for each archive status and status.
        assert!(read < 400, "{read} rows were read");
        assert!(read_before.is_none_or(|before| before == read), "{read} rows, and {read_before:?} before");
        read_before = Some(read);
    }
}
