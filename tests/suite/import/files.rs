//! Workbooks and CSV files, as `rotracker read-sheets` reads them.

use std::{
    fs,
    io::{Cursor, Read, Write},
    os::unix::fs::{PermissionsExt, symlink},
    path::{Path, PathBuf},
    process::Command,
};

use rotracker_cli::import::{
    Value,
    sheets::{Area, Item, NotRead, SheetReader, Table},
};
use rotracker_tests::emulator;
use rust_xlsxwriter::{Chart, ChartType, Format, Formula, Note, TableColumn, TableFunction, Workbook};
use tempfile::TempDir;
use zip::{ZipArchive, ZipWriter, write::SimpleFileOptions};

/// A new folder with one file.
struct File {
    folder: TempDir,
    path: PathBuf,
}

impl File {
    fn new(name: &str, content: impl AsRef<[u8]>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        fs::write(&path, content).unwrap();
        Self { folder, path }
    }

    async fn read(&self) -> Result<Vec<Item>, String> {
        read(&self.path).await
    }
}

async fn read(path: &Path) -> Result<Vec<Item>, String> {
    read_by(&emulator::binary("rotracker").await, path).await
}

async fn read_by(program: &Path, path: &Path) -> Result<Vec<Item>, String> {
    let mut reader = SheetReader::start(program, path).unwrap();
    let mut items = Vec::new();
    loop {
        match reader.next().await {
            Ok(Some(item)) => items.push(item),
            Ok(None) => return Ok(items),
            Err(error) => {
                let sentence = format!("{error:#}");
                assert_eq!(reader.next().await.unwrap_err().to_string(), sentence, "the error stays");
                return Err(sentence);
            }
        }
    }
}

/// A workbook that is checked in.
fn stored(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("data/workbooks").join(name)
}

/// Shows items in few words: `[Sheet]`, `2: A=x C=1.5`, `3 hidden: A=y`, `not read: macros`.
fn shown(items: &[Item]) -> Vec<String> {
    let cell = |(column, value): &(u32, Value)| {
        let column = char::from_u32(u32::from(b'A') + column - 1).unwrap();
        match value {
            Value::Text(text) => format!(" {column}={text}"),
            Value::Error(text) => format!(" {column}=error {text}"),
            Value::Integer(number) => format!(" {column}=whole {number}"),
            Value::Double(number) => format!(" {column}=number {number}"),
            value => format!(" {column}=date {value}"),
        }
    };
    let item = |item: &Item| match item {
        Item::Sheet(sheet) if sheet.is_hidden => format!("[{}] hidden", sheet.name),
        Item::Sheet(sheet) => format!("[{}]", sheet.name),
        Item::Row(row) => {
            let hidden = if row.is_hidden { " hidden" } else { "" };
            format!("{}{hidden}:{}", row.number, row.cells.iter().map(cell).collect::<String>())
        }
        Item::NotRead(NotRead { name, .. }) => format!("not read: {name}"),
    };
    items.iter().map(item).collect()
}

async fn rows_of(name: &str, content: impl AsRef<[u8]>) -> Vec<String> {
    shown(&File::new(name, content).read().await.unwrap())[1..].to_vec()
}

async fn error_of(name: &str, content: impl AsRef<[u8]>) -> String {
    let error = File::new(name, content).read().await.unwrap_err();
    assert!(error.starts_with(name) && !error.contains('{') && !error.contains("::"), "{error}");
    error
}

/// Replaces a part of a zip file by `change`, which gets the old one.
fn edited(zip: &[u8], part: &str, change: impl Fn(String) -> String) -> Vec<u8> {
    let mut old = ZipArchive::new(Cursor::new(zip)).unwrap();
    let mut new = ZipWriter::new(Cursor::new(Vec::new()));
    for index in 0..old.len() {
        let mut file = old.by_index(index).unwrap();
        let name = file.name().unwrap().into_owned();
        new.start_file(name.as_str(), SimpleFileOptions::default()).unwrap();
        let mut content = Vec::new();
        file.read_to_end(&mut content).unwrap();
        if name == part {
            content = change(String::from_utf8(content).unwrap()).into_bytes();
        }
        new.write_all(&content).unwrap();
    }
    new.finish().unwrap().into_inner()
}

fn workbook(fill: impl Fn(&mut Workbook)) -> Vec<u8> {
    let mut workbook = Workbook::new();
    fill(&mut workbook);
    workbook.save_to_buffer().unwrap()
}

fn small_workbook() -> Vec<u8> {
    workbook(|workbook| {
        workbook.add_worksheet().write_string(0, 0, "RO").unwrap().write_number(1, 0, 65214).unwrap();
    })
}

#[tokio::test]
async fn csv_files_are_read_as_excel_shows_them() {
    let cases: [(&str, &[u8], &[&str]); 18] = [
        ("commas.csv", b"RO,Cost\n1,2\n", &["1: A=RO B=Cost", "2: A=1 B=2"]),
        ("no line end at the end.csv", b"RO,Cost\r\n1,2", &["1: A=RO B=Cost", "2: A=1 B=2"]),
        ("semicolons.CSV", b"RO;Cost\n1;2,50\n", &["1: A=RO B=Cost", "2: A=1 B=2,50"]),
        ("tabs.txt", b"RO\tCost\n1\t2,50\n", &["1: A=RO B=Cost", "2: A=1 B=2,50"]),
        ("tabs.tsv", b"RO\tCost, in $\n1\t\n", &["1: A=RO B=Cost, in $", "2: A=1"]),
        ("line with the delimiter.csv", b"sep=|\r\nRO|Cost\r\n1|2\r\n", &["1: A=RO B=Cost", "2: A=1 B=2"]),
        ("byte order mark.csv", b"\xEF\xBB\xBFsep=;\nRO;\xC3\x84\n", &["1: A=RO B=\u{C4}"]),
        ("byte order mark and quotes.csv", b"\xEF\xBB\xBF\"RO\",B\n", &["1: A=RO B=B"]),
        ("windows.csv", b"RO,\xC4 \x80\n", &["1: A=RO B=\u{C4} \u{20AC}"]),
        ("character cut.csv", b"RO,\xC3", &["1: A=RO B=\u{C3}"]),
        (
            "line breaks.csv",
            b"RO,Notes\n1,\"a\r\nb, \"\"c\"\"\"\n2,d\n",
            &["1: A=RO B=Notes", "2: A=1 B=a\r\nb, \"c\"", "3: A=2 B=d"],
        ),
        ("empty lines.csv", b"\nRO,Cost\n\n,\n1,2\n\n", &["1: A=RO B=Cost", "3: A=1 B=2"]),
        ("lengths.csv", b"a,b,c\nd\ne,f\n,,,g\nh", &["1: A=a B=b C=c", "2: A=d", "3: A=e B=f", "4: D=g", "5: A=h"]),
        ("one column.csv", b"RO\n1\n", &["1: A=RO", "2: A=1"]),
        ("inches.csv", b"bolt 3\",x\n", &["1: A=bolt 3\" B=x"]),
        ("old mac.csv", b"a,b\rc,d\r", &["1: A=a B=b", "2: A=c B=d"]),
        ("spaces.csv", b"a, b \n", &["1: A=a B= b "]),
        ("nothing.csv", b"\n", &[]),
    ];
    for (name, content, expected) in cases {
        assert_eq!(rows_of(name, content).await, expected, "{name}");
    }
    let items = File::new("Orders of May.csv", "a\n").read().await.unwrap();
    let Item::Sheet(sheet) = &items[0] else { panic!("{items:?}") };
    assert_eq!((sheet.name.as_str(), sheet.is_hidden), ("Orders of May", false));
}

#[tokio::test]
async fn a_long_csv_file_is_decoded_across_the_pieces_in_which_it_is_read() {
    // Each line has 7 bytes, so that a character of two bytes is at every boundary of a piece.
    let lines = 100_000;
    let items = File::new("long.csv", "\u{C4},\u{D6}\r\n".repeat(lines)).read().await.unwrap();
    assert_eq!(items.len(), lines + 1);
    let last = format!("{lines}: A=\u{C4} B=\u{D6}");
    assert_eq!(shown(&items[lines..]), [last]);
    let windows = [b"\xC4,\xD6\r\n".repeat(lines), b"\xC3\x84,\n".to_vec()].concat();
    let items = File::new("windows.csv", windows).read().await.unwrap();
    assert_eq!(
        shown(&items[lines..]),
        [format!("{lines}: A=\u{C4} B=\u{D6}"), format!("{}: A=\u{C3}\u{201E}", lines + 1)]
    );
}

#[tokio::test]
async fn csv_files_that_are_cut_off_or_no_text_are_refused() {
    let many_columns = format!("{}\n", (0..1_001).map(|column| column.to_string()).collect::<Vec<_>>().join(","));
    let million_columns = format!("{}\n", ",".repeat(1_000_000));
    let long_cell = format!("a,{}\n", "x".repeat(1_000_001));
    let long_row = format!("{}\n", vec!["x".repeat(900_000); 10].join(","));
    let cases: [(&str, &[u8], &str); 12] = [
        ("quotes.csv", b"a,b\n1,\"2\n3,4\n", "ends within quotation marks, which begin in row 2"),
        ("cut.csv", b"a,b,c\n1,2,3\n4,5", "was cut off"),
        ("utf-16.csv", b"\xFF\xFEa\0,\0", "save it as \"CSV UTF-8\""),
        ("utf-16 big.csv", b"\xFE\xFF\0a\0,", "save it as \"CSV UTF-8\""),
        ("zeros.csv", b"a,b\n\0,2\n", "is no CSV file"),
        ("picture.csv", b"\x89PNG\r\n\x1A\n\0\0\0\rIHDR", "is no CSV file"),
        ("empty.csv", b"", "is empty"),
        ("many columns.csv", many_columns.as_bytes(), "more than 1000 columns with values"),
        ("million columns.csv", million_columns.as_bytes(), "more than 16384 columns in row 1"),
        ("long cell.csv", long_cell.as_bytes(), "a cell with more than 1000000 bytes of text in row 1"),
        ("long row.csv", long_row.as_bytes(), "more than 8000000 bytes of text in row 1"),
        ("workbook.csv", &small_workbook(), "is no CSV file"),
    ];
    for (name, content, expected) in cases {
        let error = error_of(name, content).await;
        assert!(error.contains(expected), "{error}");
    }
}

#[tokio::test]
async fn a_workbook_is_read_with_its_values_and_its_layout() {
    let content = workbook(|workbook| {
        let sheet = workbook.add_worksheet().set_name("Open orders").unwrap();
        let date = Format::new().set_num_format("yyyy-mm-dd hh:mm:ss.000");
        let time = Format::new().set_num_format("hh:mm");
        let duration = Format::new().set_num_format("[h]:mm");
        sheet.merge_range(0, 0, 0, 3, "Orders", &Format::new()).unwrap();
        for (row, number) in [(2, 65_214.0), (3, 9800.005), (4, 9_007_199_254_740_992.0), (5, -2.0)] {
            sheet.write_number(row, 0, number).unwrap();
        }
        sheet.write_number_with_format(2, 1, 45_964.586_805_555_555, &date).unwrap();
        sheet.write_number_with_format(3, 1, 45_964.000_000_017_4, &date).unwrap();
        sheet.write_number_with_format(4, 1, 0.586_805_555_555, &time).unwrap();
        sheet.write_number_with_format(5, 1, 1.25, &duration).unwrap();
        sheet.write_boolean(2, 2, true).unwrap().write_boolean(3, 2, false).unwrap();
        for (row, result) in [(2, "#N/A"), (3, "4.5"), (4, "text")] {
            sheet.write_formula(row, 3, Formula::new("=A1").set_result(result)).unwrap();
        }
        sheet.write_string(2, 16_383, "stray").unwrap();
        sheet.write_string(4, 2, " x\n\u{C4} ").unwrap();
        for row in [3, 4, 1_000_000] {
            sheet.set_row_hidden(row).unwrap();
        }
        sheet.insert_note(2, 0, &Note::new("a note")).unwrap();

        let sheet = workbook.add_worksheet().set_name("Tables").unwrap();
        let total = TableColumn::new().set_header("Cost").set_total_function(TableFunction::Sum);
        let columns = [TableColumn::new().set_header("RO"), total];
        let table = rust_xlsxwriter::Table::new().set_name("Orders").set_columns(&columns).set_total_row(true);
        sheet.add_table(1, 1, 4, 2, &table).unwrap();
        sheet.add_table(6, 0, 7, 1, &rust_xlsxwriter::Table::new().set_name("Bare").set_header_row(false)).unwrap();

        let mut chart = Chart::new(ChartType::Pie);
        chart.add_series().set_values("=Tables!$C$3:$C$4");
        workbook.add_chartsheet().set_name("Diagram").unwrap().insert_chart(0, 0, &chart).unwrap();
        workbook.add_worksheet().set_name("Archive").unwrap().set_hidden(true).write_string(0, 0, "old").unwrap();
        workbook.add_worksheet().set_name("Secret").unwrap().set_very_hidden(true);
    });
    let items = File::new("orders.XLSX", content).read().await.unwrap();
    let lines = shown(&items);
    assert_eq!(lines[..3], ["[Open orders]", "1: A=Orders", &lines[2]]);
    assert!(lines[2].starts_with("3: A=whole 65214 B=date 2025-11-03 14:05:00 C=TRUE D=error #N/A"), "{}", lines[2]);
    assert_eq!(
        lines[3..6],
        [
            "4 hidden: A=number 9800.005 B=date 2025-11-03 00:00:00.002 C=FALSE D=number 4.5",
            "5 hidden: A=number 9007199254740992 B=14:05:00 C= x\n\u{C4}  D=text",
            "6: A=whole -2 B=30:00:00",
        ]
    );
    let Item::Row(row) = &items[2] else { panic!("{items:?}") };
    assert_eq!(row.cells.last().unwrap(), &(16_384, Value::Text("stray".to_owned())));
    assert_eq!(
        lines[6..],
        [
            "[Tables]",
            "2: B=RO C=Cost",
            &lines[8],
            "not read: Diagram",
            "[Archive] hidden",
            "1: A=old",
            "[Secret] hidden",
            "not read: comments",
            "not read: charts",
        ]
    );
    let sheet = |index: usize| match &items[index] {
        Item::Sheet(sheet) => sheet.clone(),
        item => panic!("{item:?}"),
    };
    assert_eq!(sheet(0).merged_cells, [Area { first_row: 1, last_row: 1, first_column: 1, last_column: 4 }]);
    let orders = Table {
        name: "Orders".to_owned(),
        has_headings: true,
        first_row: 2,
        last_row: 4,
        first_column: 2,
        last_column: 3,
    };
    let bare = Table {
        name: "Bare".to_owned(),
        has_headings: false,
        first_row: 7,
        last_row: 8,
        first_column: 1,
        last_column: 2,
    };
    assert_eq!(sheet(6).tables, [orders, bare]);
}

#[tokio::test]
async fn workbooks_of_other_programs_are_read() {
    for (name, expected) in [
        (
            "orders.xls",
            vec![
                "[Open orders]",
                "1: A=Orders of \u{C4}",
                "2: A=RO B=Cost C=Date D=Done E=Total F=Time",
                "3: A=whole 65214 B=number 9800.005 C=date 2025-11-03 14:05:00 D=TRUE F=14:05:00",
                "4: A=error #N/A",
                "[Archive] hidden",
                "1: A=old",
                "[Empty]",
                "not read: hidden rows",
            ],
        ),
        ("dates-from-1904.xls", vec!["[Dates]", "1: A=date 2025-11-03", "not read: hidden rows"]),
        (
            "orders.ods",
            vec![
                "[Open orders]",
                "1: A=Orders of \u{C4}",
                "5 hidden: A=whole 65214 D=number 9800.005",
                "6 hidden: A=whole 65214 D=number 9800.005",
                "7: A=date 2025-11-03 B=date 2025-11-03 14:05:00.124 C=14:05:00 D=TRUE E=error formula without a saved value: open the file in Excel and save it F=error #N/A",
                "[Archive] hidden",
                "1: A=old",
            ],
        ),
        (
            "formula-without-value.xlsx",
            vec![
                "[Sheet]",
                "1: A=RO B=Total",
                "2: A=whole 65214 B=error formula without a saved value: open the file in Excel and save it",
            ],
        ),
    ] {
        assert_eq!(shown(&read(&stored(name)).await.unwrap()), expected, "{name}");
    }
    for (name, last_column) in [("orders.xls", 6), ("orders.ods", 3)] {
        let items = read(&stored(name)).await.unwrap();
        let Item::Sheet(sheet) = &items[0] else { panic!("{items:?}") };
        assert_eq!(sheet.merged_cells, [Area { first_row: 1, last_row: 1, first_column: 1, last_column }], "{name}");
    }
}

#[tokio::test]
async fn days_are_counted_from_1904_if_the_workbook_says_so() {
    let content = workbook(|workbook| {
        let date = Format::new().set_num_format("yyyy-mm-dd");
        workbook.add_worksheet().write_number_with_format(0, 0, 44_502, &date).unwrap();
    });
    let content = edited(&content, "xl/workbook.xml", |xml| xml.replace("<workbookPr", "<workbookPr date1904=\"1\""));
    let items = File::new("mac.xlsx", content).read().await.unwrap();
    assert_eq!(shown(&items)[1], "1: A=date 2025-11-03");
    assert!(matches!(&items[0], Item::Sheet(sheet) if sheet.has_1904_dates));
}

#[tokio::test]
async fn a_formula_has_the_value_that_was_saved_or_an_error() {
    let rows = [
        ("<c r=\"A2\" t=\"str\"><f>\"\"</f><v></v></c>", None),
        (
            "<c r=\"A2\"><f>B2</f></c>",
            Some("2: A=error formula without a saved value: open the file in Excel and save it"),
        ),
        (
            "<c r=\"A2\"><f t=\"shared\" si=\"0\"/></c>",
            Some("2: A=error formula without a saved value: open the file in Excel and save it"),
        ),
        ("<c r=\"A2\" t=\"b\"><f>B2</f><v>1</v></c>", Some("2: A=TRUE")),
        ("<c r=\"A2\" t=\"e\"><f>B2</f><v>#DIV/0!</v></c>", Some("2: A=error #DIV/0!")),
        ("<c r=\"A2\" t=\"d\"><v>2025-11-03T14:05:00Z</v></c>", Some("2: A=date 2025-11-03 14:05:00")),
    ];
    for (cell, expected) in rows {
        let content = edited(&small_workbook(), "xl/worksheets/sheet1.xml", |xml| {
            xml.replace("<c r=\"A2\"><v>65214</v></c>", cell)
        });
        assert_eq!(rows_of("formula.xlsx", content).await.get(1).map(String::as_str), expected, "{cell}");
    }
}

#[tokio::test]
async fn macros_are_said_not_to_be_run() {
    let mut zip = ZipWriter::new_append(Cursor::new(small_workbook())).unwrap();
    zip.start_file("xl/vbaProject.bin", SimpleFileOptions::default()).unwrap();
    zip.write_all(b"macros").unwrap();
    let items = File::new("macros.xlsm", zip.finish().unwrap().into_inner()).read().await.unwrap();
    let reason = "macros are not run".to_owned();
    assert_eq!(items.last(), Some(&Item::NotRead(NotRead { name: "macros".to_owned(), reason })));
}

#[tokio::test]
async fn a_workbook_without_cells_has_a_sheet_without_rows() {
    let content = workbook(|workbook| {
        workbook.add_worksheet();
    });
    assert_eq!(shown(&File::new("new.xlsx", content).read().await.unwrap()), ["[Sheet1]"]);
}

#[tokio::test]
async fn files_that_are_no_workbooks_are_refused() {
    let zip_of_text = {
        let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
        zip.start_file("letter.txt", SimpleFileOptions::default()).unwrap();
        zip.finish().unwrap().into_inner()
    };
    let whole = small_workbook();
    let xls = fs::read(stored("orders.xls")).unwrap();
    let cases: [(&str, &[u8], &str); 12] = [
        ("text.xlsx", b"RO,Cost\n1,2\n", "is no .xlsx workbook, although its name says so"),
        ("page.xls", b"<html><table>", "is no .xls workbook, although its name says so"),
        ("text.ods", b"RO", "is no .ods workbook"),
        ("old.xlsx", &xls, "is no .xlsx workbook"),
        ("new.xls", &whole, "is no .xls workbook"),
        ("new.ods", &whole, "is no .ods workbook"),
        ("letters.xlsx", &zip_of_text, "is no Excel workbook"),
        ("half.xlsx", &whole[..whole.len() / 2], "is damaged or was cut off"),
        ("half.xls", &xls[..xls.len() / 2], "is damaged or was cut off"),
        ("empty.xlsx", b"", "is empty"),
        ("orders.pdf", b"%PDF", "does not end in .xlsx, .xlsm, .xls, .ods, .csv, .txt or .tsv"),
        ("orders", b"a,b\n", "does not end in .xlsx"),
    ];
    for (name, content, expected) in cases {
        let error = error_of(name, content).await;
        assert!(error.contains(expected), "{error}");
    }
    for name in ["password.xlsx", "password.xls", "password.ods"] {
        let error = read(&stored(name)).await.unwrap_err();
        assert!(error.starts_with(&format!("{name} is protected by a password")), "{error}");
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("folder.xlsx");
    assert_eq!(read(&path).await.unwrap_err(), "folder.xlsx does not exist");
    fs::create_dir(&path).unwrap();
    assert_eq!(read(&path).await.unwrap_err(), "folder.xlsx is a folder and no file");
    let device = folder.path().join("zero.csv");
    symlink("/dev/zero", &device).unwrap();
    assert_eq!(read(&device).await.unwrap_err(), "zero.csv is no ordinary file");
}

#[tokio::test]
async fn damaged_sheets_are_refused() {
    let sheet = "xl/worksheets/sheet1.xml";
    let whole = small_workbook();
    let change = |from: &'static str, to: &'static str| edited(&whole, sheet, |xml| xml.replacen(from, to, 1));
    for (name, content) in [
        ("cut XML.xlsx", edited(&whole, sheet, |xml| xml[..xml.len() / 2].to_owned())),
        ("row number.xlsx", change("r=\"A2\"", "r=\"A99999999999\"")),
        ("column.xlsx", change("r=\"A2\"", "r=\"ZZZZ2\"")),
        ("twice.xlsx", change("r=\"A2\"", "r=\"A1\"")),
        ("text.xlsx", change("<v>0</v>", "<v>7</v>")),
        (
            "cut content.ods",
            edited(&fs::read(stored("orders.ods")).unwrap(), "content.xml", |xml| xml[..xml.len() / 2].to_owned()),
        ),
    ] {
        let error = error_of(name, content).await;
        assert!(error.contains("is damaged"), "{error}");
    }
    // Excel has had more errors than those that are known since 2018.
    let content = change("<c r=\"A2\">", "<c r=\"A2\" t=\"e\">");
    let error = error_of("error.xlsx", edited(&content, sheet, |xml| xml.replace("65214", "#SPILL!"))).await;
    assert!(error.contains("has a cell with the error #SPILL!"), "{error}");
}

/// Returns a workbook with a part that has a text of 640 MB.
fn bomb(part: &str, begin: &str) -> Vec<u8> {
    let mut old = ZipArchive::new(Cursor::new(small_workbook())).unwrap();
    let mut new = ZipWriter::new(Cursor::new(Vec::new()));
    let names: Vec<_> = old.file_names().map(|name| name.unwrap().into_owned()).filter(|name| name != part).collect();
    for name in names {
        new.raw_copy_file(old.by_name(&name).unwrap()).unwrap();
    }
    new.start_file(part, SimpleFileOptions::default().compression_level(Some(1))).unwrap();
    new.write_all(begin.as_bytes()).unwrap();
    let zeros = vec![b'0'; 1 << 20];
    for _ in 0..640 {
        new.write_all(&zeros).unwrap();
    }
    new.finish().unwrap().into_inner()
}

#[tokio::test]
async fn zip_bombs_need_too_much_memory() {
    for (part, begin) in [
        ("xl/sharedStrings.xml", "<sst><si><t>"),
        ("xl/worksheets/sheet1.xml", "<worksheet><sheetData><row r=\"1\"><c r=\"A1\" t=\"str\"><v>"),
    ] {
        let bomb = bomb(part, begin);
        assert!(bomb.len() < 20_000_000, "{}", bomb.len());
        let error = error_of("bomb.xlsx", bomb).await;
        assert!(error.contains("needs more than"), "{part}: {error}");
    }
}

#[tokio::test]
async fn sheets_with_millions_of_repeated_cells_are_read_or_refused() {
    let content = fs::read(stored("orders.ods")).unwrap();
    let repeated =
        |xml: String| xml.replacen("table:number-rows-repeated=\"2\"", "table:number-rows-repeated=\"100000\"", 1);
    let items = File::new("rows.ods", edited(&content, "content.xml", repeated)).read().await.unwrap();
    assert_eq!(shown(&items)[100_001], "100004 hidden: A=whole 65214 D=number 9800.005");
    let repeated = |xml: String| {
        xml.replacen(
            "office:value-type=\"float\"",
            "table:number-columns-repeated=\"1000000\" office:value-type=\"float\"",
            1,
        )
    };
    let error = error_of("columns.ods", edited(&content, "content.xml", repeated)).await;
    assert!(error.contains("more than 1000 columns with values"), "{error}");
}

/// A program that takes the place of `rotracker`.
fn program(folder: &TempDir, script: &str) -> PathBuf {
    let path = folder.path().join("program");
    fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path
}

#[tokio::test]
async fn whatever_ends_the_process_becomes_one_sentence() {
    let file = File::new("orders.csv", "a\n");
    for (script, expected) in [
        ("kill -XCPU $$", "takes more than 10 minutes to be read"),
        ("kill -ABRT $$", "needs more than"),
        ("kill -KILL $$", "needs more than"),
        ("kill -SEGV $$", "is damaged or was cut off"),
        ("exit 0", "ended too early"),
        ("exit 1", "ended too early"),
        ("echo nonsense", "ended too early"),
        ("printf '\"En'", "ended too early"),
        ("cat /dev/zero", "needs more than"),
    ] {
        let error = read_by(&program(&file.folder, script), &file.path).await.unwrap_err();
        assert!(error.starts_with("orders.csv ") && error.contains(expected), "{script}: {error}");
    }
}

#[tokio::test]
async fn the_process_is_hidden_and_ends_with_its_reader() {
    let rotracker = emulator::binary("rotracker").await;
    let help = Command::new(&rotracker).arg("--help").output().unwrap();
    assert!(!String::from_utf8(help.stdout).unwrap().contains("read-sheets"));
    let file = File::new("orders.csv", "a\n");
    let script = r#"printf '{"Item":{"NotRead":{"name":"%s","reason":""}}}\n' $$; exec sleep 600"#;
    let waiting = program(&file.folder, script);
    let mut reader = SheetReader::start(&waiting, &file.path).unwrap();
    let Some(Item::NotRead(NotRead { name: process, .. })) = reader.next().await.unwrap() else { panic!("no item") };
    drop(reader);
    let process = rustix::process::Pid::from_raw(process.parse().unwrap()).unwrap();
    while rustix::process::test_kill_process(process).is_ok() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn the_process_gets_no_password() {
    let file = File::new("orders.csv", "a\n");
    let script = r#"printf '{"Item":{"NotRead":{"name":"%s","reason":""}}}\n"End"\n' "$HOME$CARGO_MANIFEST_DIR""#;
    let items = read_by(&program(&file.folder, script), &file.path).await.unwrap();
    assert!(std::env::var_os("HOME").is_some());
    assert!(matches!(&items[..], [Item::NotRead(NotRead { name, .. })] if name.is_empty()), "{items:?}");
}
