//! What is one part number: two numbers with one key are the same part, for searches, stock changes, usage and the ledger. The key
//! is the number in capitals, without white space and invisible characters, and with `-` for each typographic dash.

use inventory::model::part_number_key;
use rotracker_tests::{App, app::encoded, database::execute};
use serde_json::{Value, json};
use sqlx::{MySql, QueryBuilder};

/// Numbers with one key, as people type them and spreadsheets keep them.
const ONE_NUMBER: [&str; 10] = [
    "3800-2a",
    "3800-2A\n",
    "3800-2A\t",
    " 3800 -2a ",
    "3800\u{a0}-2A",
    "\u{feff}3800-2A",
    "3800\u{200b}-2\u{202d}A\u{7f}",
    "3800\u{2010}2A",
    "3800\u{2015}2a",
    "3800\u{2212}2A",
];

async fn search(app: &App, number: &str) -> Value {
    app.get(&format!("/api/inventory/search?partNumber={}", encoded(number))).await.expect(200)
}

#[tokio::test]
async fn one_number_is_found_however_it_is_typed() {
    let app = App::inventory().await;
    for number in ONE_NUMBER {
        app.put("terra", number, 1).await;
        app.put_unindexed("stock_room", &format!("room {number}"), 1).await;
        app.put_unindexed("bins_inventory", &format!("bin {number}"), 1).await;
    }
    app.put("terra", "3800-2Á", 1).await;
    app.put("terra", "38002A", 1).await;
    for number in ONE_NUMBER {
        let contained = number.trim().trim_end_matches(['a', 'A', '\u{7f}', '\u{202d}']);
        for (text, method, count) in [
            (number.to_owned(), "exact", 10),
            (contained.to_owned(), "like", 11),
            (format!("M{number}"), "direct", 10),
            (format!("N {number}"), "direct", 10),
        ] {
            let response = search(&app, &text).await;
            assert_eq!(
                (&response["searchMethod"], &response["totalResults"]),
                (&json!(method), &json!(count)),
                "{text:?}"
            );
        }
    }
    let response = search(&app, "3800-2A").await;
    let shown: Vec<&str> =
        response["results"].as_array().unwrap().iter().map(|part| part["partNumber"].as_str().unwrap()).collect();
    assert_eq!(shown, ONE_NUMBER, "shown as they are stored");
}

#[tokio::test]
async fn characters_of_every_plane_are_found() {
    let app = App::inventory().await;
    for number in ["A🛩7", "a🛩7\r\n", "𐐨-1", "ß-1"] {
        app.put("terra", number, 1).await;
        app.put_unindexed("stock_room", &format!("X{number}"), 1).await;
    }
    for (text, method, count) in [
        ("a🛩7", "exact", 2),
        ("🛩", "like", 2),
        ("xA🛩", "direct", 2),
        ("𐐨-1", "exact", 1),
        ("ß-1", "exact", 1),
        ("x𐐨", "direct", 1),
    ] {
        let response = search(&app, text).await;
        assert_eq!((&response["searchMethod"], &response["totalResults"]), (&json!(method), &json!(count)), "{text}");
    }
}

#[tokio::test]
async fn stock_changes_usage_and_the_ledger_know_one_number() {
    let app = App::inventory().await;
    let part = app.put("terra", " 3800-2a\n", 20).await;
    app.put("terra", "3800\u{a0}-2A", 3).await;
    for number in ONE_NUMBER {
        for path in ["decrement", "increment", "decrement"] {
            let body = json!({ "indexId": part.index_id, "partNumber": number });
            app.post(&format!("/api/inventory/{path}"), &body).await.expect(200);
        }
        let other = json!({ "indexId": part.index_id, "partNumber": format!("{number}1") });
        app.post("/api/inventory/decrement", &other).await.expect_error(404);
    }
    // Another program wrote the number as it has it.
    let theirs = "INSERT INTO transactions (Timestamp, Action, PartNumber, DeltaQty, NewQty) VALUES \
                  ('2024-11-01', 'DECREMENT', CONCAT('3800', _utf8mb4 0xE28090, '2A'), -5, 0), \
                  ('2024-11-01', 'DECREMENT', '3800-2Á', -100, 0)";
    execute(&mut *app.connection().await, theirs).await;
    let low = app.get("/api/inventory/low-stock").await.expect(200);
    assert_eq!((&low["totalLowStockItems"], &low["items"][0]["usage90Days"]), (&json!(1), &json!(25)));
    for number in ONE_NUMBER {
        let page = app.get(&format!("/api/inventory/transactions?partNumber={}", encoded(number))).await.expect(200);
        assert_eq!(page["total"], 31, "{number:?}");
    }
}

#[tokio::test]
async fn a_number_of_nothing_that_can_be_seen_is_blank() {
    let app = App::inventory().await;
    app.put("terra", "\u{200b}", 1).await;
    for number in ["\u{200b}", "\u{1}", "\u{feff}\u{a0}"] {
        let path = format!("/api/inventory/search?partNumber={}", encoded(number));
        assert!(app.get(&path).await.expect(400)["details"]["fields"]["partNumber"].is_string(), "{number:?}");
    }
}

#[tokio::test]
async fn the_program_and_the_database_compute_the_same_keys() {
    let app = App::inventory().await;
    // Latin, Greek and Cyrillic letters, blanks, dashes, controls and format characters, full-width forms, and other planes.
    let ranges = [
        0x01..=0x17f,
        0x386..=0x3ce,
        0x400..=0x45f,
        0x600..=0x61c,
        0x1680..=0x1680,
        0x180e..=0x180e,
        0x2000..=0x206f,
        0x2190..=0x2260,
        0x3000..=0x3010,
        0xfe00..=0xffff,
        0x1_f600..=0x1_f6ff,
        0xe_0001..=0xe_007f,
    ];
    let numbers: Vec<String> = ranges
        .into_iter()
        .flatten()
        .filter_map(char::from_u32)
        .map(|character| format!("{character}a{character}-1 {character}"))
        .collect();
    let mut connection = app.connection().await;
    for batch in numbers.chunks(500) {
        let mut insert = QueryBuilder::<MySql>::new("INSERT INTO terra (PN) ");
        insert.push_values(batch, |mut row, number| {
            row.push_bind(number);
        });
        insert.build().execute(&mut *connection).await.unwrap();
    }
    let keys: Vec<(String, String)> =
        sqlx::query_as("SELECT PN, PartNumberKey FROM terra ORDER BY id").fetch_all(&mut *connection).await.unwrap();
    assert_eq!(keys.len(), numbers.len());
    for (number, key) in keys {
        assert_eq!(part_number_key(&number), key, "{number:?}");
    }
}

#[tokio::test]
async fn keys_do_not_depend_on_the_mode_of_a_session() {
    let app = App::inventory().await;
    let mut other = app.database.connect().await;
    // Such a session reads a backslash as itself.
    let insert = "SET SESSION sql_mode = 'NO_BACKSLASH_ESCAPES,ANSI_QUOTES'; FLUSH TABLES; \
                  INSERT INTO terra (PN) VALUES (CONCAT('zp c', CHAR(9)))";
    execute(&mut other, insert).await;
    let key: String = sqlx::query_scalar("SELECT PartNumberKey FROM terra").fetch_one(&mut other).await.unwrap();
    assert_eq!(key, "ZPC");
}
