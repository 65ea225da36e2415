//! Repair shops, the log of the AI assistant and the ledger: rows that are stored column by column, without rules that join them
//! to other rows.

use std::{collections::HashMap, ops::RangeInclusive};

use app_core::{
    Digest,
    db::{inserted_ids, push_list},
    http::ApiError,
};
use chrono::{DateTime, SubsecRound, Utc};
use chrono_tz::Tz;
use ros::model::RoNumber;
use rust_decimal::{Decimal, RoundingStrategy};
use serde_json::Value as Json;
use sqlx::{AssertSqlSafe, MySqlConnection, QueryBuilder, Row};

use super::{
    convert::{self, Reading, Step},
    import_rows::chunks_by_size,
    layout::{Content, Layout},
    merge::Fields,
    row_reader::{ConvertedRow, ReadRow, RowReader, TEXT_BYTES},
    source::{SourceRow, SourceTable, Value},
    target::{StoredRow, Target},
};

/// The most bytes of a text in the AI log.
const MAX_LOG_TEXT_BYTES: usize = 1_048_576;

/// A table whose columns take the fields as they are. All fields are texts, as the database itself shows the values.
pub(super) struct PlainTable {
    table: &'static str,
    id_column: &'static str,
    columns: &'static [&'static str],
}

pub(super) const SHOPS: PlainTable = PlainTable {
    table: "shops",
    id_column: "id",
    columns: &[
        "Customer",
        "Business_Name",
        "Address_Line_1",
        "Address_Line_2",
        "Address_Line_3",
        "Address_Line_4",
        "City",
        "State",
        "ZIP",
        "Country",
        "Phone",
        "Toll_Free",
        "Fax",
        "Email",
        "Website",
        "Contact",
        "Payment_Terms",
        "ILS_Code",
        "Last_Sale_Date",
        "YTD_Sales",
    ],
};

pub(super) const AI_LOG: PlainTable = PlainTable {
    table: "ai_conversation_logs",
    id_column: "id",
    columns: &[
        "conversation_id",
        "timestamp",
        "user",
        "user_message",
        "ai_response",
        "success",
        "error",
        "model",
        "duration_ms",
        "context_ro_count",
    ],
};

pub(super) const LEDGER: PlainTable = PlainTable {
    table: "transactions",
    id_column: "TxnId",
    columns: &["Timestamp", "Action", "PartNumber", "DeltaQty", "NewQty", "RONumber", "Note"],
};

impl Target for PlainTable {
    type State = i64;

    fn table(&self) -> &'static str {
        self.table
    }

    async fn find(
        &self,
        connection: &mut MySqlConnection,
        ids: &[i64],
    ) -> Result<HashMap<i64, StoredRow<i64>>, ApiError> {
        if ids.is_empty() {
            return Ok(HashMap::new());
        }
        let columns: String =
            self.columns.iter().map(|column| format!(", CAST(`{column}` AS CHAR) AS `{column}`")).collect();
        let Self { table, id_column, .. } = self;
        let mut statement =
            QueryBuilder::new(format!("SELECT {id_column} AS id{columns} FROM {table} WHERE {id_column} IN ("));
        push_list(&mut statement, ids);
        statement.push(") FOR UPDATE");
        let rows = statement.build().fetch_all(connection).await?;
        rows.iter()
            .map(|row| {
                let id = row.try_get::<i64, _>("id")?;
                let value =
                    |column: &&str| Ok((column.to_string(), Json::from(row.try_get::<Option<String>, _>(*column)?)));
                let fields: Result<Fields, sqlx::Error> = self.columns.iter().map(value).collect();
                Ok((id, StoredRow { fields: fields?, state: id }))
            })
            .collect()
    }

    async fn insert(&self, connection: &mut MySqlConnection, rows: &[&ConvertedRow]) -> Result<Vec<i64>, ApiError> {
        let names = self.columns.iter().map(|column| format!("`{column}`")).collect::<Vec<_>>().join(", ");
        let size = |row: &&ConvertedRow| row.fields.values().map(|value| value.as_str().map_or(0, str::len)).sum();
        let mut ids = Vec::with_capacity(rows.len());
        for rows in chunks_by_size(rows, size) {
            let mut statement = QueryBuilder::new(format!("INSERT INTO {} ({names}) ", self.table));
            statement.push_values(rows, |mut values, row| {
                for column in self.columns {
                    values.push_bind(text_of(&row.fields, column));
                }
            });
            let inserted = statement.build().execute(&mut *connection).await?;
            ids.extend(inserted_ids(connection, &inserted, rows.len()).await?);
        }
        Ok(ids)
    }

    async fn update(
        &self,
        connection: &mut MySqlConnection,
        stored: &StoredRow<i64>,
        fields: &Fields,
        _: &[Step],
    ) -> Result<(), ApiError> {
        let settings = self.columns.iter().map(|column| format!("`{column}` = ?")).collect::<Vec<_>>().join(", ");
        let statement = format!("UPDATE {} SET {settings} WHERE {} = ?", self.table, self.id_column);
        let mut query = sqlx::query(AssertSqlSafe(statement));
        for column in self.columns {
            query = query.bind(text_of(fields, column));
        }
        query.bind(stored.state).execute(connection).await?;
        Ok(())
    }
}

fn text_of(fields: &Fields, column: &str) -> Option<String> {
    fields.get(column).and_then(Json::as_str).map(str::to_owned)
}

fn shop_key(customer: Option<&str>, name: Option<&str>) -> String {
    match customer {
        Some(customer) => format!("customer {customer}"),
        None => name.unwrap_or_default().to_uppercase(),
    }
}

fn fields_of<const N: usize>(values: [(&str, Option<String>); N]) -> Fields {
    values.into_iter().map(|(column, value)| (column.to_owned(), Json::from(value))).collect()
}

/// Reads a row as a repair shop.
pub(super) fn read_shop(table: &SourceTable, layout: &Layout, row: &SourceRow, zone: Tz) -> ReadRow {
    let mut reader = RowReader::new(table, layout, row, zone);
    let mut fields = Fields::new();
    for column in SHOPS.columns {
        let value = match *column {
            "Customer" => whole_number(&mut reader, column, BIGINT_RANGE).map(|number| number.to_string()),
            // Reports sum it up; the table has it as a DOUBLE, as the source does.
            "YTD_Sales" => amount(&mut reader, column).map(|amount| amount.normalize().to_string()),
            _ => reader.text::<500>(column),
        };
        fields.insert((*column).to_owned(), value.into());
    }
    let text = |column: &str| fields.get(column).and_then(Json::as_str);
    let key = shop_key(text("Customer"), text("Business_Name"));
    if key.is_empty() {
        reader.reject("the shop has neither a customer number nor a name");
    }
    reader.finish(ConvertedRow::new(key, fields))
}

/// Reads a row as an entry of the AI log. Sources without conversations get one for each user and day.
pub(super) fn read_log_entry(table: &SourceTable, layout: &Layout, row: &SourceRow, zone: Tz) -> ReadRow {
    let mut reader = RowReader::new(table, layout, row, zone);
    // Tables with conversations come from a service, which wrote UTC; those without were sheets.
    let zone_of_times = if layout.position("conversation_id").is_some() { Tz::UTC } else { zone };
    let timestamp = instant(&mut reader, &["timestamp", "date"], zone_of_times);
    let user = reader.user("user").unwrap_or_else(|| "anonymous".to_owned());
    let conversation = reader.text::<100>("conversation_id").unwrap_or_else(|| {
        let day = timestamp.map(|instant| instant.with_timezone(&zone).date_naive().to_string()).unwrap_or_default();
        format!("import-{day}-{}", short_digest(&user))
    });
    let success = match reader.text::<500>("success").as_deref().map(str::to_lowercase).as_deref() {
        None => None,
        Some("true" | "1" | "yes") => Some("1".to_owned()),
        Some("false" | "0" | "no") => Some("0".to_owned()),
        Some(other) => {
            reader.reject(format!("whether the call succeeded is neither true nor false: {other}"));
            None
        }
    };
    let key = timestamp.map(|instant| format!("{instant} {user}")).unwrap_or_default();
    let fields = fields_of([
        ("conversation_id", Some(conversation)),
        ("timestamp", timestamp.map(stored_instant)),
        ("user", Some(user)),
        ("user_message", Some(reader.long_text::<MAX_LOG_TEXT_BYTES>("user_message").unwrap_or_default())),
        ("ai_response", Some(reader.long_text::<MAX_LOG_TEXT_BYTES>("ai_response").unwrap_or_default())),
        ("success", success),
        ("error", reader.long_text::<MAX_LOG_TEXT_BYTES>("error")),
        ("model", reader.text::<100>("model")),
        ("duration_ms", rounded(&mut reader, "duration_ms").map(|number| number.to_string())),
        ("context_ro_count", rounded(&mut reader, "context_ro_count").map(|number| number.to_string())),
    ]);
    reader.finish(ConvertedRow::new(key, fields))
}

/// Reads a row as an entry of the ledger.
pub(super) fn read_ledger_entry(table: &SourceTable, layout: &Layout, row: &SourceRow, zone: Tz) -> ReadRow {
    let mut reader = RowReader::new(table, layout, row, zone);
    let timestamp = instant(&mut reader, &["Timestamp"], Tz::UTC);
    let action = reader.text::<50>("Action");
    let part_number = reader.part_number("PartNumber");
    let (delta, new) =
        (whole_number(&mut reader, "DeltaQty", INT_RANGE), whole_number(&mut reader, "NewQty", INT_RANGE));
    for (name, is_missing) in [
        ("action", action.is_none()),
        ("part number", part_number.is_none()),
        ("change of the quantity", delta.is_none()),
        ("new quantity", new.is_none()),
    ] {
        if is_missing {
            reader.reject(format!("the entry has no {name}"));
        }
    }
    let ro_number = reader.text::<500>("RONumber").and_then(|number| match RoNumber::parse(&number) {
        Ok(number) => Some(number.into_inner()),
        Err(problem) => {
            reader.reject(format!("the number of the order {problem}"));
            None
        }
    });
    let fields = fields_of([
        ("Timestamp", timestamp.map(stored_instant)),
        ("Action", action),
        ("PartNumber", part_number),
        ("DeltaQty", delta.map(|number| number.to_string())),
        ("NewQty", new.map(|number| number.to_string())),
        ("RONumber", ro_number),
        ("Note", reader.long_text::<TEXT_BYTES>("Note")),
    ]);
    let key = format!(
        "{} {}",
        text_of(&fields, "Timestamp").unwrap_or_default(),
        text_of(&fields, "PartNumber").unwrap_or_default()
    );
    reader.finish(ConvertedRow::new(key, fields))
}

/// Reads the first of `columns` that has a time. One without any rejects the row.
fn instant(reader: &mut RowReader<'_>, columns: &[&str], zone: Tz) -> Option<DateTime<Utc>> {
    for column in columns {
        match convert::read_instant(reader.value(column), zone) {
            Reading::Same(instant) => {
                if instant.trunc_subsecs(0) != instant {
                    reader.correct(column, Some(stored_instant(instant)), "cut to whole seconds");
                }
                return Some(instant);
            }
            Reading::Corrected(instant, rule) => {
                // A time that a database keeps in UTC is as it should be.
                let is_in_utc = zone == Tz::UTC && matches!(reader.value(column), Value::DateTime(_));
                if !is_in_utc {
                    reader.correct(column, Some(stored_instant(instant)), rule.name());
                }
                return Some(instant);
            }
            Reading::Blank | Reading::Unreadable(_) => {}
        }
    }
    reader.reject("the entry has no time that can be read");
    None
}

/// Returns the instant as DATETIME columns have it, in UTC and whole seconds.
fn stored_instant(instant: DateTime<Utc>) -> String {
    instant.format("%Y-%m-%d %H:%M:%S").to_string()
}

/// What columns of the types INT_RANGE and BIGINT_RANGE hold.
const INT_RANGE: RangeInclusive<i64> = i32::MIN as i64..=i32::MAX as i64;
const BIGINT_RANGE: RangeInclusive<i64> = i64::MIN..=i64::MAX;

/// Reads a whole number in `range`, which may be negative.
fn whole_number(reader: &mut RowReader<'_>, column: &str, range: RangeInclusive<i64>) -> Option<i64> {
    let number = amount(reader, column)?;
    let whole: Option<i64> = if number.is_integer() { number.trunc().try_into().ok() } else { None };
    let whole = whole.filter(|whole| range.contains(whole));
    if whole.is_none() {
        reader.reject(format!("{column} is no whole number that its column holds: {number}"));
    }
    whole
}

/// Reads a number and rounds it to a whole one.
fn rounded(reader: &mut RowReader<'_>, column: &str) -> Option<i64> {
    let number = amount(reader, column)?;
    let rounded = number.round_dp_with_strategy(0, RoundingStrategy::MidpointAwayFromZero);
    if rounded != number {
        reader.correct(column, Some(rounded.to_string()), "rounded to a whole number");
    }
    let whole = rounded.try_into().ok().filter(|whole| INT_RANGE.contains(whole));
    if whole.is_none() {
        reader.reject(format!("{column} is more than its column holds: {number}"));
    }
    whole
}

fn amount(reader: &mut RowReader<'_>, column: &str) -> Option<Decimal> {
    let value = reader.value(column);
    if matches!(convert::read_text(value), Reading::Blank) {
        return None;
    }
    let Some(number) = convert::raw_amount(value) else {
        reader.reject(format!("{column} is no number: {value}"));
        return None;
    };
    let is_plain = value.to_string().parse().is_ok_and(|plain: Decimal| plain == number);
    if !is_plain {
        reader.correct(column, Some(number.to_string()), "read as a number");
    }
    Some(number)
}

/// Returns eight digits that tell users apart.
fn short_digest(text: &str) -> String {
    Digest::of_bytes(&[text.as_bytes()]).as_bytes().iter().take(4).map(|byte| format!("{byte:02x}")).collect()
}

/// Reads a row of a table whose rows stand for themselves.
pub(super) fn read_plain_row(
    content: Content,
    table: &SourceTable,
    layout: &Layout,
    row: &SourceRow,
    zone: Tz,
) -> ReadRow {
    match content {
        Content::Shops => read_shop(table, layout, row, zone),
        Content::AiLog => read_log_entry(table, layout, row, zone),
        Content::Ledger | Content::Orders(_) | Content::Parts(_) | Content::PartIndex => {
            read_ledger_entry(table, layout, row, zone)
        }
    }
}
