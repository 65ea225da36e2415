//! The checks of the database server and the databases.

use std::{net::SocketAddr, time::Duration};

use anyhow::Result;
use app_core::{
    clock::Clock,
    db::{DatabaseConfig, TlsMode, error_number},
};
use chrono::{DateTime, NaiveDateTime, TimeDelta, Utc};
use sqlx::{FromRow, MySqlConnection, migrate::Migrator};
use tokio::{
    net::{TcpStream, lookup_host},
    time::timeout,
};

use super::{
    Account, Finding,
    grants::{Privileges, wider_scopes},
    triggers,
};
use crate::{
    databases::{Databases, connect, error_line},
    migrations::{INVENTORY, MAIN, MigrationState, exists, migration_state},
};

/// How long a name lookup or a connection may take.
const NETWORK_TIMEOUT: Duration = Duration::from_secs(5);

/// The privileges of the two accounts in `migrations/accounts.sql`.
const OF_SERVICE: [&str; 4] = ["DELETE", "INSERT", "SELECT", "UPDATE"];
const OF_MIGRATOR: [&str; 9] = ["ALTER", "CREATE", "DELETE", "DROP", "INDEX", "INSERT", "SELECT", "TRIGGER", "UPDATE"];

/// The least time for which the certificate of the server should be valid.
const CERTIFICATE_RESERVE: TimeDelta = TimeDelta::days(30);

/// The greatest difference of the clocks that does no harm.
const CLOCK_TOLERANCE: TimeDelta = TimeDelta::seconds(5);

/// Examines the server and both databases with `account`, whose name and password are in `databases`. `connections` is the most
/// that all functions open together, if that is known. Checks that depend on a failed one are left out.
pub async fn examine(databases: &Databases, account: Account, connections: Option<u64>, clock: &Clock) -> Vec<Finding> {
    let server = &databases.server;
    let mut findings = Vec::new();
    match reach(server).await {
        Ok(reached) => findings.push(reached),
        Err(unreachable) => return vec![unreachable],
    }
    let mut connection = match connect(server, None).await {
        Ok(connection) => connection,
        Err(error) => {
            findings.push(login_failed(&error));
            return findings;
        }
    };
    findings.push(Finding::ok("database login", format!("the server accepts {}", server.user)));
    match examine_server(&mut connection, databases, account, connections, clock).await {
        Ok(found) => findings.extend(found),
        Err(error) => findings.push(Finding::error("database", format!("a statement failed: {error}"))),
    }
    let names = [(&databases.main, &*MAIN), (&databases.inventory, &*INVENTORY)];
    for (name, migrator) in names {
        let check = format!("database {name}");
        match exists(&mut connection, name).await {
            Ok(true) => {}
            Ok(false) => {
                findings.push(Finding::error(
                    &check,
                    format!(
                        "{} sees no database of this name. Check DB_NAME_DEV, DB_NAME_PROD (with APP_ENV=production) and \
                         DB_NAME_INVENTORY, or create it with migrations/accounts.sql",
                        server.user
                    ),
                ));
                continue;
            }
            Err(error) => {
                findings.push(Finding::error(&check, error.to_string()));
                continue;
            }
        }
        match examine_database(databases, name, migrator, account).await {
            Ok(found) => findings.extend(found),
            Err(error) => findings.push(Finding::error(&check, error_line(&error))),
        }
    }
    findings
}

/// Compares a database with its migrations, and tries its triggers if it is up to date.
async fn examine_database(
    databases: &Databases,
    name: &str,
    migrator: &Migrator,
    account: Account,
) -> Result<Vec<Finding>> {
    let mut connection = connect(&databases.server, Some(name)).await?;
    let state = migration_state(&mut connection, migrator).await?;
    let mut findings = vec![describe_migrations(&format!("database {name}"), &state, account)];
    if matches!(state, MigrationState::UpToDate | MigrationState::Ahead(_)) {
        findings.push(triggers::examine(&mut connection, name, migrator).await);
    }
    Ok(findings)
}

/// Looks up the name of the server, and opens a TCP connection.
async fn reach(server: &DatabaseConfig) -> Result<Finding, Finding> {
    let check = "database server";
    let DatabaseConfig { host, port, .. } = server;
    let addresses: Vec<SocketAddr> = match timeout(NETWORK_TIMEOUT, lookup_host((&**host, *port))).await {
        Ok(Ok(addresses)) => addresses.collect(),
        Ok(Err(error)) => {
            let message = format!("the name {host} cannot be looked up: {error}. Check DB_HOST");
            return Err(Finding::error(check, message));
        }
        Err(_) => return Err(Finding::error(check, format!("nothing answers a lookup of the name {host}"))),
    };
    match timeout(NETWORK_TIMEOUT, TcpStream::connect(&*addresses)).await {
        Ok(Ok(stream)) => {
            let peer = stream.peer_addr().map(|peer| peer.to_string()).unwrap_or_default();
            Ok(Finding::ok(check, format!("{host}, port {port}, is reached at {peer}")))
        }
        Ok(Err(error)) => Err(Finding::error(
            check,
            format!("{host}, port {port}, cannot be reached: {error}. Check DB_PORT and whether the server runs"),
        )),
        Err(_) => Err(Finding::error(
            check,
            format!(
                "{host}, port {port}, does not answer. Check the server's list of allowed addresses, and the routes and \
                 security groups of a VPC"
            ),
        )),
    }
}

fn login_failed(error: &anyhow::Error) -> Finding {
    const TOO_MANY_CONNECTIONS: [u16; 2] = [1040, 1203];
    const ACCESS_DENIED: [u16; 2] = [1045, 1698];
    let is_tls = error.chain().any(|cause| {
        matches!(cause.downcast_ref::<sqlx::Error>(), Some(sqlx::Error::Tls(_)))
            || cause.to_string().contains("certificate")
    });
    let number = error.downcast_ref::<sqlx::Error>().and_then(error_number);
    let advice = match number {
        Some(number) if ACCESS_DENIED.contains(&number) => "Check DB_USER and DB_PASSWORD",
        Some(number) if TOO_MANY_CONNECTIONS.contains(&number) => {
            "Raise max_connections, or lower the concurrency of the functions"
        }
        _ if is_tls => {
            "Check DB_SSL_MODE, and whether DB_SSL_CA or DB_SSL_CA_CONTENT is the authority of this server and DB_HOST the \
             name in its certificate"
        }
        _ => "Check whether a database server listens there",
    };
    let check = if is_tls { "database TLS" } else { "database login" };
    Finding::error(check, format!("{}. {advice}", error_line(error)))
}

/// Runs the checks that need a connection to the server and no database.
async fn examine_server(
    connection: &mut MySqlConnection,
    databases: &Databases,
    account: Account,
    connections: Option<u64>,
    clock: &Clock,
) -> Result<Vec<Finding>, sqlx::Error> {
    let mut findings = describe_tls(&databases.server, &TlsStatus::read(connection).await?, clock.now());
    let version: String = sqlx::query_scalar("SELECT CAST(VERSION() AS CHAR)").fetch_one(&mut *connection).await?;
    findings.push(describe_version(&version));
    let grants: Vec<String> = sqlx::query_scalar("SHOW GRANTS").fetch_all(&mut *connection).await?;
    let mut names = vec![&databases.main, &databases.inventory];
    names.dedup();
    for name in names {
        findings.push(describe_privileges(name, &Privileges::on(name, &grants), account));
    }
    let wider = wider_scopes(&[&databases.main, &databases.inventory], &grants);
    if !wider.is_empty() {
        findings.push(Finding::warning(
            "privileges elsewhere",
            format!(
                "this account also has privileges on {}, which it does not need. Use the accounts of migrations/accounts.sql",
                wider.join(", ")
            ),
        ));
    }
    let max_connections: u64 =
        sqlx::query_scalar("SELECT CAST(@@max_connections AS UNSIGNED)").fetch_one(&mut *connection).await?;
    findings.push(describe_connections(max_connections, connections));
    if account == Account::Migrator {
        let binary_log = BinaryLog::read(connection).await?;
        let is_super = Privileges::on_server(&grants).missing(&["SUPER"]).is_empty();
        findings.push(describe_binary_log(binary_log, is_super));
        findings.extend(describe_owners(connection, databases).await?);
    }
    let before = clock.now();
    let time: NaiveDateTime = sqlx::query_scalar("SELECT UTC_TIMESTAMP(6)").fetch_one(&mut *connection).await?;
    findings.push(describe_clock(time.and_utc(), before, clock.now()));
    Ok(findings)
}

/// The variables of the server that describe the connection.
#[derive(Default)]
struct TlsStatus {
    /// Empty without TLS.
    version: String,
    /// The end of the certificate's validity.
    not_after: String,
}

impl TlsStatus {
    async fn read(connection: &mut MySqlConnection) -> Result<Self, sqlx::Error> {
        #[derive(FromRow)]
        #[sqlx(rename_all = "PascalCase")]
        struct Variable {
            #[sqlx(rename = "Variable_name")]
            name: String,
            value: String,
        }
        let query = "SHOW SESSION STATUS WHERE Variable_name IN ('Ssl_version', 'Ssl_server_not_after')";
        let mut status = Self::default();
        for Variable { name, value } in sqlx::query_as(query).fetch_all(connection).await? {
            match &*name.to_ascii_lowercase() {
                "ssl_version" => status.version = value,
                _ => status.not_after = value,
            }
        }
        Ok(status)
    }
}

fn describe_tls(server: &DatabaseConfig, status: &TlsStatus, now: DateTime<Utc>) -> Vec<Finding> {
    let check = "database TLS";
    let TlsStatus { version, not_after } = status;
    if version.is_empty() {
        return vec![Finding::warning(
            check,
            "the connection is not encrypted: passwords and data can be read on the way. DB_SSL_MODE=VERIFY_IDENTITY with \
             the server's authority in DB_SSL_CA or DB_SSL_CA_CONTENT encrypts and checks it",
        )];
    }
    let mut findings = vec![match server.tls {
        TlsMode::VerifyIdentity => Finding::ok(check, format!("{version}, and the certificate is for {}", server.host)),
        TlsMode::VerifyCa => Finding::warning(
            check,
            format!(
                "{version}, but the certificate may be any of its authority. DB_SSL_MODE=VERIFY_IDENTITY also checks that it is \
                 for {}",
                server.host
            ),
        ),
        TlsMode::Disabled | TlsMode::Preferred | TlsMode::Required => Finding::warning(
            check,
            format!(
                "{version}, but the certificate is not checked, so that another machine could pose as the server. \
                 DB_SSL_MODE=VERIFY_IDENTITY with the server's authority in DB_SSL_CA or DB_SSL_CA_CONTENT checks it"
            ),
        ),
    }];
    // MySQL and MariaDB write `Nov 28 08:00:00 2027 GMT`.
    let end = NaiveDateTime::parse_from_str(not_after, "%b %e %H:%M:%S %Y GMT").ok().map(|end| end.and_utc());
    if let Some(end) = end {
        let check = "database certificate";
        let until = end.format("%F");
        findings.push(if end <= now {
            Finding::error(check, format!("it expired on {until}. Install a new one on the server"))
        } else if end - now < CERTIFICATE_RESERVE {
            Finding::warning(check, format!("it expires on {until}. Install a new one on the server before"))
        } else {
            Finding::ok(check, format!("it is valid until {until}"))
        });
    }
    findings
}

fn describe_version(version: &str) -> Finding {
    let check = "database version";
    let mut numbers = version.split(['.', '-']).map_while(|number| number.parse::<u32>().ok());
    let number = (numbers.next().unwrap_or_default(), numbers.next().unwrap_or_default());
    let (name, oldest) = if version.contains("MariaDB") { ("MariaDB", (10, 11)) } else { ("MySQL", (8, 0)) };
    let described = format!("{name} {}.{}", number.0, number.1);
    if number >= oldest {
        return Finding::ok(check, described);
    }
    Finding::error(check, format!("{described} is too old. {name} {}.{} and later are supported", oldest.0, oldest.1))
}

fn describe_privileges(database: &str, privileges: &Privileges, account: Account) -> Finding {
    let check = format!("privileges on {database}");
    let (needed, name): (&[&str], _) = match account {
        Account::Service | Account::NewService => (&OF_SERVICE, "the account that serves requests"),
        Account::Migrator => (&OF_MIGRATOR, "the account that migrates"),
    };
    let missing = privileges.missing(needed);
    let beyond = privileges.beyond(needed);
    if !missing.is_empty() {
        let message = format!("{name} lacks {}. migrations/accounts.sql grants them", missing.join(", "));
        // A role may have them.
        return if privileges.has_roles { Finding::warning(&check, message) } else { Finding::error(&check, message) };
    }
    if !beyond.is_empty() {
        let named: Vec<&str> = beyond.iter().take(5).copied().collect();
        let more = if beyond.len() > named.len() { " and more" } else { "" };
        return Finding::warning(
            &check,
            format!(
                "{name} also has {}{more}, which it does not need. Use the accounts of migrations/accounts.sql",
                named.join(", ")
            ),
        );
    }
    Finding::ok(&check, format!("{name} has those that it needs on it, and no others"))
}

fn describe_connections(max_connections: u64, connections: Option<u64>) -> Finding {
    let check = "database connections";
    match connections {
        None => Finding::ok(check, format!("max_connections is {max_connections}")),
        Some(connections) if connections >= max_connections => Finding::error(
            check,
            format!(
                "the functions open up to {connections}, and max_connections is {max_connections}. Lower the concurrency of the \
                 functions or DbMaxConnections, or raise max_connections"
            ),
        ),
        Some(connections) if connections * 10 > max_connections * 8 => Finding::warning(
            check,
            format!(
                "the functions open up to {connections} of max_connections, {max_connections}, which leaves few for other programs \
                 and stages"
            ),
        ),
        Some(connections) => {
            Finding::ok(check, format!("the functions open up to {connections} of max_connections, {max_connections}"))
        }
    }
}

/// The settings that decide who may create triggers.
#[derive(Clone, Copy, FromRow)]
struct BinaryLog {
    is_on: bool,
    trusts_creators: bool,
}

impl BinaryLog {
    async fn read(connection: &mut MySqlConnection) -> Result<Self, sqlx::Error> {
        let query = "SELECT @@log_bin = 1 AS is_on, @@log_bin_trust_function_creators = 1 AS trusts_creators";
        sqlx::query_as(query).fetch_one(connection).await
    }
}

fn describe_binary_log(binary_log: BinaryLog, is_super: bool) -> Finding {
    let check = "database triggers";
    if binary_log.is_on && !binary_log.trusts_creators && !is_super {
        return Finding::error(
            check,
            "the server writes a binary log, so that this account may create no trigger. Set log_bin_trust_function_creators = 1",
        );
    }
    Finding::ok(check, "this account may create them")
}

/// Says which accounts own the triggers. They run with their owner's rights.
async fn describe_owners(connection: &mut MySqlConnection, databases: &Databases) -> Result<Vec<Finding>, sqlx::Error> {
    let check = "owner of the triggers";
    let owners = "
        SELECT DISTINCT CAST(DEFINER AS CHAR) AS owner, DEFINER = CURRENT_USER() AS is_this
        FROM information_schema.TRIGGERS
        WHERE TRIGGER_SCHEMA IN (?, ?) AND DEFINER IS NOT NULL
        ORDER BY owner";
    #[derive(FromRow)]
    struct Owner {
        owner: String,
        is_this: bool,
    }
    let owners: Vec<Owner> =
        sqlx::query_as(owners).bind(&databases.main).bind(&databases.inventory).fetch_all(connection).await?;
    Ok(owners
        .into_iter()
        .map(|Owner { owner, is_this }| match is_this {
            true => Finding::ok(check, format!("{owner}, the account that migrates")),
            false => Finding::warning(
                check,
                format!(
                    "some belong to {owner} and run with its rights. Do not drop that account, nor take its privileges"
                ),
            ),
        })
        .collect())
}

fn describe_clock(server: DateTime<Utc>, before: DateTime<Utc>, after: DateTime<Utc>) -> Finding {
    let check = "database clock";
    let difference = if server < before { before - server } else { (server - after).max(TimeDelta::zero()) };
    if difference > CLOCK_TOLERANCE {
        return Finding::warning(
            check,
            format!(
                "it differs from that of this machine by {} seconds. Entries of other programs then seem to come earlier or later",
                difference.num_seconds()
            ),
        );
    }
    Finding::ok(check, "it agrees with that of this machine")
}

fn describe_migrations(check: &str, state: &MigrationState, account: Account) -> Finding {
    match state {
        MigrationState::UpToDate => Finding::ok(check, "all migrations are applied"),
        MigrationState::Ahead(versions) => {
            Finding::warning(check, format!("it is {}", crate::migrations::ahead_by(versions)))
        }
        MigrationState::Behind { pending, is_new: true } if account == Account::NewService => {
            Finding::warning(check, format!("{pending} are not applied. The deployment applies them"))
        }
        MigrationState::Behind { pending, .. } => {
            let message = format!("{pending} are not applied. `rotracker migrate` applies them");
            match account {
                Account::Service | Account::NewService => Finding::error(check, message),
                Account::Migrator => Finding::warning(check, message),
            }
        }
        MigrationState::Incomplete(reason) | MigrationState::Refused(reason) => Finding::error(check, reason.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::{super::Status, *};

    #[test]
    fn versions_before_mysql_8_and_mariadb_10_11_are_too_old() {
        for (version, status) in [
            ("8.0.35", Status::Ok),
            ("9.4.0-commercial", Status::Ok),
            ("5.7.44-log", Status::Error),
            ("10.11.6-MariaDB-1", Status::Ok),
            ("11.4.2-MariaDB", Status::Ok),
            ("10.6.18-MariaDB", Status::Error),
            ("unknown", Status::Error),
        ] {
            assert_eq!(describe_version(version).status, status, "{version}");
        }
    }

    #[test]
    fn a_binary_log_keeps_ordinary_accounts_from_creating_triggers() {
        for (is_on, trusts_creators, is_super, status) in [
            (true, false, false, Status::Error),
            (true, true, false, Status::Ok),
            (true, false, true, Status::Ok),
            (false, false, false, Status::Ok),
        ] {
            assert_eq!(describe_binary_log(BinaryLog { is_on, trusts_creators }, is_super).status, status);
        }
    }

    #[test]
    fn clocks_may_differ_by_seconds() {
        let at = |second: &str| format!("2024-11-15T12:00:{second}Z").parse().unwrap();
        for (server, status) in [
            ("10", Status::Ok),
            ("12", Status::Ok),
            ("06", Status::Ok),
            ("04", Status::Warning),
            ("18", Status::Warning),
        ] {
            assert_eq!(describe_clock(at(server), at("10"), at("12")).status, status, "{server}");
        }
    }

    #[test]
    fn most_connections_are_left_to_others() {
        for (connections, status) in
            [(None, Status::Ok), (Some(80), Status::Ok), (Some(81), Status::Warning), (Some(100), Status::Error)]
        {
            assert_eq!(describe_connections(100, connections).status, status, "{connections:?}");
        }
    }
}
