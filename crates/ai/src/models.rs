//! The models that clients may ask for. They are configuration, because models change more often than this program.

use app_core::config::Env;
use serde::Deserialize;

/// A model that clients may ask for.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Model {
    /// Its name in requests of clients.
    pub id: String,
    /// Its name in requests to Anthropic, if that differs.
    upstream: Option<String>,
    /// The most tokens of an answer.
    #[serde(default = "default_max_tokens")]
    pub max_tokens: u32,
    /// Whether it accepts `temperature`. Newer models answer 400 to it.
    #[serde(default = "default_sampling")]
    pub sampling: bool,
}

fn default_max_tokens() -> u32 {
    8192
}

fn default_sampling() -> bool {
    true
}

impl Model {
    /// Returns its name in requests to Anthropic.
    pub fn upstream(&self) -> &str {
        self.upstream.as_deref().unwrap_or(&self.id)
    }
}

/// The models, at least one. The first is the default.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Models(Vec<Model>);

/// The models unless `AI_MODELS` is set.
const DEFAULT_MODELS: [&str; 5] = [
    "claude-sonnet-4-20250514",
    "claude-3-5-sonnet-20241022",
    "claude-3-5-sonnet-20240620",
    "claude-3-opus-20240229",
    "claude-3-haiku-20240307",
];

impl Default for Models {
    fn default() -> Self {
        let model = |id: &str| Model {
            id: id.to_owned(),
            upstream: None,
            max_tokens: default_max_tokens(),
            sampling: default_sampling(),
        };
        Self(DEFAULT_MODELS.into_iter().map(model).collect())
    }
}

impl Models {
    /// Reads `AI_MODELS`, a JSON list.
    pub fn read(env: &mut Env) -> Self {
        let Some(json) = env.optional("AI_MODELS") else { return Self::default() };
        let problem = match serde_json::from_str::<Vec<Model>>(json) {
            Ok(models) if models.is_empty() => "must name at least one model".to_owned(),
            Ok(models) if models.iter().any(|model| model.id.is_empty() || model.max_tokens == 0) => {
                "must give each model an id and at least one token".to_owned()
            }
            Ok(models) => return Self(models),
            Err(error) => {
                format!("must be a JSON list of {{id, upstream?, maxTokens?, sampling?}}: {error}")
            }
        };
        env.problem("AI_MODELS", &problem);
        Self::default()
    }

    /// Returns the model with the name `id` in requests of clients.
    pub fn find(&self, id: &str) -> Option<&Model> {
        self.0.iter().find(|model| model.id == id)
    }

    /// Returns the model of requests that name none.
    pub fn default_model(&self) -> &Model {
        &self.0[0]
    }

    /// Returns the names of the models in requests of clients.
    pub fn ids(&self) -> Vec<&str> {
        self.0.iter().map(|model| &*model.id).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<Models, String> {
        let mut env: Env = [("AI_MODELS".to_owned(), json.to_owned())].into_iter().collect();
        let models = Models::read(&mut env);
        env.finish(models).map_err(|error| error.to_string())
    }

    #[test]
    fn the_first_configured_model_is_the_default() {
        let models = read(r#"[{"id":"fast","upstream":"claude-x-1","maxTokens":64000,"sampling":false},{"id":"b"}]"#);
        let models = models.unwrap();
        let fast = models.default_model();
        assert_eq!((fast.upstream(), fast.max_tokens, fast.sampling), ("claude-x-1", 64_000, false));
        let other = models.find("b").unwrap();
        assert_eq!((other.upstream(), other.max_tokens, other.sampling), ("b", 8192, true));
        assert_eq!(models.ids(), ["fast", "b"]);
        assert_eq!(models.find("claude-x-1"), None);
    }

    #[test]
    fn there_are_five_models_by_default() {
        let models = read(" ").unwrap();
        assert_eq!(models.ids().len(), 5);
        assert_eq!(models.default_model().id, "claude-sonnet-4-20250514");
    }

    #[test]
    fn malformed_lists_are_reported() {
        for json in ["[]", "{}", "x", r#"[{"upstream":"a"}]"#, r#"[{"id":"a","maxtokens":1}]"#, r#"[{"id":""}]"#] {
            assert!(read(json).unwrap_err().contains("AI_MODELS must"), "{json}");
        }
    }
}
