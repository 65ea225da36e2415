//! Every statement about repair orders. All are made of constants: no input reaches SQL text.
//!
//! Ids and numbers are unique over the four tables because triggers enter every row, whoever writes it, into
//! `ro_registry` (see `migrations/main`). The registry row is also what a change locks first, so that moves and updates
//! of one order queue up in one place wherever the order is at the moment.

use app_core::{
    db::push_limit,
    http::Page,
    values::{Day, Money},
};
use sqlx::{MySql, QueryBuilder};

use crate::{history::Entry, model::Archive, store::OrderKey};

/// The statement with the table of `$archive` in its gaps. Table names cannot be bound, and this way every statement is
/// a constant that no input reaches.
macro_rules! in_table {
    ($archive:expr, $before:tt, $after:tt) => {
        match $archive {
            Archive::Active => in_table!(@ "active", $before, $after),
            Archive::Paid => in_table!(@ "paid", $before, $after),
            Archive::Net => in_table!(@ "net", $before, $after),
            Archive::Returned => in_table!(@ "returns", $before, $after),
        }
    };
    (@ $table:literal, [$($before:tt)*], [$($after:tt)*]) => {
        concat!($($before)*, " `", $table, "` ", $($after)*)
    };
}

/// Every column but the id, in the order in which the store reads and writes them. `CURENT_STATUS` is spelt
/// like that in the database.
macro_rules! columns {
    ($each:ident) => {
        concat!(
            $each!("RO"),
            ", ",
            $each!("DATE_MADE"),
            ", ",
            $each!("SHOP_NAME"),
            ", ",
            $each!("PART"),
            ", ",
            $each!("SERIAL"),
            ", ",
            $each!("PART_DESCRIPTION"),
            ", ",
            $each!("REQ_WORK"),
            ", ",
            $each!("DATE_DROPPED_OFF"),
            ", ",
            $each!("ESTIMATED_COST"),
            ", ",
            $each!("FINAL_COST"),
            ", ",
            $each!("TERMS"),
            ", ",
            $each!("SHOP_REF"),
            ", ",
            $each!("ESTIMATED_DELIVERY_DATE"),
            ", ",
            $each!("CURENT_STATUS"),
            ", ",
            $each!("CURENT_STATUS_DATE"),
            ", ",
            $each!("GENTHRUST_STATUS"),
            ", ",
            $each!("SHOP_STATUS"),
            ", ",
            $each!("TRACKING_NUMBER_PICKING_UP"),
            ", ",
            $each!("NOTES"),
            ", ",
            $each!("LAST_DATE_UPDATED"),
            ", ",
            $each!("NEXT_DATE_TO_UPDATE")
        )
    };
}

macro_rules! plain {
    ($column:literal) => {
        $column
    };
}

macro_rules! set {
    ($column:literal) => {
        concat!($column, " = ?")
    };
}

macro_rules! placeholder {
    ($column:literal) => {
        "?"
    };
}

/// At most one of the four tables has the row, so the first value that is not null is the row's, if it has one.
macro_rules! wherever_it_is {
    ($column:literal) => {
        concat!("COALESCE(a.", $column, ", p.", $column, ", n.", $column, ", r.", $column, ")")
    };
}

/// One order from whichever table has it, in one statement, and then what `$history` says of it. It starts at the
/// registry: with `FOR UPDATE` that row is locked before the tables are looked at, so they are seen as the previous holder
/// of the lock left them.
macro_rules! select_one {
    ($history:literal, $condition:literal) => {
        concat!(
            "SELECT CASE WHEN a.id IS NOT NULL THEN 0 WHEN p.id IS NOT NULL THEN 1 WHEN n.id IS NOT NULL THEN 2 \
             WHEN r.id IS NOT NULL THEN 3 END, registry.id, ",
            columns!(wherever_it_is),
            ", ",
            $history,
            " FROM ro_registry registry LEFT JOIN active a ON a.id = registry.id LEFT JOIN paid p ON p.id = registry.id \
             LEFT JOIN net n ON n.id = registry.id LEFT JOIN `returns` r ON r.id = registry.id WHERE registry.",
            $condition
        )
    };
}

/// What the history keeps of a step of the status, each in the place of the order's column that is most like it.
macro_rules! of_step {
    ("SHOP_NAME") => {
        "h.user"
    };
    ("FINAL_COST") => {
        "h.cost"
    };
    ("CURENT_STATUS") => {
        "h.status"
    };
    ("CURENT_STATUS_DATE") => {
        "h.status_date"
    };
    ("NOTES") => {
        "h.notes"
    };
    ("GENTHRUST_STATUS") => {
        "h.action"
    };
    ($column:literal) => {
        "NULL"
    };
}

/// One order with the number of its last change, and then, numbered 4 in the first column, the steps of its status, oldest
/// first: one statement, so that both are of one moment. `$id` is the order's id.
macro_rules! select_one_with_steps {
    ($condition:literal, $id:literal) => {
        concat!(
            select_one!("(SELECT MAX(h.revision) FROM ro_history h WHERE h.order_id = registry.id)", $condition),
            " UNION ALL SELECT 4, h.revision, ",
            columns!(of_step),
            ", NULL FROM ro_history h WHERE h.order_id = ",
            $id,
            " AND h.status IS NOT NULL ORDER BY 1, 2"
        )
    };
}

/// One order with the number and the digest of its last change, locked until the transaction ends. The subqueries lock,
/// too, or they would read what was there before the order's lock was waited for.
macro_rules! lock_one {
    ($condition:literal) => {
        concat!(
            select_one!(
                "(SELECT h.revision FROM ro_history h WHERE h.order_id = registry.id ORDER BY h.revision DESC LIMIT 1 \
                 FOR UPDATE), (SELECT h.digest FROM ro_history h WHERE h.order_id = registry.id \
                 ORDER BY h.revision DESC LIMIT 1 FOR UPDATE)",
                $condition
            ),
            " FOR UPDATE"
        )
    };
}

/// Reads the orders of one table: by the day on which someone should ask again, then the newest, then the id (design,
/// reading 12). Takes limit and offset.
pub fn list(archive: Archive) -> &'static str {
    in_table!(
        archive,
        ["SELECT id, ", columns!(plain), " FROM"],
        ["ORDER BY NEXT_DATE_TO_UPDATE IS NULL, NEXT_DATE_TO_UPDATE, DATE_MADE DESC, id LIMIT ? OFFSET ?"]
    )
}

/// Reads one order and the steps of its status. Takes its id twice.
pub const FIND_BY_ID: &str = select_one_with_steps!("id = ?", "?");

/// Reads one order and the steps of its status. Takes its number twice.
pub const FIND_BY_NUMBER: &str =
    select_one_with_steps!("ro_number = ?", "(SELECT id FROM ro_registry WHERE ro_number = ?)");

/// Reads one order by its id, locked until the transaction ends.
pub const LOCK_BY_ID: &str = lock_one!("id = ?");

/// Reads one order by its number, which it takes twice, locked until the transaction ends.
///
/// The subquery looks the id up without a lock, so that the first lock is on the registry's row here, too. A lock on the
/// index of numbers first and on the row then would meet moves, which hold the row and want the index, in deadlocks. The
/// second condition is checked under the lock: the number may have gone to another order meanwhile.
pub const LOCK_BY_NUMBER: &str =
    lock_one!("id = (SELECT id FROM ro_registry WHERE ro_number = ?) AND registry.ro_number = ?");

/// Adds a row to one table. Takes the columns and then the id, 0 for the next one of the sequence.
pub fn insert(archive: Archive) -> &'static str {
    in_table!(archive, ["INSERT INTO"], ["(", columns!(plain), ", id) VALUES (", columns!(placeholder), ", ?)"])
}

/// Writes a row of one table. Takes the columns and then the id.
pub fn update(archive: Archive) -> &'static str {
    in_table!(archive, ["UPDATE"], ["SET ", columns!(set), " WHERE id = ?"])
}

/// Deletes a row of one table. Takes the id.
pub fn delete(archive: Archive) -> &'static str {
    in_table!(archive, ["DELETE FROM"], ["WHERE id = ?"])
}

/// Adds entries to the history, of which there must be some.
pub fn add_history(entries: &[Entry]) -> QueryBuilder<MySql> {
    let mut statement = QueryBuilder::new(
        "INSERT INTO ro_history (order_id, revision, ro_number, action, changed_at, user, program, request_id, changes, \
         digest, status, status_date, cost, notes) ",
    );
    statement.push_values(entries, |mut row, entry| {
        let step = entry.step.as_ref();
        row.push_bind(entry.order_id)
            .push_bind(entry.revision)
            .push_bind(entry.ro_number.clone())
            .push_bind(entry.action.name())
            .push_bind(entry.at)
            .push_bind(entry.actor.user().map(str::to_owned))
            .push_bind(entry.actor.program_name())
            .push_bind(entry.actor.request_id().map(str::to_owned))
            .push_bind(entry.changes.clone())
            .push_bind(entry.digest.map(|digest| digest.as_bytes().to_vec()))
            .push_bind(step.map(|step| step.status.clone()))
            .push_bind(step.and_then(|step| step.date).map(|Day(date)| date))
            .push_bind(step.and_then(|step| step.cost).map(Money::amount))
            .push_bind(step.and_then(|step| step.notes.clone()));
    });
    statement
}

/// Counts the history entries of an order, and says whether the order still exists.
pub fn count_history(key: &OrderKey) -> QueryBuilder<MySql> {
    let mut statement = QueryBuilder::new("SELECT COUNT(*) AS total, EXISTS (SELECT 1 FROM ro_registry WHERE ");
    match key {
        OrderKey::Id(id) => statement.push("id = ").push_bind(*id),
        OrderKey::Number(number) => statement.push("ro_number = ").push_bind(number.to_string()),
    };
    statement.push(") AS is_there FROM ro_history WHERE TRUE");
    push_history_of(&mut statement, key);
    statement
}

/// Lists a page of an order's history, newest first. An order's entries are numbered under its lock, so that their ids are
/// in the order of the changes; the clocks of several instances are not.
pub fn list_history(key: &OrderKey, page: Page) -> QueryBuilder<MySql> {
    let mut statement = QueryBuilder::new(
        "SELECT revision, order_id, ro_number, action, changed_at, user, program, request_id, changes
         FROM (SELECT id AS page_id
               FROM ro_history
               WHERE TRUE",
    );
    push_history_of(&mut statement, key);
    statement.push(" ORDER BY id DESC");
    push_limit(&mut statement, page);
    statement.push(
        ") page
         JOIN ro_history ON id = page_id
         ORDER BY page_id DESC",
    );
    statement
}

/// Adds whose entries are shown. A number is that of the order that has it now, or else of the one that had it last.
pub fn push_history_of(statement: &mut QueryBuilder<MySql>, key: &OrderKey) {
    match key {
        OrderKey::Id(id) => statement.push(" AND order_id = ").push_bind(*id),
        OrderKey::Number(number) => statement
            .push(" AND order_id = COALESCE((SELECT id FROM ro_registry WHERE ro_number = ")
            .push_bind(number.to_string())
            .push("), (SELECT last.order_id FROM ro_history last WHERE last.ro_number = ")
            .push_bind(number.to_string())
            .push(" ORDER BY last.id DESC LIMIT 1))"),
    };
}

/// Counts and sums for the dashboard, in one look at all four tables. Takes today three times and the day 30 days
/// before. Statuses compare byte by byte, since the dashboard's words are fixed; those of returned orders in any case
/// (design, reading 14).
pub const DASHBOARD: &str = "SELECT a.*, p.*, n.*, r.* FROM \
    (SELECT COUNT(*), COUNT(IF(NEXT_DATE_TO_UPDATE < ?, 1, NULL)) AS overdue, \
    COUNT(IF(NEXT_DATE_TO_UPDATE = ?, 1, NULL)) AS due_today, \
    COUNT(IF(NEXT_DATE_TO_UPDATE >= ?, 1, NULL)) AS on_track, \
    COUNT(IF(NEXT_DATE_TO_UPDATE < ?, 1, NULL)) AS overdue_30_plus, \
    COUNT(IF(CAST(CURENT_STATUS AS BINARY) = 'WAITING QUOTE', 1, NULL)) AS waiting_quote, \
    COUNT(IF(CAST(CURENT_STATUS AS BINARY) = 'APPROVED', 1, NULL)) AS approved, \
    COUNT(IF(CAST(CURENT_STATUS AS BINARY) = 'BEING REPAIRED', 1, NULL)) AS being_repaired, \
    COUNT(IF(CAST(CURENT_STATUS AS BINARY) LIKE '%SHIPPING%', 1, NULL)) AS shipping, \
    COALESCE(SUM(ESTIMATED_COST), 0) AS estimated FROM active) a, \
    (SELECT COUNT(*) AS paid_count, COALESCE(SUM(FINAL_COST), 0) AS paid_value FROM paid) p, \
    (SELECT COUNT(*) AS net_count, COALESCE(SUM(FINAL_COST), 0) AS net_value FROM net) n, \
    (SELECT COUNT(IF(UPPER(CURENT_STATUS) LIKE 'RAI%', 1, NULL)) AS rai, \
    COUNT(IF(UPPER(CURENT_STATUS) LIKE 'BER%', 1, NULL)) AS ber, \
    COUNT(IF(UPPER(CURENT_STATUS) LIKE 'CANCEL%', 1, NULL)) AS cancelled, \
    COUNT(IF(UPPER(CURENT_STATUS) LIKE 'SCRAP%', 1, NULL)) AS scrapped, \
    COALESCE(SUM(FINAL_COST), 0) AS returned_value FROM `returns`) r";
