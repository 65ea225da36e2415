//! The configuration of the limiter.

use std::{num::NonZeroU64, str::FromStr, time::Duration};

use app_core::config::Env;
use aws_sdk_dynamodb::config::{Credentials, Region};

use super::recent_requests::RequestLimit;

/// The limiter's configuration.
#[derive(Clone, Debug)]
pub struct LimiterConfig {
    /// `AI_RATE_LIMIT` (3) requests in `AI_RATE_WINDOW_SECONDS` (60).
    pub policy: RequestLimit,
    /// `AI_TOKENS_PER_DAY`: the tokens of a user's day; `None`, the default, for no limit.
    pub tokens_per_day: Option<NonZeroU64>,
    /// `AI_RATE_TABLE`: the DynamoDB table.
    pub table: String,
    /// `RATE_LIMIT_ON_FAILURE`.
    pub on_failure: OnFailure,
    pub store: StoreConfig,
    /// The number of users whose refusals an instance caches.
    pub cached_refusals: usize,
}

/// The decision on requests while the store fails.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnFailure {
    /// Requests fail.
    #[default]
    Deny,
    /// Requests go on uncounted.
    Allow,
}

/// The address of DynamoDB and the credentials. The variables are those that every AWS SDK reads. Profiles and roles of
/// containers are not supported: Lambda, SAM and `cargo dev` set these variables, and the crate that reads the others would
/// double the number of AWS crates.
#[derive(Clone, Debug)]
pub struct StoreConfig {
    /// `AWS_REGION`, else `AWS_DEFAULT_REGION`; with an endpoint it may be missing.
    pub region: Region,
    /// `AWS_ENDPOINT_URL_DYNAMODB`, else `AWS_ENDPOINT_URL`, for an emulator; without it, the region's DynamoDB.
    pub endpoint_url: Option<String>,
    /// `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY` and `AWS_SESSION_TOKEN`; with an endpoint they may be missing.
    pub credentials: Credentials,
    pub timeouts: Timeouts,
}

/// The timeouts of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// For one attempt, including a new connection.
    pub attempt: Duration,
    /// For all attempts and the pauses between them.
    pub total: Duration,
}

/// The greatest limit. A greater one would not fit into the 4 KB of an expression of DynamoDB.
pub const MAX_LIMIT: u32 = 50;

/// The longest window: one day.
pub const MAX_WINDOW_SECONDS: u32 = 86_400;

const DEFAULT_LIMIT: u32 = 3;
const DEFAULT_WINDOW_SECONDS: u32 = 60;
const DEFAULT_TABLE: &str = "ro-tracker-ai-rate-limit";
const DEFAULT_CACHED_REFUSALS: usize = 1_000;

/// The region and keys for an emulator, which accepts any.
const EMULATOR_REGION: &str = "us-east-1";
const EMULATOR_KEY: &str = "emulator";

impl LimiterConfig {
    /// Reads the environment.
    pub fn read(env: &mut Env) -> Self {
        let limit = read_bounded(env, "AI_RATE_LIMIT", DEFAULT_LIMIT, MAX_LIMIT);
        let window_seconds = read_bounded(env, "AI_RATE_WINDOW_SECONDS", DEFAULT_WINDOW_SECONDS, MAX_WINDOW_SECONDS);
        Self {
            policy: RequestLimit { limit, window_seconds },
            tokens_per_day: NonZeroU64::new(env.parsed("AI_TOKENS_PER_DAY", 0, "a whole number, or 0 for no limit")),
            table: env.optional("AI_RATE_TABLE").unwrap_or(DEFAULT_TABLE).trim().to_owned(),
            on_failure: env.parsed("RATE_LIMIT_ON_FAILURE", OnFailure::default(), "deny or allow"),
            store: StoreConfig::read(env),
            cached_refusals: DEFAULT_CACHED_REFUSALS,
        }
    }
}

/// Reads a variable that is a whole number from 1 to `most`.
fn read_bounded(env: &mut Env, name: &str, default: u32, most: u32) -> u32 {
    let expected = format!("a whole number from 1 to {most}");
    let value = env.parsed(name, default, &expected);
    if (1..=most).contains(&value) {
        return value;
    }
    env.problem(name, &format!("must be {expected}"));
    default
}

impl StoreConfig {
    /// Reads the environment.
    pub fn read(env: &mut Env) -> Self {
        let endpoint_url = first(env, &["AWS_ENDPOINT_URL_DYNAMODB", "AWS_ENDPOINT_URL"]);
        if let Some(url) = &endpoint_url {
            let is_url = url
                .parse::<http::Uri>()
                .is_ok_and(|uri| matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some());
            if !is_url {
                env.problem("AWS_ENDPOINT_URL_DYNAMODB", "must be a URL such as http://127.0.0.1:8000");
            }
        }
        let has_endpoint = endpoint_url.is_some();
        let region = match first(env, &["AWS_REGION", "AWS_DEFAULT_REGION"]) {
            Some(region) => region,
            None if has_endpoint => EMULATOR_REGION.to_owned(),
            None => env.required("AWS_REGION"),
        };
        // One key without the other is an error in any case.
        let has_no_keys =
            ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"].into_iter().all(|name| env.optional(name).is_none());
        let credentials = if has_endpoint && has_no_keys {
            Credentials::new(EMULATOR_KEY, EMULATOR_KEY, None, None, "emulator")
        } else {
            let session_token = first(env, &["AWS_SESSION_TOKEN"]);
            let access_key = env.required("AWS_ACCESS_KEY_ID");
            let secret_key = env.required("AWS_SECRET_ACCESS_KEY");
            Credentials::new(access_key, secret_key, session_token, None, "environment")
        };
        Self { region: Region::new(region), endpoint_url, credentials, timeouts: Timeouts::default() }
    }

    /// Returns the URL to which the SDK sends its requests.
    pub fn url(&self) -> String {
        self.endpoint_url.clone().unwrap_or_else(|| format!("https://dynamodb.{}.amazonaws.com", self.region))
    }
}

/// The first of these variables that is set.
fn first(env: &Env, names: &[&str]) -> Option<String> {
    names.iter().find_map(|name| env.optional(name)).map(|value| value.trim().to_owned())
}

impl Default for Timeouts {
    fn default() -> Self {
        Self { attempt: Duration::from_millis(300), total: Duration::from_millis(800) }
    }
}

impl FromStr for OnFailure {
    type Err = ();

    fn from_str(value: &str) -> Result<Self, ()> {
        match value.to_ascii_lowercase().as_str() {
            "deny" => Ok(Self::Deny),
            "allow" => Ok(Self::Allow),
            _ => Err(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env(variables: &[(&str, &str)]) -> Env {
        variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    fn read(variables: &[(&str, &str)]) -> Result<LimiterConfig, String> {
        let mut env = env(variables);
        let config = LimiterConfig::read(&mut env);
        env.finish(config).map_err(|error| error.to_string())
    }

    #[test]
    fn lambda_variables_are_enough() {
        let config = read(&[
            ("AWS_REGION", "eu-central-1"),
            ("AWS_ACCESS_KEY_ID", "key"),
            ("AWS_SECRET_ACCESS_KEY", "secret"),
            ("AWS_SESSION_TOKEN", "token"),
        ])
        .unwrap();
        assert_eq!(config.policy, RequestLimit { limit: 3, window_seconds: 60 });
        assert_eq!((config.table.as_str(), config.on_failure), ("ro-tracker-ai-rate-limit", OnFailure::Deny));
        assert_eq!(config.tokens_per_day, None);
        assert_eq!((config.store.region.as_ref(), config.store.endpoint_url), ("eu-central-1", None));
        assert_eq!(config.store.credentials.session_token(), Some("token"));
        let debug = format!("{:?}", config.store.credentials);
        assert!(!debug.contains("secret\"") && !debug.contains("token\""), "{debug}");
    }

    #[test]
    fn an_emulator_needs_neither_region_nor_keys() {
        let config = read(&[
            ("AWS_ENDPOINT_URL_DYNAMODB", "http://127.0.0.1:8000"),
            ("AI_RATE_LIMIT", "20"),
            ("AI_RATE_WINDOW_SECONDS", "5"),
            ("AI_TOKENS_PER_DAY", "1000000"),
            ("AI_RATE_TABLE", "other"),
            ("RATE_LIMIT_ON_FAILURE", "Allow"),
        ])
        .unwrap();
        assert_eq!(config.policy, RequestLimit { limit: 20, window_seconds: 5 });
        assert_eq!((config.table.as_str(), config.on_failure), ("other", OnFailure::Allow));
        assert_eq!(config.tokens_per_day.map(NonZeroU64::get), Some(1_000_000));
        assert_eq!(config.store.region.as_ref(), "us-east-1");
    }

    #[test]
    fn invalid_variables_are_named() {
        let message = read(&[
            ("AI_RATE_LIMIT", "0"),
            ("AI_RATE_WINDOW_SECONDS", "a minute"),
            ("AI_TOKENS_PER_DAY", "-1"),
            ("RATE_LIMIT_ON_FAILURE", "perhaps"),
            ("AWS_SECRET_ACCESS_KEY", "half a pair"),
        ])
        .unwrap_err();
        for named in [
            "AI_RATE_LIMIT must be a whole number from 1 to 50",
            "AI_RATE_WINDOW_SECONDS must be a whole number from 1 to 86400",
            "AI_TOKENS_PER_DAY must be a whole number, or 0 for no limit",
            "RATE_LIMIT_ON_FAILURE must be deny or allow",
            "AWS_REGION is missing",
            "AWS_ACCESS_KEY_ID is missing",
        ] {
            assert!(message.contains(named), "{message}");
        }
        for endpoint in ["localhost:8000", "nonsense", "ftp://example.com"] {
            let message = read(&[("AWS_ENDPOINT_URL_DYNAMODB", endpoint)]).unwrap_err();
            assert!(message.contains("AWS_ENDPOINT_URL_DYNAMODB must be a URL"), "{message}");
        }
        let message =
            read(&[("AWS_ENDPOINT_URL_DYNAMODB", "http://127.0.0.1:1"), ("AI_RATE_LIMIT", "51")]).unwrap_err();
        assert!(message.contains("AI_RATE_LIMIT must be"), "{message}");
    }
}
