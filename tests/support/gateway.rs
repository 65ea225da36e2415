//! Builds the events that AWS sends to a function for a client's request: REST API (payload 1.0), HTTP API (payload
//! 2.0) and function URL. The fields that do not depend on the request are in `tests/events`, copied from the AWS
//! documentation.

use std::borrow::Cow;

use http::Method;
use percent_encoding::percent_decode_str;
use reqwest::Url;
use serde_json::{Map, Value, json};

/// The AWS service that invokes a function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gateway {
    /// API Gateway's REST API, which the template deploys. Its `path` is as the client sent it, percent-encoded and
    /// without the stage; parameters in the query are decoded.
    RestApi,
    /// API Gateway's HTTP API. Its `rawPath` is decoded, so `%2F` cannot be distinguished from a slash; its query is as
    /// the client sent it.
    HttpApi,
    /// A function URL, whose path and query are as the client sent them.
    FunctionUrl,
}

/// A client's request.
#[derive(Clone, Debug)]
pub struct Call {
    method: Method,
    path: String,
    query: String,
    headers: Vec<(&'static str, String)>,
    body: Option<Body>,
}

#[derive(Clone, Debug)]
struct Body {
    content: Value,
    is_base64: bool,
}

impl Call {
    /// A request without a body. `target` is a percent-encoded path with an optional query.
    pub fn new(method: Method, target: &str) -> Self {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        Self { method, path: path.to_owned(), query: query.to_owned(), headers: Vec::new(), body: None }
    }

    pub fn get(target: &str) -> Self {
        Self::new(Method::GET, target)
    }

    pub fn post(target: &str, body: &Value) -> Self {
        Self::new(Method::POST, target).header("content-type", "application/json").text(&body.to_string())
    }

    /// Adds a header, even if there is one with this name.
    pub fn header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }

    /// Sets a text body.
    pub fn text(self, body: &str) -> Self {
        Self { body: Some(Body { content: json!(body), is_base64: false }), ..self }
    }

    /// Sets a binary body, which gateways encode; `base64` is the encoded form.
    pub fn base64(self, base64: &str) -> Self {
        Self { body: Some(Body { content: json!(base64), is_base64: true }), ..self }
    }

    fn decoded_path(&self) -> Cow<'_, str> {
        percent_decode_str(&self.path).decode_utf8().expect("paths of tests are text")
    }

    /// Returns the decoded query parameters.
    fn parameters(&self) -> Vec<(String, String)> {
        let url = Url::parse(&format!("http://host/?{}", self.query)).expect("a query");
        url.query_pairs().into_owned().collect()
    }
}

impl Gateway {
    /// All gateways.
    pub const ALL: [Self; 3] = [Self::RestApi, Self::HttpApi, Self::FunctionUrl];

    /// Builds the event for `call`.
    pub fn event(self, call: &Call) -> Value {
        let captured = match self {
            Self::RestApi => include_str!("../events/rest-api-v1.json"),
            Self::HttpApi => include_str!("../events/http-api-v2.json"),
            Self::FunctionUrl => include_str!("../events/function-url.json"),
        };
        let mut event: Value = serde_json::from_str(captured).expect("captured events are JSON");
        match self {
            Self::RestApi => fill_version_1(&mut event, call),
            Self::HttpApi => fill_version_2(&mut event, call, &call.decoded_path()),
            Self::FunctionUrl => fill_version_2(&mut event, call, &call.path),
        }
        if let Some(body) = &call.body {
            event["body"] = body.content.clone();
            event["isBase64Encoded"] = json!(body.is_base64);
        }
        event
    }
}

fn fill_version_1(event: &mut Value, call: &Call) {
    event["path"] = json!(call.path);
    event["httpMethod"] = json!(call.method.as_str());
    event["requestContext"]["httpMethod"] = json!(call.method.as_str());
    event["requestContext"]["path"] = json!(format!("/prod{}", call.path));
    event["pathParameters"]["proxy"] = json!(call.decoded_path().trim_start_matches('/'));
    for (name, value) in &call.headers {
        event["headers"][name] = json!(value);
        append(&mut event["multiValueHeaders"][name], value);
    }
    for (name, value) in call.parameters() {
        event["queryStringParameters"][&name] = json!(value);
        append(&mut event["multiValueQueryStringParameters"][&name], &value);
    }
}

fn append(list: &mut Value, value: &str) {
    if list.is_null() {
        *list = json!([]);
    }
    list.as_array_mut().expect("a list").push(json!(value));
}

fn fill_version_2(event: &mut Value, call: &Call, path: &str) {
    event["rawPath"] = json!(path);
    event["rawQueryString"] = json!(call.query);
    event["requestContext"]["http"]["method"] = json!(call.method.as_str());
    event["requestContext"]["http"]["path"] = json!(path);
    let mut headers = event["headers"].take();
    for (name, value) in &call.headers {
        if *name == "cookie" {
            let cookies = value.split("; ").map(|cookie| json!(cookie));
            event["cookies"] = cookies.collect();
        }
        join(headers.as_object_mut().expect("an object"), name, value);
    }
    event["headers"] = headers;
    let mut parameters = Map::new();
    for (name, value) in call.parameters() {
        join(&mut parameters, &name, &value);
    }
    if !parameters.is_empty() {
        event["queryStringParameters"] = Value::Object(parameters);
    }
}

/// Appends `value` to the entry `name` of `map`, separated by a comma.
fn join(map: &mut Map<String, Value>, name: &str, value: &str) {
    let joined = match map.get(name).and_then(Value::as_str) {
        Some(earlier) => format!("{earlier},{value}"),
        None => value.to_owned(),
    };
    map.insert(name.to_owned(), json!(joined));
}
