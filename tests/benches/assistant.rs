//! `cargo bench --bench assistant`: the latency that the proxy adds to Anthropic. A local fake responds at once;
//! requests go alternately to it and through the router of the function, in one run.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, missing_docs)]

use std::time::{Duration, Instant};

use rotracker_cli::local_client::local_client;
use rotracker_tests::{
    anthropic::{FakeAnthropic, Part, Script, sse},
    assistant::{Assistant, Options, chat},
};
use serde_json::json;

const ROUNDS: usize = 2_000;
const EVENTS: usize = 2_000;

fn percentile(samples: &mut [Duration], percent: usize) -> f64 {
    samples.sort_unstable();
    samples[(samples.len() - 1) * percent / 100].as_secs_f64() * 1e3
}

async fn overhead() {
    let assistant = Assistant::with(FakeAnthropic::start([]).await, Options::default()).await;
    let client = local_client().build().unwrap();
    let url = format!("{}/v1/messages", assistant.anthropic.url);
    let direct_body = json!({ "model": "m", "max_tokens": 10, "messages": [{ "role": "user", "content": "Hi" }] });
    let (mut direct, mut proxied, mut decided) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        let started = Instant::now();
        client.post(&url).json(&direct_body).send().await.unwrap().bytes().await.unwrap();
        direct.push(started.elapsed());
        // A new user for each request: the rate limit is checked and refuses none.
        let body = chat(&json!({ "userId": format!("user-{round}") }));
        let started = Instant::now();
        assert_eq!(assistant.ask(&body).await.status, 200);
        proxied.push(started.elapsed());
        let started = Instant::now();
        assert!(assistant.limiter.admit(&format!("other-{round}")).await.unwrap().may_proceed());
        decided.push(started.elapsed());
    }
    println!("| | p50 ms | p99 ms |\n|---|---|---|");
    let line = |case: &str, samples: &mut Vec<Duration>| {
        let (p50, p99) = (percentile(samples, 50), percentile(samples, 99));
        println!("| {case} | {p50:.3} | {p99:.3} |");
        (p50, p99)
    };
    let direct = line("the fake, asked directly", &mut direct);
    let proxied = line("through the proxy, rate limit included", &mut proxied);
    let decided = line("the rate limit's decision alone (emulator)", &mut decided);
    println!("| added by the proxy | {:.3} | {:.3} |", proxied.0 - direct.0, proxied.1 - direct.1);
    println!(
        "| added without the rate limit's call | {:.3} | {:.3} |",
        proxied.0 - direct.0 - decided.0,
        proxied.1 - direct.1 - decided.1
    );
    println!("| ratio | {:.2} | {:.2} |\n", proxied.0 / direct.0, proxied.1 / direct.1);
}

/// The latency of each event, from the moment at which the fake sends it.
async fn latency() {
    let event = |index: usize| json!({ "type": "content_block_delta", "index": index, "delta": { "text": "word" } });
    let parts = (0..EVENTS).flat_map(|index| [Part::Wait, Part::Bytes(sse(&event(index)).into_bytes())]).collect();
    let assistant = Assistant::start(FakeAnthropic::start([Script::parts(parts)]).await).await;
    let mut stream = assistant.stream(&chat(&json!({ "stream": true }))).await;
    let mut samples = Vec::new();
    for _ in 0..EVENTS {
        let sent = Instant::now();
        assistant.anthropic.resume();
        let part = stream.next().await.unwrap();
        samples.push(sent.elapsed());
        assert!(part.starts_with("data: "));
    }
    println!("| {EVENTS} events, from the fake to the client | p50 ms | p99 ms | max ms |\n|---|---|---|---|");
    let (p50, p99, max) = (percentile(&mut samples, 50), percentile(&mut samples, 99), percentile(&mut samples, 100));
    println!("| through the proxy | {p50:.3} | {p99:.3} | {max:.3} |");
}

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        overhead().await;
        latency().await;
    });
}
