//! Runs a limiter in a separate process. For each user name on its standard input, it sends as many concurrent requests
//! as its argument says, and prints how many were admitted, refused and failed.

use std::{io, time::Duration};

use ai::limiter::{Limiter, LimiterConfig, config::Timeouts};
use anyhow::{Context, Result};
use app_core::{clock::Clock, config::Env};
use futures_util::future::join_all;
use rotracker_cli::output::print;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let requests: usize = std::env::args().nth(1).context("how many requests?")?.parse()?;
    let mut env = Env::of_process();
    let mut config = LimiterConfig::read(&mut env);
    // This many concurrent requests on few cores exceed the usual timeout, and all must reach the store.
    config.store.timeouts = Timeouts { attempt: Duration::from_secs(60), total: Duration::from_secs(120) };
    config.cached_refusals = 0;
    let limiter = Limiter::new(&env.finish(config)?, Clock::system(chrono_tz::Tz::UTC));
    for user in io::stdin().lines() {
        let user = user?;
        let decisions = join_all((0..requests).map(|_| limiter.admit(&user))).await;
        let admitted = decisions.iter().flatten().filter(|decision| decision.may_proceed()).count();
        let failed = decisions.iter().filter(|decision| decision.is_err()).count();
        print(&format!("{admitted} {} {failed}", requests - admitted - failed));
    }
    Ok(())
}
