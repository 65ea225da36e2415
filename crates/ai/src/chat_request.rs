//! The request of a client to the assistant, and the request to Anthropic that is made from it.

use std::{borrow::Cow, fmt};

use app_core::{
    http::{ApiError, FieldProblems},
    values::TrimmedText,
};
use bytes::Bytes;
use conversations::{ConversationId, Count, User};
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{DeserializeOwned, MapAccess, Visitor},
};
use serde_json::value::{RawValue, to_raw_value};

use crate::{
    chat_fields::{PASSED_ON_FIELDS, READ_FIELDS, Role, SPELLINGS},
    models::{Model, Models},
    raw_json::{Block, read},
};

/// The most tokens of an answer by default.
const DEFAULT_MAX_TOKENS: u32 = 4096;

/// The temperature by default: low, since the assistant is asked about facts.
const DEFAULT_TEMPERATURE: f64 = 0.2;

/// The fields with which the default temperature is not sent, because models reject it together with them.
const WITHOUT_DEFAULT_TEMPERATURE: [&str; 3] = ["thinking", "top_k", "top_p"];

/// The body of `POST /api/ai/chat` before it is validated, because the rate limit needs the user first: its members as they were sent.
#[derive(Debug, Default)]
pub struct ChatBody(Vec<(String, Box<RawValue>)>);

/// A valid request.
#[derive(Debug)]
pub struct ChatRequest {
    /// The name of the model in requests of clients.
    pub model: String,
    pub stream: bool,
    /// The conversation to log the exchange under.
    pub conversation_id: Option<ConversationId>,
    /// The number of repair orders that the question tells the model about, for the log.
    pub context_ro_count: Option<Count>,
    /// The text of the last message of the user, for the log.
    pub question: String,
    /// The names of the tools that the model may use, for the log.
    pub tools: Vec<String>,
    /// The body of the request to Anthropic.
    pub body: Bytes,
}

/// The members of a message that this program reads.
#[derive(Deserialize)]
struct Message<'a> {
    role: Role,
    #[serde(borrow)]
    content: &'a RawValue,
}

/// The members of the request to Anthropic.
struct UpstreamRequest<'a>(Vec<(&'a str, Cow<'a, RawValue>)>);

impl Serialize for UpstreamRequest<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, value)| (name, value)))
    }
}

impl<'de> Deserialize<'de> for ChatBody {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;
        impl<'de> Visitor<'de> for Members {
            type Value = ChatBody;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<ChatBody, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(ChatBody(members))
            }
        }
        deserializer.deserialize_map(Members)
    }
}

impl ChatBody {
    /// Returns the user that the body names, if that is a valid name.
    pub fn user_id(&self) -> Option<User> {
        user(self.given("userId")?).ok()
    }

    /// Validates the body and makes the request to Anthropic.
    ///
    /// # Errors
    /// [`ApiError::Invalid`] naming each field that is wrong.
    pub fn parse(&self, models: &Models) -> Result<ChatRequest, ApiError> {
        let mut problems = FieldProblems::default();
        self.check_names(&mut problems);
        let model = problems.parse("model", self.given("model"), |json| model(json, models));
        let model = model.unwrap_or(models.default_model());
        problems.parse("maxTokens", self.given("maxTokens"), |json| check_max_tokens(json, 1, model));
        // Anthropic fills its prompt cache without an answer if this is 0.
        problems.parse("max_tokens", self.sent("max_tokens"), |json| check_max_tokens(json, 0, model));
        problems.parse("temperature", self.given("temperature"), check_temperature);
        let stream = problems.parse("stream", self.given("stream"), |json| typed(json, "must be true or false"));
        let conversation_id = problems.parse("conversationId", self.given("conversationId"), trimmed);
        let context_ro_count = problems.parse("contextRoCount", self.given("contextRoCount"), |json| {
            typed::<Count>(json, "must be a whole number from 0 to 2147483647")
        });
        problems.parse("userId", self.given("userId"), user);
        problems.parse("systemPrompt", self.given("systemPrompt"), check_system_prompt);
        problems.parse("system", self.sent("system").filter(|json| *json != "null"), check_system_prompt);
        let tools = problems.parse("tools", self.given("tools"), tool_names);
        let messages = problems.require("messages", self.sent("messages").filter(|json| *json != "null"));
        let question = problems.parse("messages", messages, read_question);
        let question = problems.finish(question)?;
        Ok(ChatRequest {
            model: model.id.clone(),
            stream: stream.unwrap_or(false),
            conversation_id,
            context_ro_count,
            question,
            tools: tools.unwrap_or_default(),
            body: self.upstream_body(model).map_err(ApiError::internal)?,
        })
    }

    /// Returns the member as it was sent.
    fn sent(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(sent, _)| sent == name).map(|(_, value)| value.get())
    }

    /// Returns the member, unless it is null or a blank text.
    fn given(&self, name: &str) -> Option<&str> {
        self.sent(name).filter(|json| !is_blank(json))
    }

    /// Reports unknown names, names that occur twice, and both spellings of one field.
    fn check_names(&self, problems: &mut FieldProblems) {
        for (index, (name, _)) in self.0.iter().enumerate() {
            if name == "betas" {
                problems.add(name, "is no field of this request. Beta features are named in the header anthropic-beta");
            } else if !READ_FIELDS.contains(&&**name) && PASSED_ON_FIELDS.iter().all(|(known, _)| known != name) {
                problems.add(name, "is no field of this request");
            } else if self.0[..index].iter().any(|(earlier, _)| earlier == name) {
                problems.add(name, "occurs more than once");
            }
        }
        for (ours, theirs) in SPELLINGS {
            if self.given(ours).is_some() && self.sent(theirs).is_some() {
                problems.add(ours, format!("is the same as {theirs}. Send one of them"));
                problems.add(theirs, format!("is the same as {ours}. Send one of them"));
            }
        }
    }

    /// Makes the body of the request to Anthropic: the members as they were sent, without those that Anthropic does not know, and with
    /// defaults for those that are missing.
    fn upstream_body(&self, model: &Model) -> serde_json::Result<Bytes> {
        let mut members = Vec::with_capacity(self.0.len() + 3);
        members.push(("model", Cow::Owned(to_raw_value(model.upstream())?)));
        if self.given("maxTokens").or(self.sent("max_tokens")).is_none() {
            members.push(("max_tokens", Cow::Owned(to_raw_value(&DEFAULT_MAX_TOKENS.min(model.max_tokens))?)));
        }
        let has_other_sampling =
            WITHOUT_DEFAULT_TEMPERATURE.iter().any(|name| self.sent(name).is_some_and(|json| json != "null"));
        if model.sampling && !has_other_sampling && self.given("temperature").is_none() {
            members.push(("temperature", Cow::Owned(to_raw_value(&DEFAULT_TEMPERATURE)?)));
        }
        for (name, value) in &self.0 {
            let name = match &**name {
                "contextRoCount" | "conversationId" | "model" | "userId" => continue,
                "temperature" if !model.sampling => continue,
                "maxTokens" | "stream" | "systemPrompt" | "temperature" | "tools" if is_blank(value.get()) => continue,
                name => SPELLINGS.into_iter().find(|(ours, _)| *ours == name).map_or(name, |(_, theirs)| theirs),
            };
            members.push((name, Cow::Borrowed(&**value)));
        }
        serde_json::to_vec(&UpstreamRequest(members)).map(Bytes::from)
    }
}

/// Returns whether an optional field counts as absent: it is null or a blank text.
fn is_blank(json: &str) -> bool {
    json == "null" || serde_json::from_str::<String>(json).is_ok_and(|text| text.trim().is_empty())
}

fn typed<T: DeserializeOwned>(json: &str, expected: &str) -> Result<T, String> {
    serde_json::from_str(json).map_err(|_| expected.to_owned())
}

fn trimmed<const MAX: usize>(json: &str) -> Result<TrimmedText<MAX>, String> {
    TrimmedText::parse(&typed::<String>(json, "must be text")?)
}

fn user(json: &str) -> Result<User, String> {
    User::from_name(&typed::<String>(json, "must be text")?)
}

fn model<'m>(json: &str, models: &'m Models) -> Result<&'m Model, String> {
    let id: String = typed(json, "must be text")?;
    models.find(&id).ok_or_else(|| format!("must be one of {}", models.ids().join(", ")))
}

fn check_max_tokens(json: &str, min: u32, model: &Model) -> Result<(), String> {
    let tokens = serde_json::from_str::<u32>(json);
    if tokens.is_ok_and(|tokens| (min..=model.max_tokens).contains(&tokens)) {
        return Ok(());
    }
    Err(format!("must be a whole number from {min} to {}", model.max_tokens))
}

fn check_temperature(json: &str) -> Result<(), &'static str> {
    let temperature = serde_json::from_str::<f64>(json);
    let is_valid = temperature.is_ok_and(|temperature| (0.0..=1.0).contains(&temperature));
    if is_valid { Ok(()) } else { Err("must be a number from 0 to 1") }
}

fn check_system_prompt(json: &str) -> Result<(), &'static str> {
    let is_valid = serde_json::from_str::<String>(json).is_ok() || blocks(json).is_some();
    if is_valid { Ok(()) } else { Err("must be text or a list of content blocks") }
}

/// Reads the names of the tools. A tool without a name, such as all tools of a server, is called by its type.
fn tool_names(json: &str) -> Result<Vec<String>, &'static str> {
    let tools = blocks(json).ok_or("must be a list of tools")?;
    let name = |tool: Block<'_>| read(tool.name).or_else(|| read(tool.kind)).unwrap_or_else(|| "unnamed".to_owned());
    Ok(tools.into_iter().map(name).collect())
}

/// Checks the messages, and returns the text of the last one of the user.
fn read_question(json: &str) -> Result<String, String> {
    let raw: Vec<&RawValue> = serde_json::from_str(json).map_err(|_| "must be a list of messages".to_owned())?;
    if raw.is_empty() {
        return Err("must hold at least one message".to_owned());
    }
    let mut question = None;
    for (index, json) in raw.into_iter().enumerate() {
        let message: Message<'_> = object(json)
            .ok_or_else(|| format!("[{index}] must be an object with a role, user or assistant, and content"))?;
        if message.role == Role::User {
            question = Some(message.content);
        }
    }
    Ok(question.map(text_of).unwrap_or_default())
}

/// Returns the text of a message's content. Blocks without a text are shown by their type, and content of another form as JSON.
fn text_of(content: &RawValue) -> String {
    if let Some(text) = read(Some(content)) {
        return text;
    }
    let Some(blocks) = blocks(content.get()) else { return content.get().to_owned() };
    let shown = |block: Block<'_>| {
        read(block.text).unwrap_or_else(|| format!("[{}]", read(block.kind).unwrap_or_else(|| "block".to_owned())))
    };
    blocks.into_iter().map(shown).collect::<Vec<_>>().join("\n")
}

/// Reads a list of objects.
fn blocks(json: &str) -> Option<Vec<Block<'_>>> {
    let items: Vec<&RawValue> = serde_json::from_str(json).ok()?;
    items.into_iter().map(object).collect()
}

/// Reads an object. (Serde would read a struct from an array, too.)
fn object<'a, T: Deserialize<'a>>(json: &'a RawValue) -> Option<T> {
    read(Some(json)).filter(|_| json.get().starts_with('{'))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::{Value, json};
    use utoipa::{
        PartialSchema,
        openapi::{RefOr, Schema},
    };

    use super::*;

    fn parse_text(body: &str) -> Result<ChatRequest, ApiError> {
        serde_json::from_str::<ChatBody>(body).unwrap().parse(&Models::default())
    }

    fn parse(body: &Value) -> Result<ChatRequest, ApiError> {
        parse_text(&body.to_string())
    }

    fn chat(fields: &Value) -> Value {
        let mut body = json!({ "messages": [{ "role": "user", "content": "Hi" }] });
        body.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        body
    }

    fn sent(request: &ChatRequest) -> Value {
        serde_json::from_slice(&request.body).unwrap()
    }

    fn problems(result: Result<ChatRequest, ApiError>) -> String {
        match result {
            Err(ApiError::Invalid(problems)) => problems.to_string(),
            other => panic!("{other:?}"),
        }
    }

    fn models(json: &str) -> Models {
        Models::read(&mut [("AI_MODELS".to_owned(), json.to_owned())].into_iter().collect())
    }

    #[test]
    fn missing_null_and_blank_members_have_defaults() {
        let request = parse(&chat(&json!({
            "stream": null, "model": "", "maxTokens": "", "temperature": " ", "systemPrompt": " \n", "tools": "", "userId": "",
            "conversationId": " ", "contextRoCount": "",
        })))
        .unwrap();
        let expected = json!({
            "model": "claude-sonnet-4-20250514", "max_tokens": 4096, "temperature": 0.2,
            "messages": [{ "role": "user", "content": "Hi" }],
        });
        assert_eq!(sent(&request), expected);
        assert_eq!((&*request.question, request.conversation_id, request.stream), ("Hi", None, false));
    }

    #[test]
    fn everything_for_anthropic_is_passed_on_byte_for_byte() {
        let messages = r#"[{"role":"assistant","content":"x"},
            {"role":"user","content":[ {"type":"text", "text":"a\u00e9"},{"type":"new_kind","x":[1.50,{"y":null}]} ],"id":5}, {"role":"assistant","content":[]}]"#;
        let tools = r#"[{"name":"t","input_schema":{"type":"object"} , "strict":true},{"type":"web_search_20250305","name":"w"},{"type":"mcp_toolset"}]"#;
        let body = format!(
            r#"{{"messages":{messages},"tools": {tools} ,"systemPrompt":"be \u0062rief","maxTokens":10,"temperature":1.0,"stream":true,
            "conversationId":" c-1 ","contextRoCount":7,"model":"claude-3-haiku-20240307","top_p":0.50,"thinking":null}}"#
        );
        let request = parse_text(&body).unwrap();
        let expected = format!(
            r#"{{"model":"claude-3-haiku-20240307","messages":{messages},"tools":{tools},"system":"be \u0062rief","max_tokens":10,"temperature":1.0,"stream":true,"top_p":0.50,"thinking":null}}"#
        );
        assert_eq!(std::str::from_utf8(&request.body).unwrap(), expected);
        assert_eq!((&*request.model, request.stream), ("claude-3-haiku-20240307", true));
        assert_eq!((&*request.question, request.context_ro_count), ("a\u{e9}\n[new_kind]", Count::new(7)));
        assert_eq!(request.conversation_id.as_deref(), Some("c-1"));
        assert_eq!(request.tools, ["t", "w", "mcp_toolset"]);
    }

    #[test]
    fn every_field_of_the_messages_api_is_known_and_described() {
        let RefOr::T(Schema::Object(schema)) = ChatBody::schema() else { panic!("no object") };
        let described: BTreeSet<&str> = schema.properties.keys().map(String::as_str).collect();
        let passed_on = PASSED_ON_FIELDS.iter().map(|(name, _)| *name);
        assert_eq!(described, passed_on.clone().chain(READ_FIELDS).collect());
        for name in passed_on {
            for value in [json!(null), json!(""), json!([1.5, { "a": "b" }])] {
                let request = parse(&chat(&json!({ name: value }))).unwrap();
                assert_eq!(sent(&request).get(name), Some(&value), "{name}");
            }
        }
    }

    #[test]
    fn anthropics_own_spellings_are_passed_on_as_they_are() {
        for (name, value) in [
            ("system", json!(null)),
            ("system", json!("")),
            ("system", json!([{ "type": "text", "text": "x", "cache_control": { "type": "ephemeral" } }])),
            ("max_tokens", json!(0)),
            ("max_tokens", json!(8192)),
            ("tools", json!([])),
            ("stream", json!(false)),
        ] {
            assert_eq!(sent(&parse(&chat(&json!({ name: value }))).unwrap())[name], value, "{name}");
        }
        let blocks = json!([{ "type": "text", "text": "x" }]);
        assert_eq!(sent(&parse(&chat(&json!({ "systemPrompt": blocks }))).unwrap())["system"], blocks);
    }

    #[test]
    fn unknown_names_repeated_names_and_both_spellings_are_rejected() {
        let body = |members: &str| format!(r#"{{"messages":[{{"role":"user","content":"Hi"}}],{members}}}"#);
        for (members, named) in [
            (r#""stopSequences":[]"#, "stopSequences is no field of this request."),
            (
                r#""betas":["x"]"#,
                "betas is no field of this request. Beta features are named in the header anthropic-beta.",
            ),
            (r#""top_k":1,"top_k":1"#, "top_k occurs more than once."),
            (
                r#""maxTokens":5,"max_tokens":5"#,
                "maxTokens is the same as max_tokens. Send one of them; max_tokens is the same as maxTokens. Send one of them.",
            ),
            (
                r#""system":null,"systemPrompt":"x""#,
                "system is the same as systemPrompt. Send one of them; systemPrompt is the same as system. Send one of them.",
            ),
        ] {
            assert_eq!(problems(parse_text(&body(members))), named);
        }
        assert!(parse_text(&body(r#""systemPrompt":null,"system":"x","maxTokens":"","max_tokens":5"#)).is_ok());
    }

    #[test]
    fn the_default_temperature_is_left_out_where_models_reject_it() {
        for (fields, temperature) in [
            (json!({}), json!(0.2)),
            (json!({ "thinking": null, "top_p": null, "top_k": null }), json!(0.2)),
            (json!({ "thinking": { "type": "disabled" } }), json!(null)),
            (json!({ "top_p": 0.9 }), json!(null)),
            (json!({ "top_k": 5 }), json!(null)),
            (json!({ "top_k": 5, "temperature": 1 }), json!(1)),
        ] {
            assert_eq!(sent(&parse(&chat(&fields)).unwrap())["temperature"], temperature, "{fields}");
        }
    }

    #[test]
    fn a_model_without_sampling_gets_no_temperature() {
        let models = models(r#"[{"id":"a","upstream":"b","maxTokens":99,"sampling":false}]"#);
        let body: ChatBody = serde_json::from_value(chat(&json!({ "temperature": 0.9, "top_k": 5 }))).unwrap();
        let request = body.parse(&models).unwrap();
        let expected = json!({
            "model": "b", "max_tokens": 99, "top_k": 5, "messages": [{ "role": "user", "content": "Hi" }],
        });
        assert_eq!((sent(&request), &*request.model), (expected, "a"));
    }

    #[test]
    fn content_that_is_unknown_is_passed_on_and_shown_in_the_log() {
        for (content, question) in [
            (json!(""), ""),
            (json!([]), ""),
            (
                json!([{}, { "type": "image" }, { "type": "text", "text": "a" }, { "type": 5, "text": 5 }]),
                "[block]\n[image]\na\n[block]",
            ),
            (json!([5]), "[5]"),
            (json!(null), "null"),
        ] {
            let messages = json!([{ "role": "user", "content": content }, { "role": "assistant", "content": "" }]);
            let request = parse(&json!({ "messages": messages })).unwrap();
            assert_eq!((&sent(&request)["messages"], &*request.question), (&messages, question));
        }
        assert_eq!(parse(&json!({ "messages": [{ "role": "assistant", "content": "" }] })).unwrap().question, "");
    }

    #[test]
    fn invalid_members_are_reported() {
        for (field, value) in [
            ("messages", Value::Null),
            ("messages", json!([])),
            ("messages", json!("Hi")),
            ("messages", json!([5])),
            ("messages", json!([["user", "Hi"]])),
            ("messages", json!([{ "role": "system", "content": "Hi" }])),
            ("messages", json!([{ "role": "user" }])),
            ("model", json!("gpt-4")),
            ("model", json!(4)),
            ("maxTokens", json!(0)),
            ("maxTokens", json!(8193)),
            ("maxTokens", json!(1.5)),
            ("maxTokens", json!("10")),
            ("max_tokens", json!(8193)),
            ("max_tokens", json!(-1)),
            ("max_tokens", json!(null)),
            ("temperature", json!(-0.1)),
            ("temperature", json!(1.01)),
            ("temperature", json!("0.5")),
            ("tools", json!({})),
            ("tools", json!([1])),
            ("systemPrompt", json!(["x"])),
            ("system", json!({})),
            ("stream", json!("true")),
            ("userId", json!(5)),
            ("conversationId", json!("c".repeat(101))),
            ("contextRoCount", json!(-1)),
        ] {
            let named = problems(parse(&chat(&json!({ field: value.clone() }))));
            assert!(named.starts_with(field) && !named.contains(';'), "{field} = {value}: {named}");
        }
    }
}
