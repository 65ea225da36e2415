//! Rehearses a failover of the database, and prints what became of the changes.

use std::{path::PathBuf, process::ExitCode};

use clap::{Parser, ValueEnum};
use rotracker_cli::output::print;
use rotracker_tests::failover::{self, FirstServer, Options, rehearse};

/// Rehearses a failover of the database while clients go on
#[derive(Parser)]
struct Arguments {
    /// The server program, instead of the installed one
    #[arg(long, value_name = "PROGRAM")]
    server: Option<PathBuf>,
    /// The address that moves to the second server
    #[arg(long, value_enum)]
    address: Vec<Address>,
    /// What becomes of the first server
    #[arg(long, value_enum, default_value = "killed")]
    first: First,
    /// The number of clients
    #[arg(long, default_value_t = 16)]
    clients: usize,
    /// The number of changes that each process acknowledges in each part of the API before the failover, and again after it
    #[arg(long, default_value_t = 200)]
    changes: usize,
}

#[derive(Clone, Copy, ValueEnum)]
enum Address {
    Proxy,
    Name,
}

#[derive(Clone, Copy, ValueEnum)]
enum First {
    /// It is killed
    Killed,
    /// It goes on, read-only
    Stays,
    /// Its packets are lost; this changes the packet filter, and needs root and a name
    Vanishes,
}

#[tokio::main]
async fn main() -> ExitCode {
    let Arguments { server, address, first, clients, changes } = Arguments::parse();
    let addresses = if address.is_empty() { vec![Address::Proxy, Address::Name] } else { address };
    let first_server = match first {
        First::Killed => FirstServer::Killed,
        First::Stays => FirstServer::Stays,
        First::Vanishes => FirstServer::Vanishes,
    };
    let mut is_sound = true;
    for address in addresses {
        let address = match address {
            Address::Proxy => failover::Address::Proxy,
            Address::Name => failover::Address::Name,
        };
        let rehearsal = rehearse(&Options { program: server.clone(), address, first_server, clients, changes }).await;
        print(&rehearsal.summary);
        for fault in &rehearsal.faults {
            print(fault);
        }
        is_sound &= rehearsal.faults.is_empty();
    }
    if is_sound { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
