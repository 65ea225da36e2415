//! The request of a client to the assistant, and the request to Anthropic that is made from it.

use app_core::{
    http::{ApiError, FieldProblems},
    values::{BoundedInt, TrimmedText},
};
use bytes::Bytes;
use conversations::{ConversationId, Count, User, UserName};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::value::RawValue;
use utoipa::ToSchema;

use crate::models::{Model, Models};

/// The most tokens of an answer by default.
const DEFAULT_MAX_TOKENS: u32 = 4096;

/// The temperature by default: low, since the assistant is asked about facts.
const DEFAULT_TEMPERATURE: f64 = 0.2;

/// The body of `POST /api/ai/chat` before it is validated, because the rate limit needs the user first. Other members are ignored.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", default)]
#[schema(as = ChatRequest)]
pub struct ChatBody {
    /// The conversation so far, at least one message.
    #[schema(value_type = Vec<MessageBody>, required = true, min_items = 1)]
    messages: Option<Box<RawValue>>,
    /// One of the models that `GET /api/ai/health` lists; the first by default.
    #[schema(value_type = Option<String>, example = "claude-sonnet-4-20250514")]
    model: Option<Box<RawValue>>,
    /// The most tokens of the answer; 4096 by default. Some models allow more than 8192.
    #[schema(value_type = Option<BoundedInt<1, 8192>>)]
    max_tokens: Option<Box<RawValue>>,
    /// The temperature; 0.2 by default.
    #[schema(value_type = Option<f64>, minimum = 0, maximum = 1)]
    temperature: Option<Box<RawValue>>,
    /// Tools in Anthropic's format, passed on unchanged.
    #[schema(value_type = Option<Vec<Object>>)]
    tools: Option<Box<RawValue>>,
    /// The system prompt.
    #[schema(value_type = Option<String>)]
    system_prompt: Option<Box<RawValue>>,
    /// Whether the answer is streamed.
    #[schema(value_type = Option<bool>)]
    stream: Option<Box<RawValue>>,
    /// The user who asks.
    #[schema(value_type = Option<UserName>)]
    user_id: Option<Box<RawValue>>,
    /// The conversation to log the exchange under.
    #[schema(value_type = Option<ConversationId>)]
    conversation_id: Option<Box<RawValue>>,
    /// The number of repair orders that the question tells the model about, for the log.
    #[schema(value_type = Option<Count>)]
    context_ro_count: Option<Box<RawValue>>,
}

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
    /// The body of the request to Anthropic.
    pub body: Bytes,
}

/// Describes a message in the OpenAPI document.
#[derive(ToSchema)]
#[schema(as = ChatMessage)]
#[expect(dead_code, reason = "only described")]
struct MessageBody {
    role: Role,
    content: ContentBody,
}

/// Text, or content blocks in Anthropic's format, passed on unchanged.
#[derive(ToSchema)]
#[schema(as = ChatContent)]
#[serde(untagged)]
#[expect(dead_code, reason = "only described")]
enum ContentBody {
    Text(ContentText),
    Blocks(ContentBlocks),
}

/// Describes it in the OpenAPI document.
#[derive(ToSchema)]
#[schema(as = ChatText, min_length = 1)]
#[expect(dead_code, reason = "only described")]
struct ContentText(String);

/// Describes it in the OpenAPI document.
#[derive(ToSchema)]
#[schema(as = ChatContentBlocks, min_items = 1)]
#[expect(dead_code, reason = "only described")]
struct ContentBlocks(Vec<BlockBody>);

/// Describes a content block in the OpenAPI document.
#[derive(ToSchema)]
#[schema(as = ChatContentBlock)]
#[expect(dead_code, reason = "only described")]
struct BlockBody {
    r#type: String,
    text: Option<String>,
}

/// A message. Its content is passed on byte for byte.
#[derive(Deserialize, Serialize)]
struct Message<'a> {
    role: Role,
    #[serde(borrow)]
    content: &'a RawValue,
}

#[derive(Clone, Copy, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = ChatRole)]
enum Role {
    User,
    Assistant,
}

/// The body of the request to Anthropic.
#[derive(Serialize)]
struct UpstreamRequest<'a> {
    model: &'a str,
    max_tokens: u32,
    messages: Vec<Message<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    system: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tools: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<f64>,
    stream: bool,
}

/// The members of a content block that this program reads.
#[derive(Deserialize)]
struct Block {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    text: Option<String>,
}

impl ChatBody {
    /// Returns the user that the body names, if that is a valid name.
    pub fn user_id(&self) -> Option<User> {
        user(self.user_id.as_ref()?.get()).ok()
    }

    /// Validates the body and makes the request to Anthropic.
    ///
    /// # Errors
    /// [`ApiError::Invalid`] naming each field that is wrong.
    pub fn parse(&self, models: &Models) -> Result<ChatRequest, ApiError> {
        let mut problems = FieldProblems::default();
        let model =
            problems.parse("model", raw(&self.model), |json| model(json, models)).unwrap_or(models.default_model());
        let max_tokens = problems.parse("maxTokens", raw(&self.max_tokens), |json| max_tokens(json, model));
        let temperature = problems.parse("temperature", raw(&self.temperature), temperature);
        let stream = problems.parse("stream", raw(&self.stream), |json| typed(json, "must be true or false"));
        let conversation_id = problems.parse("conversationId", raw(&self.conversation_id), trimmed);
        let context_ro_count = problems.parse("contextRoCount", raw(&self.context_ro_count), |json| {
            typed::<Count>(json, "must be a whole number from 0 to 2147483647")
        });
        problems.parse("userId", raw(&self.user_id), user);
        problems.parse("systemPrompt", raw(&self.system_prompt), |json| typed::<String>(json, "must be text"));
        problems.parse("tools", raw(&self.tools), |json| {
            typed::<Vec<serde_json::Map<String, serde_json::Value>>>(json, "must be a list of tools")
        });
        let messages = problems.require("messages", self.messages.as_deref());
        let messages = problems.parse("messages", messages.map(RawValue::get), parse_messages);
        let (messages, question) = problems.finish(messages)?;
        let stream = stream.unwrap_or(false);
        let upstream = UpstreamRequest {
            model: model.upstream(),
            max_tokens: max_tokens.unwrap_or(DEFAULT_MAX_TOKENS.min(model.max_tokens)),
            messages,
            system: given(&self.system_prompt),
            tools: given(&self.tools).filter(|tools| tools.get() != "[]"),
            temperature: model.sampling.then_some(temperature.unwrap_or(DEFAULT_TEMPERATURE)),
            stream,
        };
        Ok(ChatRequest {
            model: model.id.clone(),
            stream,
            conversation_id,
            context_ro_count,
            question,
            body: serde_json::to_vec(&upstream).map_err(ApiError::internal)?.into(),
        })
    }
}

/// Returns the optional member, unless it is absent or null. A blank text counts as absent.
fn given(member: &Option<Box<RawValue>>) -> Option<&RawValue> {
    let is_blank = |json: &str| serde_json::from_str::<String>(json).is_ok_and(|text| text.trim().is_empty());
    member.as_deref().filter(|json| json.get() != "null" && !is_blank(json.get()))
}

fn raw(member: &Option<Box<RawValue>>) -> Option<&str> {
    given(member).map(RawValue::get)
}

fn typed<T: DeserializeOwned>(json: &str, expected: &str) -> Result<T, String> {
    serde_json::from_str(json).map_err(|_| expected.to_owned())
}

fn trimmed<const MAX: usize>(json: &str) -> Result<TrimmedText<MAX>, String> {
    TrimmedText::parse(&typed::<String>(json, "must be text")?)
}

fn user(json: &str) -> Result<User, String> {
    User::name(&typed::<String>(json, "must be text")?)
}

fn model<'m>(json: &str, models: &'m Models) -> Result<&'m Model, String> {
    let id: String = typed(json, "must be text")?;
    models.find(&id).ok_or_else(|| format!("must be one of {}", models.ids().join(", ")))
}

fn max_tokens(json: &str, model: &Model) -> Result<u32, String> {
    let expected = || format!("must be a whole number from 1 to {}", model.max_tokens);
    let tokens: u32 = serde_json::from_str(json).map_err(|_| expected())?;
    if (1..=model.max_tokens).contains(&tokens) { Ok(tokens) } else { Err(expected()) }
}

fn temperature(json: &str) -> Result<f64, String> {
    let expected = "must be a number from 0 to 1";
    typed(json, expected)
        .and_then(|number| if (0.0..=1.0).contains(&number) { Ok(number) } else { Err(expected.to_owned()) })
}

/// Reads the messages, and the text of the last one of the user.
fn parse_messages(json: &str) -> Result<(Vec<Message<'_>>, String), String> {
    let raw: Vec<&RawValue> = serde_json::from_str(json).map_err(|_| "must be a list of messages".to_owned())?;
    if raw.is_empty() {
        return Err("must hold at least one message".to_owned());
    }
    let mut question = String::new();
    let mut messages = Vec::with_capacity(raw.len());
    for (index, json) in raw.into_iter().enumerate() {
        let message: Message<'_> = serde_json::from_str(json.get())
            .map_err(|_| format!("[{index}] must be an object with a role, user or assistant, and content"))?;
        let text = text_of(message.content).ok_or_else(|| {
            format!("[{index}] must have content: text that is not empty, or a list of content blocks")
        })?;
        if message.role == Role::User {
            question = text;
        }
        messages.push(message);
    }
    Ok((messages, question))
}

/// Returns the text of a message's content, or `None` if it is not valid content.
fn text_of(content: &RawValue) -> Option<String> {
    if let Ok(text) = serde_json::from_str::<String>(content.get()) {
        return Some(text).filter(|text| !text.is_empty());
    }
    let blocks: Vec<Block> = serde_json::from_str(content.get()).ok()?;
    if blocks.is_empty() {
        return None;
    }
    let texts: Vec<String> =
        blocks.into_iter().map(|block| block.text.unwrap_or(format!("[{}]", block.kind))).collect();
    Some(texts.join("\n"))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn parse(body: &Value) -> Result<ChatRequest, ApiError> {
        let body: ChatBody = serde_json::from_value(body.clone()).unwrap();
        body.parse(&Models::default())
    }

    fn sent(request: &ChatRequest) -> Value {
        serde_json::from_slice(&request.body).unwrap()
    }

    #[test]
    fn missing_null_and_blank_members_have_defaults() {
        let request = parse(&json!({
            "messages": [{ "role": "user", "content": "Hi" }], "stream": null, "model": "", "maxTokens": "", "temperature": " ",
            "systemPrompt": " \n", "tools": "", "userId": "", "conversationId": " ", "contextRoCount": "",
        }))
        .unwrap();
        let expected = json!({
            "model": "claude-sonnet-4-20250514", "max_tokens": 4096, "temperature": 0.2, "stream": false,
            "messages": [{ "role": "user", "content": "Hi" }],
        });
        assert_eq!(sent(&request), expected);
        assert_eq!((&*request.question, request.conversation_id), ("Hi", None));
    }

    #[test]
    fn content_and_tools_are_passed_on_byte_for_byte() {
        let content = r#"[ {"type":"text", "text":"a\u00e9"},{"type":"new_kind","x":[1.50,{"y":null}]} ]"#;
        let tools = r#"[{"name":"t","input_schema":{"type":"object"} , "strict":true}]"#;
        let body = format!(
            r#"{{"messages":[{{"role":"assistant","content":"x"}},{{"role":"user","content":{content},"id":5}}],
            "tools":{tools},"systemPrompt":"be \u0062rief","maxTokens":10,"temperature":1,"stream":true,
            "conversationId":" c-1 ","contextRoCount":7,"model":"claude-3-haiku-20240307","unknown":1}}"#
        );
        let request = serde_json::from_str::<ChatBody>(&body).unwrap().parse(&Models::default()).unwrap();
        let upstream = std::str::from_utf8(&request.body).unwrap();
        for part in
            [content, tools, r#""be \u0062rief""#, r#""max_tokens":10"#, r#""temperature":1.0"#, r#""stream":true"#]
        {
            assert!(upstream.contains(part), "{part} is not in {upstream}");
        }
        assert_eq!((&*request.model, request.stream), ("claude-3-haiku-20240307", true));
        assert_eq!((&*request.question, request.context_ro_count), ("a\u{e9}\n[new_kind]", Count::new(7)));
        assert_eq!(request.conversation_id.as_deref(), Some("c-1"));
    }

    #[test]
    fn a_model_without_sampling_gets_no_temperature() {
        let mut env =
            [("AI_MODELS".to_owned(), r#"[{"id":"a","upstream":"b","maxTokens":99,"sampling":false}]"#.to_owned())]
                .into_iter()
                .collect();
        let models = Models::read(&mut env);
        let body: ChatBody =
            serde_json::from_value(json!({ "messages": [{ "role": "user", "content": "Hi" }], "temperature": 0.9 }))
                .unwrap();
        let request = body.parse(&models).unwrap();
        assert_eq!((&sent(&request)["model"], &sent(&request)["max_tokens"]), (&json!("b"), &json!(99)));
        assert!(sent(&request).get("temperature").is_none());
        assert_eq!(request.model, "a");
    }

    #[test]
    fn invalid_members_are_reported() {
        let good = json!([{ "role": "user", "content": "Hi" }]);
        for (field, value) in [
            ("messages", Value::Null),
            ("messages", json!([])),
            ("messages", json!("Hi")),
            ("messages", json!([5])),
            ("messages", json!([{ "role": "system", "content": "Hi" }])),
            ("messages", json!([{ "role": "user" }])),
            ("messages", json!([{ "role": "user", "content": "" }])),
            ("messages", json!([{ "role": "user", "content": [] }])),
            ("messages", json!([{ "role": "user", "content": [5] }])),
            ("messages", json!([{ "role": "user", "content": [{}] }])),
            ("messages", json!([{ "role": "user", "content": 7 }])),
            ("model", json!("gpt-4")),
            ("model", json!(4)),
            ("maxTokens", json!(0)),
            ("maxTokens", json!(8193)),
            ("maxTokens", json!(1.5)),
            ("maxTokens", json!("10")),
            ("temperature", json!(-0.1)),
            ("temperature", json!(1.01)),
            ("temperature", json!("0.5")),
            ("tools", json!({})),
            ("tools", json!([1])),
            ("systemPrompt", json!(["x"])),
            ("stream", json!("true")),
            ("userId", json!(5)),
            ("conversationId", json!("c".repeat(101))),
            ("contextRoCount", json!(-1)),
        ] {
            let mut body = json!({ "messages": good });
            body[field] = value.clone();
            match parse(&body) {
                Err(ApiError::Invalid(problems)) => assert!(problems.to_string().starts_with(field), "{problems}"),
                other => panic!("{field} = {value}: {other:?}"),
            }
        }
    }
}
