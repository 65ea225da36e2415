//! Tests of the `ai-logs` function: one file per route, and files for rules that several routes share.

mod conversation;
mod create;
mod delete;
mod delete_of_user;
mod list;
mod plans;
mod prune;
mod stats;
mod usage;
mod users;

use rotracker_tests::{App, database::execute};
use serde_json::{Value, json};

const LOGS: &str = "/api/ai-logs";

/// The body of a `POST`: the five required fields, extended or overridden by `fields`.
fn new_log(fields: Value) -> Value {
    let mut log = json!({
        "conversationId": "conv-abc-123",
        "user": "user@example.com",
        "userMessage": "Show me overdue ROs",
        "aiResponse": "Here are the overdue repair orders: RO38462",
        "success": true,
    });
    let Value::Object(fields) = fields else { panic!("the fields of an entry are an object") };
    log.as_object_mut().unwrap().extend(fields);
    log
}

/// Creates an entry with `fields` added to the required ones, and returns its id.
async fn log(app: &App, fields: Value) -> i64 {
    app.post(LOGS, &new_log(fields)).await.expect(201)["id"].as_i64().unwrap()
}

/// Inserts entries as another program does. Each is a conversation, a time and a user.
async fn log_at(app: &App, entries: &[(&str, &str, &str)]) {
    let rows: Vec<String> = entries
        .iter()
        .map(|(conversation, at, user)| {
            format!("('{conversation}', '{at}', '{}', 'asked', 'answered')", user.replace('\'', "''"))
        })
        .collect();
    let insert = format!(
        "INSERT INTO ai_conversation_logs (conversation_id, timestamp, user, user_message, ai_response) VALUES {}",
        rows.join(", ")
    );
    execute(&mut app.database.connect().await, &insert).await;
}

/// The ids of the entries in `response`, in order.
fn ids(response: &Value) -> Vec<i64> {
    response["logs"].as_array().unwrap().iter().map(|entry| entry["id"].as_i64().unwrap()).collect()
}

/// Reads the ids of all entries from the database.
async fn all_ids(app: &App) -> Vec<i64> {
    let ids = "SELECT id FROM ai_conversation_logs ORDER BY id";
    sqlx::query_scalar(ids).fetch_all(&mut app.database.connect().await).await.unwrap()
}
