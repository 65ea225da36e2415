//! `rotracker import --originals`: writes out the rows that imports have read, as they were found.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, File},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use app_core::db::{self, Pool};
use serde_json::{Map, Value};
use sqlx::FromRow;

use super::report::encoded_name;
use crate::migrate::Databases;

/// The columns that follow those of the source.
const OUR_COLUMNS: [&str; 6] =
    ["import_source", "import_table", "import_row", "import_class", "import_target_table", "import_target_id"];

/// The most rows that are read at once.
const BATCH: usize = 500;

#[derive(FromRow)]
struct KeptRow {
    id: i64,
    source: String,
    source_table: String,
    source_row: i64,
    original: String,
    class: String,
    target_table: Option<String>,
    target_id: Option<i64>,
}

/// Writes a file `originals-TABLE.csv` for each table that was imported, with the latest version of each row, and returns their paths.
///
/// # Errors
/// When the databases cannot be read, or a file is there already.
pub(super) async fn write(databases: &Databases, directory: &Path) -> Result<Vec<PathBuf>> {
    fs::create_dir_all(directory).with_context(|| format!("{} cannot be created", directory.display()))?;
    let mut names = vec![&databases.main, &databases.inventory];
    names.dedup();
    let pools: Vec<Pool> = names.into_iter().map(|name| Pool::new(&databases.server, name)).collect();
    let written = write_all(&pools, directory).await;
    for pool in pools {
        pool.close();
    }
    written
}

async fn write_all(pools: &[Pool], directory: &Path) -> Result<Vec<PathBuf>> {
    // The first reading finds out which columns each table has.
    let mut columns: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for pool in pools {
        for_each_row(pool, |row, original| {
            columns.entry(row.source_table).or_default().extend(original.into_iter().map(|(column, _)| column));
            Ok(())
        })
        .await?;
    }
    let mut files = BTreeMap::new();
    for (table, columns) in &columns {
        let path = directory.join(format!("originals-{}.csv", encoded_name(table)));
        let file = File::create_new(&path).with_context(|| format!("{} cannot be written", path.display()))?;
        let mut writer = csv::Writer::from_writer(file);
        writer.write_record(columns.iter().map(String::as_str).chain(OUR_COLUMNS))?;
        files.insert(table.clone(), (path, writer));
    }
    for pool in pools {
        for_each_row(pool, |row, original| {
            let (Some((_, writer)), Some(columns)) = (files.get_mut(&row.source_table), columns.get(&row.source_table))
            else {
                return Ok(());
            };
            let shown = |value: Option<&Value>| match value {
                None | Some(Value::Null) => String::new(),
                Some(Value::String(text)) => text.clone(),
                Some(other) => other.to_string(),
            };
            let ours = [
                row.source,
                row.source_table,
                row.source_row.to_string(),
                row.class,
                row.target_table.unwrap_or_default(),
                row.target_id.map_or(String::new(), |id| id.to_string()),
            ];
            writer.write_record(columns.iter().map(|column| shown(original.get(column))).chain(ours))?;
            Ok(())
        })
        .await?;
    }
    files
        .into_values()
        .map(|(path, mut writer)| {
            writer.flush()?;
            Ok(path)
        })
        .collect()
}

/// Calls `visit` for the latest version of each row, in the order in which they were read first.
async fn for_each_row(pool: &Pool, mut visit: impl FnMut(KeptRow, Map<String, Value>) -> Result<()>) -> Result<()> {
    let mut after = 0_i64;
    loop {
        let rows: Vec<KeptRow> = db::read!(pool, |connection| {
            Ok(sqlx::query_as(
                "SELECT id, source, source_table, source_row, original, class, target_table, target_id
                 FROM import_rows
                 WHERE id > ? AND replaced_by IS NULL
                 ORDER BY id
                 LIMIT 500",
            )
            .bind(after)
            .fetch_all(connection)
            .await?)
        })
        .context("the imported rows cannot be read; `rotracker migrate` makes their table")?;
        let is_last = rows.len() < BATCH;
        for row in rows {
            after = row.id;
            let original = serde_json::from_str(&row.original)?;
            visit(row, original)?;
        }
        if is_last {
            return Ok(());
        }
    }
}
