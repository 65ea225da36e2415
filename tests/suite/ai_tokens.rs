//! The sums of the token limit: each answer is in them once, on the real table of an emulator, and also if processes are killed.

use std::{
    collections::{BTreeMap, BTreeSet},
    num::NonZeroU64,
};

use ai::limiter::{
    Decision, Limiter, LimiterConfig, RequestLimit,
    store::{self, answer_key},
    tokens::UserDay,
};
use app_core::{clock::Clock, http::RequestId};
use futures_util::future::join_all;
use rotracker_cli::dynamodb::DynamoDb;
use rotracker_tests::{
    anthropic::{FakeAnthropic, Part, Script, message, sse},
    assistant::chat,
    dynamodb::{DynamoDbProxy, Loss, emulator, item, limiter_config, used_tokens, used_tokens_of_all_days},
    emulator::{Instance, assistant_variables, binary, template_variables},
    gateway::{Call, Gateway},
    runtime_api::{Outcome, RuntimeApi},
};
use serde_json::{Value, json};

const POLICY: RequestLimit = RequestLimit { limit: 50, window_seconds: 60 };

fn clock() -> Clock {
    Clock::standing_at("2026-03-08T12:00:00Z".parse().unwrap(), chrono_tz::Tz::UTC)
}

fn limited(endpoint: &str, tokens_per_day: u64) -> Limiter {
    let tokens_per_day = NonZeroU64::new(tokens_per_day);
    Limiter::new(&LimiterConfig { tokens_per_day, ..limiter_config(endpoint, POLICY) }, clock())
}

fn request(id: &str) -> RequestId {
    RequestId(id.into())
}

#[tokio::test]
async fn the_tokens_of_a_request_are_added_once() {
    let emulator = emulator().await;
    let proxy = DynamoDbProxy::start(&emulator).await;
    let limiter = limited(&proxy.endpoint, 1_000);
    // The SDK sends the call again after a lost response.
    for (case, loss, calls, sum) in [
        ("closed", Some(Loss::Closed), 2, 10),
        ("silent", Some(Loss::Silent), 2, 20),
        ("call lost", Some(Loss::CallLost), 2, 30),
        ("cut", Some(Loss::Cut), 2, 40),
        ("in use", Some(Loss::Cancelled("TransactionConflict")), 4, 50),
        ("throttled", Some(Loss::Cancelled("ThrottlingError")), 4, 60),
        ("over the throughput", Some(Loss::Cancelled("ProvisionedThroughputExceeded")), 4, 70),
        ("refused", Some(Loss::Refused(400, "ThrottlingException")), 3, 80),
        ("nothing lost", None, 1, 90),
    ] {
        if let Some(loss) = loss {
            proxy.lose("TransactWriteItems", loss, calls - 1);
        }
        limiter.begin_tokens("ann", &request(case)).add(10).await;
        assert_eq!(proxy.operations(), vec!["TransactWriteItems"; calls], "{case}");
        assert_eq!(used_tokens(&emulator.endpoint, "ann", &clock()).await, sum, "{case}");
    }
    // Another call for the same request, as after a freeze of any length.
    for case in ["closed", "silent", "cut", "nothing lost"] {
        limited(&emulator.endpoint, 1_000).begin_tokens("ann", &request(case)).add(10).await;
        assert_eq!(used_tokens(&emulator.endpoint, "ann", &clock()).await, 90, "{case}");
    }
    limiter.begin_tokens("ann", &request("nothing used")).add(0).await;
    assert_eq!(used_tokens(&emulator.endpoint, "bob", &clock()).await, 0);
}

#[tokio::test]
async fn transactions_that_are_always_cancelled_are_given_up() {
    let emulator = emulator().await;
    let proxy = DynamoDbProxy::start(&emulator).await;
    let limiter = limited(&proxy.endpoint, 1_000);
    for (reason, calls) in [("TransactionConflict", 8), ("ThrottlingError", 8), ("ValidationError", 1)] {
        proxy.fail(Loss::Cancelled(reason));
        limiter.begin_tokens("ann", &request(reason)).add(10).await;
        assert_eq!(proxy.operations().len(), calls, "{reason}");
    }
    proxy.recover();
    limiter.begin_tokens("ann", &request("later")).add(10).await;
    assert_eq!(used_tokens(&emulator.endpoint, "ann", &clock()).await, 10);
}

#[tokio::test]
async fn the_items_of_a_day_have_a_fixed_size_and_expire_a_week_after_it() {
    let emulator = emulator().await;
    let limiter = limited(&emulator.endpoint, 1_000_000);
    let day = UserDay::new(&store::key("ann"), clock().now(), chrono_tz::Tz::UTC);
    for number in 0..100 {
        limiter.begin_tokens("ann", &request(&number.to_string())).add(10).await;
    }
    let sum = item(&emulator.endpoint, &day.key).await.unwrap();
    let answer = item(&emulator.endpoint, &answer_key("99")).await.unwrap();
    let names = |item: &store::Item| item.keys().cloned().collect::<BTreeSet<String>>();
    assert_eq!(names(&sum), ["expires_at", "pk", "used_tokens"].map(str::to_owned).into());
    assert_eq!(names(&answer), ["expires_at", "pk"].map(str::to_owned).into());
    assert_eq!(sum["used_tokens"].as_n().unwrap(), "1000");
    let expiry = "2026-03-16T00:00:00Z".parse::<chrono::DateTime<chrono::Utc>>().unwrap().timestamp().to_string();
    assert_eq!((sum["expires_at"].as_n().unwrap(), answer["expires_at"].as_n().unwrap()), (&expiry, &expiry));
}

#[tokio::test]
async fn no_user_reads_or_clears_the_sum_of_another() {
    let emulator = emulator().await;
    let limiter = limited(&emulator.endpoint, 10);
    let day = UserDay::new(&store::key("ann"), clock().now(), chrono_tz::Tz::UTC);
    limiter.begin_tokens("ann", &request("1")).add(10).await;
    // Users whose names are the keys of the two items.
    for user in [day.key, answer_key("1"), "2026-03-08:ann".to_owned()] {
        assert!(matches!(limiter.admit(&user).await.unwrap(), Decision::Admitted(_)), "{user}");
        limiter.clear(&user).await.unwrap();
        limiter.begin_tokens("ann", &request("1")).add(10).await;
        assert_eq!(used_tokens(&emulator.endpoint, "ann", &clock()).await, 10, "{user}");
    }
    assert!(matches!(limiter.admit("ann").await.unwrap(), Decision::OutOfTokens(_)));
}

#[tokio::test]
async fn the_first_request_reuses_the_connections_of_init() {
    let emulator = emulator().await;
    let proxy = DynamoDbProxy::start(&emulator).await;
    let limiter = limited(&proxy.endpoint, 10);
    limiter.warm_up().await;
    assert_eq!(proxy.connections(), 2);
    limiter.admit("ann").await.unwrap();
    limiter.begin_tokens("ann", &request("1")).add(10).await;
    assert_eq!(proxy.connections(), 2);
}

/// A function that a test kills at the moment between an answer and its sum, and starts again.
struct Killable {
    lambda: RuntimeApi,
    anthropic: FakeAnthropic,
    proxy: DynamoDbProxy,
    instance: Instance,
    /// The log lines of the instances that were killed.
    log: Vec<String>,
}

impl Killable {
    async fn start(emulator: &DynamoDb) -> Self {
        let (lambda, anthropic) = (RuntimeApi::start().await, FakeAnthropic::start([]).await);
        let proxy = DynamoDbProxy::start(emulator).await;
        let instance = Self::instance(&lambda, &anthropic, &proxy).await;
        Self { lambda, anthropic, proxy, instance, log: Vec::new() }
    }

    async fn instance(lambda: &RuntimeApi, anthropic: &FakeAnthropic, proxy: &DynamoDbProxy) -> Instance {
        let variables = [
            assistant_variables(&anthropic.url, &proxy.endpoint),
            template_variables(),
            vec![
                ("AI_LOG_CONVERSATIONS", "false".to_owned()),
                ("AI_TOKENS_PER_DAY", "1000000000".to_owned()),
                ("APP_ENV", "development".to_owned()),
            ],
        ];
        Instance::start(&lambda.address, &binary("ai").await, &variables.concat())
    }

    /// Sends a chat of `user` that uses `tokens`. With a loss, kills the process when the call that adds them is lost.
    async fn ask(&mut self, user: &str, stream: bool, tokens: u64, killed_at: Option<Loss>) {
        self.anthropic.respond_with(answer(stream, tokens));
        let call = Call::post("/api/ai/chat", &chat(&json!({ "userId": user, "stream": stream })));
        let event = Gateway::RestApi.event(&call);
        let Some(loss) = killed_at else {
            let Outcome::Response(response) = self.lambda.invoke(&event).await else { panic!("no response") };
            assert!(response.read().await.has_ended);
            return;
        };
        // Also when the SDK sends it again.
        self.proxy.lose("TransactWriteItems", loss, usize::MAX);
        let respond = async {
            if let Outcome::Response(response) = self.lambda.invoke(&event).await {
                response.read().await;
            }
            std::future::pending::<()>().await;
        };
        tokio::select! {
            () = self.proxy.lost() => {}
            () = respond => {}
        }
        self.instance.kill().await;
        self.proxy.lose("TransactWriteItems", loss, 0);
        self.log.extend(self.instance.log());
        self.instance = Self::instance(&self.lambda, &self.anthropic, &self.proxy).await;
    }
}

/// An answer that uses `tokens`, of all four kinds.
fn answer(stream: bool, tokens: u64) -> Script {
    let mut whole = message("Hi");
    whole["usage"] = json!({
        "input_tokens": tokens - 30, "output_tokens": 5, "cache_read_input_tokens": 20, "cache_creation_input_tokens": 5,
    });
    if !stream {
        return Script::new(200, whole.to_string());
    }
    whole["usage"]["output_tokens"] = json!(1);
    let events = [
        json!({ "type": "message_start", "message": whole }),
        json!({ "type": "message_delta", "delta": {}, "usage": { "output_tokens": 5 } }),
        json!({ "type": "message_stop" }),
    ];
    Script::parts(events.iter().map(|event| Part::Bytes(sse(event).into_bytes())).collect())
}

const TO_BE_ADDED: &str = "the tokens of an answer are to be added to those of the day";
const ADDED: &str = "the tokens of an answer were added to those of the day";

/// The lines of a log of JSON.
fn parsed(log: &[String]) -> Vec<Value> {
    log.iter().map(|line| serde_json::from_str(line).expect("JSON on Lambda")).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tokens_that_could_not_be_added_are_a_warning() {
    let emulator = emulator().await;
    let function = Killable::start(&emulator).await;
    function.proxy.lose("TransactWriteItems", Loss::CallLost, 3);
    function.anthropic.respond_with(answer(false, 500));
    let call = Call::post("/api/ai/chat", &chat(&json!({ "userId": "ann" })));
    let response = function.lambda.call(Gateway::RestApi, &call).await;
    let id = json!(response.header("x-request-id").unwrap());
    response.expect(200);
    let lines = parsed(&function.instance.log());
    let warnings: Vec<&Value> =
        lines.iter().filter(|line| line["level"] == "WARN" && !line["span"].is_null()).collect();
    assert_eq!(warnings.len(), 1, "{warnings:#?}");
    assert_eq!(warnings[0]["message"], "the tokens of an answer may be missing from those of the day");
    assert_eq!((&warnings[0]["request.id"], &warnings[0]["tokens.used"]), (&id, &json!(500)));
    for field in ["tokens.day", "error", "hint"] {
        assert!(warnings[0][field].is_string(), "{field}: {}", warnings[0]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tokens_that_a_killed_process_did_not_add_are_named_in_its_log() {
    const USERS: u64 = 50;
    let emulator = emulator().await;
    // Two processes share the users, and each answer uses another number of tokens.
    let tokens_of = |process: u64, user: u64| 100 + 1_000 * process + user;
    let runs = [0, 1].map(|process| {
        let emulator = &emulator;
        async move {
            let mut function = Killable::start(emulator).await;
            for number in 0..USERS {
                // The processes meet in the middle.
                let user = if process == 0 { number } else { USERS - 1 - number };
                let killed_at = match number % 10 {
                    3 => Some(Loss::CallLost),
                    8 => Some(Loss::Silent),
                    _ => None,
                };
                let stream = number % 2 == 0 || number % 4 == 3;
                function.ask(&format!("user-{user}"), stream, tokens_of(process, user), killed_at).await;
            }
            let Killable { mut log, instance, .. } = function;
            log.extend(instance.log());
            log
        }
    });
    let log = join_all(runs).await.concat();
    let lines = parsed(&log);
    let with_message = |message: &str| {
        let lines = lines.iter().filter(|line| line["message"] == message);
        let tokens =
            lines.map(|line| (line["request.id"].as_str().unwrap().to_owned(), line["tokens.used"].as_u64().unwrap()));
        tokens.collect::<BTreeMap<String, u64>>()
    };
    let mut unconfirmed = with_message(TO_BE_ADDED);
    assert_eq!(unconfirmed.len() as u64, 2 * USERS, "every answer is named");
    for id in with_message(ADDED).keys() {
        unconfirmed.remove(id);
    }
    // On a busy machine an addition may fail without a kill, too.
    assert!(unconfirmed.len() >= 20, "{} of the 20 that were killed", unconfirmed.len());
    // The item of a request's id tells whether its tokens were added.
    let mut missing = Vec::new();
    for (id, tokens) in unconfirmed {
        if item(&emulator.endpoint, &answer_key(&id)).await.is_none() {
            missing.push(tokens);
        }
    }
    assert!(missing.len() >= 10, "{} of the 10 that were killed before DynamoDB was called", missing.len());
    for user in 0..USERS {
        let used = [0, 1].map(|process| tokens_of(process, user));
        let added: u64 = used.iter().filter(|tokens| !missing.contains(tokens)).sum();
        let sum = used_tokens_of_all_days(&emulator.endpoint, &format!("user-{user}")).await;
        assert_eq!(sum, added, "user {user}");
    }
}
