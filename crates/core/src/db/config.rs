//! The configuration of the database server and of TLS, and how to connect.

use std::{
    future::{Future, poll_fn},
    pin::pin,
    str::FromStr,
    task::Poll,
};

use base64::{Engine, engine::general_purpose::STANDARD};
use secrecy::{ExposeSecret, SecretString};
use sqlx::{
    ConnectOptions, Connection, MySqlConnection,
    mysql::{MySqlConnectOptions, MySqlSslMode},
};

use crate::{
    config::{Env, Stage},
    nodelay::set_nodelay,
};

/// The server of all databases.
#[derive(Clone, Debug)]
pub struct DatabaseConfig {
    /// `DB_HOST`.
    pub host: String,
    /// `DB_PORT`, 3306 by default.
    pub port: u16,
    /// `DB_USER`.
    pub user: String,
    /// `DB_PASSWORD`, which must be set but may be empty.
    pub password: SecretString,
    /// `DB_SSL_MODE`; see [`TlsMode`].
    pub tls: TlsMode,
    /// The certificate authority as PEM: `DB_SSL_CA_CONTENT` (PEM or bare base64), else the file that `DB_SSL_CA` names.
    pub certificate_authority: Option<Vec<u8>>,
    /// `DB_MAX_CONNECTIONS`: the most connections of one instance, 2 by default.
    pub max_connections: u32,
}

/// `DB_SSL_MODE`, with the values that MySQL uses. The default is `VERIFY_CA` with a certificate authority and `PREFERRED` without
/// one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsMode {
    /// `DISABLED`: never TLS.
    Disabled,
    /// `PREFERRED`: TLS where the server offers it, unverified.
    Preferred,
    /// `REQUIRED`: TLS or nothing, unverified.
    Required,
    /// `VERIFY_CA`: TLS, and the certificate is signed by the given authority.
    VerifyCa,
    /// `VERIFY_IDENTITY`: as `VERIFY_CA`, and the certificate is for `DB_HOST`.
    VerifyIdentity,
}

impl FromStr for TlsMode {
    type Err = ();

    fn from_str(value: &str) -> Result<Self, ()> {
        match value.to_ascii_uppercase().replace('-', "_").as_str() {
            "DISABLED" => Ok(Self::Disabled),
            "PREFERRED" => Ok(Self::Preferred),
            "REQUIRED" => Ok(Self::Required),
            "VERIFY_CA" => Ok(Self::VerifyCa),
            "VERIFY_IDENTITY" => Ok(Self::VerifyIdentity),
            _ => Err(()),
        }
    }
}

impl DatabaseConfig {
    /// Reads the `DB_*` variables, except the names of databases.
    pub fn read(env: &mut Env) -> Self {
        let certificate_authority = read_certificate_authority(env);
        let tls = read_tls_mode(env, certificate_authority.is_some());
        Self {
            host: env.required("DB_HOST"),
            port: env.parsed("DB_PORT", 3306, "a port number"),
            user: env.required("DB_USER"),
            password: env.set("DB_PASSWORD").into(),
            tls,
            certificate_authority,
            max_connections: env
                .parsed("DB_MAX_CONNECTIONS", std::num::NonZeroU32::MIN.saturating_add(1), "a whole number from 1")
                .get(),
        }
    }

    /// Reads the name of the main database: `DB_NAME_PROD` in production, else `DB_NAME_DEV`.
    pub fn main_database(env: &mut Env, stage: Stage) -> String {
        env.required(match stage {
            Stage::Development => "DB_NAME_DEV",
            Stage::Production => "DB_NAME_PROD",
        })
    }

    /// Reads the name of the inventory database: `DB_NAME_INVENTORY`.
    pub fn inventory_database(env: &mut Env) -> String {
        env.required("DB_NAME_INVENTORY")
    }
}

fn read_tls_mode(env: &mut Env, has_authority: bool) -> TlsMode {
    let default = if has_authority { TlsMode::VerifyCa } else { TlsMode::Preferred };
    let mode = env.parsed("DB_SSL_MODE", default, "one of DISABLED, PREFERRED, REQUIRED, VERIFY_CA, VERIFY_IDENTITY");
    match mode {
        // MySQL's clients take REQUIRED with an authority for VERIFY_CA, too.
        TlsMode::Required | TlsMode::Preferred if has_authority => TlsMode::VerifyCa,
        TlsMode::VerifyCa | TlsMode::VerifyIdentity if !has_authority => {
            env.problem("DB_SSL_MODE", "asks for verification, but neither DB_SSL_CA nor DB_SSL_CA_CONTENT is set");
            mode
        }
        mode => mode,
    }
}

fn read_certificate_authority(env: &mut Env) -> Option<Vec<u8>> {
    if let Some(content) = env.optional("DB_SSL_CA_CONTENT") {
        let pem = pem_from(content);
        if pem.is_none() {
            env.problem("DB_SSL_CA_CONTENT", "must be a certificate as PEM, or its base64 lines alone");
        }
        return pem;
    }
    let path = env.optional("DB_SSL_CA")?.to_owned();
    match std::fs::read(&path) {
        Ok(pem) if is_pem(&String::from_utf8_lossy(&pem)) => Some(pem),
        Ok(_) => {
            env.problem("DB_SSL_CA", &format!("names {path}, which is not a PEM certificate"));
            None
        }
        Err(error) => {
            env.problem("DB_SSL_CA", &format!("names {path}, which cannot be read: {error}"));
            None
        }
    }
}

const PEM_BEGIN: &str = "-----BEGIN CERTIFICATE-----";
const PEM_END: &str = "-----END CERTIFICATE-----";

fn is_pem(text: &str) -> bool {
    text.contains(PEM_BEGIN) && text.contains(PEM_END)
}

/// Returns PEM from PEM (in which editors of environments often turn line breaks into `\n`) or from bare base64, which may be the
/// certificate itself or a whole PEM file.
fn pem_from(content: &str) -> Option<Vec<u8>> {
    let content = content.replace("\\n", "\n");
    if is_pem(&content) {
        return Some(content.into_bytes());
    }
    let base64: String = content.split_whitespace().collect();
    let decoded = STANDARD.decode(&base64).ok()?;
    if is_pem(&String::from_utf8_lossy(&decoded)) {
        return Some(decoded);
    }
    // A DER certificate is an ASN.1 sequence.
    let is_certificate = decoded.first() == Some(&0x30);
    is_certificate.then(|| format!("{PEM_BEGIN}\n{base64}\n{PEM_END}\n").into_bytes())
}

/// Connects to `database`, or to the server without a database.
///
/// # Errors
/// When the server cannot be reached or refuses the connection.
pub async fn connect(config: &DatabaseConfig, database: Option<&str>) -> sqlx::Result<MySqlConnection> {
    connect_with(&connect_options(config, database)).await
}

/// Connects with `TCP_NODELAY`. With TLS this saves 40 ms.
pub(super) async fn connect_with(options: &MySqlConnectOptions) -> sqlx::Result<MySqlConnection> {
    let port = options.get_port();
    let mut connecting = pin!(MySqlConnection::connect_with(options));
    let mut is_set = false;
    poll_fn(|context| {
        let connected = connecting.as_mut().poll(context);
        // While sqlx connects, its socket cannot be reached in another way. It is found as soon as it is connected, which is before
        // TLS begins. A fast server may have answered by then, and sqlx is ready at once. If several connections are being
        // opened, the first that is found may be another one, so this looks once more at the end.
        if !is_set || matches!(connected, Poll::Ready(Ok(_))) {
            is_set |= set_nodelay(|peer| peer.port() == port);
        }
        connected
    })
    .await
}

/// Returns the options to connect to `database`, or to the server without a database.
pub(super) fn connect_options(config: &DatabaseConfig, database: Option<&str>) -> MySqlConnectOptions {
    let options = MySqlConnectOptions::new()
        .host(&config.host)
        .port(config.port)
        .username(&config.user)
        .ssl_mode(match config.tls {
            TlsMode::Disabled => MySqlSslMode::Disabled,
            TlsMode::Preferred => MySqlSslMode::Preferred,
            TlsMode::Required => MySqlSslMode::Required,
            TlsMode::VerifyCa => MySqlSslMode::VerifyCa,
            TlsMode::VerifyIdentity => MySqlSslMode::VerifyIdentity,
        })
        // The pool sets the session itself, in one statement.
        .pipes_as_concat(false)
        .no_engine_substitution(false)
        .timezone(None)
        .set_names(false)
        .log_statements(log::LevelFilter::Debug);
    let options = match &config.certificate_authority {
        Some(pem) => options.ssl_ca_from_pem(pem.clone()),
        None => options,
    };
    // An empty password is none: MariaDB refuses the hash of an empty one.
    let options = match config.password.expose_secret() {
        "" => options,
        password => options.password(password),
    };
    match database {
        Some(database) => options.database(database),
        None => options,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CERTIFICATE: &str = "MIIBfTCCASOgAwIBAgIUZ0AA";

    fn read<const N: usize>(variables: [(&str, &str); N]) -> Result<DatabaseConfig, String> {
        let base = [("DB_HOST", "db.example"), ("DB_USER", "app"), ("DB_PASSWORD", "")];
        let mut env: Env =
            base.into_iter().chain(variables).map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        let config = DatabaseConfig::read(&mut env);
        env.finish(config).map_err(|error| error.to_string())
    }

    #[test]
    fn the_ca_may_be_pem_escaped_pem_or_base64() {
        let pem = format!("{PEM_BEGIN}\n{CERTIFICATE}\n{PEM_END}\n");
        let escaped = pem.replace('\n', "\\n");
        let encoded_pem = STANDARD.encode(&pem);
        let bare = CERTIFICATE.to_owned();
        for content in [&pem, &escaped, &encoded_pem, &bare] {
            let config = read([("DB_SSL_CA_CONTENT", content)]).unwrap();
            let authority = String::from_utf8(config.certificate_authority.unwrap()).unwrap();
            assert_eq!(authority, pem, "from {content}");
            assert_eq!(config.tls, TlsMode::VerifyCa);
        }
        assert!(read([("DB_SSL_CA_CONTENT", "not base64!")]).unwrap_err().contains("DB_SSL_CA_CONTENT"));
        assert!(read([("DB_SSL_CA", "/does/not/exist")]).unwrap_err().contains("DB_SSL_CA names"));
    }

    #[test]
    fn a_ca_is_verified_in_every_mode_but_disabled() {
        for (mode, tls) in [
            ("REQUIRED", TlsMode::VerifyCa),
            ("preferred", TlsMode::VerifyCa),
            ("verify-identity", TlsMode::VerifyIdentity),
            ("DISABLED", TlsMode::Disabled),
        ] {
            let bare = CERTIFICATE.to_owned();
            assert_eq!(read([("DB_SSL_MODE", mode), ("DB_SSL_CA_CONTENT", &bare)]).unwrap().tls, tls, "{mode}");
        }
        assert!(read([("DB_SSL_MODE", "VERIFY_CA")]).unwrap_err().contains("neither DB_SSL_CA"));
        assert!(read([("DB_SSL_MODE", "sometimes")]).unwrap_err().contains("DB_SSL_MODE must be"));
        assert_eq!(read([]).unwrap().tls, TlsMode::Preferred);
    }

    #[test]
    fn the_password_is_in_no_debug_output() {
        let config = read([("DB_PORT", "3307")]).map(|config| DatabaseConfig { password: "canary".into(), ..config });
        assert!(!format!("{config:?}").contains("canary"));
    }
}
