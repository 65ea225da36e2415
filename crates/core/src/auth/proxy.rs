//! The secret by which requests show that they came through the proxy in front of the legacy dashboard, which sends no tokens.

use std::fmt;

use http::{HeaderMap, HeaderName};
use secrecy::{ExposeSecret, SecretString};
use subtle::{Choice, ConstantTimeEq};

use crate::config::Env;

/// The header to which the proxy adds the secret. Browsers may not send it: it is not among the headers that CORS allows.
pub const PROXY_SECRET: HeaderName = HeaderName::from_static("x-proxy-secret");

/// The fewest bytes of a secret.
const MIN_BYTES: usize = 32;

/// The most secrets: the current one and, while it is changed, its successor.
const MAX_SECRETS: usize = 2;

/// The accepted secrets.
#[derive(Clone)]
pub struct ProxySecrets(Vec<SecretString>);

impl ProxySecrets {
    /// Accepts `secrets`.
    pub fn new<'a>(secrets: impl IntoIterator<Item = &'a str>) -> Self {
        Self(secrets.into_iter().map(SecretString::from).collect())
    }

    /// Reads `PROXY_SECRET`: one secret, or two separated by a comma. `None` if it is not set.
    pub(super) fn read(env: &mut Env) -> Option<Self> {
        let text = env.optional("PROXY_SECRET")?.to_owned();
        let secrets: Vec<&str> = text.split(',').map(str::trim).collect();
        let is_secret = |secret: &&str| secret.len() >= MIN_BYTES && secret.bytes().all(|byte| byte.is_ascii_graphic());
        if secrets.len() > MAX_SECRETS || !secrets.iter().all(is_secret) {
            env.problem(
                "PROXY_SECRET",
                &format!(
                    "must be one secret or two separated by a comma, each at least {MIN_BYTES} visible ASCII characters"
                ),
            );
        }
        Some(Self::new(secrets))
    }

    /// Returns whether a header holds one of the secrets. The time depends on neither the secrets nor on how much of one is right,
    /// only on the lengths.
    pub(super) fn are_in(&self, headers: &HeaderMap) -> bool {
        let sent = headers.get_all(PROXY_SECRET);
        let pairs = sent.iter().flat_map(|value| self.0.iter().map(move |secret| (value, secret)));
        let matches = pairs.map(|(value, secret)| value.as_bytes().ct_eq(secret.expose_secret().as_bytes()));
        matches.fold(Choice::from(0), |any, matches| any | matches).into()
    }
}

/// Shows no secret.
impl fmt::Debug for ProxySecrets {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} secrets", self.0.len())
    }
}

impl PartialEq for ProxySecrets {
    fn eq(&self, other: &Self) -> bool {
        let bytes = |secret: &SecretString| secret.expose_secret().as_bytes().to_vec();
        self.0.len() == other.0.len()
            && self.0.iter().zip(&other.0).all(|(one, other)| bytes(one).ct_eq(&bytes(other)).into())
    }
}

impl Eq for ProxySecrets {}

#[cfg(test)]
mod tests {
    use super::*;

    const CURRENT: &str = "0123456789abcdef0123456789abcdef";
    const NEXT: &str = "fedcba9876543210fedcba9876543210";

    fn read(value: &str) -> Result<Option<ProxySecrets>, String> {
        let mut env: Env = [("PROXY_SECRET".to_owned(), value.to_owned())].into_iter().collect();
        let secrets = ProxySecrets::read(&mut env);
        env.finish(secrets).map_err(|error| error.to_string())
    }

    #[test]
    fn one_secret_or_two_are_accepted() {
        let headers = |values: &[&str]| -> HeaderMap {
            values.iter().map(|value| (PROXY_SECRET, value.parse().unwrap())).collect()
        };
        let both = read(&format!(" {CURRENT} , {NEXT} ")).unwrap().unwrap();
        for (sent, is_accepted) in [
            (&[CURRENT][..], true),
            (&[NEXT], true),
            // A proxy may add its header beside one that the client sent.
            (&["guessed", CURRENT], true),
            (&[], false),
            (&[""], false),
            (&[&CURRENT[1..]], false),
            (&[&CURRENT.to_uppercase()], false),
            (&[&format!("{CURRENT}, {NEXT}")], false),
        ] {
            assert_eq!(both.are_in(&headers(sent)), is_accepted, "{sent:?}");
        }
        assert!(!read(CURRENT).unwrap().unwrap().are_in(&headers(&[NEXT])));
        assert!(read(" ").unwrap().is_none());
    }

    #[test]
    fn secrets_that_could_be_guessed_are_rejected_and_not_shown() {
        for value in
            ["short", &CURRENT[1..], &format!("{CURRENT},"), &format!("{CURRENT},{NEXT},{NEXT}"), &"ä".repeat(20)]
        {
            let error = read(value).unwrap_err();
            assert!(error.contains("PROXY_SECRET must be") && !error.contains(value), "{error}");
        }
        assert!(!format!("{:?}", read(CURRENT)).contains(CURRENT));
    }
}
