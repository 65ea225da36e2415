//! Configuration, read once from the environment. Each function reads its own struct from an [`Env`], which collects every
//! missing or malformed variable, so that one message names them all.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    fmt,
    rc::Rc,
    str::FromStr,
};

use chrono_tz::Tz;
use http::HeaderValue;

use crate::{
    auth::{AuthConfig, Authentication, config::is_local},
    clock::Clock,
    http::BasePath,
    metrics,
};

/// Names every missing or malformed variable.
#[derive(Debug, thiserror::Error)]
#[error("the environment is not complete:\n{}", problems.join("\n"))]
pub struct ConfigError {
    problems: Vec<String>,
}

impl ConfigError {
    /// Returns the problems, each of which names a variable.
    pub fn problems(&self) -> impl Iterator<Item = &str> {
        self.problems.iter().map(|problem| problem.trim())
    }

    /// Joins the errors of several functions. A problem that several of them have is named once.
    pub fn join(errors: impl IntoIterator<Item = Self>) -> Self {
        let mut problems = Vec::new();
        for problem in errors.into_iter().flat_map(|error| error.problems) {
            if !problems.contains(&problem) {
                problems.push(problem);
            }
        }
        Self { problems }
    }
}

/// The environment while it is read. For a wrong variable the methods return a placeholder, and [`finish`](Self::finish)
/// fails.
#[derive(Default)]
pub struct Env {
    variables: BTreeMap<String, String>,
    problems: Vec<String>,
    requested: RequestedVariables,
}

/// The names of the variables that were read, set or not. The set grows while the environment is read.
pub type RequestedVariables = Rc<RefCell<BTreeSet<String>>>;

impl Env {
    /// Reads the environment of the process.
    pub fn of_process() -> Self {
        variables_of_process().into_iter().collect()
    }

    /// Returns the names of the variables that are read. Tests compare them with the documented ones.
    pub fn requested_variables(&self) -> RequestedVariables {
        self.requested.clone()
    }

    fn value(&self, name: &str) -> Option<&str> {
        self.requested.borrow_mut().insert(name.to_owned());
        self.variables.get(name).map(String::as_str)
    }

    /// Returns the variable, unless it is unset or blank.
    pub fn optional(&self, name: &str) -> Option<&str> {
        self.value(name).filter(|value| !value.trim().is_empty())
    }

    /// Returns the variable, which must be set but may be empty, as a password may be.
    pub fn set(&mut self, name: &str) -> String {
        match self.value(name) {
            Some(value) => value.to_owned(),
            None => {
                self.problem(name, "is missing");
                String::new()
            }
        }
    }

    /// Returns the variable, which must be set and not blank.
    pub fn required(&mut self, name: &str) -> String {
        match self.optional(name) {
            Some(value) => value.to_owned(),
            None => {
                self.problem(name, "is missing");
                String::new()
            }
        }
    }

    /// Parses the variable, or returns `default` when it is unset. `expected` completes the problem "must be …".
    pub fn parsed<T: FromStr>(&mut self, name: &str, default: T, expected: &str) -> T {
        match self.optional(name).map(|value| value.trim().parse()) {
            None => default,
            Some(Ok(value)) => value,
            Some(Err(_)) => {
                self.problem(name, &format!("must be {expected}"));
                default
            }
        }
    }

    /// Adds a problem; `what` completes a sentence that begins with `name`.
    pub fn problem(&mut self, name: &str, what: &str) {
        self.problems.push(format!("  {name} {what}"));
    }

    /// Returns `config` if there were no problems.
    ///
    /// # Errors
    /// [`ConfigError`] with all problems.
    pub fn finish<T>(self, config: T) -> Result<T, ConfigError> {
        if self.problems.is_empty() { Ok(config) } else { Err(ConfigError { problems: self.problems }) }
    }
}

impl FromIterator<(String, String)> for Env {
    fn from_iter<I: IntoIterator<Item = (String, String)>>(variables: I) -> Self {
        Self { variables: variables.into_iter().collect(), ..Self::default() }
    }
}

/// Returns the environment of the process. Variables that are not Unicode are left out, and count as not set.
pub fn variables_of_process() -> BTreeMap<String, String> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect()
}

/// The deployment stage. It selects the main database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// `ro_tracker_dev`, the default.
    Development,
    /// `ro_tracker_prod`.
    Production,
}

impl Stage {
    /// `APP_ENV`, else the Node service's `NODE_ENV`: `production`, or one of `development` and `test`.
    pub fn read(env: &mut Env) -> Self {
        let Some(name) = ["APP_ENV", "NODE_ENV"].into_iter().find(|name| env.optional(name).is_some()) else {
            return Self::Development;
        };
        env.parsed(name, Self::Development, "production, development or test")
    }
}

impl FromStr for Stage {
    type Err = ();

    fn from_str(value: &str) -> Result<Self, ()> {
        match value.to_ascii_lowercase().as_str() {
            "production" => Ok(Self::Production),
            "development" | "test" => Ok(Self::Development),
            _ => Err(()),
        }
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Development => "development",
            Self::Production => "production",
        })
    }
}

/// `BUSINESS_TIME_ZONE`: the IANA name of the zone whose date is "today", and in which the instants of requests are days (default UTC).
pub fn business_time_zone(env: &mut Env) -> Tz {
    env.parsed("BUSINESS_TIME_ZONE", Tz::UTC, "an IANA time zone such as America/New_York")
}

/// The configuration of the HTTP layers.
#[derive(Clone, Debug)]
pub struct HttpConfig {
    /// `FRONTEND_URL`: the origins that browsers may call from, one or a comma-separated list.
    pub frontend_origins: Vec<HeaderValue>,
    /// `BASE_PATH`: the base path of the API under a custom domain, such as `/ro`; none by default. Routes answer without it, too.
    pub base_path: BasePath,
    /// The `AUTH_*` variables and `PROXY_SECRET`.
    pub auth: Authentication,
    /// `LEGACY_DASHBOARD`: whether the prefix `/.netlify/functions/api` answers in the shapes that the dashboard of version 2.6 expects.
    pub legacy_dashboard: bool,
    /// Whether responses tell browsers to use HTTPS only (`Strict-Transport-Security`).
    pub is_deployed: bool,
}

impl HttpConfig {
    /// The origin of the dashboard's development server.
    const DEVELOPMENT_ORIGIN: &str = "http://localhost:5173";

    /// Returns the configuration of a developer's machine for a dashboard at `frontend_origins`, without authentication.
    pub fn local(frontend_origins: Vec<HeaderValue>) -> Self {
        Self {
            frontend_origins,
            base_path: BasePath::default(),
            auth: Authentication::off(),
            legacy_dashboard: false,
            is_deployed: false,
        }
    }

    /// Reads `FRONTEND_URL`, which production must set, `BASE_PATH`, `LEGACY_DASHBOARD`, the `AUTH_*` variables and `PROXY_SECRET`, and
    /// looks at `METRICS`.
    pub fn read(env: &mut Env, stage: Stage) -> Self {
        let urls = match (env.optional("FRONTEND_URL"), stage) {
            (Some(urls), _) => urls.to_owned(),
            (None, Stage::Development) => Self::DEVELOPMENT_ORIGIN.to_owned(),
            (None, Stage::Production) => env.required("FRONTEND_URL"),
        };
        // It was applied before the configuration is read; here a wrong value becomes a problem.
        if env.optional("METRICS").is_some_and(|word| !metrics::is_valid(word)) {
            env.problem("METRICS", "must be emf or off");
        }
        let mut frontend_origins = Vec::new();
        for url in urls.split(',').map(str::trim).filter(|url| !url.is_empty()) {
            match origin(url) {
                Some(origin) => frontend_origins.push(origin),
                None => {
                    env.problem("FRONTEND_URL", &format!("must hold origins such as https://example.com, not {url:?}"))
                }
            }
        }
        let has_only_commas = urls.trim_matches([',', ' ']).is_empty();
        if has_only_commas && env.optional("FRONTEND_URL").is_some() {
            env.problem("FRONTEND_URL", "must name an origin such as https://example.com");
        }
        let base_path = env.parsed("BASE_PATH", BasePath::default(), BasePath::EXPECTED);
        let legacy_dashboard = env.parsed("LEGACY_DASHBOARD", false, "true or false");
        let auth = AuthConfig::read(env, stage, legacy_dashboard);
        // Tokens have instants, for which the time zone does not matter.
        let auth = Authentication::new(auth, Clock::system(Tz::UTC)).unwrap_or_else(|error| {
            env.problem("AUTH_ISSUER", &format!("cannot be used: {error}"));
            Authentication::off()
        });
        Self { frontend_origins, base_path, auth, legacy_dashboard, is_deployed: !is_local(env, stage) }
    }
}

/// The origin that a browser sends for a page at `url`: scheme, host and port in lower case, without a path.
fn origin(url: &str) -> Option<HeaderValue> {
    let uri = http::Uri::from_str(url).ok()?;
    let scheme = uri.scheme_str().filter(|scheme| matches!(*scheme, "http" | "https"))?;
    let authority = uri.authority().filter(|authority| !authority.as_str().contains('@'))?;
    HeaderValue::try_from(format!("{scheme}://{authority}").to_ascii_lowercase()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env<const N: usize>(variables: [(&str, &str); N]) -> Env {
        variables.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    }

    #[test]
    fn one_message_names_every_problem() {
        let mut env = env([("DB_PORT", "many"), ("FRONTEND_URL", "https://ok.example, nonsense")]);
        env.required("DB_HOST");
        env.parsed("DB_PORT", 3306, "a port number");
        HttpConfig::read(&mut env, Stage::Production);
        let message = env.finish(()).unwrap_err().to_string();
        for named in
            ["DB_HOST is missing", "DB_PORT must be a port number", "FRONTEND_URL must hold origins", "nonsense"]
        {
            assert!(message.contains(named), "{message}");
        }
    }

    #[test]
    fn app_env_takes_precedence_over_node_env() {
        for (variables, stage) in [
            (env([]), Stage::Development),
            (env([("NODE_ENV", "production")]), Stage::Production),
            (env([("NODE_ENV", "production"), ("APP_ENV", "development")]), Stage::Development),
            (env([("NODE_ENV", "test"), ("APP_ENV", " ")]), Stage::Development),
        ] {
            let mut variables = variables;
            assert_eq!(Stage::read(&mut variables), stage);
            assert!(variables.finish(()).is_ok());
        }
        let mut unknown = env([("NODE_ENV", "staging")]);
        Stage::read(&mut unknown);
        assert!(unknown.finish(()).unwrap_err().to_string().contains("NODE_ENV must be"));
    }

    #[test]
    fn frontend_url_takes_one_origin_or_a_list() {
        let mut variables = env([("FRONTEND_URL", "https://Repairs.example/, http://localhost:5173")]);
        let config = HttpConfig::read(&mut variables, Stage::Production);
        assert_eq!(config.frontend_origins, ["https://repairs.example", "http://localhost:5173"]);
        let mut variables = env([("FRONTEND_URL", " , ")]);
        HttpConfig::read(&mut variables, Stage::Production);
        assert!(variables.finish(()).unwrap_err().to_string().contains("FRONTEND_URL must name an origin"));
    }
}
