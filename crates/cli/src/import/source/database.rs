//! A MySQL or MariaDB database as a source, read from one consistent snapshot.

use std::collections::HashSet;

use anyhow::{Context, Result, bail};
use app_core::db::{self, DatabaseConfig, push_list};
use chrono::{NaiveDate, NaiveDateTime};
use percent_encoding::percent_decode_str;
use reqwest::Url;
use rust_decimal::Decimal;
use secrecy::SecretString;
use sqlx::{AssertSqlSafe, Executor, FromRow, MySqlConnection, QueryBuilder, Row, mysql::MySqlRow};

use super::{BATCH, Source, SourceColumn, SourceRow, SourceTable, Value};
use crate::migrate::MOVED_ASIDE;

/// The server and the database to read from.
#[derive(Clone, Debug)]
pub(in crate::import) struct DatabaseAddress {
    server: DatabaseConfig,
    database: String,
}

impl DatabaseAddress {
    /// Reads `mysql://user@host:port/name`. TLS is as for `server`, the service's own.
    ///
    /// # Errors
    /// When the address is malformed or has a password, which other users of the machine could see.
    pub(in crate::import) fn parse(address: &str, server: &DatabaseConfig, password: &SecretString) -> Result<Self> {
        let url = Url::parse(address).with_context(|| format!("{address} is not a valid source address"))?;
        if url.scheme() != "mysql" {
            bail!("{address} is no source: it must begin with mysql://");
        }
        if url.password().is_some() {
            bail!(
                "the address has a password, which other users of this machine can see; set IMPORT_DB_PASSWORD instead"
            );
        }
        let decode = |part: &str| percent_decode_str(part).decode_utf8().map(|text| text.into_owned());
        let database = decode(url.path().trim_start_matches('/'))?;
        let (Some(host), false, false) = (url.host_str(), url.username().is_empty(), database.is_empty()) else {
            bail!("{address} must have the form mysql://user@host:port/name");
        };
        let server = DatabaseConfig {
            host: host.trim_start_matches('[').trim_end_matches(']').to_owned(),
            port: url.port().unwrap_or(3306),
            user: decode(url.username())?,
            password: password.clone(),
            ..server.clone()
        };
        Ok(Self { server, database })
    }

    /// Returns the name of the source: the address without the user, because another user reads the same rows.
    fn source_name(&self) -> String {
        format!("mysql://{}:{}/{}", self.server.host.to_lowercase(), self.server.port, self.database)
    }
}

/// A database that is read within one transaction.
pub(in crate::import) struct DatabaseSource {
    name: String,
    database: String,
    connection: MySqlConnection,
    /// The names of tables that are not read, in lower case.
    excluded: HashSet<String>,
}

impl DatabaseSource {
    /// Connects and takes the snapshot.
    ///
    /// # Errors
    /// When the server cannot be reached or has no such database.
    pub(in crate::import) async fn open(address: &DatabaseAddress) -> Result<Self> {
        let server = &address.server;
        let mut connection = db::connect(server, Some(&address.database)).await.with_context(|| {
            format!("the database {} on {}:{} cannot be read", address.database, server.host, server.port)
        })?;
        for statement in [
            "SET NAMES utf8mb4 COLLATE utf8mb4_unicode_520_ci, time_zone = '+00:00', wait_timeout = 604800",
            "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ",
            "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY",
        ] {
            connection.execute(statement).await?;
        }
        Ok(Self {
            name: address.source_name(),
            database: address.database.clone(),
            connection,
            excluded: HashSet::new(),
        })
    }

    /// Returns the name of the database.
    pub(in crate::import) fn database(&self) -> &str {
        &self.database
    }

    /// Returns whether this is the server on which the connection `holder` holds the lock `lock`.
    pub(in crate::import) async fn is_server_of_lock(&mut self, lock: &str, holder: u64) -> Result<bool> {
        let used_by: Option<u64> = sqlx::query_scalar("SELECT CAST(IS_USED_LOCK(?) AS UNSIGNED)")
            .bind(lock)
            .fetch_one(&mut self.connection)
            .await?;
        Ok(used_by == Some(holder))
    }

    /// Leaves out the tables with these names.
    pub(in crate::import) fn exclude(&mut self, names: impl IntoIterator<Item = String>) {
        self.excluded.extend(names);
    }

    /// Returns the columns that a SELECT needs to read `table`, with the position first.
    fn columns(table: &SourceTable) -> String {
        let position = match &table.position_column {
            Some(column) => quoted(column),
            None => {
                let all = table.columns.iter().map(|column| quoted(&column.name)).collect::<Vec<_>>().join(", ");
                format!("ROW_NUMBER() OVER (ORDER BY {all})")
            }
        };
        let columns = table.columns.iter().map(|column| format!(", {}", readable(column))).collect::<String>();
        format!("CAST({position} AS SIGNED) AS {POSITION}{columns}")
    }
}

/// The name of the position among the columns of a row.
const POSITION: &str = "source_row_position";

/// Quotes a name, which cannot be bound.
fn quoted(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

/// Returns the column as text, which almost every type has. FLOAT and DOUBLE are read as they are, since the server would round
/// them. Types that have no text are read in hexadecimal digits.
fn readable(column: &SourceColumn) -> String {
    let name = quoted(&column.name);
    match column.data_type.as_str() {
        "float" | "double" => name,
        "tinyint" | "smallint" | "mediumint" | "int" | "bigint" | "decimal" | "datetime" | "timestamp" | "date"
        | "time" | "year" | "char" | "varchar" | "tinytext" | "text" | "mediumtext" | "longtext" | "enum" | "set"
        | "json" | "uuid" | "inet4" | "inet6" => format!("CAST({name} AS CHAR) AS {name}"),
        _ => format!("CONCAT('0x', HEX({name})) AS {name}"),
    }
}

fn value(row: &MySqlRow, column: &SourceColumn) -> Result<Value, sqlx::Error> {
    let name = column.name.as_str();
    if column.data_type == "double" {
        return Ok(row.try_get::<Option<f64>, _>(name)?.map_or(Value::Null, Value::Double));
    }
    if column.data_type == "float" {
        // The shortest decimal form of the FLOAT itself. As a DOUBLE, 0.1 would be 0.10000000149011612.
        let number = row.try_get::<Option<f32>, _>(name)?.and_then(|number| number.to_string().parse().ok());
        return Ok(number.map_or(Value::Null, Value::Double));
    }
    let Some(text) = row.try_get::<Option<String>, _>(name)? else { return Ok(Value::Null) };
    let read = match column.data_type.as_str() {
        "tinyint" | "smallint" | "mediumint" | "int" | "bigint" => text.parse().ok().map(Value::Integer),
        "decimal" => text.parse().ok().map(Value::Decimal),
        "datetime" | "timestamp" => {
            NaiveDateTime::parse_from_str(&text, "%Y-%m-%d %H:%M:%S%.f").ok().map(Value::DateTime)
        }
        "date" => text.parse::<NaiveDate>().ok().map(Value::day),
        _ => None,
    };
    // What is no number or date of Rust, such as the date `0000-00-00`, stays the text that the server shows.
    Ok(read.unwrap_or(Value::Text(text)))
}

fn read_row(row: &MySqlRow, table: &SourceTable) -> Result<SourceRow, sqlx::Error> {
    Ok(SourceRow {
        position: row.try_get(POSITION)?,
        values: table.columns.iter().map(|column| value(row, column)).collect::<Result<_, _>>()?,
        rejected_row: None,
    })
}

/// A column, as the server describes it.
#[derive(FromRow)]
struct DescribedColumn {
    table_name: String,
    column_name: String,
    data_type: String,
    is_position: bool,
    is_generated: bool,
}

impl Source for DatabaseSource {
    fn name(&self) -> &str {
        &self.name
    }

    async fn tables(&mut self) -> Result<Vec<SourceTable>> {
        let described: Vec<DescribedColumn> = sqlx::query_as(
            "SELECT CAST(c.TABLE_NAME AS CHAR) AS table_name,
                    CAST(c.COLUMN_NAME AS CHAR) AS column_name,
                    CAST(LOWER(c.DATA_TYPE) AS CHAR) AS data_type,
                    c.EXTRA LIKE '%auto_increment%' OR c.COLUMN_NAME IN ('id', 'IndexId', 'TxnId') AS is_generated,
                    -- A whole number that is the primary key by itself, and that fits a signed BIGINT.
                    c.COLUMN_KEY = 'PRI' AND c.DATA_TYPE IN ('tinyint', 'smallint', 'mediumint', 'int', 'bigint') AND
                        c.COLUMN_TYPE NOT LIKE 'bigint%unsigned' AND
                        (SELECT COUNT(*)
                         FROM information_schema.COLUMNS keys_of_table
                         WHERE keys_of_table.TABLE_SCHEMA = c.TABLE_SCHEMA AND keys_of_table.TABLE_NAME = c.TABLE_NAME
                           AND keys_of_table.COLUMN_KEY = 'PRI') = 1 AS is_position
             FROM information_schema.COLUMNS c
             JOIN information_schema.TABLES t ON t.TABLE_SCHEMA = c.TABLE_SCHEMA AND t.TABLE_NAME = c.TABLE_NAME
             WHERE c.TABLE_SCHEMA = ? AND t.TABLE_TYPE IN ('BASE TABLE', 'SYSTEM VERSIONED')
             ORDER BY c.TABLE_NAME, c.ORDINAL_POSITION",
        )
        .bind(&self.database)
        .fetch_all(&mut self.connection)
        .await?;
        let names: HashSet<String> = described.iter().map(|column| column.table_name.to_lowercase()).collect();
        let mut tables: Vec<SourceTable> = Vec::new();
        for DescribedColumn { table_name, column_name, data_type, is_position, is_generated } in described {
            if self.excluded.contains(&table_name.to_lowercase()) {
                continue;
            }
            if tables.last().is_none_or(|table| table.stored_name != table_name) {
                // A table that was moved aside is known by the name that it had.
                let name = match table_name.strip_prefix(MOVED_ASIDE) {
                    Some(name)
                        if !names.contains(&name.to_lowercase()) || self.excluded.contains(&name.to_lowercase()) =>
                    {
                        name
                    }
                    _ => &table_name,
                };
                tables.push(SourceTable {
                    source: self.name.clone(),
                    name: name.to_owned(),
                    stored_name: table_name.clone(),
                    ..SourceTable::default()
                });
            }
            let Some(table) = tables.last_mut() else { continue };
            let column = SourceColumn { name: column_name, data_type };
            if is_position {
                table.position_column = Some(column.name.clone());
            }
            // A generated number says only where the row is. Any other key is a value, too.
            if !(is_position && is_generated) {
                table.columns.push(column);
            }
        }
        for table in &mut tables {
            let count = format!("SELECT COUNT(*) FROM {}", quoted(&table.stored_name));
            let rows: i64 = sqlx::query_scalar(AssertSqlSafe(count)).fetch_one(&mut self.connection).await?;
            table.rows = u64::try_from(rows)?;
        }
        Ok(tables)
    }

    async fn rows_after(&mut self, table: &SourceTable, after: Option<i64>) -> Result<Vec<SourceRow>> {
        let from = quoted(&table.stored_name);
        let columns = Self::columns(table);
        let after = after.map(|after| after.to_string());
        let statement = match (&table.position_column, after) {
            (Some(column), Some(after)) => {
                format!(
                    "SELECT {columns} FROM {from} WHERE {column} > {after} ORDER BY {column} LIMIT {BATCH}",
                    column = quoted(column)
                )
            }
            (Some(column), None) => format!("SELECT {columns} FROM {from} ORDER BY {} LIMIT {BATCH}", quoted(column)),
            (None, after) => format!(
                "SELECT {columns} FROM {from} ORDER BY {POSITION} LIMIT {BATCH} OFFSET {}",
                after.unwrap_or_else(|| "0".to_owned())
            ),
        };
        let rows = sqlx::query(AssertSqlSafe(statement)).fetch_all(&mut self.connection).await;
        let rows = rows.with_context(|| format!("the table {} cannot be read", table.stored_name))?;
        Ok(rows.iter().map(|row| read_row(row, table)).collect::<Result<_, _>>()?)
    }

    async fn rows_at(&mut self, table: &SourceTable, positions: &[i64]) -> Result<Vec<SourceRow>> {
        if positions.is_empty() {
            return Ok(Vec::new());
        }
        let columns = Self::columns(table);
        let from = quoted(&table.stored_name);
        let mut statement = match &table.position_column {
            Some(column) => QueryBuilder::new(format!("SELECT {columns} FROM {from} WHERE {} IN (", quoted(column))),
            None => QueryBuilder::new(format!(
                "SELECT * FROM (SELECT {columns} FROM {from}) numbered WHERE {POSITION} IN ("
            )),
        };
        push_list(&mut statement, positions);
        statement.push(")");
        let rows = statement.build().fetch_all(&mut self.connection).await?;
        Ok(rows.iter().map(|row| read_row(row, table)).collect::<Result<_, _>>()?)
    }

    async fn sum(&mut self, table: &SourceTable, column: &SourceColumn, limit: Decimal) -> Result<Decimal> {
        let name = quoted(&column.name);
        let statement = format!(
            "SELECT COALESCE(SUM(CAST({name} AS DECIMAL(30, 10))), 0) FROM {} WHERE ABS({name}) < {limit}",
            quoted(&table.stored_name)
        );
        let sum: Decimal = sqlx::query_scalar(AssertSqlSafe(statement)).fetch_one(&mut self.connection).await?;
        Ok(sum.normalize())
    }

    async fn other_objects(&mut self) -> Result<Vec<String>> {
        let query = sqlx::query_scalar(
            "SELECT CAST(TABLE_NAME AS CHAR)
             FROM information_schema.TABLES
             WHERE TABLE_SCHEMA = ? AND TABLE_TYPE NOT IN ('BASE TABLE', 'SYSTEM VERSIONED')
             ORDER BY TABLE_NAME",
        );
        Ok(query.bind(&self.database).fetch_all(&mut self.connection).await?)
    }
}
