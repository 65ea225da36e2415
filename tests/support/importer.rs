//! An installation and a database to import into it.

use std::{path::PathBuf, process::Stdio};

use rotracker_cli::{
    import::{Class, Import, OnConflict, Report},
    migrate::Databases,
};
use secrecy::ExposeSecret;
use tempfile::TempDir;
use tokio::process::Command;

use crate::{
    App, TestDatabase,
    app::clock,
    database::{execute, server},
    emulator::binary,
};

/// The live database's tables, with rows as untidy as the real ones.
pub const LIVE_DATABASE: &str = include_str!("../data/live-database.sql");

/// An installation and the database that is imported into it.
pub struct Importer {
    pub source: TestDatabase,
    pub ros: App,
    pub inventory: App,
    pub on_conflict: OnConflict,
    pub dry_run: bool,
    pub source_name: Option<String>,
    /// The files that are imported instead of the database.
    pub files: Vec<PathBuf>,
    pub mapping: Option<PathBuf>,
    program: PathBuf,
    /// The directory of the reports.
    pub reports: TempDir,
}

impl Importer {
    /// An empty installation, and the live database with its rows.
    pub async fn start() -> Self {
        let importer = Self::without_rows().await;
        importer.change_source(rows_of_the_live_database()).await;
        importer
    }

    /// An empty installation, and the live database without rows.
    pub async fn without_rows() -> Self {
        let source = TestDatabase::empty().await;
        let tables = LIVE_DATABASE.split("INSERT INTO").next().expect("the tables come first");
        execute(&mut source.connect().await, tables).await;
        Self::of(source).await
    }

    /// An empty installation, and `source`.
    pub async fn of(source: TestDatabase) -> Self {
        let (ros, inventory) = (App::start().await, App::inventory().await);
        Self {
            source,
            ros,
            inventory,
            on_conflict: OnConflict::Keep,
            dry_run: false,
            source_name: None,
            files: Vec::new(),
            mapping: None,
            program: binary("rotracker").await,
            reports: tempfile::tempdir().expect("a temporary directory"),
        }
    }

    /// The import, as the command line describes it.
    pub fn import(&self) -> Import {
        Import {
            databases: self.databases(),
            sources: if self.files.is_empty() {
                vec![source_address(&self.source.name)]
            } else {
                self.files.iter().map(|file| file.to_str().expect("a name in UTF-8").to_owned()).collect()
            },
            program: self.program.clone(),
            mapping: self.mapping.clone(),
            password: server().password.expose_secret().into(),
            clock: clock(),
            zone: chrono_tz::Tz::America__New_York,
            dry_run: self.dry_run,
            on_conflict: self.on_conflict,
            source_name: self.source_name.clone(),
            report: Some(self.reports.path().to_owned()),
        }
    }

    pub fn databases(&self) -> Databases {
        Databases {
            server: server().clone(),
            main: self.ros.database.name.clone(),
            inventory: self.inventory.database.name.clone(),
        }
    }

    /// Imports, and returns the report or the text that users see.
    pub async fn try_run(&self) -> Result<Report, String> {
        self.import().run().await.map_err(|error| format!("{error:#}"))
    }

    /// Imports.
    pub async fn run(&self) -> Report {
        self.try_run().await.unwrap_or_else(|error| panic!("{error}"))
    }

    /// `rotracker import` with `arguments`, as its users run it.
    pub async fn command(&self, arguments: &[&str]) -> Command {
        let databases = self.databases();
        let server = &databases.server;
        let password = server.password.expose_secret();
        let mut command = Command::new(binary("rotracker").await);
        command.arg("import").args(arguments).stdin(Stdio::null()).kill_on_drop(true).env_clear().envs([
            ("DB_HOST", &*server.host),
            ("DB_PORT", &server.port.to_string()),
            ("DB_USER", &server.user),
            ("DB_PASSWORD", password),
            ("DB_NAME_DEV", &databases.main),
            ("DB_NAME_INVENTORY", &databases.inventory),
            ("IMPORT_DB_PASSWORD", password),
            ("BUSINESS_TIME_ZONE", "America/New_York"),
        ]);
        command
    }

    /// Executes statements in the source.
    pub async fn change_source(&self, sql: &str) {
        execute(&mut self.source.connect().await, &format!("SET NAMES utf8mb4; {sql}")).await;
    }
}

/// The statements that insert the rows of [`LIVE_DATABASE`].
pub fn rows_of_the_live_database() -> &'static str {
    let start = LIVE_DATABASE.find("INSERT INTO").expect("there are rows");
    &LIVE_DATABASE[start..]
}

/// The address of a database of the server under test.
pub fn source_address(database: &str) -> String {
    let server = server();
    format!("mysql://{}@{}:{}/{database}", server.user, server.host, server.port)
}

/// The classes of a report as pairs of name and number, without those that no row has.
pub fn classes(report: &Report) -> Vec<(&'static str, u64)> {
    Class::ALL.into_iter().map(|class| (class.name(), report.count(class))).filter(|(_, rows)| *rows > 0).collect()
}

/// What the report says of a row: its class, and the reason or the corrections. Panics if the table has no such row: of rows that
/// came in as they were, the report has only the number.
pub fn outcome(report: &Report, table: &str, row: i64) -> String {
    let rows = report.rows().expect("the rows of the report");
    let Some(row) = rows.into_iter().find(|found| found.table == table && found.row == row) else {
        let found = report.tables.iter().find(|found| found.table == table);
        let found = found.unwrap_or_else(|| panic!("the report has no table {table}"));
        let named = report.rows().expect("the rows of the report").iter().filter(|row| row.table == table).count();
        assert!((named as u64) < found.rows, "the report names all rows of {table}, and has no row {row}");
        return "imported".to_owned();
    };
    let corrections = row.corrections.iter().map(|correction| {
        let stored = correction.stored.as_deref().unwrap_or("nothing");
        format!("{}: {:?} -> {stored}", correction.column, correction.found)
    });
    let said: Vec<String> = row.reason.iter().cloned().chain(corrections).collect();
    format!("{}: {}", row.class.name(), said.join("; "))
}
