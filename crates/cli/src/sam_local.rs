//! Lets `sam local start-api` run the functions on the database and the emulators of `cargo dev`. It needs an address
//! at which containers reach this machine, and a file with the functions' environment variables, because it has no
//! access to Secrets Manager.

use std::{
    collections::BTreeMap,
    fs::{self, OpenOptions},
    io::{ErrorKind, Write},
    net::{Ipv4Addr, TcpListener},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

use anyhow::{Context, Result, bail};
use reqwest::Url;
use serde_json::{Map, Value, json};
use tokio::process::Command;

use crate::programs;

/// The name of the file with the variables, in the data directory. `samconfig.toml` names the one in `target/dev`.
pub const FILE: &str = "sam-local.json";

/// The variables in the file. Those without a value are empty, so that no value of `template.yaml` for AWS is used.
/// `sam local` passes a function only the variables that the template also sets.
pub const VARIABLES: &[&str] = &[
    "AI_BETAS",
    "AI_LOG_CONVERSATIONS",
    "AI_MODELS",
    "AI_RATE_LIMIT",
    "AI_RATE_TABLE",
    "AI_RATE_WINDOW_SECONDS",
    "AI_TOKENS_PER_DAY",
    "ANTHROPIC_API_KEY",
    "ANTHROPIC_BASE_URL",
    "ANTHROPIC_CONNECT_TIMEOUT_SECONDS",
    "ANTHROPIC_FIRST_BYTE_TIMEOUT_SECONDS",
    "ANTHROPIC_IDLE_TIMEOUT_SECONDS",
    "ANTHROPIC_TOTAL_TIMEOUT_SECONDS",
    "ANTHROPIC_VERSION",
    "APP_ENV",
    "AUTH_ADMIN_ROLE",
    "AUTH_AUDIENCE",
    "AUTH_ISSUER",
    "AUTH_MODE",
    "AUTH_ROLES_CLAIM",
    "AWS_ENDPOINT_URL_DYNAMODB",
    "BASE_PATH",
    "BUSINESS_TIME_ZONE",
    "DB_HOST",
    "DB_MAX_CONNECTIONS",
    "DB_NAME_DEV",
    "DB_NAME_INVENTORY",
    "DB_NAME_PROD",
    "DB_PASSWORD",
    "DB_PORT",
    "DB_SSL_CA",
    "DB_SSL_MODE",
    "DB_USER",
    "FRONTEND_URL",
    "LEGACY_DASHBOARD",
    "PROBE_CLIENT_ID",
    "PROBE_CLIENT_SECRET",
    "PROBE_PROXY_SECRET",
    "PROBE_TOKEN_PARAMETERS",
    "PROBE_TOKEN_URL",
    "PROBE_URL",
    "PROXY_SECRET",
    "RATE_LIMIT_ON_FAILURE",
    "RUST_LOG",
];

/// How containers reach this machine.
#[derive(Clone, Debug)]
pub struct Containers {
    /// The address of this machine to listen on.
    pub listen: Ipv4Addr,
    /// The host name or address that containers connect to.
    pub host: String,
}

impl Containers {
    /// Uses `address`, or the address of this machine in Docker's default network.
    ///
    /// # Errors
    /// When the address is not one of this machine, or Docker does not know one. The error says what to do.
    pub async fn find(address: Option<Ipv4Addr>) -> Result<Self> {
        if let Some(address) = address {
            if !is_local(address) {
                bail!("{address} is not an address of this machine; `--sam-local` without a value asks Docker for one");
            }
            return Ok(Self { listen: address, host: address.to_string() });
        }
        let gateway = "{{with index .IPAM.Config 0}}{{or .Gateway .Subnet}}{{end}}";
        let mut docker = Command::new("docker");
        docker.args(["network", "inspect", "bridge", "--format", gateway]);
        let output = programs::output_of(&mut docker).await;
        let Some(address) = output.as_deref().and_then(parse_gateway) else {
            bail!(
                "Docker does not report the address at which containers reach this machine. Start Docker, or give the \
                 address: `cargo dev --sam-local=172.17.0.1`"
            );
        };
        if is_local(address) {
            return Ok(Self { listen: address, host: address.to_string() });
        }
        // Docker Desktop's network is inside a virtual machine, where this name leads to this machine's loopback.
        Ok(Self { listen: Ipv4Addr::LOCALHOST, host: "host.docker.internal".to_owned() })
    }

    /// Writes the file with the variables of `environment` into `directory`.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write(&self, directory: &Path, environment: &BTreeMap<String, String>) -> Result<()> {
        let path = directory.join(FILE);
        let values: Map<String, Value> = VARIABLES
            .iter()
            .map(|name| {
                let value = environment.get(*name).map(String::as_str).unwrap_or_default();
                ((*name).to_owned(), Value::String(self.seen_from_inside(name, value)))
            })
            .collect();
        let content = serde_json::to_string_pretty(&json!({ "Parameters": values }))?;
        remove(directory)?;
        // The file holds Anthropic's key and the database password.
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
        file.and_then(|mut file| writeln!(file, "{content}"))
            .with_context(|| format!("{} cannot be written", path.display()))
    }

    /// Returns the value of the variable `name` for a container. Loopback addresses become [`host`](Self::host),
    /// because a container has its own loopback.
    fn seen_from_inside(&self, name: &str, value: &str) -> String {
        if name == "DB_HOST" && is_loopback(value) {
            return self.host.clone();
        }
        if matches!(name, "AWS_ENDPOINT_URL_DYNAMODB" | "ANTHROPIC_BASE_URL")
            && let Ok(mut url) = Url::parse(value)
            && url.host_str().is_some_and(is_loopback)
            && url.set_host(Some(&self.host)).is_ok()
        {
            return url.as_str().trim_end_matches('/').to_owned();
        }
        value.to_owned()
    }
}

/// Parses `172.17.0.1`, or `172.17.0.0/16`, which Docker reports before it has run a container. The gateway is the
/// first address of the network.
fn parse_gateway(text: &str) -> Option<Ipv4Addr> {
    match text.trim().split_once('/') {
        None => text.trim().parse().ok(),
        Some((network, _)) => network.parse::<Ipv4Addr>().ok()?.to_bits().checked_add(1).map(Ipv4Addr::from_bits),
    }
}

/// Removes the file with the variables if it exists. Its servers stop when `cargo dev` ends.
///
/// # Errors
/// When the file cannot be removed.
pub fn remove(directory: &Path) -> Result<()> {
    let path = directory.join(FILE);
    match fs::remove_file(&path) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(error).with_context(|| format!("{} cannot be removed", path.display()))
        }
        _ => Ok(()),
    }
}

/// Parses the address of `--sam-local=…`. It rejects 0.0.0.0, which containers cannot connect to and which would expose
/// the servers to other machines.
///
/// # Errors
/// When the address is malformed or 0.0.0.0.
pub fn parse_address(text: &str) -> Result<Ipv4Addr, String> {
    match text.parse::<Ipv4Addr>() {
        Ok(address) if address.is_unspecified() => {
            Err("must be the one address at which containers reach this machine".to_owned())
        }
        Ok(address) => Ok(address),
        Err(_) => Err("must be an IPv4 address such as 172.17.0.1".to_owned()),
    }
}

fn is_local(address: Ipv4Addr) -> bool {
    TcpListener::bind((address, 0)).is_ok()
}

fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn containers_get_reachable_addresses() {
        let containers = Containers { listen: Ipv4Addr::LOCALHOST, host: "host.docker.internal".to_owned() };
        for (name, value, seen) in [
            ("DB_HOST", "127.0.0.1", "host.docker.internal"),
            ("DB_HOST", "localhost", "host.docker.internal"),
            ("DB_HOST", "db.example.com", "db.example.com"),
            ("AWS_ENDPOINT_URL_DYNAMODB", "http://127.0.0.1:8000", "http://host.docker.internal:8000"),
            ("ANTHROPIC_BASE_URL", "http://localhost:99/proxy/", "http://host.docker.internal:99/proxy"),
            ("ANTHROPIC_BASE_URL", "https://api.anthropic.com", "https://api.anthropic.com"),
            ("ANTHROPIC_BASE_URL", "", ""),
            // Browsers run on this machine and not in a container.
            ("FRONTEND_URL", "http://localhost:5173", "http://localhost:5173"),
        ] {
            assert_eq!(containers.seen_from_inside(name, value), seen);
        }
    }

    #[test]
    fn the_docker_gateway_is_parsed() {
        let gateway = Some(Ipv4Addr::new(172, 17, 0, 1));
        assert_eq!((parse_gateway("172.17.0.1\n"), parse_gateway("172.17.0.0/16\n")), (gateway, gateway));
        assert_eq!(parse_gateway("<no value>"), None);
    }

    #[test]
    fn the_unspecified_address_is_refused() {
        assert!(parse_address("0.0.0.0").is_err() && parse_address("docker0").is_err());
        assert_eq!(parse_address("172.17.0.1"), Ok(Ipv4Addr::new(172, 17, 0, 1)));
    }
}
