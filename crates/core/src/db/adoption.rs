//! Taking over a database that another program filled: what must be right before migrations may run, so that they never
//! fail half-way. Each domain inspects its own tables with these.

use sqlx::{MySqlConnection, Row};

/// What stands in the way, and what deserves a word; each a paragraph for people.
#[derive(Debug, Default)]
pub struct Findings {
    /// The migrations must not run before these are dealt with.
    pub obstacles: Vec<String>,
    /// The migrations may run.
    pub remarks: Vec<String>,
}

/// A table as it is there already.
#[derive(Debug)]
pub struct LiveTable {
    /// Columns that the specification does not know.
    pub extra: Vec<String>,
    /// Whether it has every column that it needs.
    pub is_complete: bool,
}

impl Findings {
    /// Adds what was found elsewhere in the same database.
    pub fn append(&mut self, mut other: Self) {
        self.obstacles.append(&mut other.obstacles);
        self.remarks.append(&mut other.remarks);
    }

    /// Looks at `table`, which may be there or not: it needs `columns`, of any type, and transactions.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn inspect_table(
        &mut self,
        connection: &mut MySqlConnection,
        table: &str,
        columns: &[&str],
    ) -> Result<Option<LiveTable>, sqlx::Error> {
        let found: Vec<String> = sqlx::query_scalar(
            "SELECT CAST(COLUMN_NAME AS CHAR) FROM information_schema.COLUMNS \
             WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = ? ORDER BY ORDINAL_POSITION",
        )
        .bind(table)
        .fetch_all(&mut *connection)
        .await?;
        if found.is_empty() {
            return Ok(None);
        }
        let missing: Vec<&str> = columns
            .iter()
            .copied()
            .filter(|column| !found.iter().any(|name| name.eq_ignore_ascii_case(column)))
            .collect();
        if !missing.is_empty() {
            self.obstacles.push(format!(
                "The table `{table}` lacks the columns {}. Add or rename them as the specification has them (for \
                 example ALTER TABLE `{table}` ADD COLUMN `{}` VARCHAR(100)) and run the migration again.",
                missing.join(", "),
                missing[0]
            ));
        }
        let engine: Option<String> = sqlx::query(
            "SELECT CAST(ENGINE AS CHAR) FROM information_schema.TABLES \
             WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = ?",
        )
        .bind(table)
        .fetch_one(connection)
        .await?
        .try_get(0)?;
        if let Some(engine) = engine.filter(|engine| !engine.eq_ignore_ascii_case("InnoDB")) {
            self.obstacles.push(format!(
                "The table `{table}` is kept by {engine}, which knows no transactions: half a change could stay. \
                 Convert it (ALTER TABLE `{table}` ENGINE = InnoDB) and run the migration again."
            ));
        }
        let extra =
            found.into_iter().filter(|name| !columns.iter().any(|column| name.eq_ignore_ascii_case(column))).collect();
        Ok(Some(LiveTable { extra, is_complete: missing.is_empty() }))
    }

    /// Refuses a table of another program's that has the name of `table`, which the migrations make with `columns`.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn refuse_namesake(
        &mut self,
        connection: &mut MySqlConnection,
        table: &str,
        columns: &[(&str, &str)],
    ) -> Result<(), sqlx::Error> {
        let found = types(connection, table).await?;
        if !found.is_empty() && columns.iter().any(|column| !has(&found, column)) {
            self.obstacles.push(format!(
                "There is a table `{table}` that is not this program's, which makes one of that name. Give it another \
                 name (for example ALTER TABLE `{table}` RENAME TO `{table}_old`) and run the migration again."
            ));
        }
        Ok(())
    }

    /// Refuses columns of `table`, which is there, that have the name of one that the migrations add and another type.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn refuse_other_types(
        &mut self,
        connection: &mut MySqlConnection,
        table: &str,
        columns: &[(&str, &str)],
    ) -> Result<(), sqlx::Error> {
        let found = types(connection, table).await?;
        for (column, wanted) in columns {
            let Some((name, kind)) = found.iter().find(|(name, _)| name.eq_ignore_ascii_case(column)) else { continue };
            if !kind.eq_ignore_ascii_case(wanted) {
                self.obstacles.push(format!(
                    "The column `{name}` of the table `{table}` is of the type {kind}, and this program keeps {wanted} \
                     in it. Give it another name (ALTER TABLE `{table}` RENAME COLUMN `{name}` TO `{name}_old`) and run \
                     the migration again."
                ));
            }
        }
        Ok(())
    }

    /// Notes columns of `table` that the specification does not know; `consequence` goes on after "They are kept".
    pub fn remark_extra(&mut self, table: &str, extra: &[String], consequence: &str) {
        if !extra.is_empty() {
            self.remarks.push(format!(
                "The table `{table}` has columns that the specification does not know: {}. They are kept{consequence}.",
                extra.join(", ")
            ));
        }
    }

    /// Sees whether triggers may be created, by creating one on a table of its own and dropping both; `purpose` says
    /// what they are for.
    ///
    /// # Errors
    /// When the database fails in another way.
    pub async fn try_trigger(&mut self, connection: &mut MySqlConnection, purpose: &str) -> Result<(), sqlx::Error> {
        if let Err(error) = create_and_drop_trigger(connection).await {
            if error.as_database_error().is_none() {
                return Err(error);
            }
            self.obstacles.push(format!(
                "The account may not create tables with triggers here: {error}. {purpose} Grant CREATE, DROP, INSERT \
                 and TRIGGER on this database, and where binary logging is on and the account has no SUPER privilege, \
                 set log_bin_trust_function_creators = 1; then run the migration again."
            ));
        }
        Ok(())
    }
}

/// The columns of `table` with their types; none if it is not there.
async fn types(connection: &mut MySqlConnection, table: &str) -> Result<Vec<(String, String)>, sqlx::Error> {
    sqlx::query_as(
        "SELECT CAST(COLUMN_NAME AS CHAR), CAST(DATA_TYPE AS CHAR) FROM information_schema.COLUMNS \
         WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = ?",
    )
    .bind(table)
    .fetch_all(connection)
    .await
}

fn has(found: &[(String, String)], (column, wanted): &(&str, &str)) -> bool {
    found.iter().any(|(name, kind)| name.eq_ignore_ascii_case(column) && kind.eq_ignore_ascii_case(wanted))
}

async fn create_and_drop_trigger(connection: &mut MySqlConnection) -> Result<(), sqlx::Error> {
    // Left by an inspection that was cut off.
    let drop = "DROP TABLE IF EXISTS rotracker_trigger_probe";
    sqlx::raw_sql(drop).execute(&mut *connection).await?;
    sqlx::raw_sql("CREATE TABLE rotracker_trigger_probe (id INT PRIMARY KEY)").execute(&mut *connection).await?;
    let created = sqlx::raw_sql(
        "CREATE TRIGGER rotracker_trigger_probe BEFORE INSERT ON rotracker_trigger_probe FOR EACH ROW SET NEW.id = NEW.id",
    )
    .execute(&mut *connection)
    .await;
    // Drops its trigger too.
    sqlx::raw_sql(drop).execute(connection).await?;
    created.map(|_| ())
}
