//! The rate limiter against a real DynamoDB emulator, mostly over HTTP.

use std::{error::Error, process::Stdio, time::Duration};

use ai::limiter::{
    Decision, Limiter, LimiterConfig, LimiterError, OnFailure, Quota, RequestLimit, StoreConfig,
    config::{MAX_LIMIT, Timeouts},
    recent_requests::RecentRequests,
    store::{self, UpdateOutcome},
};
use app_core::clock::Clock;
use aws_sdk_dynamodb::types::AttributeValue;
use chrono::{DateTime, TimeDelta, Utc};
use futures_util::future::join_all;
use rand::{Rng, SeedableRng, rngs::StdRng};
use rotracker_cli::dynamodb::{DynamoDb, Storage, create_rate_limit_table};
use rotracker_tests::{
    dynamodb::{DynamoDbProxy, EmbeddedStore, Loss, emulator, limiter_config, uncached_limiter},
    emulator::example,
};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::TcpListener,
    process::Command,
};

const POLICY: RequestLimit = RequestLimit { limit: 3, window_seconds: 60 };

/// A timeout that only a hanging test reaches.
const HANG_GUARD: Duration = Duration::from_secs(60);

fn start() -> DateTime<Utc> {
    "2026-03-01T12:00:00.250Z".parse().unwrap()
}

fn clock() -> Clock {
    Clock::standing_at(start(), chrono_tz::Tz::UTC)
}

fn quota(decision: Decision) -> Quota {
    match decision {
        Decision::Admitted(quota) | Decision::Refused(quota) => quota,
        Decision::OutOfTokens(_) | Decision::Unchecked(_) => panic!("{decision:?}"),
    }
}

/// A simple model of the limiter: a sliding window over all admissions, kept in memory.
#[derive(Default)]
struct Model {
    admissions: Vec<i64>,
}

impl Model {
    /// Returns whether a request at `now` is admitted, how many more would be, and when the next one would be.
    fn decide(&mut self, policy: RequestLimit, now: i64) -> (bool, usize, i64) {
        let (limit, window) = (policy.limit as usize, i64::from(policy.window_seconds) * 1_000);
        let in_window =
            |log: &Self| log.admissions.iter().copied().filter(|time| *time > now - window).collect::<Vec<_>>();
        let admitted = in_window(self).len() < limit;
        if admitted {
            self.admissions.push(now);
        }
        let counted = in_window(self);
        // With a smaller limit than before, the window may hold several admissions too many.
        let first_to_leave = counted.len().saturating_sub(limit);
        (admitted, limit.saturating_sub(counted.len()), counted[first_to_leave] + window)
    }
}

/// Picks the time of the next request: often the same time, often the boundary where the decision changes.
fn later(quota: Quota, random: &mut StdRng) -> i64 {
    let Quota { policy, remaining, next_admission, now } = quota;
    let window = i64::from(policy.window_seconds) * 1_000;
    let later = match random.random_range(0..10) {
        0..2 => now + random.random_range(0..100),
        2 => now + random.random_range(0..=window / i64::from(policy.limit)),
        3 if remaining == 0 => next_admission,
        4 if remaining == 0 => next_admission - 1,
        // With a large limit, the window must get time to fill.
        5 if random.random_ratio(1, policy.limit) => next_admission,
        6 if random.random_ratio(1, policy.limit) => now + random.random_range(0..=2 * window),
        _ => now,
    };
    later.max(now)
}

/// Decides a request with the embedded emulator, as the limiter does.
fn ask(store: &EmbeddedStore, policy: RequestLimit, user: &str, now: i64, request_id: &str) -> Decision {
    let recent_requests = |item| RecentRequests::from_item(&item, policy.limit).unwrap();
    match store.apply(user, &policy.conditional_update(now, request_id)) {
        UpdateOutcome::Applied(item) => Decision::Admitted(policy.quota(&recent_requests(item), now)),
        UpdateOutcome::Rejected(item) => policy.after_rejected_update(&recent_requests(item), now, request_id),
    }
}

/// Compares `steps` decisions with the model; `policy` picks the policy of each.
fn compare(steps: usize, seed: u64, policy: impl Fn(&mut StdRng) -> RequestLimit) {
    let random = &mut StdRng::seed_from_u64(seed);
    let store = EmbeddedStore::new();
    let (mut log, mut now, mut user) = (Model::default(), start().timestamp_millis(), 0);
    let (mut admissions, mut refusals) = (0, 0);
    for step in 0..steps {
        // Occasionally switch to a new user without admissions.
        if random.random_ratio(1, 500) {
            (log, user) = (Model::default(), user + 1);
        }
        let policy = policy(random);
        let decision = ask(&store, policy, &format!("user {user}"), now, &format!("request {step}"));
        let quota = quota(decision);
        let (admitted, remaining, next_admission) = log.decide(policy, now);
        assert_eq!(
            (decision.may_proceed(), quota.remaining as usize, quota.next_admission),
            (admitted, remaining, next_admission),
            "seed {seed}, step {step}, {policy:?}, at {now}"
        );
        if let Some(seconds) = decision.retry_after() {
            let seconds = i64::try_from(seconds).unwrap();
            assert!(now + seconds * 1_000 >= next_admission && now + (seconds - 1) * 1_000 < next_admission);
            refusals += 1;
        } else {
            admissions += 1;
        }
        now = later(quota, random);
    }
    assert!(admissions > steps / 10 && refusals > steps / 10, "{admissions} admissions, {refusals} refusals");
}

#[test]
fn limit_1_matches_model() {
    compare(40_000, 1, |_| RequestLimit { limit: 1, window_seconds: 60 });
}

#[test]
fn limit_2_matches_model() {
    compare(30_000, 2, |_| RequestLimit { limit: 2, window_seconds: 5 });
}

#[test]
fn limit_3_matches_model() {
    compare(24_000, 3, |_| POLICY);
}

#[test]
fn limit_20_matches_model() {
    compare(6_000, 4, |_| RequestLimit { limit: 20, window_seconds: 60 });
}

#[test]
fn instances_may_have_different_limits() {
    compare(6_000, 5, |random| RequestLimit { limit: [1, 2, 3, 5][random.random_range(0..4)], window_seconds: 60 });
}

#[test]
fn no_window_exceeds_the_limit_with_skewed_clocks() {
    let random = &mut StdRng::seed_from_u64(6);
    let store = EmbeddedStore::new();
    for policy in [1, 2, 3, 5].map(|limit| RequestLimit { limit, window_seconds: 5 }) {
        let (mut now, mut recorded) = (start().timestamp_millis(), Vec::new());
        for step in 0..1_500 {
            now += random.random_range(0..1_500);
            let by_this_clock = now + random.random_range(-4_000..4_000);
            let user = policy.limit.to_string();
            if ask(&store, policy, &user, by_this_clock, &step.to_string()).may_proceed() {
                recorded.push(by_this_clock);
            }
        }
        recorded.sort_unstable();
        assert!(recorded.len() > 100, "{}", recorded.len());
        for times in recorded.windows(policy.limit as usize + 1) {
            assert!(times[times.len() - 1] - times[0] >= 5_000, "{policy:?}: {times:?}");
        }
    }
}

#[tokio::test]
async fn http_matches_model_with_one_call_per_decision() {
    let emulator = emulator().await;
    let proxy = DynamoDbProxy::start(&emulator).await;
    let random = &mut StdRng::seed_from_u64(7);
    for policy in [1, 2, 3, 20, MAX_LIMIT].map(|limit| RequestLimit { limit, window_seconds: 60 }) {
        let clock = clock();
        let limiter = uncached_limiter(&proxy.endpoint, policy, &clock);
        let (mut log, mut now) = (Model::default(), start().timestamp_millis());
        for step in 0..150 {
            clock.set(DateTime::from_timestamp_millis(now).unwrap());
            let decision = limiter.admit(&format!("user of {}", policy.limit)).await.unwrap();
            let expected = log.decide(policy, now);
            let quota = quota(decision);
            let decided = (decision.may_proceed(), quota.remaining as usize, quota.next_admission);
            assert_eq!(decided, expected, "step {step}, {policy:?}");
            assert_eq!(proxy.operations(), ["UpdateItem"]);
            now = later(quota, random);
        }
    }
}

#[tokio::test]
async fn refusals_are_cached() {
    let emulator = emulator().await;
    let proxy = DynamoDbProxy::start(&emulator).await;
    let clock = clock();
    let limiter = Limiter::new(&limiter_config(&proxy.endpoint, POLICY), clock.clone());
    for _ in 0..4 {
        limiter.admit("someone").await.unwrap();
    }
    assert_eq!(proxy.operations().len(), 4);
    for (milliseconds, retry_after) in [(0, 60), (1_000, 59), (2_999, 58)] {
        clock.set(start() + TimeDelta::milliseconds(milliseconds));
        let decision = limiter.admit("someone").await.unwrap();
        assert_eq!(decision.retry_after(), Some(retry_after), "after {milliseconds} ms");
    }
    assert_eq!(proxy.operations(), [""; 0]);
    assert!(limiter.admit("somebody else").await.unwrap().may_proceed());
    assert_eq!(proxy.operations().len(), 1);
    clock.set(start() + TimeDelta::seconds(3));
    assert_eq!(limiter.admit("someone").await.unwrap().retry_after(), Some(57));
    assert_eq!(proxy.operations().len(), 1);
}

#[tokio::test]
async fn waiting_for_retry_after_admits_and_less_does_not() {
    let emulator = emulator().await;
    let clock = clock();
    let limiter = Limiter::new(&limiter_config(&emulator.endpoint, POLICY), clock.clone());
    for asked_at in [1_500, 2_000, 20_249, 59_000, 59_999] {
        let user = format!("asks after {asked_at} ms");
        for milliseconds in [0, 333, 1_500] {
            clock.set(start() + TimeDelta::milliseconds(milliseconds));
            assert!(limiter.admit(&user).await.unwrap().may_proceed());
        }
        let asked_at = start() + TimeDelta::milliseconds(asked_at);
        clock.set(asked_at);
        let seconds = limiter.admit(&user).await.unwrap().retry_after().unwrap();
        let seconds = TimeDelta::seconds(i64::try_from(seconds).unwrap());
        for (wait, is_admitted) in [(seconds - TimeDelta::seconds(1), false), (seconds, true)] {
            clock.set(asked_at + wait);
            assert_eq!(limiter.admit(&user).await.unwrap().may_proceed(), is_admitted, "{user}, {wait}");
        }
    }
}

#[tokio::test]
async fn a_retried_update_counts_once() {
    let emulator = emulator().await;
    let proxy = DynamoDbProxy::start(&emulator).await;
    for loss in [Loss::Closed, Loss::Silent] {
        let clock = clock();
        let limiter = uncached_limiter(&proxy.endpoint, POLICY, &clock);
        let user = format!("{loss:?}");
        // This includes the last place, where the retried write finds the window full.
        for remaining in [2, 1, 0] {
            proxy.lose_next_response(loss);
            let decision = limiter.admit(&user).await.unwrap();
            assert!(decision.may_proceed());
            assert_eq!(quota(decision).remaining, remaining);
            assert_eq!(proxy.operations(), ["UpdateItem", "UpdateItem"]);
        }
        proxy.lose_next_response(loss);
        assert!(!limiter.admit(&user).await.unwrap().may_proceed());
        proxy.operations();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_processes_together_admit_exactly_the_limit() {
    const PROCESSES: usize = 5;
    const REQUESTS: usize = 100;
    let program = example("limiter_client").await;
    let emulator = emulator().await;
    let mut clients = Vec::new();
    for _ in 0..PROCESSES {
        let mut process = Command::new(&program)
            .arg(REQUESTS.to_string())
            .env("AWS_ENDPOINT_URL_DYNAMODB", &emulator.endpoint)
            .env("AI_RATE_WINDOW_SECONDS", "86400")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let (input, output) = (process.stdin.take().unwrap(), process.stdout.take().unwrap());
        clients.push((process, input, BufReader::new(output).lines()));
    }
    for round in 0..20 {
        let user = format!("user {round}\n");
        join_all(clients.iter_mut().map(|(_, input, _)| input.write_all(user.as_bytes()))).await;
        let mut sums = [0; 3];
        for (_, _, output) in &mut clients {
            let line = output.next_line().await.unwrap().unwrap();
            for (sum, count) in sums.iter_mut().zip(line.split(' ')) {
                *sum += count.parse::<usize>().unwrap();
            }
        }
        // The sums of admitted, refused and failed requests.
        assert_eq!(sums, [3, PROCESSES * REQUESTS - 3, 0], "round {round}");
    }
}

#[tokio::test]
async fn an_unreachable_or_silent_store_is_unavailable() {
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    // This listener accepts connections but never responds.
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    for address in [closed, silent.local_addr().unwrap()] {
        let mut config = limiter_config(&format!("http://{address}"), POLICY);
        let limiter = Limiter::new(&config, clock());
        let failed = tokio::time::timeout(HANG_GUARD, limiter.admit("someone")).await.unwrap();
        assert!(matches!(failed, Err(LimiterError::Unavailable(_))), "{failed:?}");
        tokio::time::timeout(HANG_GUARD, limiter.warm_up()).await.unwrap();
        assert!(matches!(limiter.clear("someone").await, Err(LimiterError::Unavailable(_))));

        config.on_failure = OnFailure::Allow;
        let decision = Limiter::new(&config, clock()).admit("someone").await.unwrap();
        assert_eq!(decision, Decision::Unchecked(POLICY));
        assert!(decision.may_proceed());
    }
}

#[tokio::test]
async fn while_the_store_fails_a_request_makes_one_call() {
    let emulator = emulator().await;
    let proxy = DynamoDbProxy::start(&emulator).await;
    let limiter = uncached_limiter(&proxy.endpoint, POLICY, &clock());
    proxy.fail(Loss::CallLost);
    let mut calls = Vec::new();
    for _ in 0..20 {
        assert!(matches!(limiter.admit("someone").await, Err(LimiterError::Unavailable(_))));
        calls.push(proxy.operations().len());
    }
    assert_eq!(calls[..5], [3; 5]);
    // On a slow machine there may be another retry, because one is allowed again every five seconds.
    assert!(calls[5..].iter().filter(|calls| **calls > 1).count() <= 5, "{calls:?}");
    proxy.recover();
    assert_eq!(quota(limiter.admit("someone").await.unwrap()).remaining, 2);
    // Another instance has calls of its own.
    proxy.lose_next_response(Loss::Closed);
    assert!(uncached_limiter(&proxy.endpoint, POLICY, &clock()).admit("someone").await.unwrap().may_proceed());
}

#[test]
fn the_timeouts_allow_less_than_a_second() {
    let config = limiter_config("http://127.0.0.1:1", POLICY);
    let client = store::client(&config.store);
    let timeouts = client.config().timeout_config().unwrap();
    assert_eq!(timeouts.operation_attempt_timeout(), Some(Duration::from_millis(300)));
    assert_eq!(timeouts.operation_timeout(), Some(Duration::from_millis(800)));
    assert!(client.config().retry_config().unwrap().max_attempts() <= 3);
}

#[tokio::test]
async fn a_permanent_failure_is_unusable() {
    let emulator = emulator().await;
    let config = LimiterConfig { table: "nothing".to_owned(), ..limiter_config(&emulator.endpoint, POLICY) };
    let error = Limiter::new(&config, clock()).admit("someone").await.unwrap_err();
    assert!(matches!(error, LimiterError::Unusable { .. }), "{error:?}");
    assert!(error.source().unwrap().to_string().contains("ResourceNotFound"), "{error:?}");

    let config = limiter_config(&emulator.endpoint, POLICY);
    let damaged = store::client(&config.store).put_item().table_name(&config.table);
    let [key, time] = ["someone", "soon"].map(|text| AttributeValue::S(text.to_owned()));
    damaged.item(store::KEY, key).item("t2", time).send().await.unwrap();
    let limiter = Limiter::new(&config, clock());
    let error = limiter.admit("someone").await.unwrap_err();
    assert_eq!(error.source().unwrap().to_string(), "the attribute t2 has the wrong type");
    limiter.clear("someone").await.unwrap();
    assert!(limiter.admit("someone").await.unwrap().may_proceed());
}

#[tokio::test]
async fn clearing_empties_the_window() {
    let emulator = emulator().await;
    let limiter = Limiter::new(&limiter_config(&emulator.endpoint, POLICY), clock());
    let long = "x".repeat(5_000);
    for user in ["someone", "", "späte Schicht 🛩", &long] {
        for _ in 0..5 {
            limiter.admit(user).await.unwrap();
        }
        assert!(!limiter.admit(user).await.unwrap().may_proceed());
        limiter.clear(user).await.unwrap();
        assert_eq!(quota(limiter.admit(user).await.unwrap()).remaining, 2, "{user}");
    }
}

#[tokio::test]
async fn idle_users_expire_after_their_window() {
    let emulator = emulator().await;
    let config = limiter_config(&emulator.endpoint, POLICY);
    // Creating the table again leaves the existing one unchanged.
    create_rate_limit_table(&config).await.unwrap();
    Limiter::new(&config, clock()).admit("someone").await.unwrap();
    let client = store::client(&config.store);
    let key = AttributeValue::S("someone".to_owned());
    let read = client.get_item().table_name(&config.table).key(store::KEY, key).send().await.unwrap();
    let expires_at: i64 = read.item.unwrap()["expires_at"].as_n().unwrap().parse().unwrap();
    assert_eq!(expires_at, start().timestamp() + 1 + 60 + 3_600);
    let expiry = client.describe_time_to_live().table_name(&config.table).send().await.unwrap();
    assert_eq!(expiry.time_to_live_description.unwrap().attribute_name.unwrap(), "expires_at");
}

#[tokio::test]
async fn the_first_request_reuses_the_connection_of_init() {
    let emulator = emulator().await;
    let proxy = DynamoDbProxy::start(&emulator).await;
    let limiter = Limiter::new(&limiter_config(&proxy.endpoint, POLICY), clock());
    limiter.warm_up().await;
    // The check of DynamoDB's health has no operation.
    assert_eq!((proxy.connections(), proxy.operations()), (1, vec![String::new()]));
    assert_eq!(quota(limiter.admit("someone").await.unwrap()).remaining, 2);
    assert_eq!(proxy.connections(), 1);
}

#[tokio::test]
async fn the_emulator_keeps_its_tables() {
    let folder = tempfile::tempdir().unwrap();
    let directory = folder.path().join("dynamodb");
    for remaining in [2, 1] {
        let emulator = DynamoDb::start(&Storage::Directory(directory.clone()), None).await.unwrap();
        let config = limiter_config(&emulator.endpoint, POLICY);
        create_rate_limit_table(&config).await.unwrap();
        let limiter = Limiter::new(&config, clock());
        assert_eq!(quota(limiter.admit("someone").await.unwrap()).remaining, remaining);
        drop(limiter);
        emulator.stop().await;
    }
    DynamoDb::erase(&directory).unwrap();
    assert!(!directory.exists());
}

#[tokio::test]
async fn a_table_that_cannot_be_created_is_named() {
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let config = limiter_config(&format!("http://{closed}"), POLICY);
    let config = LimiterConfig {
        store: StoreConfig { timeouts: Timeouts { attempt: HANG_GUARD, total: HANG_GUARD }, ..config.store.clone() },
        ..config
    };
    let error = create_rate_limit_table(&config).await.unwrap_err();
    assert_eq!(error.to_string(), "the DynamoDB table ro-tracker-ai-rate-limit cannot be created");
}
