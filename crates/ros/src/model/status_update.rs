//! The body of the status route, and its rules.

use app_core::{
    http::ApiError,
    openapi::NotBlank,
    values::{Day, LongText, Money, RequestDay, Text},
};
use chrono::NaiveDate;
use chrono_tz::Tz;
use serde::Deserialize;
use utoipa::ToSchema;

use super::{RepairOrder, StatusClass, next_update};

/// The body of `PATCH /api/ros/by-number/{roNumber}/status`.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct StatusUpdate {
    /// The status of the repair, such as `APPROVED`.
    #[schema(value_type = NotBlank<100>, example = "APPROVED")]
    status: Option<Text<100>>,
    /// Added to the notes of the order, on a new line.
    notes: Option<LongText>,
    /// The invoiced cost if the part is being shipped, received or paid by this status, otherwise the quoted cost.
    cost: Option<Money>,
    /// The day on which the shop expects to be done.
    delivery_date: Option<RequestDay>,
}

impl StatusUpdate {
    pub fn cost(&self) -> Option<Money> {
        self.cost
    }

    /// Checks the rules that do not depend on the order.
    ///
    /// # Errors
    /// [`ApiError::Invalid`] when there is no status.
    pub fn check(&self) -> Result<(), ApiError> {
        match &self.status {
            None => Err(ApiError::invalid("status", "is required")),
            Some(status) if status.trim().is_empty() => Err(ApiError::invalid("status", "must not be empty")),
            Some(_) => Ok(()),
        }
    }

    /// Sets the status and its date, appends the notes on a new line, and sets the cost: from the shipment on it is the final cost,
    /// before that the estimated cost. The next update date becomes the day on which someone should ask again about this status;
    /// none if nobody has to. Instants are days in `zone`.
    ///
    /// # Errors
    /// [`ApiError::Invalid`] when the notes become too long for their column.
    pub fn apply(self, order: &mut RepairOrder, today: NaiveDate, zone: Tz) -> Result<(), ApiError> {
        let status = self.status.as_deref().unwrap_or_default();
        if let Some(cost) = self.cost {
            let is_final = StatusClass::of(status).is_some_and(StatusClass::is_final_cost);
            let target = if is_final { &mut order.final_cost } else { &mut order.estimated_cost };
            *target = Some(cost);
        }
        if let Some(added) = self.notes.filter(|notes| !notes.is_empty()) {
            let notes = match order.notes.take().filter(|notes| !notes.is_empty()) {
                Some(notes) => format!("{notes}\n{}", &*added),
                None => added.into_inner(),
            };
            let notes = LongText::parse(notes).map_err(|problem| {
                ApiError::invalid("notes", format!("{problem}, together with the notes that the order has"))
            })?;
            order.notes = Some(notes.into_inner());
        }
        if let Some(day) = self.delivery_date {
            order.estimated_delivery_date = Some(day.in_zone(zone));
        }
        order.next_date_to_update = next_update(status, order.terms.as_deref(), today);
        order.current_status = self.status.map(Text::into_inner);
        order.current_status_date = Some(Day(today));
        Ok(())
    }
}
