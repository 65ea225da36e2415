//! Creates the databases and applies the migrations.

use std::{
    sync::{
        LazyLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use anyhow::{Context, Result, anyhow, bail};
use app_core::db::{DatabaseConfig, Pool, error_number};
use sqlx::{
    Executor, MySqlConnection,
    migrate::{Migrate, MigrateError, Migration, Migrator},
};

use crate::{
    databases::{Databases, connect, error_line},
    doctor::grants::Privileges,
    parts::missing_parts,
};

/// The main database: repair orders and AI logs.
pub(crate) static MAIN: LazyLock<Migrator> =
    LazyLock::new(|| ignoring_missing(sqlx::migrate!("../../migrations/main")));

/// The inventory database. Its versions differ from those of [`MAIN`], because both databases may be one.
pub(crate) static INVENTORY: LazyLock<Migrator> =
    LazyLock::new(|| ignoring_missing(sqlx::migrate!("../../migrations/inventory")));

/// Lets a database have the migrations of the other one, too. [`refuse_unknown_migrations`] refuses those of neither.
fn ignoring_missing(mut migrator: Migrator) -> Migrator {
    migrator.set_ignore_missing(true);
    migrator
}

/// The table in which sqlx remembers the applied migrations.
const APPLIED_TABLE: &str = "_sqlx_migrations";

/// Returns the names of all tables of this program, in lower case.
pub fn our_tables() -> impl Iterator<Item = String> {
    let created = [&*MAIN, &*INVENTORY].into_iter().flat_map(|migrator| migrator.iter().flat_map(created_tables));
    created.chain([APPLIED_TABLE]).map(str::to_lowercase)
}

/// The lock under which a database is migrated. Lock names are global to the server and have at most 64 characters.
const LOCK: &str = "SELECT GET_LOCK(CONCAT('rotracker ', LEFT(SHA2(DATABASE(), 256), 40)), ?)";
const UNLOCK: &str = "DO RELEASE_LOCK(CONCAT('rotracker ', LEFT(SHA2(DATABASE(), 256), 40)))";

/// How long to wait for another program that migrates the database.
const LOCK_TIMEOUT: Duration = Duration::from_mins(10);

/// How long a statement waits for a lock that another session holds. Requests for the table wait behind it.
const SET_LOCK_TIMEOUTS: &str = "SET SESSION lock_wait_timeout = 30, innodb_lock_wait_timeout = 30";

/// One run of the migrations.
pub struct Run {
    report: fn(&str),
    /// The id of the connection that migrates, or 0.
    connection_id: AtomicU64,
}

impl Run {
    /// Creates a run that passes each line of its report to `report`.
    pub fn new(report: fn(&str)) -> Self {
        Self { report, connection_id: AtomicU64::new(0) }
    }

    fn report(&self, line: &str) {
        (self.report)(line);
    }

    /// Returns the server's id of the connection that migrates at the moment.
    pub fn connection_id(&self) -> Option<u64> {
        match self.connection_id.load(Ordering::Relaxed) {
            0 => None,
            id => Some(id),
        }
    }
}

/// What a run has done to a database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MigratedDatabase {
    pub name: String,
    /// The number of migrations that were applied.
    pub applied: usize,
    /// The versions of migrations that a later version of this program has applied.
    pub ahead: Vec<i64>,
}

/// Says in one or two sentences what a run has done.
pub fn summary(migrated: &[MigratedDatabase]) -> String {
    let applied: Vec<String> = migrated
        .iter()
        .filter(|database| database.applied > 0)
        .map(|database| format!("{} to {}", counted(database.applied, "migration"), database.name))
        .collect();
    let mut summary = match applied.as_slice() {
        [] => "No migration had to be applied.".to_owned(),
        applied => format!("Applied {}.", applied.join(" and ")),
    };
    for (place, database) in migrated.iter().enumerate().filter(|(_, database)| !database.ahead.is_empty()) {
        // Both may be one database.
        if migrated[..place].iter().all(|other| other.name != database.name) {
            summary.push_str(&format!(" {} is {}.", database.name, ahead_by(&database.ahead)));
        }
    }
    summary
}

fn counted(number: usize, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

/// Completes a sentence about a database that a later version of this program has migrated.
pub(crate) fn ahead_by(versions: &[i64]) -> String {
    let versions: Vec<String> = versions.iter().map(|version| format!("{version:04}")).collect();
    format!("ahead of this version of the program by {}, and stays so", versions.join(", "))
}

/// Migrates `databases`, and creates those that do not exist. With `dry_run` it only reports what it would do.
///
/// # Errors
/// When a database cannot be reached or must not be migrated. The error says why and what to do.
pub async fn migrate_all(databases: &Databases, dry_run: bool, run: &Run) -> Result<Vec<MigratedDatabase>> {
    let Databases { server, main, inventory } = databases;
    // Both are checked before either is created or changed.
    let mut refusals = Vec::new();
    let checked: &[(&str, &[&Migrator])] = if main == inventory {
        &[(main, &[&MAIN, &INVENTORY])]
    } else {
        &[(main, &[&MAIN]), (inventory, &[&INVENTORY])]
    };
    for (name, migrators) in checked {
        if let Err(refusal) = check(server, name, migrators).await {
            refusals.push(format!("the database {name} was not migrated: {}", error_line(&refusal)));
        }
    }
    refusals.dedup();
    if !refusals.is_empty() {
        bail!("{}", refusals.join("\n"));
    }
    let mut done = Vec::new();
    for (name, migrator) in [(main, &*MAIN), (inventory, &*INVENTORY)] {
        if !create_database(server, name, dry_run, run).await? {
            run.report(&format!("{name}: would be created"));
            for migration in migrator.iter() {
                run.report(&format!("{name}: would apply {:04} {}", migration.version, migration.description));
            }
            continue;
        }
        let pool = Pool::new(server, name);
        let migrated = migrate(&pool, name, migrator, dry_run, run).await;
        pool.close();
        done.push(migrated.with_context(|| format!("the database {name} was not migrated"))?);
        let mut connection = connect(server, Some(name)).await?;
        if let MigrationState::Incomplete(missing) = migration_state(&mut connection, migrator).await? {
            bail!("the database {name} is not as its migrations made it: {missing}");
        }
    }
    Ok(done)
}

/// Migrates the main database behind `pool` without a message. For tests.
///
/// # Errors
/// As [`migrate_all`].
pub async fn migrate_main(pool: &Pool) -> Result<()> {
    apply(&mut *pool.acquire().await?, &MAIN).await
}

/// Migrates the inventory database behind `pool` without a message. For tests.
///
/// # Errors
/// As [`migrate_all`].
pub async fn migrate_inventory(pool: &Pool) -> Result<()> {
    apply(&mut *pool.acquire().await?, &INVENTORY).await
}

/// Refuses a database that must not be migrated. One that does not exist yet may be.
async fn check(server: &DatabaseConfig, name: &str, migrators: &[&Migrator]) -> Result<()> {
    if !exists(&mut connect(server, None).await?, name).await? {
        return Ok(());
    }
    let mut connection = connect(server, Some(name)).await?;
    let begun = begun_migrations(&mut connection).await?;
    for migrator in migrators {
        refuse_unknown_migrations(&begun, migrator)?;
    }
    refuse_foreign_tables(&mut connection, &begun).await
}

/// Returns whether the account sees a database of this name.
pub(crate) async fn exists(connection: &mut MySqlConnection, name: &str) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM information_schema.SCHEMATA WHERE SCHEMA_NAME = ?)")
        .bind(name)
        .fetch_one(connection)
        .await
}

/// What to do about a database that does not exist.
const NAME_ADVICE: &str = "Check DB_NAME_DEV, DB_NAME_PROD (with APP_ENV=production) and DB_NAME_INVENTORY, or create it with \
                           migrations/accounts.sql";

/// Creates the database if it does not exist and this is no dry run. Returns whether it exists afterwards.
async fn create_database(server: &DatabaseConfig, name: &str, dry_run: bool, run: &Run) -> Result<bool> {
    let mut connection = connect(server, None).await?;
    let exists = exists(&mut connection, name).await?;
    if !exists && dry_run {
        let grants: Vec<String> = sqlx::query_scalar("SHOW GRANTS").fetch_all(&mut connection).await?;
        let privileges = Privileges::on(name, &grants);
        if !privileges.has_roles && !privileges.missing(&["CREATE"]).is_empty() {
            bail!(
                "the database {name} does not exist, and this account lacks the privilege to create it. {NAME_ADVICE}"
            );
        }
    }
    if !exists && !dry_run {
        let quoted = name.replace('`', "``");
        let create = format!("CREATE DATABASE `{quoted}` CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_520_ci");
        // A name cannot be bound. This one comes from the operator and is quoted.
        connection
            .execute(sqlx::raw_sql(sqlx::AssertSqlSafe(create)))
            .await
            .with_context(|| format!("the database {name} does not exist and cannot be created. {NAME_ADVICE}"))?;
        run.report(&format!("{name}: created"));
    }
    Ok(exists || !dry_run)
}

/// The migrations of a database, compared with those of this program.
pub(crate) enum MigrationState {
    UpToDate,
    Behind {
        /// The names of the migrations that are not applied.
        pending: String,
        /// Whether none was applied yet.
        is_new: bool,
    },
    /// The versions that a later version of this program has applied.
    Ahead(Vec<i64>),
    /// All are applied, but tables, columns, unique keys or triggers are missing: their names, and what to do.
    Incomplete(String),
    /// Why the database must not be migrated.
    Refused(String),
}

/// Compares the migrations of a database with those of `migrator`, and changes nothing.
pub(crate) async fn migration_state(connection: &mut MySqlConnection, migrator: &Migrator) -> Result<MigrationState> {
    let begun = begun_migrations(connection).await?;
    let refusal = match refuse_unknown_migrations(&begun, migrator) {
        Ok(()) => refuse_foreign_tables(connection, &begun).await,
        refused => refused,
    };
    if let Err(refusal) = refusal {
        return Ok(MigrationState::Refused(error_line(&refusal)));
    }
    let names: Vec<String> = pending(&begun, migrator)
        .iter()
        .map(|migration| format!("{:04} {}", migration.version, migration.description))
        .collect();
    if names.is_empty()
        && let Some(missing) = missing_parts(connection, migrator).await?
    {
        return Ok(MigrationState::Incomplete(missing));
    }
    let ahead = unknown_versions(&begun);
    Ok(match (names.is_empty(), ahead.is_empty()) {
        (false, _) => MigrationState::Behind { pending: names.join(", "), is_new: begun.is_empty() },
        (true, false) => MigrationState::Ahead(ahead),
        (true, true) => MigrationState::UpToDate,
    })
}

async fn migrate(pool: &Pool, name: &str, migrator: &Migrator, dry_run: bool, run: &Run) -> Result<MigratedDatabase> {
    let mut connection = pool.acquire().await?;
    let id: u64 = sqlx::query_scalar("SELECT CAST(CONNECTION_ID() AS UNSIGNED)").fetch_one(&mut *connection).await?;
    run.connection_id.store(id, Ordering::Relaxed);
    sqlx::query(SET_LOCK_TIMEOUTS).execute(&mut *connection).await?;
    // Two programs may start to migrate at once. The second one waits here and then finds nothing to do. The lock of
    // sqlx is not used, because its timeout of -1 seconds is an error in MariaDB.
    let lock: Option<i64> = sqlx::query_scalar(LOCK).bind(LOCK_TIMEOUT.as_secs()).fetch_one(&mut *connection).await?;
    if lock != Some(1) {
        bail!("another program has been migrating it for {} minutes; check that program", LOCK_TIMEOUT.as_secs() / 60);
    }
    let migrated = migrate_locked(&mut connection, name, migrator, dry_run, run).await;
    sqlx::query(UNLOCK).execute(&mut *connection).await?;
    run.connection_id.store(0, Ordering::Relaxed);
    migrated
}

async fn migrate_locked(
    connection: &mut MySqlConnection,
    name: &str,
    migrator: &Migrator,
    dry_run: bool,
    run: &Run,
) -> Result<MigratedDatabase> {
    let begun = begun_migrations(connection).await?;
    // Another program may have migrated it since it was checked.
    refuse_unknown_migrations(&begun, migrator)?;
    let pending = pending(&begun, migrator);
    let ahead = unknown_versions(&begun);
    if !pending.is_empty() && !dry_run {
        apply(connection, migrator).await?;
    }
    if pending.is_empty() && missing_parts(connection, migrator).await?.is_none() {
        run.report(&format!("{name}: up to date"));
    }
    if !ahead.is_empty() {
        run.report(&format!("{name}: {}", ahead_by(&ahead)));
    }
    let done = if dry_run { "would apply" } else { "applied" };
    for migration in &pending {
        run.report(&format!("{name}: {done} {:04} {}", migration.version, migration.description));
    }
    Ok(MigratedDatabase { name: name.to_owned(), applied: if dry_run { 0 } else { pending.len() }, ahead })
}

/// Returns the migrations that are still to be applied, those that were cut off included.
fn pending<'m>(begun: &[BegunMigration], migrator: &'m Migrator) -> Vec<&'m Migration> {
    let is_done =
        |migration: &&Migration| begun.iter().any(|begun| begun.version == migration.version && begun.success);
    migrator.iter().filter(|migration| !is_done(migration)).collect()
}

/// Returns the versions that this program does not know.
fn unknown_versions(begun: &[BegunMigration]) -> Vec<i64> {
    let is_known = |version| MAIN.iter().chain(INVENTORY.iter()).any(|migration| migration.version == version);
    begun.iter().map(|begun| begun.version).filter(|version| !is_known(*version)).collect()
}

/// A migration in the table [`APPLIED_TABLE`].
#[derive(sqlx::FromRow)]
struct BegunMigration {
    version: i64,
    checksum: Vec<u8>,
    /// False if it was cut off. sqlx inserts the row before the first statement, whose implicit commit saves it.
    success: bool,
}

/// Returns the migrations that were applied to the database, also those that were cut off.
async fn begun_migrations(connection: &mut MySqlConnection) -> Result<Vec<BegunMigration>> {
    if !tables(connection).await?.iter().any(|table| table == APPLIED_TABLE) {
        return Ok(Vec::new());
    }
    let query = sqlx::query_as("SELECT version, checksum, success FROM _sqlx_migrations ORDER BY version");
    Ok(query.fetch_all(connection).await?)
}

/// Returns the names of all tables of the database.
async fn tables(connection: &mut MySqlConnection) -> Result<Vec<String>, sqlx::Error> {
    sqlx::query_scalar(
        "SELECT CAST(TABLE_NAME AS CHAR) FROM information_schema.TABLES WHERE TABLE_SCHEMA = DATABASE() ORDER BY 1",
    )
    .fetch_all(connection)
    .await
}

/// Refuses a database to which other migrations were applied than this program has. One that has all of `migrator` and further
/// ones was migrated by a later version, which is no error: migrations leave earlier versions working.
fn refuse_unknown_migrations(begun: &[BegunMigration], migrator: &Migrator) -> Result<()> {
    for begun in begun {
        let known = MAIN.iter().chain(INVENTORY.iter()).find(|migration| migration.version == begun.version);
        if known.is_some_and(|migration| migration.checksum != begun.checksum) {
            return Err(edited(begun.version));
        }
    }
    match (unknown_versions(begun).first(), pending(begun, migrator).first()) {
        (Some(unknown), Some(pending)) => bail!(
            "Migration {unknown:04} was applied to it, but this program does not know it, and migration {:04}, which it \
             knows, was not. Use the version of the program that knows both.",
            pending.version
        ),
        _ => Ok(()),
    }
}

/// Refuses a database that has tables with the names of ours which this program did not create.
async fn refuse_foreign_tables(connection: &mut MySqlConnection, begun: &[BegunMigration]) -> Result<()> {
    let is_begun = |migration: &Migration| begun.iter().any(|begun| begun.version == migration.version);
    let (ours, pending): (Vec<_>, Vec<_>) =
        MAIN.iter().chain(INVENTORY.iter()).partition(|migration| is_begun(migration));
    let created: Vec<&str> = ours.into_iter().flat_map(created_tables).collect();
    let to_create: Vec<&str> = pending.into_iter().flat_map(created_tables).collect();
    let is_foreign = |table: &String| {
        let has_name = |name: &&str| name.eq_ignore_ascii_case(table);
        to_create.iter().any(has_name) && !created.iter().any(has_name)
    };
    let tables = tables(connection).await?;
    let foreign: Vec<&String> = tables.iter().filter(|table| is_foreign(table)).collect();
    if foreign.is_empty() {
        return Ok(());
    }
    let names: Vec<&str> = foreign.iter().map(|table| table.as_str()).collect();
    bail!(
        "It has tables that this program did not create, with the names of those that it creates: {}. Nothing has been \
         changed.\n\
         Either create an empty database in the console of your provider, name that one instead, migrate it, and copy the data \
         with `rotracker import`.\n{}",
        names.join(", "),
        moving_aside(&names, &tables),
    )
}

/// Names of tables that were moved aside begin with this.
pub const MOVED_ASIDE: &str = "live_";

/// Says how to move the tables `foreign` aside, if the names for them are free among `tables`.
fn moving_aside(foreign: &[&str], tables: &[String]) -> String {
    let moved: Vec<(&str, String)> =
        foreign.iter().map(|name| (*name, format!("{MOVED_ASIDE}{}", name.to_lowercase()))).collect();
    let is_taken = |name: &str| tables.iter().any(|table| table.eq_ignore_ascii_case(name));
    if let Some((_, taken)) = moved.iter().find(|(_, aside)| is_taken(aside)) {
        return format!("They cannot be moved aside within the database, because it also has a table {taken}.");
    }
    let rename = |from_to: &mut dyn Iterator<Item = (&str, &str)>| {
        let quoted = |name: &str| format!("`{}`", name.replace('`', "``"));
        let renames: Vec<String> = from_to.map(|(from, to)| format!("{} TO {}", quoted(from), quoted(to))).collect();
        format!("RENAME TABLE {};", renames.join(", "))
    };
    let aside = rename(&mut moved.iter().map(|(name, aside)| (*name, aside.as_str())));
    let back = rename(&mut moved.iter().map(|(name, aside)| (aside.as_str(), *name)));
    format!(
        "Or move them aside with this statement, migrate, and copy the data from there with `rotracker import`:\n\
         {aside}\n\
         Until the database is migrated, this one brings them back:\n\
         {back}"
    )
}

/// Returns the names of the tables that a migration creates.
pub(crate) fn created_tables(migration: &Migration) -> impl Iterator<Item = &str> {
    let statements = migration.sql.as_str().lines().filter_map(|line| line.strip_prefix("CREATE TABLE IF NOT EXISTS "));
    statements.filter_map(|statement| statement.split(' ').next()).map(|name| name.trim_matches('`'))
}

fn edited(version: i64) -> anyhow::Error {
    anyhow!(
        "Migration {version:04} was applied to it with a different text. Use the version of the program \
         that applied it."
    )
}

async fn apply(connection: &mut MySqlConnection, migrator: &Migrator) -> Result<()> {
    connection.ensure_migrations_table(APPLIED_TABLE).await?;
    // Every statement of a migration can be repeated, so one that was cut off runs again from its start.
    sqlx::query("DELETE FROM _sqlx_migrations WHERE success = FALSE").execute(&mut *connection).await?;
    match migrator.run_direct(None, connection, false).await {
        Ok(()) => Ok(()),
        Err(MigrateError::VersionMismatch(version)) => Err(edited(version)),
        Err(MigrateError::ExecuteMigration(error, version)) => {
            let advice = advice(&error);
            Err(anyhow::Error::new(error).context(format!(
                "Migration {version:04} failed. Correct the cause and run the command again; it will go on from there.{advice}"
            )))
        }
        Err(error) => Err(error.into()),
    }
}

/// Returns the advice for the most likely cause of `error`.
fn advice(error: &sqlx::Error) -> &'static str {
    /// MySQL and MariaDB: access denied, command denied, or no SUPER privilege while binary logging is on.
    const DENIED: [u16; 5] = [1044, 1142, 1227, 1370, 1419];
    const LOCK_WAIT_TIMEOUT: u16 = 1205;
    match error_number(error) {
        Some(number) if DENIED.contains(&number) => {
            " The account needs CREATE, ALTER, INDEX, DROP, INSERT, UPDATE, DELETE, SELECT and TRIGGER on this database. Where \
             binary logging is on and the account has no SUPER privilege, the server needs log_bin_trust_function_creators = 1."
        }
        Some(LOCK_WAIT_TIMEOUT) => {
            " Another session held a lock on the table for half a minute; an open transaction that has only read it does so, too. SHOW \
             PROCESSLIST lists the sessions."
        }
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_migration_creates_known_tables() {
        let migrations: Vec<&Migration> = MAIN.iter().chain(INVENTORY.iter()).collect();
        for migration in &migrations {
            let first =
                migration.sql.as_str().lines().find(|line| !line.is_empty() && !line.starts_with("--")).unwrap();
            // Its implicit commit saves that the migration was begun.
            let is_ddl = ["CREATE TABLE IF NOT EXISTS ", "ALTER TABLE ", "DROP TRIGGER IF EXISTS "];
            assert!(is_ddl.iter().any(|begin| first.starts_with(begin)), "{}", migration.version);
            let tables = migration.sql.as_str().matches("CREATE TABLE").count();
            assert_eq!(created_tables(migration).count(), tables, "{}", migration.version);
        }
        let versions: BTreeSet<i64> = migrations.iter().map(|migration| migration.version).collect();
        assert_eq!(versions.len(), migrations.len(), "both databases may be one");
    }
}
