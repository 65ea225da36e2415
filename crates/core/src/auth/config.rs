//! The configuration of authentication.

use std::net::Ipv4Addr;

use reqwest::Url;

use super::ProxySecrets;
use crate::config::{Env, Stage};

/// The claim with the roles, unless the configuration names another.
const ROLES_CLAIM: &str = "roles";

/// How requests are authenticated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AuthConfig {
    /// They are not: on a developer's machine without an issuer, or because of `AUTH_MODE=none`.
    Off {
        /// Whether `AUTH_MODE=none` is set. Every start then logs a warning.
        on_purpose: bool,
    },
    /// No issuer is configured. Every request except those for health is answered 503.
    Missing,
    /// By the tokens of an issuer.
    Issuer(IssuerConfig),
    /// By a secret that the proxy in front of the legacy dashboard adds to each request.
    Proxy(ProxySecrets),
    /// The legacy dashboard is to be let in, but `PROXY_SECRET` is not set. Every request except those for health is answered 503.
    MissingProxySecret,
}

/// The issuer whose tokens are accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IssuerConfig {
    /// `AUTH_ISSUER`, without a slash at the end. The URL of the discovery document begins with it.
    pub issuer: String,
    /// The values that the claim `iss` may have.
    pub accepted: Vec<String>,
    /// `AUTH_AUDIENCE`: the values that the claim `aud` may have, one or a comma-separated list.
    pub audiences: Vec<String>,
    /// `AUTH_ROLES_CLAIM`: the claim with the roles, a list of texts or one text. Dots and slashes are a part of its name.
    pub roles_claim: String,
    /// `AUTH_ADMIN_ROLE`: the role or group of administrators. Without it nobody is one.
    pub admin_role: Option<String>,
}

impl AuthConfig {
    /// Reads the `AUTH_*` variables and `PROXY_SECRET`. With an issuer its tokens count, whether or not the legacy dashboard is served.
    pub fn read(env: &mut Env, stage: Stage, is_legacy_dashboard: bool) -> Self {
        let is_local = is_local(env, stage);
        let secrets = ProxySecrets::read(env);
        let mode = env.optional("AUTH_MODE").map(|mode| mode.trim().to_ascii_lowercase());
        let issuer = env.optional("AUTH_ISSUER").map(|issuer| issuer.trim().trim_end_matches('/').to_owned());
        match (mode.as_deref(), issuer) {
            (None, Some(issuer)) => Self::Issuer(IssuerConfig::read(env, issuer)),
            (None, None) if is_local => Self::Off { on_purpose: false },
            (None, None) if is_legacy_dashboard => secrets.map_or(Self::MissingProxySecret, Self::Proxy),
            (None, None) => Self::Missing,
            (Some("none"), None) if secrets.is_some() => {
                env.problem("AUTH_MODE", "must not be none where PROXY_SECRET is set");
                Self::Missing
            }
            (Some("none"), None) => Self::Off { on_purpose: true },
            (Some("none"), Some(_)) => {
                env.problem("AUTH_MODE", "must not be none where AUTH_ISSUER is set");
                Self::Missing
            }
            (Some(_), _) => {
                env.problem("AUTH_MODE", "must be none or unset");
                Self::Missing
            }
        }
    }
}

/// Returns whether this is certainly a developer's machine: under `cargo lambda watch`, whose runtime API has a path below `/.rt/`
/// (that of Lambda has none, and Lambda does not let anybody set this variable), or in a container of `sam local`. Never in
/// production.
pub fn is_local(env: &Env, stage: Stage) -> bool {
    let is_emulated = env.optional("AWS_LAMBDA_RUNTIME_API").is_some_and(|api| api.contains("/.rt/"));
    let is_sam_local = env.optional("AWS_SAM_LOCAL") == Some("true");
    stage == Stage::Development && (is_emulated || is_sam_local)
}

impl IssuerConfig {
    fn read(env: &mut Env, issuer: String) -> Self {
        match Url::parse(&issuer) {
            // Nobody can listen in on this machine.
            Ok(url) if url.scheme() == "https" || (url.scheme() == "http" && is_on_this_machine(&url)) => {
                if is_of_every_tenant(&url) {
                    env.problem("AUTH_ISSUER", "must name a tenant; this one would accept the tokens of all tenants");
                }
            }
            _ => env.problem("AUTH_ISSUER", "must be a URL such as https://issuer.example.com/tenant"),
        }
        let audiences: Vec<String> =
            env.required("AUTH_AUDIENCE").split(',').map(|audience| audience.trim().to_owned()).collect();
        let audiences: Vec<String> = audiences.into_iter().filter(|audience| !audience.is_empty()).collect();
        if audiences.is_empty() && env.optional("AUTH_AUDIENCE").is_some() {
            env.problem("AUTH_AUDIENCE", "must name an audience");
        }
        let roles_claim = env.optional("AUTH_ROLES_CLAIM").unwrap_or(ROLES_CLAIM).trim().to_owned();
        let admin_role = env.optional("AUTH_ADMIN_ROLE").map(|role| role.trim().to_owned());
        Self { accepted: accepted(&issuer), issuer, audiences, roles_claim, admin_role }
    }
}

/// Returns whether the host of `url` is this machine.
fn is_on_this_machine(url: &Url) -> bool {
    url.host_str()
        .is_some_and(|host| host == "localhost" || host.parse::<Ipv4Addr>().is_ok_and(|address| address.is_loopback()))
}

/// Returns whether `url` is one of Entra's endpoints for the accounts of all tenants.
fn is_of_every_tenant(url: &Url) -> bool {
    let tenant = url.path_segments().and_then(|mut segments| segments.next());
    url.host_str() == Some(ENTRA) && matches!(tenant, Some("common" | "organizations" | "consumers"))
}

const ENTRA: &str = "login.microsoftonline.com";

/// Returns the values of `iss` in tokens of `issuer`: its URL, with or without a slash at the end (Auth0 has one). Entra makes two
/// versions of tokens, depending on the registration of the API. Both belong to the tenant and are signed with the same keys, so
/// the older name of the tenant is accepted, too.
fn accepted(issuer: &str) -> Vec<String> {
    let mut accepted = vec![issuer.to_owned(), format!("{issuer}/")];
    let tenant = issuer.strip_prefix("https://").and_then(|rest| rest.strip_prefix(ENTRA)?.strip_suffix("/v2.0"));
    if let Some(tenant) = tenant {
        accepted.push(format!("https://sts.windows.net{tenant}/"));
    }
    accepted
}

#[cfg(test)]
mod tests {
    use super::*;

    const WATCH: (&str, &str) = ("AWS_LAMBDA_RUNTIME_API", "http://127.0.0.1:9000/.rt/ros");
    const LAMBDA: (&str, &str) = ("AWS_LAMBDA_RUNTIME_API", "127.0.0.1:9001");
    const SAM_LOCAL: (&str, &str) = ("AWS_SAM_LOCAL", "true");

    fn read(variables: &[(&str, &str)]) -> Result<AuthConfig, String> {
        let mut env: Env = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let stage = Stage::read(&mut env);
        let config = AuthConfig::read(&mut env, stage, is_legacy(variables));
        env.finish(config).map_err(|error| error.to_string())
    }

    fn is_legacy(variables: &[(&str, &str)]) -> bool {
        variables.contains(&LEGACY)
    }

    const LEGACY: (&str, &str) = ("LEGACY_DASHBOARD", "true");
    const SECRET: (&str, &str) = ("PROXY_SECRET", "0123456789abcdef0123456789abcdef");

    #[test]
    fn the_legacy_dashboard_needs_a_secret_except_locally_or_on_purpose() {
        let production = ("APP_ENV", "production");
        let proxy = AuthConfig::Proxy(ProxySecrets::new([SECRET.1]));
        for (variables, config) in [
            (vec![LEGACY, LAMBDA], AuthConfig::MissingProxySecret),
            (vec![LEGACY, production, WATCH, ("PROXY_SECRET", " ")], AuthConfig::MissingProxySecret),
            (vec![LEGACY, LAMBDA, SECRET], proxy.clone()),
            (vec![LEGACY, production, SECRET], proxy),
            (vec![LEGACY, WATCH], AuthConfig::Off { on_purpose: false }),
            (vec![LEGACY, LAMBDA, ("AUTH_MODE", "none")], AuthConfig::Off { on_purpose: true }),
            // Without the legacy dashboard the secret lets nobody in.
            (vec![LAMBDA, SECRET], AuthConfig::Missing),
        ] {
            assert_eq!(read(&variables), Ok(config), "{variables:?}");
        }
        let issuer = [LEGACY, LAMBDA, SECRET, ("AUTH_ISSUER", "https://issuer.example"), ("AUTH_AUDIENCE", "api")];
        assert!(matches!(read(&issuer), Ok(AuthConfig::Issuer(_))));
    }

    #[test]
    fn an_issuer_is_needed_except_locally_or_on_purpose() {
        let production = ("APP_ENV", "production");
        for (variables, config) in [
            (vec![], AuthConfig::Missing),
            (vec![LAMBDA], AuthConfig::Missing),
            (vec![LAMBDA, ("AUTH_MODE", " "), ("AUTH_ISSUER", "")], AuthConfig::Missing),
            (vec![WATCH], AuthConfig::Off { on_purpose: false }),
            (vec![SAM_LOCAL, LAMBDA], AuthConfig::Off { on_purpose: false }),
            (vec![("AWS_SAM_LOCAL", "false")], AuthConfig::Missing),
            (vec![WATCH, production], AuthConfig::Missing),
            (vec![SAM_LOCAL, production], AuthConfig::Missing),
            (vec![LAMBDA, ("AUTH_MODE", "None")], AuthConfig::Off { on_purpose: true }),
        ] {
            assert_eq!(read(&variables), Ok(config), "{variables:?}");
        }
    }

    #[test]
    fn http_is_allowed_on_this_machine_only() {
        for issuer in ["http://127.0.0.1:4000", "http://localhost:4000"] {
            let config = read(&[LAMBDA, ("AUTH_ISSUER", issuer), ("AUTH_AUDIENCE", "api")]).unwrap();
            assert!(matches!(config, AuthConfig::Issuer(_)), "{issuer}");
        }
    }

    #[test]
    fn incomplete_configurations_are_reported() {
        let issuer = ("AUTH_ISSUER", "https://issuer.example");
        let audience = ("AUTH_AUDIENCE", "api");
        for (variables, said) in [
            (vec![issuer], "AUTH_AUDIENCE is missing"),
            (vec![issuer, ("AUTH_AUDIENCE", " , ")], "AUTH_AUDIENCE must name"),
            (vec![issuer, audience, ("AUTH_MODE", "none")], "AUTH_MODE must not be none"),
            (vec![("AUTH_MODE", "off")], "AUTH_MODE must be none"),
            (vec![LEGACY, SECRET, ("AUTH_MODE", "none")], "AUTH_MODE must not be none where PROXY_SECRET"),
            (vec![LEGACY, LAMBDA, ("PROXY_SECRET", "too short")], "PROXY_SECRET must be"),
            (vec![LAMBDA, ("AUTH_ISSUER", "http://issuer.example"), audience], "AUTH_ISSUER must be a URL"),
            (vec![WATCH, ("AUTH_ISSUER", "http://127.0.0.1.example"), audience], "AUTH_ISSUER must be a URL"),
            (vec![("AUTH_ISSUER", "issuer"), audience], "AUTH_ISSUER must be a URL"),
            (vec![("AUTH_ISSUER", "https://login.microsoftonline.com/common/v2.0"), audience], "must name a tenant"),
        ] {
            let error = read(&variables).unwrap_err();
            assert!(error.contains(said), "{error}");
        }
    }

    #[test]
    fn issuers_have_several_names() {
        let tenant = "6f8b3f4a-0000-4000-8000-000000000000";
        for (issuer, accepted) in [
            ("https://dev.auth0.com/", vec!["https://dev.auth0.com", "https://dev.auth0.com/"]),
            (
                &format!("https://login.microsoftonline.com/{tenant}/v2.0"),
                vec![
                    &format!("https://login.microsoftonline.com/{tenant}/v2.0"),
                    &format!("https://login.microsoftonline.com/{tenant}/v2.0/"),
                    &format!("https://sts.windows.net/{tenant}/"),
                ],
            ),
        ] {
            let read = read(&[("AUTH_ISSUER", issuer), ("AUTH_AUDIENCE", "api://one, two")]);
            let Ok(AuthConfig::Issuer(config)) = read else { panic!("{read:?}") };
            assert_eq!(config.accepted, accepted);
            assert_eq!((config.audiences, config.admin_role), (vec!["api://one".to_owned(), "two".to_owned()], None));
        }
    }
}
