//! Sends `rotracker serve`, and the Lambda binary of `ros`, requests and connections that could cost more than they should, and prints
//! what each costs beside its ordinary counterpart: `cargo run -p rotracker-tests --example abuse`. Everything stays on this machine
//! and ends by itself. The argument `connections` leaves the requests out.

use std::{
    fs,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use http::Method;
use rotracker_cli::output::print;
use rotracker_tests::{
    TestDatabase,
    database::{execute, fill, migrate},
    emulator::{Instance, binary, database_variables, template_variables},
    gateway::{Call, Gateway},
    issuer::Issuer,
    runtime_api::{Outcome, RuntimeApi},
    service::Service,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{interval, sleep, timeout},
};

const ORDERS: u32 = 50_000;

/// How long a client of a measurement waits.
const PATIENCE: Duration = Duration::from_secs(60);

/// How often each request is sent.
const REPEATS: u32 = 3;

/// The service that gets the requests.
struct Target(Service);

impl Target {
    async fn start(database: &TestDatabase, variables: &[(&str, String)]) -> Self {
        let variables = [database_variables(database).as_slice(), variables].concat();
        Self(Service::start(&["--client-timeout", "30"], &variables).await)
    }

    fn address(&self) -> (&'static str, u16) {
        ("127.0.0.1", self.0.port)
    }

    fn file(&self, name: &str) -> Result<String> {
        Ok(format!("/proc/{}/{name}", self.0.instance.process_id()?))
    }

    /// The processor time that the service has used, in ticks of 10 ms.
    fn ticks(&self) -> Result<u64> {
        let stat = fs::read_to_string(self.file("stat")?)?;
        let fields: Vec<&str> = stat.rsplit_once(')').context("no fields")?.1.split_whitespace().collect();
        Ok(fields[11].parse::<u64>()? + fields[12].parse::<u64>()?)
    }

    /// Sends `request` as it is and reads the whole response. Returns its status, 0 if there was none.
    async fn send(&self, request: &[u8]) -> Result<u16> {
        let mut stream = TcpStream::connect(self.address()).await?;
        let (mut reader, mut writer) = stream.split();
        let mut response = Vec::new();
        let write = async {
            // The service may answer and close before it has read everything.
            let _ = writer.write_all(request).await;
        };
        let read = timeout(PATIENCE, async {
            let _ = reader.read_to_end(&mut response).await;
        });
        let (_, answered) = tokio::join!(write, read);
        if answered.is_err() {
            return Ok(0);
        }
        Ok(status_of(&response))
    }

    async fn measure(&self, case: &Case) -> Result<()> {
        let Case { name, request } = case;
        // From now on the peak of the memory is counted anew.
        fs::write(self.file("clear_refs")?, "5")?;
        let (memory, ticks) = (self.0.instance.resident_memory()?, self.ticks()?);
        let (mut times, mut status) = (Vec::new(), 0);
        for _ in 0..REPEATS {
            let started = Instant::now();
            status = self.send(request).await?;
            times.push(started.elapsed());
        }
        let median = median_of(times);
        let processor = (self.ticks()? - ticks) as f64 * 10.0 / f64::from(REPEATS);
        let peak = megabytes(self.0.instance.peak_memory()?.saturating_sub(memory));
        print(&format!("| {name} | {} | {status} | {median:.1} | {processor:.1} | {peak:.1} |", request.len()));
        Ok(())
    }

    /// The status and the time of a small request, while others go on.
    async fn ordinary(&self) -> Result<String> {
        let started = Instant::now();
        let status = self.send(&get("/api/ros?limit=1", &[])).await?;
        Ok(format!("{status} in {:.0} ms", started.elapsed().as_secs_f64() * 1e3))
    }
}

fn status_of(response: &[u8]) -> u16 {
    let line = String::from_utf8_lossy(&response[..response.len().min(20)]).into_owned();
    line.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0)
}

fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1024.0 / 1024.0
}

/// Returns the median in milliseconds.
fn median_of(mut times: Vec<Duration>) -> f64 {
    times.sort_unstable();
    times[times.len() / 2].as_secs_f64() * 1e3
}

struct Case {
    name: &'static str,
    request: Vec<u8>,
}

fn case(name: &'static str, request: Vec<u8>) -> Case {
    Case { name, request }
}

fn head(method: &str, path: &str, headers: &[(&str, &str)]) -> String {
    let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    format!("{method} {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{headers}")
}

fn get(path: &str, headers: &[(&str, &str)]) -> Vec<u8> {
    format!("{}\r\n", head("GET", path, headers)).into_bytes()
}

fn post(path: &str, body: &str) -> Vec<u8> {
    let head = head("POST", path, &[("content-type", "application/json"), ("content-length", &body.len().to_string())]);
    format!("{head}\r\n{body}").into_bytes()
}

/// Bodies of orders, each with a name.
fn bodies() -> Vec<(&'static str, String)> {
    let megabytes = |count: usize| count * 1024 * 1024;
    let order = |fields: &str| format!("{{\"shopName\":\"s\",{fields}}}");
    let cost = |number: &str| order(&format!("\"estimatedCost\":{number}"));
    let members = |member: fn(usize) -> String| (0..500_000).map(member).collect::<Vec<_>>().join(",");
    let fields = [
        "roNumber",
        "shopName",
        "partNumber",
        "serialNumber",
        "partDescription",
        "requiredWork",
        "terms",
        "shopReferenceNumber",
        "currentStatus",
        "genThrustStatus",
        "shopStatus",
        "trackingNumber",
        "notes",
    ];
    let long: Vec<String> = fields.iter().map(|field| format!("\"{field}\":\"{}\"", "x".repeat(400_000))).collect();
    vec![
        ("an order without required fields", order("\"notes\":\"n\"")),
        ("a text of 6 MB", order(&format!("\"notes\":\"{}\"", "x".repeat(megabytes(6) - 100)))),
        ("more than 6 MB", order(&format!("\"notes\":\"{}\"", "x".repeat(megabytes(6))))),
        ("long texts in 13 fields", format!("{{{}}}", long.join(","))),
        ("1,000,000 escaped characters", order(&format!("\"notes\":\"{}\"", "\\u0061".repeat(1_000_000)))),
        (
            "2,500,000 accents on one letter",
            order(&format!("\"roNumber\":\"a{}\"", "\u{323}\u{301}".repeat(1_250_000))),
        ),
        ("5 MB of white space in a number", order(&format!("\"roNumber\":\"a{}b\"", " ".repeat(megabytes(5))))),
        ("100,000 brackets", order(&format!("\"x\":{}", "[".repeat(100_000)))),
        ("6,000,000 empty lists", order(&format!("\"x\":[{}[]]", "[],".repeat(1_900_000)))),
        ("500,000 unknown members", order(&members(|index| format!("\"x{index}\":1")))),
        ("500,000 members of one name", order(&members(|_| "\"y\":1".to_owned()))),
        ("500,000 times a known member", order(&members(|_| "\"notes\":\"\"".to_owned()))),
        ("an amount of 5,000,000 digits", cost(&"9".repeat(5_000_000))),
        ("an amount with 5,000,000 decimals", cost(&format!("0.{}", "1".repeat(5_000_000)))),
        ("1e999999999", cost("1e999999999")),
        ("1e-999999999", cost("1e-999999999")),
        ("5,000,000 digits and an exponent", cost(&format!("{}e-5", "1".repeat(5_000_000)))),
        ("an exponent of 5,000,000 digits", cost(&format!("1e{}", "9".repeat(5_000_000)))),
        ("a date of 6 MB", order(&format!("\"dateMade\":\"{}\"", "1".repeat(megabytes(6) - 100)))),
    ]
}

/// Requests that are unusual in another way than by the fields of an order.
fn other_requests() -> Vec<Case> {
    let path = |query: &str| get(&format!("/api/ros?{query}"), &[]);
    let list = "limit=1&q=";
    let gzip = "gzip,".repeat(3_000);
    let tags = "\"a\",".repeat(3_500);
    let thousand: Vec<String> = (0..1_000).map(|index| format!("x-{index}")).collect();
    let thousand: Vec<(&str, &str)> = thousand.iter().map(|name| (&**name, "1")).collect();
    vec![
        case("a list of one order", path("limit=1")),
        case("10,000 parameters", path(&"a=1&".repeat(10_000))),
        case("2,000 parameters", path(&format!("limit=1&{}", "a=1&".repeat(2_000)))),
        case("a parameter of 8 KB", path(&format!("{list}{}", "x".repeat(8_000)))),
        case("2,600 escaped percent signs", path(&format!("{list}{}", "%25".repeat(2_600)))),
        case("malformed escapes", path(&format!("{list}{}", "%zz%C0%AF".repeat(800)))),
        case("an offset of 1e18", path("limit=1&offset=1000000000000000000")),
        case("a limit of 1e18, without orders", path("limit=1000000000000000000&q=nothing-like-this")),
        case("a path of 60 KB", get(&format!("/{}", "x".repeat(60_000)), &[])),
        case("4,000 segments", get(&"/x".repeat(4_000), &[])),
        case("headers of 64 KB", get("/api/ros?limit=1", &[("x-long", &"x".repeat(64_000))])),
        case("headers of 5 MB", get("/api/ros?limit=1", &[("x-long", &"x".repeat(5_000_000))])),
        case("1,000 headers", get("/api/ros?limit=1", &thousand)),
        case("3,000 encodings", get("/api/ros?limit=1", &[("accept-encoding", &gzip)])),
        case("3,500 tags", get("/api/ros/by-number/RO1", &[("if-none-match", &tags)])),
        case("ranges", get("/api/ros?limit=1", &[("range", &format!("bytes={}0-0", "0-0,".repeat(3_000)))])),
        case("a body in gzip", {
            let headers =
                [("content-type", "application/json"), ("content-encoding", "gzip"), ("content-length", "6000000")];
            let mut request = format!("{}\r\n", head("POST", "/api/ros", &headers)).into_bytes();
            request.resize(request.len() + 6_000_000, 0);
            request
        }),
        case("a length of 10 GB", {
            let headers = [("content-type", "application/json"), ("content-length", "10000000000")];
            format!("{}\r\n{{", head("POST", "/api/ros", &headers)).into_bytes()
        }),
    ]
}

fn searches() -> Vec<Case> {
    let search = |text: &str| get(&format!("/api/ros?limit=1&q={text}"), &[]);
    [
        ("a search that finds nothing", search("nothing-like-this")),
        ("a search for one letter", search("a")),
        ("a search for %_%_…, 200 characters", search(&"%25_".repeat(100))),
        ("a search for backslashes", search(&"%5C".repeat(200))),
        ("a search for aaa…ab", search(&format!("{}b", "note%20".repeat(28)))),
    ]
    .map(|(name, request)| case(name, request))
    .into()
}

fn tokens(issuer: &Issuer) -> Vec<Case> {
    let with = |token: &str| get("/api/ros?limit=1", &[("authorization", &format!("Bearer {token}"))]);
    let encode = |text: &str| base64::Engine::encode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, text);
    let good = issuer.token("ann");
    let claims: serde_json::Map<_, _> = (0..1_000).map(|index| (format!("c{index}"), 1.into())).collect();
    let rest = good.split_once('.').map(|(_, rest)| rest.to_owned()).unwrap_or_default();
    vec![
        case("a good token", with(&good)),
        case("no token", get("/api/ros?limit=1", &[])),
        case("a token with 1,000 claims", with(&issuer.token_with("ann", claims.into()))),
        case("a token of 300 KB", with(&"e".repeat(300_000))),
        case("algorithm none", with(&format!("{}.{rest}", encode(r#"{"alg":"none"}"#)))),
        case("an unknown key", with(&format!("{}.{rest}", encode(r#"{"alg":"RS256","kid":"nobody"}"#)))),
        case(
            "a header of 8,000 brackets",
            with(&format!("{}.{rest}", encode(&format!("{{\"alg\":{}", "[".repeat(8_000))))),
        ),
    ]
}

const HEADING: &str =
    "| request | bytes | status | median ms | processor ms | peak MB more |\n|---|---|---|---|---|---|";

/// Connections that their clients hold.
struct Held<'a> {
    name: &'static str,
    count: usize,
    /// The bytes that are sent at first.
    start: &'a [u8],
    /// The byte that is sent each second after that.
    each_second: Option<u8>,
    /// Whether the service answers them.
    has_answer: bool,
}

/// Measures the connections that clients hold.
async fn connections(service: &Target) -> Result<()> {
    print("\n| connections | after | still open | an ordinary request meanwhile | MB more |\n|---|---|---|---|---|");
    let before = megabytes(service.0.instance.resident_memory()?);
    let body = head("POST", "/api/ros", &[("content-type", "application/json"), ("content-length", "1000")]);
    let body = format!("{body}\r\n{{").into_bytes();
    let list = get("/api/ros", &[]);
    let slow = |name, start, byte| Held { name, count: 200, start, each_second: Some(byte), has_answer: false };
    let kinds = [
        Held { name: "idle", count: 10_000, start: b"", each_second: None, has_answer: false },
        slow("a byte of a header each second", b"GET /api/ros HTTP/1.1\r\nx: ", b'x'),
        slow("a byte of a body each second", &body, b' '),
        Held {
            name: "a list of 50,000 orders that is not read",
            count: 30,
            start: &list,
            each_second: None,
            has_answer: true,
        },
    ];
    for Held { name, count, start, each_second, has_answer } in kinds {
        let mut streams = Vec::new();
        for _ in 0..count {
            let mut stream = timeout(PATIENCE, TcpStream::connect(service.address())).await??;
            let _ = stream.write_all(start).await;
            streams.push(stream);
        }
        let (started, mut seconds, mut every) = (Instant::now(), 0, interval(Duration::from_secs(1)));
        while seconds < 75 {
            every.tick().await;
            seconds += 1;
            if let Some(byte) = each_second {
                for stream in &mut streams {
                    let _ = stream.try_write(&[byte]);
                }
            }
            if [3, 15, 45, 75].contains(&seconds) {
                let open = streams.iter().filter(|stream| is_open(stream, has_answer)).count();
                let ordinary = service.ordinary().await?;
                let more = megabytes(service.0.instance.resident_memory()?) - before;
                let after = started.elapsed().as_secs();
                print(&format!("| {count}: {name} | {after} s | {open} | {ordinary} | {more:.1} |"));
            }
        }
        drop(streams);
        sleep(Duration::from_secs(1)).await;
    }
    Ok(())
}

/// Returns whether the service has neither answered nor closed the connection.
fn is_open(stream: &TcpStream, has_answer: bool) -> bool {
    if has_answer {
        // The answer waits in the buffers, and its end cannot be seen without reading it.
        return stream.take_error().is_ok_and(|error| error.is_none());
    }
    let mut buffer = [0; 512];
    matches!(stream.try_read(&mut buffer), Err(error) if error.kind() == std::io::ErrorKind::WouldBlock)
}

/// The same bodies for the function `ros`, as the gateway delivers them.
async fn lambda(database: &TestDatabase) -> Result<()> {
    print("\n| the Lambda binary `ros` | status | median ms | peak MB of a new instance |\n|---|---|---|---|");
    for (name, body) in bodies() {
        let api = RuntimeApi::start().await;
        let variables = [database_variables(database), template_variables()].concat();
        let instance = Instance::start(&api.address, &binary("ros").await, &variables);
        let call = Call::new(Method::POST, "/api/ros").header("content-type", "application/json").text(&body);
        let event = Gateway::RestApi.event(&call);
        let (mut times, mut status) = (Vec::new(), 0);
        for _ in 0..REPEATS {
            let started = Instant::now();
            status = match api.invoke(&event).await {
                Outcome::Response(posted) => posted.read().await.status(),
                Outcome::Error(_) => 502,
            };
            times.push(started.elapsed());
        }
        let peak = megabytes(instance.peak_memory()?);
        print(&format!("| {name} | {status} | {:.1} | {peak:.1} |", median_of(times)));
        instance.stop().await;
    }
    Ok(())
}

#[tokio::main(worker_threads = 2)]
async fn main() -> Result<()> {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    rustix::process::setrlimit(
        rustix::process::Resource::Nofile,
        rustix::process::Rlimit { current: limit.maximum, ..limit },
    )?;
    let database = TestDatabase::empty().await;
    migrate(&database, &database, false).await.map_err(anyhow::Error::msg)?;
    fill(&database, ORDERS).await;
    execute(&mut database.connect().await, "ANALYZE TABLE active").await;
    let service = Target::start(&database, &[("AUTH_MODE", "none".to_owned())]).await;
    // The first requests fill caches.
    for _ in 0..20 {
        service.ordinary().await?;
    }
    if std::env::args().nth(1).is_some_and(|argument| argument == "connections") {
        return connections(&service).await;
    }
    print(HEADING);
    for (name, body) in bodies() {
        service.measure(&case(name, post("/api/ros", &body))).await?;
    }
    for case in other_requests().into_iter().chain(searches()) {
        service.measure(&case).await?;
    }
    let issuer = Issuer::start().await;
    let guarded = Target::start(&database, &issuer.variables()).await;
    for case in tokens(&issuer) {
        guarded.measure(&case).await?;
    }
    drop(guarded);
    lambda(&database).await?;
    connections(&service).await
}
