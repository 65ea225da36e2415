//! `rotracker`: the command line tool for developing and operating the service.

use std::process::ExitCode;

use ::migrate::error_line;
use clap::{Parser, Subcommand};
use rotracker_cli::{
    check, dev, doctor, export, import, migrate, openapi, output, prune_ai_logs, reindex, seed, serve, smoke,
};

/// Runs, migrates and fills the repair order tracker
#[derive(Debug, Parser)]
#[command(name = "rotracker", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    #[command(flatten)]
    Async(AsyncCommand),
    /// Write the rows of a workbook or CSV file as JSON lines, for `rotracker import`
    #[command(hide = true)]
    ReadSheets(import::sheets::Options),
}

/// The commands that run in Tokio.
#[derive(Debug, Subcommand)]
enum AsyncCommand {
    /// Run the whole system on this machine
    Dev(dev::Options),
    /// Serve the API from this process, without Lambda
    Serve(serve::Options),
    /// Bring the databases to the state that the functions expect
    Migrate(migrate::Options),
    /// Say what would fail in the configuration, the databases and the other services
    Doctor(doctor::Options),
    /// Compare what must agree in the databases: stock and ledger, index and tables, orders, registry and history
    Check(check::Options),
    /// Fill empty databases with sample data
    Seed,
    /// Import the rows of another database
    Import(import::Options),
    /// Export orders and parts as CSV files or Excel workbooks
    Export(export::Options),
    /// Bring the inventory's index in line with its eleven tables
    Reindex(reindex::Options),
    /// Delete old entries of the AI log
    PruneAiLogs(prune_ai_logs::Options),
    /// Test a deployed API, step by step
    Smoke(smoke::Options),
    /// Print the description of the API (OpenAPI 3.1)
    Openapi,
}

fn main() -> ExitCode {
    match Arguments::parse().command {
        // The threads of Tokio would reserve memory, which this process limits.
        Command::ReadSheets(options) => import::sheets::run(&options),
        Command::Async(command) => run(command),
    }
}

#[tokio::main]
async fn run(command: AsyncCommand) -> ExitCode {
    let result = match command {
        AsyncCommand::Import(options) => return exit(import::run(options).await),
        AsyncCommand::Export(options) => return exit(export::run(options).await),
        AsyncCommand::Check(options) => return exit(check::run(options).await),
        AsyncCommand::Doctor(options) => return exit(doctor::run(options).await),
        AsyncCommand::Smoke(options) => return exit(smoke::run(options).await),
        AsyncCommand::Dev(options) => dev::run(options).await,
        AsyncCommand::Serve(options) => serve::run(options).await,
        AsyncCommand::Migrate(options) => migrate::run(options).await,
        AsyncCommand::Seed => seed::run().await,
        AsyncCommand::Reindex(options) => reindex::run(options).await,
        AsyncCommand::PruneAiLogs(options) => prune_ai_logs::run(options).await,
        AsyncCommand::Openapi => openapi::document().map(|document| output::print(&document)),
    };
    exit(result.map(|()| ExitCode::SUCCESS))
}

/// Returns the exit status of a command, after writing its error, if it failed.
fn exit(result: anyhow::Result<ExitCode>) -> ExitCode {
    result.unwrap_or_else(|error| {
        output::progress(&format!("error: {}", error_line(&error)));
        ExitCode::FAILURE
    })
}
