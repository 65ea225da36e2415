//! `.env.example` lists exactly the environment variables that the code reads. `infra/checks.py` compares it with the
//! template.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use ai::AiConfig;
use ai_logs::AiLogsConfig;
use app_core::config::Env;
use inventory::InventoryConfig;
use probe::ProbeConfig;
use ros::RosConfig;

/// Variables that only the platform or Cargo sets.
const SET_BY_OTHERS: [&str; 7] =
    ["AWS_SAM_LOCAL", "CARGO", "CARGO_CFG_TARGET_OS", "CARGO_HOME", "CARGO_MANIFEST_DIR", "LAMBDA_TASK_ROOT", "PATH"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn env(variables: &[(&str, &str)]) -> Env {
    variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

/// The variables that the functions read. Some are read only if others are set, so several environments are tried.
fn read_by_functions() -> BTreeSet<String> {
    let mut read = BTreeSet::new();
    let issuer = ("AUTH_ISSUER", "https://issuer.example");
    let token = ("PROBE_TOKEN_URL", "https://issuer.example/token");
    for variables in [&[][..], &[("APP_ENV", "production"), ("AI_LOG_CONVERSATIONS", "true"), issuer, token]] {
        let environments = [(); 5].map(|()| env(variables));
        let lists = environments.each_ref().map(Env::requested_variables);
        let [ros, inventory, ai, ai_logs, probe] = environments;
        drop((RosConfig::read(ros), InventoryConfig::read(inventory), AiConfig::read(ai), AiLogsConfig::read(ai_logs)));
        drop(ProbeConfig::read(probe));
        read.extend(lists.iter().flat_map(|list| list.borrow().clone()));
    }
    read
}

/// Variables that are read without `Env`: those of the logs and the options of `rotracker`.
fn read_directly() -> BTreeSet<String> {
    let mut directories = vec![root().join("crates")];
    let mut names = BTreeSet::new();
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                directories.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let source = fs::read_to_string(path).unwrap();
                for before in ["env::var(\"", "env::var_os(\"", ", env = \""] {
                    let rests = source.split(before).skip(1);
                    names.extend(rests.map(|rest| rest.split('"').next().unwrap().to_owned()));
                }
            }
        }
    }
    names
}

fn is_name(word: &str) -> bool {
    word.starts_with(|first: char| first.is_ascii_uppercase())
        && word.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_')
}

/// The variables in `.env.example` with their values, including those that are commented out.
fn example() -> Vec<(String, String)> {
    let text = fs::read_to_string(root().join(".env.example")).unwrap();
    text.lines()
        .filter_map(|line| line.trim_start_matches("# ").split_once('='))
        .filter(|(name, _)| is_name(name))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

#[test]
fn the_example_has_all_variables() {
    let mut read = read_by_functions();
    for name in ["DB_NAME_DEV", "DB_NAME_PROD", "DB_SSL_CA", "AUTH_AUDIENCE", "ANTHROPIC_API_KEY", "AWS_SESSION_TOKEN"]
    {
        assert!(read.contains(name), "{name} is not found: {read:?}");
    }
    read.extend(read_directly());
    read.retain(|name| !name.starts_with("AWS_LAMBDA_") && !SET_BY_OTHERS.contains(&&**name));
    let example: BTreeSet<String> = example().into_iter().map(|(name, _)| name).collect();
    assert_eq!(example, read, "left: .env.example, right: the code");
}

#[test]
fn the_example_is_valid() {
    let example = || {
        let ours = example().into_iter().filter(|(_, value)| !value.is_empty());
        // Variables that are empty in the example but required.
        let given = [("DB_PASSWORD", ""), ("AWS_ENDPOINT_URL_DYNAMODB", "http://127.0.0.1:8000")];
        ours.chain(given.map(|(name, value)| (name.to_owned(), value.to_owned()))).collect::<Env>()
    };
    RosConfig::read(example()).unwrap();
    InventoryConfig::read(example()).unwrap();
    AiConfig::read(example()).unwrap();
    AiLogsConfig::read(example()).unwrap();
    // Without any variable, only those are missing that every function with a database needs.
    let message = RosConfig::read(env(&[])).unwrap_err().to_string();
    for name in ["DB_HOST", "DB_USER", "DB_PASSWORD", "DB_NAME_DEV"] {
        assert!(message.contains(&format!("{name} is missing")), "{message}");
    }
    assert_eq!(message.lines().count(), 5, "{message}");
}
