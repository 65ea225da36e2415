//! Taking over a database that the Node service filled.

use rotracker_cli::migrate::{self, Options};
use rotracker_tests::{
    App, TestDatabase,
    app::new_order,
    database::{databases, execute, migrate},
};
use serde_json::{Value, json};
use sqlx::{MySqlConnection, Row};

/// The specification's table as the Node service's schema made it: in the server's default character set.
fn live_table(name: &str, id_from: u32) -> String {
    format!(
        "CREATE TABLE `{name}` (id INT AUTO_INCREMENT PRIMARY KEY, RO VARCHAR(50) UNIQUE NOT NULL, DATE_MADE DATE, \
         SHOP_NAME VARCHAR(255), PART VARCHAR(100), SERIAL VARCHAR(100), PART_DESCRIPTION TEXT, REQ_WORK TEXT, \
         DATE_DROPPED_OFF DATE, ESTIMATED_COST DECIMAL(10,2), FINAL_COST DECIMAL(10,2), TERMS VARCHAR(50), \
         SHOP_REF VARCHAR(100), ESTIMATED_DELIVERY_DATE DATE, CURENT_STATUS VARCHAR(100), CURENT_STATUS_DATE DATE, \
         GENTHRUST_STATUS VARCHAR(100), SHOP_STATUS VARCHAR(100), TRACKING_NUMBER_PICKING_UP VARCHAR(100), NOTES TEXT, \
         LAST_DATE_UPDATED DATE, NEXT_DATE_TO_UPDATE DATE, INDEX idx_ro (RO), INDEX idx_status (CURENT_STATUS), \
         INDEX idx_next_update (NEXT_DATE_TO_UPDATE)) AUTO_INCREMENT = {id_from}"
    )
}

/// A database in which each table counts its ids by itself, as the Node service left it: the ids of `active` go from 1
/// to 5, those of `paid` from 4 to 8, of `net` from 6 to 10, of `returns` from 9 to 13.
async fn live_database() -> (TestDatabase, MySqlConnection) {
    let database = TestDatabase::empty().await;
    let mut node = database.connect().await;
    execute(&mut node, "SET sql_mode = ''").await;
    for (table, id_from) in [("active", 1), ("paid", 4), ("net", 6), ("returns", 9)] {
        execute(&mut node, &live_table(table, id_from)).await;
        for number in 1..=5 {
            execute(
                &mut node,
                &format!(
                    "INSERT INTO `{table}` (RO, SHOP_NAME, NOTES, DATE_MADE) VALUES \
                          ('{table}-{number}', 'Shop of {table}', 'caf\u{e9} {number}', '0000-00-00')"
                ),
            )
            .await;
        }
    }
    (database, node)
}

async fn rows(connection: &mut MySqlConnection) -> Vec<(String, i64, String)> {
    let sql = "SELECT 'active', id, RO FROM active UNION ALL SELECT 'paid', id, RO FROM paid UNION ALL \
               SELECT 'net', id, RO FROM net UNION ALL SELECT 'returns', id, RO FROM `returns` ORDER BY 1, 3";
    sqlx::query_as(sql).fetch_all(connection).await.unwrap()
}

#[tokio::test]
async fn colliding_ids_get_new_ones_and_every_row_stays_readable() {
    let (inventory, (database, mut node)) = (TestDatabase::inventory().await, live_database().await);
    let before = rows(&mut node).await;
    migrate(&database, &inventory, false).await.unwrap();
    let after = rows(&mut node).await;
    let names = |rows: &[(String, i64, String)]| -> Vec<(String, String)> {
        rows.iter().map(|(table, _, number)| (table.clone(), number.clone())).collect()
    };
    assert_eq!(names(&before), names(&after), "every row is in its table, with its number");
    let mut ids: Vec<i64> = after.iter().map(|(_, id, _)| *id).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 20);
    // Active orders, whose ids people may have in their links, keep theirs; so does every id that is there once.
    for ((table, old, number), (.., new, _)) in before.iter().zip(&after) {
        let is_alone = match table.as_str() {
            "active" => true,
            "paid" => *old >= 6,
            "net" => *old >= 9,
            _ => *old >= 11,
        };
        assert_eq!(old == new, is_alone, "{table} {number}: {old} became {new}");
    }
    let pool = database.large_pool();
    let app = App::on(database, pool);
    for (table, id, number) in after {
        let order = app.get(&format!("/api/ros/{id}")).await.expect(200);
        assert_eq!((&order["roNumber"], &order["shopName"]), (&json!(number), &json!(format!("Shop of {table}"))));
        assert!(order["notes"].as_str().unwrap().starts_with("caf\u{e9} "));
        assert_eq!(order["dateMade"], Value::Null);
        assert_eq!(app.get(&format!("/api/ros/by-number/{number}")).await.expect(200), order);
        app.post("/api/ros", &new_order(json!({ "roNumber": number }))).await.expect_error(409);
        app.patch(&format!("/api/ros/{id}"), &json!({ "archiveStatus": "NET", "notes": "部品 🛩" })).await.expect(200);
    }
    assert_eq!(app.get("/api/ros?archiveStatus=NET").await.expect(200).as_array().unwrap().len(), 20);
    let new = app.create("new").await;
    assert!(ids.iter().all(|id| id.to_string() != new["id"].as_str().unwrap()));
}

#[tokio::test]
async fn a_doubled_number_is_reported_by_name_and_nothing_is_changed() {
    let (inventory, (database, mut node)) = (TestDatabase::inventory().await, live_database().await);
    execute(
        &mut node,
        "INSERT INTO paid (RO, SHOP_NAME, CURENT_STATUS) VALUES ('ACTIVE-2', 'Shop O''Hare', 'PAID'); \
         INSERT INTO `returns` (RO) VALUES (' net-4')",
    )
    .await;
    let before = rows(&mut node).await;
    for dry_run in [true, false] {
        let message = migrate(&database, &inventory, dry_run).await.unwrap_err();
        for named in [
            "active-2  in `active`, id 2: Shop of active",
            "ACTIVE-2  in `paid`, id 9: Shop O'Hare, PAID",
            "in `net`, id 9",
            "in `returns`, id 14",
            "UPDATE `returns` SET RO = 'net-4-2' WHERE id = 14",
            "Nothing has been changed",
        ] {
            assert!(message.contains(named), "{named} is not in: {message}");
        }
        assert!(!message.contains("active-3"), "{message}");
    }
    assert_eq!(rows(&mut node).await, before);
    let tables: i64 =
        sqlx::query_scalar("SELECT COUNT(*) FROM information_schema.TABLES WHERE TABLE_SCHEMA = DATABASE()")
            .fetch_one(&mut node)
            .await
            .unwrap();
    assert_eq!(tables, 4, "no table was added");
    // Doing as the message says is enough.
    execute(&mut node, "UPDATE `returns` SET RO = 'net-4-2' WHERE id = 14; DELETE FROM paid WHERE id = 9").await;
    migrate(&database, &inventory, false).await.unwrap();
    assert_eq!(rows(&mut node).await.len(), 21);
}

#[tokio::test]
async fn a_table_without_a_column_is_refused_and_one_with_more_is_taken() {
    let (inventory, (database, mut node)) = (TestDatabase::inventory().await, live_database().await);
    execute(&mut node, "ALTER TABLE net DROP COLUMN NOTES, DROP COLUMN TERMS; ALTER TABLE paid ADD COLUMN colour INT")
        .await;
    let message = migrate(&database, &inventory, false).await.unwrap_err();
    assert!(message.contains("`net` lacks the columns TERMS, NOTES"), "{message}");
    execute(&mut node, "ALTER TABLE net ADD COLUMN NOTES TEXT, ADD COLUMN TERMS VARCHAR(50)").await;
    migrate(&database, &inventory, false).await.unwrap();
    let colours: i64 = sqlx::query_scalar("SELECT COUNT(colour IS NULL) FROM paid").fetch_one(&mut node).await.unwrap();
    assert_eq!(colours, 5, "the column is kept");
}

#[tokio::test]
async fn a_migration_that_was_cut_off_goes_on_where_it_was() {
    let (inventory, (database, mut node)) = (TestDatabase::inventory().await, live_database().await);
    migrate(&database, &inventory, false).await.unwrap();
    let after = rows(&mut node).await;
    // As if the program had died in the middle of each one: its statement done or not, its record unfinished.
    let versions: Vec<i64> =
        sqlx::query_scalar("SELECT version FROM _sqlx_migrations").fetch_all(&mut node).await.unwrap();
    for version in versions {
        execute(&mut node, &format!("UPDATE _sqlx_migrations SET success = FALSE WHERE version >= {version} LIMIT 1"))
            .await;
        execute(&mut node, &format!("DELETE FROM _sqlx_migrations WHERE version > {version}")).await;
        migrate(&database, &inventory, false).await.unwrap_or_else(|error| panic!("after {version}: {error}"));
        assert_eq!(rows(&mut node).await, after, "after {version}");
    }
}

#[tokio::test]
async fn a_server_where_triggers_may_not_be_created_is_told_before_anything_is_done() {
    let (database, mut node) = live_database().await;
    let user = format!("u{}", &database.name[database.name.len() - 12..]);
    execute(
        &mut node,
        &format!(
            "CREATE USER '{user}'@'%' IDENTIFIED BY 'pw'; \
             GRANT SELECT, INSERT, UPDATE, DELETE, CREATE, DROP, ALTER, INDEX ON `{}`.* TO '{user}'@'%'",
            database.name
        ),
    )
    .await;
    let inventory = TestDatabase::empty().await;
    let mut databases = databases(&database, &inventory);
    databases.server.user = user.clone();
    databases.server.password = "pw".to_owned().into();
    execute(&mut node, &format!("GRANT SELECT ON `{}`.* TO '{user}'@'%'", inventory.name)).await;
    let message = format!("{:#}", migrate::migrate_all(&databases, Options { dry_run: false }).await.unwrap_err());
    execute(&mut node, &format!("DROP USER '{user}'@'%'")).await;
    assert!(message.contains("TRIGGER") && message.contains("Nothing has been changed"), "{message}");
    let row = sqlx::query("SELECT COUNT(*) FROM information_schema.TABLES WHERE TABLE_SCHEMA = DATABASE()")
        .fetch_one(&mut node)
        .await
        .unwrap();
    assert_eq!(row.get::<i64, _>(0), 4);
}

#[tokio::test]
async fn a_table_of_another_program_by_the_name_of_ours_is_refused() {
    for (of_inventory, table) in [(false, "ro_history"), (false, "idempotency_keys"), (true, "idempotency_keys")] {
        let (main, inventory) = (TestDatabase::empty().await, TestDatabase::empty().await);
        let mut node = if of_inventory { &inventory } else { &main }.connect().await;
        execute(&mut node, &format!("CREATE TABLE {table} (id INT PRIMARY KEY, changes TEXT)")).await;
        let message = migrate(&main, &inventory, false).await.unwrap_err();
        let way_out = format!("ALTER TABLE `{table}` RENAME TO `{table}_old`");
        assert!(message.contains(&way_out) && message.contains("Nothing has been changed"), "{message}");
        // As it says.
        execute(&mut node, &way_out).await;
        migrate(&main, &inventory, false).await.unwrap();
    }
}
