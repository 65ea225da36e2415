//! The rows of the databases. Each statement leaves the derived tables to the triggers of the schema, whichever it is, except where
//! `fill_stock_until` says otherwise.

use rotracker_tests::{
    TestDatabase,
    app::encoded,
    database::{execute, numbers},
    stock::{Part, fill_stock_until, put},
};
use sqlx::AssertSqlSafe;

use crate::ACTIVE;

/// The number of parts with fewer than five pieces, at every size.
pub(crate) const LOW: u32 = 100;

/// The numbers of rows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Size {
    /// Archived orders: three in five are paid, the others net or returned.
    pub(crate) archived: u32,
    /// Parts in the index. There are half as many stock transactions.
    pub(crate) parts: u32,
    /// Parts in the stock room; some of them only there.
    pub(crate) stock_room: u32,
    /// Entries in the log of the assistant.
    pub(crate) logs: u32,
}

impl Size {
    pub(crate) fn divided_by(&self, divisor: u32) -> Self {
        Self {
            archived: self.archived / divisor,
            parts: self.parts / divisor,
            stock_room: self.stock_room / divisor,
            logs: self.logs / divisor,
        }
    }

    /// The place of the middle in the list of paid orders, in the ledger, and in the log.
    pub(crate) fn middles(&self) -> [u32; 3] {
        [self.archived * 3 / 10, self.parts / 4, self.logs / 2]
    }
}

/// Fills the main database: orders in all archives, and the log.
pub(crate) async fn fill_main(database: &TestDatabase, size: &Size) {
    fill_active(database, 0, ACTIVE).await;
    let mut connection = database.connect().await;
    for (table, remainders) in [("paid", "0, 1, 2"), ("net", "3"), ("returns", "4")] {
        let archived = format!(
            "INSERT INTO `{table}` (RO, DATE_MADE, SHOP_NAME, PART_DESCRIPTION, CURENT_STATUS, ESTIMATED_COST, FINAL_COST, NOTES)
             SELECT CONCAT('{table}', n), CURRENT_DATE - INTERVAL n % 2000 DAY, 'A repair shop', 'Hydraulic pump',
                    ELT(1 + n % 3, 'PAID', 'RAI', 'BER'), n, n, REPEAT('note ', 40)
             FROM {}
             WHERE n < {} AND n % 5 IN ({remainders})",
            numbers(),
            size.archived
        );
        execute(&mut connection, &archived).await;
    }
    let logs = format!(
        "INSERT INTO ai_conversation_logs
             (conversation_id, timestamp, user, user_message, ai_response, model, duration_ms, input_tokens, output_tokens)
         SELECT CONCAT('conv-', n DIV 10), UTC_TIMESTAMP - INTERVAL n MINUTE, CONCAT('user-', n % 100), 'asked',
                REPEAT('answered ', 50), 'opus', n, n, n
         FROM {}
         WHERE n < {}",
        numbers(),
        size.logs
    );
    execute(&mut connection, &logs).await;
    execute(&mut connection, "ANALYZE TABLE active, paid, net, `returns`, ro_registry, ai_conversation_logs").await;
}

/// Inserts the active orders from the number `first` to `end`, which is not among them.
pub(crate) async fn fill_active(database: &TestDatabase, first: u32, end: u32) {
    let active = format!(
        "INSERT INTO active (RO, DATE_MADE, SHOP_NAME, PART_DESCRIPTION, CURENT_STATUS, ESTIMATED_COST, NEXT_DATE_TO_UPDATE, NOTES)
         SELECT CONCAT('RO', n), CURRENT_DATE - INTERVAL n % 90 DAY, CONCAT('Repair shop ', n % 40), 'Hydraulic pump',
                ELT(1 + n % 8, 'WAITING QUOTE', 'APPROVED', 'BEING REPAIRED', 'SHIPPING', 'RECEIVED', 'PAID', 'TO SEND', 'in work'),
                n, IF(n % 7 = 0, NULL, CURRENT_DATE + INTERVAL n % 60 - 20 DAY), REPEAT('note ', 40)
         FROM {}
         WHERE n >= {first} AND n < {end}",
        numbers()
    );
    let mut connection = database.connect().await;
    execute(&mut connection, &active).await;
    execute(&mut connection, "ANALYZE TABLE active").await;
}

/// Deletes the orders that [`Case::Create`](crate::Case::Create) made.
pub(crate) async fn delete_created(database: &TestDatabase) {
    execute(&mut database.connect().await, "DELETE FROM active WHERE RO LIKE 'NEW%' OR RO LIKE 'BARE%'").await;
}

/// Returns the id of an active order.
pub(crate) async fn order_id(database: &TestDatabase, number: &str) -> i64 {
    let id = sqlx::query_scalar("SELECT id FROM active WHERE RO = ?").bind(number);
    id.fetch_one(&mut database.connect().await).await.unwrap()
}

/// The parts that requests name.
#[derive(Clone, Debug)]
pub(crate) struct Parts {
    /// A part of which requests take pieces.
    pub(crate) taken: Part,
    /// A part of which the bare statements take pieces.
    pub(crate) taken_bare: Part,
    /// A number in the index.
    pub(crate) indexed: String,
    /// A number in the stock room.
    pub(crate) in_stock_room: String,
}

impl Parts {
    /// The part of a number after its first two characters, which few other numbers contain, as a query has it.
    pub(crate) fn rare(number: &str) -> String {
        encoded(&number[2..])
    }
}

/// Fills the inventory.
pub(crate) async fn fill_inventory(database: &TestDatabase, size: &Size) -> Parts {
    let mut connection = database.connect().await;
    let now: String = sqlx::query_scalar("SELECT DATE_FORMAT(UTC_TIMESTAMP, '%Y-%m-%d 00:00:00')")
        .fetch_one(&mut connection)
        .await
        .unwrap();
    fill_stock_until(database, size.parts, size.parts / LOW, &now).await;
    let rest = format!(
        "INSERT INTO stock_room (PN, QTY, COND, LOCATION, DESCRIPTION)
         SELECT CONCAT('SR', (n * 7919) % 1000003, '-', n % 89), n % 90, 'SV', CONCAT('A-', n % 40),
                CONCAT(IF(n % 15 = 0, 'FUEL VALVE', 'GENERATOR MOTOR'), ' NO ', n % 300)
         FROM {}
         WHERE n < {} - (SELECT COUNT(*) FROM (SELECT id FROM stock_room) there)",
        numbers(),
        size.stock_room
    );
    execute(&mut connection, &rest).await;
    execute(&mut connection, "ANALYZE TABLE stock_room").await;
    // So many pieces that they do not run out.
    let taken = put(&mut connection, "stock_room", "TAKEN-1", 1_000_000_000).await;
    let taken_bare = put(&mut connection, "stock_room", "TAKEN-2", 1_000_000_000).await;
    let mut middle = async |table: &str, column: &str, count: u32| -> String {
        let number = format!("SELECT {column} FROM {table} ORDER BY {column} LIMIT 1 OFFSET {}", count / 2);
        sqlx::query_scalar(AssertSqlSafe(number)).fetch_one(&mut connection).await.unwrap()
    };
    let indexed = middle("inventoryindex", "PartNumber", size.parts).await;
    let in_stock_room = middle("stock_room", "PN", size.stock_room).await;
    Parts { taken, taken_bare, indexed, in_stock_room }
}
