//! The published description of the API (OpenAPI 3.1), made of the same table that the router is made of, the attributes
//! above the handlers and the types that they read and answer with.
//!
//! What every operation has in common is added here and nowhere else: the answers to a wrong or failing request, the
//! header with the request's id, the form of an error. Nothing here is called by a function's binary, so the linker
//! leaves it out there.

mod answers;
mod table;
mod tidy;
mod values;

use std::collections::{BTreeMap, BTreeSet};

use http::StatusCode;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use utoipa::openapi::{PathItem, RefOr, Schema, path::Paths};

pub use answers::*;
pub use table::RouteTable;
pub use utoipa;
pub use utoipa_axum;
pub use values::{Digits, Filter, NotBlank, PeriodBound};

/// The path below which the deployed dashboard finds the API (design, reading 3), as a server's address.
const NETLIFY_FUNCTIONS: &str = "/.netlify/functions";

/// The methods in the order in which they are read best; a path item has no others.
const METHODS: [&str; 4] = ["get", "post", "patch", "delete"];

/// A description, of one domain or of all.
#[derive(Clone, Debug, Default)]
pub struct Description {
    tags: Vec<Value>,
    paths: BTreeMap<String, Map<String, Value>>,
    schemas: BTreeMap<String, Value>,
    examples: BTreeMap<String, Example>,
    problems: Vec<String>,
}

/// A request and what the service answered to it, for the description.
#[derive(Clone, Debug, Deserialize)]
struct Example {
    /// The body of the request, if the operation takes one.
    request: Option<Value>,
    /// The body of the answer.
    answer: Value,
}

impl Description {
    /// The description of a domain without a path yet. Its operations are listed under `name`.
    pub fn new(name: &str, about: &str) -> Self {
        Self { tags: vec![json!({ "name": name, "description": about })], ..Self::default() }
    }

    /// Says of the routes that are added from now on what requests and answers look like: `examples` is JSON,
    /// `{operationId: {request?, answer}}`. The suite sends the requests and compares the answers (`examples`).
    #[must_use]
    pub fn examples(mut self, examples: &str) -> Self {
        match serde_json::from_str(examples) {
            Ok(examples) => self.examples = examples,
            Err(error) => self.problems.push(format!("the examples: {error}")),
        }
        self
    }

    /// Adds the routes of a table, mounted at `prefix`.
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
            let path = published(&format!("{prefix}{}", path.trim_end_matches('/')));
            operation.insert("tags".to_owned(), json!([self.tags[0]["name"]]));
            self.insert_example(&mut operation);
            self.keep_parameters_of(&path, &mut operation);
            answers::complete(&method, &mut operation);
            self.paths.entry(path).or_default().insert(method, operation.into());
        }
        self.tell_apart();
        self
    }

    /// Says that anybody may ask for what is described so far, without a token.
    #[must_use]
    pub fn public(mut self) -> Self {
        for operation in self.paths.values_mut().flat_map(Map::values_mut).filter_map(Value::as_object_mut) {
            operation.insert("security".to_owned(), json!([]));
            if let Some(answers) = operation.get_mut("responses").and_then(Value::as_object_mut) {
                answers.remove(StatusCode::UNAUTHORIZED.as_str());
            }
        }
        self
    }

    /// Adds links from the answer `status` of the operation `id`: for each of `parameters`, a path parameter and where
    /// the answer or the request has its value, to every operation of the domain that takes this parameter alone.
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

    /// Adds a link from the answer `status` of the operation `id` to the operation `target`, whose body it gives.
    #[must_use]
    pub fn link_to_body(mut self, id: &str, status: u16, target: &str, body: &Value) -> Self {
        // Schemathesis invents the members that are not given.
        let link = json!({ "operationId": target, "requestBody": body, "x-schemathesis": { "merge_body": true } });
        self.insert_links(id, status, Map::from_iter([(target.to_owned(), link)]));
        self
    }

    fn insert_links(&mut self, id: &str, status: u16, links: Map<String, Value>) {
        let operation = self.paths.values_mut().flat_map(Map::values_mut).find(|found| found["operationId"] == id);
        let answer = operation.and_then(|found| found["responses"].get_mut(status.to_string())?.as_object_mut());
        match answer {
            Some(answer) if !links.is_empty() => {
                let all = answer.entry("links").or_insert_with(|| json!({}));
                if let Some(all) = all.as_object_mut() {
                    all.extend(links);
                }
            }
            _ => self.problems.push(format!("{id} has no answer {status}, or its link leads nowhere")),
        }
    }

    /// This and `other` as one.
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

    /// The description as a document.
    ///
    /// # Errors
    /// What in it contradicts itself, which is a mistake in an attribute.
    pub fn document(self, title: &str, version: &str, about: &str) -> Result<Value, String> {
        let mut problems = self.problems;
        let ids: Vec<&str> =
            self.paths.values().flat_map(Map::values).filter_map(|of| of["operationId"].as_str()).collect();
        let unique: BTreeSet<&&str> = ids.iter().collect();
        if unique.len() < ids.len() {
            problems.push("an operationId is there twice".to_owned());
        }
        let paths = serde_json::to_value(&self.paths).map_err(|error| error.to_string())?;
        let shared = answers::shared();
        let mut schemas = self.schemas;
        schemas.extend(shared.schemas);
        // Of what is shared, only what is referred to.
        let responses = used("responses", shared.responses, &paths);
        let mut described = json!({ "paths": paths, "responses": responses });
        let schemas = tidy::tidy(&mut described, schemas, &mut problems);
        let headers = used("headers", shared.headers, &described);
        if !problems.is_empty() {
            return Err(problems.join("; "));
        }
        Ok(json!({
            "openapi": "3.1.0",
            "info": { "title": title, "version": version, "description": about },
            "servers": [
                { "url": "/", "description": "Where the description was found" },
                { "url": NETLIFY_FUNCTIONS, "description": "The same below the prefix that the deployed dashboard uses" },
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

    /// Shows the request and the answer of `operation` that are among the examples.
    fn insert_example(&mut self, operation: &mut Map<String, Value>) {
        let id = operation.get("operationId").and_then(Value::as_str).unwrap_or_default();
        let Some(Example { request, answer }) = self.examples.get(id).cloned() else {
            self.problems.push(format!("{id} has no example"));
            return;
        };
        let id = id.to_owned();
        match (operation.get_mut("requestBody").and_then(json_content), request) {
            (Some(content), Some(request)) => _ = content.insert("example".to_owned(), request),
            (None, None) => {}
            _ => self.problems.push(format!("the example of {id} and its description differ about a body")),
        }
        let answers = operation.get_mut("responses").and_then(Value::as_object_mut).into_iter().flatten();
        let mut successes = answers.filter(|(status, _)| status.starts_with('2'));
        match successes.find_map(|(_, success)| json_content(success)) {
            Some(content) => _ = content.insert("example".to_owned(), answer),
            None => self.problems.push(format!("{id} does not answer with JSON")),
        }
    }

    fn operations(&self) -> impl Iterator<Item = &Value> {
        self.paths.values().flat_map(Map::values)
    }

    /// Of the parameters that a handler takes wherever it is mounted, keeps those that are in this path, and notes one that
    /// nobody described.
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

    /// Gives the operations of a handler that is mounted at several paths names of their own: by the parameter that names
    /// the thing, or by the first part of the path.
    fn tell_apart(&mut self) {
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

/// What `body`, of a request or an answer, says of its JSON.
fn json_content(body: &mut Value) -> Option<&mut Map<String, Value>> {
    body.pointer_mut("/content/application~1json")?.as_object_mut()
}

/// The components of that kind to which `document` refers.
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

/// `/by-number/{ro_number}` as clients read it: `/by-number/{roNumber}`.
fn published(path: &str) -> String {
    let mut parts = path.split('_');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |path, part| path + &capitalized(part))
}

fn capitalized(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

/// What a table says of its routes.
#[derive(Default)]
pub struct DescribedRoutes {
    operations: Vec<(String, String, Map<String, Value>)>,
    schemas: Vec<(String, RefOr<Schema>)>,
    problems: Vec<String>,
}

impl DescribedRoutes {
    /// Adds the description that is above a handler, which answers `method` at `path`. For [`route_table!`](crate::route_table).
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
