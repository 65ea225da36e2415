//! Low stock.

use std::sync::LazyLock;

use app_core::{
    db::{Pool, stream_rows},
    http::ApiError,
};
use chrono::{DateTime, Utc};
use futures_util::Stream;

use super::{LAST_SEEN, column_of_part};
use crate::model::LowStockItem;

/// Lists the parts with fewer than `threshold` pieces, the most urgent first, then by days left, fewest first. `since` is
/// the start of the 90 days whose usage counts.
pub fn low_stock(
    db: Pool,
    threshold: i64,
    since: DateTime<Utc>,
) -> impl Stream<Item = Result<LowStockItem, ApiError>> + Send {
    static LOW_STOCK: LazyLock<String> = LazyLock::new(|| {
        format!(
            "SELECT low_with_days.*,
                    -- The positions in `Urgency::ALL`.
                    CASE WHEN pieces = 0 THEN 0
                         WHEN pieces < 2 OR days < 30 THEN 1
                         WHEN days < 60 THEN 2
                         ELSE 3
                    END AS urgency,
                    (SELECT t.RONumber
                     FROM transactions t
                     WHERE t.PartNumberKey = low_with_days.PartNumberKey AND t.Action = 'DECREMENT' AND t.Timestamp = last_used
                     ORDER BY t.TxnId DESC
                     LIMIT 1
                    ) AS last_ro_number
             FROM (
                 SELECT low_with_usage.*,
                        -- The days left are the pieces divided by the usage of a day.
                        IF(usage_90_days > 0, pieces * 90 DIV usage_90_days, NULL) AS days
                 FROM (
                     SELECT i.IndexId, i.PartNumber, i.PartNumberKey, i.TableName, i.RowId, i.Location, i.`Condition`,
                            i.Qty AS quantity,
                            GREATEST(i.Qty, 0) AS pieces,
                            {LAST_SEEN} AS last_seen,
                            {serial} AS serial_number,
                            {description} AS description,
                            -- Looked up in an index, part by part, so that only the transactions of low parts are read.
                            (SELECT CAST(COALESCE(SUM(-t.DeltaQty), 0) AS SIGNED)
                             FROM transactions t
                             WHERE t.PartNumberKey = i.PartNumberKey AND t.Action = 'DECREMENT' AND t.Timestamp >= ?
                            ) AS usage_90_days,
                            (SELECT COUNT(*)
                             FROM transactions t
                             WHERE t.PartNumberKey = i.PartNumberKey AND t.Action = 'DECREMENT' AND t.Timestamp >= ?
                            ) AS transactions_90_days,
                            (SELECT MAX(t.Timestamp)
                             FROM transactions t
                             -- Other programs may have left zero dates, which are no instants.
                             WHERE t.PartNumberKey = i.PartNumberKey AND t.Action = 'DECREMENT' AND t.Timestamp > '1000-01-01'
                            ) AS last_used
                     FROM inventoryindex i
                     -- An unknown quantity is NULL, which is not less than any threshold.
                     WHERE i.Qty < ?
                     -- With a limit, servers compute this subquery once, and not the usage wherever it is used.
                     LIMIT 18446744073709551615
                 ) low_with_usage
             ) low_with_days
             ORDER BY urgency, days IS NULL, days, PartNumber, IndexId",
            serial = column_of_part("SERIAL"),
            description = column_of_part("DESCRIPTION"),
        )
    });
    stream_rows(db, sqlx::query(LOW_STOCK.as_str()).bind(since).bind(since).bind(threshold))
}
