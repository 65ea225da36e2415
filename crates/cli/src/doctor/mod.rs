//! `rotracker doctor`: reads the variables that the functions read, and says what would fail and what to do about it.

mod configuration;
mod samconfig;
mod services;

use std::{collections::BTreeMap, path::PathBuf, process::ExitCode};

use ::migrate::{
    Databases,
    doctor::{Account, Finding, Status, examine as examine_databases},
};
use anyhow::Result;
use app_core::{
    clock::Clock,
    config::{Env, variables_of_process},
};
use serde_json::json;

use crate::output::print;
use samconfig::SamConfig;

/// The options of `rotracker doctor`.
#[derive(Clone, Debug, clap::Args)]
pub struct Options {
    /// Print the findings as JSON
    #[arg(long)]
    pub json: bool,
    /// Only examine the databases, with the account that migrates in DB_USER and DB_PASSWORD
    #[arg(long)]
    pub migrator: bool,
    /// Also examine this file, and take the values of its parameters instead of the environment's, and the certificate authority
    /// of the database server from infra/database-ca/ca.pem beside it. Secrets come from the environment
    #[arg(long, value_name = "FILE", num_args = 0..=1, default_missing_value = "samconfig.toml")]
    pub samconfig: Option<PathBuf>,
    /// The stage in the file
    #[arg(long, default_value = "default", requires = "samconfig")]
    pub config_env: String,
}

/// Examines the configuration and the services that it names, and prints the findings. The exit status is 1 if there is an error among
/// them.
///
/// # Errors
/// When the file of `--samconfig` cannot be read.
pub async fn run(options: Options) -> Result<ExitCode> {
    let findings = examine(variables_of_process(), &options, &Clock::system(chrono_tz::Tz::UTC)).await?;
    if options.json {
        print(&serde_json::to_string_pretty(&json!({ "findings": findings }))?);
    } else {
        findings.iter().for_each(|finding| print(&line(finding)));
    }
    let has_errors = findings.iter().any(|finding| finding.status == Status::Error);
    Ok(if has_errors { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// Returns the finding as one line.
fn line(Finding { status, check, message }: &Finding) -> String {
    let status = match status {
        Status::Ok => "ok",
        Status::Warning => "warning",
        Status::Error => "error",
    };
    format!("{status:8}{check}: {}", message.lines().collect::<Vec<_>>().join(" "))
}

/// Examines the configuration in `variables` and the services that it names.
///
/// # Errors
/// As [`run`].
pub async fn examine(
    mut variables: BTreeMap<String, String>,
    options: &Options,
    clock: &Clock,
) -> Result<Vec<Finding>> {
    let mut findings = Vec::new();
    let mut connections = None;
    if let Some(file) = &options.samconfig {
        let samconfig = SamConfig::read(file, &options.config_env)?;
        variables.extend(samconfig.variables());
        // The functions trust this file, and only if they check the server's certificate.
        variables.remove("DB_SSL_CA_CONTENT");
        variables.remove("DB_SSL_CA");
        if samconfig.verifies_server() {
            let authority = file.with_file_name("infra/database-ca/ca.pem");
            variables.insert("DB_SSL_CA".to_owned(), authority.to_string_lossy().into_owned());
        }
        findings.extend(samconfig.examine());
        connections = samconfig.connections();
    }
    let env = || variables.clone().into_iter().collect::<Env>();
    if options.migrator {
        match Databases::read(env()) {
            Ok(databases) => {
                findings.extend(examine_databases(&databases, Account::Migrator, connections, clock).await);
            }
            Err(error) => findings.extend(error.problems().map(|problem| Finding::error("configuration", problem))),
        }
        return Ok(findings);
    }
    findings.extend(configuration::examine(&env));
    // Their faults are among those of the functions. A service is examined if its own variables are right.
    if let Ok(databases) = Databases::read(env()) {
        let account = if options.samconfig.is_some() { Account::NewService } else { Account::Service };
        findings.extend(examine_databases(&databases, account, connections, clock).await);
    }
    findings.extend(services::examine(&env, clock).await);
    // The table of a stack has a name of CloudFormation's.
    if options.samconfig.is_some() && env().optional("AI_RATE_TABLE").is_none() {
        findings.push(Finding::warning(
            "DynamoDB",
            "it is not examined, because AI_RATE_TABLE is not set: the stack names its table in the output RateLimitTableName",
        ));
    } else {
        findings.extend(services::dynamodb(env()).await);
    }
    Ok(findings)
}
