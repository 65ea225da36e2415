//! Parts together with their rows of the index, for `rotracker import`.

use app_core::{db::push_list, http::ApiError};
use chrono::{DateTime, Utc};
use sqlx::{FromRow, MySqlConnection, QueryBuilder};

use super::{NewIndexedPart, NewPart, insert_indexed};
use crate::{
    model::{IndexId, Table},
    reindex::IndexedPart,
};

/// A row of one of the eleven tables, locked together with its row of the index until the transaction ends.
#[derive(Clone, Debug, PartialEq, Eq, FromRow)]
pub struct StoredPart {
    pub row_id: i64,
    /// `None` if the index misses the part.
    pub index_id: Option<IndexId>,
    /// The quantity is that of the index, which counts.
    #[sqlx(flatten)]
    pub part: NewPart,
    pub last_seen: Option<DateTime<Utc>>,
}

/// Returns the rows of `table` with these ids, as far as they exist, and locks them.
pub async fn lock_parts(
    connection: &mut MySqlConnection,
    table: Table,
    row_ids: &[i64],
) -> Result<Vec<StoredPart>, ApiError> {
    if row_ids.is_empty() {
        return Ok(Vec::new());
    }
    let (condition, bin) = table.condition_and_bin_columns();
    let mut statement = QueryBuilder::new(format!(
        "SELECT part.id AS row_id, i.IndexId AS index_id, part.PN AS part_number,
                IF(i.IndexId IS NULL, part.QTY, i.Qty) AS qty, part.SERIAL AS serial, part.{condition} AS `condition`,
                part.LOCATION AS location, part.DESCRIPTION AS description, CAST({bin} AS CHAR) AS bin,
                i.LastSeen AS last_seen
         FROM `{name}` part
         LEFT JOIN inventoryindex i ON i.TableName = '{name}' AND i.RowId = part.id
         WHERE part.id IN (",
        name = table.name(),
    ));
    push_list(&mut statement, row_ids);
    statement.push(") FOR UPDATE");
    Ok(statement.build_query_as().fetch_all(connection).await?)
}

/// Updates a row of `table` and its row of the index, which is inserted if the index misses it.
pub async fn update_part(
    connection: &mut MySqlConnection,
    table: Table,
    row_id: i64,
    part: &NewPart,
    last_seen: Option<DateTime<Utc>>,
) -> Result<IndexId, ApiError> {
    let (condition, bin) = table.condition_and_bin_columns();
    let mut statement = QueryBuilder::new(format!("UPDATE `{}` SET PN = ", table.name()));
    statement.push_bind(&part.part_number);
    for (column, value) in [
        ("SERIAL", &part.serial),
        (condition, &part.condition),
        ("LOCATION", &part.location),
        ("DESCRIPTION", &part.description),
    ] {
        statement.push(format!(", {column} = ")).push_bind(value);
    }
    if table == Table::BinsInventory {
        statement.push(format!(", {bin} = ")).push_bind(&part.bin);
    }
    statement.push(", QTY = ").push_bind(part.qty).push(" WHERE id = ").push_bind(row_id);
    statement.build().execute(&mut *connection).await?;

    let ids = insert_indexed(connection, table, &[indexed(row_id, part, last_seen)]).await?;
    let id = ids.into_iter().next().ok_or_else(|| ApiError::internal("the index returned no id"))?;
    sqlx::query(
        "UPDATE inventoryindex
         SET PartNumber = ?, Qty = ?, `Condition` = ?, Location = ?, LastSeen = ?
         WHERE IndexId = ?",
    )
    .bind(part.part_number.as_deref().unwrap_or_default())
    .bind(part.qty)
    .bind(&part.condition)
    .bind(&part.location)
    .bind(last_seen)
    .bind(id)
    .execute(connection)
    .await?;
    Ok(id)
}

/// Returns what the index has of a part.
pub fn indexed(row_id: i64, part: &NewPart, last_seen: Option<DateTime<Utc>>) -> NewIndexedPart {
    NewIndexedPart {
        row_id,
        part: IndexedPart {
            part_number: part.part_number.clone().unwrap_or_default(),
            qty: part.qty,
            condition: part.condition.clone(),
            location: part.location.clone(),
        },
        last_seen,
    }
}

/// Returns the ids in the index of rows of `table`, as pairs of the id in the table and the id in the index.
pub async fn index_ids(
    connection: &mut MySqlConnection,
    table: Table,
    row_ids: &[i64],
) -> Result<Vec<(i64, IndexId)>, ApiError> {
    if row_ids.is_empty() {
        return Ok(Vec::new());
    }
    let mut statement = QueryBuilder::new("SELECT RowId, IndexId FROM inventoryindex WHERE TableName = ");
    statement.push_bind(table.name()).push(" AND RowId IN (");
    push_list(&mut statement, row_ids);
    statement.push(")");
    Ok(statement.build_query_as().fetch_all(connection).await?)
}
