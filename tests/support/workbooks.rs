//! Workbooks that the tests write. A cell is a JSON value: a text, a number, `null`, `{"date": "2025-11-03"}`, or
//! `{"formula": "=1+1", "value": "2"}`.

use std::{
    fs::{self, File},
    io::{Cursor, Read, Write},
    path::{Path, PathBuf},
};

use rust_xlsxwriter::{ExcelDateTime, Format, Formula, Workbook, Worksheet};
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Column, MySqlConnection, Row, TypeInfo, ValueRef, mysql::MySqlRow};
use zip::{ZipArchive, ZipWriter, write::SimpleFileOptions};

/// Writes rows into a sheet, from its first row on.
pub fn write_rows(sheet: &mut Worksheet, rows: &Value) {
    for (row, cells) in (0..).zip(rows.as_array().expect("rows")) {
        for (column, cell) in (0..).zip(cells.as_array().expect("cells")) {
            write(sheet, row, column, cell);
        }
    }
}

/// Writes a cell. Rows and columns are counted from zero.
pub fn write(sheet: &mut Worksheet, row: u32, column: u16, cell: &Value) {
    let written = match cell {
        Value::String(text) => sheet.write_string(row, column, text),
        Value::Number(number) => sheet.write_number(row, column, number.as_f64().expect("a number")),
        Value::Object(cell) => match (cell.get("date"), cell.get("formula")) {
            (Some(date), _) => {
                let date = ExcelDateTime::parse_from_str(date.as_str().expect("a date")).expect("a date");
                sheet.write_datetime_with_format(row, column, &date, &Format::new().set_num_format("mm/dd/yy"))
            }
            (_, Some(formula)) => {
                let value = cell["value"].as_str().expect("a value");
                let formula = Formula::new(formula.as_str().expect("a formula")).set_result(value);
                sheet.write_formula(row, column, formula)
            }
            _ => panic!("an unknown cell"),
        },
        _ => return,
    };
    written.expect("the cell is written");
}

/// Writes a workbook with a sheet of rows for each name.
pub fn save(directory: &Path, name: &str, sheets: &Value) -> PathBuf {
    let mut workbook = Workbook::new();
    for (name, rows) in sheets.as_object().expect("sheets") {
        write_rows(workbook.add_worksheet().set_name(name).expect("a name"), rows);
    }
    let path = directory.join(name);
    workbook.save(&path).expect("the workbook is saved");
    path
}

/// Makes a workbook count its dates from 1904.
pub fn count_dates_from_1904(path: &Path) {
    let mut read = ZipArchive::new(Cursor::new(fs::read(path).expect("the workbook"))).expect("a zip file");
    let mut written = ZipWriter::new(File::create(path).expect("the workbook"));
    for place in 0..read.len() {
        let mut part = read.by_index(place).expect("a part");
        let mut text = String::new();
        part.read_to_string(&mut text).expect("XML");
        written.start_file(part.name().expect("a name"), SimpleFileOptions::default()).expect("a part");
        written.write_all(text.replace("<workbookPr ", "<workbookPr date1904=\"1\" ").as_bytes()).expect("a part");
    }
    written.finish().expect("the workbook");
}

/// Returns the tables of a database as sheets, with the names of the columns as headings: numbers as numbers, dates as dates, and
/// everything else as texts.
pub async fn sheets_of(connection: &mut MySqlConnection) -> Value {
    let columns: Vec<(String, String)> = sqlx::query_as(
        "SELECT CAST(TABLE_NAME AS CHAR), CAST(COLUMN_NAME AS CHAR)
         FROM information_schema.COLUMNS
         WHERE TABLE_SCHEMA = DATABASE()
         ORDER BY TABLE_NAME, ORDINAL_POSITION",
    )
    .fetch_all(&mut *connection)
    .await
    .expect("columns");
    let mut sheets = json!({});
    for (table, column) in columns {
        if sheets[&table].is_null() {
            let statement = AssertSqlSafe(format!("SELECT * FROM `{table}`"));
            let rows = sqlx::query(statement).fetch_all(&mut *connection).await.expect("rows");
            let rows = rows.iter().map(|row| (0..row.len()).map(|place| cell(row, place)).collect::<Value>());
            sheets[&table] = [json!([])].into_iter().chain(rows).collect();
        }
        sheets[&table][0].as_array_mut().expect("headings").push(json!(column));
    }
    sheets
}

fn cell(row: &MySqlRow, place: usize) -> Value {
    if row.try_get_raw(place).expect("a value").is_null() {
        return Value::Null;
    }
    match row.column(place).type_info().name() {
        "DOUBLE" => json!(row.get::<f64, _>(place)),
        "BIGINT" => json!(row.get::<i64, _>(place)),
        "INT" => json!(row.get::<i32, _>(place)),
        "DATETIME" => json!({"date": row.get::<chrono::NaiveDateTime, _>(place).to_string()}),
        "TIMESTAMP" => json!({"date": row.get::<chrono::DateTime<chrono::Utc>, _>(place).naive_utc().to_string()}),
        _ => json!(row.get::<&str, _>(place)),
    }
}
