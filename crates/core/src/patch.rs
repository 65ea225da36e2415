//! The three states of a PATCH field.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A field of a partial update. An absent field leaves the column, `null` clears it, and a value sets it. Use it with
/// `#[serde(default)]`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Patch<T> {
    /// The request does not have the field.
    #[default]
    Absent,
    /// The request sets the field to `null`.
    Null,
    /// The request sets the field to a value.
    Value(T),
}

impl<T> Patch<T> {
    /// Returns whether the request does not have the field.
    pub fn is_absent(&self) -> bool {
        matches!(self, Self::Absent)
    }

    /// Applies the change to `target`, after converting the value.
    pub fn apply<U>(self, target: &mut Option<U>, convert: impl FnOnce(T) -> U) {
        match self {
            Self::Absent => {}
            Self::Null => *target = None,
            Self::Value(value) => *target = Some(convert(value)),
        }
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Patch<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Option::deserialize(deserializer).map(|value| value.map_or(Self::Null, Self::Value))
    }
}

/// An absent field is written as null.
impl<T: Serialize> Serialize for Patch<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Absent | Self::Null => serializer.serialize_none(),
            Self::Value(value) => serializer.serialize_some(value),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Deserialize)]
    struct Body {
        #[serde(default)]
        field: Patch<u8>,
    }

    #[test]
    fn absent_null_and_value_are_distinct() {
        for (sent, kept, result) in [
            ("{}", Patch::Absent, Some(1)),
            (r#"{"field":null}"#, Patch::Null, None),
            (r#"{"field":7}"#, Patch::Value(7), Some(7)),
        ] {
            let body: Body = serde_json::from_str(sent).unwrap();
            assert_eq!(body.field, kept, "{sent}");
            let mut target = Some(1);
            body.field.apply(&mut target, |value| value);
            assert_eq!(target, result, "{sent}");
        }
        assert!(serde_json::from_str::<Body>(r#"{"field":"x"}"#).is_err());
    }
}
