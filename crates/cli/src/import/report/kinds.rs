//! Groups rows by what happened to them: the rule of a correction, or the reason without what is particular to the row.

use std::{cmp::Reverse, collections::BTreeMap};

use serde::{Serialize, Serializer};

use super::super::{row_reader::Correction, target::Class};

/// What happened to a row.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(super) struct Kind {
    pub(super) section: Section,
    /// The rule, or the reason.
    pub(super) title: String,
}

/// The sections in which kinds are listed.
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

/// A kind, with the number of its rows.
#[derive(Clone, Debug, Serialize)]
pub(super) struct KindReport {
    #[serde(flatten)]
    pub(super) kind: Kind,
    pub(super) rows: u64,
}

/// Lists the kinds by section, those with most rows first.
pub(super) fn list(kinds: &BTreeMap<Kind, u64>) -> Vec<KindReport> {
    let mut list: Vec<KindReport> =
        kinds.iter().map(|(kind, rows)| KindReport { kind: kind.clone(), rows: *rows }).collect();
    list.sort_by_key(|kind| (kind.kind.section, Reverse(kind.rows)));
    list
}

pub(super) fn as_list<S: Serializer>(kinds: &BTreeMap<Kind, u64>, serializer: S) -> Result<S::Ok, S::Error> {
    list(kinds).serialize(serializer)
}

/// The reasons that name something particular to the row, each `*` standing for that, with the titles of their kinds. The first
/// that matches counts.
const REASONS: [(&str, Section, &str); 18] = [
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
        "a move that was cut short: the order is *",
        Section::Skipped,
        "an order that was copied to an archive, and left in the active table",
    ),
    ("* is no whole number that its column holds: *", Section::Rejected, "a number that its column does not hold"),
    ("* is more than its column holds: *", Section::Rejected, "a number that its column does not hold"),
    ("its quantity *: *", Section::Rejected, "its quantity cannot be read"),
    // The column is in the title, the value is not.
    ("*: *", Section::Rejected, ""),
];

/// Returns the kinds of a row: one for its reason, and one for each rule by which it was corrected. Rows of which a report has
/// nothing to say have none.
pub(super) fn of(class: Class, reason: Option<&str>, corrections: &[Correction]) -> Vec<Kind> {
    let mut kinds = Vec::new();
    if let Some(reason) = reason {
        kinds.push(of_reason(class, reason));
    } else if class == Class::Updated {
        kinds.push(Kind {
            section: Section::Updated,
            title: "changed in the source since an earlier import".to_owned(),
        });
    }
    for correction in corrections {
        let kind = Kind { section: Section::Corrected, title: correction.rule.clone() };
        if !kinds.contains(&kind) {
            kinds.push(kind);
        }
    }
    kinds
}

fn of_reason(class: Class, reason: &str) -> Kind {
    let section = match class {
        Class::Rejected => Section::Rejected,
        Class::Skipped => Section::Skipped,
        Class::Updated => Section::Updated,
        Class::Corrected => Section::Corrected,
        Class::Imported | Class::Unchanged => Section::Remark,
    };
    match REASONS.iter().find(|(pattern, _, _)| matches(pattern, reason)) {
        Some((_, section, title)) if !title.is_empty() => Kind { section: *section, title: (*title).to_owned() },
        _ => Kind { section, title: reason.split(": ").next().unwrap_or(reason).to_owned() },
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
            let kinds = of(Class::Rejected, Some(reason), &[]);
            assert_eq!(kinds, [Kind { section, title: title.to_owned() }], "{reason}");
        }
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
        let titles: Vec<String> = of(Class::Corrected, None, &corrections).into_iter().map(|kind| kind.title).collect();
        assert_eq!(titles, ["trimmed", "rounded"]);
        assert_eq!(of(Class::Imported, None, &[]), []);
        assert_eq!(of(Class::Updated, None, &[])[0].section, Section::Updated);
    }
}
