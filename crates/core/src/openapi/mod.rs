//! The OpenAPI document of the API (OpenAPI 3.1). It is made from the route tables, the attributes of the handlers, and the types of
//! requests and responses.
//!
//! The parts that all operations share are added here: errors, and the header with the request id. The functions do not call this
//! module, so that the linker leaves it out of their binaries.

mod responses;
mod simplify;
mod table;
mod values;

use std::collections::{BTreeMap, BTreeSet};

use http::StatusCode;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use utoipa::openapi::{PathItem, RefOr, Schema, path::Paths};

pub use responses::*;
pub use table::{RouteTable, path_below};
pub use utoipa;
pub use utoipa_axum;
pub use values::{CursorText, Digits, Filter, NotBlank, PeriodBound, Visible};

/// The second prefix of all routes, as the address of a server.
const NETLIFY_FUNCTIONS: &str = "/.netlify/functions";

/// The methods that a route may have.
const METHODS: [&str; 4] = ["get", "post", "patch", "delete"];

/// The description of the routes of one domain or of all.
#[derive(Clone, Debug, Default)]
pub struct Description {
    tags: Vec<Value>,
    paths: BTreeMap<String, Map<String, Value>>,
    schemas: BTreeMap<String, Value>,
    examples: BTreeMap<String, Example>,
    problems: Vec<String>,
}

/// An example of a request and its response.
#[derive(Clone, Debug, Deserialize)]
struct Example {
    /// The body of the request, if it has one.
    request: Option<Value>,
    /// The body of the response: JSON, or a text of another type.
    response: Value,
}

impl Description {
    /// Creates the description of a domain, without routes yet. `name` is the tag of its operations.
    pub fn new(name: &str, about: &str) -> Self {
        Self { tags: vec![json!({ "name": name, "description": about })], ..Self::default() }
    }

    /// Sets the examples of the routes that are added afterwards: JSON, `{operationId: {request?, response}}`. The test suite
    /// sends the requests and compares the responses (tests/suite/examples.rs).
    #[must_use]
    pub fn examples(mut self, examples: &str) -> Self {
        match serde_json::from_str(examples) {
            Ok(examples) => self.examples = examples,
            Err(error) => self.problems.push(format!("the examples: {error}")),
        }
        self
    }

    /// Adds the routes of a table that is mounted at `prefix`.
    #[must_use]
    pub fn table<T: RouteTable>(mut self, prefix: &str) -> Self {
        let mut routes = DescribedRoutes::default();
        T::describe(&mut routes);
        self.problems.append(&mut routes.problems);
        for (name, schema) in routes.schemas {
            match serde_json::to_value(schema) {
                Ok(schema) => _ = self.schemas.insert(name, schema),
                Err(error) => self.problems.push(format!("the schema {name}: {error}")),
            }
        }
        for (path, method, mut operation) in routes.operations {
            let path = published(&path_below(prefix, &path));
            operation.insert("tags".to_owned(), json!([self.tags[0]["name"]]));
            self.insert_example(&mut operation);
            self.keep_parameters_of(&path, &mut operation);
            responses::complete(&method, &mut operation);
            self.paths.entry(path).or_default().insert(method, operation.into());
        }
        self.make_operation_ids_unique();
        self
    }

    /// Marks the routes so far as public: they need no token.
    #[must_use]
    pub fn public(mut self) -> Self {
        for operation in self.paths.values_mut().flat_map(Map::values_mut).filter_map(Value::as_object_mut) {
            operation.insert("security".to_owned(), json!([]));
            if let Some(responses) = operation.get_mut("responses").and_then(Value::as_object_mut) {
                responses.remove(StatusCode::UNAUTHORIZED.as_str());
            }
        }
        self
    }

    /// Adds links from the response `status` of the operation `id`. `parameters` are path parameters with the place of their values in
    /// the response or the request; each is linked to every operation of the domain that takes only this parameter.
    #[must_use]
    pub fn links(mut self, id: &str, status: u16, parameters: &[(&str, &str)]) -> Self {
        let mut links = Map::new();
        for (parameter, value) in parameters {
            for (operation, names) in self.operations().map(|operation| (operation, path_parameters(operation))) {
                if names.len() == 1 && names.contains(*parameter) && operation["operationId"] != id {
                    let target = operation["operationId"].as_str().unwrap_or_default();
                    let link = json!({ "operationId": target, "parameters": { *parameter: value } });
                    links.insert(target.to_owned(), link);
                }
            }
        }
        self.insert_links(id, status, links);
        self
    }

    /// Adds a link from the response `status` of the operation `id` to the operation `target` with this body.
    #[must_use]
    pub fn link_to_body(mut self, id: &str, status: u16, target: &str, body: &Value) -> Self {
        // Schemathesis generates the other members.
        let link = json!({ "operationId": target, "requestBody": body, "x-schemathesis": { "merge_body": true } });
        self.insert_links(id, status, Map::from_iter([(target.to_owned(), link)]));
        self
    }

    fn insert_links(&mut self, id: &str, status: u16, links: Map<String, Value>) {
        let operation = self.paths.values_mut().flat_map(Map::values_mut).find(|found| found["operationId"] == id);
        let response = operation.and_then(|found| found["responses"].get_mut(status.to_string())?.as_object_mut());
        match response {
            Some(response) if !links.is_empty() => {
                let all = response.entry("links").or_insert_with(|| json!({}));
                if let Some(all) = all.as_object_mut() {
                    all.extend(links);
                }
            }
            _ => self.problems.push(format!("{id} has no response {status}, or its link has no target")),
        }
    }

    /// Joins both descriptions.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.tags.extend(other.tags);
        for (path, operations) in other.paths {
            if self.paths.insert(path.clone(), operations).is_some() {
                self.problems.push(format!("{path} is described twice"));
            }
        }
        for (name, schema) in other.schemas {
            if self.schemas.insert(name.clone(), schema.clone()).is_some_and(|there| there != schema) {
                self.problems.push(format!("two schemas are called {name}"));
            }
        }
        self.problems.extend(other.problems);
        self
    }

    /// Makes the document.
    ///
    /// # Errors
    /// The contradictions in it, which are mistakes in attributes.
    pub fn document(self, title: &str, version: &str, about: &str) -> Result<Value, String> {
        let mut problems = self.problems;
        let ids: Vec<&str> =
            self.paths.values().flat_map(Map::values).filter_map(|of| of["operationId"].as_str()).collect();
        let unique: BTreeSet<&&str> = ids.iter().collect();
        if unique.len() < ids.len() {
            problems.push("an operationId is there twice".to_owned());
        }
        let paths = serde_json::to_value(&self.paths).map_err(|error| error.to_string())?;
        let shared = responses::shared();
        let mut schemas = self.schemas;
        schemas.extend(shared.schemas);
        let responses = used("responses", shared.responses, &paths);
        let mut described = json!({ "paths": paths, "responses": responses });
        let schemas = simplify::simplify(&mut described, schemas, &mut problems);
        let headers = used("headers", shared.headers, &described);
        if !problems.is_empty() {
            return Err(problems.join("; "));
        }
        Ok(json!({
            "openapi": "3.1.0",
            "info": { "title": title, "version": version, "description": about },
            "servers": [
                { "url": "/", "description": "The server of this document" },
                { "url": NETLIFY_FUNCTIONS, "description": "The same routes under the prefix that the deployed dashboard uses" },
            ],
            "tags": self.tags,
            "security": [{ "bearer": [] }],
            "paths": described["paths"].take(),
            "components": {
                "schemas": schemas,
                "responses": described["responses"].take(),
                "headers": headers,
                "securitySchemes": shared.security,
            },
        }))
    }

    /// Adds the example of `operation`.
    fn insert_example(&mut self, operation: &mut Map<String, Value>) {
        let id = operation.get("operationId").and_then(Value::as_str).unwrap_or_default();
        let Some(Example { request, response }) = self.examples.get(id).cloned() else {
            self.problems.push(format!("{id} has no example"));
            return;
        };
        let id = id.to_owned();
        let request_body = operation.get_mut("requestBody");
        match (request_body.and_then(|body| body.pointer_mut("/content/application~1json")?.as_object_mut()), request) {
            (Some(content), Some(request)) => _ = content.insert("example".to_owned(), request),
            (None, None) => {}
            _ => self.problems.push(format!("the example of {id} and its description disagree about a body")),
        }
        let responses = operation.get_mut("responses").and_then(Value::as_object_mut).into_iter().flatten();
        let mut successes = responses.filter(|(status, _)| status.starts_with('2'));
        match successes
            .find_map(|(_, success)| success["content"].as_object_mut()?.values_mut().next()?.as_object_mut())
        {
            Some(content) => _ = content.insert("example".to_owned(), response),
            None => self.problems.push(format!("{id} has no body in its response")),
        }
    }

    fn operations(&self) -> impl Iterator<Item = &Value> {
        self.paths.values().flat_map(Map::values)
    }

    /// Keeps only those parameters of the handler that are in this path, since it may be mounted at several paths. Adds a problem if one
    /// is not described.
    fn keep_parameters_of(&mut self, path: &str, operation: &mut Map<String, Value>) {
        let in_path: BTreeSet<&str> = path.split(['{', '}']).skip(1).step_by(2).collect();
        let mut described = BTreeSet::new();
        if let Some(parameters) = operation.get_mut("parameters").and_then(Value::as_array_mut) {
            parameters.retain(|parameter| {
                let name = parameter["name"].as_str().unwrap_or_default();
                parameter["in"] != "path" || in_path.contains(name) && described.insert(name.to_owned())
            });
        }
        if described.len() < in_path.len() {
            self.problems.push(format!("a parameter of {path} is not described"));
        }
    }

    /// Gives each operation of a handler that is mounted at several paths its own `operationId`, with the path's parameter or first
    /// part.
    fn make_operation_ids_unique(&mut self) {
        let mut paths_of: BTreeMap<String, usize> = BTreeMap::new();
        for operation in self.operations() {
            *paths_of.entry(operation["operationId"].to_string()).or_default() += 1;
        }
        for (path, operations) in &mut self.paths {
            for operation in operations.values_mut() {
                if paths_of[&operation["operationId"].to_string()] > 1 {
                    let parameter = path_parameters(operation).pop_first();
                    let name = match &parameter {
                        Some(name) => format!("By{}", capitalized(name)),
                        None => format!("At{}", path.split('/').map(capitalized).collect::<String>()),
                    };
                    let id = operation["operationId"].as_str().unwrap_or_default();
                    operation["operationId"] = format!("{id}{name}").into();
                }
            }
        }
    }
}

/// Returns the components of this kind to which `document` refers.
fn used(kind: &str, mut components: Map<String, Value>, document: &Value) -> Map<String, Value> {
    let text = document.to_string();
    components.retain(|name, _| text.contains(&format!("\"#/components/{kind}/{name}\"")));
    components
}

fn path_parameters(operation: &Value) -> BTreeSet<String> {
    let parameters = operation["parameters"].as_array().into_iter().flatten();
    let in_path = parameters.filter(|parameter| parameter["in"] == "path");
    in_path.filter_map(|parameter| parameter["name"].as_str().map(str::to_owned)).collect()
}

/// Returns `/by-number/{ro_number}` as `/by-number/{roNumber}`.
fn published(path: &str) -> String {
    let mut parts = path.split('_');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |path, part| path + &capitalized(part))
}

fn capitalized(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

/// The descriptions of the routes of a table.
#[derive(Default)]
pub struct DescribedRoutes {
    operations: Vec<(String, String, Map<String, Value>)>,
    schemas: Vec<(String, RefOr<Schema>)>,
    problems: Vec<String>,
}

impl DescribedRoutes {
    /// Adds the description of a handler, which serves `method` at `path`. For [`route_table!`](crate::route_table).
    pub fn add(&mut self, path: &str, method: &str, schemas: Vec<(String, RefOr<Schema>)>, described: Paths) {
        self.schemas.extend(schemas);
        let item: Option<PathItem> = described.paths.into_values().next();
        let operation = serde_json::to_value(item).ok().and_then(|mut item| match item[method].take() {
            Value::Object(operation) if METHODS.contains(&method) => Some(operation),
            _ => None,
        });
        match operation {
            Some(operation) => self.operations.push((path.to_owned(), method.to_owned(), operation)),
            None => self.problems.push(format!("the handler of {method} {path} is described for another method")),
        }
    }
}
