//! `--map FILE`: says what tables and columns hold that are not understood by their names, in TOML.

use std::{collections::BTreeMap, fmt::Write, fs, path::Path};

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use super::{
    layout::{Content, heading},
    plan::PlannedTable,
    source::{SourceColumn, SourceTable},
};

/// The last row that may have the headings.
const MAX_HEADINGS_ROW: u32 = 1_000;

/// What tables and columns hold, as a person has written it down.
#[derive(Debug, Default)]
pub(super) struct Mapping {
    tables: Vec<(String, TableMapping)>,
}

/// What a table and its columns hold.
#[derive(Debug)]
pub(super) struct TableMapping {
    /// `None` leaves it to the name of the table.
    pub(super) content: Option<Content>,
    /// The row of a sheet that has the headings, counted from 1; 0 if none has.
    pub(super) headings_row: Option<u32>,
    /// The columns with their fields; `None` if a column is not used.
    columns: Vec<(String, Option<&'static str>)>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MappingFile {
    #[serde(default)]
    tables: BTreeMap<String, TableOfFile>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TableOfFile {
    #[serde(default)]
    content: String,
    headings_row: Option<u32>,
    #[serde(default)]
    columns: BTreeMap<String, String>,
}

impl Mapping {
    /// Reads a mapping.
    ///
    /// # Errors
    /// When the file cannot be read, or names a content or a field that does not exist.
    pub(super) fn read(path: &Path) -> Result<Self> {
        let text = fs::read_to_string(path).with_context(|| format!("{} cannot be read", path.display()))?;
        Self::parse(&text).with_context(|| format!("{} is not a valid mapping", path.display()))
    }

    fn parse(text: &str) -> Result<Self> {
        let file: MappingFile = toml::from_str(text)?;
        let mut tables = Vec::new();
        for (name, table) in file.tables {
            let content = match table.content.trim() {
                "" => None,
                content => Some(Content::of_table(content).with_context(|| {
                    format!("{content}, the content of {name}, is none of {}", Content::names().join(", "))
                })?),
            };
            let known = content.or_else(|| Content::of_table(&name));
            let mut columns: Vec<(String, Option<&str>)> = Vec::new();
            for (column, field) in table.columns {
                let field = match (heading(&field), known) {
                    (field, _) if field.is_empty() => None,
                    (_, None) => bail!("the columns of {name} are named, but not its content"),
                    (wanted, Some(content)) => {
                        let fields = content.field_names();
                        let found = fields.iter().find(|field| heading(field) == wanted).copied();
                        Some(found.with_context(|| {
                            format!("{field}, the field of {column} in {name}, is none of {}", fields.join(", "))
                        })?)
                    }
                };
                if let Some((other, Some(field))) = columns.iter().find(|(_, other)| field.is_some() && *other == field)
                {
                    bail!("{other} and {column} of {name} are both mapped to {field}");
                }
                columns.push((column, field));
            }
            if table.headings_row.is_some_and(|row| row > MAX_HEADINGS_ROW) {
                bail!("headings_row of {name} is more than {MAX_HEADINGS_ROW}");
            }
            tables.push((name, TableMapping { content, headings_row: table.headings_row, columns }));
        }
        Ok(Self { tables })
    }

    /// Returns the mapping of the table with that name.
    pub(super) fn of_table(&self, name: &str) -> Option<&TableMapping> {
        named(&self.tables, name)
    }

    /// Checks that the sources have all tables and columns that are mapped.
    ///
    /// # Errors
    /// Names one that is missing. The name may be misspelled.
    pub(super) fn check(&self, tables: &[PlannedTable]) -> Result<()> {
        for (name, mapping) in &self.tables {
            let found: Vec<_> = tables.iter().filter(|planned| heading(&planned.table.name) == heading(name)).collect();
            if found.is_empty() {
                bail!("the mapping names the table {name}, which no source has");
            }
            for (column, _) in &mapping.columns {
                let is_it = |other: &SourceColumn| {
                    other.name.trim() == column.trim()
                        || !heading(column).is_empty() && heading(&other.name) == heading(column)
                };
                if !found.iter().any(|planned| planned.table.columns.iter().any(is_it)) {
                    bail!("the mapping names the column {column} of {name}, which is not there");
                }
            }
        }
        Ok(())
    }
}

impl TableMapping {
    /// Returns the field that a column holds.
    pub(super) fn field_of(&self, column: &str) -> Option<&'static str> {
        named(&self.columns, column).copied().flatten()
    }

    /// Returns whether a column is not to be used.
    pub(super) fn ignores(&self, column: &str) -> bool {
        named(&self.columns, column) == Some(&None)
    }
}

/// Returns the entry of exactly that name, or else the only one that differs from it in case and signs.
fn named<'list, T>(list: &'list [(String, T)], name: &str) -> Option<&'list T> {
    let exact = list.iter().find(|(known, _)| known.trim() == name.trim());
    let mut similar = list.iter().filter(|(known, _)| !heading(name).is_empty() && heading(known) == heading(name));
    let only = if let (Some(first), None) = (similar.next(), similar.next()) { Some(first) } else { None };
    exact.or(only).map(|(_, entry)| entry)
}

/// Returns a mapping to be filled in: the tables that are not understood, and the columns that no field takes.
pub(super) fn template(tables: &[PlannedTable]) -> String {
    let mut text = "\
# A mapping for `rotracker import --map`. It says what tables and columns hold that are not understood by their names.
# A content or a field that is left empty is not imported. Delete what you do not need.
"
    .to_owned();
    for planned in tables {
        let SourceTable { name, columns, rows, .. } = &planned.table;
        let columns: Vec<&str> = match &planned.layout {
            None => columns.iter().map(|column| column.name.as_str()).collect(),
            Some(_) => planned
                .unmapped_columns
                .iter()
                .filter(|(_, values)| **values > 0)
                .map(|(column, _)| column.as_str())
                .collect(),
        };
        if columns.is_empty() || *rows == 0 {
            continue;
        }
        let key = toml::Value::from(name.as_str());
        let fields = |content: Content| content.field_names().join(", ");
        // Writing to a string never fails.
        let _ = writeln!(text, "\n[tables.{key}]");
        match planned.content() {
            Some(content) => {
                let _ = writeln!(text, "# Fields: {}", fields(content));
            }
            None => {
                let _ = writeln!(text, "# {rows} rows. One of {}", Content::names().join(", "));
                let _ = writeln!(text, "content = \"\"");
                let _ = writeln!(text, "# The row of the sheet with the headings; 0 if there are none.");
                let _ = writeln!(text, "# headings_row = 1");
                let _ = writeln!(
                    text,
                    "# Fields of orders: {}",
                    fields(Content::of_table("active").unwrap_or(Content::Shops))
                );
                let _ = writeln!(
                    text,
                    "# Fields of parts: {}",
                    fields(Content::of_table("bins_inventory").unwrap_or(Content::Shops))
                );
            }
        }
        let _ = writeln!(text, "[tables.{key}.columns]");
        for column in columns {
            let _ = writeln!(text, "{} = \"\"", toml::Value::from(column));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mapping_names_tables_and_columns_in_any_spelling() {
        let mapping = Mapping::parse(
            "[tables.\"Open Orders\"]\ncontent = \"active\"\nheadings_row = 3\n\
             [tables.\"Open Orders\".columns]\n\"RO #\" = \"ro\"\nRemarks = \"\"",
        )
        .unwrap();
        let table = mapping.of_table("open_orders").unwrap();
        assert_eq!((table.content, table.headings_row), (Content::of_table("active"), Some(3)));
        assert_eq!((table.field_of("RO#"), table.field_of("Remarks")), (Some("RO"), None));
        assert!(table.ignores("REMARKS") && !table.ignores("Notes"));
        let mapping =
            Mapping::parse("[tables.terra.columns]\n\"Part #\" = \"PN\"\nPart = \"\"\n\"#\" = \"QTY\"").unwrap();
        let terra = mapping.of_table("TERRA").unwrap();
        assert_eq!((terra.field_of("Part #"), terra.field_of("Part"), terra.field_of("$")), (Some("PN"), None, None));
    }

    #[test]
    fn mistakes_are_named() {
        for (text, expected) in [
            ("[tables.a]\ncontent = \"lists\"", "lists, the content of a, is none of active, paid"),
            ("[tables.active.columns]\nX = \"PRICE\"", "PRICE, the field of X in active, is none of RO, DATE_MADE"),
            ("[tables.a.columns]\nX = \"RO\"", "the columns of a are named, but not its content"),
            ("[table.a]", "unknown field `table`"),
            ("[tables.active.columns]\nA = \"RO\"\nB = \"RO\"", "A and B of active are both mapped to RO"),
        ] {
            let error = format!("{:#}", Mapping::parse(text).unwrap_err());
            assert!(error.contains(expected), "{error}");
        }
    }
}
