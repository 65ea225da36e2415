//! The orders about which someone should ask again, and how their shops are reached.

use app_core::{
    db::{Pool, stream_rows},
    http::ApiError,
    values::Day,
};
use futures_util::Stream;
use sqlx::{FromRow, MySqlConnection, QueryBuilder, Row};

use super::{list::push_key, orders::COLUMNS};
use crate::model::{DueOrder, ShopContact, ShopContacts};

/// Lists the active orders whose next update date is `until` or before, and those that have none. The latter come first, by the
/// date of their status. The others are together by shop, and the shop with the most overdue order comes first.
pub fn list_due(db: Pool, until: Day) -> impl Stream<Item = Result<DueOrder, ApiError>> + Send {
    // Older programs wrote zero dates for missing ones.
    const NEXT_UPDATE: &str = "IF(DAYOFMONTH(NEXT_DATE_TO_UPDATE) > 0, NEXT_DATE_TO_UPDATE, NULL)";
    let mut statement = QueryBuilder::new(format!(
        "SELECT 'ACTIVE' AS archive, id, {columns}, shop_key
         FROM (
             SELECT keyed.*, MIN(next_update) OVER (PARTITION BY shop_key) AS shop_next_update
             FROM (
                 SELECT id, {columns}, {NEXT_UPDATE} AS next_update, NULLIF(",
        columns = *COLUMNS,
    ));
    push_key(&mut statement, "SHOP_NAME");
    statement.push(
        ", '') AS shop_key
                 FROM active
             ) keyed
             WHERE next_update IS NULL OR next_update <= ",
    );
    statement.push_bind(until).push(
        ") due
         ORDER BY next_update IS NOT NULL,
                  CASE WHEN next_update IS NULL THEN CURENT_STATUS_DATE ELSE shop_next_update END,
                  CASE WHEN next_update IS NOT NULL THEN shop_key END,
                  next_update, id",
    );
    stream_rows(db, statement)
}

/// Returns the contacts of the shops whose name no other shop has.
pub async fn shop_contacts(connection: &mut MySqlConnection) -> Result<ShopContacts, ApiError> {
    // The table is imported as it is: a missing value may be blank.
    let mut statement = QueryBuilder::new(
        "SELECT shop_key, MAX(contact) AS contact, MAX(phone) AS phone, MAX(email) AS email
         FROM (
             SELECT NULLIF(TRIM(Contact), '') AS contact, NULLIF(TRIM(Phone), '') AS phone, NULLIF(TRIM(Email), '') AS email, ",
    );
    push_key(&mut statement, "Business_Name");
    statement.push(
        " AS shop_key
             FROM shops
             WHERE Business_Name IS NOT NULL
         ) keyed
         GROUP BY shop_key
         HAVING COUNT(*) = 1",
    );
    let rows = statement.build().fetch_all(connection).await?;
    rows.iter().map(|row| Ok((row.try_get("shop_key")?, ShopContact::from_row(row)?))).collect()
}
