//! Sheets of formats that `calamine` reads at once, .xls and .ods.

use anyhow::Result;
use calamine::{Data, Range};

use super::{
    cells::{self, FORMULA_WITHOUT_VALUE},
    hidden_rows::HiddenRows,
    output::Output,
};
use crate::import::Value;

/// The errors that a formula of an .ods workbook shows, except those that begin with `Err:`. They are texts there.
const ERRORS: [&str; 7] = ["#DIV/0!", "#N/A", "#NAME?", "#NULL!", "#NUM!", "#REF!", "#VALUE!"];

/// Writes the rows of a sheet.
pub(super) fn write(
    values: &Range<Data>,
    formulas: &Range<String>,
    has_1904_dates: bool,
    hidden_rows: &mut HiddenRows,
    output: &mut Output,
) -> Result<()> {
    // Formulas without values may be outside of the area that has values.
    let areas = [values.start().zip(values.end()), formulas.start().zip(formulas.end())];
    let corners = areas.into_iter().flatten();
    let area = corners.reduce(|((top, left), (bottom, right)), (first, last)| {
        ((top.min(first.0), left.min(first.1)), (bottom.max(last.0), right.max(last.1)))
    });
    let Some((first, last)) = area else { return Ok(()) };
    for row in first.0..=last.0 {
        let mut cells = Vec::new();
        for column in first.1..=last.1 {
            let has_formula = || formulas.get_value((row, column)).is_some_and(|formula| !formula.is_empty());
            let value = match values.get_value((row, column)) {
                None | Some(Data::Empty) if has_formula() => Value::Error(FORMULA_WITHOUT_VALUE.to_owned()),
                None | Some(Data::Empty) => continue,
                Some(Data::String(text)) if is_error(text) && has_formula() => Value::Error(text.clone()),
                Some(value) => cells::value(value.clone(), has_1904_dates),
            };
            cells.push((column + 1, value));
        }
        output.row(row + 1, hidden_rows.contain(row + 1), cells)?;
    }
    Ok(())
}

fn is_error(text: &str) -> bool {
    ERRORS.contains(&text) || text.starts_with("Err:")
}
