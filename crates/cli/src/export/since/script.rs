//! The SQL that applies changes to the database that this service replaced.
//!
//! That database was loaded from worksheets: numbers of orders are DOUBLE, most other columns are VARCHAR(500), and a few have
//! different types in different tables. Only what has changed here is written, so that everything else stays as people typed it.

use std::{collections::BTreeSet, fmt::Write};

use app_core::values::Day;
use ros::model::{ArchiveStatus, ColumnValue, RepairOrder};
use serde_json::Value;

use super::{
    orders::{ChangeKind, OrderChange},
    parts::PartChange,
    store::{IndexRow, OldRow, OldTable},
};

/// The most characters of a text.
const MAX_TEXT: usize = 500;

/// The beginning of a line that the importer has added to the notes, for a value that it could not read. The old database still has
/// the value in its place.
const IMPORTED_NOTE: &str = "[import] ";

/// The beginning of the names of the columns that only `active` has.
const ERP: &str = "erp_";

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
             -- All changes are made in one transaction, and running the file again changes nothing more. Files of the same period that\n\
             -- were written earlier may have been applied or not. At the end it lists what the database still lacks; if all went\n\
             -- well, it prints nothing.\n\
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

    /// Adds the changes of orders. Deletions come first and new orders last, so that a number that is free again can be taken.
    pub(super) fn add_orders(&mut self, changes: &[OrderChange], tables: &[OldTable]) {
        let step = |change: &&OrderChange| match change.kind {
            kind if kind.is_deletion() => 0,
            ChangeKind::Created => 2,
            _ => 1,
        };
        let mut ordered: Vec<&OrderChange> = changes.iter().collect();
        ordered.sort_by_key(step);
        for change in ordered {
            let mut rivals = changes.iter().filter(|other| change.shares_number_with(other)).peekable();
            let has_rival = rivals.peek().is_some();
            // Of two new orders, either may get the other's row, since all columns are set.
            if !change.is_known_by_id()
                && rivals.any(|other| !(other.is_known_by_id() || change.is_new() && other.is_new()))
            {
                if change.kind.is_change() {
                    let name = comment(change.known_number());
                    self.leave_out(format!(
                        "order {name}: two orders have had the same number, by which alone the old database would know them"
                    ));
                }
                continue;
            }
            // A number that another order has by now means that order. A new order is inserted after the deletions.
            let is_of_another = |number: &str| {
                changes.iter().any(|other| {
                    other.now.id != change.now.id
                        && other.now.ro_number == number
                        && !other.kind.is_deletion()
                        && !(change.kind.is_deletion() && other.kind == ChangeKind::Created)
                })
            };
            let is_by_id_only = has_rival && change.is_known_by_id();
            let numbers = change.numbers.iter().filter(|number| !is_by_id_only && !is_of_another(number));
            let numbers: Vec<&str> = numbers.filter_map(|text| number(text)).collect();
            let has_successor = changes.iter().any(|other| {
                other.kind == ChangeKind::Created
                    && other.now.id != change.now.id
                    && change.numbers.contains(&other.now.ro_number)
            });
            self.add_order(&Places { change, tables, numbers, has_successor });
        }
    }

    /// Adds the change of an order.
    fn add_order(&mut self, places: &Places<'_>) {
        let OrderChange { kind, before, now, .. } = places.change;
        let (old_table, table) = (before.archive_status.table(), now.archive_status.table());
        let name = comment(places.change.known_number());
        let cannot_be_named = *kind == ChangeKind::Created && number(&now.ro_number).is_none();
        if *kind == ChangeKind::CreatedAndDeleted && !places.knows_inserted() {
            return;
        }
        if cannot_be_named || places.all().next().is_none() {
            if kind.is_change() {
                self.leave_out(format!(
                    "order {name}: its number is none for the old database, in which numbers are DOUBLE"
                ));
            }
            return;
        }
        let happened = match kind {
            ChangeKind::Created => "created".to_owned(),
            ChangeKind::Changed => "changed".to_owned(),
            ChangeKind::Moved => format!("moved from {old_table} to {table}"),
            ChangeKind::Deleted => "deleted".to_owned(),
            ChangeKind::ChangedBack => "changed and changed back".to_owned(),
            ChangeKind::CreatedAndDeleted => "created and deleted".to_owned(),
        };
        let _ = writeln!(self.statements, "\n-- order {name}: {happened}");
        match kind {
            ChangeKind::Created => self.create_order(&name, places),
            ChangeKind::Changed | ChangeKind::Moved | ChangeKind::ChangedBack => self.change_order(&name, places),
            ChangeKind::Deleted | ChangeKind::CreatedAndDeleted => self.delete_order(&name, places, None),
        }
        if matches!(kind, ChangeKind::Moved | ChangeKind::Deleted) {
            self.delete_copies(places.change);
        }
    }

    /// Inserts an order, unless one of the four tables has its number. If an earlier file has inserted it, sets all columns.
    fn create_order(&mut self, name: &str, places: &Places<'_>) {
        let order = &places.change.now;
        let table = order.archive_status.table();
        let values = self.values(name, places.change, |_| true);
        if places.knows_inserted() {
            self.delete_order(name, places, Some(table));
            self.update_order(places, table, &values);
        }
        let given: Vec<_> = values.iter().filter(|(_, value)| value != "NULL").collect();
        let columns = given.iter().map(|(column, _)| format!("`{column}`")).collect::<Vec<_>>().join(", ");
        let given = given.iter().map(|(_, value)| value.as_str()).collect::<Vec<_>>().join(", ");
        let number = &order.ro_number;
        let is_new = ArchiveStatus::ALL
            .map(|archive| format!("NOT EXISTS (SELECT 1 FROM `{}` WHERE `RO` = {number})", archive.table()))
            .join("\n  AND ");
        let _ =
            writeln!(self.statements, "INSERT INTO `{table}` ({columns})\nSELECT {given}\nFROM DUAL\nWHERE {is_new};");
        self.check_order(places, table, &values);
    }

    /// Moves the row to its table from wherever it is, and sets the columns that were changed.
    fn change_order(&mut self, name: &str, places: &Places<'_>) {
        let change = places.change;
        let table = change.now.archive_status.table();
        if change.kind == ChangeKind::Moved {
            self.name_lost_values(name, change);
        }
        for (other, place) in places.all().filter(|(other, _)| *other != table) {
            self.move_order(places, other, &place);
        }
        let changed = changed_columns(change);
        let values = self.values(name, change, |column| changed.contains(column));
        self.update_order(places, table, &values);
        self.check_order(places, table, &values);
    }

    /// Copies the row from `from` to its table. Columns with another type there get the value that the old database had in that type,
    /// or else ours.
    fn move_order(&mut self, places: &Places<'_>, from: &str, place: &str) {
        let OrderChange { now, old_row, .. } = places.change;
        let table = now.archive_status.table();
        let mut columns: Vec<(&str, String)> = Vec::new();
        for (column, value) in now.columns() {
            let copied = if column == "RO"
                && let Some(number) = number(&now.ro_number)
            {
                // The row is known by it there.
                number.to_owned()
            } else if column_type(table, column) == column_type(from, column) {
                format!("`{column}`")
            } else if let Some(original) = original_value(old_row.as_ref(), table, column) {
                original
            } else {
                sql_value(table, column, value, old_row.as_ref()).unwrap_or_else(|_| "NULL".to_owned())
            };
            columns.push((column, copied));
        }
        if places.has_created_at(from) && places.has_created_at(table) {
            columns.push(("created_at", "`created_at`".to_owned()));
        }
        // An earlier file may have moved it away from the only table that has these columns.
        if let Some(old_row) = old_row.as_ref().filter(|row| row.table == table) {
            let of_erp = old_row.original.iter().filter(|(column, _)| column.starts_with(ERP));
            columns.extend(of_erp.map(|(column, value)| (column.as_str(), json_literal(value))));
        }
        let _ = writeln!(
            self.statements,
            "INSERT INTO `{table}` ({})\nSELECT {}\nFROM `{from}`\nWHERE {place};\nDELETE FROM `{from}` WHERE {place};",
            columns.iter().map(|(column, _)| quoted(column)).collect::<Vec<_>>().join(", "),
            columns.iter().map(|(_, value)| value.as_str()).collect::<Vec<_>>().join(", "),
        );
    }

    fn update_order(&mut self, places: &Places<'_>, table: &str, values: &[(&'static str, String)]) {
        if let Some(place) = places.within(table)
            && !values.is_empty()
        {
            let set: Vec<String> = values.iter().map(|(column, value)| format!("`{column}` = {value}")).collect();
            let _ = writeln!(self.statements, "UPDATE `{table}`\nSET {}\nWHERE {place};", set.join(",\n    "));
        }
    }

    /// Deletes the order from all tables but `kept`.
    fn delete_order(&mut self, name: &str, places: &Places<'_>, kept: Option<&str>) {
        for (table, place) in places.all().filter(|(table, _)| Some(*table) != kept) {
            let _ = writeln!(self.statements, "DELETE FROM `{table}` WHERE {place};");
            // A new order with its number is inserted later.
            if places.change.kind == ChangeKind::Deleted && !places.has_successor {
                self.checks.push(format!(
                    "SELECT 'order {name} is still in {table}' AS problem FROM DUAL WHERE EXISTS (SELECT 1 FROM `{table}` WHERE {place})"
                ));
            }
        }
    }

    /// Adds the checks that the order is in `table` only, and that its row has these values.
    fn check_order(&mut self, places: &Places<'_>, table: &str, values: &[(&'static str, String)]) {
        let OrderChange { before, now, .. } = places.change;
        let name = comment(if number(&now.ro_number).is_some() { &now.ro_number } else { &before.ro_number });
        let Some(place) = places.within(table) else { return };
        self.checks.push(format!(
            "SELECT 'order {name} is not in {table}' AS problem FROM DUAL WHERE NOT EXISTS (SELECT 1 FROM `{table}` WHERE {place})"
        ));
        for (other, place) in places.all().filter(|(other, _)| *other != table) {
            self.checks.push(format!(
                "SELECT 'order {name} is still in {other}' AS problem FROM DUAL WHERE EXISTS (SELECT 1 FROM `{other}` WHERE {place})"
            ));
        }
        if values.is_empty() {
            return;
        }
        let other_values = values.iter().map(|(column, value)| {
            // Texts must be the same letter by letter.
            let is_text = value.starts_with('\'') && column_type(table, column) == ColumnType::Text;
            let collation = if is_text { " COLLATE utf8mb4_bin" } else { "" };
            format!("IF(`{column}` <=> {value}{collation}, NULL, '{column}')")
        });
        self.checks.push(format!(
            "SELECT CONCAT('order {name} in {table} has other values in ', columns) AS problem FROM (SELECT CONCAT_WS(', ', {}) AS columns \
             FROM `{table}` WHERE {place}) AS found WHERE columns <> ''",
            other_values.collect::<Vec<_>>().join(", ")
        ));
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
        change: &OrderChange,
        is_written: impl Fn(&'static str) -> bool,
    ) -> Vec<(&'static str, String)> {
        let OrderChange { before, now, old_row, .. } = change;
        let table = now.archive_status.table();
        let mut values = Vec::new();
        for ((column, value), (_, value_before)) in now.columns().into_iter().zip(before.columns()) {
            if !is_written(column) {
                continue;
            }
            // A value that has come back is as people typed it.
            let original = original_value(old_row.as_ref(), table, column)
                .filter(|_| value == value_before && column != "RO" && change.kind != ChangeKind::Created);
            match original.map_or_else(|| sql_value(table, column, value, old_row.as_ref()), Ok) {
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
            let is_default = column == "erp_sync_status" && value == "LOCAL_ONLY";
            let is_of_erp = column.starts_with(ERP) && !is_default;
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
                "SELECT CONCAT('the quantity of ', {}, ' in the row {id} of ', {table_text}, ' is not ', {}) AS problem FROM DUAL WHERE NOT \
                 EXISTS (SELECT 1 FROM {table} WHERE `id` = {id} AND {column} <=> {quantity})",
                literal(name),
                literal(&quantity),
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
            "SELECT CONCAT('the quantity of ', {}, ' of ', {table_text}, ' in the index is not ', {quantity_text}) AS problem FROM DUAL WHERE NOT \
             EXISTS (SELECT 1 FROM `inventoryindex` WHERE {place} AND `Qty` <=> {quantity} AND `LastSeen` <=> {seen})",
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
fn changed_columns(change: &OrderChange) -> BTreeSet<&'static str> {
    let is_corrected = change.old_row.as_ref().is_some_and(|row| row.order_number() != change.now.ro_number);
    let mut columns = change.columns.clone();
    columns.extend(is_corrected.then_some("RO"));
    columns
}

/// The rows of the old database that can be those of an order.
struct Places<'changes> {
    change: &'changes OrderChange,
    /// The tables of the old database.
    tables: &'changes [OldTable],
    /// The numbers that mean this order.
    numbers: Vec<&'changes str>,
    /// Whether a new order has one of its numbers.
    has_successor: bool,
}

impl Places<'_> {
    /// Lists the tables in which the order can be, with the condition that a row is its row.
    fn all(&self) -> impl Iterator<Item = (&'static str, String)> {
        self.change.tables.iter().filter_map(|table| Some((*table, self.within(table)?)))
    }

    /// Returns the condition that a row of `table` is that of the order: the row that was imported, or one that a file of ours has
    /// inserted since. `None` if nothing says which one it is.
    fn within(&self, table: &str) -> Option<String> {
        let is_of_order = (!self.numbers.is_empty()).then(|| format!("`RO` IN ({})", self.numbers.join(", ")));
        let inserted = match self.old_table(table) {
            Some(old_table) => is_of_order.map(|is_of_order| format!("`id` > {} AND {is_of_order}", old_table.last_id)),
            None => is_of_order,
        };
        let Some(row) = self.change.old_row.as_ref().filter(|row| row.table == table) else { return inserted };
        let mut imported = format!("`id` = {}", row.id);
        // A row whose number was corrected here has another one.
        let imported_number = row.order_number();
        if number(&imported_number).is_some() && self.change.numbers.contains(&imported_number) {
            let numbers = self.change.numbers.iter().filter_map(|text| number(text)).collect::<Vec<_>>();
            let _ = write!(imported, " AND `RO` IN ({})", numbers.join(", "));
        }
        Some(match inserted {
            Some(inserted) => format!("(({imported}) OR ({inserted}))"),
            None => imported,
        })
    }

    /// Whether rows that a file of ours has inserted can be told from others, because the importer has read the old database.
    fn knows_inserted(&self) -> bool {
        !self.tables.is_empty()
    }

    fn old_table(&self, name: &str) -> Option<&OldTable> {
        self.tables.iter().find(|table| table.name == name)
    }

    /// Whether `table` has the column `created_at`. One that had no rows is like the others.
    fn has_created_at(&self, table: &str) -> bool {
        match self.old_table(table) {
            Some(table) => table.has_created_at,
            None => self.tables.iter().any(|table| table.has_created_at),
        }
    }
}

/// Returns the value that the row had when it was imported, as SQL, if the column has the same type in `table`.
fn original_value(old_row: Option<&OldRow>, table: &str, column: &str) -> Option<String> {
    let row = old_row.filter(|row| column_type(&row.table, column) == column_type(table, column))?;
    row.original.get(column).map(json_literal)
}

/// Returns the value of a column as SQL, or why the old database cannot hold it.
fn sql_value(table: &str, column: &str, value: ColumnValue<'_>, old_row: Option<&OldRow>) -> Result<String, String> {
    match (column, value) {
        ("RO", ColumnValue::Text(text)) => {
            let text = text.unwrap_or_default();
            number(text).map(str::to_owned).ok_or_else(|| format!("the number {}", comment(text)))
        }
        ("NOTES", ColumnValue::Text(Some(notes))) => text(&old_notes(notes, old_row), column),
        (_, ColumnValue::Text(Some(value))) => text(value, column),
        (_, ColumnValue::Day(Some(day))) => Ok(date(day, column_type(table, column))),
        (_, ColumnValue::Money(Some(amount))) => Ok(amount.to_string()),
        (_, ColumnValue::Text(None) | ColumnValue::Day(None) | ColumnValue::Money(None)) => Ok("NULL".to_owned()),
    }
}

/// Returns a value that the importer has found, as SQL.
fn json_literal(value: &Value) -> String {
    match value {
        Value::Null => "NULL".to_owned(),
        Value::String(text) => literal(text),
        other => other.to_string(),
    }
}

/// Returns the number of an order if a DOUBLE keeps it as it is written.
fn number(text: &str) -> Option<&str> {
    let number: f64 = text.parse().ok()?;
    (number.is_finite() && number.to_string() == text).then_some(text)
}

/// Returns `text` without what would end a comment or a text in quotation marks.
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
