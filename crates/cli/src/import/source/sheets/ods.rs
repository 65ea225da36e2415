//! .ods

use std::{fs::File, io::BufReader, path::Path};

use anyhow::{Result, anyhow, bail};
use calamine::{Ods, OdsError, Reader as _, SheetVisible};
use zip::result::ZipError;

use super::{
    hidden_rows::HiddenAndMerged,
    in_memory,
    output::Output,
    process::{PASSWORD, damaged, io_failure},
    protocol::{Area, Sheet},
    xml::{self, Zip},
};

/// The most bytes of the cells, unpacked. `calamine` needs up to ten times as much memory.
const MAX_CONTENT: u64 = 200 << 20;

const NO_ODS: &str =
    "is no .ods workbook, although its name says so: open it in Excel and save it as an .xlsx workbook";

/// Writes all sheets. `calamine` reads all of them at once.
pub(super) fn read(file: File, path: &Path, output: &mut Output) -> Result<()> {
    let mut zip = xml::open(file)?;
    if is_encrypted(&mut zip)? {
        bail!(PASSWORD);
    }
    let size = match zip.by_name("content.xml") {
        Ok(content) => content.size(),
        Err(ZipError::FileNotFound) => bail!(NO_ODS),
        Err(error) => return Err(xml::zip_failure(&error)),
    };
    if size > MAX_CONTENT {
        bail!(
            "is too large: unpacked, it has {} MB, and at most {} can be read: save it as .xlsx",
            size >> 20,
            MAX_CONTENT >> 20
        );
    }
    let (sheets, has_comments) = hidden_and_merged(&mut zip)?;
    let again = File::open(path).map_err(|error| io_failure(&error))?;
    let mut workbook = Ods::new(BufReader::new(again)).map_err(failure)?;
    for (sheet, mut found) in workbook.sheets_metadata().to_vec().into_iter().zip(sheets) {
        output.begin_sheet(Sheet {
            name: sheet.name.clone(),
            is_hidden: sheet.visible != SheetVisible::Visible,
            tables: Vec::new(),
            merged_cells: found.merged_cells,
            has_1904_dates: false,
        })?;
        let values = workbook.worksheet_range(&sheet.name).map_err(failure)?;
        let formulas = workbook.worksheet_formula(&sheet.name).map_err(failure)?;
        in_memory::write(&values, &formulas, false, &mut found.hidden_rows, output)?;
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

fn failure(error: OdsError) -> anyhow::Error {
    match error {
        OdsError::Password => anyhow!(PASSWORD),
        OdsError::Io(error) => io_failure(&error),
        OdsError::Zip(error) => xml::zip_failure(&error),
        OdsError::Xml(error) => xml::xml_failure(&error),
        OdsError::InvalidMime(_) | OdsError::FileNotFound(_) => {
            anyhow!(NO_ODS)
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

/// Returns the hidden rows and merged cells of each sheet, and whether cells have comments. `calamine` would never end if the XML were cut off, which
/// this finds before.
fn hidden_and_merged(zip: &mut Zip) -> Result<(Vec<HiddenAndMerged>, bool)> {
    let mut sheets = Vec::new();
    let mut has_comments = false;
    let (mut row, mut next_row, mut column) = (0_u32, 0_u32, 0_u32);
    xml::walk(xml::part(zip, "content.xml")?.ok_or_else(damaged)?, |name, element| {
        let Some(element) = element else { return Ok(()) };
        match name {
            "table" => {
                sheets.push(HiddenAndMerged::default());
                (row, next_row) = (0, 0);
            }
            "table-row" => {
                let repeated = xml::number(element, "number-rows-repeated")?.unwrap_or(1);
                (row, next_row, column) = (next_row, next_row.saturating_add(repeated), 0);
                let is_hidden = xml::attribute(element, "visibility")?.is_some_and(|found| found != "visible");
                if is_hidden
                    && next_row > row
                    && let Some(sheet) = sheets.last_mut()
                {
                    sheet.hidden_rows.push(row + 1, next_row);
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
                if let (Some(area), Some(sheet)) = (Area::new(first, last), sheets.last_mut()) {
                    sheet.merged_cells.push(area);
                }
            }
            "annotation" => has_comments = true,
            _ => {}
        }
        Ok(())
    })?;
    Ok((sheets, has_comments))
}
