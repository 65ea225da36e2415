//! Finds rows that were edited in the source so that neither their content nor their key is as before: rows at the place where an
//! earlier run read another one.

use std::collections::HashMap;

use anyhow::Result;
use app_core::db::{self, Pool};
use inventory::model::part_number_key;
use serde_json::Value as Json;

use super::{
    import_rows::{self, EarlierRows},
    layout::{Content, Layout},
    plan::{Decision, Plan},
    source::{BATCH, Source, SourceRow, SourceTable},
    target::EarlierRow,
};

/// Matches rows of `kind` that were imported before with those at the same place, if both are of the same part. `is_matched` says
/// which earlier rows are found already.
pub(super) async fn match_edited_rows<S: Source>(
    pool: &Pool,
    source: &mut S,
    plan: &mut Plan,
    kind: &str,
    earlier: &EarlierRows,
    is_matched: &mut [bool],
) -> Result<()> {
    let mut lost = HashMap::new();
    for (index, row) in earlier.rows.iter().enumerate() {
        if let (false, Some(_), Some(table)) = (is_matched[index], row.target, row.table) {
            lost.insert((table, row.position), index);
        }
    }
    for table in 0..plan.tables.len() {
        let planned = &mut plan.tables[table];
        let Some(layout) = planned.layout.clone().filter(|_| planned.kind() == kind && !planned.table.is_mended) else {
            continue;
        };
        let candidates: Vec<(usize, usize)> = (0..planned.rows.len())
            .filter(|place| {
                let row = &planned.rows[*place];
                row.earlier.is_none() && !matches!(row.decision, Decision::Skip(_))
            })
            .filter_map(|place| Some((place, *lost.get(&(table, planned.rows[place].position))?)))
            .collect();
        for chunk in candidates.chunks(BATCH) {
            let positions: Vec<i64> = chunk.iter().map(|(place, _)| planned.rows[*place].position).collect();
            let ids: Vec<i64> = chunk.iter().map(|(_, index)| earlier.rows[*index].id).collect();
            let originals = db::read!(pool, |connection| import_rows::originals(connection, &ids).await)?;
            let rows = source.rows_at(&planned.table, &positions).await?;
            let rows: HashMap<i64, SourceRow> = rows.into_iter().map(|row| (row.position, row)).collect();
            for (place, index) in chunk {
                let row = &mut planned.rows[*place];
                let (Some(now), Some(before)) = (rows.get(&row.position), originals.get(&earlier.rows[*index].id))
                else {
                    continue;
                };
                if is_same_part(&planned.table, &layout, now, before) {
                    is_matched[*index] = true;
                    row.earlier = Some(Box::new(EarlierRow { has_same_content: false, ..earlier.rows[*index] }));
                }
            }
        }
    }
    Ok(())
}

/// Returns whether two versions of a row have the same part number, and orders also the same shop.
fn is_same_part(table: &SourceTable, layout: &Layout, now: &SourceRow, before: &Json) -> bool {
    let agrees = |field: &str| {
        let column = layout.position(field).map(|position| table.columns[position].name.as_str());
        let text = column.map(|column| match &before[column] {
            Json::String(text) => text.clone(),
            Json::Null => String::new(),
            other => other.to_string(),
        });
        text.is_some_and(|text| {
            let key = part_number_key(&layout.value(now, field).to_string());
            !key.is_empty() && key == part_number_key(&text)
        })
    };
    match layout.content {
        Content::Orders(_) => agrees("PART") && agrees("SHOP_NAME"),
        Content::Parts(_) => agrees("PN"),
        Content::PartIndex | Content::Shops | Content::AiLog | Content::Ledger => false,
    }
}
