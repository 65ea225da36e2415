//! .xlsx and .xlsm

use std::{collections::HashMap, fs::File, io::BufReader, path::Path};

use anyhow::{Result, anyhow, bail};
use calamine::{DataRef, Reader as _, Xlsx, XlsxCellFormulaMetadataRecord, XlsxError};

use super::{
    cells::{self, FORMULA_WITHOUT_VALUE},
    hidden_rows::{HiddenAndMerged, HiddenRows},
    output::Output,
    process::{PASSWORD, damaged, io_failure},
    protocol::{Area, Sheet, Table},
    xml::{self, Zip},
};
use crate::import::Value;

/// A part that another one refers to.
struct Relationship {
    id: String,
    /// The last word of its type, such as `worksheet`.
    kind: String,
    path: String,
}

/// A sheet, as the workbook lists it.
struct ListedSheet {
    name: String,
    is_hidden: bool,
    kind: String,
    path: String,
}

/// Writes all sheets. The memory that this needs does not depend on the number of rows, except for texts: Excel keeps those of
/// all sheets in one list, which `calamine` reads at once.
pub(super) fn read(file: File, path: &Path, output: &mut Output) -> Result<()> {
    let mut zip = xml::open(file)?;
    let sheets = listed_sheets(&mut zip)?;
    let again = File::open(path).map_err(|error| io_failure(&error))?;
    let mut workbook = Xlsx::new(BufReader::new(again)).map_err(failure)?;
    let has_1904_dates = workbook.has_1904_epoch();
    for sheet in sheets {
        match sheet.kind.as_str() {
            "worksheet" => {}
            "chartsheet" => {
                output.not_read(&sheet.name, "it is a chart, and charts have no rows")?;
                continue;
            }
            "dialogsheet" => {
                output.not_read(&sheet.name, "it is a dialog, and dialogs have no rows")?;
                continue;
            }
            _ => {
                output.not_read(&sheet.name, "it is no sheet of cells")?;
                continue;
            }
        }
        let HiddenAndMerged { mut hidden_rows, merged_cells } = hidden_and_merged(&mut zip, &sheet.path)?;
        let tables = tables(&mut zip, &sheet.path)?;
        let ListedSheet { name, is_hidden, .. } = sheet;
        output.begin_sheet(Sheet { name: name.clone(), is_hidden, tables, merged_cells, has_1904_dates })?;
        rows(&mut workbook, &name, has_1904_dates, &mut hidden_rows, output)?;
    }
    other_parts(&xml::names(&zip), output)
}

/// Returns whether a file that is no zip file is a workbook with a password.
pub(super) fn is_encrypted(file: &File) -> bool {
    matches!(Xlsx::new(BufReader::new(file)), Err(XlsxError::Password))
}

fn rows(
    workbook: &mut Xlsx<BufReader<File>>,
    name: &str,
    has_1904_dates: bool,
    hidden_rows: &mut HiddenRows,
    output: &mut Output,
) -> Result<()> {
    let mut reader = workbook.worksheet_cells_reader(name).map_err(failure)?;
    let mut number = 0;
    let mut cells = Vec::new();
    while let Some(record) = reader.next_cell_with_formula_metadata().map_err(failure)? {
        let XlsxCellFormulaMetadataRecord { pos: (row, column), value, formula } = record;
        if Area::new((row, column), (row, column)).is_none() {
            return Err(damaged());
        }
        if row + 1 != number {
            output.row(number, hidden_rows.contain(number), std::mem::take(&mut cells))?;
            number = row + 1;
        }
        let value = match value {
            DataRef::Empty if formula.is_some() => Value::Error(FORMULA_WITHOUT_VALUE.to_owned()),
            value => cells::value(value.into(), has_1904_dates),
        };
        cells.push((column + 1, value));
    }
    output.row(number, hidden_rows.contain(number), cells)
}

fn failure(error: XlsxError) -> anyhow::Error {
    match error {
        XlsxError::Password => anyhow!(PASSWORD),
        XlsxError::Io(error) => io_failure(&error),
        XlsxError::Zip(error) => xml::zip_failure(&error),
        XlsxError::Xml(error) => xml::xml_failure(&error),
        XlsxError::CellError(text) => {
            anyhow!(
                "has a cell with the error {text}, which is unknown: clear this cell in Excel and save the file again"
            )
        }
        XlsxError::Unrecognized { typ: "sheet:type", .. } => {
            anyhow!("has a sheet of macros as in Excel 4: save it in Excel as an .xlsx workbook without them")
        }
        _ => damaged(),
    }
}

/// Lists the sheets in the order of their tabs.
fn listed_sheets(zip: &mut Zip) -> Result<Vec<ListedSheet>> {
    let package = relationships(zip, "")?;
    let workbook = package.into_iter().find(|part| part.kind == "officeDocument");
    let Some(workbook) = workbook else {
        bail!("is no Excel workbook: open it in Excel and save it as an .xlsx workbook")
    };
    let parts: HashMap<String, Relationship> =
        relationships(zip, &workbook.path)?.into_iter().map(|part| (part.id.clone(), part)).collect();
    let mut sheets = Vec::new();
    let xml = xml::part(zip, &workbook.path)?.ok_or_else(damaged)?;
    xml::walk(xml, |name, element| {
        let ("sheet", Some(element)) = (name, element) else { return Ok(()) };
        let id = xml::attribute(element, "id")?.unwrap_or_default();
        let part = parts.get(&id).ok_or_else(damaged)?;
        sheets.push(ListedSheet {
            name: xml::attribute(element, "name")?.unwrap_or_default(),
            is_hidden: xml::attribute(element, "state")?.is_some_and(|state| state != "visible"),
            kind: part.kind.clone(),
            path: part.path.clone(),
        });
        Ok(())
    })?;
    Ok(sheets)
}

/// Returns the parts to which the part at `path` refers. The package itself has the path "".
fn relationships(zip: &mut Zip, path: &str) -> Result<Vec<Relationship>> {
    let (folder, name) = path.rsplit_once('/').map_or(("", path), |(folder, name)| (folder, name));
    let slash = if folder.is_empty() { "" } else { "/" };
    let Some(xml) = xml::part(zip, &format!("{folder}{slash}_rels/{name}.rels"))? else { return Ok(Vec::new()) };
    let mut found = Vec::new();
    xml::walk(xml, |name, element| {
        let ("Relationship", Some(element)) = (name, element) else { return Ok(()) };
        let kind = xml::attribute(element, "Type")?.unwrap_or_default();
        let target = xml::attribute(element, "Target")?.unwrap_or_default();
        found.push(Relationship {
            id: xml::attribute(element, "Id")?.unwrap_or_default(),
            kind: kind.rsplit('/').next().unwrap_or_default().to_owned(),
            path: resolve(folder, &target),
        });
        Ok(())
    })?;
    Ok(found)
}

/// Resolves a path such as `../tables/table1.xml` from `folder`.
fn resolve(folder: &str, target: &str) -> String {
    let target = target.replace('\\', "/");
    let mut path: Vec<&str> = if target.starts_with('/') { Vec::new() } else { folder.split('/').collect() };
    for part in target.split('/') {
        match part {
            ".." => drop(path.pop()),
            "" | "." => {}
            part => path.push(part),
        }
    }
    path.retain(|part| !part.is_empty());
    path.join("/")
}

fn hidden_and_merged(zip: &mut Zip, path: &str) -> Result<HiddenAndMerged> {
    let mut found = HiddenAndMerged::default();
    let mut row = 0_u32;
    xml::walk(xml::part(zip, path)?.ok_or_else(damaged)?, |name, element| {
        match (name, element) {
            ("row", Some(element)) => {
                row = xml::number(element, "r")?.unwrap_or(row.saturating_add(1));
                if xml::attribute(element, "hidden")?.is_some_and(|hidden| matches!(hidden.as_str(), "1" | "true")) {
                    found.hidden_rows.push(row, row);
                }
            }
            ("mergeCell", Some(element)) => {
                let area = xml::attribute(element, "ref")?.as_deref().and_then(Area::parse);
                found.merged_cells.push(area.ok_or_else(damaged)?);
            }
            _ => {}
        }
        Ok(())
    })?;
    Ok(found)
}

/// Reads the tables of the sheet at `path`. `calamine` would read all their cells, too.
fn tables(zip: &mut Zip, path: &str) -> Result<Vec<Table>> {
    let mut tables = Vec::new();
    for part in relationships(zip, path)?.into_iter().filter(|part| part.kind == "table") {
        let Some(xml) = xml::part(zip, &part.path)? else { continue };
        xml::walk(xml, |name, element| {
            let ("table", Some(element)) = (name, element) else { return Ok(()) };
            let name = match xml::attribute(element, "displayName")? {
                Some(name) => name,
                None => xml::attribute(element, "name")?.unwrap_or_default(),
            };
            let area = xml::attribute(element, "ref")?.as_deref().and_then(Area::parse);
            let mut area = area.ok_or_else(damaged)?;
            let totals = xml::number(element, "totalsRowCount")?.unwrap_or(0);
            area.last_row = area.last_row.saturating_sub(totals).max(area.first_row);
            let has_headings = xml::number(element, "headerRowCount")? != Some(0);
            tables.push(Table::new(name, has_headings, area));
            Ok(())
        })?;
    }
    Ok(tables)
}

/// Names what the workbook has beside sheets.
fn other_parts(names: &[String], output: &mut Output) -> Result<()> {
    for (part, name, reason) in [
        ("/vbaproject", "macros", "macros are not run"),
        ("/comments", "comments", "comments and notes on cells are not read"),
        ("/threadedcomments/", "threaded comments", "comments on cells are not read"),
        ("/charts/", "charts", "charts have no rows"),
        ("/media/", "pictures", "pictures are not read"),
        ("/embeddings/", "embedded files", "files within the workbook are not read"),
        (
            "/externallinks/",
            "links to other workbooks",
            "the values are those of the last time that Excel updated the links",
        ),
    ] {
        if names.iter().any(|found| found.replace('\\', "/").to_ascii_lowercase().contains(part)) {
            output.not_read(name, reason)?;
        }
    }
    Ok(())
}
