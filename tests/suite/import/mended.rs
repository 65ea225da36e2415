//! Rejected rows that people have mended in a spreadsheet.

use std::{fs, path::PathBuf};

use calamine::{Data, Reader, Xlsx, open_workbook};
use rotracker_cli::import::Report;
use rotracker_tests::{
    importer::{Importer, classes},
    workbooks::save,
};
use serde_json::{Value, json};

/// Opens a file of rejected rows in a spreadsheet, sets cells by `source_row` and column, and saves it under another name.
pub(crate) fn mend(importer: &Importer, file: &str, cells: &[(&str, &str, &str)]) -> PathBuf {
    let mut workbook: Xlsx<_> = open_workbook(importer.reports.path().join(file)).unwrap();
    let sheet = workbook.worksheet_range_at(0).unwrap().unwrap();
    let mut rows: Vec<Vec<String>> = sheet.rows().map(|row| row.iter().map(Data::to_string).collect()).collect();
    let column = |name: &str| {
        sheet.rows().next().unwrap().iter().position(|cell| *cell == Data::String(name.to_owned())).unwrap()
    };
    for (row, name, value) in cells {
        let row = rows.iter_mut().find(|cells| cells[column("source_row")] == *row).unwrap();
        row[column(name)] = (*value).to_owned();
    }
    let rows: Value = rows.into_iter().map(|row| row.into_iter().map(Value::from).collect::<Value>()).collect();
    save(importer.reports.path(), &format!("mended {file}"), &json!({"mended": rows}))
}

async fn import_files(importer: &mut Importer, files: Vec<PathBuf>) -> Report {
    importer.files = files;
    let report = importer.run().await;
    importer.files = Vec::new();
    report
}

fn reasons(report: &Report) -> Vec<String> {
    report.rows().unwrap().into_iter().filter_map(|row| row.reason).collect()
}

async fn order(importer: &Importer, number: &str) -> Value {
    importer.ros.get(&format!("/api/ros/by-number/{number}")).await.expect(200)
}

#[tokio::test]
async fn a_mended_row_stands_for_the_row_that_was_rejected() {
    let mut importer = Importer::start().await;
    importer.run().await;
    let orders = mend(&importer, "rejected-active.xlsx", &[("4", "RO", "38470"), ("6", "RO", "38471")]);
    let parts = mend(&importer, "rejected-terra.xlsx", &[("2", "QTY", "2")]);
    let report = import_files(&mut importer, vec![orders.clone(), parts.clone()]).await;
    assert_eq!(classes(&report), [("imported", 1), ("corrected", 2)], "{:?}", reasons(&report));
    assert_eq!(order(&importer, "38470").await["shopName"], "Skyline NDT");

    // The source has the rows as before.
    let again = importer.run().await;
    assert_eq!(classes(&again), [("unchanged", 25), ("rejected", 4), ("skipped", 4)]);
    assert!(reasons(&again).contains(&"a person has mended it, and that was imported".to_owned()));
    assert_eq!(classes(&import_files(&mut importer, vec![orders, parts]).await), [("unchanged", 3)]);

    // A change in the source comes in, and the mended number stays.
    importer.change_source("UPDATE active SET RO = 38470, SHOP_NAME = 'Skyline' WHERE id = 4").await;
    assert_eq!(classes(&importer.run().await), [("updated", 1), ("unchanged", 24), ("rejected", 4), ("skipped", 4)]);
    assert_eq!(order(&importer, "38470").await["shopName"], "Skyline");
}

#[tokio::test]
async fn a_mended_row_of_the_index_sets_the_quantity_of_its_part() {
    let mut importer = Importer::start().await;
    importer.run().await;
    let cells = [("2", "Qty", "7"), ("3", "PartNumber", "622-5135-001"), ("4", "Qty", "-1")];
    let mended = mend(&importer, "rejected-inventoryindex.xlsx", &cells);
    let report = import_files(&mut importer, vec![mended.clone()]).await;
    assert_eq!(classes(&report), [("updated", 1), ("rejected", 3)]);
    assert_eq!(
        reasons(&report),
        ["the part to which it points was not imported", "its quantity is negative: -1", "it points to no table",]
    );
    let found = importer.inventory.get("/api/inventory/search?partNumber=3214-1").await.expect(200);
    let bins = found["results"].as_array().unwrap().iter().find(|part| part["tableName"] == "bins_inventory").unwrap();
    assert_eq!(bins["qty"], 7, "{found}");
    assert_eq!(classes(&importer.run().await), [("unchanged", 23), ("rejected", 6), ("skipped", 4)]);
    assert_eq!(classes(&import_files(&mut importer, vec![mended]).await), [("unchanged", 1), ("rejected", 3)]);
    let history = importer.inventory.get("/api/inventory/transactions?partNumber=3214-1").await.expect(200);
    assert_eq!(history["transactions"][0]["notes"], "changed in the source of the import", "{history}");
}

#[tokio::test]
async fn rows_are_mended_in_csv_files_too_and_in_several_steps() {
    let mut importer = Importer::start().await;
    importer.run().await;
    let rejected = fs::read_to_string(importer.reports.path().join("rejected-active.csv")).unwrap();
    let path = importer.reports.path().join("mended.csv");
    // One row is mended, the other is wrong in another way now.
    let mended = rejected.replace("\n,11/05/25", "\n38470,11/05/25").replace("\n38462,", "\n,");
    fs::write(&path, &mended).unwrap();
    assert_eq!(classes(&import_files(&mut importer, vec![path.clone()]).await), [("corrected", 1), ("rejected", 1)]);
    fs::write(&path, mended.replace("\n,11/03/25", "\n38471,11/03/25")).unwrap();
    assert_eq!(classes(&import_files(&mut importer, vec![path]).await), [("corrected", 1), ("unchanged", 1)]);
    assert_eq!(classes(&importer.run().await), [("unchanged", 24), ("rejected", 5), ("skipped", 4)]);
    let originals: Vec<String> = sqlx::query_scalar(
        "SELECT original FROM import_rows WHERE source_table = 'active' AND source_row = 6 ORDER BY id",
    )
    .fetch_all(&mut importer.ros.database.connect().await)
    .await
    .unwrap();
    let numbers: Vec<Value> =
        originals.iter().map(|row| serde_json::from_str::<Value>(row).unwrap()["RO"].clone()).collect();
    assert_eq!(numbers, [json!(38462.0), Value::Null, json!("38471")], "every version is kept");
}

#[tokio::test]
async fn rows_of_a_table_that_was_not_understood_come_in_by_a_mapping() {
    let mut importer = Importer::without_rows().await;
    importer.change_source("INSERT INTO hold (`38418`, FLORIDA_AERO_SYSTEMS) VALUES (38500, 'ABC')").await;
    assert_eq!(classes(&importer.run().await), [("rejected", 1)]);
    let mended = mend(&importer, "rejected-hold.xlsx", &[("1", "NOSE_WHEEL", "PUMP")]);
    let mapping = importer.reports.path().join("map.toml");
    let columns = "38418 = \"RO\"\nFLORIDA_AERO_SYSTEMS = \"SHOP_NAME\"\nNOSE_WHEEL = \"PART_DESCRIPTION\"";
    fs::write(&mapping, format!("[tables.hold]\ncontent = \"active\"\n[tables.hold.columns]\n{columns}")).unwrap();
    importer.mapping = Some(mapping);
    let report = import_files(&mut importer, vec![mended]).await;
    assert_eq!(classes(&report), [("imported", 1)], "{:?}", reasons(&report));
    assert_eq!(order(&importer, "38500").await["partDescription"], "PUMP");
}

#[tokio::test]
async fn mended_rows_of_another_table_are_rejected() {
    let mut importer = Importer::start().await;
    importer.run().await;
    let cells = [("4", "RO", "38470"), ("6", "RO", "38471"), ("6", "source_table", "paid")];
    let mended = mend(&importer, "rejected-active.xlsx", &cells);
    assert_eq!(classes(&import_files(&mut importer, vec![mended]).await), [("corrected", 1), ("rejected", 1)]);
}

#[tokio::test]
async fn a_mended_row_that_stands_for_no_rejected_row_is_rejected() {
    let mut importer = Importer::start().await;
    importer.run().await;
    let mended = mend(
        &importer,
        "rejected-active.xlsx",
        &[("4", "RO", "38470"), ("6", "RO", "38471"), ("6", "source_digest", "gone")],
    );
    // The row is mended in the source as well.
    importer.change_source("UPDATE active SET RO = 38472 WHERE id = 4").await;
    importer.run().await;
    let report = import_files(&mut importer, vec![mended]).await;
    assert_eq!(
        reasons(&report),
        [
            "row 4 of active has changed since it was rejected, or its source was never imported",
            "its columns source, source_table, source_row and source_digest name no rejected row of active; they must stay as they \
             were, and rows of other tables belong in other files"
        ]
    );
    // Nothing of them is kept, so that they come in by no other way.
    let rejected_again = importer.reports.path().join("rejected-active.3.xlsx");
    let report = import_files(&mut importer, vec![rejected_again]).await;
    assert_eq!(classes(&report), [("rejected", 2)]);
    let missing = importer.ros.get("/api/ros/by-number/38470").await;
    missing.expect(404);
    assert_eq!(order(&importer, "38472").await["shopName"], "Skyline NDT");
}
