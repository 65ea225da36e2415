//! Notes of orders, which may begin with the order's history.

use chrono::NaiveDate;
use chrono_tz::Tz;
use rust_decimal::Decimal;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{Reading, Value, read_day, read_money, texts::trim};

/// The notes of an order, divided into its history and the rest.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::import) struct Notes {
    /// What remains as notes.
    pub text: Option<String>,
    /// The history, in the order of the list: the oldest step comes first.
    pub steps: Vec<Step>,
    /// Whether there is a history that cannot be read. `text` has all of the notes then.
    pub unreadable_history: bool,
}

/// A step of an order's history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::import) struct Step {
    pub status: String,
    pub date: Option<NaiveDate>,
    pub user: Option<String>,
    pub cost: Option<Decimal>,
    pub notes: Option<String>,
}

/// An entry of the list.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Entry {
    status: String,
    date: Option<Scalar>,
    user: Option<String>,
    cost: Option<Scalar>,
    notes: Option<String>,
    delivery_date: Option<Scalar>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Scalar {
    Number(f64),
    Text(String),
}

/// Reads notes such as `HISTORY:[{"status":"TO SEND","date":"11/5/25","user":"ann"}]|NOTES:wheel well`. All other notes
/// stay as they are.
pub(in crate::import) fn read_notes(notes: &str, zone: Tz) -> Notes {
    let Some(history) = trim(notes).strip_prefix("HISTORY:") else {
        return Notes { text: (!trim(notes).is_empty()).then(|| notes.to_owned()), ..Notes::default() };
    };
    match read_history(history, zone) {
        Some((steps, text)) => Notes { text, steps, unreadable_history: false },
        None => Notes { text: Some(notes.to_owned()), steps: Vec::new(), unreadable_history: true },
    }
}

/// Reads all of the list and the notes after it, or nothing.
fn read_history(history: &str, zone: Tz) -> Option<(Vec<Step>, Option<String>)> {
    // The strings of the list may contain the text that comes after it, so its end is found by parsing it.
    let mut list = serde_json::Deserializer::from_str(history).into_iter::<Vec<&RawValue>>();
    let entries = list.next()?.ok()?;
    let rest = history.get(list.byte_offset()..)?;
    let text = if rest.is_empty() { "" } else { rest.strip_prefix("|NOTES:")? };
    let steps = entries.into_iter().map(|entry| Entry::parse(entry.get())?.into_step(zone)).collect::<Option<_>>()?;
    Some((steps, unless_blank(text)))
}

impl Entry {
    /// Parses an object. serde would read a list of the members' values, too.
    fn parse(json: &str) -> Option<Self> {
        if json.starts_with('{') { serde_json::from_str(json).ok() } else { None }
    }

    fn into_step(self, zone: Tz) -> Option<Step> {
        let notes = self.notes.as_deref().and_then(unless_blank);
        let delivery = readable(read_day(&value_of(self.delivery_date), zone))?;
        let delivery = delivery.map(|day| format!("estimated delivery: {day}"));
        let lines: Vec<String> = notes.into_iter().chain(delivery).collect();
        let user = self.user.as_deref().and_then(unless_blank);
        let status = unless_blank(&self.status)?;
        // What the columns of the history hold.
        if [Some(&status), user.as_ref()].into_iter().flatten().any(|text| text.chars().count() > 255) {
            return None;
        }
        Some(Step {
            status,
            date: readable(read_day(&value_of(self.date), zone))?,
            user,
            cost: readable(read_money(&value_of(self.cost)))?,
            notes: unless_blank(&lines.join("\n")),
        })
    }
}

fn value_of(scalar: Option<Scalar>) -> Value {
    match scalar {
        None => Value::Null,
        Some(Scalar::Number(number)) => Value::Double(number),
        Some(Scalar::Text(text)) => Value::Text(text),
    }
}

/// `None` if the value is unreadable, `Some(None)` if it is blank.
fn readable<T>(reading: Reading<T>) -> Option<Option<T>> {
    match reading {
        Reading::Blank => Some(None),
        Reading::Same(value) | Reading::Corrected(value, _) => Some(Some(value)),
        Reading::Unreadable(_) => None,
    }
}

fn unless_blank(text: &str) -> Option<String> {
    Some(trim(text)).filter(|text| !text.is_empty()).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use chrono_tz::America::New_York;

    use super::*;

    fn step(status: &str) -> Step {
        Step { status: status.to_owned(), date: None, user: None, cost: None, notes: None }
    }

    fn text(text: &str) -> Option<String> {
        Some(text.to_owned())
    }

    #[test]
    fn a_history_becomes_steps_and_the_rest_notes() {
        let sent = Step { date: NaiveDate::from_ymd_opt(2025, 11, 5), user: text("ann"), ..step("TO SEND") };
        let shipped = Step {
            date: NaiveDate::from_ymd_opt(2025, 11, 12),
            user: text("bob"),
            cost: Some(Decimal::new(31_000, 2)),
            ..step("CURRENTLY BEING SHIPPED")
        };
        let cost = |cost| vec![Step { cost: Some(Decimal::new(cost, 2)), ..step("A") }];
        let note = |note| vec![Step { notes: text(note), ..step("A") }];
        for (notes, steps, rest) in [
            (
                concat!(
                    r#"HISTORY:[{"status":"TO SEND","date":"11/5/25","user":"ann"},{"status":"CURRENTLY BEING "#,
                    r#"SHIPPED","date":"11/12/25","user":"bob","cost":310}]|NOTES:wheel well"#
                ),
                vec![sent.clone(), shipped.clone()],
                text("wheel well"),
            ),
            // The order of the list counts, not the dates.
            (
                concat!(
                    r#"HISTORY:[{"status":"CURRENTLY BEING SHIPPED","date":"11/12/25","user":"bob","cost":"$310.00"},"#,
                    r#"{"status":"TO SEND","date":"11/5/25","user":"ann"}]"#
                ),
                vec![shipped, sent],
                None,
            ),
            ("HISTORY:[]|NOTES:", vec![], None),
            ("HISTORY:[]", vec![], None),
            (" HISTORY:[]|NOTES: a\nb |NOTES:c\n", vec![], text("a\nb |NOTES:c")),
            (r#"HISTORY:[{"status":"A","notes":"x]|NOTES:y"}]|NOTES:z"#, note("x]|NOTES:y"), text("z")),
            (r#"HISTORY:[{"status":"A","notes":"say \"]\""}]|NOTES:z"#, note("say \"]\""), text("z")),
            (
                r#"HISTORY:[{"status":"A","notes":"x","deliveryDate":"12/19/25"}]"#,
                note("x\nestimated delivery: 2025-12-19"),
                None,
            ),
            (r#"HISTORY:[{"status":"A","deliveryDate":"12/19/25"}]"#, note("estimated delivery: 2025-12-19"), None),
            (
                r#"HISTORY:[{"status":" A ","date":"","user":" ","cost":null,"notes":"","deliveryDate":null}]"#,
                vec![step("A")],
                None,
            ),
            (r#"HISTORY:[{"status":"A","cost":1875.5}]"#, cost(187_550), None),
            (r#"HISTORY:[{"status":"A","cost":9800.005}]"#, cost(980_001), None),
        ] {
            assert_eq!(read_notes(notes, New_York), Notes { text: rest, steps, unreadable_history: false }, "{notes}");
        }
        let long = format!("HISTORY:[{}]", vec![r#"{"status":"A"}"#; 25].join(","));
        assert_eq!(read_notes(&long, New_York).steps.len(), 25);
    }

    #[test]
    fn notes_with_an_unreadable_history_stay_whole() {
        for notes in [
            r#"HISTORY:[{"status":"TO SEND","date":"11/5/25","user":"ann"},{"status":"CURR"#,
            r#"HISTORY:[{"status":"TO SEND"}"#,
            "HISTORY:",
            "HISTORY: none ",
            "HISTORY:{}",
            r#"HISTORY:["TO SEND"]"#,
            r#"HISTORY:[["TO SEND","11/5/25","ann",null,null,null]]"#,
            r#"HISTORY:[{"status":"A","shop":"B"}]"#,
            r#"HISTORY:[{"status":"A","status":"B"}]"#,
            r#"HISTORY:[{"date":"11/5/25"}]"#,
            r#"HISTORY:[{"status":null}]"#,
            r#"HISTORY:[{"status":" "}]"#,
            r#"HISTORY:[{"status":7}]"#,
            r#"HISTORY:[{"status":"A","date":"11/31/25"}]"#,
            r#"HISTORY:[{"status":"A","deliveryDate":"TBD"}]"#,
            r#"HISTORY:[{"status":"A","cost":"n/c"}]"#,
            r#"HISTORY:[{"status":"A","cost":-1}]"#,
            r#"HISTORY:[{"status":"A","cost":true}]"#,
            r#"HISTORY:[{"status":"A"},{"status":"B","cost":-1}]|NOTES:z"#,
            r#"HISTORY:[{"status":"A"}]NOTES:z"#,
            r#"HISTORY:[{"status":"A"}]|notes:z"#,
            r#"HISTORY:[{"status":"A"}] |NOTES:z"#,
            r#"HISTORY:[{"status":"A"}]|"#,
            r#"HISTORY:[{"status":"A"}]|NOTE"#,
        ] {
            let whole = Notes { text: text(notes), steps: vec![], unreadable_history: true };
            assert_eq!(read_notes(notes, New_York), whole, "{notes}");
        }
    }

    #[test]
    fn notes_without_a_history_stay_as_they_are() {
        for (notes, kept) in [
            ("quote ok\ncall Fri", text("quote ok\ncall Fri")),
            ("see HISTORY:[]|NOTES:", text("see HISTORY:[]|NOTES:")),
            ("history:[]", text("history:[]")),
            (" call Fri ", text(" call Fri ")),
            ("", None),
            (" \u{A0}\n", None),
        ] {
            assert_eq!(read_notes(notes, New_York), Notes { text: kept, ..Notes::default() }, "{notes:?}");
        }
    }
}
