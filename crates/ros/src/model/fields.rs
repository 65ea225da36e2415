//! The bodies of POST and PATCH: the fields of an order that a request may set.

use std::ops::Deref;

use app_core::{
    Patch,
    http::{ApiError, FieldProblems},
    openapi::NotBlank,
    values::{Day, LongText, Money, Text},
};
use chrono::NaiveDate;
use serde::Deserialize;
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
    /// Returns fields that move an order to another table and change nothing else.
    pub fn archive(to: ArchiveStatus) -> Self {
        Self { archive_status: Patch::Value(to), ..Self::default() }
    }

    /// Checks the fields as the body of a POST, which must have the four required ones.
    ///
    /// # Errors
    /// [`ApiError::Invalid`] naming each field that is missing.
    pub fn check_as_new(&self) -> Result<(), ApiError> {
        self.check_required(Some("is required"))
    }

    /// Checks the fields as the body of a PATCH: there must be at least one, and the four required ones must not be cleared.
    ///
    /// # Errors
    /// [`ApiError::Invalid`] naming the fields, or [`ApiError::BadRequest`] when there is no known field.
    pub fn check_as_update(&self) -> Result<(), ApiError> {
        if *self == Self::default() {
            return Err(ApiError::BadRequest(
                "The body has no field of a repair order that can be changed.".to_owned(),
            ));
        }
        self.check_required(None)
    }

    /// Checks the four required fields. `if_absent` is the problem of a missing one, if it is a problem.
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

    /// Sets the fields of `order`. `today` becomes the day of the last change. If the status is set without a date, `today`
    /// also becomes the date of the status.
    pub fn apply(self, order: &mut RepairOrder, today: NaiveDate) {
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
        if let Patch::Value(number) = ro_number {
            order.ro_number = number.into_inner();
        }
        if let Patch::Value(archive) = archive_status {
            order.archive_status = archive;
        }
        if !current_status.is_absent() && current_status_date.is_absent() {
            order.current_status_date = Some(Day(today));
        }
        order.last_date_updated = Some(Day(today));
        date_made.apply(&mut order.date_made, |day| day);
        shop_name.apply(&mut order.shop_name, Text::into_inner);
        part_number.apply(&mut order.part_number, Text::into_inner);
        serial_number.apply(&mut order.serial_number, Text::into_inner);
        part_description.apply(&mut order.part_description, LongText::into_inner);
        required_work.apply(&mut order.required_work, LongText::into_inner);
        date_dropped_off.apply(&mut order.date_dropped_off, |day| day);
        estimated_cost.apply(&mut order.estimated_cost, |money| money);
        final_cost.apply(&mut order.final_cost, |money| money);
        terms.apply(&mut order.terms, Text::into_inner);
        shop_reference_number.apply(&mut order.shop_reference_number, Text::into_inner);
        estimated_delivery_date.apply(&mut order.estimated_delivery_date, |day| day);
        current_status.apply(&mut order.current_status, Text::into_inner);
        current_status_date.apply(&mut order.current_status_date, |day| day);
        gen_thrust_status.apply(&mut order.gen_thrust_status, Text::into_inner);
        shop_status.apply(&mut order.shop_status, Text::into_inner);
        tracking_number.apply(&mut order.tracking_number, Text::into_inner);
        notes.apply(&mut order.notes, LongText::into_inner);
        next_date_to_update.apply(&mut order.next_date_to_update, |day| day);
    }
}
