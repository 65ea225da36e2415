//! The SQL that applies changes to the database that this service replaced.
//!
//! That database was loaded from worksheets: numbers of orders are DOUBLE, most other columns are VARCHAR(500), and a few have
//! different types in different tables. Only what has changed here is written, so that everything else stays as people typed it.

use std::fmt::Write;

use app_core::values::Day;
use ros::model::{ArchiveStatus, ColumnValue, RepairOrder};
use serde_json::Value;

use super::{
    orders::{ChangeKind, OrderChange},
    parts::PartChange,
    store::{IndexRow, OldRow},
};

/// The most characters of a text.
const MAX_TEXT: usize = 500;

/// The beginning of a line that the importer has added to the notes, for a value that it could not read. The old database still has
/// the value in its place.
const IMPORTED_NOTE: &str = "[import] ";

/// What the old service writes before the notes of an order that has a history, and between the two.
const OLD_HISTORY: &str = "HISTORY:";
const OLD_NOTES: &str = "|NOTES:";

/// Statements, as they are added.
#[derive(Debug, Default)]
pub(super) struct Script {
    statements: String,
    /// SELECTs that find a row each if a change is not there.
    checks: Vec<String>,
    not_expressed: Vec<String>,
}

/// Columns and their new values, as SQL.
type ColumnValues = Vec<(&'static str, String)>;

/// The file.
pub(super) struct Finished {
    pub(super) text: String,
    /// The changes that are not in it, a sentence each.
    pub(super) not_expressed: Vec<String>,
}

impl Script {
    /// Adds a sentence on a change that the old database cannot hold.
    pub(super) fn leave_out(&mut self, sentence: String) {
        self.not_expressed.push(sentence);
    }

    /// Ends the script. `since` is the start of the period, as it is shown.
    pub(super) fn finish(self, since: &str) -> Finished {
        let Self { statements, checks, not_expressed } = self;
        let mut text = format!(
            "-- The changes since {since}, for the database that `rotracker import` has read, as it was at that time:\n\
             --     mysql DATABASE < FILE\n\
             -- All changes are made in one transaction, and running the file again changes nothing more. At the end it lists what\n\
             -- the database still lacks; if all went well, it prints nothing.\n\
             -- The assistant's log is not in this file, because the columns of the old one are too short.\n"
        );
        if !not_expressed.is_empty() {
            text.push_str("--\n-- Not in this file, since the old database cannot hold it; do it by hand:\n");
            for sentence in &not_expressed {
                // A line break would end the comment.
                let line: String = sentence.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
                let _ = writeln!(text, "--     {line}");
            }
        }
        text.push_str("\nSET NAMES utf8mb4;\nSET SESSION sql_mode = 'STRICT_ALL_TABLES';\nSTART TRANSACTION;\n");
        text.push_str(&statements);
        text.push_str("\nCOMMIT;\n");
        if !checks.is_empty() {
            let _ = write!(text, "\n{};\n", checks.join("\nUNION ALL "));
        }
        Finished { text, not_expressed }
    }

    /// Adds the change of an order.
    pub(super) fn add_order(&mut self, change: &OrderChange) {
        let OrderChange { kind, before, now, old_row, .. } = change;
        let is_created = *kind == ChangeKind::Created;
        let name = comment(if is_created { &now.ro_number } else { &before.ro_number });
        let place =
            if is_created { number(&now.ro_number).map(str::to_owned) } else { place_of(before, old_row.as_ref()) };
        let Some(place) = place else {
            self.leave_out(format!(
                "order {name}: its number is none for the old database, in which numbers are DOUBLE"
            ));
            return;
        };
        let _ = match kind {
            ChangeKind::Created => writeln!(self.statements, "\n-- order {name}: created"),
            ChangeKind::Changed => writeln!(self.statements, "\n-- order {name}: changed"),
            ChangeKind::Moved => {
                let [from, to] = [before, now].map(|order| order.archive_status.table());
                writeln!(self.statements, "\n-- order {name}: moved from {from} to {to}")
            }
            ChangeKind::Deleted => writeln!(self.statements, "\n-- order {name}: deleted"),
        };
        let written = match kind {
            ChangeKind::Created => self.create_order(&name, now),
            ChangeKind::Changed => self.change_order(&name, change, &place),
            ChangeKind::Moved => self.move_order(&name, change, &place),
            ChangeKind::Deleted => return self.delete_order(&name, change, &place),
        };
        if let Some(number) = number(&now.ro_number).or_else(|| number(&before.ro_number)) {
            let table = now.archive_status.table();
            let values = written.iter().filter(|(column, _)| *column != "RO");
            let values: String = values.map(|(column, value)| format!(" AND `{column}` <=> {value}")).collect();
            self.checks.push(format!(
                "SELECT 'order {number} is not in {table} as it should be' AS problem FROM DUAL WHERE NOT EXISTS (SELECT 1 \
                 FROM `{table}` WHERE `RO` = {number}{values})"
            ));
        }
    }

    /// Inserts an order, unless one of the four tables has its number. Returns the values that it then has.
    fn create_order(&mut self, name: &str, order: &RepairOrder) -> ColumnValues {
        let mut given = self.values(name, order, |_| true, None);
        given.retain(|(_, value)| value != "NULL");
        let columns = given.iter().map(|(column, _)| format!("`{column}`")).collect::<Vec<_>>().join(", ");
        let values = given.iter().map(|(_, value)| value.as_str()).collect::<Vec<_>>().join(", ");
        let number = &order.ro_number;
        let is_new = ArchiveStatus::ALL
            .map(|archive| format!("NOT EXISTS (SELECT 1 FROM `{}` WHERE `RO` = {number})", archive.table()))
            .join("\n  AND ");
        let table = order.archive_status.table();
        let _ =
            writeln!(self.statements, "INSERT INTO `{table}` ({columns})\nSELECT {values}\nFROM DUAL\nWHERE {is_new};");
        given
    }

    /// Updates the columns that were changed, and returns their values.
    fn change_order(&mut self, name: &str, change: &OrderChange, place: &str) -> ColumnValues {
        let OrderChange { now, old_row, .. } = change;
        let changed = changed_columns(change);
        let values = self.values(name, now, |column| changed.contains(&column), old_row.as_ref());
        if !values.is_empty() {
            let set: Vec<String> = values.iter().map(|(column, value)| format!("`{column}` = {value}")).collect();
            let table = now.archive_status.table();
            let _ = writeln!(self.statements, "UPDATE `{table}`\nSET {}\nWHERE {place};", set.join(",\n    "));
        }
        values
    }

    /// Copies the row to another table, with the columns that were changed and those that have another type there. Returns their
    /// values.
    fn move_order(&mut self, name: &str, change: &OrderChange, place: &str) -> ColumnValues {
        let OrderChange { before, now, old_row, .. } = change;
        let (old_table, table) = (before.archive_status.table(), now.archive_status.table());
        let changed = changed_columns(change);
        let has_other_type = |column: &str| column_type(table, column) != column_type(old_table, column);
        let is_written = |column: &str| changed.contains(&column) || has_other_type(column);
        let written = self.values(name, now, is_written, old_row.as_ref());
        self.name_lost_values(name, change);
        let columns = now.columns().map(|(column, _)| column);
        let value_of = |column: &str| match written.iter().find(|(written, _)| *written == column) {
            Some((_, value)) => value.clone(),
            None if has_other_type(column) => "NULL".to_owned(),
            None => format!("`{column}`"),
        };
        let _ = writeln!(
            self.statements,
            "INSERT INTO `{table}` ({})\nSELECT {}\nFROM `{old_table}`\nWHERE {place};\n\
             DELETE FROM `{old_table}` WHERE {place};",
            columns.map(|column| format!("`{column}`")).join(", "),
            columns.map(value_of).join(", "),
        );
        self.delete_copies(change);
        written
    }

    fn delete_order(&mut self, name: &str, change: &OrderChange, place: &str) {
        let table = change.before.archive_status.table();
        let _ = writeln!(self.statements, "DELETE FROM `{table}` WHERE {place};");
        self.checks.push(format!(
            "SELECT 'order {name} is still in {table}' AS problem FROM DUAL WHERE EXISTS (SELECT 1 FROM `{table}` WHERE {place})"
        ));
        self.delete_copies(change);
    }

    /// Deletes older rows of the same order, which did not count beside the one that is gone from its place.
    fn delete_copies(&mut self, change: &OrderChange) {
        for OldRow { table, id, .. } in &change.copies {
            let _ = writeln!(self.statements, "-- an older copy of it\nDELETE FROM `{table}` WHERE `id` = {id};");
        }
    }

    /// Returns the columns for which `is_written` holds, as SQL. Those that the old database cannot hold are named and left out.
    fn values(
        &mut self,
        name: &str,
        order: &RepairOrder,
        is_written: impl Fn(&'static str) -> bool,
        old_row: Option<&OldRow>,
    ) -> ColumnValues {
        let table = order.archive_status.table();
        let mut values = Vec::new();
        for (column, value) in order.columns().into_iter().filter(|(column, _)| is_written(column)) {
            let written = match (column, value) {
                ("RO", ColumnValue::Text(number_text)) => number(number_text.unwrap_or_default())
                    .map(str::to_owned)
                    .ok_or_else(|| format!("the number {}", comment(&order.ro_number))),
                ("NOTES", ColumnValue::Text(Some(notes))) => text(&old_notes(notes, old_row), column),
                (_, ColumnValue::Text(Some(value))) => text(value, column),
                (_, ColumnValue::Day(Some(day))) => Ok(date(day, column_type(table, column))),
                (_, ColumnValue::Money(Some(amount))) => Ok(amount.to_string()),
                (_, ColumnValue::Text(None) | ColumnValue::Day(None) | ColumnValue::Money(None)) => {
                    Ok("NULL".to_owned())
                }
            };
            match written {
                Ok(value) => values.push((column, value)),
                Err(problem) => self.leave_out(format!("order {name}: {problem}; its other changes are there")),
            }
        }
        values
    }

    /// Names the values that the row has in its old table, and that its new table cannot hold: those that were never read here.
    fn name_lost_values(&mut self, name: &str, change: &OrderChange) {
        let OrderChange { before, now, old_row: Some(old_row), .. } = change else { return };
        let table = now.archive_status.table();
        let is_empty = |order: &RepairOrder, column: &str| {
            order.columns().into_iter().any(|(known, value)| {
                known == column && matches!(value, ColumnValue::Money(None) | ColumnValue::Day(None))
            })
        };
        for (column, value) in &old_row.original {
            let has_other_type = column_type(table, column) != column_type(&old_row.table, column);
            // Only `active` has the columns of the ERP.
            let is_of_erp = column.starts_with("erp_") && column != "erp_sync_status";
            let is_lost = is_of_erp || (has_other_type && is_empty(before, column) && is_empty(now, column));
            let shown = match value {
                Value::Null => continue,
                Value::String(text) if text.trim().is_empty() => continue,
                Value::String(text) => text.clone(),
                other => other.to_string(),
            };
            if is_lost {
                self.leave_out(format!("order {name}: {table} has no place for its {column}, which was {shown:?}"));
            }
        }
    }

    /// Adds the quantity of a part.
    pub(super) fn add_part(&mut self, change: &PartChange) {
        let name = &change.part_number;
        let (row, old_row) = match (&change.row, &change.old_row) {
            (Some(row), Some(old_row)) => (row, old_row),
            (Some(row), None) => {
                let IndexRow { table_name, row_id, .. } = row;
                let quantity = row.qty.map_or_else(|| "unknown".to_owned(), |quantity| quantity.to_string());
                self.leave_out(format!(
                    "part {name}: row {row_id} of {table_name}, whose quantity is {quantity}, was not imported from a database"
                ));
                return;
            }
            (None, _) => {
                self.leave_out(format!("part {name}: its row in the index is gone"));
                return;
            }
        };
        let quantity = row.qty.map_or_else(|| "NULL".to_owned(), |quantity| quantity.to_string());
        let (table, id) = (quoted(&old_row.table), old_row.id);
        let table_text = literal(&old_row.table);
        let seen = row.last_seen.map_or_else(|| "NULL".to_owned(), |seen| format!("'{}'", seen.format("%F %T")));
        let _ = writeln!(self.statements, "\n-- part {}: {quantity} pieces", comment(name));
        // Some tables are lists of part numbers. The index has the quantities of all.
        if let Some(column) = old_row.original.keys().find(|column| column.eq_ignore_ascii_case("QTY")) {
            let column = quoted(column);
            let _ = writeln!(self.statements, "UPDATE {table} SET {column} = {quantity} WHERE `id` = {id};");
            self.checks.push(format!(
                "SELECT CONCAT('row {id} of ', {table_text}, ' does not have the quantity of ', {}) AS problem FROM DUAL WHERE NOT \
                 EXISTS (SELECT 1 FROM {table} WHERE `id` = {id} AND {column} <=> {quantity})",
                literal(name),
            ));
        }
        let place = format!("`TableName` = {table_text} AND `RowId` = {id}");
        let texts = [&row.condition, &row.location]
            .map(|text| text.as_deref().map_or_else(|| "NULL".to_owned(), literal))
            .join(", ");
        let _ = writeln!(
            self.statements,
            "UPDATE `inventoryindex` SET `Qty` = {quantity}, `LastSeen` = {seen} WHERE {place};\n\
             INSERT INTO `inventoryindex` (`PartNumber`, `TableName`, `RowId`, `Qty`, `LastSeen`, `Condition`, `Location`)\n\
             SELECT {}, {table_text}, {id}, {quantity}, {seen}, {texts}\n\
             FROM DUAL\n\
             WHERE NOT EXISTS (SELECT 1 FROM `inventoryindex` WHERE {place});",
            literal(&row.part_number)
        );
        self.checks.push(format!(
            "SELECT CONCAT('the quantity of ', {}, ' in ', {table_text}, ' is not ', {quantity_text}) AS problem FROM DUAL WHERE NOT \
             EXISTS (SELECT 1 FROM `inventoryindex` WHERE {place} AND `Qty` <=> {quantity})",
            literal(name),
            quantity_text = literal(&quantity),
        ));
    }
}

/// The type of a column in the old database, as far as it differs between tables.
#[derive(Clone, Copy, PartialEq, Eq)]
enum ColumnType {
    Text,
    Number,
    DateTime,
}

/// Returns the type of a column of one of the four tables of orders.
fn column_type(table: &str, column: &str) -> ColumnType {
    match (column, table) {
        ("RO" | "ESTIMATED_COST", _) | ("FINAL_COST", "active" | "net") => ColumnType::Number,
        ("DATE_MADE", "paid" | "net") => ColumnType::DateTime,
        _ => ColumnType::Text,
    }
}

/// Returns the columns in which the old database must change. Among them is a number that somebody has corrected in a file of rejected
/// rows: the order is known by it here.
fn changed_columns(change: &OrderChange) -> Vec<&'static str> {
    let OrderChange { before, now, old_row, .. } = change;
    let is_corrected = old_row.as_ref().is_some_and(|row| row.order_number() != now.ro_number);
    let pairs = before.columns().into_iter().zip(now.columns());
    let is_changed = |column: &str, has_changed: bool| has_changed || (column == "RO" && is_corrected);
    pairs.filter(|(before, now)| is_changed(now.0, before != now)).map(|(_, (column, _))| column).collect()
}

/// Returns the condition that a row is that of `order` in the old database. `None` if nothing says which one it is.
fn place_of(order: &RepairOrder, old_row: Option<&OldRow>) -> Option<String> {
    let number = number(&order.ro_number).map(|number| format!("`RO` = {number}"));
    match (old_row, number) {
        (Some(row), Some(number)) if row.order_number() == order.ro_number => {
            Some(format!("`id` = {} AND {number}", row.id))
        }
        (Some(row), _) => Some(format!("`id` = {}", row.id)),
        (None, number) => number,
    }
}

/// Returns the number of an order if a DOUBLE keeps it as it is written.
fn number(text: &str) -> Option<&str> {
    let number: f64 = text.parse().ok()?;
    (number.is_finite() && number.to_string() == text).then_some(text)
}

/// Returns `text` with blanks for the characters that would end a comment or a text in quotation marks.
fn comment(text: &str) -> String {
    text.chars().map(|c| if c.is_control() || matches!(c, '\'' | '\\') { ' ' } else { c }).collect()
}

/// Returns the date as the old tables have it. Their texts are in the American order, most with two digits for the year.
fn date(Day(date): Day, column_type: ColumnType) -> String {
    match column_type {
        ColumnType::DateTime => format!("'{date} 00:00:00'"),
        ColumnType::Text | ColumnType::Number => format!("'{}'", date.format("%m/%d/%Y")),
    }
}

/// Returns the notes as the old database has them: without the lines that the importer has added, and after the history that the
/// old service keeps there.
fn old_notes(notes: &str, old_row: Option<&OldRow>) -> String {
    let lines: Vec<&str> = notes.split('\n').filter(|line| !line.starts_with(IMPORTED_NOTE)).collect();
    let notes = lines.join("\n");
    match old_row.and_then(|row| row.original.get("NOTES")).and_then(Value::as_str) {
        Some(old) if old.starts_with(OLD_HISTORY) => match old.split_once(OLD_NOTES) {
            Some((history, _)) => format!("{history}{OLD_NOTES}{notes}"),
            None => notes,
        },
        _ => notes,
    }
}

/// Returns the text in quotation marks, if the column holds it.
fn text(value: &str, column: &str) -> Result<String, String> {
    let length = value.chars().count();
    if length > MAX_TEXT {
        return Err(format!("its {column} has {length} characters, and the column holds {MAX_TEXT}"));
    }
    Ok(literal(value))
}

/// Returns `text` in quotation marks, on one line. The script sets an SQL mode in which a backslash escapes.
fn literal(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('\'');
    for character in text.chars() {
        match character {
            '\'' => quoted.push_str("''"),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\0' => quoted.push_str("\\0"),
            '\u{1a}' => quoted.push_str("\\Z"),
            other => quoted.push(other),
        }
    }
    quoted.push('\'');
    quoted
}

fn quoted(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_numbers_that_a_double_keeps_are_numbers() {
        for text in ["38462", "38464.1", "0", "-5", "9007199254740991"] {
            assert_eq!(number(text), Some(text));
        }
        for text in ["", "RO1", "007", "1e5", "38462.0", "inf", "NaN", "12345678901234567891", "38 462", "+1"] {
            assert_eq!(number(text), None, "{text}");
        }
    }

    #[test]
    fn texts_are_quoted_on_one_line() {
        assert_eq!(literal("O'Neil \\ \n\r\0\u{1a}部"), r"'O''Neil \\ \n\r\0\Z部'");
        assert!(text(&"é".repeat(500), "NOTES").is_ok());
        assert!(text(&"é".repeat(501), "NOTES").unwrap_err().contains("501 characters"));
    }
}
