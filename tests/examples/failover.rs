//! Rehearses a failover of the database, and prints what became of the changes.

use std::{path::PathBuf, process::ExitCode};

use clap::Parser;
use rotracker_cli::output::print;
use rotracker_tests::failover::{Address, FirstServer, Options, rehearse};

/// Rehearses a failover of the database while clients go on
#[derive(Parser)]
struct Arguments {
    /// The server program, instead of the installed one
    #[arg(long, value_name = "PROGRAM")]
    server: Option<PathBuf>,
    /// The address that moves to the second server; without it, one rehearsal for each
    #[arg(long, value_enum)]
    address: Vec<Address>,
    /// What becomes of the first server
    #[arg(long, value_enum, default_value = "killed")]
    first: FirstServer,
    /// The number of clients
    #[arg(long, default_value_t = 16)]
    clients: usize,
    /// The number of changes that each process acknowledges in each part of the API before the failover, and again after it
    #[arg(long, default_value_t = 200)]
    changes: usize,
}

#[tokio::main]
async fn main() -> ExitCode {
    let Arguments { server, address, first: first_server, clients, changes } = Arguments::parse();
    let addresses = if address.is_empty() { vec![Address::Proxy, Address::Name] } else { address };
    let mut is_sound = true;
    for address in addresses {
        let rehearsal = rehearse(&Options { program: server.clone(), address, first_server, clients, changes }).await;
        print(&rehearsal.summary);
        for fault in &rehearsal.faults {
            print(fault);
        }
        is_sound &= rehearsal.faults.is_empty();
    }
    if is_sound { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
