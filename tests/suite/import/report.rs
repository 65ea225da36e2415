//! The report, dry runs, and the originals.

use std::{fs, path::Path};

use rotracker_tests::{
    TestDatabase,
    database::execute,
    importer::{Importer, classes, source_address},
};
use serde_json::Value;

fn files(directory: &Path) -> Vec<String> {
    let mut files: Vec<String> =
        fs::read_dir(directory).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
    files.sort();
    files
}

#[tokio::test]
async fn a_dry_run_reports_and_writes_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let mut importer = Importer::start().await;
    importer.dry_run = true;
    importer.report = Some(directory.path().to_owned());
    let report = importer.run().await;
    assert_eq!(classes(&report), [("imported", 7), ("corrected", 15), ("rejected", 7), ("skipped", 4)]);
    for (database, table) in [
        (&importer.ros.database, "active"),
        (&importer.ros.database, "import_rows"),
        (&importer.inventory.database, "import_rows"),
    ] {
        let count = format!("SELECT COUNT(*) FROM {table}");
        let rows: i64 =
            sqlx::query_scalar(sqlx::AssertSqlSafe(count)).fetch_one(&mut database.connect().await).await.unwrap();
        assert_eq!(rows, 0, "{table}");
    }
    let rejected = ["rejected-active.csv", "rejected-inventoryindex.csv", "rejected-terra.csv", "report.json"];
    assert_eq!(files(directory.path()), rejected);
}

#[tokio::test]
async fn rejected_rows_are_written_whole_and_no_report_is_overwritten() {
    let directory = tempfile::tempdir().unwrap();
    let mut importer = Importer::start().await;
    importer.report = Some(directory.path().to_owned());
    importer.run().await;
    let first = fs::read_to_string(directory.path().join("rejected-active.csv")).unwrap();
    let lines: Vec<&str> = first.lines().collect();
    assert_eq!(lines.len(), 3, "{first}");
    assert!(lines[0].starts_with("RO,DATE_MADE,") && lines[0].ends_with(",source_table,source_row,reason"), "{first}");
    assert!(lines[1].contains("Skyline NDT") && lines[1].ends_with(",active,4,the order has no number"), "{first}");
    let report: Value = serde_json::from_slice(&fs::read(directory.path().join("report.json")).unwrap()).unwrap();
    let table = |name: &str| {
        let tables = report["tables"].as_array().unwrap();
        tables.iter().find(|table| table["table"] == name).unwrap().clone()
    };
    assert_eq!(table("active")["classes"], serde_json::json!({"corrected": 3, "rejected": 2, "skipped": 1}));
    assert_eq!(
        table("active")["sums"]["ESTIMATED_COST"],
        serde_json::json!({"source": "20174.505", "taken": "15925.505", "stored": "15925.51", "leftOut": "4249", "here": "15925.51"})
    );
    assert_eq!(table("bins_inventory_actual")["sums"]["QTY"]["here"], "1502");
    assert_eq!(table("hold")["isUnderstood"], false);

    importer.change_source("DELETE FROM active WHERE id = 4").await;
    importer.run().await;
    assert_eq!(fs::read_to_string(directory.path().join("rejected-active.csv")).unwrap(), first);
    let later = fs::read_to_string(directory.path().join("rejected-active.2.csv")).unwrap();
    assert_eq!(later.lines().count(), 2, "{later}");
    assert!(directory.path().join("report.2.json").exists());
}

#[tokio::test]
async fn rows_of_a_table_that_is_not_understood_are_named_and_kept() {
    let directory = tempfile::tempdir().unwrap();
    let mut importer = Importer::without_rows().await;
    importer.report = Some(directory.path().to_owned());
    importer.change_source("INSERT INTO hold (`38418`, `NOSE_WHEEL`, `OH`) VALUES (38419, 'MAIN WHEEL', 'OH')").await;
    let report = importer.run().await;
    assert_eq!(classes(&report), [("rejected", 1)]);
    assert_eq!(report.rows[0].reason.as_deref(), Some("the table hold is not understood"));
    let rejected = fs::read_to_string(directory.path().join("rejected-hold.csv")).unwrap();
    assert!(rejected.contains("MAIN WHEEL"), "{rejected}");
    let original: String = sqlx::query_scalar("SELECT original FROM import_rows")
        .fetch_one(&mut importer.ros.database.connect().await)
        .await
        .unwrap();
    assert!(original.contains(r#""38418":38419"#) && original.contains(r#""NOSE_WHEEL":"MAIN WHEEL""#), "{original}");
}

/// Runs `rotracker import` with `arguments`, and returns its exit status and output.
async fn command(importer: &Importer, arguments: &[&str]) -> (Option<i32>, String) {
    let output = importer.command(arguments).await.output().await.unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8_lossy(&said).into_owned())
}

#[tokio::test]
async fn the_exit_status_tells_whether_rows_were_rejected() {
    let importer = Importer::start().await;
    let source = source_address(&importer.source.name);
    let (status, said) = command(&importer, &[&source]).await;
    assert_eq!(status, Some(3), "{said}");
    assert!(said.contains("active: 6 rows: 3 corrected, 2 rejected, 1 skipped"), "{said}");
    assert!(said.contains("hold (not understood): 0 rows"), "{said}");
    importer
        .change_source(
            "DELETE FROM active WHERE id IN (4, 6); DELETE FROM terra WHERE id = 2; DELETE FROM inventoryindex WHERE IndexId > 1",
        )
        .await;
    let (status, said) = command(&importer, &[&source]).await;
    assert_eq!(status, Some(0), "{said}");
    for (address, message) in [
        ("mysql://root@127.0.0.1:1/live", "cannot be read"),
        ("postgres://root@127.0.0.1/live", "must begin with mysql://"),
        ("mysql://root:secret@127.0.0.1/live", "set IMPORT_DB_PASSWORD instead"),
        ("mysql://127.0.0.1/live", "must have the form"),
    ] {
        let (status, said) = command(&importer, &[address]).await;
        assert!(status == Some(1) && said.contains(message), "{address}: {said}");
    }
}

#[tokio::test]
async fn databases_that_were_not_migrated_are_named() {
    let importer = Importer::start().await;
    execute(&mut importer.ros.database.connect().await, "DROP TABLE import_rows").await;
    let error = importer.try_run().await.unwrap_err();
    assert!(error.contains("run `rotracker migrate` first"), "{error}");
}

#[tokio::test]
async fn the_originals_can_be_written_out() {
    let directory = tempfile::tempdir().unwrap();
    let importer = Importer::start().await;
    importer.run().await;
    let path = directory.path().to_str().unwrap();
    let (status, said) = command(&importer, &["--originals", path]).await;
    assert_eq!(status, Some(0), "{said}");
    let bins = fs::read_to_string(directory.path().join("originals-bins_inventory_actual.csv")).unwrap();
    let mut reader = csv::Reader::from_reader(bins.as_bytes());
    let headings = reader.headers().unwrap().clone();
    let rows: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
    let value =
        |row: usize, column: &str| rows[row][headings.iter().position(|name| name == column).unwrap()].to_owned();
    assert_eq!(rows.len(), 5);
    assert_eq!(
        (value(0, "COST"), value(0, "QTY"), value(1, "COMENT")),
        ("$0.04".to_owned(), "1,200".to_owned(), "count again".to_owned())
    );
    assert_eq!(
        (value(0, "import_class"), value(3, "import_class"), value(0, "import_target_table")),
        ("corrected".to_owned(), "skipped".to_owned(), "bins_inventory".to_owned())
    );
    let (status, said) = command(&importer, &["--originals", path]).await;
    assert!(status == Some(1) && said.contains("cannot be written"), "{said}");
}

#[tokio::test]
async fn a_source_without_tables_is_refused() {
    let importer = Importer::of(TestDatabase::empty().await).await;
    let error = importer.try_run().await.unwrap_err();
    assert!(error.contains("has no tables to import"), "{error}");
}
