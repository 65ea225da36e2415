//! Workbooks and CSV files as sources.

use std::{
    fs,
    path::{Path, PathBuf},
};

use rotracker_cli::import::{Class, Report};
use rotracker_tests::{
    importer::{Importer, classes, outcome},
    workbooks::{count_dates_from_1904, save, sheets_of, write_rows},
};
use rust_xlsxwriter::{Format, Table, TableColumn, Workbook, Worksheet};
use serde_json::{Value, json};

fn remarks(report: &Report, table: &str) -> Vec<String> {
    report.tables.iter().find(|found| found.table == table).unwrap().remarks.clone()
}

/// What the report says of a note between the rows.
const NOTE: &str = "rejected: it has nothing but a text where the number should be, as a note has";

/// Imports one workbook with these sheets.
async fn import(sheets: Value) -> (Importer, Report) {
    let mut importer = Importer::without_rows().await;
    importer.files = vec![save(importer.reports.path(), "Stock.xlsx", &sheets)];
    let report = importer.run().await;
    (importer, report)
}

fn csv(importer: &mut Importer, name: &str, content: impl AsRef<[u8]>) {
    let path = importer.reports.path().join(name);
    fs::write(&path, content).unwrap();
    importer.files.push(path);
}

async fn order(importer: &Importer, number: &str) -> Value {
    importer.ros.get(&format!("/api/ros/by-number/{number}")).await.expect(200)
}

/// Checks that the live database, written into a workbook, ends in the same classes as from the database.
async fn compare_with_live_database(workbook: impl AsyncFnOnce(&Importer) -> PathBuf) {
    let database = Importer::start().await;
    let expected = database.run().await;
    let mut importer = Importer::without_rows().await;
    importer.files = vec![workbook(&database).await];
    let report = importer.run().await;
    for table in &expected.tables {
        for row in 1..=i64::try_from(table.rows).unwrap() {
            let expected = outcome(&expected, &table.table, row);
            assert_eq!(outcome(&report, &table.table, row), expected, "row {row} of {}", table.table);
        }
    }
    assert_eq!(classes(&report), classes(&expected));
    let figures = importer.ros.get("/api/ros/stats/dashboard").await.expect(200);
    assert_eq!(figures, database.ros.get("/api/ros/stats/dashboard").await.expect(200));
    assert_eq!(classes(&importer.run().await), [("unchanged", 22), ("rejected", 7), ("skipped", 4)]);
}

#[tokio::test]
async fn the_live_database_as_a_workbook_ends_in_the_same_classes() {
    compare_with_live_database(async |database| {
        let sheets = sheets_of(&mut database.source.connect().await).await;
        save(database.reports.path(), "live.xlsx", &sheets)
    })
    .await;
}

#[tokio::test]
async fn workbooks_of_other_libraries_end_in_the_same_classes() {
    for name in ["live-database.xlsx", "live-database.ods"] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/workbooks").join(name);
        compare_with_live_database(async |_| path).await;
    }
}

#[tokio::test]
async fn sheets_of_orders_are_read_with_title_table_and_status_column() {
    let mut importer = Importer::without_rows().await;
    let headings = [
        "Repair Order",
        "Date Made",
        "Shop Name",
        "Part",
        "Serial",
        "Part Description",
        "Scope",
        "Date Dropped Off",
        "Estimated Cost",
        "Final Cost",
        "Terms",
        "Shop Ref",
        "Estimated Delivery Date",
        "Curent Status",
        "Curent Status Date",
        "GenThrust Status",
        "Shop Status",
        "Tracking Number",
        "Notes",
        "Last Date Updated",
        "Next Date To Update",
        "Archive Status",
    ];
    let mut workbook = Workbook::new();
    let sheet = workbook.add_worksheet();
    sheet.set_name("Sheet1").unwrap();
    let order = |number: i32, archive: Value| {
        json!([number, {"date": "2025-11-03"}, "ABC", "65-1", null, "PUMP", null, null, 12.5, null, null, null, null,
               "APPROVED", null, null, null, null, null, null, 45_965, archive])
    };
    write_rows(
        sheet,
        &json!([
            ["GENTHRUST REPAIR ORDERS"],
            [],
            headings,
            order(1, Value::Null),
            order(2, json!("paid")),
            order(3, json!("CLOSED")),
        ]),
    );
    let columns: Vec<TableColumn> = headings.iter().map(|heading| TableColumn::new().set_header(*heading)).collect();
    let table = Table::new().set_name("Repairs").set_columns(&columns);
    sheet.add_table(2, 0, 4, 21, &table).unwrap();
    let path = importer.reports.path().join("orders.xlsx");
    workbook.save(&path).unwrap();
    importer.files = vec![path];
    let report = importer.run().await;
    assert_eq!(classes(&report), [("corrected", 2), ("rejected", 1)], "the row below the table counts, too");
    assert_eq!(
        outcome(&report, "Repairs", 6),
        "rejected: the archive status is CLOSED, which is none of ACTIVE, PAID, NET, RETURNED"
    );
    let first = self::order(&importer, "1").await;
    assert_eq!((&first["archiveStatus"], &first["dateMade"]), (&json!("ACTIVE"), &json!("2025-11-03T00:00:00.000Z")));
    assert_eq!(
        (&first["nextDateToUpdate"], &first["estimatedCost"]),
        (&json!("2025-11-04T00:00:00.000Z"), &json!("12.50"))
    );
    assert_eq!(self::order(&importer, "2").await["archiveStatus"], "PAID");
    assert_eq!(
        remarks(&report, "Repairs"),
        [
            "row 1 is above the headings and is not read: GENTHRUST REPAIR ORDERS",
            "columns that were read by their place: Repair Order as RO, Scope as REQ_WORK"
        ]
    );
}

#[tokio::test]
async fn inventory_sheets_are_read_by_the_words_of_their_headings() {
    let (importer, report) = import(json!({
        "BinsInventoryTable": [
            ["BINS INVENTORY 2025"],
            ["P/N", "PART DESCRIPTION", "QTY ON HAND", "STOCK ROOM", "BIN NO", "COND.", "S/N", "PART (OLD)"],
            [65_214, "RIVET", "1,200", "FL1", "B-07", "NE", "0012", "X"],
            ["1-2", "WASHER", 5, "FL2", "B-08", "OH", null, null],
            ["Total", null, 1_205, null, null, null, null, null],
        ],
        "DELTA_APA_TABLE": [["DELTA APA"], ["3214-1"], ["2119620-8"]],
    }))
    .await;
    assert_eq!(classes(&report), [("imported", 3), ("corrected", 1), ("skipped", 1)]);
    assert_eq!(outcome(&report, "BinsInventoryTable", 5), "skipped: a line with totals");
    let found = importer.inventory.get("/api/inventory/bins").await.expect(200);
    let rivet = found["items"].as_array().unwrap().iter().find(|item| item["partNumber"] == "65214").unwrap().clone();
    assert_eq!((&rivet["qty"], &rivet["location"], &rivet["bin"]), (&json!(1_200), &json!("FL1"), &json!("B-07")));
    assert_eq!(
        (&rivet["serial"], &rivet["condition"], &rivet["description"]),
        (&json!("0012"), &json!("NE"), &json!("RIVET"))
    );
    let read = remarks(&report, "BinsInventoryTable");
    assert!(read.contains(&"PART (OLD) is not used: P/N was chosen for PN".to_owned()), "{read:?}");
    assert!(read.contains(&"row 1 is above the headings and is not read: BINS INVENTORY 2025".to_owned()), "{read:?}");
    assert_eq!(remarks(&report, "DELTA_APA_TABLE"), ["the first row is read as the heading: DELTA APA"]);
}

#[tokio::test]
async fn cells_are_read_as_people_see_them() {
    let mut importer = Importer::without_rows().await;
    let mut workbook = Workbook::new();
    let sheet = workbook.add_worksheet();
    sheet.set_name("terra").unwrap();
    write_rows(
        sheet,
        &json!([
            ["PART No", "SERIAL", "QTY", "LOCATION", "DESCRIPTION"],
            ["A-1", {"formula": "=\"S\"&1", "value": "S1"}, 2, {"formula": "=NA()", "value": "#N/A"}, "FIRST"],
            ["A-2", "S2", 3, "T2", "HIDDEN"],
            [null, "S3", 4, null, "MERGED"],
            ["A-3", "S5", 6, "T3", "AMOUNT"],
            ["A-3", "S6", null, "T3", "AMOUNT"],
            ["A-4", "S4", {"formula": "=1/0", "value": "#DIV/0!"}, "T4", "ERROR"],
        ]),
    );
    sheet.set_row_hidden(2).unwrap();
    sheet.merge_range(2, 0, 3, 0, "A-2", &Format::new()).unwrap();
    sheet.merge_range(4, 2, 5, 2, "", &Format::new()).unwrap();
    sheet.write_number(4, 2, 6).unwrap();
    let hidden = workbook.add_worksheet();
    write_rows(hidden.set_name("partes_bolivia").unwrap().set_hidden(true), &json!([["PN"], ["B-1"]]));
    let path = importer.reports.path().join("parts.xlsx");
    workbook.save(&path).unwrap();
    importer.files = vec![path];
    let report = importer.run().await;
    assert_eq!(outcome(&report, "terra", 2), "corrected: LOCATION: \"#N/A\" -> nothing");
    assert_eq!(outcome(&report, "terra", 7), "rejected: QTY is no quantity: #DIV/0!");
    assert_eq!(classes(&report), [("imported", 5), ("corrected", 1), ("rejected", 1)]);
    let found = importer.inventory.get("/api/inventory/search?partNumber=A-3").await.expect(200);
    let quantities: Vec<_> = found["results"].as_array().unwrap().iter().map(|part| part["qty"].clone()).collect();
    assert_eq!(quantities, [json!(6), Value::Null], "an amount counts once");
    let found = importer.inventory.get("/api/inventory/search?partNumber=A-2").await.expect(200);
    let quantities: Vec<_> = found["results"].as_array().unwrap().iter().map(|part| part["qty"].clone()).collect();
    assert_eq!(quantities.len(), 2, "the merged cell names both parts: {found}");
    let read = remarks(&report, "terra");
    assert!(read.contains(&"hidden rows are read, too: 3".to_owned()), "{read:?}");
    assert!(
        read.contains(&"rows that have the value of a merged cell which begins above them: 1".to_owned()),
        "{read:?}"
    );
    assert_eq!(remarks(&report, "partes_bolivia"), ["the sheet is hidden; it is read, too"]);
}

/// Adds an Excel table with these headings.
fn add_table(sheet: &mut Worksheet, name: &str, first_row: u32, last_row: u32, headings: &[&str]) {
    let columns: Vec<TableColumn> = headings.iter().map(|heading| TableColumn::new().set_header(*heading)).collect();
    let table = Table::new().set_name(name).set_columns(&columns);
    sheet.add_table(first_row, 0, last_row, u16::try_from(headings.len()).unwrap() - 1, &table).unwrap();
}

#[tokio::test]
async fn tables_of_one_sheet_are_read_apart() {
    let mut importer = Importer::without_rows().await;
    let mut workbook = Workbook::new();
    let sheet = workbook.add_worksheet().set_name("All orders").unwrap();
    write_rows(
        sheet,
        &json!([["RO", "PART"], [1, "A"], [2, "B"], ["between"], ["RO", "PART", "TERMS"], [3, "C", "COD"], ["below"],]),
    );
    add_table(sheet, "Repairs", 0, 2, &["RO", "PART"]);
    add_table(sheet, "Approved_Paid", 4, 5, &["RO", "PART", "TERMS"]);
    let path = importer.reports.path().join("orders.xlsx");
    workbook.save(&path).unwrap();
    importer.files = vec![path];
    let report = importer.run().await;
    assert_eq!(classes(&report), [("imported", 3), ("rejected", 2)], "what is typed between tables is not lost");
    assert_eq!(outcome(&report, "Repairs", 4), NOTE);
    assert_eq!(outcome(&report, "Approved_Paid", 7), NOTE);
    assert_eq!(order(&importer, "2").await["archiveStatus"], "ACTIVE");
    assert_eq!(order(&importer, "3").await["archiveStatus"], "PAID");
}

#[tokio::test]
async fn a_table_that_has_no_headings_begins_with_its_first_row() {
    let mut importer = Importer::without_rows().await;
    let directory = importer.reports.path().to_owned();
    let sheets = json!({"Hold": [["printed in May"], [1, {"date": "2025-11-03"}, "ABC"], [2, null, "XYZ"]]});
    importer.files = vec![save(&directory, "orders.xlsx", &sheets)];
    let mapping = directory.join("map.toml");
    importer.mapping = Some(mapping.clone());
    let map = async |importer: &Importer, text: &str| {
        fs::write(&mapping, text).unwrap();
        importer.try_run().await
    };
    let columns = "[tables.Hold.columns]\nA = \"RO\"\nB = \"DATE_MADE\"\nC = \"SHOP_NAME\"\n";
    let hold = |row: u32| format!("[tables.Hold]\ncontent = \"active\"\nheadings_row = {row}\n{columns}");
    let refusal = map(&importer, &hold(9)).await.unwrap_err();
    assert_eq!(refusal, "orders.xlsx: Hold has no headings in row 9");
    let refusal = map(&importer, &hold(0).replace("\nC =", "\nD =")).await.unwrap_err();
    assert_eq!(refusal, "the mapping names the column D of Hold, which is not there");
    let refusal = map(&importer, &hold(0).replace("Hold", "Hald")).await.unwrap_err();
    assert_eq!(refusal, "the mapping names the table Hald, which no source has");
    let report = map(&importer, &hold(0)).await.unwrap();
    assert_eq!(classes(&report), [("imported", 2), ("rejected", 1)]);
    let first = order(&importer, "1").await;
    assert_eq!((&first["dateMade"], &first["shopName"]), (&json!("2025-11-03T00:00:00.000Z"), &json!("ABC")));
}

#[tokio::test]
async fn rows_are_known_by_an_id_only_if_it_is_unique() {
    for (second, known_by) in [("7", 2), ("8", 7)] {
        let mut importer = Importer::without_rows().await;
        csv(&mut importer, "terra.csv", format!("id,PART_No,QTY\n7,A-1,x\n{second},A-2,2\n"));
        let report = importer.run().await;
        assert_eq!(outcome(&report, "terra", known_by), "rejected: QTY is no quantity: x", "{second}");
    }
}

#[tokio::test]
async fn two_tables_of_one_name_are_refused() {
    let mut importer = Importer::without_rows().await;
    let mut workbook = Workbook::new();
    write_rows(workbook.add_worksheet().set_name("Repairs").unwrap(), &json!([["RO", "PART"], [1, "A"]]));
    let sheet = workbook.add_worksheet();
    write_rows(sheet, &json!([["RO", "PART"], [2, "B"]]));
    add_table(sheet, "repairs", 0, 1, &["RO", "PART"]);
    let path = importer.reports.path().join("orders.xlsx");
    workbook.save(&path).unwrap();
    importer.files = vec![path];
    let refusal = importer.try_run().await.unwrap_err();
    assert_eq!(refusal, "there are two tables called orders.xlsx: repairs; rename one of them");
}

#[tokio::test]
async fn csv_files_are_read_whatever_their_encoding_and_delimiter() {
    for (name, content) in [
        ("utf-8", "RO,SHOP_NAME,NOTES\n1,Núñez,\"a,\nb\"\n".as_bytes().to_vec()),
        ("mark", "\u{feff}RO;SHOP_NAME;NOTES\r\n1;Núñez;\"a,\nb\"\r\n".as_bytes().to_vec()),
        ("windows", b"roNumber\tshopName\tnotes\n1\tN\xfa\xf1ez\t\"a,\nb\"\n".to_vec()),
    ] {
        let mut importer = Importer::without_rows().await;
        csv(&mut importer, "active.csv", content);
        assert_eq!(classes(&importer.run().await), [("imported", 1)], "{name}");
        let order = order(&importer, "1").await;
        assert_eq!((&order["shopName"], &order["notes"]), (&json!("Núñez"), &json!("a,\nb")), "{name}");
    }
}

#[tokio::test]
async fn several_files_are_one_import() {
    let mut importer = Importer::without_rows().await;
    csv(&mut importer, "active.csv", "RO,SHOP_NAME,PART\n1,ABC,P\n2,ABC,Q\n");
    csv(&mut importer, "paid.csv", "RO,SHOP_NAME,PART\n1,abc,P\n");
    csv(&mut importer, "inventoryindex.csv", "PartNumber,TableName,RowId,Qty\nA-1,terra,7,3\n");
    csv(&mut importer, "terra.csv", "id,PART_No,QTY\n7,A-1,5\n");
    let report = importer.run().await;
    assert_eq!(outcome(&report, "active", 2), "skipped: the order was already moved: row 2 of paid counts");
    assert_eq!(outcome(&report, "terra", 7), "corrected: QTY: \"5\" -> 3");
    assert_eq!(classes(&report), [("imported", 3), ("corrected", 1), ("skipped", 1)]);
    // The order moves from one file to the other.
    let directory = importer.reports.path().to_owned();
    fs::write(directory.join("active.csv"), "RO,SHOP_NAME,PART\n").unwrap();
    fs::write(directory.join("paid.csv"), "RO,SHOP_NAME,PART\n1,abc,P\n2,ABC,Q\n").unwrap();
    assert_eq!(classes(&importer.run().await), [("updated", 1), ("unchanged", 3)]);
    assert_eq!(order(&importer, "2").await["archiveStatus"], "PAID");
}

#[tokio::test]
async fn two_sheets_of_one_name_are_told_apart_by_their_files() {
    let mut importer = Importer::without_rows().await;
    let directory = importer.reports.path().to_owned();
    for (name, number) in [("a.xlsx", 1), ("b.xlsx", 2)] {
        importer.files.push(save(&directory, name, &json!({"Active": [["RO", "PART"], [number, "P"], [null, "Q"]]})));
    }
    let report = importer.run().await;
    assert_eq!(classes(&report), [("imported", 2), ("rejected", 2)]);
    assert_eq!(outcome(&report, "Active of b.xlsx", 3), "rejected: the order has no number");
    assert!(directory.join("rejected-Active%20of%20a%2Exlsx.csv").exists());
    assert_eq!(classes(&importer.run().await), [("unchanged", 2), ("rejected", 2)]);
    importer.files.push(directory.join("a.xlsx"));
    let refusal = importer.try_run().await.unwrap_err();
    assert_eq!(refusal, "two of the files are called a.xlsx; their rows could not be told apart");
}

#[tokio::test]
async fn a_mapping_names_what_is_not_understood() {
    let mut importer = Importer::without_rows().await;
    let directory = importer.reports.path().to_owned();
    let sheets = json!({"Open": [["Order", "Vendor", "Item"], [1, "ABC", "65-1"]]});
    importer.files = vec![save(&directory, "orders.xlsx", &sheets)];
    assert_eq!(outcome(&importer.run().await, "Open", 2), "rejected: the table Open is not understood");
    let template = importer.import().mapping_template().await.unwrap();
    let mapping = template
        .replace("content = \"\"", "content = \"active\"")
        .replace("\"Order\" = \"\"", "\"Order\" = \"RO\"")
        .replace("\"Vendor\" = \"\"", "\"Vendor\" = \"SHOP_NAME\"");
    let path = directory.join("map.toml");
    fs::write(&path, mapping).unwrap();
    importer.mapping = Some(path);
    assert_eq!(classes(&importer.run().await), [("imported", 1)]);
    assert_eq!(order(&importer, "1").await["shopName"], "ABC");
}

#[tokio::test]
async fn dates_count_from_1904_where_the_workbook_does() {
    let mut importer = Importer::without_rows().await;
    let sheets = json!({"Active": [
        ["RO", "DATE_MADE", "NEXT_DATE_TO_UPDATE", "CURENT_STATUS_DATE"],
        [1, 44_502, "44502", {"date": "2021-11-02"}],
    ]});
    let path = save(importer.reports.path(), "orders.xlsx", &sheets);
    count_dates_from_1904(&path);
    importer.files = vec![path];
    importer.run().await;
    let order = order(&importer, "1").await;
    // Day 44,502 since 1904 is four years and a day later than since 1900.
    for date in ["dateMade", "nextDateToUpdate", "currentStatusDate"] {
        assert_eq!(order[date], "2025-11-03T00:00:00.000Z", "{date}");
    }
}

#[tokio::test]
async fn the_first_row_with_headings_counts_and_no_row_above_it_is_lost() {
    for (rows, imported, rejected) in [
        // A data row whose words are those of headings.
        (json!([["PART No", "SERIAL", "SHELF"], ["65-1", "S1", "A"], ["65-3", "SN 120", "BIN 4 PART OF KIT"]]), 2, 0),
        (json!([["PN", "COMMENT"], ["65-1", "ok"], ["PARTS FROM DELTA"], ["65-2", "ok"]]), 2, 1),
        (json!([["P/N 65-1"], ["65-2"], ["P/N 65-3"]]), 3, 0),
        (json!([["STOCK"], ["65-0", 1], ["PART", "QTY"], ["65-1", 2]]), 2, 0),
        (json!([["PART", "QTY", 2025], ["65-1", 2, 1]]), 1, 0),
    ] {
        let (_, report) = import(json!({"terra": rows})).await;
        let found = [Class::Imported, Class::Corrected, Class::Rejected].map(|class| report.count(class));
        assert_eq!((found[0] + found[1], found[2]), (imported, rejected), "{rows}");
    }
}

#[tokio::test]
async fn orders_without_headings_are_rejected_and_kept() {
    let mut importer = Importer::without_rows().await;
    csv(&mut importer, "active.csv", "38462,ABC,65-1\n");
    assert_eq!(outcome(&importer.run().await, "active", 1), "rejected: the table active is not understood");
}

#[tokio::test]
async fn totals_notes_and_dates_are_no_parts() {
    let (_, report) = import(json!({"terra": [
        ["PART No", "QTY", "SERIAL"],
        ["65-1", 2, null],
        ["SHELF C", null, null],
        ["Total parts", 2, null],
        [{"date": "2025-03-04"}, 1, null],
        ["NOTE", 1, null],
    ]}))
    .await;
    assert_eq!(outcome(&report, "terra", 3), NOTE);
    assert_eq!(outcome(&report, "terra", 4), "skipped: a line with totals");
    let date = "rejected: PART No is a date, into which Excel may have turned a number: 2025-03-04";
    assert_eq!(outcome(&report, "terra", 5), date);
    assert_eq!(classes(&report), [("imported", 2), ("rejected", 2), ("skipped", 1)]);
}

#[tokio::test]
async fn an_edited_row_is_the_same_part() {
    let (mut importer, report) =
        import(json!({"terra": [["PN", "SERIAL", "LOC", "QTY"], ["65-1", "1", "A", 2], ["65-2", "2", "B", 3]]})).await;
    assert_eq!(classes(&report), [("imported", 2)]);
    let quantity = async |importer: &Importer| {
        importer.inventory.get("/api/inventory/stats").await.expect(200)["totalQuantity"].clone()
    };
    let mut again = async |rows: Value| {
        importer.files = vec![save(importer.reports.path(), "Stock.xlsx", &json!({"terra": rows}))];
        (classes(&importer.run().await), quantity(&importer).await)
    };
    let edited = json!([["PN", "SERIAL", "LOC", "QTY"], ["65-1", "1", "C", 2], ["65-2", "9", "B", 4]]);
    assert_eq!(again(edited).await, (vec![("updated", 2)], json!(6)));
    // Another part in the place of one that is gone is a new part.
    let replaced = json!([["PN", "SERIAL", "LOC", "QTY"], ["65-7", "1", "C", 2], ["65-2", "9", "B", 4]]);
    assert_eq!(again(replaced).await, (vec![("imported", 1), ("unchanged", 1)], json!(8)));
}

#[tokio::test]
async fn a_column_that_is_missing_later_leaves_its_field_alone() {
    let mut importer = Importer::without_rows().await;
    let directory = importer.reports.path().to_owned();
    let mut read = async |headings: Value| {
        let row = json!([1, "ABC", "65-1", 12.5, "fragile"]);
        importer.files = vec![save(&directory, "orders.xlsx", &json!({"Active": [headings, row]}))];
        let classes = classes(&importer.run().await);
        let order = order(&importer, "1").await;
        (classes, order["estimatedCost"].clone(), order["notes"].clone())
    };
    let known = json!(["RO", "SHOP_NAME", "PART", "ESTIMATED_COST", "NOTES"]);
    assert_eq!(read(known).await, (vec![("imported", 1)], json!("12.50"), json!("fragile")));
    let renamed = json!(["RO", "SHOP_NAME", "PART", "PRICE", "REMARKS"]);
    assert_eq!(read(renamed).await, (vec![("unchanged", 1)], json!("12.50"), json!("fragile")));
}

#[tokio::test]
async fn a_mapping_counts_also_for_rows_that_are_imported_already() {
    let (mut importer, _) = import(json!({"terra": [["PN", "Hand"], ["65-1", 3]]})).await;
    let mapping = importer.reports.path().join("map.toml");
    fs::write(&mapping, "[tables.terra.columns]\nHand = \"QTY\"").unwrap();
    importer.mapping = Some(mapping);
    assert_eq!(classes(&importer.run().await), [("updated", 1)]);
    let found = importer.inventory.get("/api/inventory/search?partNumber=65-1").await.expect(200);
    assert_eq!(found["results"][0]["qty"], 3);
    assert_eq!(classes(&importer.run().await), [("unchanged", 1)]);
}
