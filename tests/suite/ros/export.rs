//! `GET /api/ros/export`

use std::io::Read;

use axum::body::Body;
use futures_util::StreamExt;
use http::{Method, Request};
use rotracker_tests::{
    App,
    csv_file::{CsvFile, text_of},
    database::{execute, fill},
};
use serde_json::{Value, json};
use tower::ServiceExt;

/// The members of listed orders that files do not have, since they change from day to day.
const COMPUTED: [&str; 2] = ["isOverdue", "daysOverdue"];

async fn export(app: &App, query: &str) -> CsvFile {
    let response = app.get(&format!("/api/ros/export?{query}")).await;
    assert_eq!(response.status, 200, "{query}");
    CsvFile::parse(&response.bytes)
}

/// Creates orders in all four archives; one has all fields, and one only those that it must have.
async fn create_orders(app: &App) {
    app.create_with(json!({
        "roNumber": "RO1", "dateMade": "2024-10-01", "shopName": "XYZ Repair, \"Inc.\"", "partNumber": "00123-5",
        "serialNumber": "1E5", "partDescription": "Pompe hydraulique", "requiredWork": "Bench test", "terms": "NET 30",
        "dateDroppedOff": "2024-10-02", "estimatedCost": "2500.5", "finalCost": "99999999.99",
        "shopReferenceNumber": "S-1", "estimatedDeliveryDate": "2024-12-01", "currentStatus": "APPROVED >>>>",
        "currentStatusDate": "2024-10-05", "genThrustStatus": "ok", "shopStatus": "in work", "trackingNumber": "1Z 7",
        "notes": "one\ntwo; three\r\n\"four\", 🛩", "nextDateToUpdate": "2024-11-01",
    }))
    .await;
    for (number, archive, status) in
        [("RO2", "ACTIVE", "SHIPPED"), ("RO3", "PAID", "PAID"), ("RO4", "NET", "APPROVED"), ("RO5", "RETURNED", "BER")]
    {
        app.create_with(json!({ "roNumber": number, "archiveStatus": archive, "currentStatus": status })).await;
    }
}

#[tokio::test]
async fn the_file_has_the_orders_of_the_list() {
    let app = App::start().await;
    create_orders(&app).await;
    for query in [
        "",
        "archiveStatus=ALL",
        "archiveStatus=PAID",
        "archiveStatus=ALL&q=ro3",
        "archiveStatus=ALL&statusClass=approved&sort=roNumber&order=desc",
        "status=shipped",
        "shop=xyzrepair,%22inc.%22",
        "overdue=true",
        "dueBefore=2024-11-01",
        "archiveStatus=ALL&sort=roNumber&limit=2&offset=1",
    ] {
        let list = app.get(&format!("/api/ros?{query}")).await;
        let file = app.get(&format!("/api/ros/export?{query}")).await;
        for header in ["x-total-count", "link"] {
            assert_eq!(file.header(header), list.header(header), "{query}");
        }
        CsvFile::parse(&file.bytes).assert_has(&list.expect(200), &COMPUTED);
    }
    assert!(export(&app, "q=nothing").await.rows.is_empty());
}

#[tokio::test]
async fn the_columns_are_in_the_order_of_the_sheets() {
    let file = export(&App::start().await, "").await;
    assert_eq!(file.headings[..4], ["roNumber", "dateMade", "shopName", "partNumber"]);
    assert_eq!(file.headings[20..], ["nextDateToUpdate", "archiveStatus", "id"]);
}

#[tokio::test]
async fn no_text_is_taken_for_a_formula_and_every_text_can_be_read_back() {
    let app = App::start().await;
    let texts = [
        "=HYPERLINK(\"http://x\",\"y\")",
        "+1",
        "-65-1",
        "@SUM(A1)",
        "\t=1",
        "\r=1",
        "'quoted",
        "''",
        "'=1",
        "a=1",
        " =1",
        "\"=1",
        ",=1",
        "'",
        "\u{feff}=1",
        "x\u{0}y",
    ];
    for (index, text) in texts.iter().enumerate() {
        let insert = sqlx::query("INSERT INTO active (RO, NOTES, ESTIMATED_COST) VALUES (?, ?, -2.5)");
        insert.bind(format!("RO{index:02}")).bind(text).execute(&mut app.database.connect().await).await.unwrap();
    }
    let file = export(&app, "sort=roNumber").await;
    let notes = file.column("notes");
    assert_eq!(notes.iter().map(|cell| text_of(cell)).collect::<Vec<_>>(), texts);
    assert!(notes.iter().all(|cell| !cell.starts_with(['=', '+', '-', '@', '\t', '\r'])), "{notes:?}");
    assert!(file.column("estimatedCost").iter().all(|cost| *cost == "-2.50"), "numbers stay numbers");
}

#[tokio::test]
async fn other_programs_zero_dates_are_blank() {
    let app = App::start().await;
    let zero = "SET sql_mode = ''; INSERT INTO active (RO, DATE_MADE) VALUES ('RO1', '0000-00-00')";
    execute(&mut app.database.connect().await, zero).await;
    assert_eq!(export(&app, "").await.column("dateMade"), [""]);
}

#[tokio::test]
async fn browsers_save_the_file_under_the_day_of_the_business() {
    let app = App::start_in_new_york("2024-11-16T03:30:00Z").await;
    app.create("RO1").await;
    for method in [Method::GET, Method::HEAD] {
        let response = app.send_text(method.clone(), "/api/ros/export", "").await;
        assert_eq!(response.status, 200);
        assert_eq!(response.header("content-type"), Some("text/csv; charset=utf-8; header=present"));
        assert_eq!(response.header("content-disposition"), Some("attachment; filename=\"orders-2024-11-15.csv\""));
        assert_eq!(response.header("x-total-count"), Some("1"));
        assert_eq!(response.bytes.is_empty(), method == Method::HEAD);
    }
}

#[tokio::test]
async fn the_file_is_compressed_on_request() {
    let app = App::start().await;
    fill(&app.database, 100).await;
    let plain = app.get("/api/ros/export").await.bytes;
    let response = app.send_with(Method::GET, "/api/ros/export", &[("accept-encoding", "gzip")], None).await;
    assert_eq!(response.header("content-encoding"), Some("gzip"));
    let mut unpacked = Vec::new();
    flate2::read::GzDecoder::new(&*response.bytes).read_to_end(&mut unpacked).unwrap();
    assert_eq!(unpacked, plain);
}

#[tokio::test]
async fn invalid_params_are_reported_as_json() {
    let app = App::start().await;
    for (query, parameter) in [("archiveStatus=all", "archiveStatus"), ("limit=0", "limit"), ("sort=notes", "sort")] {
        let response = app.get(&format!("/api/ros/export?{query}")).await;
        assert_eq!(response.header("content-disposition"), None);
        let body = response.expect(400);
        assert!(body["details"]["fields"][parameter].is_string(), "{query}: {body}");
    }
}

#[tokio::test]
async fn a_long_file_is_complete_and_sent_in_small_chunks() {
    let app = App::start().await;
    fill(&app.database, 20_000).await;
    let mut body = open(&app).await;
    let mut file = Vec::new();
    let mut largest = 0;
    while let Some(chunk) = body.next().await {
        let chunk = chunk.unwrap();
        largest = largest.max(chunk.len());
        file.extend(chunk);
    }
    assert!(largest < 64 * 1024, "a chunk of {largest} bytes was held back");
    let numbers: Vec<String> = (0..20_000).map(|number| format!("RO{number}")).collect();
    let file = CsvFile::parse(&file);
    let mut found = file.column("roNumber");
    found.sort_by_key(|number| number[2..].parse::<u32>().unwrap());
    assert_eq!(found, numbers);
}

#[tokio::test]
async fn a_broken_file_is_cut() {
    let app = App::start().await;
    fill(&app.database, 20_000).await;
    let mut body = open(&app).await;
    let first = body.next().await.unwrap().unwrap();
    assert!(first.starts_with("\u{feff}roNumber,".as_bytes()));
    // Kill the connection while the rows are being read from it. That there still is one to read shows that the first chunk was
    // sent before the last row was read.
    app.database.kill_sessions().await;
    let mut received = first.len();
    let mut failed = false;
    while let Some(chunk) = body.next().await {
        match chunk {
            Ok(chunk) => received += chunk.len(),
            Err(_) => failed = true,
        }
    }
    assert!(failed, "the body ended as if it were complete, after {received} bytes");
}

#[tokio::test]
async fn a_failure_before_the_first_row_is_an_ordinary_error() {
    let app = App::start().await;
    // Only the statement that reads the rows needs this column.
    execute(&mut app.database.connect().await, "ALTER TABLE active DROP COLUMN TERMS").await;
    let error: Value = app.get("/api/ros/export").await.expect(500);
    assert_eq!(error["error"], "Internal server error");
}

async fn open(app: &App) -> axum::body::BodyDataStream {
    let request = Request::get("/api/ros/export").body(Body::empty()).unwrap();
    let response = app.router.clone().oneshot(request).await.unwrap();
    assert_eq!(response.headers()["x-total-count"], "20000");
    response.into_body().into_data_stream()
}
