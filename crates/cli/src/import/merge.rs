//! The three-way merge of a row.

use serde_json::{Map, Value};

/// The values of a row by field, as JSON.
pub(super) type Fields = Map<String, Value>;

/// The result of a merge.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Merge {
    Unchanged,
    /// The values to store.
    Changed(Fields),
    /// The fields that changed on both sides, differently.
    Conflict(Vec<String>),
}

/// Merges the changes since `base`, the values of the last import. A field that changed only in the source takes the new value; a
/// field that changed only in the database keeps its value. Without a `base`, every difference is a conflict. `source_wins` resolves
/// conflicts in favour of the source.
pub(super) fn merge(base: Option<&Fields>, from_source: &Fields, in_database: &Fields, source_wins: bool) -> Merge {
    let value = |fields: &Fields, field: &str| fields.get(field).cloned().unwrap_or(Value::Null);
    let mut merged = in_database.clone();
    let mut conflicts = Vec::new();
    for (field, new) in from_source {
        let present = value(in_database, field);
        let before = base.map(|base| value(base, field));
        if *new == present || before.as_ref() == Some(new) {
            continue;
        }
        if before != Some(present) && !source_wins {
            conflicts.push(field.clone());
        }
        merged.insert(field.clone(), new.clone());
    }
    if !conflicts.is_empty() {
        Merge::Conflict(conflicts)
    } else if merged == *in_database {
        Merge::Unchanged
    } else {
        Merge::Changed(merged)
    }
}

/// Keeps a date that every change sets, such as that of the last update, out of conflicts: takes the source's date if it changed
/// and is later, otherwise keeps that of the database.
pub(super) fn keep_later_date(field: &str, base: Option<&mut Fields>, theirs: &mut Fields, here: &Fields) {
    let text = |fields: &Fields| fields.get(field).and_then(Value::as_str).map(str::to_owned);
    let kept = match &base {
        Some(base) if text(theirs) != text(base) => text(theirs).max(text(here)),
        _ => text(here),
    };
    if let Some(base) = base {
        base.insert(field.to_owned(), text(here).into());
    }
    theirs.insert(field.to_owned(), kept.into());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_fields_that_changed_on_both_sides_conflict() {
        let fields = |terms: &str, notes: &str| {
            Fields::from_iter([("terms".to_owned(), terms.into()), ("notes".to_owned(), notes.into())])
        };
        let base = fields("COD", "a");
        for (case, theirs, ours, expected) in [
            ("nothing changed", fields("COD", "a"), fields("COD", "a"), Merge::Unchanged),
            ("only ours", fields("COD", "a"), fields("WIRE", "a"), Merge::Unchanged),
            ("only theirs", fields("WIRE", "a"), fields("COD", "a"), Merge::Changed(fields("WIRE", "a"))),
            ("both to the same", fields("WIRE", "a"), fields("WIRE", "a"), Merge::Unchanged),
            ("different fields", fields("WIRE", "a"), fields("COD", "b"), Merge::Changed(fields("WIRE", "b"))),
            ("both differently", fields("WIRE", "a"), fields("NET 30", "a"), Merge::Conflict(vec!["terms".to_owned()])),
        ] {
            assert_eq!(merge(Some(&base), &theirs, &ours, false), expected, "{case}");
        }
        let replaced = merge(Some(&base), &fields("WIRE", "a"), &fields("NET 30", "b"), true);
        assert_eq!(replaced, Merge::Changed(fields("WIRE", "b")));
        let empty = Fields::from_iter([("notes".to_owned(), "a".into())]);
        let unknown = merge(None, &fields("WIRE", "a"), &empty, false);
        assert_eq!(unknown, Merge::Conflict(vec!["terms".to_owned()]), "without a base");
    }
}
