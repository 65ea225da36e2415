//! Optional fields of forms.

use serde::{Deserialize, Deserializer, de, de::DeserializeOwned};
use serde_json::value::RawValue;

/// Reads an optional field of a JSON body. A blank text counts as an absent field, because forms send one for a field that was left
/// empty. For serde's `deserialize_with`, together with `default`.
///
/// # Errors
/// When there is another value, and it is no `T`.
pub fn blank_as_none<'de, D: Deserializer<'de>, T: DeserializeOwned>(deserializer: D) -> Result<Option<T>, D::Error> {
    let Some(json) = Option::<Box<RawValue>>::deserialize(deserializer)? else { return Ok(None) };
    if serde_json::from_str::<String>(json.get()).is_ok_and(|text| text.trim().is_empty()) {
        return Ok(None);
    }
    serde_json::from_str(json.get()).map(Some).map_err(de::Error::custom)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::values::BoundedInt;

    #[derive(Deserialize)]
    struct Body {
        #[serde(default, deserialize_with = "blank_as_none")]
        number: Option<BoundedInt<1, 9>>,
    }

    #[test]
    fn absent_null_and_blank_are_none() {
        for sent in ["{}", r#"{"number":null}"#, r#"{"number":""}"#, r#"{"number":" \t\u00a0"}"#] {
            assert_eq!(serde_json::from_str::<Body>(sent).unwrap().number, None, "{sent}");
        }
        assert_eq!(serde_json::from_str::<Body>(r#"{"number":7}"#).unwrap().number.unwrap().get(), 7);
        for sent in [r#"{"number":"7"}"#, r#"{"number":0}"#, r#"{"number":[]}"#] {
            assert!(serde_json::from_str::<Body>(sent).is_err(), "{sent}");
        }
    }
}
