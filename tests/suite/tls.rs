//! Encrypted connections to the database, verified against the given authority.

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
struct TlsServer {
    server: DatabaseServer,
    authority: String,
    _folder: TempDir,
}

fn authority(name: &str) -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(rcgen::DnType::CommonName, name);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

async fn start() -> TlsServer {
    let folder = tempfile::tempdir().unwrap();
    let authority = authority("the authority");
    let key = KeyPair::generate().unwrap();
    let certificate =
        CertificateParams::new(vec!["localhost".to_owned()]).unwrap().signed_by(&key, &authority).unwrap();
    let file = |name: &str, content: String| {
        let path = folder.path().join(name);
        std::fs::write(&path, content).unwrap();
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
    .unwrap();
    TlsServer { server, authority: authority.pem(), _folder: folder }
}

impl TlsServer {
    /// The cipher of a connection with these variables, or the error.
    async fn cipher(&self, host: &str, variables: &[(&str, &str)]) -> Result<String, String> {
        let port = self.server.port.to_string();
        let base = [("DB_HOST", host), ("DB_PORT", &port), ("DB_USER", "root"), ("DB_PASSWORD", "")];
        let mut env: Env =
            base.iter().chain(variables).map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let config = DatabaseConfig::read(&mut env);
        let config = env.finish(config).map_err(|error| error.to_string())?;
        let mut connection = Pool::new(&config, "mysql").acquire().await.map_err(|error| error.to_string())?;
        let row: Result<(String, String), _> =
            sqlx::query_as("SHOW SESSION STATUS LIKE 'Ssl_cipher'").fetch_one(&mut *connection).await;
        row.map(|(_, cipher)| cipher).map_err(|error| error.to_string())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_server_certificate_must_match_the_ca() {
    let tls = start().await;
    let good = tls.authority.as_str();
    let bad = authority("another authority").pem();
    for (host, variables, encrypted) in [
        ("localhost", vec![("DB_SSL_CA_CONTENT", good)], Some(true)),
        ("127.0.0.1", vec![("DB_SSL_CA_CONTENT", good)], Some(true)),
        ("127.0.0.1", vec![("DB_SSL_CA_CONTENT", good), ("DB_SSL_MODE", "REQUIRED")], Some(true)),
        ("localhost", vec![("DB_SSL_CA_CONTENT", good), ("DB_SSL_MODE", "VERIFY_IDENTITY")], Some(true)),
        ("127.0.0.1", vec![("DB_SSL_CA_CONTENT", good), ("DB_SSL_MODE", "VERIFY_IDENTITY")], None),
        ("localhost", vec![("DB_SSL_CA_CONTENT", bad.as_str())], None),
        ("localhost", vec![("DB_SSL_CA_CONTENT", bad.as_str()), ("DB_SSL_MODE", "REQUIRED")], None),
        ("localhost", vec![("DB_SSL_MODE", "REQUIRED")], Some(true)),
        ("localhost", vec![("DB_SSL_MODE", "DISABLED")], Some(false)),
    ] {
        let cipher = tls.cipher(host, &variables).await;
        let found = cipher.as_ref().ok().map(|cipher| !cipher.is_empty());
        let mode: Vec<_> = variables.iter().filter(|(name, _)| *name == "DB_SSL_MODE").collect();
        assert_eq!(found, encrypted, "{host} {mode:?}: {cipher:?}");
    }
    // The authority may be given as a file, or as bare base64 lines as some consoles show it.
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ca.pem");
    std::fs::write(&path, good).unwrap();
    let path = path.to_string_lossy().into_owned();
    let bare: String = good.lines().filter(|line| !line.starts_with("-----")).collect();
    for variable in [("DB_SSL_CA", path.as_str()), ("DB_SSL_CA_CONTENT", bare.as_str())] {
        let cipher = tls.cipher("localhost", &[variable]).await;
        assert!(cipher.as_ref().is_ok_and(|cipher| !cipher.is_empty()), "{}: {cipher:?}", variable.0);
    }
}
