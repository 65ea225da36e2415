//! The schemas of the types in [`crate::values`] and of the fields of a PATCH.
//!
//! They are written out where they are used, because `string` tells a reader more than a reference to `Text100`. A value that requests
//! may write in more ways than responses has a second schema for requests.

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
    values::{BoundedInt, BoundedText, Day, Money, NormalizedText, RequestDay, Text, Timestamp, TrimmedText},
};

/// The beginning of the names of schemas that are written out where they are used.
pub(super) const INLINE: &str = "inline.";

/// The end of the names of schemas for requests.
pub(super) const IN_REQUESTS: &str = ".request";

/// The pattern of text without NUL, which columns do not take.
const NO_NUL: &str = r"^[^\u0000]*$";

/// The pattern of text without NUL that is not blank.
const NOT_BLANK: &str = r"^[^\u0000]*[^\s\u0000][^\u0000]*$";

/// The pattern of text without NUL in which something can be seen: not only white space, control and format characters.
const VISIBLE: &str = concat!(
    r"^[^\u0000]*[^\s\u0000-\u001F\u007F-\u009F\u00AD\u0600-\u0605\u061C\u06DD\u070F\u0890\u0891\u08E2\u180E",
    r"\u200B-\u200F\u202A-\u202E\u2060-\u2064\u2066-\u206F\uFEFF\uFFF9-\uFFFB][^\u0000]*$",
);

type Schemas = Vec<(String, RefOr<Schema>)>;

/// Implements the schema of a value, which is written out where it is used, and optionally a second one for requests.
macro_rules! inline_schema {
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

inline_schema!([const MAX: usize] Text<MAX>, format_args!("Text{MAX}"), string().max_length(Some(MAX)).pattern(Some(NO_NUL)));
inline_schema!(
    [const MAX: usize] TrimmedText<MAX>,
    format_args!("TrimmedText{MAX}"),
    string().min_length(Some(1)).max_length(Some(MAX)).pattern(Some(NOT_BLANK))
        .description(Some("Without the white space around it."))
);
inline_schema!(
    [const MAX: usize] NormalizedText<MAX>,
    format_args!("NormalizedText{MAX}"),
    string().min_length(Some(1)).max_length(Some(MAX)).pattern(Some(VISIBLE)).description(Some(
        "Trimmed, in NFC, with one blank for each run of white space, without invisible characters, and with `-` for each \
         typographic dash.",
    ))
);
inline_schema!(
    [const MAX: usize] NotBlank<MAX>,
    format_args!("NotBlank{MAX}"),
    string().min_length(Some(1)).max_length(Some(MAX)).pattern(Some(NOT_BLANK))
);
inline_schema!(
    [const MAX: usize] Visible<MAX>,
    format_args!("Visible{MAX}"),
    string().min_length(Some(1)).max_length(Some(MAX)).pattern(Some(VISIBLE))
);
inline_schema!(
    [const MAX: usize] Filter<MAX>,
    format_args!("Filter{MAX}"),
    string().max_length(Some(MAX)).pattern(Some(NO_NUL)).description(Some("A blank text filters nothing."))
);
inline_schema!(
    [const MAX: usize] BoundedText<MAX>,
    format_args!("BoundedText{MAX}"),
    string().max_length(Some(MAX)).pattern(Some(NO_NUL))
        .description(Some(format!("At most {MAX} bytes in UTF-8.")))
);
inline_schema!([const MIN: i64, const MAX: i64] BoundedInt<MIN, MAX>, format_args!("BoundedInt{MIN}To{MAX}"), integer(MIN, MAX));

fn integer(min: i64, max: i64) -> ObjectBuilder {
    let number = object(Type::Integer).format(Some(SchemaFormat::KnownFormat(KnownFormat::Int64)));
    number.minimum(Some(min)).maximum(Some(max))
}

inline_schema!([] Timestamp, "Timestamp", date_time().examples([json!("2024-11-15T12:00:00.000Z")]));
inline_schema!([] PeriodBound, "PeriodBound", date_or_instant("An instant, or a date for the whole day in UTC."));
inline_schema!(
    [] Day,
    "Day",
    date_time().pattern(Some(r"^\d{4}-\d{2}-\d{2}T00:00:00\.000Z$")).description(Some("A day, as its midnight in UTC."))
        .examples([json!("2024-11-15T00:00:00.000Z")])
);
inline_schema!(
    [] RequestDay,
    "RequestDay",
    date_or_instant(
        "A date, or an instant. Midnight in UTC, as in responses, stands for its date in UTC, and any other instant for its date in \
         the time zone of the business."
    )
);

fn date_time() -> ObjectBuilder {
    string().format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)))
}

/// The schema of a date or an instant from the year 1000 on, the first that MySQL supports.
fn date_or_instant(description: &str) -> AnyOfBuilder {
    let date = string().format(Some(SchemaFormat::KnownFormat(KnownFormat::Date)));
    AnyOfBuilder::new()
        .item(date.pattern(Some("^[1-9]")).examples([json!("2024-11-15")]))
        .item(date_time().pattern(Some("^[1-9]")).examples([json!("2024-11-15T00:00:00.000Z")]))
        .description(Some(format!("{description} From the year 1000 on.")))
}

inline_schema!(
    [] Money,
    "Money",
    string().pattern(Some(r"^\d+\.\d{2}$")).examples([json!("2500.00")]),
    in requests: AnyOfBuilder::new()
        .item(string().pattern(Some(r"^\d{1,8}(\.\d{1,2})?$")).examples([json!("2500.00")]))
        .item(object(Type::Number).minimum(Some(0)).maximum(Some(99_999_999.99)).multiple_of(Some(0.01)))
        .description(Some("An amount with at most two decimals; a string, as in responses, or a number."))
);

/// The start or end of a period, for `value_type` of a query parameter that [`Period`](crate::http::Period) reads.
#[derive(Debug)]
pub enum PeriodBound {}

/// Text that is not blank, for `value_type` of a field.
#[derive(Debug)]
pub enum NotBlank<const MAX: usize> {}

/// Text in which something can be seen, for `value_type` of a field.
#[derive(Debug)]
pub enum Visible<const MAX: usize> {}

/// A text filter, for `value_type` of a query parameter. [`Query`](crate::http::Query) ignores a blank one.
#[derive(Debug)]
pub enum Filter<const MAX: usize> {}

/// An id as a string of digits, for `value_type`.
#[derive(Debug)]
pub enum Digits {}

inline_schema!(
    [] Digits,
    "Digits",
    string().pattern(Some("^[0-9]+$")).examples([json!("123")]),
    in requests: AnyOfBuilder::new()
        .item(string().pattern(Some("^[0-9]+$")).examples([json!("123")]))
        .item(object(Type::Integer).minimum(Some(0)))
);

/// The cursor of a page, for `value_type` of a query parameter.
#[derive(Debug)]
pub enum CursorText {}

inline_schema!([] CursorText, "CursorText", string().pattern(Some("^[A-Za-z0-9_-]*$")));

/// A list of entity tags as in `If-Match`, or a star, for `value_type` of a header.
#[derive(Debug)]
pub(super) enum ETagList {}

inline_schema!(
    [] ETagList,
    "ETagList",
    string().min_length(Some(1)).pattern(Some(r#"^(\*|[ ,]*(W/)?"[!#-~]*"( *,[ ,]*(W/)?"[!#-~]*")*[ ,]*)$"#)).examples([json!("\"4b7a1f0c9d2e83a65f10b2c7d9e4a8f3\"")])
);

/// The value of `Idempotency-Key`, without the white space around it, for `value_type` of a header.
#[derive(Debug)]
pub(super) enum KeyText {}

inline_schema!(
    [] KeyText,
    "KeyText",
    string().max_length(Some(255)).pattern(Some("^[!-~]([ -~]*[!-~])?$"))
        .examples([json!("6f1d3c1e-0a5b-4b0e-9a37-1c1f5a2d7e90")])
);

/// The derive macro of `ToSchema` needs this trait for generic types, although `utoipa` does not document it.
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

/// Gives a type the schema of another one.
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

/// Gives a type the schema of a string with a list of names.
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
