//! Rejected rows that people have mended: each stands for the row of its source that an earlier run rejected.
//!
//! The files of rejected rows name the source, the table, the place of each row and a digest of its content. A mended row becomes
//! the latest version of that row in `import_rows`, with the digest that the row has in the source. So the next run on the source
//! recognizes the row, and does not reject it again.

use std::collections::{HashMap, HashSet};

use anyhow::Result;
use app_core::db::{self, Pool};

use super::{
    import_rows::{self, RejectedEntry},
    matching::RowDigest,
    plan::{Decision, PlannedRow, PlannedTable},
    source::{BATCH, Original, RejectedRow, Source},
    target::{Class, EarlierRow},
};

/// Finds for each row of a table of mended rows the rejected row for which it stands, and rejects those that stand for none.
pub(super) async fn find_rejected_rows<S: Source>(
    pool: &Pool,
    source: &mut S,
    planned: &mut PlannedTable,
) -> Result<()> {
    let kind = planned.kind();
    let mut taken = HashSet::new();
    for start in (0..planned.rows.len()).step_by(BATCH) {
        let rows = start..planned.rows.len().min(start + BATCH);
        let digests: Vec<RowDigest> = planned.mends[rows.clone()].iter().flatten().map(|row| row.digest).collect();
        let entries =
            db::read!(pool, |connection| import_rows::find(connection, &planned.table.source, kind, &digests).await)?;
        let positions: Vec<i64> = planned.rows[rows.clone()].iter().map(|row| row.position).collect();
        let mut originals = HashMap::new();
        for row in source.rows_at(&planned.table, &positions).await? {
            let original = serde_json::to_string(&Original { table: &planned.table, row: &row })?;
            originals.insert(row.position, original);
        }
        for place in rows {
            let (row, rejected) = (&mut planned.rows[place], planned.mends[place].as_ref());
            let original = originals.get(&row.position).map(String::as_str).unwrap_or_default();
            let found = rejected_entry(rejected, &entries, &planned.title);
            let result = found.and_then(|entry| {
                if taken.insert(entry.row.id) {
                    Ok(entry)
                } else {
                    Err(format!("another row of this table stands for row {}, too", entry.row.position))
                }
            });
            match result {
                Ok(entry) => take_place_of(row, entry, original),
                Err(problem) => row.decision = Decision::Reject(problem.into()),
            }
        }
    }
    Ok(())
}

/// Returns the entry of the rejected row, or why there is none.
fn rejected_entry<'entries>(
    rejected: Option<&RejectedRow>,
    entries: &'entries [RejectedEntry],
    table: &str,
) -> Result<&'entries RejectedEntry, String> {
    let Some(rejected) = rejected else {
        return Err(format!(
            "its columns source, source_table, source_row and source_digest name no rejected row of {table}; they must stay as they \
             were, and rows of other tables belong in other files"
        ));
    };
    let with_content = || entries.iter().filter(|entry| entry.content == rejected.digest);
    let at_its_place = with_content().find(|entry| entry.row.position == rejected.position);
    let entry = at_its_place.or_else(|| with_content().next()).ok_or_else(|| {
        let position = rejected.position;
        format!("row {position} of {table} has changed since it was rejected, or its source was never imported")
    })?;
    if entry.row.class == Class::Rejected || entry.row.is_mended {
        Ok(entry)
    } else {
        Err(format!("row {} of {table} is not rejected any more", entry.row.position))
    }
}

/// Makes `row` the next version of the rejected row.
fn take_place_of(row: &mut PlannedRow, entry: &RejectedEntry, original: &str) {
    row.earlier = Some(Box::new(EarlierRow { has_same_content: entry.original == original, ..entry.row }));
    row.digests.content = entry.content;
}
