//! Failures of Anthropic and DynamoDB at the real function. Each has its response, one line in the log that says what to do, and its
//! metrics. The next request succeeds on the same instance, which was frozen in between.

use futures_util::{StreamExt, stream};
use rotracker_cli::dynamodb::DynamoDb;
use rotracker_tests::{
    anthropic::{Ending, FakeAnthropic, Part, Script, events, sse},
    assistant::{CANARY_KEY, LEAK, chat},
    dynamodb::{DynamoDbProxy, Loss, emulator},
    emulator::{Instance, assistant_variables, binary, free_port, template_variables},
    gateway::{Call, Gateway},
    runtime_api::{Framed, RuntimeApi},
};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use uuid::Uuid;

/// The response to a failure.
#[derive(Clone, Copy, Debug)]
struct Shown {
    status: u64,
    error: &'static str,
    message: &'static str,
}

const FAILED: Shown = Shown { status: 502, error: "Bad gateway", message: "The assistant failed. Try again." };
const LATE: Shown = Shown { status: 504, error: "Gateway timeout", message: "The assistant did not answer in time." };
const BUSY: Shown =
    Shown { status: 503, error: "Service unavailable", message: "The assistant is busy. Try again later." };
const MISCONFIGURED: Shown =
    Shown { status: 503, error: "Service unavailable", message: "The assistant is not configured correctly." };
const UNCHECKED: Shown = Shown {
    status: 503,
    error: "Rate limiter unavailable",
    message: "The rate limit cannot be checked at the moment. Try again.",
};

/// The function, with time limits of one second.
struct Function {
    lambda: RuntimeApi,
    instance: Instance,
    /// The user of all chats.
    user: String,
}

/// A response of the function, with the lines of its log.
struct Reply {
    response: Framed,
    lines: Vec<Value>,
    metrics: Value,
}

impl Function {
    async fn start(anthropic: &str, dynamodb: &str, variables: &[(&'static str, String)]) -> Self {
        let lambda = RuntimeApi::start().await;
        let ours = [
            ("AI_LOG_CONVERSATIONS", "false"),
            ("AI_RATE_LIMIT", "50"),
            ("AI_RATE_WINDOW_SECONDS", "86400"),
            ("ANTHROPIC_CONNECT_TIMEOUT_SECONDS", "1"),
            ("ANTHROPIC_FIRST_BYTE_TIMEOUT_SECONDS", "1"),
            ("ANTHROPIC_IDLE_TIMEOUT_SECONDS", "1"),
            ("APP_ENV", "development"),
        ];
        let ours = ours.map(|(name, value)| (name, value.to_owned())).to_vec();
        let variables =
            [assistant_variables(anthropic, dynamodb), template_variables(), ours, variables.to_vec()].concat();
        let instance = Instance::start(&lambda.address, &binary("ai").await, &variables);
        Self { lambda, instance, user: Uuid::new_v4().to_string() }
    }

    /// Sends a chat and reads the whole response.
    async fn ask(&self, stream: bool) -> Reply {
        let earlier = self.instance.metrics(0).await.len();
        let call = Call::post("/api/ai/chat", &chat(&json!({ "userId": self.user, "stream": stream })));
        let response = self.lambda.call(Gateway::RestApi, &call).await;
        let metrics = self.instance.metrics(earlier + 1).await.swap_remove(earlier);
        let id = json!(response.header("x-request-id").expect("every response has an id"));
        let log = self.instance.log();
        for text in log.iter().chain([&response.prelude.to_string(), &response.text()]) {
            assert!(!text.contains(CANARY_KEY), "{text}");
        }
        let lines = log.iter().map(|line| serde_json::from_str::<Value>(line).expect("JSON on Lambda"));
        let lines = lines.filter(|line| line["span"]["request.id"] == id).collect();
        Reply { response, lines, metrics }
    }

    /// Freezes the instance, as Lambda does after a response, and then asks.
    async fn ask_after_freeze(&self, stream: bool) -> Reply {
        self.instance.freeze();
        self.instance.thaw();
        self.ask(stream).await
    }
}

impl Reply {
    /// The lines of this level.
    fn lines(&self, level: &str) -> Vec<&Value> {
        self.lines.iter().filter(|line| line["level"] == level).collect()
    }

    /// The only line of this level. It must have an advice with `hint`, and say whether the configuration is at fault.
    #[track_caller]
    fn assert_line(&self, case: &str, level: &str, hint: &str, is_misconfigured: bool) {
        let lines = self.lines(level);
        assert_eq!(lines.len(), 1, "{case}: {:#?}", self.lines);
        assert!(lines[0]["hint"].as_str().is_some_and(|text| text.contains(hint)), "{case}: {}", lines[0]);
        assert_eq!(lines[0]["fault"] == "configuration", is_misconfigured, "{case}: {}", lines[0]);
    }

    #[track_caller]
    fn assert_error(&self, case: &str, shown: Shown, retry_after: Option<&str>) {
        let body = self.response.json();
        let status = (self.response.status(), &body["error"], &body["message"]);
        assert_eq!(status, (shown.status, &json!(shown.error), &json!(shown.message)), "{case}");
        let seconds = body["retryAfter"].as_u64().map(|seconds| seconds.to_string());
        assert_eq!((self.response.header("retry-after"), seconds.as_deref()), (retry_after, retry_after), "{case}");
        assert!(self.response.has_ended, "{case}");
    }

    #[track_caller]
    fn assert_metrics(&self, case: &str, expected: &[(&str, u64)]) {
        for (metric, value) in expected {
            assert_eq!(self.metrics[metric].as_f64(), Some(*value as f64), "{case}: {metric}: {}", self.metrics);
        }
    }

    /// Asserts that the whole answer came, and nothing about a failure is in the log.
    #[track_caller]
    fn assert_answered(&self, case: &str) {
        assert_eq!(self.response.status(), 200, "{case}: {}", self.response.text());
        assert!(self.response.text().contains("Hello.") && self.response.has_ended, "{case}");
        assert_eq!((self.lines("ERROR").len(), self.lines("WARN").len()), (0, 0), "{case}: {:#?}", self.lines);
        self.assert_metrics(case, &[("Errors", 0), ("BrokenAnswers", 0), ("UpstreamErrors", 0)]);
    }
}

/// A failure of Anthropic before the response begins.
struct Failure {
    case: &'static str,
    scripts: Vec<Script>,
    /// How connections end that Anthropic breaks.
    ending: Ending,
    shown: Shown,
    retry_after: Option<&'static str>,
    /// The requests that Anthropic gets.
    tries: usize,
    /// A part of the advice.
    hint: &'static str,
}

impl Failure {
    fn new(case: &'static str, scripts: Vec<Script>, shown: Shown, tries: usize, hint: &'static str) -> Self {
        Self { case, scripts, ending: Ending::Fin, shown, retry_after: None, tries, hint }
    }

    fn retry_after(self, seconds: &'static str) -> Self {
        Self { retry_after: Some(seconds), ..self }
    }

    fn with_reset(self) -> Self {
        Self { ending: Ending::Reset, ..self }
    }

    async fn happens(self, dynamodb: &DynamoDb) {
        let case = self.case;
        let anthropic = FakeAnthropic::on(listener().await, self.ending, []);
        let function = Function::start(&anthropic.url, &dynamodb.endpoint, &[]).await;
        for stream in [false, true] {
            let earlier = anthropic.requests().len();
            self.scripts.iter().for_each(|script| anthropic.respond_with(script.clone()));
            let reply = function.ask(stream).await;
            reply.assert_error(case, self.shown, self.retry_after);
            assert_eq!(anthropic.requests().len() - earlier, self.tries, "{case}: tries");
            assert_eq!(reply.lines("WARN").len(), self.tries - 1, "{case}: {:#?}", reply.lines);
            let is_misconfigured = self.shown.message == MISCONFIGURED.message;
            reply.assert_line(case, "ERROR", self.hint, is_misconfigured);
            let misconfigured = ("UpstreamMisconfigured", is_misconfigured.into());
            let metrics = [("UpstreamErrors", 1), ("Errors", 1), ("BrokenAnswers", 0), ("RateLimitAdmitted", 1)];
            reply.assert_metrics(case, &[metrics.as_slice(), &[misconfigured]].concat());
            function.ask_after_freeze(stream).await.assert_answered(case);
        }
    }
}

/// Runs all, of which each has a process, but not too many at once: DynamoDB must answer within its time limits.
async fn run_some_at_once(all: impl IntoIterator<Item = impl Future<Output = ()>>) {
    stream::iter(all).buffer_unordered(4).collect::<()>().await;
}

async fn listener() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").await.unwrap()
}

fn url(listener: &TcpListener) -> String {
    format!("http://{}", listener.local_addr().unwrap())
}

const STATUS_PAGE: &str = "status page says";
const OTHER_SERVER: &str = "something else than Anthropic has answered";
const NETWORK: &str = "whether the function has a route to the Internet";
const TOO_SLOW: &str = "let clients stream them";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn failures_of_anthropic_are_explained_and_pass() {
    let error = |status| Script::error(status, LEAK);
    let page = |status| Script::new(status, format!("<html>{LEAK}</html>")).header("content-type", "text/html");
    let overloaded = json!({ "type": "error", "error": { "type": "overloaded_error", "message": LEAK } });
    let overloaded = Script::whole(vec![Part::Bytes(overloaded.to_string().into_bytes())]);
    let begun = |end: Part| Script::whole(vec![Part::Bytes(b"{\"type\": \"mess".to_vec()), end]);
    let megabytes = |count| vec![Part::Bytes(vec![b'x'; 1 << 20]); count];
    let failures = [
        Failure::new("500s", vec![error(500); 3], FAILED, 3, STATUS_PAGE),
        Failure::new("503s", vec![error(503); 3], FAILED, 3, STATUS_PAGE),
        Failure::new("503 with a far end", vec![error(503).header("retry-after", "3600")], FAILED, 1, STATUS_PAGE),
        Failure::new("529s", vec![error(529); 3], BUSY, 3, STATUS_PAGE).retry_after("5"),
        Failure::new("529 with a far end", vec![error(529).header("retry-after", "3600")], BUSY, 1, STATUS_PAGE)
            .retry_after("3600"),
        // The second wait would exceed ten seconds together with the first.
        Failure::new("529s with an end", vec![error(529).header("retry-after", "6"); 2], BUSY, 2, STATUS_PAGE)
            .retry_after("6"),
        Failure::new("429", vec![error(429)], BUSY, 1, "lower AI_RATE_LIMIT").retry_after("60"),
        Failure::new("429s with an end", vec![error(429).header("retry-after", "0"); 3], BUSY, 3, "AI_RATE_LIMIT")
            .retry_after("0"),
        Failure::new("a wrong key", vec![error(401)], MISCONFIGURED, 1, "put a valid key").retry_after("300"),
        Failure::new("no credit", vec![error(402)], MISCONFIGURED, 1, "add credit").retry_after("300"),
        Failure::new("a model that is gone", vec![error(404)], MISCONFIGURED, 1, "AI_MODELS").retry_after("300"),
        Failure::new("502s of a proxy", vec![page(502); 3], FAILED, 3, STATUS_PAGE),
        Failure::new("a proxy's page with 200", vec![page(200)], FAILED, 1, OTHER_SERVER),
        Failure::new("a redirect", vec![error(307).header("location", "http://127.0.0.1:1/")], FAILED, 1, OTHER_SERVER),
        Failure::new("200s with an error", vec![overloaded; 3], BUSY, 3, STATUS_PAGE).retry_after("5"),
        Failure::new("no response", vec![Script::silent()], LATE, 1, TOO_SLOW),
        Failure::new("nothing after the headers", vec![Script::whole(vec![Part::Silence])], LATE, 1, TOO_SLOW),
        Failure::new("a stream without a beginning", vec![Script::parts(vec![Part::Silence])], LATE, 1, TOO_SLOW),
        Failure::new("a slow body", vec![Script::whole(vec![Part::Trickle])], LATE, 1, TOO_SLOW),
        Failure::new("a slow stream", vec![Script::parts(vec![Part::Trickle])], LATE, 1, TOO_SLOW),
        Failure::new("closed connections", vec![Script::breaks_at_once(); 3], FAILED, 3, NETWORK),
        Failure::new("connections that are reset", vec![Script::breaks_at_once(); 3], FAILED, 3, NETWORK).with_reset(),
        Failure::new("halves of a body", vec![begun(Part::Break); 3], FAILED, 3, NETWORK),
        Failure::new("halves of a body, reset", vec![begun(Part::Break); 3], FAILED, 3, NETWORK).with_reset(),
        Failure::new("an endless body", vec![Script::whole(megabytes(40))], FAILED, 1, OTHER_SERVER),
        Failure::new("an endless event", vec![Script::parts(megabytes(40))], FAILED, 1, OTHER_SERVER),
    ];
    let dynamodb = emulator().await;
    run_some_at_once(failures.map(|failure| Box::pin(failure.happens(&dynamodb)))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_that_fail_half_way_are_explained_and_the_next_one_is_whole() {
    let all = events(&["one", "two"]);
    let error = json!({ "type": "error", "error": { "type": "overloaded_error", "message": "Overloaded" } });
    let bytes = |event: &Value| Part::Bytes(sse(event).into_bytes());
    let endless = std::iter::repeat_n(Part::Bytes(vec![b'x'; 1 << 20]), 40).collect();
    let cases = [
        ("silence", Ending::Fin, vec![Part::Silence], "timeout_error", LATE.message, TOO_SLOW),
        ("blanks", Ending::Fin, vec![Part::Trickle], "timeout_error", LATE.message, TOO_SLOW),
        ("a break", Ending::Fin, vec![Part::Break], "api_error", FAILED.message, NETWORK),
        ("a reset", Ending::Reset, vec![Part::Break], "api_error", FAILED.message, NETWORK),
        ("an early end", Ending::Fin, vec![], "api_error", FAILED.message, NETWORK),
        ("an endless event", Ending::Fin, endless, "api_error", FAILED.message, OTHER_SERVER),
        ("an error", Ending::Fin, vec![bytes(&error)], "overloaded_error", "Overloaded", STATUS_PAGE),
    ];
    let dynamodb = emulator().await;
    let run = cases.map(|(case, ending, end, kind, message, hint)| {
        let begun: Vec<Part> = all[..4].iter().map(bytes).collect();
        let dynamodb = &dynamodb;
        Box::pin(async move {
            let script = Script::parts([begun, end].concat());
            let anthropic = FakeAnthropic::on(listener().await, ending, [script]);
            let function = Function::start(&anthropic.url, &dynamodb.endpoint, &[]).await;
            let reply = function.ask(true).await;
            assert_eq!((reply.response.status(), reply.response.has_ended), (200, true), "{case}");
            let text = reply.response.text();
            let data: Vec<&str> =
                text.split_terminator("\n\n").filter_map(|event| event.strip_prefix("data: ")).collect();
            assert_eq!((data.len(), data.last()), (6, Some(&"[DONE]")), "{case}: {text}");
            let error: Value = serde_json::from_str(data[4]).unwrap();
            assert_eq!((&error["type"], &error["error"]["type"]), (&json!("error"), &json!(kind)), "{case}");
            assert_eq!(error["error"]["message"], message, "{case}");
            reply.assert_line(case, "ERROR", hint, false);
            assert_eq!(reply.lines("WARN").len(), 0, "{case}: {:#?}", reply.lines);
            reply.assert_metrics(case, &[("UpstreamErrors", 1), ("BrokenAnswers", 1), ("Errors", 0)]);
            assert_eq!(anthropic.requests().len(), 1, "{case}: nothing is tried again after the first event");
            function.ask_after_freeze(true).await.assert_answered(case);
        })
    });
    run_some_at_once(run).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_connection_passes_when_anthropic_is_back() {
    let (dynamodb, port) = (emulator().await, free_port());
    let function = Function::start(&format!("http://127.0.0.1:{port}"), &dynamodb.endpoint, &[]).await;
    for stream in [false, true] {
        let reply = function.ask(stream).await;
        reply.assert_error("refused", FAILED, None);
        reply.assert_line("refused", "ERROR", NETWORK, false);
        assert_eq!(reply.lines("WARN").len(), 2, "three tries: {:#?}", reply.lines);
        reply.assert_metrics("refused", &[("UpstreamErrors", 1), ("Errors", 1)]);
    }
    let _anthropic = FakeAnthropic::on(TcpListener::bind(("127.0.0.1", port)).await.unwrap(), Ending::Fin, []);
    function.ask_after_freeze(false).await.assert_answered("refused");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_does_not_open_costs_one_timeout() {
    let dynamodb = emulator().await;
    // So that only the timeout of the connection can end the request.
    let patient = [("ANTHROPIC_FIRST_BYTE_TIMEOUT_SECONDS", "60".to_owned())];
    // The kernel drops the packets that would open another connection while this one waits to be accepted.
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let full = socket.listen(0).unwrap();
    let waiting = TcpStream::connect(full.local_addr().unwrap()).await.unwrap();
    let function = Function::start(&url(&full), &dynamodb.endpoint, &patient).await;
    let reply = function.ask(false).await;
    assert_no_connection(&reply, "no answer to SYN");
    drop(waiting);
    let anthropic = FakeAnthropic::on(full, Ending::Fin, []);
    function.ask_after_freeze(false).await.assert_answered("no answer to SYN");
    drop(anthropic);

    // The kernel opens the connection, and nobody answers the TLS handshake.
    let silent = listener().await;
    let function = Function::start(&url(&silent).replace("http:", "https:"), &dynamodb.endpoint, &patient).await;
    assert_no_connection(&function.ask(true).await, "no TLS");
}

#[track_caller]
fn assert_no_connection(reply: &Reply, case: &str) {
    reply.assert_error(case, LATE, None);
    reply.assert_line(case, "ERROR", NETWORK, false);
    assert_eq!(reply.lines("ERROR")[0]["error"], "Anthropic did not answer in time: there was no connection");
    assert_eq!(reply.lines("WARN").len(), 0, "one try: {:#?}", reply.lines);
    reply.assert_metrics(case, &[("UpstreamErrors", 1), ("Errors", 1)]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_that_does_not_resolve_is_named_in_the_log() {
    let dynamodb = emulator().await;
    let function = Function::start("http://anthropic.invalid", &dynamodb.endpoint, &[]).await;
    let reply = function.ask(false).await;
    reply.assert_error("no such name", FAILED, None);
    reply.assert_line("no such name", "ERROR", NETWORK, false);
    assert!(reply.lines("ERROR")[0]["error"].as_str().unwrap().contains("dns error"), "{:#?}", reply.lines);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_closes_when_it_is_used_again_is_not_noticed() {
    let dynamodb = emulator().await;
    for ending in [Ending::Fin, Ending::Reset] {
        let anthropic = FakeAnthropic::on(listener().await, ending, []);
        let function = Function::start(&anthropic.url, &dynamodb.endpoint, &[]).await;
        for stream in [false, true] {
            function.ask(stream).await.assert_answered("before");
            anthropic.respond_with(Script::breaks_at_once());
            let earlier = anthropic.requests().len();
            let reply = function.ask_after_freeze(stream).await;
            assert_eq!(reply.response.status(), 200);
            assert!(reply.response.text().contains("Hello."));
            let clients: Vec<_> = anthropic.requests()[earlier - 1..].iter().map(|request| request.client).collect();
            assert!(clients[0] == clients[1] && clients[1] != clients[2], "{clients:?}");
            assert_eq!((reply.lines("ERROR").len(), reply.lines("WARN").len()), (0, 1), "{:#?}", reply.lines);
            reply.assert_metrics("closed", &[("UpstreamErrors", 0), ("Errors", 0)]);
        }
    }
}

/// The advice while DynamoDB cannot be used at the moment.
const DYNAMODB: &str = "RATE_LIMIT_ON_FAILURE=allow lets chats go on";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn failures_of_dynamodb_are_explained_and_pass() {
    // The case, how DynamoDB fails, how many calls it gets at least, a part of the advice, and whether the configuration is at fault.
    let cases = [
        // The third attempt may come too late on a busy machine.
        ("silence", Loss::Silent, 2, DYNAMODB, false),
        ("halves, and then silence", Loss::CutSilent, 2, DYNAMODB, false),
        ("halves", Loss::Cut, 3, DYNAMODB, false),
        ("lost responses", Loss::Closed, 3, DYNAMODB, false),
        ("lost calls", Loss::CallLost, 3, DYNAMODB, false),
        ("throughput", Loss::Refused(400, "ProvisionedThroughputExceededException"), 3, DYNAMODB, false),
        ("throttling", Loss::Refused(400, "ThrottlingException"), 3, DYNAMODB, false),
        ("the account's limit", Loss::Refused(400, "RequestLimitExceeded"), 3, DYNAMODB, false),
        ("failure", Loss::Refused(500, "InternalServerError"), 3, DYNAMODB, false),
        ("overload", Loss::Refused(503, "ServiceUnavailable"), 3, DYNAMODB, false),
        ("no permission", Loss::Refused(400, "AccessDeniedException"), 1, "deploy, which sets them", true),
        ("no table", Loss::Refused(400, "ResourceNotFoundException"), 1, "check AI_RATE_TABLE", true),
        ("another table", Loss::Refused(400, "ValidationException"), 1, "whose key is the string `pk`", true),
        ("wrong keys", Loss::Refused(400, "UnrecognizedClientException"), 1, "check AWS_ACCESS_KEY_ID", true),
    ];
    let run = cases.map(|(case, loss, tries, hint, is_misconfigured)| {
        Box::pin(async move {
            let (dynamodb, anthropic) = (emulator().await, FakeAnthropic::start([]).await);
            let proxy = DynamoDbProxy::start(&dynamodb).await;
            for on_failure in ["deny", "allow"] {
                // Anthropic answers, also if the machine is busy.
                let variables = [("RATE_LIMIT_ON_FAILURE", on_failure), ("ANTHROPIC_FIRST_BYTE_TIMEOUT_SECONDS", "60")];
                let variables = variables.map(|(name, value)| (name, value.to_owned()));
                let function = Function::start(&anthropic.url, &proxy.endpoint, &variables).await;
                let case = format!("{case}, {on_failure}");
                function.ask(false).await.assert_answered(&case);
                proxy.operations();
                let earlier = anthropic.requests().len();
                proxy.fail(loss);
                let reply = function.ask(false).await;
                let asked = anthropic.requests().len() - earlier;
                let calls = proxy.operations();
                assert!((tries..=3).contains(&calls.len()) && (tries == 1) == (calls.len() == 1), "{case}: {calls:?}");
                if on_failure == "deny" {
                    reply.assert_error(&case, UNCHECKED, Some(if is_misconfigured { "300" } else { "1" }));
                    reply.assert_line(&case, "ERROR", hint, is_misconfigured);
                    assert_eq!((asked, reply.lines("WARN").len()), (0, 0), "{case}");
                    reply.assert_metrics(
                        &case,
                        &[("RateLimitUnavailable", 1), ("RateLimitUnchecked", 0), ("Errors", 1)],
                    );
                } else {
                    assert_eq!((reply.response.status(), asked), (200, 1), "{case}");
                    assert_eq!(reply.response.header("x-ratelimit-remaining"), None, "{case}");
                    reply.assert_line(&case, "WARN", hint, is_misconfigured);
                    assert_eq!(reply.lines("ERROR").len(), 0, "{case}");
                    reply.assert_metrics(
                        &case,
                        &[("RateLimitUnavailable", 0), ("RateLimitUnchecked", 1), ("Errors", 0)],
                    );
                }
                proxy.recover();
                let next = function.ask_after_freeze(false).await;
                next.assert_answered(&case);
                next.assert_metrics(&case, &[("RateLimitAdmitted", 1)]);
                // A lost response counts once, however often the call was repeated.
                let is_counted = matches!(loss, Loss::Silent | Loss::CutSilent | Loss::Cut | Loss::Closed);
                let remaining = if is_counted { "47" } else { "48" };
                assert_eq!(next.response.header("x-ratelimit-remaining"), Some(remaining), "{case}");
            }
        })
    });
    run_some_at_once(run).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_lost_response_of_dynamodb_is_not_noticed_and_counts_once() {
    let (dynamodb, anthropic) = (emulator().await, FakeAnthropic::start([]).await);
    let proxy = DynamoDbProxy::start(&dynamodb).await;
    let function = Function::start(&anthropic.url, &proxy.endpoint, &[]).await;
    function.ask(false).await.assert_answered("before");
    let losses = [
        Loss::Silent,
        Loss::Cut,
        Loss::CutSilent,
        Loss::Closed,
        Loss::CallLost,
        Loss::Refused(400, "ThrottlingException"),
        Loss::Refused(500, "InternalServerError"),
    ];
    for (count, loss) in losses.into_iter().enumerate() {
        proxy.operations();
        proxy.lose_next_response(loss);
        let reply = function.ask_after_freeze(false).await;
        let case = format!("{loss:?}");
        reply.assert_answered(&case);
        assert_eq!(proxy.operations(), ["UpdateItem", "UpdateItem"], "{case}");
        assert_eq!(reply.response.header("x-ratelimit-remaining"), Some(&*(48 - count).to_string()), "{case}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn chats_go_on_when_dynamodb_is_back_at_its_address() {
    let (dynamodb, anthropic, port) = (emulator().await, FakeAnthropic::start([]).await, free_port());
    let function = Function::start(&anthropic.url, &format!("http://127.0.0.1:{port}"), &[]).await;
    let reply = function.ask(true).await;
    reply.assert_error("refused", UNCHECKED, Some("1"));
    reply.assert_line("refused", "ERROR", DYNAMODB, false);
    reply.assert_metrics("refused", &[("RateLimitUnavailable", 1), ("Errors", 1)]);
    let _proxy = DynamoDbProxy::on(TcpListener::bind(("127.0.0.1", port)).await.unwrap(), &dynamodb);
    function.ask_after_freeze(true).await.assert_answered("refused");
}
