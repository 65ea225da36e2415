//! The beta features of Anthropic's API that clients may use. They are configuration, because each of them may cost more, or keep data
//! differently, than the API without it.

use app_core::{config::Env, http::ApiError};
use http::{HeaderMap, HeaderName, HeaderValue};

/// The header that names beta features: a comma-separated list, which may be divided among several headers.
pub const BETA: HeaderName = HeaderName::from_static("anthropic-beta");

/// The names of the beta features that clients may use; none by default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Betas(Vec<String>);

impl Betas {
    /// Reads `AI_BETAS`, a comma-separated list.
    pub fn read(env: &mut Env) -> Self {
        let names: Vec<String> = names(env.optional("AI_BETAS").unwrap_or_default()).map(str::to_owned).collect();
        if names.iter().any(|name| !name.bytes().all(|byte| byte.is_ascii_graphic())) {
            env.problem("AI_BETAS", "must be a comma-separated list of names such as files-api-2025-04-14");
        }
        Self(names)
    }

    /// Returns the header for Anthropic with the beta features that the request names, or `None` if it names none.
    ///
    /// # Errors
    /// [`ApiError::Invalid`] naming a feature that is not configured.
    pub fn requested(&self, headers: &HeaderMap) -> Result<Option<HeaderValue>, ApiError> {
        let mut requested = Vec::new();
        for header in headers.get_all(BETA) {
            let list = header.to_str().map_err(|_| ApiError::invalid(BETA.as_str(), "must be printable ASCII"))?;
            for name in names(list) {
                if !self.0.iter().any(|allowed| allowed == name) {
                    return Err(ApiError::invalid(BETA.as_str(), self.problem(name)));
                }
                requested.push(name);
            }
        }
        if requested.is_empty() {
            return Ok(None);
        }
        HeaderValue::try_from(requested.join(",")).map(Some).map_err(ApiError::internal)
    }

    fn problem(&self, name: &str) -> String {
        if self.0.is_empty() {
            return format!("names {name}, but this service allows no beta features");
        }
        format!("names {name}, but this service allows only {}", self.0.join(", "))
    }
}

/// Divides a comma-separated list. Empty elements do not count (RFC 9110, section 5.6.1).
fn names(list: &str) -> impl Iterator<Item = &str> {
    list.split(',').map(str::trim).filter(|name| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(list: &str) -> Result<Betas, String> {
        let mut env: Env = [("AI_BETAS".to_owned(), list.to_owned())].into_iter().collect();
        let betas = Betas::read(&mut env);
        env.finish(betas).map_err(|error| error.to_string())
    }

    fn requested(betas: &Betas, headers: &[&'static str]) -> Result<Option<HeaderValue>, ApiError> {
        betas.requested(
            &headers.iter().map(|value| (BETA, HeaderValue::from_bytes(value.as_bytes()).unwrap())).collect(),
        )
    }

    #[test]
    fn configured_features_are_passed_on() {
        let betas = read(" files-api-2025-04-14, , mcp-client-2025-11-20,").unwrap();
        for (sent, passed) in [
            (&[][..], None),
            (&["", " , "], None),
            (&["mcp-client-2025-11-20"], Some("mcp-client-2025-11-20")),
            (&["mcp-client-2025-11-20 ,", "files-api-2025-04-14"], Some("mcp-client-2025-11-20,files-api-2025-04-14")),
        ] {
            let header = requested(&betas, sent).unwrap();
            assert_eq!(header.as_ref().map(|header| header.to_str().unwrap()), passed, "{sent:?}");
        }
    }

    #[test]
    fn other_features_are_rejected_by_name() {
        let betas = read("files-api-2025-04-14").unwrap();
        for sent in ["fast-mode-2026-02-01", "files-api-2025-04-14,fast-mode-2026-02-01", "FILES-API-2025-04-14"] {
            let error = requested(&betas, &[sent]).unwrap_err().to_string();
            let named = sent.rsplit(',').next().unwrap();
            assert!(error.starts_with("anthropic-beta names ") && error.contains(named), "{error}");
        }
        assert!(requested(&Betas::default(), &["files-api-2025-04-14"]).is_err(), "none is allowed by default");
        assert!(requested(&betas, &["caf\u{e9}"]).is_err());
    }

    #[test]
    fn malformed_lists_are_reported() {
        for list in ["a b", "caf\u{e9}"] {
            assert!(read(list).unwrap_err().contains("AI_BETAS must"), "{list}");
        }
        assert_eq!(read(" "), Ok(Betas::default()));
    }
}
