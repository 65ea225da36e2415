//! The inserts of many rows, by which the sample data and imports fill tables.

use inventory::{
    model::{IndexId, Table},
    reindex::IndexedPart,
    store::{NewIndexedPart, NewPart, insert_indexed, insert_parts},
};
use rotracker_tests::{App, database::execute};

fn part(number: String) -> NewPart {
    NewPart { part_number: Some(number), bin: Some("B-1".to_owned()), ..NewPart::default() }
}

#[tokio::test]
async fn parts_get_their_ids_in_order() {
    let app = App::inventory().await;
    let mut connection = app.connection().await;
    for step in [1, 3] {
        execute(&mut connection, &format!("SET SESSION auto_increment_increment = {step}")).await;
        for table in [Table::StockRoom, Table::BinsInventory, Table::Terra] {
            let parts: Vec<NewPart> = (0..200).map(|number| part(format!("{step}-{number}"))).collect();
            let ids = insert_parts(&mut connection, table, &parts).await.unwrap();
            let select = format!("SELECT id, PN FROM `{}` WHERE PN LIKE '{step}-%' ORDER BY id", table.name());
            let rows: Vec<(i64, Option<String>)> =
                sqlx::query_as(sqlx::AssertSqlSafe(select)).fetch_all(&mut *connection).await.unwrap();
            let expected: Vec<_> = ids.into_iter().zip(parts.into_iter().map(|part| part.part_number)).collect();
            assert_eq!(rows, expected, "{table:?}, in steps of {step}");
        }
    }
    let bins: Vec<String> =
        sqlx::query_scalar("SELECT DISTINCT `BIN` FROM bins_inventory").fetch_all(&mut *connection).await.unwrap();
    assert_eq!(bins, ["B-1"]);
    assert_eq!(insert_parts(&mut connection, Table::Terra, &[]).await.unwrap(), [0; 0]);
}

#[tokio::test]
async fn rows_of_the_index_get_their_ids_also_if_they_are_there() {
    let app = App::inventory().await;
    let there = app.put("terra", "A-1", 3).await;
    let mut connection = app.connection().await;
    let seen = "2024-11-15T08:30:00Z".parse().ok();
    let row = |row_id, qty| NewIndexedPart {
        row_id,
        part: IndexedPart { part_number: format!("N-{row_id}"), qty, ..IndexedPart::default() },
        last_seen: seen,
    };
    let rows = [row(900, None), row(there.row_id, Some(99)), row(800, Some(0))];
    let ids = insert_indexed(&mut connection, Table::Terra, &rows).await.unwrap();
    let select = "SELECT IndexId, PartNumber, Qty, CAST(LastSeen AS CHAR) FROM inventoryindex ORDER BY RowId DESC";
    let found: Vec<(IndexId, String, Option<i64>, Option<String>)> =
        sqlx::query_as(select).fetch_all(&mut *connection).await.unwrap();
    let seen = Some("2024-11-15 08:30:00".to_owned());
    let expected = [
        (ids[0], "N-900".to_owned(), None, seen.clone()),
        (ids[2], "N-800".to_owned(), Some(0), seen),
        (IndexId(there.index_id), "A-1".to_owned(), Some(3), None),
    ];
    assert_eq!((&found[..], ids[1]), (&expected[..], IndexId(there.index_id)));
}
