//! Groups rows by what happened to them: the rule of a correction, or the reason without what is particular to the row.

use std::{cmp::Reverse, collections::BTreeMap};

use serde::{Serialize, Serializer};

use super::super::{row_reader::Correction, target::Class};

/// What happened to a row.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(super) struct RowGroup {
    pub(super) section: Section,
    /// The rule, or the reason.
    pub(super) title: String,
}

/// The sections in which groups are listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Section {
    /// Rejected, until someone mends the row.
    Rejected,
    /// Rejected, because the row was changed both here and in the source.
    Conflict,
    /// Rejected, because its table is not understood.
    NotUnderstood,
    Corrected,
    Updated,
    Skipped,
    /// Nothing changed, but there is something to know.
    Remark,
}

/// A group, with the number of its rows.
#[derive(Clone, Debug, Serialize)]
pub(super) struct GroupReport {
    #[serde(flatten)]
    pub(super) group: RowGroup,
    pub(super) rows: u64,
}

/// The most groups. Rows of further ones are counted together.
const MOST_GROUPS: usize = 200;

/// The groups of a report, with the number of rows of each.
#[derive(Debug, Default)]
pub(super) struct Groups(BTreeMap<RowGroup, u64>);

impl Groups {
    /// Counts a row.
    pub(super) fn count(&mut self, class: Class, reason: Option<&str>, corrections: &[Correction]) {
        for mut group in of(class, reason, corrections) {
            if self.0.len() >= MOST_GROUPS && !self.0.contains_key(&group) {
                group = RowGroup::other(group.section);
            }
            *self.0.entry(group).or_default() += 1;
        }
    }

    /// Lists the groups by section, those with most rows first.
    pub(super) fn list(&self) -> Vec<GroupReport> {
        let mut list: Vec<GroupReport> =
            self.0.iter().map(|(group, rows)| GroupReport { group: group.clone(), rows: *rows }).collect();
        list.sort_by_key(|group| (group.group.section, Reverse(group.rows)));
        list
    }
}

impl Serialize for Groups {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.list().serialize(serializer)
    }
}

impl RowGroup {
    /// The group of the rows of a section that have no group of their own.
    pub(super) fn other(section: Section) -> Self {
        Self { section, title: "other reasons".to_owned() }
    }
}

/// The reasons that name something particular to the row, each `*` standing for that, with the titles of their groups. The first
/// that matches counts.
const REASONS: [(&str, Section, &str); 25] = [
    ("the table * is not understood", Section::NotUnderstood, "the table is not understood"),
    (
        "*: the source and this database have different changes of *",
        Section::Conflict,
        "changed both here and in the source",
    ),
    (
        "* was deleted in this database and changed in the source",
        Section::Conflict,
        "deleted in this database and changed in the source",
    ),
    ("* already exists (id *) and differs in *", Section::Conflict, "already here with other values, from elsewhere"),
    ("row * of * has the same number with other content", Section::Rejected, "another row has the same order number"),
    ("row * points to the same part already", Section::Rejected, "another row of the index points to the same part"),
    (
        "row * of *, to which it points, is not imported",
        Section::Rejected,
        "the part to which it points was not imported",
    ),
    ("it points to row * of *, which does not exist", Section::Rejected, "it points to a row that does not exist"),
    ("it points to row * of *, which has another part: *", Section::Rejected, "it points to a row with another part"),
    (
        "it points to the table *, which the source does not have",
        Section::Rejected,
        "it points to a table that the source does not have",
    ),
    ("it points to the table *, which has no parts", Section::Rejected, "it points to a table that has no parts"),
    ("the database refuses it: *", Section::Rejected, "the database refuses it"),
    ("an exact repetition of *", Section::Skipped, "an exact repetition of another row"),
    (
        "the order was already moved: * counts",
        Section::Skipped,
        "an order that was copied to an archive, and left in the active table",
    ),
    ("* is no whole number that its column holds: *", Section::Rejected, "a number that its column does not hold"),
    ("* is more than its column holds: *", Section::Rejected, "a number that its column does not hold"),
    ("its quantity *: *", Section::Rejected, "its quantity cannot be read"),
    (
        "row * of * has changed since it was rejected, or *",
        Section::Rejected,
        "the row for which it stands has changed since it was rejected, or was never imported",
    ),
    ("row * of * is not rejected any more", Section::Rejected, "the row for which it stands is not rejected any more"),
    (
        "another row of this table stands for row *, too",
        Section::Rejected,
        "another row of the same file stands for the same rejected row",
    ),
    ("its source_row and source_digest do not name a rejected row; *", Section::Rejected, NO_REJECTED_ROW),
    ("its * source_digest name no rejected row*", Section::Rejected, NO_REJECTED_ROW),
    ("the archive status is *, which is none of *", Section::Rejected, "an archive status that is not known"),
    ("its part has another number here: *", Section::Rejected, "its part has another number here"),
    // The column is in the title, the value is not.
    ("*: *", Section::Rejected, ""),
];

const NO_REJECTED_ROW: &str = "it names no rejected row";

/// Returns the groups of a row: one for its reason, and one for each rule by which it was corrected. Rows of which a report has
/// nothing to say have none.
pub(super) fn of(class: Class, reason: Option<&str>, corrections: &[Correction]) -> Vec<RowGroup> {
    let mut groups = Vec::new();
    if let Some(reason) = reason {
        groups.push(of_reason(class, reason));
    } else if class == Class::Updated {
        groups.push(RowGroup {
            section: Section::Updated,
            title: "changed in the source since an earlier import".to_owned(),
        });
    }
    for correction in corrections {
        let group = RowGroup { section: Section::Corrected, title: correction.rule.clone() };
        if !groups.contains(&group) {
            groups.push(group);
        }
    }
    groups
}

fn of_reason(class: Class, reason: &str) -> RowGroup {
    let section = match class {
        Class::Rejected => Section::Rejected,
        Class::Skipped => Section::Skipped,
        Class::Updated => Section::Updated,
        Class::Corrected => Section::Corrected,
        Class::Imported | Class::Unchanged => Section::Remark,
    };
    match REASONS.iter().find(|(pattern, _, _)| matches(pattern, reason)) {
        Some((_, section, title)) if !title.is_empty() => RowGroup { section: *section, title: (*title).to_owned() },
        _ => RowGroup { section, title: reason.split(": ").next().unwrap_or(reason).to_owned() },
    }
}

/// Returns whether `text` is `pattern`, in which each `*` stands for any text.
fn matches(pattern: &str, text: &str) -> bool {
    let Some((start, rest)) = pattern.split_once('*') else { return pattern == text };
    text.strip_prefix(start).is_some_and(|text| {
        let mut ends = text.char_indices().map(|(end, _)| end).chain([text.len()]);
        ends.any(|end| matches(rest, &text[end..]))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_grouped_without_what_is_particular_to_a_row() {
        for (reason, section, title) in [
            ("the order has no number", Section::Rejected, "the order has no number"),
            ("QTY is no whole number: 1.5", Section::Rejected, "QTY is no whole number"),
            (
                "RO*1: 2: the source and this database have different changes of notes, terms",
                Section::Conflict,
                "changed both here and in the source",
            ),
            (
                "the order was already moved: row 2 of paid counts",
                Section::Skipped,
                "an order that was copied to an archive, and left in the active table",
            ),
            (
                "row 4 of active has changed since it was rejected, or its source was never imported",
                Section::Rejected,
                "the row for which it stands has changed since it was rejected, or was never imported",
            ),
            (
                "row 4 of active is not rejected any more",
                Section::Rejected,
                "the row for which it stands is not rejected any more",
            ),
            (
                "another row of this table stands for row 4, too",
                Section::Rejected,
                "another row of the same file stands for the same rejected row",
            ),
            (
                "its source_row and source_digest do not name a rejected row; they must stay as they were",
                Section::Rejected,
                "it names no rejected row",
            ),
            (
                "its columns source, source_table, source_row and source_digest name no rejected row of active; they must stay",
                Section::Rejected,
                "it names no rejected row",
            ),
            (
                "the archive status is CLOSED: 3, which is none of ACTIVE, PAID, NET, RETURNED",
                Section::Rejected,
                "an archive status that is not known",
            ),
            ("its part has another number here: 3-1", Section::Rejected, "its part has another number here"),
            ("its quantity is negative: -1", Section::Rejected, "its quantity cannot be read"),
            ("the database refuses it: Data too long", Section::Rejected, "the database refuses it"),
            (
                "it points to the table attic, which the source does not have",
                Section::Rejected,
                "it points to a table that the source does not have",
            ),
            (
                "row 3 points to the same part already",
                Section::Rejected,
                "another row of the index points to the same part",
            ),
            (
                "row 7 of paid has the same number with other content",
                Section::Rejected,
                "another row has the same order number",
            ),
            (
                "it points to row 9 of terra, which has another part: A, B",
                Section::Rejected,
                "it points to a row with another part",
            ),
            ("the table hold is not understood", Section::NotUnderstood, "the table is not understood"),
        ] {
            let groups = of(Class::Rejected, Some(reason), &[]);
            assert_eq!(groups, [RowGroup { section, title: title.to_owned() }], "{reason}");
        }
    }

    #[test]
    fn very_many_reasons_are_counted_together() {
        let mut groups = Groups::default();
        for number in 0..1_000 {
            groups.count(Class::Rejected, Some(&format!("reason {number}")), &[]);
        }
        groups.count(Class::Rejected, Some("reason 7"), &[]);
        let list = groups.list();
        assert_eq!(list.len(), MOST_GROUPS + 1);
        assert_eq!((list[0].group.clone(), list[0].rows), (RowGroup::other(Section::Rejected), 800));
        assert_eq!((&*list[1].group.title, list[1].rows), ("reason 7", 2));
    }

    #[test]
    fn a_row_is_once_in_the_group_of_each_rule() {
        let correction = |column: &str, rule: &str| Correction {
            column: column.to_owned(),
            found: "1".to_owned(),
            stored: None,
            rule: rule.to_owned(),
        };
        let corrections = [correction("a", "trimmed"), correction("b", "trimmed"), correction("b", "rounded")];
        let titles: Vec<String> =
            of(Class::Corrected, None, &corrections).into_iter().map(|group| group.title).collect();
        assert_eq!(titles, ["trimmed", "rounded"]);
        assert_eq!(of(Class::Imported, None, &[]), []);
        assert_eq!(of(Class::Updated, None, &[])[0].section, Section::Updated);
    }
}
