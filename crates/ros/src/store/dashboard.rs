//! The dashboard's figures.

use app_core::http::ApiError;
use chrono::{NaiveDate, TimeDelta};
use sqlx::MySqlConnection;

use crate::model::{Dashboard, StatusFigures};

/// Reads the dashboard's figures for the day `today`.
pub async fn dashboard(connection: &mut MySqlConnection, today: NaiveDate) -> Result<Dashboard, ApiError> {
    let month_ago = today - TimeDelta::days(30);
    let figures: Vec<StatusFigures> = sqlx::query_as(
        "SELECT 'ACTIVE' AS archive, status, COUNT(*) AS orders, COALESCE(SUM(ESTIMATED_COST), 0) AS value,
                COUNT(IF(next_update < ?, 1, NULL)) AS overdue,
                COUNT(IF(next_update < ?, 1, NULL)) AS overdue_30_plus,
                COUNT(IF(next_update = ?, 1, NULL)) AS due_today,
                COUNT(IF(next_update >= ?, 1, NULL)) AS on_track
         FROM (SELECT CURENT_STATUS COLLATE utf8mb4_bin AS status, ESTIMATED_COST,
                      -- Older programs wrote zero dates for missing ones.
                      IF(DAYOFMONTH(NEXT_DATE_TO_UPDATE) > 0 AND MONTH(NEXT_DATE_TO_UPDATE) > 0, NEXT_DATE_TO_UPDATE, NULL)
                          AS next_update
               FROM active) orders
         -- Grouped character by character, since the collation takes letters with and without accents for the same.
         GROUP BY status
         UNION ALL
         SELECT archive, status, CAST(SUM(orders) AS SIGNED), SUM(final_cost), 0, 0, 0, 0
         FROM archive_figures
         GROUP BY archive, status",
    )
    .bind(today)
    .bind(month_ago)
    .bind(today)
    .bind(today)
    .fetch_all(connection)
    .await?;
    Ok(Dashboard::new(&figures))
}
