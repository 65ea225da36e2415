//! Lists of orders: the filters as SQL, and the statements that count and read the orders.

use app_core::{
    db::{Pool, RowSource, escape_like, push_list, stream_rows},
    http::{ApiError, ListRange, PageStart, Placed},
};
use chrono::NaiveDate;
use futures_util::Stream;
use sqlx::{FromRow, MySql, MySqlConnection, QueryBuilder, Row};

use super::orders::COLUMNS;
use crate::model::{ArchiveStatus, OrderFilter, OrderPlace, OrderSort, RepairOrder, SortDirection, SortField};

/// The columns in which [`SearchText`](crate::model::SearchText) is looked for.
const SEARCHED_COLUMNS: [&str; 7] =
    ["RO", "PART", "SERIAL", "PART_DESCRIPTION", "SHOP_NAME", "SHOP_REF", "TRACKING_NUMBER_PICKING_UP"];

/// The orders that a filter selects.
#[derive(Clone, Debug)]
pub struct SelectedOrders {
    /// The number of the orders; 0 if they were not counted.
    pub total: i64,
    filter: OrderFilter,
    today: NaiveDate,
    /// Their statuses as people typed them, if the filter depends on the status. The rules for statuses are not in SQL.
    statuses: Option<Vec<String>>,
}

impl SelectedOrders {
    /// Selects the orders that pass `filter` on the day `today`, without counting them. [`list_counted`] returns them. The filter must not
    /// depend on the status.
    pub fn uncounted(filter: OrderFilter, today: NaiveDate) -> Self {
        Self { total: 0, filter, today, statuses: None }
    }
}

/// An order of a list, together with the number of all orders in the list.
#[derive(Debug, FromRow)]
pub struct OrderWithTotal {
    #[sqlx(flatten)]
    pub order: RepairOrder,
    pub total: i64,
}

/// Counts the orders that `filter` selects on the day `today`. [`list`] returns them.
pub async fn select(
    connection: &mut MySqlConnection,
    filter: OrderFilter,
    today: NaiveDate,
) -> Result<SelectedOrders, ApiError> {
    let mut selected = SelectedOrders::uncounted(filter, today);
    if !selected.filter.depends_on_status() {
        let mut statement = QueryBuilder::new("SELECT ");
        selected.push_total(&mut statement);
        selected.total = statement.build_query_scalar().fetch_one(connection).await?;
        return Ok(selected);
    }
    // Grouped character by character, since the collation takes letters with and without accents for the same.
    let mut statement = QueryBuilder::new("SELECT status, COUNT(*) AS orders FROM (");
    selected.push_rows(&mut statement, "CURENT_STATUS COLLATE utf8mb4_bin AS status", |_| {});
    statement.push(") found WHERE status IS NOT NULL GROUP BY status");
    let mut statuses = Vec::new();
    for row in statement.build().fetch_all(connection).await? {
        let status: String = row.try_get("status")?;
        if selected.filter.has_status(&status) {
            selected.total += row.try_get::<i64, _>("orders")?;
            statuses.push(status);
        }
    }
    selected.statuses = Some(statuses);
    Ok(selected)
}

/// Lists the selected orders, or a part of them. Orders that are alike in the field by which they are sorted are in the order of
/// their ids; with one next update date, the latest made is first.
pub fn list<'db, Db: RowSource<'db>>(
    db: Db,
    selected: &SelectedOrders,
    sort: OrderSort,
    range: &ListRange<OrderPlace>,
) -> impl Stream<Item = Result<RepairOrder, ApiError>> + Send + use<'db, Db> {
    stream_rows(db, list_statement(selected, sort, &range.start, range.limit, |_| {}))
}

/// Lists all selected orders as [`list`] does, and counts them in the same statement, which takes less time than a second one.
pub fn list_counted(
    db: Pool,
    selected: &SelectedOrders,
    sort: OrderSort,
) -> impl Stream<Item = Result<OrderWithTotal, ApiError>> + Send + use<> {
    let statement = list_statement(selected, sort, &PageStart::Offset(0), None, |statement| {
        statement.push(", ");
        selected.push_total(statement);
        statement.push(" AS total");
    });
    stream_rows(db, statement)
}

/// Returns the first `limit` orders of [`list`] from `start` on with their places, and one more if there is one.
pub async fn list_page(
    connection: &mut MySqlConnection,
    selected: &SelectedOrders,
    sort: OrderSort,
    start: &PageStart<OrderPlace>,
    limit: i64,
) -> Result<Vec<Placed<RepairOrder, OrderPlace>>, ApiError> {
    let place = format!(
        ", CAST({} AS CHAR) AS place_value, CAST(DATE_MADE AS CHAR) AS place_date_made, id AS place_id",
        sort.field.column()
    );
    let mut statement = list_statement(selected, sort, start, Some(limit + 1), |statement| _ = statement.push(&place));
    Ok(statement.build_query_as().fetch_all(connection).await?)
}

fn list_statement(
    selected: &SelectedOrders,
    sort: OrderSort,
    start: &PageStart<OrderPlace>,
    limit: Option<i64>,
    push_other_columns: impl Fn(&mut QueryBuilder<MySql>),
) -> QueryBuilder<MySql> {
    let push_place = |statement: &mut QueryBuilder<MySql>| {
        if let Some(place) = start.place() {
            push_after(statement, sort, place);
        }
    };
    let columns = format!("id, {}", *COLUMNS);
    let push_columns = |statement: &mut QueryBuilder<MySql>| {
        statement.push(&columns);
        push_other_columns(statement);
    };
    let mut statement = QueryBuilder::new("");
    if let [archive] = *selected.filter.archive.statuses() {
        // One table is read without a derived table, which would be slower.
        selected.push_rows_of(archive, &mut statement, push_columns, push_place);
    } else {
        statement.push("SELECT archive, ");
        push_columns(&mut statement);
        statement.push(" FROM (");
        selected.push_rows(&mut statement, &columns, push_place);
        statement.push(") found");
    }
    let column = sort.field.column();
    let direction = match sort.direction {
        SortDirection::Ascending => "",
        SortDirection::Descending => " DESC",
    };
    let then_by = if sort.field == SortField::NextDateToUpdate { "DATE_MADE DESC, id" } else { "id" };
    statement.push(format!(" ORDER BY {column} IS NULL, {column}{direction}, {then_by}"));
    if limit.is_some() || start.offset() > 0 {
        // MySQL has no word for "no limit".
        statement.push(" LIMIT ").push_bind(limit.unwrap_or(i64::MAX)).push(" OFFSET ").push_bind(start.offset());
    }
    statement
}

/// Adds the condition that an order comes after `place` in the order of `sort`. Orders without a value come last in both directions.
fn push_after(statement: &mut QueryBuilder<MySql>, sort: OrderSort, place: &OrderPlace) {
    let comparison = match sort.direction {
        SortDirection::Ascending => ">",
        SortDirection::Descending => "<",
    };
    let mut values = vec![(sort.field, comparison, &place.place_value)];
    if sort.field == SortField::NextDateToUpdate {
        values.push((SortField::DateMade, "<", &place.place_date_made));
    }
    statement.push(" AND (");
    for (field, comparison, value) in &values {
        let column = field.column();
        // With a plain condition, servers use the index of the column and look up each later order one by one. That takes three times as
        // long as reading the table. COALESCE prevents it. Ids need none, since the table is stored in their order.
        let Some(value) = value else {
            statement.push(format!("COALESCE({column} IS NULL, FALSE) AND ("));
            continue;
        };
        let (column_value, bound_value) = match field {
            // A zero date of an older program cannot be cast to a date. As texts, dates have the same order, but take longer to compare.
            SortField::NextDateToUpdate | SortField::DateMade if value.parse::<NaiveDate>().is_err() => {
                (format!("CAST({column} AS CHAR)"), ["", ""])
            }
            SortField::NextDateToUpdate | SortField::DateMade => (column.to_owned(), ["CAST(", " AS DATE)"]),
            SortField::EstimatedCost => (column.to_owned(), ["CAST(", " AS DECIMAL(15, 2))"]),
            SortField::Id => (column.to_owned(), ["CAST(", " AS SIGNED)"]),
            SortField::RoNumber | SortField::ShopName | SortField::CurrentStatus => (column.to_owned(), ["", ""]),
        };
        let (comes_after, end) = match field {
            SortField::Id => (format!("{column_value} {comparison} "), ""),
            _ => (format!("COALESCE({column_value} {comparison} "), ", TRUE)"),
        };
        for (before, after) in [(comes_after, end), (format!(" OR {column_value} = "), " AND (")] {
            let [open, close] = bound_value;
            statement.push(before).push(open).push_bind(value.clone()).push(close).push(after);
        }
    }
    statement.push("id > ").push_bind(place.place_id);
    statement.push(")".repeat(values.len() + 1));
}

impl SelectedOrders {
    /// Adds the number of the rows in all tables.
    fn push_total(&self, statement: &mut QueryBuilder<MySql>) {
        for (index, archive) in self.filter.archive.statuses().into_iter().enumerate() {
            let plus = if index > 0 { " + " } else { "" };
            statement.push(format!("{plus}(SELECT COUNT(*) FROM `{}` WHERE TRUE", archive.table()));
            self.push_conditions(statement, archive);
            statement.push(")");
        }
    }

    /// Adds the SELECT of the rows with `columns`, after a column `archive`, from all tables that may have them.
    /// `push_other_conditions` adds more conditions.
    fn push_rows(
        &self,
        statement: &mut QueryBuilder<MySql>,
        columns: &str,
        push_other_conditions: impl Fn(&mut QueryBuilder<MySql>),
    ) {
        for (index, archive) in self.filter.archive.statuses().into_iter().enumerate() {
            if index > 0 {
                statement.push(" UNION ALL ");
            }
            self.push_rows_of(archive, statement, |statement| _ = statement.push(columns), &push_other_conditions);
        }
    }

    /// Adds the SELECT of the rows from one table.
    fn push_rows_of(
        &self,
        archive: ArchiveStatus,
        statement: &mut QueryBuilder<MySql>,
        push_columns: impl Fn(&mut QueryBuilder<MySql>),
        push_other_conditions: impl Fn(&mut QueryBuilder<MySql>),
    ) {
        statement.push(format!("SELECT '{}' AS archive, ", archive.name()));
        push_columns(statement);
        statement.push(format!(" FROM `{}` WHERE TRUE", archive.table()));
        self.push_conditions(statement, archive);
        push_other_conditions(statement);
    }

    fn push_conditions(&self, statement: &mut QueryBuilder<MySql>, archive: ArchiveStatus) {
        /// Older programs wrote zero dates for missing ones.
        const HAS_NEXT_UPDATE: &str = "NEXT_DATE_TO_UPDATE IS NOT NULL AND DAYOFMONTH(NEXT_DATE_TO_UPDATE) > 0";
        let OrderFilter { archive: _, text, status: _, status_class: _, shop, is_overdue, due_before } = &self.filter;
        if let Some(text) = text {
            statement.push(" AND (");
            for spelling in text.spellings() {
                for column in SEARCHED_COLUMNS {
                    statement.push(format!("{column} LIKE ")).push_bind(containing(spelling)).push(" OR ");
                }
            }
            let table = archive.table();
            statement
                .push(format!(
                    "EXISTS (SELECT 1 FROM ro_registry WHERE ro_registry.id = `{table}`.id AND number_key LIKE UPPER("
                ))
                .push_bind(containing(text.in_ro_number()))
                .push(" COLLATE utf8mb4_bin)) OR ");
            push_key(statement, "PART");
            statement.push(" LIKE UPPER(").push_bind(containing(text.in_part_number())).push(" COLLATE utf8mb4_bin))");
        }
        if let Some(shop) = shop {
            statement.push(" AND ");
            push_key(statement, "SHOP_NAME");
            statement.push(" = UPPER(").push_bind(shop.clone()).push(" COLLATE utf8mb4_bin)");
        }
        if let Some(is_overdue) = is_overdue {
            statement.push(if *is_overdue { " AND (" } else { " AND NOT (" });
            statement.push(HAS_NEXT_UPDATE).push(" AND NEXT_DATE_TO_UPDATE < ").push_bind(self.today).push(")");
        }
        if let Some(day) = due_before {
            statement.push(" AND ").push(HAS_NEXT_UPDATE).push(" AND NEXT_DATE_TO_UPDATE < ").push_bind(*day);
        }
        match self.statuses.as_deref() {
            None => {}
            Some([]) => _ = statement.push(" AND FALSE"),
            Some(statuses) => {
                statement.push(" AND CURENT_STATUS COLLATE utf8mb4_bin IN (");
                push_list(statement, statuses);
                statement.push(")");
            }
        }
    }
}

/// The pattern of texts that contain `text`.
fn containing(text: &str) -> String {
    format!("%{}%", escape_like(text))
}

/// Adds the key of a part number or a name: in capitals, only with the
/// [`significant_characters`](app_core::values::significant_characters).
pub(super) fn push_key(statement: &mut QueryBuilder<MySql>, column: &str) {
    statement
        .push(format!("UPPER(REGEXP_REPLACE(REGEXP_REPLACE({column} COLLATE utf8mb4_bin, "))
        // Bound, since a backslash in a statement depends on the mode of the session.
        .push_bind(r"[\p{Z}\p{Cc}\p{Cf}]")
        .push(", ''), '[‐-―−]', '-'))");
}
