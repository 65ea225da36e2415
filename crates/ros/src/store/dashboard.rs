//! The dashboard's figures.

use app_core::{http::ApiError, values::StoredDay};
use chrono::NaiveDate;
use sqlx::MySqlConnection;

use crate::model::{Dashboard, StatusFigures};

/// Reads the dashboard's figures for the day `today`.
pub async fn dashboard(connection: &mut MySqlConnection, today: NaiveDate) -> Result<Dashboard, ApiError> {
    let next_updates: Vec<(StoredDay, i64)> = sqlx::query_as(
        "SELECT NEXT_DATE_TO_UPDATE, COUNT(*) AS orders
         FROM active
         GROUP BY NEXT_DATE_TO_UPDATE",
    )
    .fetch_all(&mut *connection)
    .await?;
    let next_updates: Vec<_> = next_updates.into_iter().map(|(StoredDay(day), orders)| (day, orders)).collect();
    let figures: Vec<StatusFigures> = sqlx::query_as(
        "-- Grouped character by character, since the collation takes letters with and without accents for the same.
         SELECT 'ACTIVE' AS archive, CURENT_STATUS COLLATE utf8mb4_bin AS status,
                COUNT(*) AS orders, COALESCE(SUM(ESTIMATED_COST), 0) AS value
         FROM active
         GROUP BY CURENT_STATUS COLLATE utf8mb4_bin
         UNION ALL
         SELECT archive, status, CAST(SUM(orders) AS SIGNED), SUM(final_cost)
         FROM archive_figures
         GROUP BY archive, status",
    )
    .fetch_all(connection)
    .await?;
    Ok(Dashboard::new(&figures, &next_updates, today))
}
