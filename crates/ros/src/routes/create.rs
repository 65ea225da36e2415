//! `POST /api/ros`

use app_core::{
    db::{self, Transaction},
    http::{ApiError, Author, Json},
};
use axum::extract::State;
use http::StatusCode;
use sqlx::MySqlConnection;

use crate::{
    RosState,
    history::{self, Action, Occasion},
    model::{Changes, RepairOrder, RepairOrderView},
    store,
};

/// Adds an order to the table of its archive status.
pub(super) async fn create(
    State(state): State<RosState>,
    author: Author,
    Json(fields): Json<Changes>,
) -> Result<(StatusCode, Json<RepairOrderView>), ApiError> {
    fields.check_as_new()?;
    let today = state.clock.today();
    let mut order = RepairOrder::default();
    fields.apply(&mut order, today);
    let occasion = Occasion { action: Action::Created, author, at: state.clock.now() };
    let order = db::retry(|| async {
        let mut transaction = Transaction::begin(&state.db).await?;
        let order = insert(&mut transaction, order.clone(), &occasion).await;
        transaction.end(order).await
    })
    .await?;
    Ok((StatusCode::CREATED, Json(order.into_view(today))))
}

async fn insert(
    connection: &mut MySqlConnection,
    mut order: RepairOrder,
    occasion: &Occasion,
) -> Result<RepairOrder, ApiError> {
    order.id = store::insert(connection, &order).await?;
    store::add_history(connection, &history::entries(None, Some(&order), occasion)?).await?;
    Ok(order)
}
