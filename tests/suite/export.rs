//! `rotracker export`

use std::{
    collections::BTreeMap,
    fs,
    io::Read,
    path::{Path, PathBuf},
    process::Output,
};

use calamine::{Data, Reader, Xlsx};
use rotracker_cli::export::{Export, ExportedFile, Format, Table};
use rotracker_tests::{
    App,
    csv_file::{CsvFile, text_of},
    database::{databases, execute, numbers, server},
    emulator::binary,
};
use secrecy::ExposeSecret;
use serde_json::json;
use tempfile::TempDir;

/// Texts that are hard to write into a cell.
const HOSTILE: [&str; 12] = [
    "=1+1",
    "-65-1",
    "'quoted",
    "00123",
    "1E5",
    "one\ntwo, \"three\"",
    "cut\r\nhere\r",
    " blanks around ",
    "_x0041_",
    "<&>;\u{1}",
    "Ailerón 🛩",
    "TRUE",
];

/// An installation with orders in all archives and parts in all tables.
struct Installation {
    ros: App,
    inventory: App,
    directory: TempDir,
}

impl Installation {
    async fn start() -> Self {
        let (ros, inventory) = (App::start().await, App::inventory().await);
        for archive in ["ACTIVE", "PAID", "NET", "RETURNED"] {
            ros.create_with(json!({
                "roNumber": archive, "archiveStatus": archive, "estimatedCost": "2500.10", "finalCost": "99999999.99",
                "dateMade": "2024-02-29", "nextDateToUpdate": "2024-11-30", "currentStatusDate": "1999-12-31",
            }))
            .await;
        }
        let mut connection = ros.database.connect().await;
        for (index, text) in HOSTILE.into_iter().enumerate() {
            let insert = "INSERT INTO active (RO, PART, NOTES, ESTIMATED_COST) VALUES (?, ?, ?, -0.5)";
            let query = sqlx::query(insert).bind(format!("00{index}")).bind(text).bind(text);
            query.execute(&mut connection).await.unwrap();
        }
        for table in Table::all().map(Table::name).filter(|name| !["orders", "inventoryindex"].contains(name)) {
            inventory.put(table, "00123", 12).await;
            inventory.put(table, "=1+1", 0).await;
        }
        let seen =
            "UPDATE inventoryindex SET LastSeen = '2024-11-15 13:14:15'; UPDATE inventoryindex SET Qty = -3 LIMIT 1";
        execute(&mut inventory.database.connect().await, seen).await;
        Self { ros, inventory, directory: tempfile::tempdir().unwrap() }
    }

    fn export(&self, format: Format, tables: impl IntoIterator<Item = Table>) -> Export {
        Export {
            databases: databases(&self.ros.database, &self.inventory.database),
            directory: self.directory.path().join("new"),
            tables: tables.into_iter().collect(),
            format,
            today: "2024-11-15".parse().unwrap(),
        }
    }

    async fn written(&self, format: Format) -> Vec<ExportedFile> {
        self.export(format, Table::all()).run().await.unwrap_or_else(|error| panic!("{error:#}"))
    }

    /// The names of all files in the directory.
    fn files(&self) -> Vec<String> {
        let entries = fs::read_dir(self.directory.path().join("new"));
        let names = entries.into_iter().flatten().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<String> = names.collect();
        names.sort();
        names
    }

    /// What the route sends for a table.
    async fn downloaded(&self, table: Table) -> Vec<u8> {
        let response = match table {
            Table::Orders => self.ros.get("/api/ros/export?archiveStatus=ALL").await,
            Table::Inventory(table) => {
                self.inventory.get(&format!("/api/inventory/export?tableName={}", table.name())).await
            }
        };
        assert_eq!(response.status, 200);
        response.bytes
    }

    /// Runs the program.
    async fn run(&self, arguments: &[&str]) -> Output {
        let server = server();
        let mut command = tokio::process::Command::new(binary("rotracker").await);
        command.arg("export").arg(self.directory.path()).args(arguments).env_clear().envs([
            ("DB_HOST", server.host.as_str()),
            ("DB_PORT", &server.port.to_string()),
            ("DB_USER", &server.user),
            ("DB_PASSWORD", server.password.expose_secret()),
            ("DB_NAME_DEV", &self.ros.database.name),
            ("DB_NAME_INVENTORY", &self.inventory.database.name),
        ]);
        command.output().await.unwrap()
    }
}

/// The rows of the only sheet of a workbook, which must be called `name`.
fn rows_of(path: &Path, name: &str) -> Vec<Vec<Data>> {
    let mut workbook: Xlsx<_> = calamine::open_workbook(path).unwrap();
    assert_eq!(workbook.sheet_names(), [name]);
    workbook.worksheet_range(name).unwrap().rows().map(<[Data]>::to_vec).collect()
}

/// Returns what a CSV file has for a cell of a workbook.
fn shown(cell: &Data) -> String {
    match cell {
        Data::Empty => String::new(),
        Data::String(text) => text.clone(),
        Data::Float(number) => number.to_string(),
        Data::DateTime(instant) => {
            let (year, month, day, hour, minute, second, milli) = instant.to_ymd_hms_milli();
            format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{milli:03}Z")
        }
        other => panic!("{other:?} in a workbook"),
    }
}

/// Returns the form of [`shown`] for a cell of a CSV file.
fn expected(heading: &str, cell: &str) -> String {
    let is_amount = heading.ends_with("Cost") && !cell.is_empty();
    let is_day = heading.contains("Date") || heading.starts_with("date");
    match () {
        () if is_amount => cell.parse::<f64>().unwrap().to_string(),
        () if is_day && !cell.is_empty() => format!("{cell}T00:00:00.000Z"),
        () => text_of(cell).to_owned(),
    }
}

#[tokio::test]
async fn the_csv_files_are_those_of_the_routes() {
    let installation = Installation::start().await;
    let files = installation.written(Format::Csv).await;
    assert_eq!(files.len(), 13);
    for (table, file) in Table::all().zip(files) {
        assert_eq!(file.path.file_name().unwrap().to_str(), Some(format!("{}-2024-11-15.csv", table.name()).as_str()));
        let written = fs::read(&file.path).unwrap();
        assert_eq!(written, installation.downloaded(table).await, "{}", table.name());
        let rows = CsvFile::parse(&written).rows.len();
        assert!(rows > 1 && file.rows == rows as u64 && file.left_out.is_empty(), "{file:?}");
    }
    let archives = CsvFile::parse(&installation.downloaded(Table::Orders).await);
    for archive in ["ACTIVE", "PAID", "NET", "RETURNED"] {
        assert!(archives.column("archiveStatus").contains(&archive));
    }
    assert_eq!(installation.files().len(), 13, "temporary files are left");
}

#[tokio::test]
async fn workbooks_have_the_cells_of_the_csv_files() {
    let installation = Installation::start().await;
    let mut kinds = BTreeMap::new();
    for (table, file) in Table::all().zip(installation.written(Format::Xlsx).await) {
        let csv = CsvFile::parse(&installation.downloaded(table).await);
        let mut rows = rows_of(&file.path, table.name()).into_iter();
        let headings: Vec<String> = rows.next().unwrap().iter().map(shown).collect();
        assert_eq!(headings, csv.headings);
        let rows: Vec<Vec<Data>> = rows.collect();
        assert_eq!((rows.len(), file.rows), (csv.rows.len(), csv.rows.len() as u64));
        for (row, csv_row) in rows.iter().zip(&csv.rows) {
            for ((heading, cell), csv_cell) in headings.iter().zip(row).zip(csv_row) {
                assert_eq!(shown(cell), expected(heading, csv_cell), "{heading} of {csv_row:?}");
                if *cell != Data::Empty {
                    kinds.insert(heading.clone(), std::mem::discriminant(cell));
                }
            }
        }
    }
    let text = std::mem::discriminant(&Data::String(String::new()));
    let number = std::mem::discriminant(&Data::Float(0.0));
    for (heading, kind) in [
        ("partNumber", text),
        ("roNumber", text),
        ("serial", text),
        ("qty", number),
        ("finalCost", number),
        ("id", number),
    ] {
        assert_eq!(kinds[heading], kind, "{heading}");
    }
    for heading in ["dateMade", "nextDateToUpdate", "lastSeen"] {
        assert!(![text, number].contains(&kinds[heading]), "{heading} is no date");
    }
}

#[tokio::test]
async fn workbooks_are_ready_to_use() {
    let installation = Installation::start().await;
    let file = installation.export(Format::Xlsx, [Table::Orders]).run().await.unwrap().remove(0);
    let parts = parts_of_archive(&fs::read(&file.path).unwrap());
    let (sheet, styles) = (&parts["xl/worksheets/sheet1.xml"], &parts["xl/styles.xml"]);
    for part_of_sheet in
        ["state=\"frozen\"", "ySplit=\"1\"", "<autoFilter ref=\"A1:W17\"/>", "numberStoredAsText=\"1\"", "<cols>"]
    {
        assert!(sheet.contains(part_of_sheet), "{part_of_sheet} is not in {sheet}");
    }
    for style in ["<b/>", "numFmtId=\"49\"", "numFmtId=\"2\"", "formatCode=\"yyyy-mm-dd\""] {
        assert!(styles.contains(style), "{style} is not in {styles}");
    }
    // The format of the first column is the one of Excel for texts.
    let formats: Vec<&str> = styles.split("<cellXfs").nth(1).unwrap().split("<xf ").skip(1).collect();
    let of_cell = |cell: &str| {
        let tag = sheet.split(&format!("<c r=\"{cell}\" s=\"")).nth(1).unwrap();
        formats[tag.split('"').next().unwrap().parse::<usize>().unwrap()]
    };
    assert!(of_cell("A2").starts_with("numFmtId=\"49\""), "{}", of_cell("A2"));
    assert!(of_cell("I2").starts_with("numFmtId=\"2\""), "{}", of_cell("I2"));
}

/// Returns the XML files in a workbook. None of them needs the ZIP64 format, which LibreOffice 7 does not read.
fn parts_of_archive(archive: &[u8]) -> BTreeMap<String, String> {
    let number = |place: usize, size: usize| {
        archive[place..place + size].iter().rev().fold(0_usize, |number, byte| number << 8 | usize::from(*byte))
    };
    let end = archive.len() - 22;
    assert_eq!(&archive[end..end + 4], b"PK\x05\x06");
    let mut entry = number(end + 16, 4);
    let mut parts = BTreeMap::new();
    for _ in 0..number(end + 10, 2) {
        assert!(number(entry + 6, 2) < 45, "the entry needs version {} of the format", number(entry + 6, 2));
        let lengths = [28, 30, 32].map(|place| number(entry + place, 2));
        let name = String::from_utf8(archive[entry + 46..entry + 46 + lengths[0]].to_vec()).unwrap();
        let local = number(entry + 42, 4);
        let start = local + 30 + number(local + 26, 2) + number(local + 28, 2);
        let mut text = String::new();
        let packed = &archive[start..start + number(entry + 20, 4)];
        flate2::read::DeflateDecoder::new(packed).read_to_string(&mut text).unwrap();
        parts.insert(name, text);
        entry += 46 + lengths.iter().sum::<usize>();
    }
    parts
}

#[tokio::test]
async fn days_that_excel_does_not_know_are_texts() {
    let installation = Installation::start().await;
    for (number, day) in [("RO-1", "1850-01-01"), ("RO-2", "1900-02-28"), ("RO-3", "1900-03-01")] {
        installation.ros.create_with(json!({ "roNumber": number, "dateMade": day })).await;
    }
    let file = installation.export(Format::Xlsx, [Table::Orders]).run().await.unwrap().remove(0);
    let rows = rows_of(&file.path, "orders");
    let made = |number: &str| rows.iter().find(|row| row[0] == Data::String(number.to_owned())).unwrap()[1].clone();
    assert_eq!(made("RO-1"), Data::String("1850-01-01".to_owned()));
    assert_eq!(made("RO-2"), Data::String("1900-02-28".to_owned()));
    assert_eq!(shown(&made("RO-3")), "1900-03-01T00:00:00.000Z");
}

#[tokio::test]
async fn a_text_that_fits_no_cell_is_named_and_its_row_left_out() {
    let installation = Installation::start().await;
    let longest = "x".repeat(32_766) + "é";
    installation.ros.create_with(json!({ "roNumber": "FITS", "notes": longest })).await;
    // Excel counts this character twice.
    let order = installation.ros.create_with(json!({ "roNumber": "LONG", "notes": "x".repeat(32_766) + "🛩" })).await;
    let output = installation.run(&["orders", "terra", "--format", "xlsx"]).await;
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    let [printed, errors] = [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap());
    assert!(printed.contains("xlsx: 17 rows") && printed.contains("xlsx: 2 rows"), "{printed}");
    let id = order["id"].as_str().unwrap();
    let named =
        format!("the row with the id {id} is left out: notes has 32768 characters, and a cell of Excel holds 32767");
    assert!(errors.contains(&named) && errors.lines().count() == 1, "{errors}");
    let path: PathBuf = printed.lines().next().unwrap().split(": ").next().unwrap().into();
    let rows = rows_of(&path, "orders");
    assert!(rows.iter().any(|row| row[18] == Data::String(longest.clone())));
    assert!(rows.iter().all(|row| row[0] != Data::String("LONG".to_owned())));

    let output = installation.run(&["orders"]).await;
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    assert!(String::from_utf8(output.stdout).unwrap().contains("csv: 18 rows"));
}

#[tokio::test]
async fn the_command_line_is_checked() {
    let installation = Installation::start().await;
    for (arguments, said) in [
        (&["shops"][..], "it must be one of orders, inventoryindex, stock_room"),
        (&["--format", "ods"], "possible values: csv, xlsx"),
    ] {
        let output = installation.run(arguments).await;
        let errors = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.code() == Some(2) && errors.contains(said), "{errors}");
    }
    assert!(installation.files().is_empty());
}

#[tokio::test]
async fn no_file_is_overwritten() {
    let installation = Installation::start().await;
    installation.export(Format::Csv, [Table::Orders]).run().await.unwrap();
    let path = installation.directory.path().join("new/orders-2024-11-15.csv");
    fs::write(&path, "mine").unwrap();
    let error = installation.export(Format::Csv, Table::all()).run().await.unwrap_err().to_string();
    assert!(error.contains("orders-2024-11-15.csv is there already"), "{error}");
    assert_eq!(installation.files(), ["orders-2024-11-15.csv"]);
    assert_eq!(fs::read(path).unwrap(), b"mine");
}

#[tokio::test]
async fn a_failed_export_leaves_no_file() {
    let installation = Installation::start().await;
    // Only the export of the last table needs this column.
    let drop = "ALTER TABLE apa_sanford_ar_757 DROP COLUMN COND";
    execute(&mut installation.inventory.database.connect().await, drop).await;
    for format in [Format::Csv, Format::Xlsx] {
        let error = installation.export(format, Table::all()).run().await.unwrap_err().to_string();
        assert!(error.contains("apa_sanford_ar_757 of ") && error.contains(" was not exported"), "{error}");
        assert!(installation.files().is_empty(), "{:?}", installation.files());
    }
}

#[tokio::test]
async fn all_tables_are_read_in_one_snapshot() {
    let installation = Installation::start().await;
    let before = installation.downloaded(Table::all().last().unwrap()).await;
    // The last table cannot be read as long as it is locked, while the others can.
    let mut connection = installation.inventory.database.connect().await;
    execute(&mut connection, "LOCK TABLES apa_sanford_ar_757 WRITE").await;
    let export = installation.export(Format::Csv, Table::all());
    let exporting = tokio::spawn(async move { export.run().await });
    // The export comes to the locked table.
    installation.inventory.database.wait_for_connection("STATE LIKE 'Waiting for table%'").await;
    execute(&mut connection, "DELETE FROM apa_sanford_ar_757 WHERE PN = '00123'; UNLOCK TABLES").await;
    let files = exporting.await.unwrap().unwrap();
    assert_eq!(fs::read(&files[12].path).unwrap(), before);
    assert_ne!(installation.downloaded(Table::all().last().unwrap()).await, before);
}

#[tokio::test]
async fn many_rows_are_exported_completely() {
    let installation = Installation::start().await;
    let fill = format!(
        "INSERT INTO active (RO, NOTES) SELECT CONCAT('RO', n), REPEAT('note ', 40) FROM {} WHERE n < 5000",
        numbers()
    );
    execute(&mut installation.ros.database.connect().await, &fill).await;
    let csv = installation.export(Format::Csv, [Table::Orders]).run().await.unwrap();
    let workbook = installation.export(Format::Xlsx, [Table::Orders]).run().await.unwrap();
    assert_eq!((csv[0].rows, workbook[0].rows), (5_016, 5_016));
    let csv = CsvFile::parse(&fs::read(&csv[0].path).unwrap());
    let rows = rows_of(&workbook[0].path, "orders");
    let numbers: Vec<String> = rows[1..].iter().map(|row| shown(&row[0])).collect();
    assert_eq!(csv.column("roNumber"), numbers);
}
