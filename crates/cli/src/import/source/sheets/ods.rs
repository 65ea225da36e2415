//! .ods

use std::{fs::File, io::BufReader, path::Path};

use anyhow::{Result, anyhow, bail};
use calamine::{Data, Ods, OdsError, Reader as _, SheetVisible};

use super::{
    cells::{self, FORMULA_WITHOUT_VALUE},
    output::Output,
    process::{PASSWORD, damaged, io_failure},
    protocol::{Area, Sheet},
    xml::{self, Zip},
};
use crate::import::Value;

/// The most bytes of the cells, unpacked. `calamine` needs up to ten times as much memory.
const MAX_CONTENT: u64 = 200 << 20;
/// The errors that a formula shows, except those that begin with `Err:`.
const ERRORS: [&str; 8] = ["#DIV/0!", "#N/A", "#NAME?", "#NULL!", "#NUM!", "#REF!", "#VALUE!", "#ERR!"];

/// What `calamine` does not tell about a sheet.
#[derive(Default)]
struct Layout {
    /// The first and the last row of each block of hidden rows.
    hidden_rows: Vec<(u32, u32)>,
    merged_cells: Vec<Area>,
}

/// Writes all sheets. `calamine` reads all of them at once.
pub(super) fn read(file: File, path: &Path, output: &mut Output) -> Result<()> {
    let mut zip = xml::open(file)?;
    if is_encrypted(&mut zip)? {
        bail!(PASSWORD);
    }
    let size = zip.by_name("content.xml").map_err(|error| xml::zip_failure(&error))?.size();
    if size > MAX_CONTENT {
        bail!(
            "is too large: unpacked, it has {} MB, and at most {} can be read: save it as .xlsx",
            size >> 20,
            MAX_CONTENT >> 20
        );
    }
    let (layouts, has_comments) = layouts(&mut zip)?;
    let again = File::open(path).map_err(|error| io_failure(&error))?;
    let mut workbook = Ods::new(BufReader::new(again)).map_err(failure)?;
    for (sheet, layout) in workbook.sheets_metadata().to_vec().into_iter().zip(layouts) {
        output.begin_sheet(Sheet {
            name: sheet.name.clone(),
            is_hidden: sheet.visible != SheetVisible::Visible,
            tables: Vec::new(),
            merged_cells: layout.merged_cells,
            has_1904_dates: false,
        })?;
        rows(&mut workbook, &sheet.name, &layout.hidden_rows, output)?;
    }
    if has_comments {
        output.not_read("comments", "comments on cells are not read")?;
    }
    let names = xml::names(&zip);
    for (part, name, reason) in [
        ("Basic/", "macros", "macros are not run"),
        ("Scripts/", "scripts", "scripts are not run"),
        ("Pictures/", "pictures", "pictures are not read"),
        ("Object ", "charts and embedded files", "charts and files within the workbook are not read"),
    ] {
        if names.iter().any(|found| found.starts_with(part) && !found.ends_with('/')) {
            output.not_read(name, reason)?;
        }
    }
    Ok(())
}

fn rows(
    workbook: &mut Ods<BufReader<File>>,
    name: &str,
    hidden_rows: &[(u32, u32)],
    output: &mut Output,
) -> Result<()> {
    let values = workbook.worksheet_range(name).map_err(failure)?;
    let formulas = workbook.worksheet_formula(name).map_err(failure)?;
    // A formula without a value may be outside of the area that has values.
    let areas = [values.start().zip(values.end()), formulas.start().zip(formulas.end())];
    let rows = areas.iter().flatten().flat_map(|(first, last)| [first.0, last.0]);
    let columns = areas.iter().flatten().flat_map(|(first, last)| [first.1, last.1]);
    let (Some(first_row), Some(last_row)) = (rows.clone().min(), rows.max()) else { return Ok(()) };
    let (Some(first_column), Some(last_column)) = (columns.clone().min(), columns.max()) else { return Ok(()) };
    let mut hidden_rows = hidden_rows.iter().peekable();
    for row in first_row..=last_row {
        let mut cells = Vec::new();
        for column in first_column..=last_column {
            let has_formula = formulas.get_value((row, column)).is_some_and(|formula| !formula.is_empty());
            let value = match values.get_value((row, column)) {
                None | Some(Data::Empty) if has_formula => Value::Error(FORMULA_WITHOUT_VALUE.to_owned()),
                None | Some(Data::Empty) => continue,
                Some(Data::String(text)) if has_formula && is_error(text) => Value::Error(text.clone()),
                Some(value) => cells::value(value.clone(), false),
            };
            cells.push((column + 1, value));
        }
        let number = row + 1;
        while hidden_rows.next_if(|(_, last)| *last < number).is_some() {}
        let is_hidden = hidden_rows.peek().is_some_and(|(first, _)| *first <= number);
        output.row(number, is_hidden, cells)?;
    }
    Ok(())
}

fn is_error(text: &str) -> bool {
    ERRORS.contains(&text) || text.starts_with("Err:")
}

fn failure(error: OdsError) -> anyhow::Error {
    match error {
        OdsError::Password => anyhow!(PASSWORD),
        OdsError::Io(error) => io_failure(&error),
        OdsError::Zip(error) => xml::zip_failure(&error),
        OdsError::Xml(error) => xml::xml_failure(&error),
        OdsError::InvalidMime(_) | OdsError::FileNotFound(_) => {
            anyhow!("is no .ods workbook, although its name says so: open it in Excel and save it as .xlsx")
        }
        OdsError::CellLimitExceeded { .. } => {
            anyhow!("has too many cells: delete the empty rows and columns after the last entry, or save it as .xlsx")
        }
        _ => damaged(),
    }
}

fn is_encrypted(zip: &mut Zip) -> Result<bool> {
    let Some(xml) = xml::part(zip, "META-INF/manifest.xml")? else { return Ok(false) };
    let mut is_encrypted = false;
    xml::walk(xml, |name, _| {
        is_encrypted |= name == "encryption-data";
        Ok(())
    })?;
    Ok(is_encrypted)
}

/// Returns the layout of each sheet, and whether cells have comments. `calamine` would never end if the XML were cut off, which
/// this finds before.
fn layouts(zip: &mut Zip) -> Result<(Vec<Layout>, bool)> {
    let mut layouts = Vec::new();
    let mut has_comments = false;
    let (mut row, mut next_row, mut column) = (0_u32, 0_u32, 0_u32);
    xml::walk(xml::part(zip, "content.xml")?.ok_or_else(damaged)?, |name, element| {
        let Some(element) = element else { return Ok(()) };
        match name {
            "table" => {
                layouts.push(Layout::default());
                (row, next_row) = (0, 0);
            }
            "table-row" => {
                let repeated = xml::number(element, "number-rows-repeated")?.unwrap_or(1);
                (row, next_row, column) = (next_row, next_row.saturating_add(repeated), 0);
                let is_hidden = xml::attribute(element, "visibility")?.is_some_and(|found| found != "visible");
                if is_hidden
                    && next_row > row
                    && let Some(layout) = layouts.last_mut()
                {
                    layout.hidden_rows.push((row + 1, next_row));
                }
            }
            "table-cell" | "covered-table-cell" => {
                let first = (row, column);
                column = column.saturating_add(xml::number(element, "number-columns-repeated")?.unwrap_or(1));
                let columns = xml::number(element, "number-columns-spanned")?.unwrap_or(1).max(1);
                let rows = xml::number(element, "number-rows-spanned")?.unwrap_or(1).max(1);
                if columns == 1 && rows == 1 {
                    return Ok(());
                }
                let last = (row.saturating_add(rows - 1), first.1.saturating_add(columns - 1));
                if let (Some(area), Some(layout)) = (Area::new(first, last), layouts.last_mut()) {
                    layout.merged_cells.push(area);
                }
            }
            "annotation" => has_comments = true,
            _ => {}
        }
        Ok(())
    })?;
    Ok((layouts, has_comments))
}
