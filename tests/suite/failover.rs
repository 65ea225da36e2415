//! A failover of the database, in its short form. `cargo run -p rotracker-tests --example failover` is the long one.

#![expect(clippy::print_stdout, reason = "the summary says more than the assertions")]

use std::time::Duration;

use rotracker_tests::failover::{Address, FirstServer, Options, rehearse};

async fn rehearse_with(address: Address, first_server: FirstServer) {
    let rehearsal = rehearse(&Options { program: None, address, first_server, clients: 8, changes: 10 }).await;
    println!("{}", rehearsal.summary);
    assert_eq!(rehearsal.faults, Vec::<String>::new());
    for (name, time) in rehearsal.recovery {
        assert!(time < Duration::from_secs(5), "{name} took {time:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_change_is_lost_or_doubled_when_a_proxy_moves() {
    rehearse_with(Address::Proxy, FirstServer::Killed).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_change_is_lost_or_doubled_when_a_name_moves() {
    rehearse_with(Address::Name, FirstServer::Killed).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_change_is_lost_or_doubled_when_the_first_server_stays() {
    rehearse_with(Address::Name, FirstServer::Stays).await;
}
