//! Repair orders as they are stored and as responses show them.

use app_core::{
    db::RowReader,
    http::{ApiError, Cell, ETag, JsonResponse, Record, entity_tag},
    openapi::Digits,
    values::{Day, Money, NormalizedText, StoredDay, deserialize_str},
};
use chrono::NaiveDate;
use serde::{Deserialize, Deserializer, Serialize, de::IgnoredAny};
use sqlx::{FromRow, mysql::MySqlRow};
use utoipa::ToSchema;

use super::{find_named, history::StatusChange};

/// The part of the business that an order belongs to. Each has a table of its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum ArchiveStatus {
    /// Being worked on: `active`.
    #[default]
    Active,
    /// Completed and paid: `paid`.
    Paid,
    /// On NET payment terms: `net`.
    Net,
    /// Returned, BER, RAI, cancelled or scrapped: `returns`.
    Returned,
}

impl ArchiveStatus {
    pub const ALL: [Self; 4] = [Self::Active, Self::Paid, Self::Net, Self::Returned];

    /// Returns the name that requests, responses and the column `ro_registry.archive` use.
    pub fn name(self) -> &'static str {
        match self {
            Self::Active => "ACTIVE",
            Self::Paid => "PAID",
            Self::Net => "NET",
            Self::Returned => "RETURNED",
        }
    }

    /// Returns the status with that name.
    ///
    /// # Errors
    /// The problem, as the rest of a sentence that begins with the field's name.
    pub fn parse(name: &str) -> Result<Self, String> {
        find_named(Self::ALL, Self::name, name)
    }

    /// Reads the column `archive`.
    ///
    /// # Errors
    /// When there is no such column, or it has another text.
    pub fn read(columns: &mut RowReader<'_>) -> sqlx::Result<Self> {
        Self::parse(columns.get("archive")?).map_err(|error| sqlx::Error::Decode(error.into()))
    }

    /// Returns the name of the table that has these orders.
    pub fn table(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Paid => "paid",
            Self::Net => "net",
            Self::Returned => "returns",
        }
    }
}

impl<'de> Deserialize<'de> for ArchiveStatus {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserialize_str(deserializer, "text", |name| Self::parse(&name))
    }
}

/// The number by which people know an order, in the form in which it is stored. Numbers are compared without case, but accents
/// count.
pub type RoNumber = NormalizedText<50>;

/// The id or the number by which a request names an order.
#[derive(Clone, Debug)]
pub enum OrderKey {
    Id(i64),
    Number(RoNumber),
}

// To add a column, follow "A column of an order" in .github/CONTRIBUTING.md.
/// A repair order as its table has it. Its JSON can be read back, without the id.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct RepairOrder {
    /// Unique over the four tables, and the same for the whole life of the order. A string of digits.
    #[serde(serialize_with = "as_string", default, deserialize_with = "no_id")]
    #[schema(value_type = Digits, required = true)]
    pub id: i64,
    /// The number by which people know the order. Unique over the four tables; it can be changed.
    pub ro_number: String,
    /// The day on which the order was made.
    pub date_made: Option<Day>,
    /// The repair shop.
    pub shop_name: Option<String>,
    /// The manufacturer's part number.
    pub part_number: Option<String>,
    /// The serial number of the part.
    pub serial_number: Option<String>,
    /// A description of the part.
    pub part_description: Option<String>,
    /// The work that the shop is asked to do.
    pub required_work: Option<String>,
    /// The day on which the shop received the part.
    pub date_dropped_off: Option<Day>,
    /// The quoted cost.
    pub estimated_cost: Option<Money>,
    /// The invoiced cost.
    pub final_cost: Option<Money>,
    /// Payment terms.
    pub terms: Option<String>,
    /// The shop's own number for the order.
    pub shop_reference_number: Option<String>,
    /// The day on which the shop expects to be done.
    pub estimated_delivery_date: Option<Day>,
    /// The status of the repair, such as `APPROVED`.
    pub current_status: Option<String>,
    /// The day on which the status was set.
    pub current_status_date: Option<Day>,
    /// GenThrust's own view of the progress.
    pub gen_thrust_status: Option<String>,
    /// The shop's view of the progress.
    pub shop_status: Option<String>,
    /// The tracking number of the shipment that brings the part back.
    pub tracking_number: Option<String>,
    /// Free text, one note a line.
    pub notes: Option<String>,
    /// The day of the last change. The service sets it.
    pub last_date_updated: Option<Day>,
    /// The day on which someone should ask the shop again.
    pub next_date_to_update: Option<Day>,
    /// The part of the business that the order belongs to.
    pub archive_status: ArchiveStatus,
}

/// Reads the columns `archive`, `id` and those of [`RepairOrder::columns`], quickest in this order.
impl FromRow<'_, MySqlRow> for RepairOrder {
    fn from_row(row: &MySqlRow) -> sqlx::Result<Self> {
        let mut columns = RowReader::new(row);
        Ok(Self {
            archive_status: ArchiveStatus::read(&mut columns)?,
            id: columns.get("id")?,
            ro_number: columns.get("RO")?,
            date_made: columns.get::<StoredDay>("DATE_MADE")?.0,
            shop_name: columns.get("SHOP_NAME")?,
            part_number: columns.get("PART")?,
            serial_number: columns.get("SERIAL")?,
            part_description: columns.get("PART_DESCRIPTION")?,
            required_work: columns.get("REQ_WORK")?,
            date_dropped_off: columns.get::<StoredDay>("DATE_DROPPED_OFF")?.0,
            estimated_cost: columns.get("ESTIMATED_COST")?,
            final_cost: columns.get("FINAL_COST")?,
            terms: columns.get("TERMS")?,
            shop_reference_number: columns.get("SHOP_REF")?,
            estimated_delivery_date: columns.get::<StoredDay>("ESTIMATED_DELIVERY_DATE")?.0,
            current_status: columns.get("CURENT_STATUS")?,
            current_status_date: columns.get::<StoredDay>("CURENT_STATUS_DATE")?.0,
            gen_thrust_status: columns.get("GENTHRUST_STATUS")?,
            shop_status: columns.get("SHOP_STATUS")?,
            tracking_number: columns.get("TRACKING_NUMBER_PICKING_UP")?,
            notes: columns.get("NOTES")?,
            last_date_updated: columns.get::<StoredDay>("LAST_DATE_UPDATED")?.0,
            next_date_to_update: columns.get::<StoredDay>("NEXT_DATE_TO_UPDATE")?.0,
        })
    }
}

fn no_id<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i64, D::Error> {
    IgnoredAny::deserialize(deserializer).map(|_| 0)
}

fn as_string<S: serde::Serializer>(id: &i64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(id)
}

/// The value of a column of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ColumnValue<'order> {
    Text(Option<&'order str>),
    Day(Option<Day>),
    Money(Option<Money>),
}

impl RepairOrder {
    /// The number of columns in [`columns`](Self::columns).
    pub const COLUMN_COUNT: usize = 21;

    /// Returns the columns that the service writes, with their values. Every INSERT and UPDATE of an order and the digest
    /// in its history are made from this list. A field that is forgotten here does not compile.
    pub fn columns(&self) -> [(&'static str, ColumnValue<'_>); Self::COLUMN_COUNT] {
        use ColumnValue::{Day, Money, Text};
        let Self {
            // The id never changes, and the archive status is the choice of the table.
            id: _,
            archive_status: _,
            ro_number,
            date_made,
            shop_name,
            part_number,
            serial_number,
            part_description,
            required_work,
            date_dropped_off,
            estimated_cost,
            final_cost,
            terms,
            shop_reference_number,
            estimated_delivery_date,
            current_status,
            current_status_date,
            gen_thrust_status,
            shop_status,
            tracking_number,
            notes,
            last_date_updated,
            next_date_to_update,
        } = self;
        [
            ("RO", Text(Some(ro_number))),
            ("DATE_MADE", Day(*date_made)),
            ("SHOP_NAME", Text(shop_name.as_deref())),
            ("PART", Text(part_number.as_deref())),
            ("SERIAL", Text(serial_number.as_deref())),
            ("PART_DESCRIPTION", Text(part_description.as_deref())),
            ("REQ_WORK", Text(required_work.as_deref())),
            ("DATE_DROPPED_OFF", Day(*date_dropped_off)),
            ("ESTIMATED_COST", Money(*estimated_cost)),
            ("FINAL_COST", Money(*final_cost)),
            ("TERMS", Text(terms.as_deref())),
            ("SHOP_REF", Text(shop_reference_number.as_deref())),
            ("ESTIMATED_DELIVERY_DATE", Day(*estimated_delivery_date)),
            // The database spells CURRENT like this.
            ("CURENT_STATUS", Text(current_status.as_deref())),
            ("CURENT_STATUS_DATE", Day(*current_status_date)),
            ("GENTHRUST_STATUS", Text(gen_thrust_status.as_deref())),
            ("SHOP_STATUS", Text(shop_status.as_deref())),
            ("TRACKING_NUMBER_PICKING_UP", Text(tracking_number.as_deref())),
            ("NOTES", Text(notes.as_deref())),
            ("LAST_DATE_UPDATED", Day(*last_date_updated)),
            ("NEXT_DATE_TO_UPDATE", Day(*next_date_to_update)),
        ]
    }

    /// The columns in the order of [`columns`](Self::columns), each with the member that has it in JSON.
    pub const MEMBERS: [(&'static str, &'static str); Self::COLUMN_COUNT] = [
        ("RO", "roNumber"),
        ("DATE_MADE", "dateMade"),
        ("SHOP_NAME", "shopName"),
        ("PART", "partNumber"),
        ("SERIAL", "serialNumber"),
        ("PART_DESCRIPTION", "partDescription"),
        ("REQ_WORK", "requiredWork"),
        ("DATE_DROPPED_OFF", "dateDroppedOff"),
        ("ESTIMATED_COST", "estimatedCost"),
        ("FINAL_COST", "finalCost"),
        ("TERMS", "terms"),
        ("SHOP_REF", "shopReferenceNumber"),
        ("ESTIMATED_DELIVERY_DATE", "estimatedDeliveryDate"),
        ("CURENT_STATUS", "currentStatus"),
        ("CURENT_STATUS_DATE", "currentStatusDate"),
        ("GENTHRUST_STATUS", "genThrustStatus"),
        ("SHOP_STATUS", "shopStatus"),
        ("TRACKING_NUMBER_PICKING_UP", "trackingNumber"),
        ("NOTES", "notes"),
        ("LAST_DATE_UPDATED", "lastDateUpdated"),
        ("NEXT_DATE_TO_UPDATE", "nextDateToUpdate"),
    ];

    /// Returns the order as responses show it on the day `today`.
    pub fn into_view(self, today: NaiveDate) -> RepairOrderView {
        let days_overdue = days_overdue(self.next_date_to_update, today);
        RepairOrderView { order: self, is_overdue: days_overdue > 0, days_overdue }
    }
}

/// The columns of text by which people know an order, a part or a shipment. Spreadsheets must not take them for numbers or dates.
const IDENTIFIERS: [&str; 5] = ["RO", "PART", "SERIAL", "SHOP_REF", "TRACKING_NUMBER_PICKING_UP"];

/// An order in a file. The headings are the names that its JSON has, in the order of the columns of its table.
impl Record for RepairOrder {
    fn cells(&self) -> Vec<(&'static str, Cell<'_>)> {
        let columns = self.columns().into_iter().zip(Self::MEMBERS).map(|((column, value), (_, member))| {
            let cell = match value {
                ColumnValue::Text(text) if IDENTIFIERS.contains(&column) => Cell::Identifier(text),
                ColumnValue::Text(text) => Cell::Text(text),
                ColumnValue::Day(day) => Cell::Day(day),
                ColumnValue::Money(amount) => Cell::Money(amount),
            };
            (member, cell)
        });
        let others =
            [("archiveStatus", Cell::Text(Some(self.archive_status.name()))), ("id", Cell::Integer(Some(self.id)))];
        columns.chain(others).collect()
    }
}

/// Returns the days since the next update date: 0 until that day, and for an order without one. An order is overdue if it is
/// more than 0, whatever its archive status.
pub fn days_overdue(next_update: Option<Day>, today: NaiveDate) -> i64 {
    next_update.map_or(0, |Day(next)| today.signed_duration_since(next).num_days().max(0))
}

/// A repair order as responses show it.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct RepairOrderView {
    #[serde(flatten)]
    order: RepairOrder,
    /// Whether the next update date has passed.
    is_overdue: bool,
    /// The days since the next update date; 0 if the order is not overdue.
    days_overdue: i64,
}

impl RepairOrderView {
    /// Returns the entity tag of the order, whose last change has the number `revision`. The tag covers the content, because
    /// other programs change orders without a revision, and the revision, because it changes with the status history. The
    /// tag of an overdue order changes at midnight, since `daysOverdue` does.
    ///
    /// # Errors
    /// When it cannot be written as JSON, which would be a defect.
    pub fn tag(&self, revision: i64) -> Result<ETag, ApiError> {
        entity_tag(&(self, revision))
    }

    /// Returns the order as a response with its entity tag.
    ///
    /// # Errors
    /// When it cannot be written as JSON, which would be a defect.
    pub fn into_response(self, revision: i64) -> Result<JsonResponse, ApiError> {
        Ok(JsonResponse::new(&self)?.with_tag(self.tag(revision)?))
    }

    /// Adds the status history, which a GET of a single order shows.
    pub fn with_status_history(self, status_history: Vec<StatusChange>) -> RepairOrderDetail {
        RepairOrderDetail { view: self, status_history }
    }
}

/// A repair order with its status history.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct RepairOrderDetail {
    #[serde(flatten)]
    view: RepairOrderView,
    /// The statuses that the order had, oldest first.
    status_history: Vec<StatusChange>,
}

/// An order as a GET reads it.
#[derive(Clone, Debug, PartialEq)]
pub struct OrderDetail {
    pub order: RepairOrder,
    /// The number of its last history entry; 0 if it has none.
    pub revision: i64,
    /// The statuses that the order had, oldest first.
    pub status_history: Vec<StatusChange>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    #[test]
    fn an_order_is_overdue_from_the_next_day() {
        for (next, is_overdue, days_overdue) in [
            (None, false, 0),
            (Some("2024-11-16"), false, 0),
            (Some("2024-11-15"), false, 0),
            (Some("2024-11-14"), true, 1),
            (Some("2023-11-15"), true, 366),
        ] {
            let order = RepairOrder { next_date_to_update: next.map(|next| Day(day(next))), ..RepairOrder::default() };
            let view = order.into_view(day("2024-11-15"));
            assert_eq!((view.is_overdue, view.days_overdue), (is_overdue, days_overdue), "{next:?}");
        }
    }

    #[test]
    fn each_column_has_its_member() {
        let order = RepairOrder::default();
        assert_eq!(order.columns().map(|(column, _)| column), RepairOrder::MEMBERS.map(|(column, _)| column));
        let json = serde_json::to_value(&order).unwrap();
        for (column, member) in RepairOrder::MEMBERS {
            assert!(json.get(member).is_some(), "{column}: {member}");
        }
        let known = RepairOrder::MEMBERS.map(|(column, _)| column);
        assert!(IDENTIFIERS.iter().all(|column| known.contains(column)));
    }

    #[test]
    fn an_order_is_read_back_from_its_fields() {
        let order = RepairOrder {
            ro_number: "RO 1".to_owned(),
            date_made: Some(Day(day("2024-11-15"))),
            final_cost: Money::parse("12.50").ok(),
            archive_status: ArchiveStatus::Net,
            ..RepairOrder::default()
        };
        let fields = serde_json::to_value(RepairOrder { id: 7, ..order.clone() }).unwrap();
        assert_eq!(serde_json::from_value::<RepairOrder>(fields).unwrap(), order);
        let some_fields = serde_json::json!({ "roNumber": "RO 1", "dateMade": "2024-11-15", "finalCost": "12.5", "archiveStatus": "NET" });
        assert_eq!(serde_json::from_value::<RepairOrder>(some_fields).unwrap(), order);
    }
}
