//! A `rotracker serve` with databases of its own.

use std::{path::Path, process::Command};

use futures_util::future::join_all;
use http::Method;
use reqwest::{Client, Response};
use rotracker_cli::local_client::local_client;
use rotracker_tests::{
    TestDatabase,
    app::{encoded, new_order},
    emulator::{Instance, database_variables, free_port},
    service::start_serve,
};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    CLIENTS, Case, PIECES,
    data::{self, Parts, Size},
};

pub(crate) struct Side {
    pub(crate) main: TestDatabase,
    pub(crate) inventory: TestDatabase,
    pub(crate) parts: Parts,
    server: Server,
    /// The id of the order that is read, and of the one that is moved.
    read: i64,
    moved: i64,
    /// The paths of the pages from the middle of the paid orders, of the ledger, and of the log.
    middle_pages: [String; 3],
}

/// The process, and the client that calls it. The client keeps its connections.
struct Server {
    instance: Instance,
    client: Client,
    url: String,
    _folder: TempDir,
}

type Variables = Vec<(&'static str, String)>;

fn variables(main: &TestDatabase, inventory: &TestDatabase) -> Variables {
    let own = [
        ("DB_NAME_INVENTORY", inventory.name.clone()),
        ("AUTH_MODE", "none".to_owned()),
        ("RUST_LOG", "error".to_owned()),
    ];
    [database_variables(main).as_slice(), &own].concat()
}

impl Side {
    /// Migrates and fills databases of its own, and serves them.
    pub(crate) async fn start(program: &Path, size: &Size) -> Self {
        let (main, inventory) = (TestDatabase::empty().await, TestDatabase::empty().await);
        let variables = variables(&main, &inventory);
        let mut migrate = Command::new(program);
        migrate.arg("migrate");
        let migration = Instance::spawn(migrate, &variables);
        assert_eq!(migration.end().await, Some(0), "{:?}", migration.log());

        data::fill_main(&main, size).await;
        let parts = data::fill_inventory(&inventory, size).await;
        let (read, moved) = (data::order_id(&main, "RO1").await, data::order_id(&main, "RO3").await);
        let server = Server::start(program, &variables).await;
        let [orders, ledger, log] = size.middles();
        let middle_pages = [
            server.page_from("/api/ros?archiveStatus=PAID", orders).await,
            server.page_from("/api/inventory/transactions?", ledger).await,
            server.page_from("/api/ai-logs?", log).await,
        ];
        Self { main, inventory, parts, server, read, moved, middle_pages }
    }

    /// Sends the requests of a round.
    pub(crate) async fn run(&self, case: Case, round: u32) {
        let is_even = round.is_multiple_of(2);
        let get = async |path: &str| self.server.send(Method::GET, path, None, 200).await;
        let change = async |method: Method, path: &str, body: Value, status: u16| {
            self.server.send(method, path, Some(&body), status).await;
        };
        let Parts { taken, indexed, in_stock_room, .. } = &self.parts;
        let decrement = async || {
            let body = taken.change(&json!({ "quantity": 1 }));
            change(Method::POST, "/api/inventory/decrement", body, 200).await;
        };
        let [orders, ledger, log] = &self.middle_pages;
        match case {
            Case::Dashboard => get("/api/ros/stats/dashboard").await,
            Case::Order => get(&format!("/api/ros/{}", self.read)).await,
            Case::List => get("/api/ros").await,
            Case::ListOfRouter => unreachable!("it is not sent over HTTP"),
            Case::Page => get("/api/ros?archiveStatus=PAID&limit=50").await,
            Case::DeepPage => get(orders).await,
            Case::Create => {
                let body = new_order(json!({ "roNumber": format!("NEW{round}") }));
                change(Method::POST, "/api/ros", body, 201).await;
            }
            Case::Status => {
                let body = json!({ "status": if is_even { "WAITING QUOTE" } else { "APPROVED" } });
                change(Method::PATCH, "/api/ros/by-number/RO2/status", body, 200).await;
            }
            Case::Move => {
                let body = json!({ "archiveStatus": if is_even { "PAID" } else { "ACTIVE" } });
                change(Method::PATCH, &format!("/api/ros/{}", self.moved), body, 200).await;
            }
            Case::SearchExact => get(&format!("/api/inventory/search?partNumber={}", encoded(indexed))).await,
            Case::SearchPart => get(&format!("/api/inventory/search?partNumber={}", Parts::rare(indexed))).await,
            Case::LowStock => get("/api/inventory/low-stock").await,
            Case::FewHits => get(&format!("/api/inventory/stock-room?search={}", Parts::rare(in_stock_room))).await,
            Case::ManyHits => get("/api/inventory/stock-room?search=valve").await,
            Case::Stats => get("/api/inventory/stats").await,
            Case::Tables => get("/api/inventory/tables").await,
            Case::Ledger => get("/api/inventory/transactions?limit=50").await,
            Case::DeepLedger => get(ledger).await,
            Case::Logs => get("/api/ai-logs?limit=50").await,
            Case::DeepLogs => get(log).await,
            Case::Decrement => decrement().await,
            Case::ContendedDecrement => {
                let client = async |_| {
                    for _ in 0..PIECES {
                        decrement().await;
                    }
                };
                join_all((0..CLIENTS).map(client)).await;
            }
        }
    }

    /// Returns the memory at its peak, in MB, of a process of its own that was asked for nothing but the list of orders.
    pub(crate) async fn memory_of_list(&self, program: &Path) -> f64 {
        let server = Server::start(program, &variables(&self.main, &self.inventory)).await;
        server.send(Method::GET, "/api/ros", None, 200).await;
        #[expect(clippy::cast_precision_loss, reason = "a process has less than 2^52 bytes")]
        let bytes = server.instance.peak_memory().unwrap() as f64;
        bytes / 1e6
    }
}

impl Server {
    async fn start(program: &Path, variables: &[(&str, String)]) -> Self {
        let (port, folder) = (free_port(), tempfile::tempdir().unwrap());
        let instance = start_serve(Command::new(program), &[], port, folder.path(), variables).await;
        // Compression would hide the rest.
        let client = local_client().gzip(false).build().unwrap();
        Self { instance, client, url: format!("http://127.0.0.1:{port}"), _folder: folder }
    }

    /// Sends a request, and discards each part of the response as it comes.
    async fn send(&self, method: Method, path: &str, body: Option<&Value>, status: u16) {
        let mut response = self.respond(method, path, body).await;
        assert_eq!(response.status(), status, "{path}");
        while response.chunk().await.unwrap().is_some() {}
    }

    async fn respond(&self, method: Method, path: &str, body: Option<&Value>) -> Response {
        let mut request = self.client.request(method, format!("{}{path}", self.url));
        if let Some(body) = body {
            request = request.json(body);
        }
        request.send().await.unwrap()
    }

    /// Returns the path of the 50 items of `list` after the first `offset` ones: by the cursor of the page before, or by the offset if
    /// this program has no cursors.
    async fn page_from(&self, list: &str, offset: u32) -> String {
        let page_before = format!("{list}&limit=50&offset={}", offset - 50);
        let response = self.respond(Method::GET, &page_before, None).await;
        assert_eq!(response.status(), 200, "{page_before}");
        let in_header = response.headers().get("x-next-cursor").map(|cursor| cursor.to_str().unwrap().to_owned());
        let body: Value = response.json().await.unwrap();
        match in_header.as_deref().or(body["nextCursor"].as_str()) {
            Some(cursor) => format!("{list}&limit=50&cursor={}", encoded(cursor)),
            None => format!("{list}&limit=50&offset={offset}"),
        }
    }
}
