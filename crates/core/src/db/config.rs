//! The configuration of the database server and of TLS, and how to connect.

use std::{
    future::{Future, poll_fn},
    pin::pin,
    str::FromStr,
    sync::{Arc, LazyLock},
    task::Poll,
    time::Duration,
};

use base64::{Engine, engine::general_purpose::STANDARD};
use rustls::{
    RootCertStore,
    pki_types::{CertificateDer, pem::PemObject},
};
use secrecy::{ExposeSecret, SecretString};
use sqlx::{
    ConnectOptions, Connection, MySqlConnection,
    mysql::{MySqlConnectOptions, MySqlSslMode},
};

use crate::{
    config::{Env, Stage},
    sockets::{Wanted, set_nodelay_and_timeout},
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
    /// The certificates of authorities as PEM: those of `DB_SSL_CA_CONTENT` (PEM or bare base64) and of the file that `DB_SSL_CA`
    /// names. While a server changes its authority, both are needed, and two long ones fit into a file only: Lambda limits all
    /// variables together to 4 KB.
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

/// Reads the certificates of both variables. For a wrong one it returns no certificates.
fn read_certificate_authority(env: &mut Env) -> Option<Vec<u8>> {
    let content = env.optional("DB_SSL_CA_CONTENT").map(pem_from);
    let path = env.optional("DB_SSL_CA").map(str::trim).map(str::to_owned);
    if content.is_none() && path.is_none() {
        return None;
    }
    let mut all = Vec::new();
    if let Some(pem) = content {
        match check_certificates(&pem) {
            Ok(()) => all.extend(pem),
            Err(problem) => env.problem("DB_SSL_CA_CONTENT", &problem),
        }
    }
    if let Some(path) = path {
        let file = std::fs::read(&path).map_err(|error| format!("which cannot be read: {error}"));
        match file.and_then(|pem| check_certificates(&pem).map(|()| pem).map_err(|problem| format!("which {problem}")))
        {
            Ok(pem) => {
                // The last line of the content may lack its end.
                all.push(b'\n');
                all.extend(pem);
            }
            Err(problem) => env.problem("DB_SSL_CA", &format!("names {path}, {problem}")),
        }
    }
    Some(all)
}

/// Checks that `pem` has one certificate or more, all of which can be used. Otherwise every connection would fail.
///
/// # Errors
/// The problem, as the end of a sentence.
fn check_certificates(pem: &[u8]) -> Result<(), String> {
    let mut count = 0;
    for certificate in CertificateDer::pem_slice_iter(pem) {
        count += 1;
        let is_usable = certificate.is_ok_and(|certificate| RootCertStore::empty().add(certificate).is_ok());
        if !is_usable {
            return Err(format!("is damaged: its certificate number {count} cannot be read"));
        }
    }
    match count {
        0 => Err("has no PEM certificate".to_owned()),
        _ => Ok(()),
    }
}

const PEM_BEGIN: &str = "-----BEGIN CERTIFICATE-----";
const PEM_END: &str = "-----END CERTIFICATE-----";

/// Returns PEM from PEM (in which editors of environments often turn line breaks into `\n`) or from bare base64, which may be the
/// certificate itself or a whole PEM file. Other texts are returned as they are.
fn pem_from(content: &str) -> Vec<u8> {
    let content = content.replace("\\n", "\n");
    if content.contains(PEM_BEGIN) {
        return content.into_bytes();
    }
    let base64: String = content.split_whitespace().collect();
    match STANDARD.decode(&base64) {
        Ok(decoded) if decoded.starts_with(PEM_BEGIN.as_bytes()) => decoded,
        Ok(_) => format!("{PEM_BEGIN}\n{base64}\n{PEM_END}\n").into_bytes(),
        Err(_) => content.into_bytes(),
    }
}

/// Connects to `database`, or to the server without a database.
///
/// # Errors
/// When the server cannot be reached or refuses the connection.
pub async fn connect(config: &DatabaseConfig, database: Option<&str>) -> sqlx::Result<MySqlConnection> {
    connect_with(&connect_options(config, database)).await
}

/// A connection is lost if the server's machine acknowledges nothing for this long. A machine that has vanished, as in a failover, does
/// not close its connections. A request that waits for it then has time left to run its statements on the next server.
const LOST_AFTER: Duration = Duration::from_secs(6);

/// Connects with `TCP_NODELAY`, which saves 40 ms with TLS, and with a limit on the time without an acknowledgement.
pub(super) async fn connect_with(options: &MySqlConnectOptions) -> sqlx::Result<MySqlConnection> {
    /// Counts the connections that are being opened, each of which holds a clone. The static itself and the clone of this one are two.
    static OPENING: LazyLock<Arc<()>> = LazyLock::new(Arc::default);

    let opening = OPENING.clone();
    let port = options.get_port();
    let mut connecting = pin!(MySqlConnection::connect_with(options));
    let are_others_opening = || Arc::strong_count(&opening) > 2;
    let (mut is_set, mut may_be_another) = (false, false);
    poll_fn(|context| {
        let connected = connecting.as_mut().poll(context);
        // While sqlx connects, its socket cannot be reached in another way. It is found as soon as it is connected, which is before
        // TLS begins. A fast server may have answered by then, and sqlx is ready at once. If several connections are being
        // opened, the first that is found may be another one, so this looks once more at the end.
        if !is_set || (may_be_another && matches!(connected, Poll::Ready(Ok(_)))) {
            may_be_another |= are_others_opening();
            let wanted = if may_be_another { Wanted::All } else { Wanted::One };
            is_set |= set_nodelay_and_timeout(wanted, |peer| peer.port() == port, LOST_AFTER);
            may_be_another |= are_others_opening();
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

    // openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=test -days 36500
    const CERTIFICATE: &str = "MIIBdTCCARugAwIBAgIUPQRH+Q9Xx5lYNjJBtSF6R4ZENxQwCgYIKoZIzj0EAwIwDzENMAsGA1UEAwwEdGVzdDAgFw0yNjExMjgwODQ0MDBaGA8yMTI2MTEwNDA4NDQwMFowDzENMAsGA1UEAwwEdGVzdDBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABCDkLRqY0JjE4ofFoHe4IBg1wZjUvKZ5v/r0iBPczwzPjETxPelxjptP+Xvx0SoS2e2wWBIupI7fBWVIq2tsi8OjUzBRMB0GA1UdDgQWBBScsbLqPDlpVmAayuBgPy2sqQjl7TAfBgNVHSMEGDAWgBScsbLqPDlpVmAayuBgPy2sqQjl7TAPBgNVHRMBAf8EBTADAQH/MAoGCCqGSM49BAMCA0gAMEUCIASVw0OZWoT+rqWc1gBHsSLSZOyOCPD+il5KSLdDDaOiAiEAtOVZZq8Rkpc1j452zJAYDnNFJfVfYiI2/rUyT3M0NfA=";

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
    }

    #[test]
    fn a_ca_that_cannot_be_used_is_the_only_problem() {
        let pem = format!("{PEM_BEGIN}\n{CERTIFICATE}\n{PEM_END}\n");
        let cut = pem.replace(PEM_END, "");
        let damaged = format!("{pem}{}", pem.replace("MIIB", "MIIC"));
        let key = pem.replace("CERTIFICATE", "PRIVATE KEY");
        let file = std::env::temp_dir().join(format!("rotracker-ca-{}.pem", std::process::id()));
        let path = file.to_str().unwrap();
        for (content, problem) in [
            ("not base64!", "has no PEM certificate"),
            ("bm8gY2VydGlmaWNhdGU=", "certificate number 1 cannot be read"),
            (&cut, "certificate number 1 cannot be read"),
            (&damaged, "certificate number 2 cannot be read"),
            (&key, "has no PEM certificate"),
        ] {
            std::fs::write(&file, content).unwrap();
            let is_bare = !content.contains("-----") && !content.contains('!');
            let of_file = if is_bare { "has no PEM certificate" } else { problem };
            for (variable, named, problem) in [
                (("DB_SSL_CA_CONTENT", content), "DB_SSL_CA_CONTENT ", problem),
                (("DB_SSL_CA", path), &*format!("DB_SSL_CA names {path}, which "), of_file),
            ] {
                let error = read([("DB_SSL_MODE", "VERIFY_IDENTITY"), variable]).unwrap_err();
                assert!(error.contains(named) && error.contains(problem), "{content}: {error}");
                assert_eq!(error.lines().count(), 2, "{error}");
            }
        }
        std::fs::remove_file(&file).unwrap();
        assert!(read([("DB_SSL_CA", path)]).unwrap_err().contains("which cannot be read"));
    }

    #[test]
    fn the_certificates_of_both_variables_count() {
        let pem = format!("{PEM_BEGIN}\n{CERTIFICATE}\n{PEM_END}");
        let file = std::env::temp_dir().join(format!("rotracker-two-cas-{}.pem", std::process::id()));
        std::fs::write(&file, format!("{pem}\n{pem}")).unwrap();
        let config = read([("DB_SSL_CA", file.to_str().unwrap()), ("DB_SSL_CA_CONTENT", &pem)]).unwrap();
        std::fs::remove_file(&file).unwrap();
        let authority = config.certificate_authority.unwrap();
        assert_eq!(CertificateDer::pem_slice_iter(&authority).filter(Result::is_ok).count(), 3);
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
