//! What attributes cannot say, or would have to say at every field: values are written out where they are used, answers
//! name every member that is always there, and nothing is kept that nobody refers to.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::values::{IN_REQUESTS, INLINE};

const SCHEMAS: &str = "#/components/schemas/";

/// Marks a member of an answer that is not always there; for `#[schema(extensions(…))]`. Others that are `Option` are, as
/// null. (One that is left out instead of null has `nullable = false`.)
const OPTIONAL: &str = "x-optional";

/// Where a schema is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Request,
    Answer,
}

struct Tidying<'a> {
    raw: BTreeMap<String, Value>,
    done: BTreeMap<String, (Place, Value)>,
    problems: &'a mut Vec<String>,
}

/// Tidies `document`, the paths or answers; the result are the schemas to which it refers, tidied as well.
pub(super) fn tidy(
    document: &mut Value,
    raw: BTreeMap<String, Value>,
    problems: &mut Vec<String>,
) -> Map<String, Value> {
    let mut tidying = Tidying { raw, done: BTreeMap::new(), problems };
    tidying.tidy(document, Place::Answer);
    tidying.done.into_iter().map(|(name, (_, schema))| (name, schema)).collect()
}

impl Tidying<'_> {
    fn tidy(&mut self, value: &mut Value, place: Place) {
        match value {
            Value::Array(items) => items.iter_mut().for_each(|item| self.tidy(item, place)),
            Value::Object(members) => {
                for (name, member) in members.iter_mut() {
                    let is_request = matches!(&**name, "requestBody" | "parameters");
                    // An example is what it is.
                    if !matches!(&**name, "example" | "examples" | "links") {
                        self.tidy(member, if is_request { Place::Request } else { place });
                    }
                }
                if members.get("default").is_some_and(Value::is_null) {
                    members.remove("default");
                }
                if let Some(Value::String(text)) = members.get_mut("description") {
                    *text = without_references(text);
                }
                self.resolve(members, place);
                join_null(members);
                if place == Place::Answer {
                    require_what_is_always_there(members);
                }
            }
            _ => {}
        }
    }

    /// Writes out the value that `members` refer to, or notes that its schema is needed.
    fn resolve(&mut self, members: &mut Map<String, Value>, place: Place) {
        let Some(name) = members.get("$ref").and_then(|reference| reference.as_str()?.strip_prefix(SCHEMAS)) else {
            return;
        };
        let name = name.to_owned();
        if name.starts_with(INLINE) {
            let in_requests = format!("{name}{IN_REQUESTS}");
            let name = if place == Place::Request && self.raw.contains_key(&in_requests) { in_requests } else { name };
            let Some(mut schema) = self.raw.get(&name).cloned() else {
                self.problems.push(format!("there is no schema {name}"));
                return;
            };
            self.tidy(&mut schema, place);
            members.remove("$ref");
            for (name, member) in schema.as_object().into_iter().flatten() {
                // What a field says of itself is more than what its type says.
                members.entry(name).or_insert_with(|| member.clone());
            }
        } else if let Some((there, _)) = self.done.get(&name) {
            let is_plain = |schema: &Value| schema.get("enum").is_some() || schema.is_null();
            if *there != place && !is_plain(&self.done[&name].1) {
                self.problems.push(format!("{name} is used in requests and in answers"));
            }
        } else if let Some(mut schema) = self.raw.get(&name).cloned() {
            // Noted first, for schemas that refer to themselves.
            self.done.insert(name.clone(), (place, Value::Null));
            self.tidy(&mut schema, place);
            self.done.insert(name, (place, schema));
        } else {
            self.problems.push(format!("there is no schema {name}"));
        }
    }
}

/// Leaves out where comments refer to papers that readers of the description do not have: `(design, reading 11)`.
fn without_references(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once(" (design, ").or_else(|| rest.split_once(" (specification, ")) {
        kept.push_str(before);
        rest = after.split_once(')').map_or("", |(_, after)| after);
    }
    kept + rest
}

/// `{oneOf: [{type: null}, {type: string, …}]}` as `{type: [string, null], …}`, and `{oneOf: [{type: null}, {anyOf: […]}]}`
/// as `{anyOf: […, {type: null}]}`.
fn join_null(members: &mut Map<String, Value>) {
    let Some(items) = members.get("oneOf").and_then(Value::as_array) else { return };
    let is_null = |item: &&Value| **item == json!({ "type": "null" });
    let (nulls, others): (Vec<&Value>, Vec<&Value>) = items.iter().partition(is_null);
    let ([_], [Value::Object(other)]) = (&*nulls, &*others) else { return };
    let mut joined = other.clone();
    if let Some(choices) = joined.get_mut("anyOf").and_then(Value::as_array_mut) {
        choices.push(json!({ "type": "null" }));
    } else if let Some(kind) = other.get("type").and_then(Value::as_str).filter(|_| !other.contains_key("enum")) {
        joined.insert("type".to_owned(), json!([kind, "null"]));
    } else {
        return;
    }
    members.remove("oneOf");
    for (name, member) in joined {
        members.entry(name).or_insert(member);
    }
}

fn require_what_is_always_there(members: &mut Map<String, Value>) {
    let Some(properties) = members.get_mut("properties").and_then(Value::as_object_mut) else { return };
    let mut required = Vec::new();
    for (name, property) in properties {
        let is_optional = property.as_object_mut().is_some_and(|property| property.remove(OPTIONAL).is_some());
        if !is_optional && may_be_null(property) {
            required.push(json!(name));
        }
    }
    if let Some(all) = members.entry("required").or_insert_with(|| json!([])).as_array_mut() {
        required.retain(|name| !all.contains(name));
        all.append(&mut required);
        all.sort_by_key(Value::to_string);
        if all.is_empty() {
            members.remove("required");
        }
    }
}

fn may_be_null(schema: &Value) -> bool {
    let null = json!("null");
    let is_null = |schema: &Value| match &schema["type"] {
        Value::Array(types) => types.contains(&null),
        kind => *kind == null,
    };
    is_null(schema) || schema["oneOf"].as_array().is_some_and(|items| items.iter().any(is_null))
}
