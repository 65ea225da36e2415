//! .xls

use std::{fs::File, io::BufReader};

use anyhow::{Result, anyhow, bail};
use calamine::{Reader as _, SheetType, SheetVisible, Xls, XlsError};

use super::{
    hidden_rows::HiddenRows,
    in_memory,
    output::Output,
    process::{PASSWORD, damaged, io_failure},
    protocol::{Area, Sheet},
};

/// The most bytes of a file. `calamine` needs up to ten times as much memory.
const MAX_FILE: u64 = 100 << 20;

/// Writes all sheets. `calamine` reads all of them at once.
pub(super) fn read(file: File, size: u64, output: &mut Output) -> Result<()> {
    if size > MAX_FILE {
        bail!(
            "is too large: it has {} MB, and at most {} can be read of an .xls workbook: save it as .xlsx",
            size >> 20,
            MAX_FILE >> 20
        );
    }
    let mut workbook = Xls::new(BufReader::new(file)).map_err(failure)?;
    let has_1904_dates = workbook.has_1904_epoch();
    for sheet in workbook.sheets_metadata().to_vec() {
        let reason = match sheet.typ {
            SheetType::WorkSheet => None,
            SheetType::ChartSheet => Some("it is a chart, and charts have no rows"),
            SheetType::DialogSheet => Some("it is a dialog, and dialogs have no rows"),
            SheetType::MacroSheet | SheetType::Vba => Some("it has macros, and macros are not run"),
        };
        if let Some(reason) = reason {
            output.not_read(&sheet.name, reason)?;
            continue;
        }
        let merged = workbook.merge_cells_by_sheet_name(&sheet.name).map_err(failure)?;
        output.begin_sheet(Sheet {
            name: sheet.name.clone(),
            is_hidden: sheet.visible != SheetVisible::Visible,
            tables: Vec::new(),
            merged_cells: merged.iter().filter_map(|area| Area::new(area.start, area.end)).collect(),
            has_1904_dates,
        })?;
        let values = workbook.worksheet_range(&sheet.name).map_err(failure)?;
        let formulas = workbook.worksheet_formula(&sheet.name).map_err(failure)?;
        in_memory::write(&values, &formulas, has_1904_dates, &mut HiddenRows::default(), output)?;
    }
    output.not_read("hidden rows", "in an .xls workbook it is not known which rows are hidden; all are read")?;
    if matches!(workbook.vba_project(), Ok(Some(_))) {
        output.not_read("macros", "macros are not run")?;
    }
    Ok(())
}

fn failure(error: XlsError) -> anyhow::Error {
    match error {
        XlsError::Password => anyhow!(PASSWORD),
        XlsError::Io(error) => io_failure(&error),
        _ => damaged(),
    }
}
