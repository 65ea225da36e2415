//! `rotracker import`: imports another database, workbooks or CSV files, and keeps every original row.
//!
//! | File | What it has |
//! |---|---|
//! | `source` | reading: the tables, rows and values of a source |
//! | `layout`, `mapping` | which tables and columns are understood, by their names or by `--map` |
//! | `convert`, `row_reader` | how values are read and corrected |
//! | `orders`, `parts`, `plain_tables` | the kinds of rows: how they are read, inserted and updated |
//! | `plan` | the first look at the source: which rows are imported, skipped or rejected |
//! | `run`, `locks` | an import from its beginning to its end |
//! | `pass`, `index_rows`, `target`, `merge` | importing the rows in batches, and merging them with what people changed |
//! | `mended` | rejected rows that people have mended |
//! | `import_rows`, `matching`, `edited` | the table `import_rows`, and how a row of the source is found in it again |
//! | `report`, `originals` | what people read afterwards |

mod convert;
mod edited;
mod import_rows;
mod index_rows;
mod layout;
mod locks;
mod mapping;
mod matching;
mod mended;
mod merge;
mod orders;
mod originals;
mod parts;
mod pass;
mod plain_tables;
mod plan;
mod report;
mod row_reader;
mod run;
mod source;
mod target;

use std::{env, fs::File, io::Write, path::PathBuf, process::ExitCode};

use anyhow::{Context, Result};
use app_core::{
    clock::Clock,
    config::{Env, business_time_zone},
};

pub(crate) use import_rows::check;
pub use report::{RejectedFiles, Report, RowReport, SumReport, TableReport};
pub use row_reader::Correction;
pub use run::{Import, OnConflict};
pub use source::{Value, sheets};
pub use target::Class;

use crate::{migrate::Databases, output};

/// The exit status of an import that rejected rows.
const REJECTED: u8 = 3;

/// The options of `rotracker import`.
#[derive(Clone, Debug, clap::Args)]
pub struct Options {
    /// The database to read, as mysql://user@host:port/name (its password is in IMPORT_DB_PASSWORD), or files: .xlsx, .xlsm, .xls, .ods
    /// or .csv, also files of rejected rows that were mended
    #[arg(required_unless_present = "originals", value_name = "SOURCE")]
    pub sources: Vec<String>,
    /// A file that says what tables and columns hold that are not understood by their names
    #[arg(long = "map", value_name = "FILE")]
    pub mapping: Option<PathBuf>,
    /// Write such a file, to be filled in, for what is not understood, and import nothing
    #[arg(long, value_name = "FILE", conflicts_with_all = ["dry_run", "report"])]
    pub map_template: Option<PathBuf>,
    /// Say what would be done and change nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Write report.html, report.json and the rejected rows into this directory
    #[arg(long, value_name = "DIR")]
    pub report: Option<PathBuf>,
    /// What to do with a field that was changed both here and in the source: keep ours and reject the row, or take the source's
    #[arg(long, value_enum, default_value = "keep")]
    pub on_conflict: OnConflict,
    /// The name of the source, by which later runs recognize its rows; its address or its file name by default
    #[arg(long, value_name = "NAME")]
    pub source_name: Option<String>,
    /// Write all rows that imports have read, as they were found, into this directory, and import nothing
    #[arg(long, value_name = "DIR", conflicts_with_all = ["sources", "dry_run", "report"])]
    pub originals: Option<PathBuf>,
}

/// Imports into the databases that the environment names, prints the summary, and returns the exit status: 0 if no row was
/// rejected, 3 if some were.
///
/// # Errors
/// When the source cannot be read, the databases cannot be written, or another import is running.
pub async fn run(options: Options) -> Result<ExitCode> {
    let databases = Databases::read(Env::of_process())?;
    if let Some(directory) = &options.originals {
        for path in originals::write(&databases, directory).await? {
            output::print(&path.display().to_string());
        }
        return Ok(ExitCode::SUCCESS);
    }
    let mut env = Env::of_process();
    let zone = business_time_zone(&mut env);
    env.finish(())?;
    // The password is no option, because other users of the machine see those.
    let password = env::var("IMPORT_DB_PASSWORD").unwrap_or_default().into();
    let import = Import {
        databases,
        sources: options.sources,
        password,
        program: env::current_exe()?,
        mapping: options.mapping,
        clock: Clock::system(zone),
        zone,
        dry_run: options.dry_run,
        on_conflict: options.on_conflict,
        source_name: options.source_name,
        report: options.report,
    };
    if let Some(path) = options.map_template {
        let template = import.mapping_template().await?;
        // A mapping that a person has filled in must not be lost.
        let file = File::create_new(&path).with_context(|| format!("{} cannot be written", path.display()));
        file?.write_all(template.as_bytes())?;
        output::print(&path.display().to_string());
        return Ok(ExitCode::SUCCESS);
    }
    let report = import.run().await?;
    for line in report.summary() {
        output::print(&line);
    }
    Ok(if report.count(Class::Rejected) == 0 { ExitCode::SUCCESS } else { ExitCode::from(REJECTED) })
}
