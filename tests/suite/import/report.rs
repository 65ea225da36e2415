//! The report, dry runs, and the originals.

use std::{fs, path::Path};

use calamine::{Data, Reader, Xlsx, open_workbook};
use rotracker_tests::{
    TestDatabase,
    database::execute,
    importer::{Importer, classes, rows_of_the_live_database, source_address},
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
    let mut importer = Importer::start().await;
    importer.dry_run = true;
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
    let rejected = [
        "rejected-active.csv",
        "rejected-active.xlsx",
        "rejected-inventoryindex.csv",
        "rejected-inventoryindex.xlsx",
        "rejected-terra.csv",
        "rejected-terra.xlsx",
        "report.html",
        "report.json",
    ];
    assert_eq!(files(importer.reports.path()), rejected);
}

#[tokio::test]
async fn rejected_rows_are_written_whole_and_no_report_is_overwritten() {
    let importer = Importer::start().await;
    importer.run().await;
    let first = fs::read_to_string(importer.reports.path().join("rejected-active.csv")).unwrap();
    let lines: Vec<&str> = first.lines().collect();
    assert_eq!(lines.len(), 3, "{first}");
    assert!(
        lines[0].starts_with("\u{feff}RO,DATE_MADE,")
            && lines[0].ends_with(",source,source_table,source_row,source_digest,reason"),
        "{first}"
    );
    assert!(lines[1].contains("Skyline NDT") && lines[1].contains(",active,4,"), "{first}");
    assert!(lines[1].ends_with(",the order has no number"), "{first}");
    let report: Value =
        serde_json::from_slice(&fs::read(importer.reports.path().join("report.json")).unwrap()).unwrap();
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
    assert_eq!(fs::read_to_string(importer.reports.path().join("rejected-active.csv")).unwrap(), first);
    let later = fs::read_to_string(importer.reports.path().join("rejected-active.2.csv")).unwrap();
    assert_eq!(later.lines().count(), 2, "{later}");
    assert!(importer.reports.path().join("report.2.json").exists());
}

#[tokio::test]
async fn rows_of_a_table_that_is_not_understood_are_named_and_kept() {
    let importer = Importer::without_rows().await;
    importer.change_source("INSERT INTO hold (`38418`, `NOSE_WHEEL`, `OH`) VALUES (38419, 'MAIN WHEEL', 'OH')").await;
    let report = importer.run().await;
    assert_eq!(classes(&report), [("rejected", 1)]);
    assert_eq!(report.rows().unwrap()[0].reason.as_deref(), Some("the table hold is not understood"));
    let rejected = fs::read_to_string(importer.reports.path().join("rejected-hold.csv")).unwrap();
    assert!(rejected.contains("MAIN WHEEL"), "{rejected}");
    let original: String = sqlx::query_scalar("SELECT original FROM import_rows")
        .fetch_one(&mut importer.ros.database.connect().await)
        .await
        .unwrap();
    assert!(original.contains(r#""38418":38419"#) && original.contains(r#""NOSE_WHEEL":"MAIN WHEEL""#), "{original}");
}

/// Returns the headings and rows of a file with rejected rows, as text.
fn read_csv(path: &Path) -> Vec<Vec<String>> {
    let mut reader = csv::ReaderBuilder::new().has_headers(false).from_path(path).unwrap();
    reader.records().map(|record| record.unwrap().iter().map(str::to_owned).collect()).collect()
}

/// Returns the cells of a workbook's sheet, all of which must be texts.
fn read_workbook(path: &Path, sheet: &str) -> Vec<Vec<String>> {
    let mut workbook: Xlsx<_> = open_workbook(path).unwrap();
    assert_eq!(workbook.sheet_names(), [sheet]);
    let range = workbook.worksheet_range(sheet).unwrap();
    let text = |cell: &Data| match cell {
        Data::String(text) => text.clone(),
        Data::Empty => String::new(),
        other => panic!("{other:?} is no text"),
    };
    range.rows().map(|row| row.iter().map(text).collect()).collect()
}

/// Texts that spreadsheets, XML or HTML may take for something else.
const HOSTILE: [&str; 14] = [
    "1-2",
    "MAR1",
    "3E5",
    "007",
    "=1+1",
    "@SUM(A1)",
    "TRUE",
    "</script><img src=x onerror=alert(1)>",
    "<!-- \"quoted\" & 'quoted' -->",
    "two\nlines\r\nor three\t",
    " 🛩️ Núñez\u{a0}",
    "a bell \u{7}, an escape \u{1b}, a nothing \u{200b}",
    "_x0041_",
    "\u{ffff}",
];

/// A source whose rows are all rejected, with hostile cells.
async fn with_hostile_rows() -> Importer {
    let importer = Importer::without_rows().await;
    let mut connection = importer.source.connect().await;
    for text in HOSTILE {
        sqlx::query("INSERT INTO active (SHOP_NAME, PART, NOTES) VALUES ('ABC', ?, ?)")
            .bind(text)
            .bind(text)
            .execute(&mut connection)
            .await
            .unwrap();
    }
    importer
}

#[tokio::test]
async fn workbooks_of_rejected_rows_have_the_same_cells_as_texts() {
    let importer = with_hostile_rows().await;
    importer.run().await;
    let directory = importer.reports.path();
    let in_csv = read_csv(&directory.join("rejected-active.csv"));
    assert_eq!(read_workbook(&directory.join("rejected-active.xlsx"), "active"), in_csv);
    let column = in_csv[0].iter().position(|name| name == "PART").unwrap();
    let parts: Vec<&str> = in_csv[1..].iter().map(|row| &*row[column]).collect();
    assert_eq!(parts, HOSTILE);
}

#[tokio::test]
async fn a_text_that_no_cell_of_excel_holds_is_in_the_csv_file_only() {
    let importer = Importer::without_rows().await;
    importer
        .change_source(
            "ALTER TABLE active MODIFY NOTES MEDIUMTEXT;
             INSERT INTO active (PART, NOTES) VALUES ('A', REPEAT('x', 32768)), ('B', REPEAT('x', 32767))",
        )
        .await;
    let report = importer.run().await;
    let directory = importer.reports.path();
    let last_line = report.summary().pop().unwrap();
    assert_eq!(last_line, format!("the report is in {}", directory.join("report.html").display()));
    assert_eq!(read_csv(&directory.join("rejected-active.csv")).len(), 3);
    let workbook = read_workbook(&directory.join("rejected-active.xlsx"), "active");
    assert_eq!(workbook.len(), 2);
    assert!(workbook[1].contains(&"B".to_owned()), "{workbook:?}");
    let files = &report.rejected_files[0];
    assert_eq!((files.rows, files.too_long_for_workbook, &*files.first_too_long), (2, 1, &[1][..]));
    let page = fs::read_to_string(directory.join("report.html")).unwrap();
    assert!(page.contains("a cell of Excel holds at most 32,767 characters: row 1"));
}

/// Returns the page of a report, and the data for its script.
fn read_page(directory: &Path) -> (String, Value) {
    let page = fs::read_to_string(directory.join("report.html")).unwrap();
    let (before, rest) = page.split_once(r#"<script type="application/json" id="data">"#).unwrap();
    let (data, after) = rest.split_once("</script>").unwrap();
    (format!("{before}{after}"), serde_json::from_str(data).unwrap())
}

/// Returns the text of one of the pages in a directory.
fn read_page_of(directory: &Path, name: &str) -> String {
    text_of(&fs::read_to_string(directory.join(name)).unwrap())
}

/// Returns the text of a page, without its elements.
fn text_of(page: &str) -> String {
    let parts = page.split('<').map(|part| part.split_once('>').map_or(part, |(_, text)| text).trim());
    parts.filter(|text| !text.is_empty()).collect::<Vec<_>>().join(" ")
}

#[tokio::test]
async fn the_page_has_the_counts_and_sums_of_the_report() {
    let importer = Importer::start().await;
    importer.run().await;
    let (page, data) = read_page(importer.reports.path());
    let text = text_of(&page);
    for said in [
        "active 6 0 3 0 0 2 1",
        "hold not understood 0",
        "All tables 33 7 15 0 0 7 4",
        "ESTIMATED_COST of active 20,174.505 4,249.00 15,925.505 15,925.51 15,925.51",
        "4,249.00 is in rows that were rejected or skipped. Corrections raised it by 0.005. All that was imported is in RO Tracker.",
        "Mend 7 rows that were rejected.",
        "active: 2 rows in rejected-active.xlsx , and as text in rejected-active.csv",
    ] {
        assert!(text.contains(said), "{said} is not in {text}");
    }
    let report: Value =
        serde_json::from_slice(&fs::read(importer.reports.path().join("report.json")).unwrap()).unwrap();
    let rows = |report: &Value| report["rows"].as_array().unwrap().len();
    assert_eq!(rows(&data), rows(&report));
    for group in report["groups"].as_array().unwrap() {
        let title = group["title"].as_str().unwrap();
        assert!(!title.contains(char::is_numeric), "{title} is of one row");
        assert!(text.to_lowercase().contains(&title.to_lowercase()), "{title}");
    }
}

#[tokio::test]
async fn the_page_loads_nothing_and_shows_hostile_cells_as_texts() {
    let importer = with_hostile_rows().await;
    importer.run().await;
    let (page, data) = read_page(importer.reports.path());
    for loaded in ["http:", "https:", "src=", "<link", "@import", "url("] {
        assert!(!page.contains(loaded), "{loaded}");
    }
    assert!(page.contains("default-src 'none'"));
    assert_eq!(page.matches("<script").count(), 1, "the data end where they should");
    let columns = data["tables"].as_array().unwrap().iter().find(|table| table["name"] == "active").unwrap();
    let column = columns["columns"].as_array().unwrap().iter().position(|name| name == "PART").unwrap();
    let parts: Vec<&str> =
        data["rows"].as_array().unwrap().iter().map(|row| row[6][column].as_str().unwrap()).collect();
    assert_eq!(parts, HOSTILE);
}

#[tokio::test]
#[ignore = "needs Chromium and the packages of tests/contract/client; tests/contract/run runs it"]
async fn the_page_of_a_report_works_in_a_browser() {
    let importer = with_hostile_rows().await;
    importer.change_source(rows_of_the_live_database()).await;
    importer
        .change_source(
            "INSERT INTO hold (`38418`, `NOSE_WHEEL`) VALUES (38419, 'MAIN WHEEL');
             INSERT INTO stock_room_actual (GENTHRUST_XVII_INVENTORY)
             WITH RECURSIVE numbers AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM numbers WHERE n < 450)
             SELECT CONCAT('P-', n, ' ') FROM numbers",
        )
        .await;
    importer.run().await;
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("contract/client/report.js");
    let mut command = tokio::process::Command::new("node");
    command.arg(script).arg(importer.reports.path().join("report.html")).args(std::env::var_os("REPORT_SCREENSHOTS"));
    assert!(command.status().await.unwrap().success());
}

#[tokio::test]
async fn a_page_names_what_is_left_to_do() {
    let mut importer = Importer::start().await;
    importer.dry_run = true;
    importer.run().await;
    let (page, _) = read_page(importer.reports.path());
    let text = text_of(&page);
    assert!(text.contains("What to do next Run the import."), "{text}");
    assert!(text.contains("First run the import itself. Then either correct the rows"), "{text}");
    importer.reports = tempfile::tempdir().unwrap();
    importer.dry_run = false;
    importer.run().await;
    importer
        .change_source(
            "DELETE FROM net; INSERT INTO hold (`38418`) VALUES (38419); UPDATE active SET TERMS = 'COD' WHERE id = 1",
        )
        .await;
    execute(&mut importer.ros.database.connect().await, "UPDATE active SET TERMS = 'WIRE' WHERE RO = '38462'").await;
    importer.reports = tempfile::tempdir().unwrap();
    importer.run().await;
    let text = text_of(&read_page(importer.reports.path()).0);
    for said in [
        "Decide about 1 row that differs here and in the source.",
        "Say what these tables hold, if they are needed.",
        "Run the same command with --map-template map.toml , fill in that file, and import again with --map map.toml .",
        "hold (1 row)",
        "Check 1 row that the source no longer has.",
        "orders, row 1 of the source, with the id",
    ] {
        assert!(text.contains(said), "{said} is not in {text}");
    }
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
async fn a_refused_import_leaves_no_file() {
    let mut importer = Importer::start().await;
    importer.files = vec![importer.reports.path().join("missing.csv")];
    importer.try_run().await.unwrap_err();
    importer.files = vec![importer.reports.path().join("empty.csv")];
    fs::write(&importer.files[0], "").unwrap();
    importer.try_run().await.unwrap_err();
    importer.files.clear();
    execute(&mut importer.ros.database.connect().await, "DROP TABLE import_rows").await;
    importer.try_run().await.unwrap_err();
    assert_eq!(files(importer.reports.path()), ["empty.csv"]);
}

#[tokio::test]
async fn files_of_an_earlier_report_that_were_kept_have_their_number() {
    let importer = Importer::start().await;
    importer.run().await;
    let kept = importer.reports.path().join("rejected-active.xlsx");
    for file in files(importer.reports.path()) {
        if file != "rejected-active.xlsx" {
            fs::remove_file(importer.reports.path().join(file)).unwrap();
        }
    }
    let before = fs::read(&kept).unwrap();
    importer.run().await;
    assert_eq!(fs::read(&kept).unwrap(), before);
    assert!(importer.reports.path().join("report.2.html").exists());
}

#[tokio::test]
async fn two_files_of_mended_rows_of_one_table_have_titles_and_files_of_their_own() {
    let mut importer = Importer::start().await;
    importer.run().await;
    let directory = importer.reports.path().to_owned();
    let rejected = read_csv(&directory.join("rejected-active.csv"));
    let parts = read_csv(&directory.join("rejected-terra.csv"));
    // One half is mended, and in the other a person has added a column. The rows of another table are between them.
    let number = rejected[0].iter().position(|name| name == "RO").unwrap();
    let mut mended = rejected[1].clone();
    mended[number] = "38470".to_owned();
    let write = |name: &str, rows: &[Vec<String>]| {
        let mut writer = csv::Writer::from_path(directory.join(name)).unwrap();
        for row in rows {
            writer.write_record(row).unwrap();
        }
        writer.flush().unwrap();
        directory.join(name)
    };
    let mut second_half = [rejected[0].clone(), rejected[2].clone()];
    second_half[0].push("Remark".to_owned());
    second_half[1].push("who knows".to_owned());
    importer.files = vec![
        write("a.csv", &[rejected[0].clone(), mended, rejected[1].clone()]),
        write("b.csv", &parts),
        write("c.csv", &second_half),
    ];
    let report = importer.run().await;
    let source = &rejected[1][rejected[0].iter().position(|name| name == "source").unwrap()];
    let titles: Vec<&str> = report.tables.iter().map(|table| &*table.table).collect();
    let title = |file: &str| format!("active of {source}, from {file}: {}", file.trim_end_matches(".csv"));
    assert_eq!(titles, [&*title("a.csv"), &*title("c.csv"), "terra"]);
    assert_eq!(report.tables[1].columns.last().map(String::as_str), Some("Remark"));
    let rejected_of: Vec<(&str, u64)> = report.rejected_files.iter().map(|files| (&*files.table, files.rows)).collect();
    assert_eq!(rejected_of, [(titles[0], 1), (titles[1], 1), ("terra", 1)]);
    // The sum of what is here now is that of the whole table, and would say nothing of a few mended rows.
    assert!(report.tables.iter().flat_map(|table| table.sums.values()).all(|sum| sum.here.is_none()));
    let page = read_page_of(&directory, "report.2.html");
    assert!(!page.contains("than the source"), "{page}");
    let summary = report.summary();
    let line = "    RO Tracker has no field for Remark: its 1 value is kept, but not shown".to_owned();
    assert!(summary.contains(&line), "{summary:?}");
}

#[tokio::test]
async fn a_table_with_a_very_long_name_has_files_of_its_own() {
    let mut importer = Importer::without_rows().await;
    let name = "Überholung ".repeat(20);
    importer.files = vec![importer.reports.path().join(format!("{name}.csv"))];
    fs::write(&importer.files[0], "a,b\n1,2\n").unwrap();
    let report = importer.run().await;
    let rejected = &report.rejected_files[0];
    assert!(rejected.csv.len() < 200, "{}", rejected.csv);
    assert_eq!(read_csv(&importer.reports.path().join(&rejected.csv)).len(), 2);
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
