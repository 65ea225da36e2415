//! Rows of the source's index: each goes with its part.

use std::collections::HashMap;

use app_core::http::ApiError;
use chrono::{DateTime, Utc};
use inventory::{model::Table, store};
use sqlx::MySqlConnection;

use super::{
    import_rows::{self, PartOfRow},
    layout::Content,
    parts::Parts,
    plan::RelatedPlace,
    row_reader::ConvertedRow,
    target::{self, BatchContext, BatchDecision, BatchRow, Class, Outcome},
};

/// What became of a part that a row of the source's index names.
#[derive(Clone, Copy)]
pub(super) struct IndexedPart {
    pub(super) was_imported: bool,
    pub(super) table: Table,
    pub(super) row_id: Option<i64>,
}

/// Finds out what became of rows of the source's index: each went with its part.
pub(super) async fn import_index_rows(
    connection: &mut MySqlConnection,
    index_table: usize,
    parts: &HashMap<RelatedPlace, IndexedPart>,
    batch: &[BatchRow],
    context: &BatchContext<'_>,
) -> Result<Vec<Outcome>, ApiError> {
    let part_of = |row: &BatchRow| parts.get(&RelatedPlace { table: index_table, position: row.position });
    let mut named: HashMap<Table, Vec<i64>> = HashMap::new();
    for row in batch {
        if let Some(IndexedPart { table, row_id: Some(row_id), .. }) = part_of(row) {
            named.entry(*table).or_default().push(*row_id);
        }
    }
    let mut index_ids = HashMap::new();
    for (table, row_ids) in named {
        for (row_id, index_id) in store::index_ids(connection, table, &row_ids).await? {
            index_ids.insert((table, row_id), index_id.0);
        }
    }
    let outcomes: Vec<Outcome> = batch
        .iter()
        .map(|row| {
            let outcome = |class, reason: Option<&str>, target| Outcome::new(class, reason.map(str::to_owned), target);
            match (&row.decision, part_of(row)) {
                (BatchDecision::Skip(reason), _) => outcome(Class::Skipped, Some(reason), None),
                (BatchDecision::Reject(reason), _) => outcome(Class::Rejected, Some(reason), None),
                (BatchDecision::Mended, _) => target::mended_already(row),
                (BatchDecision::Import(_), Some(part)) if part.was_imported => {
                    let target = part.row_id.and_then(|row_id| index_ids.get(&(part.table, row_id)).copied());
                    let class = match row.earlier {
                        None => Class::Imported,
                        Some(earlier) if earlier.has_same_content && earlier.class != Class::Rejected => {
                            Class::Unchanged
                        }
                        Some(_) => Class::Updated,
                    };
                    outcome(class, None, target)
                }
                (BatchDecision::Import(_), _) => {
                    outcome(Class::Rejected, Some("the part to which it points was not imported"), None)
                }
            }
        })
        .collect();
    if context.write {
        target::save_entries(connection, "inventoryindex", batch, &outcomes, context).await?;
    }
    Ok(outcomes)
}

/// Imports rows of the source's index that people have mended. An earlier run has imported their parts.
pub(super) async fn import_mended_index_rows(
    connection: &mut MySqlConnection,
    now: DateTime<Utc>,
    batch: &[BatchRow],
    context: &BatchContext<'_>,
) -> Result<Vec<Outcome>, ApiError> {
    let parts = parts_of_mended_rows(connection, batch).await?;
    let mut outcomes = Vec::with_capacity(batch.len());
    for row in batch {
        outcomes.push(match &row.decision {
            BatchDecision::Import(ours) => import_mended_index_row(connection, now, ours, &parts, context).await?,
            BatchDecision::Skip(reason) => Outcome::new(Class::Skipped, Some(reason.clone()), None),
            BatchDecision::Reject(reason) => Outcome::new(Class::Rejected, Some(reason.clone()), None),
            BatchDecision::Mended => target::mended_already(row),
        });
    }
    if context.write {
        target::save_entries(connection, "inventoryindex", batch, &outcomes, context).await?;
    }
    Ok(outcomes)
}

/// Lists the parts at the places that the rows of a batch name, by their table.
async fn parts_of_mended_rows(
    connection: &mut MySqlConnection,
    batch: &[BatchRow],
) -> Result<HashMap<Table, Vec<PartOfRow>>, ApiError> {
    let mut positions: HashMap<Table, Vec<i64>> = HashMap::new();
    for row in batch {
        if let BatchDecision::Import(ours) = &row.decision
            && let Some(index_row) = &ours.mended_index_row
        {
            positions.entry(index_row.table).or_default().push(index_row.row);
        }
    }
    let mut parts = HashMap::new();
    for (table, positions) in positions {
        let kind = Content::Parts(table).kind();
        parts.insert(table, import_rows::parts_at(connection, kind, &positions).await?);
    }
    Ok(parts)
}

async fn import_mended_index_row(
    connection: &mut MySqlConnection,
    now: DateTime<Utc>,
    row: &ConvertedRow,
    parts: &HashMap<Table, Vec<PartOfRow>>,
    context: &BatchContext<'_>,
) -> Result<Outcome, ApiError> {
    let reject = |reason: &str| Outcome::new(Class::Rejected, Some(reason.to_owned()), None);
    let Some(index_row) = &row.mended_index_row else { return Ok(reject("it is no row of the index")) };
    let table = index_row.table;
    // The index and the parts may be in two files, and so in two sources. A part of the same source comes first.
    let part =
        parts.get(&table).into_iter().flatten().filter(|part| part.source_row == index_row.row).max_by_key(|part| {
            (part.source == context.source, part.source_table.eq_ignore_ascii_case(&index_row.table_name))
        });
    let Some(id) = part.map(|part| part.target_id) else {
        return Ok(reject("the part to which it points was not imported"));
    };
    let applied = Parts { table, now }.apply_index_row(connection, id, index_row, context.write).await?;
    let (class, corrections) = match applied {
        Ok(applied) => applied,
        Err(reason) => return Ok(reject(&reason)),
    };
    let index_id = store::index_ids(connection, table, &[id]).await?.into_iter().map(|(_, index_id)| index_id.0).next();
    Ok(Outcome { corrections, ..Outcome::new(class, None, index_id) })
}
