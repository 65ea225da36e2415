//! The models that clients may ask for. They come and go faster than deployments, so they are configuration.

use app_core::config::Env;
use serde::Deserialize;

/// A model that clients may ask for (design, reading 22).
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Model {
    /// What clients call it.
    pub id: String,
    /// What Anthropic calls it, if not the same.
    upstream: Option<String>,
    /// The most tokens that an answer may have.
    #[serde(default = "default_max_tokens")]
    pub max_tokens: u32,
    /// Whether it takes `temperature`; newer models answer 400 to it.
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
    /// What Anthropic calls it.
    pub fn upstream(&self) -> &str {
        self.upstream.as_deref().unwrap_or(&self.id)
    }
}

/// The models, of which there is at least one; the first is the default.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Models(Vec<Model>);

/// The specification's "Valid Models".
const SPECIFIED: [&str; 5] = [
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
        Self(SPECIFIED.into_iter().map(model).collect())
    }
}

impl Models {
    /// Reads `AI_MODELS`, a JSON list; the specification's five unless set.
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

    /// The model of that id.
    pub fn find(&self, id: &str) -> Option<&Model> {
        self.0.iter().find(|model| model.id == id)
    }

    /// The model of those who ask for none.
    pub fn default_model(&self) -> &Model {
        &self.0[0]
    }

    /// What clients call them.
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
    fn the_list_is_configuration_and_the_first_is_the_default() {
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
    fn unset_it_is_the_specifications_five() {
        let models = read(" ").unwrap();
        assert_eq!(models.ids().len(), 5);
        assert_eq!(models.default_model().id, "claude-sonnet-4-20250514");
    }

    #[test]
    fn a_wrong_list_is_named() {
        for json in ["[]", "{}", "x", r#"[{"upstream":"a"}]"#, r#"[{"id":"a","maxtokens":1}]"#, r#"[{"id":""}]"#] {
            assert!(read(json).unwrap_err().contains("AI_MODELS must"), "{json}");
        }
    }
}
