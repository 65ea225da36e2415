//! Simplifies the schemas that `utoipa` makes. Schemas of simple values are written out where they are used, schemas of responses list
//! the members that are always there as required, and schemas that nothing refers to are dropped.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::values::{IN_REQUESTS, INLINE};

const SCHEMAS: &str = "#/components/schemas/";

/// Marks a member of a response that may be missing, for `#[schema(extensions(…))]`. Other members that are `Option` are null instead.
/// (A member that is left out instead of being null has `nullable = false`.)
const OPTIONAL: &str = "x-optional";

/// The use of a schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SchemaUse {
    Request,
    Response,
}

struct Simplifier<'a> {
    /// The schemas of `utoipa`.
    raw: BTreeMap<String, Value>,
    /// The simplified schemas that are referred to.
    done: BTreeMap<String, (SchemaUse, Value)>,
    problems: &'a mut Vec<String>,
}

/// Simplifies the schemas in `document`, and returns the simplified schemas to which it refers.
pub(super) fn simplify(
    document: &mut Value,
    raw: BTreeMap<String, Value>,
    problems: &mut Vec<String>,
) -> Map<String, Value> {
    let mut simplifier = Simplifier { raw, done: BTreeMap::new(), problems };
    simplifier.simplify(document, SchemaUse::Response);
    simplifier.done.into_iter().map(|(name, (_, schema))| (name, schema)).collect()
}

impl Simplifier<'_> {
    fn simplify(&mut self, value: &mut Value, schema_use: SchemaUse) {
        match value {
            Value::Array(items) => items.iter_mut().for_each(|item| self.simplify(item, schema_use)),
            Value::Object(members) => {
                for (name, member) in members.iter_mut() {
                    let is_request = matches!(&**name, "requestBody" | "parameters");
                    // Examples are not schemas.
                    if !matches!(&**name, "example" | "examples" | "links") {
                        self.simplify(member, if is_request { SchemaUse::Request } else { schema_use });
                    }
                }
                if members.get("default").is_some_and(Value::is_null) {
                    members.remove("default");
                }
                self.resolve(members, schema_use);
                join_null(members);
                if schema_use == SchemaUse::Response {
                    require_nullable_members(members);
                }
            }
            _ => {}
        }
    }

    /// Writes out the schema to which `members` refers if it is one of a simple value; otherwise adds it to those that are referred to.
    fn resolve(&mut self, members: &mut Map<String, Value>, schema_use: SchemaUse) {
        let Some(name) = members.get("$ref").and_then(|reference| reference.as_str()?.strip_prefix(SCHEMAS)) else {
            return;
        };
        let name = name.to_owned();
        if name.starts_with(INLINE) {
            let in_requests = format!("{name}{IN_REQUESTS}");
            let name = if schema_use == SchemaUse::Request && self.raw.contains_key(&in_requests) {
                in_requests
            } else {
                name
            };
            let Some(mut schema) = self.raw.get(&name).cloned() else {
                self.problems.push(format!("there is no schema {name}"));
                return;
            };
            self.simplify(&mut schema, schema_use);
            members.remove("$ref");
            for (name, member) in schema.as_object().into_iter().flatten() {
                // A description of the field is more specific than that of its type.
                members.entry(name).or_insert_with(|| member.clone());
            }
        } else if let Some((there, _)) = self.done.get(&name) {
            let is_plain = |schema: &Value| schema.get("enum").is_some() || schema.is_null();
            if *there != schema_use && !is_plain(&self.done[&name].1) {
                self.problems.push(format!("{name} is used in requests and in responses"));
            }
        } else if let Some(mut schema) = self.raw.get(&name).cloned() {
            // Inserted first, for schemas that refer to themselves.
            self.done.insert(name.clone(), (schema_use, Value::Null));
            self.simplify(&mut schema, schema_use);
            self.done.insert(name, (schema_use, schema));
        } else {
            self.problems.push(format!("there is no schema {name}"));
        }
    }
}

/// Writes `{oneOf: [{type: null}, {type: string, …}]}` as `{type: [string, null], …}`, and `{oneOf: [{type: null}, {anyOf: […]}]}` as
/// `{anyOf: […, {type: null}]}`.
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

/// Adds the members that may be null to the required ones.
fn require_nullable_members(members: &mut Map<String, Value>) {
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
