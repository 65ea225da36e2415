//! The bodies of POST and PATCH: the fields of an order that a request may set.

use app_core::{
    Patch,
    http::{ApiError, FieldProblems},
    openapi::NotBlank,
    values::{Day, LongText, Money, RequestDay, Text},
};
use chrono::NaiveDate;
use chrono_tz::Tz;
use serde::{
    Deserialize, Deserializer,
    de::{self, DeserializeOwned},
};
use serde_json::value::RawValue;
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{
        AllOfBuilder, ObjectBuilder, Ref, RefOr, Schema,
        schema::{AnyOfBuilder, SchemaType},
    },
};

use super::{ArchiveStatus, RepairOrder, RoNumber};

/// The fields of an order that a request may set: the body of a PATCH, and of a POST, which changes an empty order. Other
/// members, such as the computed ones, are ignored, because the dashboard sends whole orders back.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", default)]
#[schema(as = RepairOrderFields)]
pub struct OrderFields {
    #[serde(deserialize_with = "blank_as_null")]
    #[schema(value_type = RoNumber, required = false)]
    ro_number: Patch<RoNumber>,
    date_made: Patch<RequestDay>,
    #[serde(deserialize_with = "blank_as_null")]
    #[schema(value_type = NotBlank<255>, required = false)]
    shop_name: Patch<Text<255>>,
    part_number: Patch<Text<100>>,
    serial_number: Patch<Text<100>>,
    #[serde(deserialize_with = "blank_as_null")]
    #[schema(value_type = NotBlank<65_535>, required = false)]
    part_description: Patch<LongText>,
    required_work: Patch<LongText>,
    date_dropped_off: Patch<RequestDay>,
    estimated_cost: Patch<Money>,
    final_cost: Patch<Money>,
    terms: Patch<Text<50>>,
    shop_reference_number: Patch<Text<100>>,
    estimated_delivery_date: Patch<RequestDay>,
    #[serde(deserialize_with = "blank_as_null")]
    #[schema(value_type = NotBlank<100>, required = false)]
    current_status: Patch<Text<100>>,
    current_status_date: Patch<RequestDay>,
    gen_thrust_status: Patch<Text<100>>,
    shop_status: Patch<Text<100>>,
    tracking_number: Patch<Text<100>>,
    notes: Patch<LongText>,
    next_date_to_update: Patch<RequestDay>,
    #[schema(value_type = ArchiveStatus, required = false)]
    archive_status: Patch<ArchiveStatus>,
}

/// Describes the body of a POST in the OpenAPI document: [`OrderFields`], four of them required.
#[derive(Debug)]
pub enum NewRepairOrder {}

/// Describes the body of a PATCH in the OpenAPI document: [`OrderFields`], at least one of them.
#[derive(Debug)]
pub enum RepairOrderChanges {}

impl PartialSchema for NewRepairOrder {
    fn schema() -> RefOr<Schema> {
        match OrderFields::schema() {
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
        let fields = match OrderFields::schema() {
            RefOr::T(Schema::Object(fields)) => fields.properties.into_keys().collect(),
            _ => Vec::new(),
        };
        // Without a type; generated clients would otherwise take this for an object without members.
        let one_of_them = fields.into_iter().fold(AnyOfBuilder::new(), |any, field| {
            any.item(ObjectBuilder::new().schema_type(SchemaType::AnyValue).required(field))
        });
        AllOfBuilder::new().item(Ref::from_schema_name(OrderFields::name())).item(one_of_them).into()
    }
}

impl ToSchema for NewRepairOrder {
    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        schemas.push((OrderFields::name().into(), OrderFields::schema()));
        OrderFields::schemas(schemas);
    }
}

impl ToSchema for RepairOrderChanges {
    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        NewRepairOrder::schemas(schemas);
    }
}

impl OrderFields {
    /// Checks the fields as the body of a POST, which must have the four required ones.
    ///
    /// # Errors
    /// [`ApiError::Invalid`] naming each field that is missing or empty.
    pub fn check_as_new(&self) -> Result<(), ApiError> {
        fn problem<T>(field: &Patch<T>) -> Option<&'static str> {
            match field {
                Patch::Absent => Some("is required"),
                Patch::Null => Some(EMPTY),
                Patch::Value(_) => None,
            }
        }
        let mut problems = FieldProblems::default();
        for (field, problem) in [
            ("roNumber", problem(&self.ro_number)),
            ("shopName", problem(&self.shop_name)),
            ("partDescription", problem(&self.part_description)),
            ("currentStatus", problem(&self.current_status)),
            ("archiveStatus", self.archive_problem()),
        ] {
            if let Some(problem) = problem {
                problems.add(field, problem);
            }
        }
        problems.into_result()
    }

    /// Checks the fields as the body of a PATCH, as far as this does not depend on the order: there must be at least one.
    ///
    /// # Errors
    /// [`ApiError::BadRequest`] when there is no known field, or [`ApiError::Invalid`] when the archive status is null.
    pub fn check_as_update(&self) -> Result<(), ApiError> {
        if *self == Self::default() {
            return Err(ApiError::BadRequest(
                "The body has no field of a repair order that can be changed.".to_owned(),
            ));
        }
        self.archive_problem().map_or(Ok(()), |problem| Err(ApiError::invalid("archiveStatus", problem)))
    }

    fn archive_problem(&self) -> Option<&'static str> {
        (self.archive_status == Patch::Null).then_some("must not be null")
    }

    /// Sets the fields of `order`. If another status is set without a date, `today` becomes the date of the status. Instants are days
    /// in `zone`.
    ///
    /// # Errors
    /// [`ApiError::Invalid`] naming each required field that would be cleared. One that is empty already stays as it is.
    pub fn apply(self, order: &mut RepairOrder, today: NaiveDate, zone: Tz) -> Result<(), ApiError> {
        // A field that is forgotten here does not compile.
        let Self {
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
            next_date_to_update,
            archive_status,
        } = self;
        let mut problems = FieldProblems::default();
        let mut number = Some(std::mem::take(&mut order.ro_number));
        set_required(&mut problems, "roNumber", ro_number, &mut number, RoNumber::into_inner);
        order.ro_number = number.unwrap_or_default();
        set_required(&mut problems, "shopName", shop_name, &mut order.shop_name, Text::into_inner);
        set_required(
            &mut problems,
            "partDescription",
            part_description,
            &mut order.part_description,
            LongText::into_inner,
        );
        let old_status = order.current_status.clone();
        set_required(&mut problems, "currentStatus", current_status, &mut order.current_status, Text::into_inner);
        problems.into_result()?;
        if order.current_status != old_status && current_status_date.is_absent() {
            order.current_status_date = Some(Day(today));
        }
        if let Patch::Value(archive) = archive_status {
            order.archive_status = archive;
        }
        date_made.apply(&mut order.date_made, |day| day.in_zone(zone));
        part_number.apply(&mut order.part_number, Text::into_inner);
        serial_number.apply(&mut order.serial_number, Text::into_inner);
        required_work.apply(&mut order.required_work, LongText::into_inner);
        date_dropped_off.apply(&mut order.date_dropped_off, |day| day.in_zone(zone));
        estimated_cost.apply(&mut order.estimated_cost, |money| money);
        final_cost.apply(&mut order.final_cost, |money| money);
        terms.apply(&mut order.terms, Text::into_inner);
        shop_reference_number.apply(&mut order.shop_reference_number, Text::into_inner);
        estimated_delivery_date.apply(&mut order.estimated_delivery_date, |day| day.in_zone(zone));
        current_status_date.apply(&mut order.current_status_date, |day| day.in_zone(zone));
        gen_thrust_status.apply(&mut order.gen_thrust_status, Text::into_inner);
        shop_status.apply(&mut order.shop_status, Text::into_inner);
        tracking_number.apply(&mut order.tracking_number, Text::into_inner);
        notes.apply(&mut order.notes, LongText::into_inner);
        next_date_to_update.apply(&mut order.next_date_to_update, |day| day.in_zone(zone));
        Ok(())
    }
}

/// The problem of a required field that a request leaves empty.
const EMPTY: &str = "must not be empty";

/// Sets a required field. Imported orders may lack it, and such an order can be sent back as it is.
fn set_required<T>(
    problems: &mut FieldProblems,
    field: &str,
    sent: Patch<T>,
    stored: &mut Option<String>,
    convert: impl FnOnce(T) -> String,
) {
    match sent {
        Patch::Absent => {}
        Patch::Null => {
            if stored.as_deref().is_some_and(|text| !text.trim().is_empty()) {
                problems.add(field, EMPTY);
            }
        }
        Patch::Value(value) => *stored = Some(convert(value)),
    }
}

/// Reads a required text. A blank one counts as null.
fn blank_as_null<'de, D: Deserializer<'de>, T: DeserializeOwned>(deserializer: D) -> Result<Patch<T>, D::Error> {
    let json = Box::<RawValue>::deserialize(deserializer)?;
    match serde_json::from_str::<String>(json.get()) {
        Ok(text) if text.trim().is_empty() => Ok(Patch::Null),
        _ => serde_json::from_str(json.get()).map_err(de::Error::custom),
    }
}
