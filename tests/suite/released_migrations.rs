//! Migrations that were deployed stay as they are, and later ones leave the version before them working: a deployment migrates while
//! that version serves requests, and the way back to it keeps the new schema.
//!
//! `migrations/released.sha256` lists the deployed ones. While it lists none, nothing here binds.

use std::{collections::BTreeMap, fs};

use ring::digest::{SHA256, digest};
use rotracker_tests::{TestDatabase, database::execute, emulator::workspace};
use sqlx::{FromRow, MySqlConnection};

const RELEASED: &str = include_str!("../../migrations/released.sha256");

/// A comment of a migration that allows one break. The program must not have used that part of the schema since the version before.
const ALLOWED: &str = "-- Breaks earlier versions on purpose: ";

/// The paths and checksums of the deployed migrations.
fn released(list: &str) -> BTreeMap<&str, &str> {
    let lines = list.lines().filter(|line| !line.starts_with('#'));
    lines.filter_map(|line| line.split_once("  ")).map(|(checksum, path)| (path, checksum)).collect()
}

fn sha256(content: &[u8]) -> String {
    digest(&SHA256, content).as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The deployed migrations of `list` that were changed, or of which `read` has no content.
fn edited(list: &str, read: impl Fn(&str) -> Option<Vec<u8>>) -> Vec<&str> {
    let is_edited = |path: &str, checksum: &str| read(path).is_none_or(|content| sha256(&content) != checksum);
    released(list).into_iter().filter(|(path, checksum)| is_edited(path, checksum)).map(|(path, _)| path).collect()
}

#[test]
fn released_migrations_are_not_edited() {
    let edited = edited(RELEASED, |path| fs::read(workspace().join(path)).ok());
    assert!(edited.is_empty(), "{edited:?} were deployed; a new migration changes what they made");
}

#[test]
fn an_edited_or_missing_migration_is_found() {
    let list = format!("# comment\n{}  a.sql\n{}  b.sql\n{}  c.sql\n", sha256(b"a"), sha256(b"b"), sha256(b"c"));
    let contents = BTreeMap::from([("a.sql", "a"), ("b.sql", "B")]);
    let edited = edited(&list, |path| contents.get(path).map(|content| content.as_bytes().to_vec()));
    assert_eq!(edited, ["b.sql", "c.sql"]);
}

#[tokio::test]
async fn migrations_after_the_released_ones_only_add() {
    let released = released(RELEASED);
    if released.is_empty() {
        return;
    }
    for folder in ["main", "inventory"] {
        let database = TestDatabase::empty().await;
        let mut connection = database.connect().await;
        let directory = workspace().join("migrations").join(folder);
        let mut files: Vec<_> = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
        files.sort();
        for file in files {
            let path = file.strip_prefix(workspace()).unwrap().to_str().unwrap();
            let sql = fs::read_to_string(&file).unwrap();
            let before = Schema::read(&mut connection).await;
            execute(&mut connection, &sql).await;
            if !released.contains_key(path) {
                let breaks = breaks(&before, &Schema::read(&mut connection).await, &sql);
                assert!(
                    breaks.is_empty(),
                    "{path} breaks the version before it. If no deployed version uses that part any more, a line allows it:\n{}",
                    breaks.iter().map(|found| format!("{ALLOWED}{found}")).collect::<Vec<_>>().join("\n")
                );
            }
        }
    }
}

#[derive(FromRow)]
struct Column {
    table_name: String,
    column_name: String,
    column_type: String,
    collation: Option<String>,
    takes_null: bool,
    /// An INSERT must have it.
    is_required: bool,
    expression: Option<String>,
}

#[derive(FromRow)]
struct Constraint {
    table_name: String,
    constraint_name: String,
    constraint_type: String,
    /// The columns of a key, in order.
    columns: Option<String>,
}

#[derive(FromRow)]
struct Trigger {
    trigger_name: String,
    table_name: String,
    /// Such as `BEFORE INSERT`.
    event: String,
}

/// The parts of a schema on which a program relies.
struct Schema {
    columns: Vec<Column>,
    constraints: Vec<Constraint>,
    triggers: Vec<Trigger>,
}

impl Schema {
    async fn read(connection: &mut MySqlConnection) -> Self {
        let columns = "
            SELECT CAST(TABLE_NAME AS CHAR) AS table_name,
                CAST(COLUMN_NAME AS CHAR) AS column_name,
                CAST(COLUMN_TYPE AS CHAR) AS column_type,
                CAST(COLLATION_NAME AS CHAR) AS collation,
                IS_NULLABLE = 'YES' AS takes_null,
                IS_NULLABLE = 'NO' AND COLUMN_DEFAULT IS NULL AND EXTRA NOT LIKE '%auto_increment%'
                    AND COALESCE(GENERATION_EXPRESSION, '') = '' AS is_required,
                CAST(NULLIF(GENERATION_EXPRESSION, '') AS CHAR) AS expression
            FROM information_schema.COLUMNS
            WHERE TABLE_SCHEMA = DATABASE()
            ORDER BY TABLE_NAME, ORDINAL_POSITION";
        let constraints = "
            SELECT CAST(TABLE_NAME AS CHAR) AS table_name,
                CAST(CONSTRAINT_NAME AS CHAR) AS constraint_name,
                CAST(CONSTRAINT_TYPE AS CHAR) AS constraint_type,
                (
                    SELECT CAST(GROUP_CONCAT(part.COLUMN_NAME ORDER BY part.ORDINAL_POSITION) AS CHAR)
                    FROM information_schema.KEY_COLUMN_USAGE part
                    WHERE part.TABLE_SCHEMA = DATABASE()
                        AND part.TABLE_NAME = whole.TABLE_NAME
                        AND part.CONSTRAINT_NAME = whole.CONSTRAINT_NAME
                ) AS columns
            FROM information_schema.TABLE_CONSTRAINTS whole
            WHERE CONSTRAINT_SCHEMA = DATABASE()
            ORDER BY TABLE_NAME, CONSTRAINT_NAME";
        let triggers = "
            SELECT CAST(TRIGGER_NAME AS CHAR) AS trigger_name,
                CAST(EVENT_OBJECT_TABLE AS CHAR) AS table_name,
                CAST(CONCAT(ACTION_TIMING, ' ', EVENT_MANIPULATION) AS CHAR) AS event
            FROM information_schema.TRIGGERS
            WHERE TRIGGER_SCHEMA = DATABASE()
            ORDER BY TRIGGER_NAME";
        Self {
            columns: sqlx::query_as(columns).fetch_all(&mut *connection).await.unwrap(),
            constraints: sqlx::query_as(constraints).fetch_all(&mut *connection).await.unwrap(),
            triggers: sqlx::query_as(triggers).fetch_all(connection).await.unwrap(),
        }
    }

    fn has_table(&self, table: &str) -> bool {
        self.columns.iter().any(|column| column.table_name == table)
    }

    fn column(&self, like: &Column) -> Option<&Column> {
        let is_it = |column: &&Column| column.table_name == like.table_name && column.column_name == like.column_name;
        self.columns.iter().find(is_it)
    }

    fn has_constraint(&self, like: &Constraint) -> bool {
        self.constraints.iter().any(|constraint| {
            constraint.table_name == like.table_name
                && constraint.constraint_name == like.constraint_name
                && constraint.constraint_type == like.constraint_type
                && constraint.columns == like.columns
        })
    }

    fn has_trigger(&self, name: &str) -> bool {
        self.triggers.iter().any(|trigger| trigger.trigger_name == name)
    }
}

/// Says how the migration `sql`, which turned the schema `before` into `after`, breaks a program that was made for `before`.
fn breaks(before: &Schema, after: &Schema, sql: &str) -> Vec<String> {
    let mut breaks = Vec::new();
    for column in &before.columns {
        let name = format!("{}.{}", column.table_name, column.column_name);
        let gone = format!("the table {} is gone", column.table_name);
        match after.column(column) {
            None if after.has_table(&column.table_name) => breaks.push(format!("{name} is gone")),
            None if !breaks.contains(&gone) => breaks.push(gone),
            None => {}
            Some(new) => breaks.extend(column_breaks(&name, column, new)),
        }
    }
    let is_new = |column: &&Column| before.has_table(&column.table_name) && before.column(column).is_none();
    for column in after.columns.iter().filter(is_new).filter(|column| column.is_required) {
        breaks.push(format!("{}.{} is new and has no default", column.table_name, column.column_name));
    }
    for (from, to, happened) in [(before, after, "gone"), (after, before, "new")] {
        let is_changed =
            |constraint: &&Constraint| to.has_table(&constraint.table_name) && !to.has_constraint(constraint);
        for Constraint { table_name, constraint_name, constraint_type, .. } in
            from.constraints.iter().filter(is_changed)
        {
            breaks.push(format!("the constraint {constraint_name} ({constraint_type}) of {table_name} is {happened}"));
        }
    }
    let lost = before.triggers.iter().filter(|trigger| after.has_table(&trigger.table_name));
    breaks.extend(lost.filter_map(|trigger| trigger_break(trigger, before, after, sql)));
    breaks.retain(|found| !sql.lines().any(|line| line.strip_prefix(ALLOWED) == Some(found)));
    breaks
}

fn column_breaks(name: &str, before: &Column, after: &Column) -> Vec<String> {
    let mut breaks = Vec::new();
    if !is_widened(&before.column_type, &after.column_type) {
        breaks.push(format!("{name} was {} and is {}", before.column_type, after.column_type));
    }
    if before.collation != after.collation && before.collation.is_some() {
        breaks.push(format!("{name} has another collation"));
    }
    if before.takes_null && !after.takes_null {
        breaks.push(format!("{name} takes no NULL any more"));
    } else if !before.is_required && after.is_required {
        breaks.push(format!("{name} has no default any more"));
    }
    if before.expression != after.expression {
        breaks.push(format!("{name} is computed differently"));
    }
    breaks
}

/// Returns whether every value of the type `before` fits the type `after`, and is written in the same way.
fn is_widened(before: &str, after: &str) -> bool {
    const SIZES: [&[&str]; 4] = [
        &["tinyint", "smallint", "mediumint", "int", "bigint"],
        &["varchar", "text", "mediumtext", "longtext"],
        &["tinytext", "text", "mediumtext", "longtext"],
        &["tinyblob", "blob", "mediumblob", "longblob"],
    ];
    if before == after {
        return true;
    }
    let (name, numbers, sign) = parse_type(before);
    let (new_name, new_numbers, new_sign) = parse_type(after);
    if sign != new_sign {
        return false;
    }
    let is_larger = SIZES.iter().any(|sizes| {
        let place = |name| sizes.iter().position(|size| *size == name);
        place(name).zip(place(new_name)).is_some_and(|(before, after)| before < after)
    });
    match (name, numbers.as_slice(), new_numbers.as_slice()) {
        _ if is_larger => true,
        _ if name != new_name => false,
        // MariaDB shows a width that means nothing.
        ("tinyint" | "smallint" | "mediumint" | "int" | "bigint", ..) => true,
        ("varchar" | "varbinary" | "datetime" | "timestamp", before, after) => before <= after,
        ("decimal", [digits, scale], [new_digits, new_scale]) => {
            scale <= new_scale && digits - scale <= new_digits - new_scale
        }
        _ => false,
    }
}

/// Splits `decimal(10,2) unsigned` into its name, its numbers and the rest.
fn parse_type(text: &str) -> (&str, Vec<i64>, &str) {
    let name = text.split(['(', ' ']).next().unwrap_or_default();
    let (numbers, rest) = match text.split_once('(').and_then(|(_, rest)| rest.split_once(')')) {
        Some((numbers, rest)) => (numbers.split(',').filter_map(|number| number.trim().parse().ok()).collect(), rest),
        None => (Vec::new(), &text[name.len()..]),
    };
    (name, numbers, rest)
}

/// A row that is written while a trigger is away is written without it, so its successor comes first.
fn trigger_break(trigger: &Trigger, before: &Schema, after: &Schema, sql: &str) -> Option<String> {
    let Trigger { trigger_name: name, table_name, event } = trigger;
    let dropped = sql.find(&format!("DROP TRIGGER IF EXISTS {name};"));
    if after.has_trigger(name) {
        return dropped.map(|_| format!("the trigger {name} is away for a moment; give the new one another name"));
    }
    let is_successor =
        |new: &&Trigger| new.table_name == *table_name && new.event == *event && !before.has_trigger(&new.trigger_name);
    let created = after.triggers.iter().filter(is_successor).filter_map(|new| {
        let create = format!("CREATE TRIGGER {} ", new.trigger_name);
        sql.find(&create)
    });
    match created.min() {
        None => Some(format!("the trigger {name} is gone")),
        Some(created) if dropped.is_none_or(|dropped| created < dropped) => None,
        Some(_) => Some(format!("the trigger {name} is gone before its successor is there")),
    }
}

const BASE: &str = "
    CREATE TABLE part (
        id INT AUTO_INCREMENT PRIMARY KEY,
        number VARCHAR(50) NOT NULL,
        quantity INT NULL,
        price DECIMAL(10, 2) DEFAULT 0,
        seen DATETIME(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3),
        number_key VARCHAR(50) GENERATED ALWAYS AS (UPPER(number)) STORED,
        UNIQUE KEY number (number)
    ) DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_unicode_520_ci;
    CREATE TABLE note (id INT PRIMARY KEY);
    CREATE TRIGGER part_inserted BEFORE INSERT ON part FOR EACH ROW SET NEW.quantity = 0;";

/// Applies `sql` to the tables of [`BASE`] and returns the breaks.
async fn breaks_of(sql: &str) -> Vec<String> {
    let database = TestDatabase::empty().await;
    let mut connection = database.connect().await;
    execute(&mut connection, BASE).await;
    let before = Schema::read(&mut connection).await;
    execute(&mut connection, sql).await;
    breaks(&before, &Schema::read(&mut connection).await, sql)
}

#[tokio::test]
async fn every_kind_of_break_is_found() {
    for (sql, found) in [
        ("DROP TABLE note", "the table note is gone"),
        ("RENAME TABLE note TO notes", "the table note is gone"),
        (
            "ALTER TABLE part DROP COLUMN quantity; DROP TRIGGER part_inserted; CREATE TRIGGER other BEFORE INSERT ON part FOR EACH ROW SET @a = 1",
            "part.quantity is gone",
        ),
        ("ALTER TABLE part CHANGE price cost DECIMAL(10, 2) DEFAULT 0", "part.price is gone"),
        ("ALTER TABLE part MODIFY number VARCHAR(40) NOT NULL", "part.number was varchar(50) and is varchar(40)"),
        ("ALTER TABLE part MODIFY quantity BIGINT UNSIGNED NULL", "part.quantity was int"),
        ("ALTER TABLE part MODIFY quantity SMALLINT NULL", "part.quantity was int"),
        ("ALTER TABLE part MODIFY price DECIMAL(10, 3) DEFAULT 0", "part.price was decimal(10,2) and is decimal(10,3)"),
        ("ALTER TABLE part MODIFY seen DATETIME NOT NULL DEFAULT CURRENT_TIMESTAMP", "part.seen was datetime(3)"),
        (
            "ALTER TABLE part MODIFY number VARCHAR(50) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL",
            "part.number has another collation",
        ),
        ("ALTER TABLE part MODIFY quantity INT NOT NULL DEFAULT 0", "part.quantity takes no NULL any more"),
        ("ALTER TABLE part MODIFY seen DATETIME(3) NOT NULL", "part.seen has no default any more"),
        (
            "ALTER TABLE part MODIFY number_key VARCHAR(50) GENERATED ALWAYS AS (LOWER(number)) STORED",
            "part.number_key is computed differently",
        ),
        ("ALTER TABLE part ADD place VARCHAR(10) NOT NULL", "part.place is new and has no default"),
        ("ALTER TABLE part ADD UNIQUE KEY quantity (quantity)", "the constraint quantity (UNIQUE) of part is new"),
        (
            "ALTER TABLE part ADD CONSTRAINT positive CHECK (quantity >= 0)",
            "the constraint positive (CHECK) of part is new",
        ),
        (
            "ALTER TABLE part ADD CONSTRAINT noted FOREIGN KEY (quantity) REFERENCES note (id)",
            "the constraint noted (FOREIGN KEY) of part is new",
        ),
        ("ALTER TABLE part DROP INDEX number", "the constraint number (UNIQUE) of part is gone"),
        ("DROP TRIGGER part_inserted", "the trigger part_inserted is gone"),
        (
            "DROP TRIGGER IF EXISTS part_inserted; CREATE TRIGGER part_inserted BEFORE INSERT ON part FOR EACH ROW SET @a = 1",
            "the trigger part_inserted is away for a moment; give the new one another name",
        ),
        (
            "DROP TRIGGER IF EXISTS part_inserted; CREATE TRIGGER part_inserted_2 BEFORE INSERT ON part FOR EACH ROW SET @a = 1",
            "the trigger part_inserted is gone before its successor is there",
        ),
    ] {
        let breaks = breaks_of(sql).await;
        assert!(breaks.len() == 1 && breaks[0].starts_with(found), "{sql}: {breaks:?}");
    }
}

#[tokio::test]
async fn a_key_with_other_columns_is_another_one() {
    let breaks = breaks_of("ALTER TABLE part DROP INDEX number, ADD UNIQUE KEY number (number, id)").await;
    let constraint = "the constraint number (UNIQUE) of part";
    assert_eq!(breaks, [format!("{constraint} is gone"), format!("{constraint} is new")]);
}

#[tokio::test]
async fn additions_and_wider_types_are_no_breaks() {
    for sql in [
        "CREATE TABLE place (id INT PRIMARY KEY, name VARCHAR(10) NOT NULL UNIQUE)",
        "ALTER TABLE part ADD place VARCHAR(10), ADD shelf INT NOT NULL DEFAULT 0, ADD INDEX quantity (quantity)",
        "ALTER TABLE part MODIFY number VARCHAR(60) NOT NULL, MODIFY quantity BIGINT NULL",
        "ALTER TABLE part MODIFY price DECIMAL(12, 3) NULL DEFAULT 1, MODIFY seen DATETIME(6) NULL",
        "CREATE TRIGGER part_inserted_2 BEFORE INSERT ON part FOR EACH ROW SET @a = 1; DROP TRIGGER IF EXISTS part_inserted;",
        "CREATE TRIGGER part_updated BEFORE UPDATE ON part FOR EACH ROW SET @a = 1",
        "-- Breaks earlier versions on purpose: the table note is gone\nDROP TABLE note",
    ] {
        assert_eq!(breaks_of(sql).await, [""; 0], "{sql}");
    }
}
