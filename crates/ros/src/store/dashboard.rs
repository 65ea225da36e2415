//! The dashboard's figures.

use app_core::{http::ApiError, values::StoredDay};
use chrono::NaiveDate;
use sqlx::MySqlConnection;

use crate::model::Dashboard;

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
    let figures = sqlx::query_as(
        "SELECT active_orders.*, paid_orders.*, net_orders.*, returned_orders.*
         FROM
             -- These statuses come from a list in the dashboard, so they are compared byte by byte.
             (SELECT COUNT(IF(CAST(CURENT_STATUS AS BINARY) = 'WAITING QUOTE', 1, NULL)) AS waiting_quote,
                     COUNT(IF(CAST(CURENT_STATUS AS BINARY) = 'APPROVED', 1, NULL)) AS approved,
                     COUNT(IF(CAST(CURENT_STATUS AS BINARY) = 'BEING REPAIRED', 1, NULL)) AS being_repaired,
                     COUNT(IF(CAST(CURENT_STATUS AS BINARY) LIKE '%SHIPPING%', 1, NULL)) AS shipping,
                     COALESCE(SUM(ESTIMATED_COST), 0) AS estimated_value
              FROM active) active_orders,
             (SELECT COUNT(*) AS paid_count, COALESCE(SUM(FINAL_COST), 0) AS paid_value FROM paid) paid_orders,
             (SELECT COUNT(*) AS net_count, COALESCE(SUM(FINAL_COST), 0) AS net_value FROM net) net_orders,
             -- These are typed by people, so their case does not matter.
             (SELECT COUNT(IF(UPPER(CURENT_STATUS) LIKE 'RAI%', 1, NULL)) AS rai,
                     COUNT(IF(UPPER(CURENT_STATUS) LIKE 'BER%', 1, NULL)) AS ber,
                     COUNT(IF(UPPER(CURENT_STATUS) LIKE 'CANCEL%', 1, NULL)) AS cancelled,
                     COUNT(IF(UPPER(CURENT_STATUS) LIKE 'SCRAP%', 1, NULL)) AS scrapped,
                     COALESCE(SUM(FINAL_COST), 0) AS returned_value
              FROM `returns`) returned_orders",
    )
    .fetch_one(connection)
    .await?;
    Ok(Dashboard::new(figures, &next_updates, today))
}
