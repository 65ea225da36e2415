//! `rotracker reindex`

use std::{collections::BTreeMap, sync::Arc};

use inventory::{model::Table, reindex::ReindexFindings};
use rotracker_cli::reindex::{Options, reindex};
use rotracker_tests::{
    App,
    database::execute,
    stock::{Quantities, fill_stock},
};
use serde_json::{Value, json};
use sqlx::Row;

const DRY_RUN: Options = Options { dry_run: true, rebuild: true, accept_renumbered: false };
const COMPLETE: Options = Options { dry_run: false, rebuild: false, accept_renumbered: false };
const REBUILD: Options = Options { dry_run: false, rebuild: true, accept_renumbered: false };

const ACCEPT: Options = Options { dry_run: false, rebuild: true, accept_renumbered: true };

/// Runs the reindex and sums the findings of all tables.
async fn run(app: &App, options: Options) -> ReindexFindings {
    let mut all = ReindexFindings::default();
    for (_, findings) in reindex(&app.pool, options).await.unwrap() {
        all += findings;
    }
    all
}

/// The rows of the index, and the number of suffixes.
async fn index(app: &App) -> (Vec<(i64, String, String, i64, Option<i64>, Option<String>)>, i64) {
    let rows = "SELECT IndexId, PartNumber, TableName, RowId, Qty, Location FROM inventoryindex ORDER BY IndexId";
    let suffixes = "SELECT COUNT(*) FROM inventoryindex_suffixes";
    (
        sqlx::query_as(rows).fetch_all(&mut *app.connection().await).await.unwrap(),
        sqlx::query_scalar(suffixes).fetch_one(&mut *app.connection().await).await.unwrap(),
    )
}

#[tokio::test]
async fn missing_rows_are_added_from_every_table() {
    let app = App::inventory().await;
    for table in Table::ALL {
        app.put(table.name(), "KNOWN", 1).await;
        app.put_unindexed(table.name(), " new-1 ", 7).await;
    }
    execute(
        &mut app.database.connect().await,
        "INSERT INTO terra (PN, QTY) VALUES (NULL, 3), ('  ', 3), ('BARE', NULL)",
    )
    .await;
    let expected = ReindexFindings { rows: 25, missing: 12, without_number: 2, ..ReindexFindings::default() };
    let before = index(&app).await;
    assert_eq!(run(&app, DRY_RUN).await, expected);
    assert_eq!(index(&app).await, before, "a dry run changes nothing");
    assert_eq!(run(&app, COMPLETE).await, expected);
    assert_eq!(run(&app, COMPLETE).await, ReindexFindings { missing: 0, ..expected });
    let response = app.get("/api/inventory/search?partNumber=NEW-1").await.expect(200);
    assert_eq!((&response["searchMethod"], &response["totalResults"]), (&json!("exact"), &json!(11)));
    for found in response["results"].as_array().unwrap() {
        assert_eq!((&found["partNumber"], &found["qty"]), (&json!("new-1"), &json!(7)));
        assert_eq!((&found["condition"], &found["location"]), (&json!("SV"), &json!("A-12")));
    }
    assert_eq!(app.get("/api/inventory/search?partNumber=ARE").await.expect(200)["results"][0]["qty"], Value::Null);
}

#[tokio::test]
async fn only_a_rebuild_updates_and_deletes() {
    let app = App::inventory().await;
    let shelf = app.put("stock_room", "SHELF", 5).await;
    let count = app.put("stock_room", "COUNT", 5).await;
    let number = app.put("bins_inventory", "NUMBER", 5).await;
    let gone = app.put("terra", "GONE", 5).await;
    let mut other = app.database.connect().await;
    execute(
        &mut other,
        "UPDATE stock_room SET LOCATION = 'Z-9' WHERE PN = 'SHELF'; UPDATE stock_room SET QTY = 9 WHERE PN = 'COUNT'; \
         UPDATE bins_inventory SET PN = 'NUMBER-A', `CONDITION` = NULL; DELETE FROM terra; \
         INSERT INTO inventoryindex (PartNumber, TableName, RowId, Qty) VALUES ('ELSEWHERE', 'old_sheet', 1, 1)",
    )
    .await;
    let expected = ReindexFindings { rows: 3, outdated: 3, vanished: 1, ..ReindexFindings::default() };
    let before = index(&app).await;
    assert_eq!(run(&app, DRY_RUN).await, expected);
    assert_eq!(run(&app, COMPLETE).await, expected);
    assert_eq!(index(&app).await, before, "completing only adds");
    assert_eq!(run(&app, REBUILD).await, expected);
    let (rows, _) = index(&app).await;
    let row = |id| rows.iter().find(|row| row.0 == id);
    assert_eq!(row(shelf.index_id).unwrap().5.as_deref(), Some("Z-9"));
    assert_eq!(row(count.index_id).unwrap().4, Some(9));
    assert_eq!(row(number.index_id).unwrap().1, "NUMBER-A");
    assert!(row(gone.index_id).is_none());
    assert!(rows.iter().any(|row| row.1 == "ELSEWHERE"), "what points to no table is left alone");
    assert_eq!(app.get("/api/inventory/search?partNumber=BER-A").await.expect(200)["totalResults"], 1);
    app.get("/api/inventory/search?partNumber=GON").await.expect_error(404);
    assert_eq!(run(&app, REBUILD).await, ReindexFindings { rows: 3, ..ReindexFindings::default() });
}

#[tokio::test]
async fn quantities_with_transactions_are_kept() {
    let app = App::inventory().await;
    let ours = app.put("stock_room", "OURS", 5).await;
    let theirs = app.put("stock_room", "THEIRS", 5).await;
    let gone = app.put("terra", "GONE", 5).await;
    for part in [&ours, &gone] {
        app.post("/api/inventory/decrement", &part.change(&json!({}))).await.expect(200);
    }
    let mut other = app.database.connect().await;
    // Transactions of the Node service have only the part number, and users edit the sheet.
    execute(
        &mut other,
        "INSERT INTO transactions (Action, PartNumber, DeltaQty, NewQty) VALUES ('DECREMENT', 'theirs', -1, 4); \
         UPDATE stock_room SET QTY = 77, LOCATION = 'Z-9'; DELETE FROM terra",
    )
    .await;
    let expected = ReindexFindings {
        rows: 2,
        outdated: 2,
        changed_by_transactions: 2,
        vanished_with_transactions: 1,
        ..ReindexFindings::default()
    };
    assert_eq!(run(&app, REBUILD).await, expected);
    assert_eq!(app.quantities(&ours).await, Quantities { indexed: Some(4), in_table: Some(77) });
    assert_eq!(app.quantities(&theirs).await, Quantities { indexed: Some(5), in_table: Some(77) });
    assert_eq!(app.quantities(&gone).await, Quantities { indexed: Some(4), in_table: None });
    let (rows, _) = index(&app).await;
    assert_eq!(rows.iter().filter(|row| row.5.as_deref() == Some("Z-9")).count(), 2, "the shelf is written");
    // The next change also corrects the sheet.
    app.post("/api/inventory/increment", &ours.change(&json!({}))).await.expect(200);
    assert_eq!(app.quantities(&ours).await, Quantities { indexed: Some(5), in_table: Some(5) });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rebuild_loses_no_concurrent_change() {
    let app = Arc::new(App::inventory().await);
    let mut openings = BTreeMap::new();
    for number in 0..40 {
        let part = app.put(Table::ALL[number % 11].name(), &format!("P-{number}"), 100).await;
        openings.insert(part.index_id, (part, 100));
    }
    let changers = openings.values().cloned().map(|(part, _)| {
        let app = app.clone();
        tokio::spawn(async move {
            for quantity in 1..8 {
                app.post("/api/inventory/decrement", &part.change(&json!({ "quantity": quantity }))).await.expect(200);
            }
        })
    });
    let changers: Vec<_> = changers.collect();
    let mut other = app.database.connect().await;
    let mut runs = 0;
    while !changers.iter().all(tokio::task::JoinHandle::is_finished) || runs < 3 {
        // Another location for every part makes the rebuild write every row of the index.
        for table in Table::ALL {
            execute(&mut other, &format!("UPDATE `{}` SET LOCATION = 'S-{runs}'", table.name())).await;
        }
        assert!(run(&app, REBUILD).await.outdated > 0);
        runs += 1;
    }
    for changer in changers {
        changer.await.unwrap();
    }
    app.assert_conserved(&openings).await;
    assert_eq!(run(&app, REBUILD).await, ReindexFindings { rows: 40, ..ReindexFindings::default() });
}

#[tokio::test]
async fn an_index_is_rebuilt_in_batches() {
    let app = App::inventory().await;
    fill_stock(&app.database, 7_000, 100).await;
    let mut other = app.database.connect().await;
    let sum = "SELECT COUNT(*), CAST(SUM(Qty) AS SIGNED), CAST(SUM(CRC32(CONCAT(PartNumber, TableName, RowId))) AS SIGNED) \
               FROM inventoryindex";
    let figures = async |app: &App| {
        let row = sqlx::query(sum).fetch_one(&mut *app.connection().await).await.unwrap();
        (row.get::<i64, _>(0), row.get::<i64, _>(1), row.get::<i64, _>(2))
    };
    let before = figures(&app).await;
    assert_eq!(before.0, 7_000);
    let suffixes = index(&app).await.1;
    execute(&mut other, "DELETE FROM transactions; DELETE FROM inventoryindex").await;
    let found = run(&app, COMPLETE).await;
    assert_eq!((found.rows, found.missing), (7_000, 7_000));
    assert_eq!(figures(&app).await, before);
    assert_eq!(index(&app).await.1, suffixes);
}

/// What must stay when nothing is changed: the index, and the ledger with its references.
async fn index_and_ledger(app: &App) -> impl PartialEq + std::fmt::Debug + use<> {
    let ledger = "SELECT IndexId, PartNumber, NewQty FROM transactions ORDER BY TxnId";
    let ledger: Vec<(Option<i64>, String, Option<i64>)> =
        sqlx::query_as(ledger).fetch_all(&mut *app.connection().await).await.unwrap();
    (index(app).await, ledger)
}

/// Three parts of the stock room, of which pieces were taken, added and counted.
async fn changed_parts(app: &App) {
    for (number, quantity) in [("A-1", 10), ("B-1", 20), ("C-1", 30), ("D-1", 40)] {
        app.put_unindexed("stock_room", number, quantity).await;
    }
    run(app, COMPLETE).await;
    for (id, number) in [(1, "A-1"), (2, "B-1"), (3, "C-1")] {
        let body = json!({ "indexId": id, "partNumber": number, "quantity": 2 });
        app.post("/api/inventory/decrement", &body).await.expect(200);
    }
}

/// The parts of the index with their quantities.
async fn quantities(app: &App) -> Vec<(i64, String, Option<i64>)> {
    index(app).await.0.into_iter().map(|(id, number, _, _, quantity, _)| (id, number, quantity)).collect()
}

#[tokio::test]
async fn refreshed_tables_are_noticed_and_nothing_is_changed() {
    for refresh in [
        // The sheet alone: its ids mean other parts.
        "TRUNCATE stock_room; INSERT INTO stock_room (PN, QTY) VALUES ('NEW-1', 1), ('A-1', 5), ('B-1', 6), ('C-1', 7), ('D-1', 8)",
        // The sheet and the index.
        "TRUNCATE stock_room; INSERT INTO stock_room (PN, QTY) VALUES ('NEW-1', 1), ('A-1', 5), ('B-1', 6), ('C-1', 7), ('D-1', 8); \
         TRUNCATE inventoryindex; INSERT INTO inventoryindex (PartNumber, TableName, RowId, Qty) \
         SELECT PN, 'stock_room', id, QTY FROM stock_room",
    ] {
        let app = App::inventory().await;
        changed_parts(&app).await;
        execute(&mut app.database.connect().await, refresh).await;
        let before = index_and_ledger(&app).await;
        run(&app, DRY_RUN).await;
        for options in [COMPLETE, REBUILD] {
            let refusal = format!("{:#}", reindex(&app.pool, options).await.unwrap_err());
            for part in [
                "rows of the index have other part numbers than in the ledger",
                "row 1 was \"A-1\" and is \"NEW-1\"",
                "--accept-renumbered",
            ] {
                assert!(refusal.contains(part), "{refusal}");
            }
            assert_eq!(index_and_ledger(&app).await, before, "{refresh}");
        }
        run(&app, ACCEPT).await;
        let fresh = [("NEW-1", 1), ("A-1", 5), ("B-1", 6), ("C-1", 7), ("D-1", 8)];
        let expected: Vec<_> =
            (1..).zip(fresh).map(|(id, (number, quantity))| (id, number.to_owned(), Some(quantity))).collect();
        assert_eq!(quantities(&app).await, expected, "{refresh}");
        let wrong = "SELECT COUNT(*) FROM transactions t JOIN inventoryindex i ON i.IndexId = t.IndexId \
                     WHERE t.PartNumberKey <> i.PartNumberKey";
        let wrong: i64 = sqlx::query_scalar(wrong).fetch_one(&mut *app.connection().await).await.unwrap();
        assert_eq!(wrong, 0, "no entry of the ledger names another part");
        let page = app.get("/api/inventory/transactions?partNumber=A-1&action=DECREMENT").await.expect(200);
        assert_eq!(
            (&page["total"], &page["transactions"][0]["indexId"]),
            (&json!(1), &Value::Null),
            "entries keep their number"
        );
        let after = index_and_ledger(&app).await;
        assert_eq!(run(&app, REBUILD).await.outdated, 0);
        assert_eq!(index_and_ledger(&app).await, after, "another run has nothing to do");
    }
}

#[tokio::test]
async fn a_number_typed_in_another_way_is_no_other_part() {
    let app = App::inventory().await;
    changed_parts(&app).await;
    execute(&mut app.database.connect().await, "UPDATE stock_room SET PN = ' a - 1', QTY = 99 WHERE PN = 'A-1'").await;
    assert_eq!(run(&app, REBUILD).await.outdated, 1);
    assert_eq!(quantities(&app).await[0], (1, "a - 1".to_owned(), Some(8)));
}

#[tokio::test]
async fn a_corrected_number_without_transactions_is_taken_over() {
    let app = App::inventory().await;
    changed_parts(&app).await;
    execute(&mut app.database.connect().await, "UPDATE stock_room SET PN = 'D-2' WHERE PN = 'D-1'").await;
    assert_eq!(run(&app, REBUILD).await.outdated, 1);
    assert_eq!(quantities(&app).await[3], (4, "D-2".to_owned(), Some(40)));
    assert_eq!(run(&app, REBUILD).await.outdated, 0, "the ledger has the new number");
}

#[tokio::test]
async fn quantities_that_nobody_knows_stay_unknown() {
    let app = App::inventory().await;
    app.put_unindexed("terra", "A-1", 4).await;
    run(&app, COMPLETE).await;
    execute(&mut app.database.connect().await, "UPDATE terra SET QTY = NULL").await;
    assert_eq!(run(&app, REBUILD).await.outdated, 1);
    assert_eq!(quantities(&app).await[0].2, None);
    let page = app.get("/api/inventory/transactions").await.expect(200);
    let entry = &page["transactions"][0];
    assert_eq!(entry["notes"], "as its table has it, quantity unknown instead of 4");
    assert_eq!((&entry["previousQty"], &entry["newQty"]), (&Value::Null, &Value::Null));
    assert_eq!(run(&app, REBUILD).await, ReindexFindings { rows: 1, ..ReindexFindings::default() });
}
