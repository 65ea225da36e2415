//! Encrypted connections to the database, verified against the given authority.

use std::{
    net::SocketAddr,
    os::fd::{AsFd, RawFd},
};

use rotracker_cli::migrate::{Databases, Options, migrate_all};
use rotracker_tests::{
    anthropic::FakeAnthropic,
    dynamodb,
    emulator::{Instance, assistant_variables, binary, template_variables},
    gateway::{Call, Gateway},
    runtime_api::{Outcome, RuntimeApi},
    tls_server::{TlsServer, authority, long_authority},
};
use rustix::{
    net::{getpeername, sockopt::tcp_nodelay},
    process::{PidfdFlags, PidfdGetfdFlags, getpid, pidfd_getfd, pidfd_open},
};
use serde_json::{Value, json};

/// The cipher of a connection with these variables, or the error.
async fn cipher(tls: &TlsServer, host: &str, variables: &[(&str, &str)]) -> Result<String, String> {
    let mut connection = tls.pool(host, variables)?.acquire().await.map_err(|error| error.to_string())?;
    let row: Result<(String, String), _> =
        sqlx::query_as("SHOW SESSION STATUS LIKE 'Ssl_cipher'").fetch_one(&mut *connection).await;
    row.map(|(_, cipher)| cipher).map_err(|error| error.to_string())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_server_certificate_must_match_the_ca() {
    let tls = TlsServer::start().await;
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
        let used = cipher(&tls, host, &variables).await;
        let found = used.as_ref().ok().map(|cipher| !cipher.is_empty());
        let mode: Vec<_> = variables.iter().filter(|(name, _)| *name == "DB_SSL_MODE").collect();
        assert_eq!(found, encrypted, "{host} {mode:?}: {used:?}");
    }
    // The authority may be given as a file, or as bare base64 lines as some consoles show it.
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ca.pem");
    std::fs::write(&path, good).unwrap();
    let path = path.to_string_lossy().into_owned();
    let bare: String = good.lines().filter(|line| !line.starts_with("-----")).collect();
    for variable in [("DB_SSL_CA", path.as_str()), ("DB_SSL_CA_CONTENT", bare.as_str())] {
        let used = cipher(&tls, "localhost", &[variable]).await;
        assert!(used.as_ref().is_ok_and(|cipher| !cipher.is_empty()), "{}: {used:?}", variable.0);
    }
}

/// Whether `TCP_NODELAY` is set, for each connection of this process to a server on `port`.
fn nodelay_of_connections_to(port: u16) -> Vec<bool> {
    let this_process = pidfd_open(getpid(), PidfdFlags::empty()).unwrap();
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc/self/fd").unwrap() {
        let Ok(number) = entry.unwrap().file_name().to_string_lossy().parse::<RawFd>() else { continue };
        let Ok(socket) = pidfd_getfd(this_process.as_fd(), number, PidfdGetfdFlags::empty()) else { continue };
        let peer = getpeername(&socket).ok().flatten().and_then(|peer| SocketAddr::try_from(peer).ok());
        if peer.is_some_and(|peer| peer.port() == port) {
            found.push(tcp_nodelay(&socket).unwrap());
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn packets_are_sent_without_delay() {
    let tls = TlsServer::start().await;
    for mode in ["DISABLED", "REQUIRED"] {
        let connection = tls.pool("localhost", &[("DB_SSL_MODE", mode)]).unwrap().acquire().await.unwrap();
        assert_eq!(nodelay_of_connections_to(tls.server.port), [true], "{mode}");
        drop(connection);
    }
}

/// Starts the function `name` on the main database of `tls`, with additional `variables`.
async fn start(lambda: &RuntimeApi, name: &str, tls: &TlsServer, variables: &[(&'static str, String)]) -> Instance {
    let ours = [
        ("DB_HOST", "localhost".to_owned()),
        ("DB_PORT", tls.server.port.to_string()),
        ("DB_USER", "root".to_owned()),
        ("DB_PASSWORD", String::new()),
        ("DB_SSL_MODE", "VERIFY_IDENTITY".to_owned()),
        ("DB_NAME_DEV", "tracker".to_owned()),
        ("DB_NAME_INVENTORY", "tracker".to_owned()),
        ("APP_ENV", "development".to_owned()),
    ];
    Instance::start(&lambda.address, &binary(name).await, &[ours.as_slice(), &template_variables(), variables].concat())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn functions_accept_either_authority_while_the_server_changes_it() {
    let [old, new] = [long_authority(0), long_authority(1)];
    let tls = TlsServer::start_with(&new, |_| {}).await;
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: String| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let both = write("both.pem", format!("{}{}", old.pem(), new.pem()));
    let only_old = write("old.pem", old.pem());
    // This is why it is a file: with other variables it would not fit into the 4 KB that Lambda allows.
    assert!(old.pem().len() + new.pem().len() > 3400, "{}", old.pem().len());
    let config = tls.config("localhost", &[("DB_SSL_CA", &both)]).unwrap();
    let databases = Databases { server: config, main: "tracker".to_owned(), inventory: "tracker".to_owned() };
    migrate_all(&databases, Options { dry_run: false }).await.unwrap();

    let (anthropic, dynamodb) = (FakeAnthropic::start([]).await, dynamodb::emulator().await);
    for function in ["ros", "inventory", "ai-logs", "ai"] {
        // Without the new authority each function waits ten seconds for the server, so one is enough.
        let cas = if function == "ros" { vec![(&both, true), (&only_old, false)] } else { vec![(&both, true)] };
        for (ca, works) in cas {
            let lambda = RuntimeApi::start().await;
            let ours = assistant_variables(&anthropic.url, &dynamodb.endpoint);
            let variables = [ours.as_slice(), &[("DB_SSL_CA", ca.clone())]].concat();
            let _instance = start(&lambda, function, &tls, &variables).await;
            let Outcome::Response(posted) = lambda.invoke(&json!({ "deploymentCheck": true })).await else {
                panic!("an error")
            };
            let report = posted.read_document().await;
            assert_eq!(report["ok"], works, "{function}: {report}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_log_names_the_step_that_was_forgotten() {
    let [ours, other] = ["the authority", "another authority"].map(authority);
    let sound = TlsServer::start_with(&ours, |_| {}).await;
    let expired = TlsServer::start_with(&ours, |params| params.not_after = rcgen::date_time_ymd(2020, 1, 1)).await;
    let early = TlsServer::start_with(&ours, |params| params.not_before = rcgen::date_time_ymd(2090, 1, 1)).await;
    let ca = |pem: String| ("DB_SSL_CA_CONTENT", pem);
    for (tls, variables, hint) in [
        (&sound, vec![ca(ours.pem()), ("DB_PASSWORD", "wrong".to_owned())], "another SecretsRevision"),
        (&sound, vec![ca(ours.pem()), ("DB_USER", "nobody".to_owned())], "does not accept DB_USER and DB_PASSWORD"),
        (&sound, vec![ca(ours.pem()), ("DB_NAME_DEV", "nothing".to_owned())], "has no such database"),
        (&sound, vec![ca(other.pem())], "add the certificate of the new one"),
        (&sound, vec![ca(ours.pem()), ("DB_HOST", "127.0.0.1".to_owned())], "for another name than DB_HOST"),
        (&expired, vec![ca(ours.pem())], "has expired"),
        (&early, vec![ca(ours.pem())], "not valid yet"),
        // The database is there, but its tables are not.
        (&sound, vec![ca(ours.pem()), ("DB_NAME_DEV", "mysql".to_owned())], "run `rotracker migrate`"),
    ] {
        let lambda = RuntimeApi::start().await;
        let instance = start(&lambda, "ros", tls, &variables).await;
        let response = lambda.call(Gateway::RestApi, &Call::get("/api/ros?limit=1")).await;
        assert_eq!(response.status(), 503, "{hint}");
        let body = String::from_utf8(response.body).unwrap();
        assert!(!body.contains("DB_") && !body.contains("migrate"), "{body}");
        let log = instance.log();
        let failures: Vec<Value> = log.iter().filter_map(|line| serde_json::from_str(line).ok()).collect();
        let failed = failures.iter().find(|line| line["message"] == "request failed").unwrap();
        assert!(failed["hint"].as_str().is_some_and(|found| found.contains(hint)), "{hint}: {log:#?}");
        assert_eq!(failed["fault"], "configuration", "{hint}");
        // What is refused is known when the function starts, before anybody asks.
        let early = failures.iter().find(|line| line["message"] == "the database was not reached during start-up");
        assert_eq!(early.map(|line| &line["hint"]), (hint != "run `rotracker migrate`").then_some(&failed["hint"]));
    }
}
