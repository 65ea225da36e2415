//! What there is to set: `.env.example` and the README name the variables that the code reads, all of them and no
//! others. (`infra/checks.py` compares what the template sets with the example.)

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use ai::AiConfig;
use ai_logs::AiLogsConfig;
use app_core::config::Env;
use inventory::InventoryConfig;
use ros::RosConfig;

/// What the platform or cargo sets, and nobody else.
const NOT_TO_BE_SET: [&str; 5] = ["AWS_SAM_LOCAL", "CARGO_HOME", "CARGO_MANIFEST_DIR", "LAMBDA_TASK_ROOT", "PATH"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn env(variables: &[(&str, &str)]) -> Env {
    variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

/// What the four functions ask the environment for. What they ask for depends on what they find, hence more than one
/// environment.
fn asked_by_functions() -> BTreeSet<String> {
    let mut asked = BTreeSet::new();
    let issuer = ("AUTH_ISSUER", "https://issuer.example");
    for variables in [&[][..], &[("APP_ENV", "production"), ("AI_LOG_CONVERSATIONS", "true"), issuer]] {
        let environments = [(); 4].map(|()| env(variables));
        let lists = environments.each_ref().map(Env::requested_variables);
        let [ros, inventory, ai, ai_logs] = environments;
        drop((RosConfig::read(ros), InventoryConfig::read(inventory), AiConfig::read(ai), AiLogsConfig::read(ai_logs)));
        asked.extend(lists.iter().flat_map(|list| list.borrow().clone()));
    }
    asked
}

/// What the sources read past `Env`: the logs before there is a configuration, and the options of `rotracker`.
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

/// The example's variables with their values, whether set or commented out.
fn example() -> Vec<(String, String)> {
    let text = fs::read_to_string(root().join(".env.example")).unwrap();
    text.lines()
        .filter_map(|line| line.trim_start_matches("# ").split_once('='))
        .filter(|(name, _)| is_name(name))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

/// What the first column of the README's table of variables names.
fn readme() -> BTreeSet<String> {
    let text = fs::read_to_string(root().join("README.md")).unwrap();
    let (_, section) = text.split_once("\n## Configuration\n").unwrap();
    let (section, _) = section.split_once("\n## ").unwrap();
    let cells = section.lines().filter_map(|line| line.strip_prefix('|')?.split('|').next());
    let words = cells.flat_map(|cell| cell.split('`').skip(1).step_by(2));
    words.filter(|word| is_name(word)).map(str::to_owned).collect()
}

#[test]
fn example_and_readme_name_what_the_code_reads() {
    let mut read = asked_by_functions();
    for name in ["DB_NAME_DEV", "DB_NAME_PROD", "DB_SSL_CA", "AUTH_AUDIENCE", "ANTHROPIC_API_KEY", "AWS_SESSION_TOKEN"]
    {
        assert!(read.contains(name), "{name} is not noticed: {read:?}");
    }
    read.extend(read_directly());
    read.retain(|name| !name.starts_with("AWS_LAMBDA_") && !NOT_TO_BE_SET.contains(&&**name));
    let example: BTreeSet<String> = example().into_iter().map(|(name, _)| name).collect();
    assert_eq!(example, read, "left: .env.example, right: the code");
    assert_eq!(readme(), read, "left: the README, right: the code");
}

#[test]
fn example_is_a_configuration() {
    let example = || {
        let ours = example().into_iter().filter(|(_, value)| !value.is_empty());
        // What is blank in the example, and must be given or lies with the platform.
        let given = [("DB_PASSWORD", ""), ("AWS_ENDPOINT_URL_DYNAMODB", "http://127.0.0.1:8000")];
        ours.chain(given.map(|(name, value)| (name.to_owned(), value.to_owned()))).collect::<Env>()
    };
    RosConfig::read(example()).unwrap();
    InventoryConfig::read(example()).unwrap();
    AiConfig::read(example()).unwrap();
    AiLogsConfig::read(example()).unwrap();
    // With none of it set, what is missing is what the example says must be set with DB_HOST, and nothing else.
    let message = RosConfig::read(env(&[])).unwrap_err().to_string();
    for name in ["DB_HOST", "DB_USER", "DB_PASSWORD", "DB_NAME_DEV"] {
        assert!(message.contains(&format!("{name} is missing")), "{message}");
    }
    assert_eq!(message.lines().count(), 5, "{message}");
}
