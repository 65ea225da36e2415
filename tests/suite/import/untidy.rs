//! Random untidy rows: nothing is lost, and everything adds up.

use std::collections::BTreeMap;

use rand::{Rng, SeedableRng, rngs::StdRng, seq::IndexedRandom};
use rotracker_cli::import::Class;
use rotracker_tests::importer::{Importer, classes};
use serde_json::Value;

/// Values as people and Excel write them.
const DATES: [&str; 9] =
    ["11/03/25", "45965", "2025-11-03", "11-10-2025", "TBD", "11/31/25", "", " 1/9/26 ", "2025-11-10T05:00:00.000Z"];
const AMOUNTS: [&str; 8] = ["4250", "$1,450.00", "9800.005", "n/c", "-1", "", "1450.5 + freight", "1,900"];
const QUANTITIES: [&str; 8] = ["1,200", "~300", "2 EA", "1.0", "1.5", "", "-3", "7"];
const PARTS: [&str; 7] =
    ["65-90305-11", "3214\u{2011}1", "3800\u{a0}-2", "\u{feff}2119620-8", "776201.0", "", " a-1\t"];
const NOTES: [&str; 5] = [
    "",
    "call Fri",
    "HISTORY:[{\"status\":\"TO SEND\",\"date\":\"11/5/25\",\"user\":\"ann\"}]|NOTES:wheel well",
    "HISTORY:[{\"status\":\"TO SEND\",\"da",
    "HISTORY:[]|NOTES:",
];

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "''"))
}

/// Statements that insert random rows into the tables of the source.
fn random_rows(random: &mut StdRng) -> String {
    let mut statements = String::new();
    for table in ["active", "paid", "returns"] {
        for _ in 0..60 {
            let number = match random.random_range(0..10) {
                0 => "NULL".to_owned(),
                1 => format!("{}.5", random.random_range(1..40)),
                _ => random.random_range(1..90).to_string(),
            };
            let one = |values: &[&'static str], random: &mut StdRng| quoted(values.choose(random).unwrap());
            let amount = one(&AMOUNTS, random);
            let (column, amount) = if table == "active" {
                ("ESTIMATED_COST", random.random_range(-2..9_000).to_string())
            } else {
                ("FINAL_COST", amount)
            };
            let made = if table == "paid" { "'2024-03-04'".to_owned() } else { one(&DATES, random) };
            statements.push_str(&format!(
                "INSERT INTO `{table}` (RO, DATE_MADE, SHOP_NAME, PART, {column}, ESTIMATED_DELIVERY_DATE, CURENT_STATUS_DATE, NOTES) \
                 VALUES ({number}, {made}, {}, {}, {amount}, {}, {}, {});\n",
                quoted(["ABC", "abc ", "Núñez"].choose(random).unwrap()),
                one(&PARTS, random),
                one(&DATES, random),
                one(&DATES, random),
                one(&NOTES, random),
            ));
        }
    }
    for row in 1..=60 {
        let part = quoted(PARTS.choose(random).unwrap());
        statements.push_str(&format!(
            "INSERT INTO bins_inventory_actual (PART_NUMBER, QTY, COST) VALUES ({part}, {}, {});\n",
            quoted(QUANTITIES.choose(random).unwrap()),
            quoted(AMOUNTS.choose(random).unwrap()),
        ));
        if random.random_bool(0.7) {
            let quantity = ["NULL", "-1", "0", "5", "1200"].choose(random).unwrap();
            let named = random.random_range(1..=row);
            statements.push_str(&format!(
                "INSERT INTO inventoryindex (PartNumber, TableName, RowId, Qty) VALUES ({part}, 'bins_inventory_actual', {named}, {quantity});\n"
            ));
        }
    }
    statements
}

/// The rows of the source by table and position, each as a JSON object.
async fn source_rows(importer: &Importer) -> BTreeMap<(String, i64), Value> {
    let mut rows = BTreeMap::new();
    let mut connection = importer.source.connect().await;
    for (table, key, columns) in [
        ("active", "id", &["RO", "DATE_MADE", "SHOP_NAME", "PART", "ESTIMATED_COST", "NOTES"][..]),
        ("paid", "id", &["RO", "SHOP_NAME", "PART", "FINAL_COST", "NOTES"]),
        ("returns", "id", &["RO", "DATE_MADE", "PART", "FINAL_COST", "NOTES"]),
        ("bins_inventory_actual", "id", &["PART_NUMBER", "QTY", "COST"]),
        ("inventoryindex", "IndexId", &["PartNumber", "TableName", "RowId", "Qty"]),
    ] {
        let pairs: Vec<String> = columns.iter().map(|column| format!("'{column}', `{column}`")).collect();
        let select =
            format!("SELECT CAST({key} AS SIGNED), CAST(JSON_OBJECT({}) AS CHAR) FROM `{table}`", pairs.join(", "));
        let found: Vec<(i64, String)> =
            sqlx::query_as(sqlx::AssertSqlSafe(select)).fetch_all(&mut connection).await.unwrap();
        rows.extend(
            found.into_iter().map(|(row, json)| ((table.to_owned(), row), serde_json::from_str(&json).unwrap())),
        );
    }
    rows
}

/// Compares numbers as numbers: servers write `1` and `1.0`.
fn is_same(one: &Value, other: &Value) -> bool {
    match (one.as_f64(), other.as_f64()) {
        (Some(one), Some(other)) => one.to_bits() == other.to_bits(),
        _ => one == other,
    }
}

#[tokio::test]
async fn nothing_is_lost_and_a_second_run_changes_nothing() {
    for seed in 0..4 {
        let mut random = StdRng::seed_from_u64(seed);
        let importer = Importer::without_rows().await;
        importer.change_source(&random_rows(&mut random)).await;
        let report = importer.run().await;

        let rows = source_rows(&importer).await;
        let classified: u64 = Class::ALL.into_iter().map(|class| report.count(class)).sum();
        assert_eq!(classified, rows.len() as u64, "seed {seed}");
        for table in &report.tables {
            for (column, sum) in &table.sums {
                assert_eq!(sum.source, sum.taken + sum.left_out, "seed {seed}: {column} of {}", table.table);
                if let Some(here) = sum.here {
                    assert_eq!(here, sum.stored, "seed {seed}: {column} of {}", table.table);
                }
            }
        }

        let mut kept = BTreeMap::new();
        for database in [&importer.ros.database, &importer.inventory.database] {
            let found: Vec<(String, i64, String, String, Option<i64>)> =
                sqlx::query_as("SELECT source_table, source_row, original, class, target_id FROM import_rows")
                    .fetch_all(&mut database.connect().await)
                    .await
                    .unwrap();
            for (table, row, original, class, target) in found {
                let original: Value = serde_json::from_str(&original).unwrap();
                assert!(kept.insert((table, row), (original, class, target)).is_none());
            }
        }
        assert_eq!(kept.len(), rows.len());
        for (place, row) in &rows {
            let (original, class, target) = &kept[place];
            for (column, value) in row.as_object().unwrap() {
                assert!(
                    is_same(&original[column], value),
                    "seed {seed}: {place:?}: {column}: {original} is not {value}"
                );
            }
            assert_eq!(
                target.is_some(),
                matches!(&**class, "imported" | "corrected"),
                "seed {seed}: {place:?} {class}"
            );
        }

        let again = importer.run().await;
        let updated = again.rows().unwrap().into_iter().find(|row| row.class == Class::Updated);
        assert!(updated.is_none(), "seed {seed}: {updated:?}");
        let (before, after) = (classes(&report), classes(&again));
        let count = |classes: &[(&str, u64)], names: &[&str]| -> u64 {
            classes.iter().filter(|(name, _)| names.contains(name)).map(|(_, rows)| rows).sum()
        };
        assert_eq!(count(&after, &["unchanged"]), count(&before, &["imported", "corrected"]), "seed {seed}: {after:?}");
        assert_eq!(count(&after, &["imported", "corrected", "updated"]), 0, "seed {seed}: {after:?}");
    }
}
