//! The dashboard's figures.

use app_core::{db::RowReader, http::ApiError, values::StoredDay};
use chrono::NaiveDate;
use futures_util::TryStreamExt;
use rust_decimal::Decimal;
use sqlx::MySqlConnection;

use crate::model::{ArchiveStatus, Dashboard, DashboardRow, DashboardSums};

/// Reads the dashboard's figures for the day `today`, all from one state of the database.
///
/// Active orders are sent one by one and grouped here. The database would need a temporary table for it, which takes longer.
pub async fn dashboard(connection: &mut MySqlConnection, today: NaiveDate) -> Result<Dashboard, ApiError> {
    let mut rows = sqlx::query(
        "-- Both halves of a UNION need one collation, and that of `archive_figures.status` is binary.
         SELECT 'ACTIVE' AS archive, CURENT_STATUS COLLATE utf8mb4_bin AS status, NEXT_DATE_TO_UPDATE AS next_update, 1 AS orders,
                ESTIMATED_COST AS cost
         FROM active
         UNION ALL
         SELECT archive, status, NULL, orders, final_cost
         FROM archive_figures",
    )
    .fetch(connection);
    let mut sums = DashboardSums::new(today);
    while let Some(row) = rows.try_next().await? {
        let mut columns = RowReader::new(&row);
        sums.add(&DashboardRow {
            archive: ArchiveStatus::read(&mut columns)?,
            status: columns.get("status")?,
            next_update: columns.get::<StoredDay>("next_update")?.0,
            orders: columns.get("orders")?,
            cost: columns.get::<Option<Decimal>>("cost")?.unwrap_or_default(),
        });
    }
    Ok(sums.finish())
}
