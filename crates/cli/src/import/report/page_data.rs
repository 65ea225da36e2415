//! The rows of `report.html`, as JSON for its script.

use std::{
    borrow::Cow,
    collections::{BTreeMap, HashMap},
    io::Write,
};

use anyhow::Result;
use serde::Serialize;

use super::{
    Class, Report, RowReport,
    groups::{self, GroupReport, RowGroup},
    text::grouped,
};

/// The most rows that a page shows one by one, over all groups, and the most bytes that they take. A browser shows that at once.
const MOST_ROWS: u64 = 20_000;
const MOST_BYTES: usize = 32 * 1024 * 1024;

/// The most characters of a text that a page shows.
const MOST_CHARACTERS: usize = 2_000;

/// Returns the most rows of a group that a page shows, unless all fit.
fn most_of_each(groups: &[GroupReport]) -> Option<u64> {
    let all: u64 = groups.iter().map(|group| group.rows).sum();
    (all > MOST_ROWS).then(|| MOST_ROWS / groups.len() as u64)
}

/// A table, as the script needs it.
#[derive(Serialize)]
struct PageTable<'report> {
    name: &'report str,
    columns: &'report [String],
}

/// A row, as the script needs it: the place of the table, the row, the class, the places of the groups, the reason, the id here,
/// the values as found, and the corrections as column, found, stored and rule.
#[derive(Serialize)]
struct PageRow<'row>(
    usize,
    i64,
    Class,
    Vec<usize>,
    Option<Cow<'row, str>>,
    Option<i64>,
    Vec<Option<Cow<'row, str>>>,
    Vec<PageCorrection<'row>>,
);

#[derive(Serialize)]
struct PageCorrection<'row>(&'row str, Cow<'row, str>, Option<Cow<'row, str>>, &'row str);

impl<'row> PageRow<'row> {
    fn new(row: &'row RowReport, table: usize, groups: Vec<usize>) -> Self {
        let corrections = row.corrections.iter().map(|correction| {
            let stored = correction.stored.as_deref().map(shortened);
            PageCorrection(&correction.column, shortened(&correction.found), stored, &correction.rule)
        });
        Self(
            table,
            row.row,
            row.class,
            groups,
            row.reason.as_deref().map(shortened),
            row.target,
            row.found.iter().map(|value| value.as_deref().map(shortened)).collect(),
            corrections.collect(),
        )
    }
}

fn shortened(text: &str) -> Cow<'_, str> {
    match text.char_indices().nth(MOST_CHARACTERS) {
        None => text.into(),
        Some((end, _)) => {
            let more = text[end..].chars().count();
            format!("{}… ({} more characters)", &text[..end], grouped(&more)).into()
        }
    }
}

/// Writes the rows as JSON, one after the other. The first rows of each group are written.
pub(super) fn write(page: &mut impl Write, report: &Report, groups: &[GroupReport]) -> Result<()> {
    let tables: Vec<PageTable<'_>> =
        report.tables.iter().map(|table| PageTable { name: &table.table, columns: &table.columns }).collect();
    write!(page, "{{\"tables\":{},\"groups\":{},\"rows\":[", in_script(&tables)?, in_script(&groups)?)?;
    let most_rows = most_of_each(groups).unwrap_or(MOST_ROWS);
    let most_bytes = MOST_BYTES / groups.len().max(1);
    let places: BTreeMap<&RowGroup, usize> =
        groups.iter().zip(0..).map(|(group, place)| (&group.group, place)).collect();
    let table_places: HashMap<&str, usize> =
        report.tables.iter().zip(0..).map(|(table, place)| (table.table.as_str(), place)).collect();
    let mut written = vec![(0, 0); groups.len()];
    let mut separator = "";
    for row in report.rows.read()? {
        let row = row?;
        let Some(table) = table_places.get(row.table.as_str()).copied() else { continue };
        let of_row = groups::of(row.class, row.reason.as_deref(), &row.corrections);
        let place =
            |group: RowGroup| places.get(&group).or_else(|| places.get(&RowGroup::other(group.section))).copied();
        let mut of_row: Vec<usize> = of_row.into_iter().filter_map(place).collect();
        of_row.sort_unstable();
        of_row.dedup();
        if !of_row.iter().any(|group| written[*group].0 < most_rows && written[*group].1 < most_bytes) {
            continue;
        }
        let json = in_script(&PageRow::new(&row, table, of_row.clone()))?;
        for group in of_row {
            written[group].0 += 1;
            written[group].1 += json.len();
        }
        write!(page, "{separator}\n{json}")?;
        separator = ",";
    }
    page.write_all(b"]}")?;
    Ok(())
}

/// Returns JSON that can stand in a script: nothing in it ends the script or begins a comment.
fn in_script(value: &impl Serialize) -> Result<String> {
    Ok(serde_json::to_string(value)?.replace('<', "\\u003c"))
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::import::report::{TableReport, rows::SpooledRows};

    #[test]
    fn of_very_many_rows_the_first_of_each_group_are_in_the_page() {
        let directory = tempfile::tempdir().unwrap();
        let mut report = Report { rows: SpooledRows::in_directory(directory.path()).unwrap(), ..Report::default() };
        report.tables.push(TableReport { table: "active".to_owned(), ..TableReport::default() });
        let groups = [("rejected", 20_000), ("no number", 1)];
        let mut position = 0;
        for (reason, rows) in groups {
            for _ in 0..rows {
                position += 1;
                report.groups.count(Class::Rejected, Some(reason), &[]);
                let row = RowReport {
                    table: "active".to_owned(),
                    row: position,
                    class: Class::Rejected,
                    reason: Some(reason.to_owned()),
                    corrections: Vec::new(),
                    target: None,
                    found: Vec::new(),
                };
                report.rows.add(&row).unwrap();
            }
        }
        report.rows.flush().unwrap();
        let mut data = Vec::new();
        write(&mut data, &report, &report.groups.list()).unwrap();
        let data: Value = serde_json::from_slice(&data).unwrap();
        let mut shown: BTreeMap<&str, u64> = BTreeMap::new();
        for row in data["rows"].as_array().unwrap() {
            *shown.entry(row[4].as_str().unwrap()).or_default() += 1;
        }
        assert_eq!(shown, BTreeMap::from([("no number", 1), ("rejected", 10_000)]));
    }

    #[test]
    fn long_texts_are_cut() {
        assert_eq!(shortened(&"é".repeat(MOST_CHARACTERS)).chars().count(), MOST_CHARACTERS);
        let cut = shortened(&"é".repeat(MOST_CHARACTERS + 1234)).into_owned();
        assert!(cut.ends_with("é… (1,234 more characters)"), "{cut}");
    }
}
