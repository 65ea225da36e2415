//! Parts: how rows of the sheets and of the source's index are read, and how parts are inserted and changed here.

use std::collections::HashMap;

use app_core::http::{Actor, ApiError};
use chrono::{DateTime, SubsecRound, Utc};
use chrono_tz::Tz;
use inventory::{
    model::{NewStockTransaction, StockAction, Table, part_number_key},
    store::{self, NewPart, StoredPart},
};
use serde_json::Value as Json;
use sqlx::MySqlConnection;

use super::{
    convert::{self, Reading, Step},
    layout::{Layout, part_table},
    merge::{Fields, keep_later_date},
    orders::PROGRAM,
    row_reader::{ConvertedRow, Correction, ReadRow, RowReader, TEXT_BYTES},
    source::{SourceRow, SourceTable},
    target::{Class, StoredRow, Target},
};

/// The rule by which the quantity of the index is stored.
const OTHER_QUANTITY: &str = "the index has another quantity, which counts";

/// A row of the source's index.
#[derive(Clone, Debug)]
pub(super) struct IndexRow {
    pub(super) part_number: String,
    /// The table that it names.
    pub(super) table: Table,
    /// The name by which it does so.
    pub(super) table_name: String,
    /// The position of the row that it names.
    pub(super) row: i64,
    quantity: i64,
    part: NewPart,
    last_seen: Option<DateTime<Utc>>,
}

/// Reads a row of the source's index.
///
/// # Errors
/// Why it cannot count.
pub(super) fn read_index_row(
    table: &SourceTable,
    layout: &Layout,
    row: &SourceRow,
    zone: Tz,
) -> Result<IndexRow, String> {
    let mut reader = RowReader::new(table, layout, row, zone);
    let part_number = reader.part_number("PartNumber").ok_or("it has no part number")?;
    let named = reader.text::<100>("TableName").ok_or("it points to no table")?;
    let part_table = part_table(&named).ok_or_else(|| format!("it points to the table {named}, which has no parts"))?;
    let (Reading::Same(row_id) | Reading::Corrected(row_id, _)) = convert::read_quantity(reader.value("RowId")) else {
        return Err("it points to no row".to_owned());
    };
    let quantity = match convert::read_quantity(reader.value("Qty")) {
        Reading::Same(quantity) | Reading::Corrected(quantity, _) => quantity,
        Reading::Blank => return Err("it has no quantity".to_owned()),
        Reading::Unreadable(problem) => return Err(format!("its quantity {problem}: {}", reader.value("Qty"))),
    };
    let last_seen = match convert::read_instant(reader.value("LastSeen"), Tz::UTC) {
        Reading::Same(instant) | Reading::Corrected(instant, _) => Some(instant),
        Reading::Blank | Reading::Unreadable(_) => None,
    };
    let part = NewPart {
        part_number: None,
        qty: None,
        serial: reader.text::<100>("SerialNumber"),
        condition: reader.text::<50>("Condition"),
        location: reader.text::<100>("Location"),
        description: reader.long_text::<TEXT_BYTES>("Description"),
        bin: None,
    };
    match reader.finish(ConvertedRow::default()) {
        ReadRow::Rejected { reason, .. } => Err(reason),
        _ => Ok(IndexRow { part_number, table: part_table, table_name: named, row: row_id, quantity, part, last_seen }),
    }
}

/// Reads a row of a sheet as a part. Its row of the source's index has the quantity that counts, and fills what the sheet leaves
/// empty.
pub(super) fn read_part(
    table: &SourceTable,
    layout: &Layout,
    row: &SourceRow,
    zone: Tz,
    index: Option<&IndexRow>,
) -> ReadRow {
    let mut reader = RowReader::new(table, layout, row, zone);
    let part_number = reader.part_number("PN");
    if part_number.is_none() {
        reader.reject("the part has no number");
    }
    let in_sheet = reader.quantity("QTY");
    let quantity = match index {
        Some(index) if in_sheet != Some(index.quantity) => {
            reader.correct("QTY", Some(index.quantity.to_string()), OTHER_QUANTITY);
            Some(index.quantity)
        }
        _ => in_sheet,
    };
    let indexed = index.map(|index| &index.part);
    let part = NewPart {
        part_number,
        qty: quantity,
        serial: reader.text::<100>("SERIAL").or_else(|| indexed?.serial.clone()),
        condition: reader.text::<50>("CONDITION").or_else(|| indexed?.condition.clone()),
        location: reader.text::<100>("LOCATION").or_else(|| indexed?.location.clone()),
        description: reader.long_text::<TEXT_BYTES>("DESCRIPTION").or_else(|| indexed?.description.clone()),
        bin: reader.text::<50>("BIN"),
    };
    let known_by = [
        part.part_number.as_deref().map(part_number_key),
        part.serial.clone(),
        part.location.clone(),
        part.bin.clone(),
    ];
    let key = known_by.map(Option::unwrap_or_default).join("\u{1f}");
    match part_fields(&part, index.and_then(|index| index.last_seen)) {
        Ok(fields) => reader.finish(ConvertedRow::new(key, fields)),
        Err(error) => ReadRow::Rejected { reason: error.to_string(), key: Some(key) },
    }
}

/// Reads a row of the source's index that a person has mended.
pub(super) fn read_mended_index_row(table: &SourceTable, layout: &Layout, row: &SourceRow, zone: Tz) -> ReadRow {
    match read_index_row(table, layout, row, zone) {
        Ok(index_row) => ReadRow::Row(Box::new(ConvertedRow {
            mended_index_row: Some(Box::new(index_row)),
            ..ConvertedRow::default()
        })),
        Err(reason) => ReadRow::Rejected { reason, key: None },
    }
}

/// Returns the member of a part that holds a field of a sheet.
pub(super) fn member_of(field: &str) -> Option<&'static str> {
    Some(match field {
        "SERIAL" => "serial",
        "QTY" => "qty",
        "CONDITION" => "condition",
        "LOCATION" => "location",
        "DESCRIPTION" => "description",
        "BIN" => "bin",
        _ => return None,
    })
}

/// The field for the time at which the part was last seen.
const LAST_SEEN: &str = "lastSeen";

fn part_fields(part: &NewPart, last_seen: Option<DateTime<Utc>>) -> Result<Fields, serde_json::Error> {
    let mut fields = match serde_json::to_value(part)? {
        Json::Object(fields) => fields,
        _ => Fields::new(),
    };
    // The column has whole seconds.
    let last_seen = last_seen.map(|instant| instant.trunc_subsecs(0).to_rfc3339());
    fields.insert(LAST_SEEN.to_owned(), last_seen.into());
    Ok(fields)
}

fn part_of(fields: &Fields) -> Result<(NewPart, Option<DateTime<Utc>>), ApiError> {
    let part = serde_json::from_value(Json::Object(fields.clone())).map_err(ApiError::internal)?;
    let last_seen = fields.get(LAST_SEEN).and_then(Json::as_str).map(str::parse).transpose();
    Ok((part, last_seen.map_err(ApiError::internal)?))
}

/// The parts of one of the eleven tables, with their rows of the index.
pub(super) struct Parts {
    pub(super) table: Table,
    pub(super) now: DateTime<Utc>,
}

impl Parts {
    /// Takes over a mended row of the source's index, which names the part with the id `id`: its quantity counts, and it fills what
    /// the part leaves empty. Returns the class of the row, and the quantity as a correction if the part had another one.
    ///
    /// # Errors
    /// The inner one is the reason for which the row is rejected.
    pub(super) async fn apply_index_row(
        &self,
        connection: &mut MySqlConnection,
        id: i64,
        index_row: &IndexRow,
        write: bool,
    ) -> Result<Result<(Class, Vec<Correction>), String>, ApiError> {
        let mut found = self.find(connection, &[id]).await?;
        let Some(stored) = found.remove(&id) else {
            return Ok(Err("its part was deleted in this database".to_owned()));
        };
        let (mut part, last_seen) = part_of(&stored.fields)?;
        let number = part.part_number.clone().unwrap_or_default();
        if part_number_key(&number) != part_number_key(&index_row.part_number) {
            return Ok(Err(format!("its part has another number here: {number}")));
        }
        let NewPart { serial, condition, location, description, .. } = index_row.part.clone();
        let mut corrections = Vec::new();
        if let Some(found) = part.qty.filter(|found| *found != index_row.quantity) {
            corrections.push(Correction {
                column: "QTY".to_owned(),
                found: found.to_string(),
                stored: Some(index_row.quantity.to_string()),
                rule: OTHER_QUANTITY.to_owned(),
            });
        }
        part.qty = Some(index_row.quantity);
        part.serial = part.serial.or(serial);
        part.condition = part.condition.or(condition);
        part.location = part.location.or(location);
        part.description = part.description.or(description);
        let fields = part_fields(&part, last_seen.max(index_row.last_seen)).map_err(ApiError::internal)?;
        if fields == stored.fields {
            return Ok(Ok((Class::Unchanged, corrections)));
        }
        if write {
            self.update(connection, &stored, &fields, &[]).await?;
        }
        Ok(Ok((Class::Updated, corrections)))
    }
}

impl Target for Parts {
    type State = StoredPart;

    fn table(&self) -> &'static str {
        self.table.name()
    }

    async fn find(
        &self,
        connection: &mut MySqlConnection,
        ids: &[i64],
    ) -> Result<HashMap<i64, StoredRow<StoredPart>>, ApiError> {
        let parts = store::lock_parts(connection, self.table, ids).await?;
        let here = parts.into_iter().map(|stored| {
            let fields = part_fields(&stored.part, stored.last_seen).map_err(ApiError::internal)?;
            Ok((stored.row_id, StoredRow { fields, state: stored }))
        });
        here.collect()
    }

    async fn insert(&self, connection: &mut MySqlConnection, rows: &[&ConvertedRow]) -> Result<Vec<i64>, ApiError> {
        let parts = rows.iter().map(|row| part_of(&row.fields)).collect::<Result<Vec<_>, _>>()?;
        let rows: Vec<NewPart> = parts.iter().map(|(part, _)| part.clone()).collect();
        let ids = store::insert_parts(connection, self.table, &rows).await?;
        let indexed: Vec<_> =
            ids.iter().zip(&parts).map(|(id, (part, last_seen))| store::indexed(*id, part, *last_seen)).collect();
        store::insert_indexed(connection, self.table, &indexed).await?;
        Ok(ids)
    }

    async fn update(
        &self,
        connection: &mut MySqlConnection,
        stored: &StoredRow<StoredPart>,
        fields: &Fields,
        _: &[Step],
    ) -> Result<(), ApiError> {
        let (part, mut last_seen) = part_of(fields)?;
        let stored = &stored.state;
        let has_new_quantity = stored.part.qty != part.qty;
        if has_new_quantity && last_seen == stored.last_seen {
            last_seen = Some(self.now.trunc_subsecs(0));
        }
        let index_id = store::update_part(connection, self.table, stored.row_id, &part, last_seen).await?;
        let key = |part: &NewPart| part.part_number.as_deref().map(part_number_key);
        if !has_new_quantity && key(&part) == key(&stored.part) {
            return Ok(());
        }
        let transaction = NewStockTransaction {
            timestamp: self.now.trunc_subsecs(0),
            action: StockAction::Import,
            index_id,
            part_number: part.part_number.unwrap_or_default(),
            previous_qty: stored.part.qty,
            new_qty: part.qty,
            ro_number: None,
            notes: Some("changed in the source of the import".to_owned()),
            actor: Actor::program(PROGRAM),
        };
        store::insert_transactions(connection, &[transaction]).await
    }

    fn reconcile(&self, base: Option<&mut Fields>, theirs: &mut Fields, here: &Fields) {
        keep_later_date(LAST_SEEN, base, theirs, here);
    }
}
