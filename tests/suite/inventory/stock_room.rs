//! `GET /api/inventory/stock-room`

use rand::{Rng, SeedableRng, rngs::StdRng, seq::IndexedRandom};
use rotracker_tests::{App, app::encoded, database::execute};
use serde_json::{Value, json};
use sqlx::AssertSqlSafe;

fn numbers(response: &Value) -> Vec<&str> {
    response["items"].as_array().unwrap().iter().map(|item| item["partNumber"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn the_response_has_all_fields() {
    let app = App::inventory().await;
    let part = app.put("stock_room", "A123", 10).await;
    let response = app.get("/api/inventory/stock-room?location=A-12").await.expect(200);
    let expected = json!({
        "items": [{
            "id": part.row_id.to_string(),
            "partNumber": "A123",
            "qty": 10,
            "serial": "SN-001",
            "condition": "SV",
            "location": "A-12",
            "description": "Part A123 of stock_room",
        }],
        "count": 1,
        "filters": { "location": "A-12", "condition": null, "search": null },
    });
    assert_eq!(response, expected);
}

#[tokio::test]
async fn filters_are_combined_and_literal() {
    let app = App::inventory().await;
    let rows = r"INSERT INTO stock_room (PN, COND, LOCATION, DESCRIPTION) VALUES
        ('A-1', 'SV', 'A-12', 'Hydraulic pump'), ('A-2', 'AR', 'A-12', 'Check valve'), ('A-3', 'sv ', ' a-12', 'PUMP seal'),
        ('A-4', 'SV', 'A-1', '100% cotton'), ('A%5', NULL, NULL, 'back\\slash'), ('A_6', 'NE', '%', NULL)";
    execute(&mut app.database.connect().await, rows).await;
    for (query, found) in [
        (String::new(), vec!["A-1", "A-2", "A-3", "A-4", "A_6", "A%5"]),
        ("location=A-12".to_owned(), vec!["A-1", "A-2", "A-3"]),
        ("location=a-12&condition=SV".to_owned(), vec!["A-1", "A-3"]),
        ("search=pump".to_owned(), vec!["A-1", "A-3"]),
        ("search=a-2".to_owned(), vec!["A-2"]),
        ("search=pump&condition=SV&location=A-12".to_owned(), vec!["A-1", "A-3"]),
        (format!("search={}", encoded("%")), vec!["A-4", "A%5"]),
        (format!("search={}", encoded("_")), vec!["A_6"]),
        (format!("search={}", encoded(r"k\s")), vec!["A%5"]),
        (format!("location={}", encoded("%")), vec!["A_6"]),
        (format!("condition={}", encoded("S_")), vec![]),
        ("location=&condition=%20&search=".to_owned(), vec!["A-1", "A-2", "A-3", "A-4", "A_6", "A%5"]),
    ] {
        let response = app.get(&format!("/api/inventory/stock-room?{query}")).await.expect(200);
        let (mut numbers, mut found) = (numbers(&response), found);
        numbers.sort_unstable();
        found.sort_unstable();
        assert_eq!(numbers, found, "{query}");
        assert_eq!(response["count"], numbers.len(), "{query}");
    }
}

#[tokio::test]
async fn filters_are_echoed() {
    let app = App::inventory().await;
    let response =
        app.get("/api/inventory/stock-room?condition=SV&search=%20pump%20&bin=B-5&location=").await.expect(200);
    assert_eq!(response["filters"], json!({ "location": null, "condition": "SV", "search": "pump" }));
}

/// A text of characters that the collation takes for others, ignores, or that LIKE takes for patterns.
fn odd_text(random: &mut StdRng, most: usize) -> String {
    const CHARACTERS: [char; 28] = [
        'a', 'A', 'á', 'Ä', 'ª', '\u{301}', 'b', 'B', 'ß', 's', 'S', 'ſ', '1', '¹', '-', '\u{2011}', ' ', '\u{a0}',
        '\u{200b}', '%', '_', '\\', '\'', 'ﬁ', 'Æ', '½', '漢', '😀',
    ];
    let length = random.random_range(0..=most);
    (0..length).map(|_| CHARACTERS.choose(random).unwrap()).collect()
}

#[tokio::test]
async fn a_search_finds_exactly_the_rows_of_like() {
    let app = App::inventory().await;
    let mut random = StdRng::seed_from_u64(22);
    let mut other = app.database.connect().await;
    execute(&mut other, "SET NAMES utf8mb4 COLLATE utf8mb4_unicode_520_ci").await;
    for (table, path) in [("stock_room", "stock-room"), ("bins_inventory", "bins")] {
        for _ in 0..300 {
            let insert = format!("INSERT INTO {table} (PN, DESCRIPTION) VALUES (NULLIF(?, ''), NULLIF(?, ''))");
            let (number, description) = (odd_text(&mut random, 6), odd_text(&mut random, 12));
            let query = sqlx::query(AssertSqlSafe(insert)).bind(number).bind(description);
            query.execute(&mut other).await.unwrap();
        }
        // Other programs change and delete rows, and empty the table.
        execute(&mut other, &format!("UPDATE {table} SET DESCRIPTION = CONCAT(PN, 'ab1') WHERE id % 5 = 0")).await;
        execute(&mut other, &format!("UPDATE {table} SET PN = 'aáA' WHERE id % 11 = 0; UPDATE {table} SET QTY = 7"))
            .await;
        execute(&mut other, &format!("UPDATE {table} SET id = id + 1000 WHERE id % 13 = 0")).await;
        execute(&mut other, &format!("DELETE FROM {table} WHERE id % 7 = 0")).await;
        execute(
            &mut other,
            &format!(
                "CREATE TEMPORARY TABLE kept AS SELECT PN, DESCRIPTION FROM {table}; TRUNCATE {table}; \
                 INSERT INTO {table} (PN, DESCRIPTION) SELECT PN, DESCRIPTION FROM kept; DROP TEMPORARY TABLE kept"
            ),
        )
        .await;
        execute(
            &mut other,
            &format!("INSERT INTO {table} (PN, DESCRIPTION) VALUES ('LONG', CONCAT(REPEAT('x', 9000), 'needle'))"),
        )
        .await;
        let mut found = 0;
        for round in 0..400 {
            let search = if round == 0 { "needle".to_owned() } else { odd_text(&mut random, 5) };
            let search = search.trim();
            if search.is_empty() {
                continue;
            }
            let pattern = format!("%{}%", search.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_"));
            let like =
                format!("SELECT CAST(id AS CHAR) FROM {table} WHERE PN LIKE ? OR DESCRIPTION LIKE ? ORDER BY PN, id");
            let query = sqlx::query_scalar(AssertSqlSafe(like)).bind(&pattern).bind(&pattern);
            let expected: Vec<String> = query.fetch_all(&mut other).await.unwrap();
            let response = app.get(&format!("/api/inventory/{path}?search={}", encoded(search))).await.expect(200);
            let ids: Vec<&str> =
                response["items"].as_array().unwrap().iter().map(|item| item["id"].as_str().unwrap()).collect();
            assert_eq!(ids, expected, "{search:?}");
            found += usize::from(!ids.is_empty() && search.chars().count() > 2);
        }
        assert!(found > 20, "only {found} searches that use the index found anything");
    }
}
