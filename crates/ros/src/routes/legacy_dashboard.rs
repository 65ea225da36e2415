//! The routes under `/.netlify/functions/api/ros` if `LEGACY_DASHBOARD` is true, in the shapes that version 2.6 of the dashboard
//! sends and reads. The routes under `/api` never differ.
//!
//! - Amounts of money are numbers, because the dashboard adds them up with `+`.
//! - A blank date or amount in a body counts as null, because the dashboard sends `""` for an empty field.
//! - A new order may lack its status and dates, because the dashboard relies on defaults for them.
//! - An order that is in the archive already can be sent there again, because the dashboard takes every error for an outage.

use std::collections::BTreeMap;

use app_core::{
    http::{Actor, ApiError, JsonResponse, Preconditions, Query, body_bytes},
    idempotency::Idempotent,
    values::Day,
};
use axum::{
    Router,
    body::{Body, to_bytes},
    extract::{Request, State},
    middleware::{Next, from_fn, map_response},
    response::{IntoResponse, Response},
    routing::{delete, get, patch, post},
};
use http::{Uri, header};
use serde::{Serialize, Serializer, ser};
use serde_json::{Number, Value, value::RawValue, value::to_raw_value};

use super::{
    archive, create, dashboard, delete as delete_order, export, follow_ups, get as get_order, history, list, status,
    update,
};
use crate::{
    RosState,
    model::{OrderFields, OrderKey, next_update},
};

/// The status of a new order that has none.
const NEW_ORDER_STATUS: &str = "TO SEND";

/// The members of bodies that are dates or amounts.
const DATES_AND_AMOUNTS: [&str; 9] = [
    "cost",
    "currentStatusDate",
    "dateDroppedOff",
    "dateMade",
    "deliveryDate",
    "estimatedCost",
    "estimatedDeliveryDate",
    "finalCost",
    "nextDateToUpdate",
];

/// The members of responses that are amounts.
const AMOUNTS: [&str; 6] =
    ["cost", "estimatedCost", "finalCost", "totalEstimatedValue", "totalFinalValue", "totalValue"];

/// Returns the same paths and methods as the route table of orders.
pub(super) fn routes() -> Router<RosState> {
    // A layer is around the routes above it.
    Router::new()
        .route("/by-number/{ro_number}", patch(update::update))
        .route("/by-number/{ro_number}/status", patch(status::status))
        .route("/{id}", patch(update::update))
        .layer(from_fn(blank_as_null))
        .route("/", post(create).layer(from_fn(complete_new_order)))
        .route("/by-number/{ro_number}", get(get_order::get))
        .route("/by-number/{ro_number}/archive", post(archive))
        .route("/stats/dashboard", get(dashboard::dashboard))
        .route("/{id}", get(get_order::get))
        .layer(map_response(amounts_as_numbers))
        .route("/", get(list))
        .route("/follow-ups", get(follow_ups))
        .route("/export", get(export::export))
        .route("/by-number/{ro_number}", delete(delete_order::delete))
        .route("/by-number/{ro_number}/history", get(history::history))
        .route("/{id}", delete(delete_order::delete))
        .route("/{id}/history", get(history::history))
}

/// `POST /`. An order without a date of its own is made today, and someone asks about it again as after a change of its status.
async fn create(
    State(state): State<RosState>,
    actor: Actor,
    Idempotent { body: fields, key }: Idempotent<OrderFields>,
) -> Result<JsonResponse, ApiError> {
    create::insert_order(&state, actor, &key, fields, |order, today| {
        order.date_made.get_or_insert(Day(today));
        let status = order.current_status.as_deref().unwrap_or_default();
        order.next_date_to_update =
            order.next_date_to_update.or_else(|| next_update(status, order.terms.as_deref(), today));
    })
    .await
}

/// `POST /by-number/{ro_number}/archive`
async fn archive(
    State(state): State<RosState>,
    order: OrderKey,
    actor: Actor,
    preconditions: Preconditions,
    Idempotent { body: target, key }: Idempotent<archive::ArchiveTarget>,
) -> Result<JsonResponse, ApiError> {
    archive::move_order(&state, order, actor, preconditions, &target, &key, |_, _| Ok(())).await
}

/// `GET /`
async fn list(
    State(state): State<RosState>,
    uri: Uri,
    Query(parameters): Query<list::Parameters>,
    Query(cursor): Query<list::CursorParameter>,
) -> Result<Response, ApiError> {
    list::respond(&state, &uri, &parameters, &cursor, WithNumbers).await
}

/// `GET /follow-ups`
async fn follow_ups(
    State(state): State<RosState>,
    Query(parameters): Query<follow_ups::Parameters>,
) -> Result<Response, ApiError> {
    follow_ups::respond(&state, &parameters, WithNumbers).await
}

/// The members of a body. Values stay as they were sent.
type Members = BTreeMap<String, Box<RawValue>>;

/// Turns blank dates and amounts of a body into null, which clears them.
async fn blank_as_null(request: Request, next: Next) -> Response {
    edit_body(request, next, |members| {
        for name in DATES_AND_AMOUNTS {
            if let Some(value) = members.get_mut(name).filter(|value| is_blank(value)) {
                *value = RawValue::NULL.to_owned();
            }
        }
    })
    .await
}

/// Removes blank dates and amounts from the body of a new order, and adds the status if there is none. The dates that depend on the
/// day are not added here: a body that is sent again with an idempotency key must stay the same.
async fn complete_new_order(request: Request, next: Next) -> Response {
    edit_body(request, next, |members| {
        members.retain(|name, value| {
            let has_default = name == "currentStatus" || DATES_AND_AMOUNTS.contains(&name.as_str());
            !(has_default && (is_blank(value) || value.get() == "null"))
        });
        if let Ok(status) = to_raw_value(NEW_ORDER_STATUS) {
            members.entry("currentStatus".to_owned()).or_insert(status);
        }
    })
    .await
}

/// Edits the body before the handler reads it. One that is no JSON object stays as it is, and the handler rejects it.
async fn edit_body(request: Request, next: Next, edit: impl FnOnce(&mut Members)) -> Response {
    let (mut parts, body) = request.into_parts();
    let body = match body_bytes(Request::from_parts(parts.clone(), body), &()).await {
        Ok(body) => body,
        Err(error) => return error.into_response(),
    };
    let edited = serde_json::from_slice::<Members>(&body).and_then(|mut members| {
        edit(&mut members);
        serde_json::to_vec(&members)
    });
    parts.headers.remove(header::CONTENT_LENGTH);
    next.run(Request::from_parts(parts, edited.map_or(Body::from(body), Body::from))).await
}

fn is_blank(value: &RawValue) -> bool {
    serde_json::from_str::<String>(value.get()).is_ok_and(|text| text.trim().is_empty())
}

/// Turns the amounts in a response into numbers. It holds one order or the dashboard's figures; lists are mapped item by item.
async fn amounts_as_numbers(response: Response) -> Response {
    if !response.status().is_success() {
        return response;
    }
    let (mut parts, body) = response.into_parts();
    let written = match to_bytes(body, usize::MAX).await {
        Ok(json) => serde_json::from_slice::<Value>(&json).and_then(|mut value| {
            show_numbers(&mut value);
            serde_json::to_vec(&value)
        }),
        Err(error) => return ApiError::internal(error).into_response(),
    };
    parts.headers.remove(header::CONTENT_LENGTH);
    match written {
        Ok(json) => Response::from_parts(parts, Body::from(json)),
        Err(error) => ApiError::internal(error).into_response(),
    }
}

/// An item of a list, whose amounts are written as numbers.
struct WithNumbers<T>(T);

impl<T: Serialize> Serialize for WithNumbers<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut value = serde_json::to_value(&self.0).map_err(ser::Error::custom)?;
        show_numbers(&mut value);
        value.serialize(serializer)
    }
}

/// Turns the amounts in `value` into numbers, at any depth. A double, which JavaScript reads, holds 15 digits exactly.
fn show_numbers(value: &mut Value) {
    match value {
        Value::Object(members) => {
            for (name, value) in members {
                match value {
                    Value::String(text) if AMOUNTS.contains(&name.as_str()) => {
                        if let Ok(number) = text.parse::<Number>() {
                            *value = Value::Number(number);
                        }
                    }
                    value => show_numbers(value),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(show_numbers),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn amounts_are_shown_as_numbers_and_nothing_else_is() {
        let mut shown = json!({
            "estimatedCost": "2500.10", "finalCost": null, "roNumber": "1", "notes": "12.00",
            "statusHistory": [{ "cost": "99999999.99" }], "totalValue": "123456789012.34",
        });
        show_numbers(&mut shown);
        let expected = json!({
            "estimatedCost": 2500.1, "finalCost": null, "roNumber": "1", "notes": "12.00",
            "statusHistory": [{ "cost": 99_999_999.99 }], "totalValue": 123_456_789_012.34,
        });
        assert_eq!(shown, expected);
    }
}
