//! Finds out which rows of a source were read before.

use std::collections::{HashMap, VecDeque};

use super::{
    import_rows::EarlierRows,
    layout::Content,
    plan::{Decision, Plan, PlannedRow},
    target::EarlierRow,
};

/// A digest of a row, or of the values by which it is known.
pub(super) type RowDigest = [u8; 16];

/// The digests of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RowDigests {
    /// Of the values by which the row is known, such as the number of an order.
    pub(super) key: RowDigest,
    /// Of all its values.
    pub(super) content: RowDigest,
}

/// By which digest rows are matched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum MatchBy {
    Content,
    Key,
}

/// Returns for each of `rows` the position of the earlier row that it was, if there is one. Both lists are in the order of the
/// source; of several rows with one digest the first is matched with the first, and so on.
fn match_rows(rows: &[RowDigests], earlier: &[RowDigests], by: MatchBy) -> Vec<Option<usize>> {
    let digest = |row: &RowDigests| match by {
        MatchBy::Content => row.content,
        MatchBy::Key => row.key,
    };
    let mut waiting: HashMap<RowDigest, VecDeque<usize>> = HashMap::new();
    for (position, row) in earlier.iter().enumerate() {
        waiting.entry(digest(row)).or_default().push_back(position);
    }
    rows.iter().map(|row| waiting.get_mut(&digest(row))?.pop_front()).collect()
}

/// The rows that a step of the matching compares.
#[derive(Clone, Copy, PartialEq, Eq)]
enum MatchScope {
    /// Those that are imported now, among those that were imported before.
    Imported,
    /// Those that are not skipped now, among those that were imported before.
    NotSkipped,
    All,
}

impl MatchScope {
    fn contains(self, decision: &Decision) -> bool {
        match self {
            Self::Imported => *decision == Decision::Import,
            Self::NotSkipped => !matches!(decision, Decision::Skip(_)),
            Self::All => true,
        }
    }
}

/// Tells each row of `kind` which earlier row it was, and returns for each earlier row whether it was found again.
pub(super) fn match_with_earlier(plan: &mut Plan, kind: &str, earlier: &EarlierRows) -> Vec<bool> {
    // Rows to import are matched first, and only with rows that were imported. Otherwise the skipped copy of an order in the active
    // table could be matched with the imported order.
    let mut steps = vec![
        (MatchBy::Content, MatchScope::Imported),
        (MatchBy::Content, MatchScope::NotSkipped),
        (MatchBy::Key, MatchScope::NotSkipped),
        (MatchBy::Content, MatchScope::All),
        (MatchBy::Key, MatchScope::All),
    ];
    if kind == Content::ORDERS {
        // Only one order has a number, so an edited row is known by it even if another row repeats its former content.
        steps.insert(1, (MatchBy::Key, MatchScope::Imported));
    }
    let mut is_matched = vec![false; earlier.rows.len()];
    for (by, scope) in steps {
        let known: Vec<usize> = (0..earlier.rows.len())
            .filter(|known| !is_matched[*known] && (scope == MatchScope::All || earlier.rows[*known].target.is_some()))
            .collect();
        let mut open: Vec<&mut PlannedRow> = plan
            .tables
            .iter_mut()
            .filter(|table| table.kind() == kind && !table.table.is_mended)
            .flat_map(|table| &mut table.rows)
            .filter(|row| row.earlier.is_none() && scope.contains(&row.decision))
            .collect();
        let digests: Vec<_> = open.iter().map(|row| row.digests).collect();
        let known_digests: Vec<_> = known.iter().map(|known| earlier.digests[*known]).collect();
        for (row, found) in open.iter_mut().zip(match_rows(&digests, &known_digests, by)) {
            let Some(found) = found.map(|found| known[found]) else { continue };
            is_matched[found] = true;
            let has_same_content = earlier.digests[found].content == row.digests.content;
            row.earlier = Some(Box::new(EarlierRow { has_same_content, ..earlier.rows[found] }));
        }
    }
    is_matched
}

/// Matches rows that never were imported and are not known by any key with those that were at the same place of the source.
pub(super) fn match_rows_at_the_same_place(
    plan: &mut Plan,
    kind: &str,
    earlier: &EarlierRows,
    is_matched: &mut [bool],
) {
    let mut open = HashMap::new();
    for (known, row) in earlier.rows.iter().enumerate() {
        if let (false, None, Some(table)) = (is_matched[known], row.target, row.table) {
            open.insert((table, row.position), known);
        }
    }
    let tables = plan.tables.iter_mut().enumerate();
    for (index, table) in tables.filter(|(_, table)| table.kind() == kind && !table.table.is_mended) {
        for row in table.rows.iter_mut().filter(|row| row.earlier.is_none()) {
            if let Some(known) = open.remove(&(index, row.position)) {
                is_matched[known] = true;
                row.earlier = Some(Box::new(EarlierRow { has_same_content: false, ..earlier.rows[known] }));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_with_one_digest_are_matched_in_their_order() {
        let row = |key: u8, content: u8| RowDigests { key: [key; 16], content: [content; 16] };
        let earlier = [row(1, 10), row(1, 11), row(2, 20), row(1, 10)];
        for (by, rows, matched) in [
            (
                MatchBy::Content,
                vec![row(9, 10), row(9, 12), row(9, 10), row(9, 10)],
                vec![Some(0), None, Some(3), None],
            ),
            (MatchBy::Key, vec![row(2, 9), row(1, 9), row(1, 9), row(3, 9)], vec![Some(2), Some(0), Some(1), None]),
        ] {
            assert_eq!(match_rows(&rows, &earlier, by), matched, "{by:?}");
        }
    }
}
