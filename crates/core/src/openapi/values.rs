//! How the values of [`crate::values`] and the fields of a PATCH are written.
//!
//! Their schemas are written out where they are used instead of being referred to: `string` says more to a reader than
//! `Text100`. A value that requests may write in more ways than answers do has a second schema for requests.

use std::borrow::Cow;

use serde_json::json;
use utoipa::{
    __dev::ComposeSchema,
    PartialSchema, ToSchema,
    openapi::{
        KnownFormat, ObjectBuilder, OneOfBuilder, Ref, RefOr, Schema, SchemaFormat,
        schema::{AnyOfBuilder, SchemaType, Type},
    },
};

use crate::{
    Patch,
    values::{BoundedInt, BoundedText, Day, Money, Text, Timestamp, Trimmed},
};

/// What the names of schemas begin with that are written out where they are used.
pub(super) const INLINE: &str = "inline.";

/// What the name of a value's schema for requests ends with.
pub(super) const IN_REQUESTS: &str = ".request";

/// Text without NUL, which no column takes.
const NO_NUL: &str = r"^[^\u0000]*$";

/// Text without NUL that is not blank.
const NOT_BLANK: &str = r"^[^\u0000]*[^\s\u0000][^\u0000]*$";

type Schemas = Vec<(String, RefOr<Schema>)>;

/// A value whose schema is written out where it is used, and which requests may write in other ways.
macro_rules! value {
    ([$($generic:tt)*] $type:ty, $name:expr, $schema:expr $(, in requests: $sent:expr)?) => {
        impl<$($generic)*> PartialSchema for $type {
            fn schema() -> RefOr<Schema> {
                $schema.into()
            }
        }

        impl<$($generic)*> ToSchema for $type {
            fn name() -> Cow<'static, str> {
                format!("{INLINE}{}", $name).into()
            }

            fn schemas(schemas: &mut Schemas) {
                schemas.push((Self::name().into(), Self::schema()));
                $(schemas.push((format!("{}{IN_REQUESTS}", Self::name()), $sent.into()));)?
            }
        }
    };
}

fn object(of: Type) -> ObjectBuilder {
    ObjectBuilder::new().schema_type(SchemaType::Type(of))
}

fn string() -> ObjectBuilder {
    object(Type::String)
}

value!([const MAX: usize] Text<MAX>, format_args!("Text{MAX}"), string().max_length(Some(MAX)).pattern(Some(NO_NUL)));
value!(
    [const MAX: usize] Trimmed<MAX>,
    format_args!("Trimmed{MAX}"),
    string().min_length(Some(1)).max_length(Some(MAX)).pattern(Some(NOT_BLANK))
        .description(Some("Without the white space around it."))
);
value!(
    [const MAX: usize] NotBlank<MAX>,
    format_args!("NotBlank{MAX}"),
    string().min_length(Some(1)).max_length(Some(MAX)).pattern(Some(NOT_BLANK))
);
value!(
    [const MAX: usize] Filter<MAX>,
    format_args!("Filter{MAX}"),
    string().max_length(Some(MAX)).pattern(Some(NO_NUL)).description(Some("A blank one filters nothing."))
);
value!(
    [const MAX: usize] BoundedText<MAX>,
    format_args!("BoundedText{MAX}"),
    string().max_length(Some(MAX)).pattern(Some(NO_NUL))
        .description(Some(format!("At most {MAX} bytes in UTF-8.")))
);
value!([const MIN: i64, const MAX: i64] BoundedInt<MIN, MAX>, format_args!("BoundedInt{MIN}To{MAX}"), whole(MIN, MAX));

fn whole(min: i64, max: i64) -> ObjectBuilder {
    let number = object(Type::Integer).format(Some(SchemaFormat::KnownFormat(KnownFormat::Int64)));
    number.minimum(Some(min)).maximum(Some(max))
}

value!([] Timestamp, "Timestamp", date_time().examples([json!("2024-11-15T12:00:00.000Z")]));
value!([] PeriodBound, "PeriodBound", date_or_instant("An instant, or a date for the whole day in UTC."));
value!(
    [] Day,
    "Day",
    date_time().pattern(Some(r"^\d{4}-\d{2}-\d{2}T00:00:00\.000Z$")).description(Some("A day, as its midnight in UTC."))
        .examples([json!("2024-11-15T00:00:00.000Z")]),
    in requests: date_or_instant("A date, or an instant, whose date in UTC is taken.")
);

fn date_time() -> ObjectBuilder {
    string().format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)))
}

/// What databases and programs agree on: the years 1000 to 9999.
fn date_or_instant(description: &str) -> AnyOfBuilder {
    let date = string().format(Some(SchemaFormat::KnownFormat(KnownFormat::Date)));
    AnyOfBuilder::new()
        .item(date.pattern(Some("^[1-9]")).examples([json!("2024-11-15")]))
        .item(date_time().pattern(Some("^[1-9]")).examples([json!("2024-11-15T00:00:00.000Z")]))
        .description(Some(format!("{description} From the year 1000 on.")))
}

value!(
    [] Money,
    "Money",
    string().pattern(Some(r"^\d+\.\d{2}$")).examples([json!("2500.00")]),
    in requests: AnyOfBuilder::new()
        .item(string().pattern(Some(r"^\d{1,8}(\.\d{1,2})?$")).examples([json!("2500.00")]))
        .item(object(Type::Number).minimum(Some(0)).maximum(Some(99_999_999.99)).multiple_of(Some(0.01)))
        .description(Some("An amount with at most two decimals; as a string, as answers have it, or as a number."))
);

/// The first or last instant of a period. For `value_type` of a query parameter that [`Period`](crate::http::Period) reads.
#[derive(Debug)]
pub enum PeriodBound {}

/// Text that must say something, kept as it is. For `value_type` of a field where that is checked later.
#[derive(Debug)]
pub enum NotBlank<const MAX: usize> {}

/// Text that a list is filtered by. For `value_type` of a query parameter that [`given`](crate::http::given) reads.
#[derive(Debug)]
pub enum Filter<const MAX: usize> {}

/// An id: digits, of any length. For `value_type` of a field that is written as such, and for types that are.
#[derive(Debug)]
pub enum Digits {}

value!(
    [] Digits,
    "Digits",
    string().pattern(Some("^[0-9]+$")).examples([json!("123")]),
    in requests: AnyOfBuilder::new()
        .item(string().pattern(Some("^[0-9]+$")).examples([json!("123")]))
        .item(object(Type::Integer).minimum(Some(0)))
);

/// A list of tags as in `If-Match`, or a star. For `value_type` of a header.
#[derive(Debug)]
pub(super) enum Tags {}

value!(
    [] Tags,
    "Tags",
    string().min_length(Some(1)).pattern(Some(r#"^(\*|[ ,]*(W/)?"[!#-~]*"( *,[ ,]*(W/)?"[!#-~]*")*[ ,]*)$"#)).examples([json!("\"4b7a1f0c9d2e83a65f10b2c7d9e4a8f3\"")])
);

/// What `Idempotency-Key` holds; white space around a header does not count. For `value_type` of a header.
#[derive(Debug)]
pub(super) enum Key {}

value!(
    [] Key,
    "Key",
    string().max_length(Some(255)).pattern(Some("^[!-~]([ -~]*[!-~])?$"))
        .examples([json!("6f1d3c1e-0a5b-4b0e-9a37-1c1f5a2d7e90")])
);

/// The derived descriptions of structs ask generic types for this trait, which `utoipa` does not call public.
impl<T: ToSchema> ComposeSchema for Patch<T> {
    fn compose(_: Vec<RefOr<Schema>>) -> RefOr<Schema> {
        OneOfBuilder::new().item(object(Type::Null)).item(Ref::from_schema_name(T::name())).into()
    }
}

impl<T: ToSchema> ToSchema for Patch<T> {
    fn name() -> Cow<'static, str> {
        format!("{INLINE}Patch").into()
    }

    fn schemas(schemas: &mut Schemas) {
        schemas.push((T::name().into(), T::schema()));
        T::schemas(schemas);
    }
}

/// Describes a type that is written as another one is.
#[macro_export]
macro_rules! described_as {
    ($type:ty, $value:ty) => {
        impl $crate::openapi::utoipa::PartialSchema for $type {
            fn schema() -> $crate::openapi::utoipa::openapi::RefOr<$crate::openapi::utoipa::openapi::Schema> {
                <$value as $crate::openapi::utoipa::PartialSchema>::schema()
            }
        }

        impl $crate::openapi::utoipa::ToSchema for $type {
            fn name() -> ::std::borrow::Cow<'static, str> {
                <$value as $crate::openapi::utoipa::ToSchema>::name()
            }

            fn schemas(
                schemas: &mut ::std::vec::Vec<(
                    ::std::string::String,
                    $crate::openapi::utoipa::openapi::RefOr<$crate::openapi::utoipa::openapi::Schema>,
                )>,
            ) {
                <$value as $crate::openapi::utoipa::ToSchema>::schemas(schemas);
            }
        }
    };
}

/// Describes a type that is written as one of several names.
#[macro_export]
macro_rules! described_as_one_of {
    ($type:ty, $name:literal, $names:expr) => {
        impl $crate::openapi::utoipa::PartialSchema for $type {
            fn schema() -> $crate::openapi::utoipa::openapi::RefOr<$crate::openapi::utoipa::openapi::Schema> {
                $crate::openapi::utoipa::openapi::ObjectBuilder::new()
                    .schema_type($crate::openapi::utoipa::openapi::schema::Type::String)
                    .enum_values(Some($names))
                    .into()
            }
        }

        impl $crate::openapi::utoipa::ToSchema for $type {
            fn name() -> ::std::borrow::Cow<'static, str> {
                $name.into()
            }
        }
    };
}
