//! The parameters of a stage in `samconfig.toml`, compared with `template.yaml` beside it.

use std::{collections::BTreeMap, fs, path::Path};

use ::migrate::doctor::Finding;
use anyhow::{Context, Result};
use regex_lite::Regex;
use toml::{Table, Value};

use crate::sam_local::VARIABLES;

/// Texts in the file that somebody has to replace.
const PLACEHOLDERS: [&str; 3] = ["example.com", "example.org", "00000000-0000-0000-0000-000000000000"];

/// The parameters of a stage.
pub(super) struct SamConfig {
    /// With their whole values.
    parameters: Vec<(String, String)>,
    /// Whether they are texts of `Name=value`, which SAM cuts at blanks.
    are_texts: bool,
    /// The parameters of the template.
    in_template: BTreeMap<String, Parameter>,
    /// The name of the stage in the file.
    stage: String,
    /// The region of the stack.
    region: Option<String>,
}

/// What the template says about a parameter.
#[derive(Default)]
struct Parameter {
    has_default: bool,
    is_number: bool,
    /// Empty if each value is allowed.
    allowed_values: Vec<String>,
    allowed_pattern: Option<String>,
    least: Option<f64>,
    greatest: Option<f64>,
    may_not_be_empty: bool,
}

impl Parameter {
    /// Says why the template refuses `value`, or does not say it is right.
    fn fault(&self, value: &str) -> Option<String> {
        if !self.allowed_values.is_empty() && !self.allowed_values.iter().any(|allowed| allowed == value) {
            return Some(format!("must be one of {}", self.allowed_values.join(", ")));
        }
        if self.may_not_be_empty && value.is_empty() {
            return Some("must not be empty".to_owned());
        }
        if self.is_number {
            let number: Option<f64> = value.trim().parse().ok();
            let is_within = number.is_some_and(|number| {
                self.least.is_none_or(|least| number >= least)
                    && self.greatest.is_none_or(|greatest| number <= greatest)
            });
            if !is_within {
                let least = self.least.map(|least| format!(", at least {least}")).unwrap_or_default();
                let greatest = self.greatest.map(|greatest| format!(", at most {greatest}")).unwrap_or_default();
                return Some(format!("must be a number{least}{greatest}"));
            }
        }
        let pattern = self.allowed_pattern.as_deref()?;
        // A pattern that looks ahead is CloudFormation's to check.
        let is_refused = Regex::new(&format!("^(?:{pattern})$")).is_ok_and(|pattern| !pattern.is_match(value));
        is_refused.then(|| format!("must match {pattern}"))
    }
}

impl SamConfig {
    /// Reads the file, and `template.yaml` beside it.
    ///
    /// # Errors
    /// When a file cannot be read, or the first one has no such stage.
    pub(super) fn read(file: &Path, stage: &str) -> Result<Self> {
        let read = |path: &Path| fs::read_to_string(path).with_context(|| format!("{} cannot be read", path.display()));
        let table: Table = toml::from_str(&read(file)?).with_context(|| format!("{} is malformed", file.display()))?;
        let region = table.get(stage).and_then(|stage| stage.get("deploy")?.get("parameters")?.get("region")?.as_str());
        let region = region.map(str::to_owned);
        let path = [stage, "deploy", "parameters", "parameter_overrides"];
        let mut overrides = Some(Value::Table(table));
        for name in path {
            overrides = overrides.and_then(|value| value.get(name).cloned());
        }
        let overrides = overrides.with_context(|| format!("{} has no {}", file.display(), path.join(".")))?;
        let template = read(&file.with_file_name("template.yaml"))?;
        Ok(Self {
            are_texts: !overrides.is_table(),
            parameters: parameters(&overrides),
            in_template: parameters_of_template(&template),
            stage: stage.to_owned(),
            region,
        })
    }

    fn value(&self, name: &str) -> Option<&str> {
        self.parameters.iter().find(|(parameter, _)| parameter == name).map(|(_, value)| value.as_str())
    }

    /// Returns the environment variables that the template makes of the parameters.
    pub(super) fn variables(&self) -> BTreeMap<String, String> {
        let is_production = self.value("Stage") == Some("prod");
        let variable = |parameter: &str| match parameter {
            "Stage" => "APP_ENV".to_owned(),
            "DbName" if is_production => "DB_NAME_PROD".to_owned(),
            "DbName" => "DB_NAME_DEV".to_owned(),
            parameter => with_underscores(parameter),
        };
        let mut variables: BTreeMap<String, String> = self
            .parameters
            .iter()
            .map(|(name, value)| (variable(name), value.clone()))
            // `ProxySecret` and others say whether there is a secret of that name.
            .filter(|(name, _)| VARIABLES.contains(&&**name) && name != "PROXY_SECRET")
            .collect();
        let stage = if is_production { "production" } else { "development" };
        variables.insert("APP_ENV".to_owned(), stage.to_owned());
        variables.extend(self.region.clone().map(|region| ("AWS_REGION".to_owned(), region)));
        variables
    }

    /// Returns whether the functions check the certificate of the database server, as the condition `VerifiesServer` of the template.
    pub(super) fn verifies_server(&self) -> bool {
        matches!(self.value("DbSslMode"), Some("VERIFY_CA" | "VERIFY_IDENTITY"))
    }

    /// Returns the most connections that the functions open together; `None` if a function has no limit.
    pub(super) fn connections(&self) -> Option<u64> {
        let logs_conversations = self.value("AiLogConversations") == Some("true");
        let functions = ["RosConcurrency", "InventoryConcurrency", "AiLogsConcurrency", "AiConcurrency"];
        let instances: Option<u64> = functions
            .into_iter()
            .filter(|name| *name != "AiConcurrency" || logs_conversations)
            .map(|name| self.value(name)?.parse::<u64>().ok())
            .sum();
        let each: u64 = self.value("DbMaxConnections").map_or(Ok(2), str::parse).ok()?;
        Some(instances? * each)
    }

    /// Examines the parameters.
    pub(super) fn examine(&self) -> Vec<Finding> {
        let check = "samconfig";
        let mut findings = Vec::new();
        for (name, value) in &self.parameters {
            if PLACEHOLDERS.iter().any(|placeholder| value.contains(placeholder)) {
                findings.push(Finding::error(check, format!("{name} is still {value}. Fill in your own")));
            }
            if self.are_texts && value.contains(char::is_whitespace) {
                let first = value.split_whitespace().next().unwrap_or_default();
                findings.push(Finding::error(
                    check,
                    format!("SAM cuts {name} at the first blank, to {first:?}. Write parameter_overrides as a table"),
                ));
            }
            match self.in_template.get(name) {
                Some(parameter) => findings.extend(
                    parameter
                        .fault(value)
                        .map(|fault| Finding::error(check, format!("{name} is {value:?}, and {fault}"))),
                ),
                None => findings
                    .push(Finding::error(check, format!("{name} is no parameter of template.yaml. Remove the line"))),
            }
        }
        findings.extend(self.broken_rules().map(|broken| Finding::error(check, broken)));
        for (name, parameter) in &self.in_template {
            match (self.value(name), parameter.has_default) {
                (Some(_), _) => {}
                (None, true) => findings.push(Finding::warning(
                    check,
                    format!("{name} is not named. A stack keeps the value that it had. Write it out"),
                )),
                (None, false) => {
                    findings.push(Finding::error(check, format!("{name} is missing, and it has no default")));
                }
            }
        }
        if self.connections().is_none() {
            findings.push(Finding::warning(
                check,
                "a function has no limit of instances (…Concurrency), so that all of them together may open more connections than the \
                 database accepts",
            ));
        }
        if findings.is_empty() {
            findings.push(Finding::ok(check, format!(
                    "all {} parameters have values that their lines in template.yaml allow. CloudFormation checks all Rules of the \
                     template before it creates anything",
                    self.parameters.len()
                ),
            ));
        }
        findings
    }
}

/// The databases of the stages as the template knows them.
const OF_DEV: [&str; 2] = ["ro_tracker_dev", "genthrust_inventory_dev"];
const OF_PROD: [&str; 2] = ["ro_tracker_prod", "genthrust_inventory"];

impl SamConfig {
    /// Names the most likely faults that the Rules of the template refuse, and a stage in the part of another one.
    fn broken_rules(&self) -> impl Iterator<Item = String> {
        let is = |name: &str, value: &str| self.value(name) == Some(value);
        let is_production = is("Stage", "prod");
        let (mine, others) = if is_production { ("prod", OF_DEV) } else { ("dev", OF_PROD) };
        let is_of_other = |name: &str| self.value(name).is_some_and(|value| others.contains(&value));
        let mut broken = Vec::new();
        if matches!(&*self.stage, "default" | "prod") && is_production != (self.stage == "prod") {
            broken.push(format!("Stage is {mine} in the part [{}] of the file", self.stage));
        }
        for name in ["DbName", "DbNameInventory"].into_iter().filter(|name| is_of_other(name)) {
            broken.push(format!("{name} is a database of the other stage, which {mine} must not use"));
        }
        if is_production {
            if self.value("DbSslMode").is_some_and(|mode| mode != "VERIFY_IDENTITY") {
                broken.push("prod needs DbSslMode = VERIFY_IDENTITY".to_owned());
            }
            if is("AuthMode", "none") {
                broken.push("prod does not run with AuthMode = none".to_owned());
            }
            if is("AlarmEmail", "") {
                broken.push("prod needs AlarmEmail".to_owned());
            }
        }
        broken.into_iter()
    }
}

/// Returns the parameters of a table, of a list of `Name=value`, or of one text of them.
fn parameters(overrides: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let pair = |text: &str| text.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned()));
    match overrides {
        Value::Table(table) => table.iter().map(|(name, value)| (name.clone(), text(value))).collect(),
        Value::Array(list) => list.iter().filter_map(|value| pair(&text(value))).collect(),
        value => text(value).split_whitespace().filter_map(pair).collect(),
    }
}

/// Returns the parameters of a template. The names are indented by two blanks and their members by four, and each list is in its
/// line, as in our template.
fn parameters_of_template(template: &str) -> BTreeMap<String, Parameter> {
    let lines = template.lines().skip_while(|line| *line != "Parameters:").skip(1);
    let lines = lines.take_while(|line| line.is_empty() || line.starts_with([' ', '#']));
    let mut parameters = BTreeMap::new();
    let mut current = None;
    for line in lines {
        let name = line
            .strip_prefix("  ")
            .filter(|rest| rest.starts_with(|first: char| first.is_ascii_uppercase()))
            .and_then(|rest| rest.split(':').next());
        if let Some(name) = name {
            parameters.insert(name.to_owned(), Parameter::default());
            current = Some(name);
        } else if let Some((member, value)) = line.strip_prefix("    ").and_then(|member| member.split_once(": "))
            && let Some(parameter) = current.and_then(|name| parameters.get_mut(name))
        {
            let value = value.trim();
            match member {
                "Default" => parameter.has_default = true,
                "Type" => parameter.is_number = value == "Number",
                "AllowedValues" => {
                    let list = value.trim_matches(['[', ']']).split(',');
                    parameter.allowed_values = list.map(|value| value.trim().trim_matches('"').to_owned()).collect();
                }
                "AllowedPattern" => parameter.allowed_pattern = Some(value.to_owned()),
                "MinValue" => parameter.least = value.parse().ok(),
                "MaxValue" => parameter.greatest = value.parse().ok(),
                "MinLength" => parameter.may_not_be_empty = true,
                _ => {}
            }
        }
    }
    parameters
}

/// Returns `DB_HOST` for `DbHost`.
fn with_underscores(name: &str) -> String {
    let mut result = String::new();
    for (place, character) in name.char_indices() {
        if character.is_ascii_uppercase() && place > 0 {
            result.push('_');
        }
        result.push(character.to_ascii_uppercase());
    }
    result
}

#[cfg(test)]
mod tests {
    use ::migrate::doctor::Status;

    use super::*;

    const TEMPLATE: &str = "Parameters:\n\n  Stage:\n    Type: String\n\n  # A comment\n  DbHost:\n    Type: String\n  FrontendUrl: {}\n  \
                            RosConcurrency:\n    Type: Number\n    Default: -1\n  Architecture:\n    Default: arm64\nResources:\n  X:\n";

    /// The findings that are not good, for these overrides of the stage `prod`.
    fn findings(overrides: &str) -> Vec<String> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("samconfig.toml");
        fs::write(folder.path().join("template.yaml"), TEMPLATE).unwrap();
        fs::write(&file, format!("[prod.deploy.parameters]\n{overrides}")).unwrap();
        let findings = SamConfig::read(&file, "prod").unwrap().examine();
        let bad = findings.into_iter().filter(|finding| finding.status != Status::Ok);
        bad.map(|finding| finding.message).filter(|message| !message.contains("limit of instances")).collect()
    }

    #[test]
    fn what_sam_would_cut_and_what_is_not_filled_in_is_named() {
        let found = findings(
            r#"parameter_overrides = ["Stage=prod", "DbHost=db.example.com", "FrontendUrl=https://a.io, https://b.io", "Other=1"]"#,
        );
        for (found, expected) in found.iter().zip([
            "DbHost is still db.example.com",
            "SAM cuts FrontendUrl at the first blank, to \"https://a.io,\"",
            "Other is no parameter",
            "Architecture is not named",
            "RosConcurrency is not named",
        ]) {
            assert!(found.starts_with(expected), "{found}");
        }
        assert_eq!(found.len(), 5);
    }

    #[test]
    fn a_table_keeps_blanks() {
        let found = findings(
            "[prod.deploy.parameters.parameter_overrides]\nStage = \"prod\"\nDbHost = \"db.io\"\nFrontendUrl = \"https://a.io, https://b.io\"\n\
             RosConcurrency = 3\nArchitecture = \"arm64\"",
        );
        assert_eq!(found, [""; 0]);
        assert_eq!(
            findings("parameter_overrides = \"Stage=prod FrontendUrl=x RosConcurrency=1 Architecture=y\""),
            ["DbHost is missing, and it has no default"]
        );
    }

    #[test]
    fn values_that_the_template_refuses_are_named() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let folder = tempfile::tempdir().unwrap();
        fs::copy(root.join("template.yaml"), folder.path().join("template.yaml")).unwrap();
        let file = folder.path().join("samconfig.toml");
        let ours = fs::read_to_string(root.join("samconfig.toml")).unwrap();
        let own = ours
            .replace("db.example.com", "db.genthrust.com")
            .replace("dashboard.example.com", "genthrust.com")
            .replace("operator@example.com", "ops@genthrust.com")
            .replace("00000000-0000-0000-0000-000000000000", "11111111-2222-3333-4444-555555555555");
        let (dev, prod) = own.split_at(own.find("[prod.build").unwrap());
        let errors = |prod: &str| {
            fs::write(&file, format!("{dev}{prod}")).unwrap();
            let findings = SamConfig::read(&file, "prod").unwrap().examine();
            let bad = findings.into_iter().filter(|finding| finding.status != Status::Ok);
            bad.map(|finding| finding.message).collect::<Vec<_>>()
        };
        assert_eq!(errors(prod), [""; 0]);
        for (good, bad, said) in [
            (
                "FrontendUrl = \"https://genthrust.com\"",
                "FrontendUrl = \"https://genthrust.com/app\"",
                "must match ^https?",
            ),
            (
                "FrontendUrl = \"https://genthrust.com\"",
                "FrontendUrl = \"https://genthrust.com/\"",
                "must match ^https?",
            ),
            ("DbSslMode = \"VERIFY_IDENTITY\"", "DbSslMode = \"verify\"", "must be one of DISABLED, PREFERRED"),
            ("DbSslMode = \"VERIFY_IDENTITY\"", "DbSslMode = \"REQUIRED\"", "prod needs DbSslMode"),
            ("DbPort = \"3306\"", "DbPort = \"66000\"", "must be a number, at least 1, at most 65535"),
            ("DbPort = \"3306\"", "DbPort = \"many\"", "must be a number"),
            ("LogRetentionDays = \"90\"", "LogRetentionDays = \"91\"", "must be one of 1, 3"),
            ("DbHost = \"db.genthrust.com\"", "DbHost = \"\"", "must not be empty"),
            ("AlarmEmail = \"ops@genthrust.com\"", "AlarmEmail = \"ops\"", "must match"),
            ("AlarmEmail = \"ops@genthrust.com\"", "AlarmEmail = \"\"", "prod needs AlarmEmail"),
            ("DbName = \"ro_tracker_prod\"", "DbName = \"ro_tracker_dev\"", "DbName is a database of the other stage"),
            ("AuthMode = \"\"", "AuthMode = \"none\"", "prod does not run with AuthMode"),
            ("Stage = \"prod\"", "Stage = \"dev\"", "Stage is dev in the part [prod]"),
        ] {
            assert!(prod.contains(good), "{good}");
            let found = errors(&prod.replace(good, bad));
            assert!(found.iter().any(|message| message.contains(said)), "{bad}: {found:?}");
        }
    }

    #[test]
    fn our_own_files_are_understood() {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../samconfig.toml");
        for stage in ["default", "prod"] {
            let config = SamConfig::read(&file, stage).unwrap();
            assert_eq!(config.value("Stage"), Some(if stage == "prod" { "prod" } else { "dev" }));
            assert!(config.in_template.contains_key("DbHost") && config.in_template.len() > 20);
            let findings = config.examine();
            assert!(!findings.iter().any(|finding| finding.message.contains("is no parameter")), "{findings:?}");
        }
        assert!(SamConfig::read(&file, "staging").is_err());
    }

    #[test]
    fn parameters_become_variables() {
        let overrides = toml::toml! {
            Stage = "prod"
            DbName = "ro"
            DbMaxConnections = "2"
            AiLogConversations = "false"
            RosConcurrency = "3"
            InventoryConcurrency = "2"
            AiLogsConcurrency = "1"
            AiConcurrency = "-1"
            ProxySecret = "true"
            LogLevel = "info"
        };
        let mut config = SamConfig {
            parameters: parameters(&Value::Table(overrides)),
            are_texts: false,
            in_template: BTreeMap::new(),
            stage: "prod".to_owned(),
            region: Some("eu-west-1".to_owned()),
        };
        let variables: Vec<_> = config.variables().into_iter().collect();
        let expected = [
            ("AI_LOG_CONVERSATIONS", "false"),
            ("APP_ENV", "production"),
            ("AWS_REGION", "eu-west-1"),
            ("DB_MAX_CONNECTIONS", "2"),
            ("DB_NAME_PROD", "ro"),
        ];
        assert_eq!(variables, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
        assert_eq!(config.connections(), Some(12));
        config
            .parameters
            .iter_mut()
            .filter(|(name, _)| name == "AiLogConversations")
            .for_each(|(_, value)| "true".clone_into(value));
        assert_eq!(config.connections(), None);
    }
}
