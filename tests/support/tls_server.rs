//! A database server that offers TLS.

use app_core::{
    config::Env,
    db::{DatabaseConfig, Pool},
};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rotracker_cli::{
    database_server::{self, DatabaseServer},
    output::silent,
};
use tempfile::TempDir;

/// A database server with a certificate for `localhost`, and the authority that signed it.
pub struct TlsServer {
    pub server: DatabaseServer,
    /// As PEM.
    pub authority: String,
    _folder: TempDir,
}

/// Creates a certificate authority.
pub fn authority(name: &str) -> CertifiedIssuer<'static, KeyPair> {
    authority_with(name, KeyPair::generate().expect("a key"))
}

/// Creates a certificate authority with an RSA key of 4,096 bits: the first or second one of this folder.
pub fn long_authority(number: usize) -> CertifiedIssuer<'static, KeyPair> {
    let keys: [&[u8]; 2] = [include_bytes!("keys/rsa-4096-one.pk8"), include_bytes!("keys/rsa-4096-two.pk8")];
    authority_with(&format!("authority {number}"), KeyPair::try_from(keys[number]).expect("an RSA key"))
}

/// Creates a certificate authority with this key.
fn authority_with(name: &str, key: KeyPair) -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::new(Vec::new()).expect("no names are valid names");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(rcgen::DnType::CommonName, name);
    CertifiedIssuer::self_signed(params, key).expect("a certificate")
}

impl TlsServer {
    /// Starts the server.
    pub async fn start() -> Self {
        Self::start_with(&authority("the authority"), |_| {}).await
    }

    /// Starts the server with a certificate that `authority` signs after `change` has changed it.
    pub async fn start_with(
        authority: &CertifiedIssuer<'static, KeyPair>,
        change: impl FnOnce(&mut CertificateParams),
    ) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new(vec!["localhost".to_owned()]).expect("a name");
        change(&mut params);
        let certificate = params.signed_by(&key, authority).expect("a certificate");
        let file = |name: &str, content: String| {
            let path = folder.path().join(name);
            std::fs::write(&path, content).expect("a file");
            format!("--ssl-{name}={}", path.display())
        };
        let arguments =
            vec![file("ca", authority.pem()), file("cert", certificate.pem()), file("key", key.serialize_pem())];
        let server = DatabaseServer::start(database_server::Options {
            data_dir: folder.path().join("server"),
            port: None,
            also_listen: None,
            throw_away: true,
            arguments,
            progress: silent,
        })
        .await
        .expect("the server starts");
        Self { server, authority: authority.pem(), _folder: folder }
    }

    /// Creates a pool that connects to `host`, which is an address or name of this machine, with these variables.
    ///
    /// # Errors
    /// When a variable is wrong.
    pub fn pool(&self, host: &str, variables: &[(&str, &str)]) -> Result<Pool, String> {
        Ok(Pool::new(&self.config(host, variables)?, "mysql"))
    }

    /// Reads the configuration from these variables.
    ///
    /// # Errors
    /// When a variable is wrong.
    pub fn config(&self, host: &str, variables: &[(&str, &str)]) -> Result<DatabaseConfig, String> {
        let port = self.server.port.to_string();
        let base = [("DB_HOST", host), ("DB_PORT", &port), ("DB_USER", "root"), ("DB_PASSWORD", "")];
        let mut env: Env =
            base.iter().chain(variables).map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let config = DatabaseConfig::read(&mut env);
        env.finish(config).map_err(|error| error.to_string())
    }
}
