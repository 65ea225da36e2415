//! The variables of all functions.

use std::collections::BTreeMap;

use ::migrate::doctor::Finding;
use ai::AiConfig;
use ai_logs::AiLogsConfig;
use app_core::config::{Env, HttpConfig, Stage, business_time_zone};
use inventory::InventoryConfig;
use ros::RosConfig;

pub(super) fn examine(env: &impl Fn() -> Env) -> Vec<Finding> {
    let mut findings = problems(env);
    if findings.is_empty() {
        findings.push(Finding::ok("configuration", "the four functions have all variables that they need"));
    }
    findings.extend(origins(env()));
    findings.extend(time_zone(env()));
    findings
}

/// Reads the configuration of each function. A problem that several of them have is one finding.
fn problems(env: &impl Fn() -> Env) -> Vec<Finding> {
    let errors = [
        ("ros", RosConfig::read(env()).err()),
        ("inventory", InventoryConfig::read(env()).err()),
        ("ai", AiConfig::read(env()).err()),
        ("ai-logs", AiLogsConfig::read(env()).err()),
    ];
    let mut problems: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (function, error) in &errors {
        for problem in error.iter().flat_map(|error| error.problems()) {
            problems.entry(problem).or_default().push(function);
        }
    }
    problems
        .into_iter()
        .map(|(problem, functions)| match problem.split_once(' ') {
            Some((name, "is missing")) if name.starts_with("AWS_") => Finding::warning(
                "configuration",
                format!("{name} is missing. Lambda sets it; here DynamoDB is not examined without it"),
            ),
            _ => Finding::error("configuration", format!("{problem} ({} cannot start)", functions.join(", "))),
        })
        .collect()
}

/// Examines the origins from which browsers may call. Malformed ones are problems of the configuration.
fn origins(mut env: Env) -> Vec<Finding> {
    let check = "FRONTEND_URL";
    let stage = Stage::read(&mut env);
    let urls = env.optional(check).unwrap_or_default().to_owned();
    let origins = HttpConfig::read(&mut env, stage).frontend_origins;
    let mut findings = Vec::new();
    for url in urls.split(',').map(str::trim) {
        let origin = url.trim_end_matches('/').to_ascii_lowercase();
        if !url.is_empty() && url.contains("://") && !origins.iter().any(|known| *known == origin) {
            findings.push(Finding::warning(
                check,
                format!("of {url} only the scheme, the host and the port count, because browsers send no more"),
            ));
        }
        if stage == Stage::Production && origin.starts_with("http://") {
            findings.push(Finding::warning(check, format!("{url} is not encrypted, in production")));
        }
    }
    if findings.is_empty() && !origins.is_empty() {
        let origins: Vec<&str> = origins.iter().filter_map(|origin| origin.to_str().ok()).collect();
        findings.push(Finding::ok(check, format!("browsers may call from {}", origins.join(", "))));
    }
    findings
}

/// Examines the time zone. An unknown one is a problem of the configuration.
fn time_zone(mut env: Env) -> Option<Finding> {
    let check = "BUSINESS_TIME_ZONE";
    let stage = Stage::read(&mut env);
    let is_set = env.optional(check).is_some();
    let zone = business_time_zone(&mut env);
    let zone = env.finish(zone).ok()?;
    Some(if !is_set && stage == Stage::Production {
        Finding::warning(check, "it is not set: a day begins and ends at midnight of UTC, not of the business")
    } else {
        Finding::ok(check, zone.name())
    })
}
