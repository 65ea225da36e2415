//! The fields of the body of `POST /api/ai/chat`: our own ones and those of Anthropic's Messages API, and their description.

use std::borrow::Cow;

use app_core::values::{BoundedInt, TrimmedText};
use conversations::{ConversationId, Count};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{ObjectBuilder, RefOr, Schema, schema::SchemaType},
};

use crate::chat_request::ChatBody;

/// The fields that this program reads. A null or blank one counts as absent, except in `messages` and in Anthropic's own spellings
/// `max_tokens` and `system`.
pub(crate) const READ_FIELDS: [&str; 12] = [
    "contextRoCount",
    "conversationId",
    "maxTokens",
    "max_tokens",
    "messages",
    "model",
    "stream",
    "system",
    "systemPrompt",
    "temperature",
    "tools",
    "userId",
];

/// The other fields of the Messages API, which are passed on byte for byte, and their meaning. They are those of the requests of the
/// Python package `anthropic` 2.14.0 (`MessageCreateParams`, also in `types/beta`; `tests/contract/anthropic_client.py` compares
/// them), and three that the package has no more but the API still takes: `output_format`, `top_k` and `top_p`. The package's
/// `betas`, `user_profile_id` and `workspace_id` are headers.
pub(crate) const PASSED_ON_FIELDS: [(&str, &str); 21] = [
    ("billing_policy", "The organization that is billed."),
    ("cache_control", "Marks the last cacheable block of the request for the prompt cache."),
    ("compaction", "Asks for a summary of the conversation instead of an answer."),
    ("container", "The container in which the code of tools runs."),
    ("context_management", "The parts of a long conversation that are left out."),
    ("diagnostics", "The message with which the prompt cache is compared."),
    ("fallback_credit_token", "The token of a refused request, which makes its repetition cheaper."),
    ("fallbacks", "The models that answer if the first one refuses."),
    ("inference_geo", "The region in which the model runs."),
    ("mcp_servers", "The servers of the Model Context Protocol whose tools the model may use."),
    ("metadata", "Data about the request, such as an opaque id of the user for Anthropic."),
    ("output_config", "The format of the answer, and the effort for it."),
    ("output_format", "The format of the answer, as older versions of the API name it."),
    ("service_tier", "Whether the capacity of the priority tier may be used."),
    ("speed", "The speed of the answer."),
    ("stop_sequences", "Texts that end the answer."),
    ("thinking", "Whether and how much the model thinks before it answers."),
    ("thread", "The conversation that Anthropic keeps between requests."),
    ("tool_choice", "Which tools the model has to use."),
    ("top_k", "The number of tokens to choose each token from."),
    ("top_p", "The probability of the tokens to choose each token from."),
];

/// Pairs of our own name and Anthropic's name of the same field. A request may have one of them.
pub(crate) const SPELLINGS: [(&str, &str); 2] = [("maxTokens", "max_tokens"), ("systemPrompt", "system")];

/// The role of a message.
#[derive(Clone, Copy, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = ChatRole)]
pub(crate) enum Role {
    User,
    Assistant,
}

/// The body of a chat. It has the fields of Anthropic's Messages API, and some of our own. Anthropic's fields are passed on byte for
/// byte. A name that is not listed here is rejected, and so is one that occurs twice. Of the fields `maxTokens`, `temperature`, `tools`,
/// `systemPrompt`, `stream`, `model`, `userId`, `conversationId` and `contextRoCount`, a null or blank one counts as absent.
#[derive(ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[expect(dead_code, reason = "only described")]
struct DescribedBody {
    /// The conversation so far, at least one message.
    #[schema(min_items = 1)]
    messages: Vec<DescribedMessage>,
    /// One of the models that `GET /api/ai/health` lists; the first by default.
    #[schema(example = "claude-sonnet-4-20250514")]
    model: Option<String>,
    /// The most tokens of the answer; 4096 by default. Some models allow more than 8192.
    max_tokens: Option<BoundedInt<1, 8192>>,
    /// The same as `maxTokens`, of which a request may have one. With 0, the prompt cache is filled without an answer.
    #[serde(rename = "max_tokens")]
    #[schema(value_type = BoundedInt<0, 8192>, required = false)]
    anthropic_max_tokens: Option<BoundedInt<0, 8192>>,
    /// The temperature. 0.2 by default, unless the request has `thinking`, `top_p` or `top_k` that is not null, or the model takes no
    /// temperature. To such a model none is sent, even if the request has one.
    #[schema(minimum = 0, maximum = 1)]
    temperature: Option<f64>,
    /// Tools in Anthropic's format, also those that Anthropic runs. They are passed on byte for byte.
    #[schema(value_type = Option<Vec<Object>>)]
    tools: Option<Value>,
    /// The system prompt: text, or content blocks in Anthropic's format.
    system_prompt: Option<DescribedSystemPrompt>,
    /// The same as `systemPrompt`, of which a request may have one.
    system: Option<DescribedSystemPrompt>,
    /// Whether the answer is streamed.
    stream: Option<bool>,
    /// The user who asks.
    user_id: Option<TrimmedText<255>>,
    /// The conversation to log the exchange under.
    conversation_id: Option<ConversationId>,
    /// The number of repair orders that the question tells the model about, for the log.
    context_ro_count: Option<Count>,
}

/// A message. Anthropic judges its content and any further fields, which are passed on byte for byte.
#[derive(ToSchema)]
#[schema(as = ChatMessage)]
#[expect(dead_code, reason = "only described")]
struct DescribedMessage {
    role: Role,
    /// Text, or content blocks in Anthropic's format.
    content: Value,
}

/// A system prompt: text, or content blocks in Anthropic's format, which may have `cache_control`.
#[derive(ToSchema)]
#[schema(as = ChatSystemPrompt)]
#[serde(untagged)]
#[expect(dead_code, reason = "only described")]
enum DescribedSystemPrompt {
    Text(String),
    #[schema(value_type = Vec<Object>)]
    Blocks(Vec<Value>),
}

impl PartialSchema for ChatBody {
    fn schema() -> RefOr<Schema> {
        let mut schema = DescribedBody::schema();
        if let RefOr::T(Schema::Object(body)) = &mut schema {
            for (name, meaning) in PASSED_ON_FIELDS {
                let any = ObjectBuilder::new().schema_type(SchemaType::AnyValue);
                let described = any.description(Some(format!("{meaning} Passed on to Anthropic.")));
                body.properties.insert(name.to_owned(), described.into());
            }
        }
        schema
    }
}

impl ToSchema for ChatBody {
    fn name() -> Cow<'static, str> {
        "ChatRequest".into()
    }

    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        DescribedBody::schemas(schemas);
    }
}
