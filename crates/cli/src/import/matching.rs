//! Finds out which rows of a source were read before.

use std::collections::{HashMap, VecDeque};

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
pub(super) enum MatchBy {
    Content,
    Key,
}

/// Returns for each of `rows` the position of the earlier row that it was, if there is one. Both lists are in the order of the
/// source; of several rows with one digest the first is matched with the first, and so on.
pub(super) fn match_rows(rows: &[RowDigests], earlier: &[RowDigests], by: MatchBy) -> Vec<Option<usize>> {
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
