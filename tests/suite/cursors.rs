//! Pages by cursor: of orders, of their history, of the ledger and of the log.

use std::collections::BTreeSet;

use http::Method;
use rotracker_tests::{
    App, TestDatabase,
    app::path_of,
    counters::rows_read,
    database::{execute, fill, numbers},
};
use serde_json::{Value, json};

/// The pages of three lists, with the member that has the items and the member by which they are known.
const LEDGER: (&str, &str, &str) = ("/api/inventory/transactions", "transactions", "transactionId");
const LOG: (&str, &str, &str) = ("/api/ai-logs", "logs", "id");

fn ids(items: &Value, id: &str) -> Vec<String> {
    items.as_array().unwrap().iter().map(|item| item[id].to_string()).collect()
}

/// Reads a page of a list whose pages are objects: the ids and the cursor of the next page.
async fn page(app: &App, (path, list, id): (&str, &str, &str), query: &str) -> (Vec<String>, Option<String>) {
    let page = app.get(&format!("{path}?{query}")).await.expect(200);
    let is_by_cursor = query.contains("cursor=");
    assert_eq!(page["offset"].is_null(), is_by_cursor, "{page}");
    (ids(&page[list], id), page["nextCursor"].as_str().map(str::to_owned))
}

/// Reads a page of orders: the ids and the cursor of the next page.
async fn page_of_orders(app: &App, query: &str) -> (Vec<String>, Option<String>) {
    let response = app.get(&format!("/api/ros?{query}")).await;
    let next = response.header("x-next-cursor").map(str::to_owned);
    let links = response.header("link").unwrap().to_owned();
    if query.contains("cursor=") {
        assert_eq!(links.contains("rel=\"next\""), next.is_some(), "{links}");
        assert!(next.iter().all(|next| links.contains(next)), "{links}");
    }
    (ids(&response.expect(200), "id"), next)
}

/// Reads all pages of orders, one after the other.
async fn all_orders(app: &App, query: &str, limit: usize) -> Vec<String> {
    let mut found = Vec::new();
    let mut cursor = String::new();
    loop {
        let (orders, next) = page_of_orders(app, &format!("{query}&limit={limit}{cursor}")).await;
        assert!(orders.len() == limit || next.is_none(), "{query}");
        assert!(!orders.is_empty(), "the page before had no cursor");
        found.extend(orders);
        let Some(next) = next else { return found };
        cursor = format!("&cursor={next}");
    }
}

/// Orders of all archive statuses, many of them alike in each field, with missing values and zero dates.
async fn untidy_orders() -> App {
    let app = App::start().await;
    let mut connection = app.database.connect().await;
    for (index, table) in ["active", "paid", "net", "returns"].into_iter().enumerate() {
        let insert = format!(
            "SET sql_mode = '';
             INSERT INTO `{table}` (RO, SHOP_NAME, DATE_MADE, NEXT_DATE_TO_UPDATE, ESTIMATED_COST, CURENT_STATUS)
             SELECT CONCAT(ELT(1 + n % 3, 'RO', 'ro', 'RÓ'), n * 4 + {index}),
                    ELT(1 + n % 6, 'Shop', 'shop', 'shóp ', '', '%', NULL),
                    ELT(1 + n % 4, '2024-01-02', '2024-01-01', '0000-00-00', NULL),
                    ELT(1 + n % 5, '2024-11-15', '2024-11-14', '0000-00-00', '2024-00-10', NULL),
                    ELT(1 + n % 7, '0.10', '0.30', '99999999.99', '0', '12.5', '12.50', NULL),
                    ELT(1 + n % 5, 'RAI', 'Raí', 'x\\'\"', '', NULL)
             FROM {} WHERE n < 25",
            numbers()
        );
        execute(&mut connection, &insert).await;
    }
    app
}

#[tokio::test]
async fn pages_of_orders_make_up_the_list_in_every_order() {
    let app = untidy_orders().await;
    for sort in ["nextDateToUpdate", "dateMade", "roNumber", "shopName", "estimatedCost", "currentStatus", "id"] {
        for order in ["asc", "desc"] {
            for archive in ["ACTIVE", "ALL"] {
                let query = format!("archiveStatus={archive}&sort={sort}&order={order}");
                let all = ids(&app.get(&format!("/api/ros?{query}")).await.expect(200), "id");
                assert_eq!(all.len(), if archive == "ALL" { 100 } else { 25 });
                assert_eq!(all_orders(&app, &query, 7).await, all, "{query}");
            }
        }
    }
    let query = "archiveStatus=ALL&statusClass=rai&q=ro&shop=shop";
    let all = ids(&app.get(&format!("/api/ros?{query}")).await.expect(200), "id");
    assert_eq!(all_orders(&app, query, 1).await, all);
}

#[tokio::test]
async fn a_page_by_offset_leads_on_by_cursor() {
    let app = App::start().await;
    fill(&app.database, 10).await;
    let all = ids(&app.get("/api/ros").await.expect(200), "id");
    let (orders, next) = page_of_orders(&app, "limit=3&offset=2").await;
    assert_eq!(orders, all[2..5]);
    let cursor = next.unwrap();
    assert_eq!(page_of_orders(&app, &format!("limit=5&cursor={cursor}")).await, (all[5..].to_vec(), None));
    let rest = app.get(&format!("/api/ros?cursor={cursor}")).await;
    assert_eq!(rest.header("x-total-count"), Some("10"));
    assert_eq!(ids(&rest.expect(200), "id"), all[5..], "without a limit, it is the rest of the list");
    // Scripts of the dashboard may read the header.
    let origin = [("origin", "https://repairs.example")];
    let exposed = app.send_with(Method::GET, "/api/ros", &origin, None).await;
    assert!(exposed.header("access-control-expose-headers").unwrap().contains("x-next-cursor"));
}

#[tokio::test]
async fn an_order_is_on_one_page_whatever_happens_to_others() {
    let app = App::start().await;
    fill(&app.database, 40).await;
    let mut seen = Vec::new();
    let mut cursor = String::new();
    for round in 0..8 {
        let (orders, next) = page_of_orders(&app, &format!("sort=id&limit=5{cursor}")).await;
        seen.extend(orders);
        let Some(next) = next else { break };
        cursor = format!("&cursor={next}");
        // The last order of the page and one of the first are deleted, one of the page changes, and one comes in before them.
        let gone: i64 = seen.last().unwrap().trim_matches('"').parse().unwrap();
        let mut other = app.database.connect().await;
        execute(&mut other, &format!("DELETE FROM active WHERE id IN ({gone}, {})", round + 1)).await;
        execute(&mut other, &format!("UPDATE active SET DATE_MADE = NULL WHERE id = {}", gone - 1)).await;
        execute(&mut other, &format!("INSERT INTO active (id, RO) VALUES ({}, 'NEW{round}')", -1 - round)).await;
    }
    let distinct: BTreeSet<&String> = seen.iter().collect();
    assert_eq!((seen.len(), distinct.len()), (40, 40));
}

#[tokio::test]
async fn an_order_whose_value_changes_is_seen_where_it_went() {
    let app = App::start().await;
    fill(&app.database, 6).await;
    let mut other = app.database.connect().await;
    execute(&mut other, "UPDATE active SET DATE_MADE = '2024-01-01' + INTERVAL id DAY").await;
    let (first, next) = page_of_orders(&app, "sort=dateMade&limit=3").await;
    // One that was read goes to the end, and one that was not read goes to the start.
    execute(&mut other, "UPDATE active SET DATE_MADE = '2025-01-01' WHERE id = 2").await;
    execute(&mut other, "UPDATE active SET DATE_MADE = '2023-01-01' WHERE id = 5").await;
    let (second, _) = page_of_orders(&app, &format!("sort=dateMade&limit=9&cursor={}", next.unwrap())).await;
    assert_eq!((first, second), (quoted(&[1, 2, 3]), quoted(&[4, 6, 2])));
}

fn quoted(ids: &[i64]) -> Vec<String> {
    ids.iter().map(|id| format!("\"{id}\"")).collect()
}

/// A ledger and a log whose entries have few instants, zero dates, and none.
async fn entries_alike_in_time() -> [(App, (&'static str, &'static str, &'static str)); 2] {
    let (ledger, log) = (App::inventory().await, App::ai_logs().await);
    let instant = "ELT(1 + n % 5, '2024-11-15 12:00:00', '2024-11-14', '0000-00-00', NULL, '2024-11-15 12:00:01')";
    let ledger_rows = format!(
        "SET sql_mode = ''; INSERT INTO transactions (Timestamp, Action, PartNumber, DeltaQty, NewQty)
         SELECT {instant}, IF(n % 2, 'DECREMENT', 'INCREMENT'), 'A-1', 1, 1 FROM {} WHERE n < 60",
        numbers()
    );
    execute(&mut ledger.database.connect().await, &ledger_rows).await;
    let log_rows = format!(
        "SET sql_mode = ''; INSERT INTO ai_conversation_logs (conversation_id, timestamp, user, user_message, ai_response)
         SELECT 'c', {instant}, IF(n % 2, 'u', 'v'), '', '' FROM {} WHERE n < 60",
        numbers()
    );
    execute(&mut log.database.connect().await, &log_rows).await;
    [(ledger, LEDGER), (log, LOG)]
}

#[tokio::test]
async fn pages_of_the_ledger_and_the_log_make_up_the_list() {
    for (app, list) in entries_alike_in_time().await {
        for filter in ["", "action=DECREMENT&user=u&", "partNumber=a-1&conversationId=c&startDate=2024-11-14&"] {
            let (all, next) = page(&app, list, &format!("{filter}limit=100")).await;
            assert_eq!(next, None);
            let mut found = Vec::new();
            let mut cursor = String::new();
            loop {
                let (entries, next) = page(&app, list, &format!("{filter}limit=6{cursor}")).await;
                assert!(!entries.is_empty(), "the page before had no cursor");
                found.extend(entries);
                let Some(next) = next else { break };
                cursor = format!("&cursor={next}");
            }
            assert_eq!(found, all, "{list:?} {filter}");
        }
    }
}

#[tokio::test]
async fn the_history_of_an_order_is_read_by_cursor() {
    let app = App::start().await;
    let order = app.create("RO1").await;
    for number in 2..=5 {
        app.patch(&path_of(&order), &json!({ "notes": number.to_string() })).await.expect(200);
    }
    let path = format!("{}/history", path_of(&order));
    let history = (&*path, "history", "revision");
    let (first, next) = page(&app, history, "limit=2").await;
    // A later change is on no later page.
    app.patch(&path_of(&order), &json!({ "notes": "6" })).await.expect(200);
    let cursor = next.unwrap();
    let (second, next) = page(&app, history, &format!("limit=2&cursor={cursor}")).await;
    let (third, end) = page(&app, history, &format!("limit=2&cursor={}", next.unwrap())).await;
    assert_eq!((first.concat(), second.concat(), third.concat(), end), ("54".into(), "32".into(), "1".into(), None));
    let other = app.create("RO2").await;
    let refused = app.get(&format!("{}/history?cursor={cursor}", path_of(&other))).await.expect(400);
    assert!(refused["details"]["fields"]["cursor"].is_string(), "the cursor of another order: {refused}");
}

#[tokio::test]
async fn wrong_cursors_are_rejected() {
    let app = untidy_orders().await;
    let (_, next) = page_of_orders(&app, "limit=3&sort=shopName").await;
    let orders = next.unwrap();
    let [(ledger, _), (log, _)] = entries_alike_in_time().await;
    let cursor_of_ledger = page(&ledger, LEDGER, "limit=3").await.1.unwrap();
    let cursor_of_log = page(&log, LOG, "limit=3").await.1.unwrap();
    let mut damaged = orders.clone();
    damaged.replace_range(30..31, if &orders[30..31] == "A" { "B" } else { "A" });
    for (app, query) in [
        (&app, format!("/api/ros?sort=shopName&limit=3&offset=0&cursor={orders}")),
        (&app, format!("/api/ros?sort=roNumber&limit=3&cursor={orders}")),
        (&app, format!("/api/ros?sort=shopName&order=desc&limit=3&cursor={orders}")),
        (&app, format!("/api/ros?sort=shopName&archiveStatus=ALL&limit=3&cursor={orders}")),
        (&app, format!("/api/ros?sort=shopName&limit=3&cursor={damaged}")),
        (&app, format!("/api/ros?limit=3&cursor={cursor_of_ledger}")),
        (&app, "/api/ros?limit=3&cursor=x".to_owned()),
        (&ledger, format!("/api/inventory/transactions?cursor={cursor_of_log}")),
        (&ledger, format!("/api/inventory/transactions?cursor={cursor_of_ledger}&offset=3")),
        (&ledger, format!("/api/inventory/transactions?cursor={cursor_of_ledger}&partNumber=A-1")),
        (&log, format!("/api/ai-logs?cursor={cursor_of_log}&user=u")),
        (&log, format!("/api/ai-logs?cursor={cursor_of_log}&offset=0")),
        (&log, format!("/api/ai-logs?cursor={cursor_of_ledger}")),
    ] {
        let refused = app.get(&query).await.expect(400);
        let fields = refused["details"]["fields"].as_object().unwrap();
        assert_eq!(fields.keys().collect::<Vec<_>>(), ["cursor"], "{query}");
    }
}

/// Returns the path of the page after `pages` pages of two items.
async fn path_after(app: &App, list: (&str, &str, &str), pages: usize) -> String {
    let (path, ..) = list;
    let (_, next) = page(app, list, &format!("limit=2&offset={}", 2 * pages - 2)).await;
    format!("{path}?limit=2&cursor={}", next.unwrap())
}

#[tokio::test]
async fn the_thousandth_page_reads_as_many_rows_as_the_first() {
    let database = TestDatabase::inventory().await;
    let rows = format!(
        "INSERT INTO transactions (Timestamp, Action, PartNumber, DeltaQty, NewQty)
         SELECT '2024-11-15' - INTERVAL n DIV 50 SECOND, 'DECREMENT', 'A-1', 1, 1 FROM {} WHERE n < 3000;
         ANALYZE TABLE transactions",
        numbers()
    );
    execute(&mut database.connect().await, &rows).await;
    let pool = database.pool(1);
    let ledger = App::inventory_on(database, pool);

    let database = TestDatabase::migrated().await;
    let rows = format!(
        "INSERT INTO ai_conversation_logs (conversation_id, timestamp, user, user_message, ai_response)
         SELECT 'c', '2024-11-15' - INTERVAL n DIV 50 SECOND, 'u', '', '' FROM {} WHERE n < 3000;
         ANALYZE TABLE ai_conversation_logs",
        numbers()
    );
    execute(&mut database.connect().await, &rows).await;
    let pool = database.pool(1);
    let log = App::ai_logs_on(database, pool);

    let database = TestDatabase::migrated().await;
    fill(&database, 3_000).await;
    let rows = format!(
        "INSERT INTO ro_history (order_id, revision, ro_number, action, changed_at, changes)
         SELECT 1, n + 1, 'RO0', 'UPDATED', '2024-11-15', '[]' FROM {} WHERE n < 3000;
         ANALYZE TABLE ro_history, active",
        numbers()
    );
    execute(&mut database.connect().await, &rows).await;
    let pool = database.pool(1);
    let orders = App::on(database, pool);

    let history = ("/api/ros/1/history", "history", "revision");
    let (_, cursor) = page_of_orders(&orders, "limit=2&offset=1996").await;
    let pages = [
        (&ledger, format!("{}?limit=2", LEDGER.0), path_after(&ledger, LEDGER, 999).await),
        (&log, format!("{}?limit=2", LOG.0), path_after(&log, LOG, 999).await),
        (&orders, format!("{}?limit=2", history.0), path_after(&orders, history, 999).await),
        (&orders, "/api/ros?limit=2".to_owned(), format!("/api/ros?limit=2&cursor={}", cursor.unwrap())),
    ];
    for (app, first, thousandth) in &pages {
        let (_, read_by_first) = rows_read(app, first).await;
        let (_, read) = rows_read(app, thousandth).await;
        assert!(
            read <= read_by_first + 10,
            "{thousandth}: {read} rows were read, and {read_by_first} for the first page"
        );
    }
}
