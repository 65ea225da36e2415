//! The events that AWS makes of a client's request: of a REST API (payload 1.0), an HTTP API (payload 2.0) and a
//! function URL. What does not depend on the request is in `tests/events`, as AWS documents it.

use std::borrow::Cow;

use http::Method;
use percent_encoding::percent_decode_str;
use reqwest::Url;
use serde_json::{Map, Value, json};

/// What stands before a function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gateway {
    /// API Gateway's REST API, which the template deploys. Its `path` is as the client sent it, percent-encoded and
    /// without the stage; parameters in the query are decoded.
    RestApi,
    /// API Gateway's HTTP API. Its `rawPath` is decoded, so that nobody can tell `%2F` from a slash; its query is as the
    /// client sent it.
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
    /// A request without a body of `target`, a path and perhaps a query, percent-encoded as clients do.
    pub fn new(method: Method, target: &str) -> Self {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        Self { method, path: path.to_owned(), query: query.to_owned(), headers: Vec::new(), body: None }
    }

    /// `GET`.
    pub fn get(target: &str) -> Self {
        Self::new(Method::GET, target)
    }

    /// `POST` with JSON.
    pub fn post(target: &str, body: &Value) -> Self {
        Self::new(Method::POST, target).header("content-type", "application/json").text(&body.to_string())
    }

    /// With a header more, beside others of the same name.
    pub fn header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }

    /// With a body that is text.
    pub fn text(self, body: &str) -> Self {
        Self { body: Some(Body { content: json!(body), is_base64: false }), ..self }
    }

    /// With a body that was sent as bytes, which gateways encode; `base64` is their base64.
    pub fn base64(self, base64: &str) -> Self {
        Self { body: Some(Body { content: json!(base64), is_base64: true }), ..self }
    }

    /// The path, decoded.
    fn decoded_path(&self) -> Cow<'_, str> {
        percent_decode_str(&self.path).decode_utf8().expect("paths of tests are text")
    }

    /// The parameters in the query, decoded.
    fn parameters(&self) -> Vec<(String, String)> {
        let url = Url::parse(&format!("http://host/?{}", self.query)).expect("a query");
        url.query_pairs().into_owned().collect()
    }
}

impl Gateway {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::RestApi, Self::HttpApi, Self::FunctionUrl];

    /// The event that this gateway makes of `call`.
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

/// Adds `value` to what `map` has under `name`, after a comma.
fn join(map: &mut Map<String, Value>, name: &str, value: &str) {
    let joined = match map.get(name).and_then(Value::as_str) {
        Some(earlier) => format!("{earlier},{value}"),
        None => value.to_owned(),
    };
    map.insert(name.to_owned(), json!(joined));
}
