//! What a repair order is, and the rules that need no database.

use std::ops::Deref;

use app_core::{
    Patch,
    http::{ApiError, ETag, FieldProblems, JsonResponse, entity_tag},
    openapi::{Digits, NotBlank},
    values::{Day, LongText, Money, Text, Trimmed, deserialize_str},
};
use chrono::NaiveDate;
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{
        AllOfBuilder, ObjectBuilder, Ref, RefOr, Schema,
        schema::{AnyOfBuilder, SchemaType},
    },
};

use crate::history::StatusStep;

/// Where an order is kept; each status has its own table (specification, "Archive Status Mapping").
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "UPPERCASE")]
#[schema(as = ArchiveStatus)]
pub enum Archive {
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

impl Archive {
    /// All four, in the order in which the store numbers them.
    pub const ALL: [Self; 4] = [Self::Active, Self::Paid, Self::Net, Self::Returned];

    /// The name that requests and answers use.
    pub fn name(self) -> &'static str {
        match self {
            Self::Active => "ACTIVE",
            Self::Paid => "PAID",
            Self::Net => "NET",
            Self::Returned => "RETURNED",
        }
    }

    /// The status of that name.
    ///
    /// # Errors
    /// What a request should send instead.
    pub fn parse(name: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|archive| archive.name() == name)
            .ok_or_else(|| "must be one of ACTIVE, PAID, NET, RETURNED".to_owned())
    }

    /// The table that keeps its orders.
    pub fn table(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Paid => "paid",
            Self::Net => "net",
            Self::Returned => "returns",
        }
    }
}

impl<'de> Deserialize<'de> for Archive {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserialize_str(deserializer, "text", |name| Self::parse(&name))
    }
}

/// The number by which people know an order: trimmed, not empty, at most 50 characters (design, reading 10).
pub type RoNumber = Trimmed<50>;

/// A repair order as it is kept.
#[derive(Clone, Debug, Default, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct RepairOrder {
    /// Unique over the four tables; kept for life. Shown as a string of digits.
    #[serde(serialize_with = "as_string")]
    #[schema(value_type = Digits)]
    pub id: i64,
    /// Unique over the four tables; people may change it.
    pub ro_number: String,
    /// When the order was made out.
    pub date_made: Option<Day>,
    /// The outside shop.
    pub shop_name: Option<String>,
    /// The part, by the maker's number.
    pub part_number: Option<String>,
    /// The very piece.
    pub serial_number: Option<String>,
    /// What the part is.
    pub part_description: Option<String>,
    /// What the shop is to do.
    pub required_work: Option<String>,
    /// When the shop got it.
    pub date_dropped_off: Option<Day>,
    /// The quote.
    pub estimated_cost: Option<Money>,
    /// The invoice.
    pub final_cost: Option<Money>,
    /// Payment terms.
    pub terms: Option<String>,
    /// The shop's own number for it.
    pub shop_reference_number: Option<String>,
    /// When the shop expects to be done.
    pub estimated_delivery_date: Option<Day>,
    /// How far it is, in the words of the dashboard.
    pub current_status: Option<String>,
    /// Since when.
    pub current_status_date: Option<Day>,
    /// GenThrust's own remark on how it goes.
    pub gen_thrust_status: Option<String>,
    /// The shop's.
    pub shop_status: Option<String>,
    /// The shipment that brings it back.
    pub tracking_number: Option<String>,
    /// Free text, one remark a line.
    pub notes: Option<String>,
    /// The day of the last change; kept by the program.
    pub last_date_updated: Option<Day>,
    /// When someone should ask the shop again.
    pub next_date_to_update: Option<Day>,
    /// Which table keeps it.
    pub archive_status: Archive,
}

fn as_string<S: serde::Serializer>(id: &i64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(id)
}

impl RepairOrder {
    /// The order as answers show it on the day `today`.
    pub fn into_view(self, today: NaiveDate) -> RepairOrderView {
        let days_overdue =
            self.next_date_to_update.map_or(0, |Day(next)| today.signed_duration_since(next).num_days().max(0));
        RepairOrderView { order: self, is_overdue: days_overdue > 0, days_overdue }
    }
}

/// A repair order with what is computed from it (design, reading 11).
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct RepairOrderView {
    #[serde(flatten)]
    order: RepairOrder,
    /// Whether someone should have asked the shop again before today.
    is_overdue: bool,
    /// For how many days; else 0.
    days_overdue: i64,
}

impl RepairOrderView {
    /// The tag of an order whose last change has the number `revision`: of its content, since other programs change it
    /// without a number, and of the number, which changes when the steps of the status do. An overdue order's changes at
    /// midnight, too, as its `daysOverdue` does.
    ///
    /// # Errors
    /// When it cannot be written as JSON, which would be a defect.
    pub fn tag(&self, revision: i64) -> Result<ETag, ApiError> {
        entity_tag(&(self, revision))
    }

    /// The order as an answer with its tag.
    ///
    /// # Errors
    /// When it cannot be written as JSON, which would be a defect.
    pub fn into_answer(self, revision: i64) -> Result<JsonResponse, ApiError> {
        Ok(JsonResponse::new(&self)?.with_tag(self.tag(revision)?))
    }

    /// The order with the steps of its status, as the answer to a GET of it shows them.
    pub fn with_steps(self, status_history: Vec<StatusStep>) -> RepairOrderDetail {
        RepairOrderDetail { view: self, status_history }
    }
}

/// A repair order by itself.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct RepairOrderDetail {
    #[serde(flatten)]
    view: RepairOrderView,
    /// The steps of its status, oldest first.
    status_history: Vec<StatusStep>,
}

/// What a request wants an order to be: the body of a PATCH, and of a POST, which changes an empty order. Fields that
/// are not listed here, computed ones among them, are ignored (design, reading 2).
#[derive(Clone, Debug, Default, PartialEq, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", default)]
#[schema(as = RepairOrderFields)]
pub struct Changes {
    #[schema(value_type = RoNumber, required = false)]
    ro_number: Patch<RoNumber>,
    date_made: Patch<Day>,
    #[schema(value_type = NotBlank<255>, required = false)]
    shop_name: Patch<Text<255>>,
    part_number: Patch<Text<100>>,
    serial_number: Patch<Text<100>>,
    #[schema(value_type = NotBlank<65_535>, required = false)]
    part_description: Patch<LongText>,
    required_work: Patch<LongText>,
    date_dropped_off: Patch<Day>,
    estimated_cost: Patch<Money>,
    final_cost: Patch<Money>,
    terms: Patch<Text<50>>,
    shop_reference_number: Patch<Text<100>>,
    estimated_delivery_date: Patch<Day>,
    #[schema(value_type = NotBlank<100>, required = false)]
    current_status: Patch<Text<100>>,
    current_status_date: Patch<Day>,
    gen_thrust_status: Patch<Text<100>>,
    shop_status: Patch<Text<100>>,
    tracking_number: Patch<Text<100>>,
    notes: Patch<LongText>,
    next_date_to_update: Patch<Day>,
    #[schema(value_type = Archive, required = false)]
    archive_status: Patch<Archive>,
}

/// The body of a POST, for the description: [`Changes`] of which four are required.
#[derive(Debug)]
pub enum NewRepairOrder {}

/// The body of a PATCH, for the description: [`Changes`] of which there is at least one.
#[derive(Debug)]
pub enum RepairOrderChanges {}

impl PartialSchema for NewRepairOrder {
    fn schema() -> RefOr<Schema> {
        match Changes::schema() {
            RefOr::T(Schema::Object(mut fields)) => {
                fields.required =
                    ["roNumber", "shopName", "partDescription", "currentStatus"].map(str::to_owned).into();
                fields.description = None;
                fields.into()
            }
            other => other,
        }
    }
}

impl PartialSchema for RepairOrderChanges {
    fn schema() -> RefOr<Schema> {
        let fields = match Changes::schema() {
            RefOr::T(Schema::Object(fields)) => fields.properties.into_keys().collect(),
            _ => Vec::new(),
        };
        // Without a type, or generated clients would take an object without members to be meant.
        let one_of_them = fields.into_iter().fold(AnyOfBuilder::new(), |any, field| {
            any.item(ObjectBuilder::new().schema_type(SchemaType::AnyValue).required(field))
        });
        AllOfBuilder::new().item(Ref::from_schema_name(Changes::name())).item(one_of_them).into()
    }
}

impl ToSchema for NewRepairOrder {
    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        schemas.push((Changes::name().into(), Changes::schema()));
        Changes::schemas(schemas);
    }
}

impl ToSchema for RepairOrderChanges {
    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        NewRepairOrder::schemas(schemas);
    }
}

impl Changes {
    /// A move to another table and nothing else.
    pub fn archive(to: Archive) -> Self {
        Self { archive_status: Patch::Value(to), ..Self::default() }
    }

    /// Checks the changes as the body of a POST: the four required fields must be there.
    ///
    /// # Errors
    /// [`ApiError::Invalid`] naming each field that is missing.
    pub fn check_as_new(&self) -> Result<(), ApiError> {
        self.check_required(Some("is required"))
    }

    /// Checks the changes as the body of a PATCH: something must be changed, and the four required fields must not be
    /// cleared.
    ///
    /// # Errors
    /// [`ApiError::Invalid`] naming the fields, or [`ApiError::BadRequest`] when there is no known field at all.
    pub fn check_as_update(&self) -> Result<(), ApiError> {
        if *self == Self::default() {
            return Err(ApiError::BadRequest(
                "The body has no field of a repair order that can be changed.".to_owned(),
            ));
        }
        self.check_required(None)
    }

    /// Checks the four required fields; `if_absent` is what is wrong with one that is not there, if anything.
    fn check_required(&self, if_absent: Option<&'static str>) -> Result<(), ApiError> {
        fn problem<T: Deref<Target = str>>(field: &Patch<T>, if_absent: Option<&'static str>) -> Option<&'static str> {
            match field {
                Patch::Absent => if_absent,
                Patch::Null => Some("must not be null"),
                Patch::Value(text) => text.trim().is_empty().then_some("must not be empty"),
            }
        }
        let mut problems = FieldProblems::default();
        for (field, problem) in [
            ("roNumber", problem(&self.ro_number, if_absent)),
            ("shopName", problem(&self.shop_name, if_absent)),
            ("partDescription", problem(&self.part_description, if_absent)),
            ("currentStatus", problem(&self.current_status, if_absent)),
        ] {
            if let Some(problem) = problem {
                problems.add(field, problem);
            }
        }
        if self.archive_status == Patch::Null {
            problems.add("archiveStatus", "must not be null");
        }
        problems.into_result()
    }

    /// Carries the changes over to `order` on the day `today`: that becomes the day of the last change, and the day
    /// of the status where a status is set without one (design, reading 13).
    pub fn apply(self, order: &mut RepairOrder, today: NaiveDate) {
        if let Patch::Value(number) = self.ro_number {
            order.ro_number = number.into_inner();
        }
        if let Patch::Value(archive) = self.archive_status {
            order.archive_status = archive;
        }
        if !self.current_status.is_absent() && self.current_status_date.is_absent() {
            order.current_status_date = Some(Day(today));
        }
        order.last_date_updated = Some(Day(today));
        self.date_made.apply(&mut order.date_made, |day| day);
        self.shop_name.apply(&mut order.shop_name, Text::into_inner);
        self.part_number.apply(&mut order.part_number, Text::into_inner);
        self.serial_number.apply(&mut order.serial_number, Text::into_inner);
        self.part_description.apply(&mut order.part_description, LongText::into_inner);
        self.required_work.apply(&mut order.required_work, LongText::into_inner);
        self.date_dropped_off.apply(&mut order.date_dropped_off, |day| day);
        self.estimated_cost.apply(&mut order.estimated_cost, |money| money);
        self.final_cost.apply(&mut order.final_cost, |money| money);
        self.terms.apply(&mut order.terms, Text::into_inner);
        self.shop_reference_number.apply(&mut order.shop_reference_number, Text::into_inner);
        self.estimated_delivery_date.apply(&mut order.estimated_delivery_date, |day| day);
        self.current_status.apply(&mut order.current_status, Text::into_inner);
        self.current_status_date.apply(&mut order.current_status_date, |day| day);
        self.gen_thrust_status.apply(&mut order.gen_thrust_status, Text::into_inner);
        self.shop_status.apply(&mut order.shop_status, Text::into_inner);
        self.tracking_number.apply(&mut order.tracking_number, Text::into_inner);
        self.notes.apply(&mut order.notes, LongText::into_inner);
        self.next_date_to_update.apply(&mut order.next_date_to_update, |day| day);
    }
}

/// The body of `PATCH …/by-number/{roNumber}/status` (design, reading 9).
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct StatusUpdate {
    /// How far it is, in the words of the dashboard.
    #[schema(value_type = NotBlank<100>, example = "APPROVED")]
    status: Option<Text<100>>,
    /// Added to the notes that are there, on a line of their own.
    notes: Option<LongText>,
    /// The invoice if the status says `PAID` or `SHIPPING`, else the quote.
    cost: Option<Money>,
    /// When the shop expects to be done.
    delivery_date: Option<Day>,
}

impl StatusUpdate {
    /// The invoice or the quote, if it says one.
    pub fn cost(&self) -> Option<Money> {
        self.cost
    }

    /// Checks what needs no order.
    ///
    /// # Errors
    /// [`ApiError::Invalid`] when there is no status.
    pub fn check(&self) -> Result<(), ApiError> {
        match &self.status {
            None => Err(ApiError::invalid("status", "is required")),
            Some(status) if status.trim().is_empty() => Err(ApiError::invalid("status", "must not be empty")),
            Some(_) => Ok(()),
        }
    }

    /// Sets the status and its day, appends the notes on a new line, and puts the cost where it belongs: an invoice
    /// once the order is paid or shipped, a quote before.
    ///
    /// # Errors
    /// [`ApiError::Invalid`] when the notes outgrow their column.
    pub fn apply(self, order: &mut RepairOrder, today: NaiveDate) -> Result<(), ApiError> {
        if let Some(cost) = self.cost {
            let is_final =
                self.status.as_deref().is_some_and(|status| status.contains("PAID") || status.contains("SHIPPING"));
            let target = if is_final { &mut order.final_cost } else { &mut order.estimated_cost };
            *target = Some(cost);
        }
        if let Some(added) = self.notes.filter(|notes| !notes.is_empty()) {
            let notes = match order.notes.take().filter(|notes| !notes.is_empty()) {
                Some(notes) => format!("{notes}\n{}", &*added),
                None => added.into_inner(),
            };
            let notes = LongText::parse(notes)
                .map_err(|problem| ApiError::invalid("notes", format!("{problem}, with those already there")))?;
            order.notes = Some(notes.into_inner());
        }
        if let Some(day) = self.delivery_date {
            order.estimated_delivery_date = Some(day);
        }
        order.current_status = self.status.map(Text::into_inner);
        order.current_status_date = Some(Day(today));
        order.last_date_updated = Some(Day(today));
        Ok(())
    }
}

/// What the dashboard's first page shows (design, reading 14).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Dashboard {
    pub total_active: i64,
    pub overdue: i64,
    pub waiting_quote: i64,
    pub approved: i64,
    pub being_repaired: i64,
    pub shipping: i64,
    pub due_today: i64,
    pub overdue30_plus: i64,
    pub on_track: i64,
    pub total_value: Money,
    pub total_estimated_value: Money,
    pub total_final_value: Money,
    pub approved_paid: i64,
    pub approved_net: i64,
    pub rai: i64,
    pub ber: i64,
    pub cancel: i64,
    pub scrapped: i64,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    #[test]
    fn an_order_is_overdue_from_the_day_after() {
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
    fn a_number_is_trimmed_and_must_not_be_empty_or_too_long() {
        assert_eq!(&*RoNumber::parse(" RO 1\n").unwrap(), "RO 1");
        assert!(RoNumber::parse(" \t ").is_err());
        assert!(RoNumber::parse(&"9".repeat(51)).is_err());
        assert!(RoNumber::parse(&format!(" {} ", "9".repeat(50))).is_ok());
    }
}
