//! The services beside the database: the issuer of tokens, Anthropic and DynamoDB.

use std::time::Duration;

use ::migrate::doctor::Finding;
use ai::{
    anthropic::{Anthropic, AnthropicConfig, UpstreamError},
    limiter::{LimiterConfig, StoreConfig, config::Timeouts, recent_requests, store},
    models::{Model, Models},
};
use app_core::{
    auth::{AuthConfig, IssuerConfig, keys::Keys},
    clock::Clock,
    config::{Env, Stage},
    telemetry::error_chain,
};
use aws_sdk_dynamodb::{
    Client,
    error::{ProvideErrorMetadata, SdkError},
    types::{KeyType, ScalarAttributeType, TableDescription, TimeToLiveStatus},
};

/// The timeouts of requests to DynamoDB.
const TIMEOUTS: Timeouts = Timeouts { attempt: Duration::from_secs(5), total: Duration::from_secs(10) };

/// Examines the issuer of tokens and Anthropic.
pub(super) async fn examine(env: &impl Fn() -> Env, clock: &Clock) -> Vec<Finding> {
    let mut findings = authentication(env(), clock).await;
    findings.extend(anthropic(env()).await);
    findings
}

async fn authentication(mut env: Env, clock: &Clock) -> Vec<Finding> {
    let check = "authentication";
    let stage = Stage::read(&mut env);
    let is_legacy_dashboard = env.parsed("LEGACY_DASHBOARD", false, "true or false");
    let config = AuthConfig::read(&mut env, stage, is_legacy_dashboard);
    let Ok(config) = env.finish(config) else { return Vec::new() };
    let finding = match &config {
        AuthConfig::Issuer(config) => return issuer(config, clock).await,
        AuthConfig::Off { .. } => {
            Finding::warning(check, "AUTH_MODE is none: everybody may do everything. AUTH_ISSUER asks for tokens")
        }
        AuthConfig::Missing => Finding::error(
            check,
            "every request except those for health is answered 503. Set AUTH_ISSUER and AUTH_AUDIENCE",
        ),
        AuthConfig::MissingProxySecret => Finding::error(
            check,
            "every request except those for health is answered 503. Set PROXY_SECRET, which the CDN in front of the dashboard \
             adds, or AUTH_ISSUER",
        ),
        AuthConfig::Proxy(_) => {
            Finding::ok(check, "requests need the secret that the CDN in front of the dashboard adds")
        }
    };
    vec![finding]
}

/// Fetches the issuer's documents as the functions do.
async fn issuer(config: &IssuerConfig, clock: &Clock) -> Vec<Finding> {
    let check = "issuer";
    let IssuerConfig { issuer, admin_role, .. } = config;
    let algorithms = match Keys::new(issuer, clock.clone()) {
        Ok(keys) => keys.algorithms().await.map_err(|error| error_chain(&error).to_string()),
        Err(error) => Err(error.to_string()),
    };
    let mut findings = vec![match algorithms {
        Ok(algorithms) => {
            let algorithms: Vec<String> = algorithms.into_iter().collect();
            Finding::ok(check, format!("{issuer} has keys for {}", algorithms.join(" and ")))
        }
        Err(error) => Finding::error(
            check,
            format!("{issuer}: {error}. Check AUTH_ISSUER, which is the member `issuer` of its discovery document"),
        ),
    }];
    if admin_role.is_none() {
        findings.push(Finding::warning(
            "AUTH_ADMIN_ROLE",
            "it is not set, so nobody is an administrator: nobody can adjust stock or clear a rate limit",
        ));
    }
    findings
}

/// Asks Anthropic for each model, which costs nothing.
async fn anthropic(mut env: Env) -> Vec<Finding> {
    let check = "Anthropic";
    let config = AnthropicConfig::read(&mut env);
    let models = Models::read(&mut env);
    let Ok((config, models)) = env.finish((config, models)) else { return Vec::new() };
    let anthropic = match Anthropic::new(&config) {
        Ok(Some(anthropic)) => anthropic,
        Ok(None) => {
            return vec![Finding::error(check, "chats are answered 503, because ANTHROPIC_API_KEY is not set")];
        }
        Err(error) => return vec![Finding::error(check, error.to_string())],
    };
    let mut findings = Vec::new();
    let mut missing = Vec::new();
    for model in models.ids().into_iter().filter_map(|id| models.find(id)).map(Model::upstream) {
        match anthropic.has_model(model).await {
            Ok(true) => {}
            Ok(false) => missing.push(model),
            Err(error) => {
                let advice = match &error {
                    UpstreamError::ConnectionLost(_) | UpstreamError::TimedOut(_) => {
                        "Check ANTHROPIC_BASE_URL, and whether this machine reaches that host"
                    }
                    UpstreamError::Misconfigured { .. } => "Check ANTHROPIC_API_KEY and ANTHROPIC_BASE_URL",
                    _ => "Try again later, and check ANTHROPIC_BASE_URL",
                };
                let message = format!("{}. {advice}", error_chain(&error));
                return vec![Finding::error(check, message)];
            }
        }
    }
    findings.push(Finding::ok(check, format!("{} accepts the key", config.base_url)));
    findings.push(if missing.is_empty() {
        Finding::ok("AI_MODELS", format!("all exist: {}", models.ids().join(", ")))
    } else {
        Finding::error(
            "AI_MODELS",
            format!("Anthropic has no {}. Name models that its documentation lists", missing.join(", ")),
        )
    });
    findings
}

/// Examines the table of the rate limit.
pub(super) async fn dynamodb(mut env: Env) -> Vec<Finding> {
    let limiter = LimiterConfig::read(&mut env);
    let Ok(limiter) = env.finish(limiter) else { return Vec::new() };
    let client = store::client(&StoreConfig { timeouts: TIMEOUTS, ..limiter.store.clone() });
    let check = format!("table {}", limiter.table);
    let table = match client.describe_table().table_name(&limiter.table).send().await {
        Ok(described) => described.table,
        Err(error) => return vec![table_error(&check, error)],
    };
    let mut findings = vec![if table.is_some_and(|table| has_our_key(&table)) {
        Finding::ok(&check, "it exists and has the right key")
    } else {
        Finding::error(
            &check,
            format!("its key must be the one text attribute {}. The stack creates it so", store::KEY),
        )
    }];
    findings.push(time_to_live(&client, &limiter.table).await);
    findings
}

fn table_error<E>(check: &str, error: SdkError<E>) -> Finding
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    match error.code() {
        Some("ResourceNotFoundException") => {
            Finding::error(check, "it does not exist. Check AI_RATE_TABLE and AWS_REGION")
        }
        Some("AccessDeniedException") => {
            Finding::warning(check, "the AWS account of this machine may not describe it, so it was not examined")
        }
        _ => Finding::error(
            check,
            format!("{}. Check AWS_REGION, the AWS keys and AWS_ENDPOINT_URL_DYNAMODB", error_chain(&error)),
        ),
    }
}

fn has_our_key(table: &TableDescription) -> bool {
    let keys: Vec<(&str, &KeyType)> =
        table.key_schema().iter().map(|key| (key.attribute_name(), key.key_type())).collect();
    keys == [(store::KEY, &KeyType::Hash)]
        && table.attribute_definitions().iter().any(|attribute| {
            attribute.attribute_name() == store::KEY && *attribute.attribute_type() == ScalarAttributeType::S
        })
}

async fn time_to_live(client: &Client, table: &str) -> Finding {
    let check = format!("time to live of {table}");
    let described = match client.describe_time_to_live().table_name(table).send().await {
        Ok(described) => described.time_to_live_description,
        Err(error) => return table_error(&check, error),
    };
    let is_on = described.is_some_and(|description| {
        matches!(description.time_to_live_status, Some(TimeToLiveStatus::Enabled | TimeToLiveStatus::Enabling))
            && description.attribute_name.as_deref() == Some(recent_requests::EXPIRES_AT)
    });
    if is_on {
        return Finding::ok(&check, "it is on");
    }
    let message = format!(
        "it is off, so items of users stay for ever. Turn it on for the attribute {}",
        recent_requests::EXPIRES_AT
    );
    Finding::warning(&check, message)
}
