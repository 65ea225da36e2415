//! `rotracker migrate`: brings the databases to the state that the functions expect, live ones of the Node service
//! included.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use app_core::{
    config::{Env, Stage},
    db::{self, DatabaseConfig, Pool, adoption::Findings},
};
use futures_util::future::BoxFuture;
use sqlx::{
    ConnectOptions, Executor, MySqlConnection,
    migrate::{Migrate, MigrateError, Migrator},
};

use crate::say::print;

/// What becomes of one kind of database.
struct Plan {
    migrator: Migrator,
    /// Says what stands in the way in a database that another program filled.
    inspect: for<'c> fn(&'c mut MySqlConnection) -> BoxFuture<'c, sqlx::Result<Findings>>,
}

/// The main database: repair orders and AI logs.
static MAIN: Plan = Plan {
    migrator: sqlx::migrate!("../../migrations/main"),
    inspect: |connection| {
        Box::pin(async move {
            let mut findings = ros::adoption::inspect(connection).await?;
            findings.append(ai_logs::adoption::inspect(connection).await?);
            Ok(findings)
        })
    },
};

/// The inventory database.
static INVENTORY: Plan = Plan {
    migrator: sqlx::migrate!("../../migrations/inventory"),
    inspect: |connection| Box::pin(async move { inventory::adoption::inspect(connection).await }),
};

/// Where sqlx remembers what was applied.
const APPLIED_TABLE: &str = "_sqlx_migrations";

/// The lock under which a database is migrated; names of locks are the server's, and hold 64 characters.
const LOCK: &str = "SELECT GET_LOCK(CONCAT('rotracker ', LEFT(SHA2(DATABASE(), 256), 40)), ?)";
const UNLOCK: &str = "DO RELEASE_LOCK(CONCAT('rotracker ', LEFT(SHA2(DATABASE(), 256), 40)))";

/// How long to wait for another program's migration.
const LOCK_TIMEOUT: Duration = Duration::from_mins(10);

/// What `rotracker migrate` takes.
#[derive(Clone, Copy, Debug, clap::Args)]
pub struct Options {
    /// List what would be applied and change nothing
    #[arg(long)]
    pub dry_run: bool,
}

/// The databases of one installation.
#[derive(Clone, Debug)]
pub struct Databases {
    /// The server.
    pub server: DatabaseConfig,
    /// The main database.
    pub main: String,
    /// The inventory database.
    pub inventory: String,
}

impl Databases {
    /// Reads the environment.
    ///
    /// # Errors
    /// One error that names every missing or malformed variable.
    pub fn read(mut env: Env) -> Result<Self> {
        let stage = Stage::read(&mut env);
        let databases = Self {
            server: DatabaseConfig::read(&mut env),
            main: DatabaseConfig::main_database(&mut env, stage),
            inventory: DatabaseConfig::inventory_database(&mut env),
        };
        Ok(env.finish(databases)?)
    }
}

/// Runs the command on the databases that the environment names.
///
/// # Errors
/// When a database cannot be reached, or must not be migrated as it is; the error says why and what to do.
pub async fn run(options: Options) -> Result<()> {
    let databases = Databases::read(Env::of_process())?;
    migrate_all(&databases, options).await
}

/// Migrates all databases of `databases`, creating the ones that are missing.
///
/// # Errors
/// As [`run`].
pub async fn migrate_all(databases: &Databases, options: Options) -> Result<()> {
    for (name, plan) in [(&databases.main, &MAIN), (&databases.inventory, &INVENTORY)] {
        if !ensure_database(&databases.server, name, options).await? {
            print(&format!("{name}: would be created"));
            for migration in plan.migrator.iter() {
                print(&format!("{name}: would apply {:04} {}", migration.version, migration.description));
            }
            continue;
        }
        let pool = Pool::new(&databases.server, name);
        let migrated = migrate(&pool, name, plan, options).await;
        pool.close();
        migrated.with_context(|| format!("the database {name} was not migrated"))?;
    }
    Ok(())
}

/// Migrates the main database behind `pool`, printing nothing. For tests.
///
/// # Errors
/// As [`run`].
pub async fn migrate_main(pool: &Pool) -> Result<()> {
    apply(&mut *pool.acquire().await?, &MAIN.migrator).await
}

/// Migrates the inventory database behind `pool`, printing nothing. For tests.
///
/// # Errors
/// As [`run`].
pub async fn migrate_inventory(pool: &Pool) -> Result<()> {
    apply(&mut *pool.acquire().await?, &INVENTORY.migrator).await
}

/// Whether the database is there, after creating it where it was not and `options` allow.
async fn ensure_database(server: &DatabaseConfig, name: &str, options: Options) -> Result<bool> {
    let unreachable = || format!("the database server {}:{} cannot be used", server.host, server.port);
    let mut connection = db::connect_options(server, None).connect().await.with_context(unreachable)?;
    let exists: Option<i64> = sqlx::query_scalar("SELECT 1 FROM information_schema.SCHEMATA WHERE SCHEMA_NAME = ?")
        .bind(name)
        .fetch_optional(&mut connection)
        .await
        .with_context(unreachable)?;
    if exists.is_none() && !options.dry_run {
        let quoted = name.replace('`', "``");
        let create = format!("CREATE DATABASE `{quoted}` CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_520_ci");
        // A name cannot be bound; this one comes from the operator and is quoted.
        connection
            .execute(sqlx::raw_sql(sqlx::AssertSqlSafe(create)))
            .await
            .with_context(|| format!("the database {name} does not exist and cannot be created"))?;
        print(&format!("{name}: created"));
    }
    Ok(exists.is_some() || !options.dry_run)
}

async fn migrate(pool: &Pool, name: &str, plan: &Plan, options: Options) -> Result<()> {
    let mut connection = pool.acquire().await?;
    // Two programs may start to migrate at once; the second waits here and then finds nothing to do. sqlx's own lock
    // waits "-1 seconds", which MariaDB takes for an error and not for ever.
    let lock: Option<i64> = sqlx::query_scalar(LOCK).bind(LOCK_TIMEOUT.as_secs()).fetch_one(&mut *connection).await?;
    if lock != Some(1) {
        bail!("another program has been migrating it for {} minutes; look at that", LOCK_TIMEOUT.as_secs() / 60);
    }
    let migrated = migrate_locked(&mut connection, name, plan, options).await;
    sqlx::query(UNLOCK).execute(&mut *connection).await?;
    migrated
}

async fn migrate_locked(connection: &mut MySqlConnection, name: &str, plan: &Plan, options: Options) -> Result<()> {
    let pending = pending(connection, &plan.migrator).await?;
    if pending.is_empty() {
        print(&format!("{name}: up to date"));
        return Ok(());
    }
    let findings = (plan.inspect)(connection).await?;
    for remark in &findings.remarks {
        print(&format!("{name}: {remark}"));
    }
    if !findings.obstacles.is_empty() {
        bail!("{}\nNothing has been changed.", findings.obstacles.join("\n\n"));
    }
    if options.dry_run {
        for (version, description) in pending {
            print(&format!("{name}: would apply {version:04} {description}"));
        }
        return Ok(());
    }
    apply(connection, &plan.migrator).await?;
    for (version, description) in pending {
        print(&format!("{name}: applied {version:04} {description}"));
    }
    Ok(())
}

/// What is still to apply; refuses a database whose applied migrations are not ours.
async fn pending(connection: &mut MySqlConnection, migrator: &Migrator) -> Result<Vec<(i64, String)>> {
    let is_new: Option<i64> = sqlx::query_scalar(
        "SELECT 1 FROM information_schema.TABLES WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = ?",
    )
    .bind(APPLIED_TABLE)
    .fetch_optional(&mut *connection)
    .await?;
    let (applied, unfinished) = if is_new.is_none() {
        (Vec::new(), None)
    } else {
        (connection.list_applied_migrations(APPLIED_TABLE).await?, connection.dirty_version(APPLIED_TABLE).await?)
    };
    for applied in &applied {
        match migrator.iter().find(|ours| ours.version == applied.version) {
            Some(ours) if ours.checksum != applied.checksum => return Err(changed(applied.version)),
            Some(_) => {}
            None => bail!(
                "Migration {:04} was applied to it, but this program does not know it. Use the version of the program \
                 that does.",
                applied.version
            ),
        }
    }
    let is_done = |version| Some(version) != unfinished && applied.iter().any(|applied| applied.version == version);
    Ok(migrator
        .iter()
        .filter(|migration| !is_done(migration.version))
        .map(|migration| (migration.version, migration.description.to_string()))
        .collect())
}

fn changed(version: i64) -> anyhow::Error {
    anyhow::anyhow!(
        "Migration {version:04} was applied to it in another wording than this program has. Migrations are added and \
         never edited: use the version of the program that was applied, or restore the file."
    )
}

async fn apply(connection: &mut MySqlConnection, migrator: &Migrator) -> Result<()> {
    connection.ensure_migrations_table(APPLIED_TABLE).await?;
    // A migration that was cut off is remembered as unfinished. Ours can be run again (see migrations/README.md).
    sqlx::query("DELETE FROM _sqlx_migrations WHERE success = FALSE").execute(&mut *connection).await?;
    match migrator.run_direct(None, connection, false).await {
        Ok(()) => Ok(()),
        Err(MigrateError::VersionMismatch(version)) => Err(changed(version)),
        Err(MigrateError::ExecuteMigration(error, version)) => Err(anyhow::Error::new(error).context(format!(
            "Migration {version:04} failed. Everything before it is applied; mend the cause and run the migration \
             again, it will go on from there."
        ))),
        Err(error) => Err(error.into()),
    }
}
