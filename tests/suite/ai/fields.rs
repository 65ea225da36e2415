//! Random requests made from the description of the body in the OpenAPI document: what Anthropic receives is what was sent, except
//! where a rule says so.

use std::collections::{BTreeMap, BTreeSet};

use ai::{chat_request::ChatBody, models::Models};
use axum::body::Body;
use http::{Request, header};
use rand::{Rng, SeedableRng, rngs::StdRng};
use rotracker_cli::openapi;
use rotracker_tests::{
    anthropic::FakeAnthropic,
    assistant::{Assistant, Options},
};
use serde_json::{Value, value::RawValue};

/// The number of requests.
const REQUESTS: u64 = 10_000;

/// One in so many is sent to the function, too. The others are only parsed by it.
const SENT: u64 = 50;

/// Keywords of schemas that say nothing about which values are valid, or repeat other keywords.
const ANNOTATIONS: [&str; 5] = ["description", "example", "examples", "format", "default"];

/// The pattern of a text that is not blank and has no NUL.
const NOT_BLANK: &str = r"^[^\u0000]*[^\s\u0000][^\u0000]*$";

/// Makes the JSON of random values that are valid for a schema.
struct Generator<'a> {
    random: StdRng,
    document: &'a Value,
}

impl Generator<'_> {
    fn chance(&mut self, percent: u32) -> bool {
        self.random.random_ratio(percent, 100)
    }

    fn pick<'t>(&mut self, from: &[&'t str]) -> &'t str {
        from[self.random.random_range(0..from.len())]
    }

    fn value(&mut self, schema: &Value) -> String {
        let members = schema.as_object().expect("a schema");
        for keyword in members.keys() {
            let known = [
                "$ref",
                "additionalProperties",
                "anyOf",
                "enum",
                "items",
                "maxLength",
                "maximum",
                "minItems",
                "minLength",
                "minimum",
                "oneOf",
                "pattern",
                "properties",
                "required",
                "type",
            ];
            assert!(known.contains(&&**keyword) || ANNOTATIONS.contains(&&**keyword), "{keyword} is not understood");
        }
        if let Some(reference) = schema["$ref"].as_str() {
            let document = self.document;
            return self.value(document.pointer(reference.trim_start_matches('#')).expect("a schema"));
        }
        let choices = schema["enum"].as_array().or(schema["oneOf"].as_array()).or(schema["anyOf"].as_array());
        if let Some(choices) = choices {
            let choice = &choices[self.random.random_range(0..choices.len())];
            return if schema["enum"].is_array() { choice.to_string() } else { self.value(choice) };
        }
        let kind = match &schema["type"] {
            Value::Array(kinds) => kinds[self.random.random_range(0..kinds.len())].clone(),
            kind => kind.clone(),
        };
        match kind.as_str() {
            None => self.anything(3),
            Some("null") => "null".to_owned(),
            Some("boolean") => self.pick(&["true", "false"]).to_owned(),
            Some("integer") => {
                let bound = |name: &str| schema[name].as_i64().expect("integers are bounded");
                self.random.random_range(bound("minimum")..=bound("maximum")).to_string()
            }
            Some("number") => {
                assert_eq!((schema["minimum"].as_f64(), schema["maximum"].as_f64()), (Some(0.0), Some(1.0)));
                self.pick(&["0", "1", "0.50", "1.0", "5e-1", "0.2", "1E0"]).to_owned()
            }
            Some("string") => {
                let text = self.text();
                match schema["pattern"].as_str() {
                    Some(pattern) => {
                        assert_eq!(pattern, NOT_BLANK);
                        format!("\"x{}", text[1..].replace("\\u0000", ""))
                    }
                    None => text,
                }
            }
            Some("array") => {
                let count = schema["minItems"].as_u64().unwrap_or(0) + self.random.random_range(0..3);
                let items = (0..count).map(|_| self.value(&schema["items"])).collect();
                self.list(items)
            }
            Some("object") => self.object(schema),
            Some(other) => panic!("{other} is not understood"),
        }
    }

    fn object(&mut self, schema: &Value) -> String {
        let members = self.members(schema);
        self.write_object(members)
    }

    /// The members of an object, in random order.
    fn members(&mut self, schema: &Value) -> Vec<(String, String)> {
        let required: Vec<&str> =
            schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let mut members = Vec::new();
        for (name, property) in schema["properties"].as_object().into_iter().flatten() {
            if required.contains(&&**name) || self.chance(20) {
                let at = self.random.random_range(0..=members.len());
                members.insert(at, (name.clone(), self.value(property)));
            }
        }
        if schema["additionalProperties"] != false {
            for name in ["text", "cache_control", "na\\u006de"] {
                if self.chance(20) && schema["properties"].get(name).is_none() {
                    members.push((name.to_owned(), self.anything(2)));
                }
            }
        }
        members
    }

    /// Any JSON of at most this depth.
    fn anything(&mut self, depth: u32) -> String {
        let simple =
            ["null", "true", "false", "1.50", "-0.0", "12345678901234567890", "1e400", "0.1", "\"\"", "[]", "{}"];
        match self.random.random_range(0..if depth == 0 { 2 } else { 4 }) {
            0 => self.pick(&simple).to_owned(),
            1 => self.text(),
            2 => {
                let items = (0..self.random.random_range(0..4)).map(|_| self.anything(depth - 1)).collect();
                self.list(items)
            }
            _ => {
                let names = ["type", "budget_tokens", "type", "\\u00e9"];
                let count = self.random.random_range(0..=names.len());
                let members =
                    names[..count].iter().map(|name| ((*name).to_owned(), self.anything(depth - 1))).collect();
                self.write_object(members)
            }
        }
    }

    fn text(&mut self) -> String {
        let parts =
            ["a", " ", "é", "\\u00e9", "\\n", "🛩", "\\ud83d\\ude80", "\\\\", "\\\"", "{", "\\/", "\\u0000", "\u{2028}"];
        let count = self.random.random_range(0..6);
        format!("\"{}\"", (0..count).map(|_| self.pick(&parts)).collect::<String>())
    }

    fn list(&mut self, items: Vec<String>) -> String {
        let space = self.pick(&["", " ", "\n  "]);
        format!("[{space}{}{space}]", items.join(&format!(",{space}")))
    }

    fn write_object(&mut self, members: Vec<(String, String)>) -> String {
        let space = self.pick(&["", " ", "\r\n"]);
        let members: Vec<String> =
            members.iter().map(|(name, value)| format!("\"{name}\"{space}:{space}{value}")).collect();
        format!("{{{space}{}{space}}}", members.join(","))
    }
}

/// What Anthropic must receive for these members, or the two spellings of one field that they have.
fn expected(members: &BTreeMap<String, String>) -> Result<BTreeMap<String, String>, [&'static str; 2]> {
    let is_blank = |json: &String| match serde_json::from_str(json) {
        Ok(Value::String(text)) => text.trim().is_empty(),
        Ok(value) => value.is_null(),
        // A number that fits no type.
        Err(_) => false,
    };
    let mut upstream = members.clone();
    for name in ["userId", "conversationId", "contextRoCount"] {
        upstream.remove(name);
    }
    for name in ["model", "maxTokens", "temperature", "tools", "systemPrompt", "stream"] {
        if upstream.get(name).is_some_and(is_blank) {
            upstream.remove(name);
        }
    }
    for [ours, theirs] in [["maxTokens", "max_tokens"], ["systemPrompt", "system"]] {
        if let Some(value) = upstream.remove(ours)
            && upstream.insert(theirs.to_owned(), value).is_some()
        {
            return Err([ours, theirs]);
        }
    }
    let with_other_sampling =
        ["thinking", "top_k", "top_p"].iter().any(|name| upstream.get(*name).is_some_and(|json| json != "null"));
    let mut default = |name: &str, value: &str| _ = upstream.entry(name.to_owned()).or_insert_with(|| value.to_owned());
    default("model", "\"claude-sonnet-4-20250514\"");
    default("max_tokens", "4096");
    if !with_other_sampling {
        default("temperature", "0.2");
    }
    Ok(upstream)
}

#[tokio::test]
async fn requests_are_altered_only_where_a_rule_says_so() {
    let document: Value = serde_json::from_str(&openapi::document().unwrap()).unwrap();
    let body = "/paths/~1api~1ai~1chat/post/requestBody/content/application~1json/schema/$ref";
    let schema = document.pointer(body).and_then(Value::as_str).unwrap();
    let schema = document.pointer(schema.trim_start_matches('#')).unwrap();
    let assistant = Assistant::with(FakeAnthropic::start([]).await, Options::default()).await;
    let models = Models::default();
    let first = std::env::var("CHAT_SEED").map_or(1, |seed| seed.parse().unwrap());
    let (mut names, mut rejected) = (BTreeSet::new(), 0);
    for seed in first..first + REQUESTS {
        let mut generator = Generator { random: StdRng::seed_from_u64(seed), document: &document };
        let mut members = generator.members(schema);
        for (name, value) in &mut members {
            // The configuration decides which models exist.
            if name == "model" && !value.trim_matches('"').trim().is_empty() && value != "null" {
                *value = format!("\"{}\"", generator.pick(&models.ids()));
            }
        }
        names.extend(members.iter().map(|(name, _)| name.clone()));
        let body = generator.write_object(members.clone());
        let case = format!("CHAT_SEED={seed} {body}");
        let parsed = serde_json::from_str::<ChatBody>(&body).unwrap().parse(&models);
        let (request, expected) = match (parsed, expected(&members.into_iter().collect())) {
            (Ok(request), Ok(expected)) => (request, expected),
            (Err(error), Err(both)) => {
                rejected += 1;
                assert!(both.iter().all(|name| error.to_string().contains(name)), "{case}: {error}");
                continue;
            }
            (parsed, expected) => panic!("{case}: {parsed:?}, expected {expected:?}"),
        };
        let upstream: BTreeMap<String, Box<RawValue>> = serde_json::from_slice(&request.body).unwrap();
        let upstream: BTreeMap<String, String> =
            upstream.into_iter().map(|(name, value)| (name, value.get().to_owned())).collect();
        assert_eq!(upstream, expected, "{case}");
        if seed % SENT == 0 {
            let chat = Request::post("/api/ai/chat").header(header::CONTENT_TYPE, "application/json");
            let chat = chat.header("x-user-id", format!("user-{seed}")).body(Body::from(body)).unwrap();
            let response = assistant.app.send(chat).await;
            assert_eq!(response.status, 200, "{case}: {response:?}");
            let received = assistant.anthropic.requests().pop().unwrap();
            assert_eq!(received.body, request.body, "{case}");
        }
    }
    let described: BTreeSet<String> = schema["properties"].as_object().unwrap().keys().cloned().collect();
    assert_eq!(names, described);
    assert!((REQUESTS / 100..REQUESTS / 5).contains(&rejected), "{rejected} have both spellings");
}
