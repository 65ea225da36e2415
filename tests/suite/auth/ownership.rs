//! Users may read and delete only their own conversations.

use rotracker_tests::{App, issuer::Issuer};
use serde_json::{Value, json};

const LOGS: &str = "/api/ai-logs";

/// Logs an exchange with the bearer token `token`, naming `user` in the body, and returns its id.
async fn log(app: &App, token: &str, user: &str, conversation: &str) -> i64 {
    let body = json!({
        "conversationId": conversation, "user": user, "userMessage": "asked", "aiResponse": "answered",
        "success": true, "model": format!("model-of-{user}"), "inputTokens": 10,
    });
    app.send_as(token, "POST", LOGS, &body).await.expect(201)["id"].as_i64().unwrap()
}

fn users(response: &Value) -> Vec<&str> {
    response["logs"].as_array().unwrap().iter().map(|entry| entry["user"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn users_access_their_own_entries_and_administrators_all() {
    let issuer = Issuer::start().await;
    let app = App::ai_logs_for(&issuer).await;
    let (ann, bob, eve) = (issuer.token("ann"), issuer.token("bob"), issuer.admin("eve"));
    let of_ann = log(&app, &ann, "ann", "shared").await;
    // The user comes from the token; only administrators may name another.
    let of_bob = log(&app, &bob, "ann", "shared").await;
    let of_dora = log(&app, &eve, "dora", "dora's").await;

    let mine = app.get_as(&bob, LOGS).await.expect(200);
    assert_eq!((users(&mine), &mine["total"]), (vec!["bob"], &json!(1)));
    let all = app.get_as(&eve, LOGS).await.expect(200);
    assert_eq!((users(&all), &all["total"]), (vec!["dora", "bob", "ann"], &json!(3)));
    assert_eq!(users(&app.get_as(&eve, &format!("{LOGS}?user=ann")).await.expect(200)), ["ann"]);
    assert_eq!(users(&app.get_as(&bob, &format!("{LOGS}?user=bob")).await.expect(200)), ["bob"]);
    app.get_as(&bob, &format!("{LOGS}?user=ann")).await.expect_error(403);
    app.get_as(&bob, &format!("{LOGS}/usage?user=ann")).await.expect_error(403);

    let conversation = app.get_as(&ann, &format!("{LOGS}/conversation/shared")).await.expect(200);
    assert_eq!((users(&conversation), &conversation["messageCount"]), (vec!["ann"], &json!(1)));
    let conversation = app.get_as(&eve, &format!("{LOGS}/conversation/shared")).await.expect(200);
    assert_eq!(users(&conversation), ["ann", "bob"]);
    // The response is the same as for a conversation that does not exist.
    let hidden = app.get_as(&ann, &format!("{LOGS}/conversation/dora's")).await.expect(404);
    assert_eq!(hidden, app.get_as(&ann, &format!("{LOGS}/conversation/none")).await.expect(404));

    for (token, entries, models) in
        [(&ann, 1, json!(["model-of-ann"])), (&eve, 3, json!(["model-of-ann", "model-of-dora"]))]
    {
        let stats = app.get_as(token, &format!("{LOGS}/stats")).await.expect(200);
        assert_eq!((&stats["totalLogs"], &stats["totalUsers"]), (&json!(entries), &json!(entries)));
        let top: Vec<&Value> = stats["topModels"].as_array().unwrap().iter().map(|top| &top["model"]).collect();
        assert_eq!(json!(top), models);
        assert_eq!(stats["topUsers"].as_array().unwrap().len(), entries);
        let usage = app.get_as(token, &format!("{LOGS}/usage")).await.expect(200);
        assert_eq!(usage["totals"]["inputTokens"], 10 * entries);
    }

    let delete = async |token: &str, id: i64| {
        app.send_as(token, "DELETE", &format!("{LOGS}/{id}"), &Value::Null).await.status.as_u16()
    };
    assert_eq!((delete(&ann, of_bob).await, delete(&ann, of_dora).await, delete(&ann, of_ann).await), (404, 404, 200));
    assert_eq!((delete(&bob, of_bob).await, delete(&eve, of_dora).await), (200, 200));
    assert_eq!(app.get_as(&eve, LOGS).await.expect(200)["total"], 0);
}

#[tokio::test]
async fn subjects_compare_byte_for_byte() {
    let issuer = Issuer::start().await;
    let app = App::ai_logs_for(&issuer).await;
    let id = log(&app, &issuer.token("Ab-é"), "x", "c").await;
    for other in ["ab-é", "AB-É", "Ab-e", "Ab-é\u{301}", "A%", "Ab-_"] {
        let other = issuer.token(other);
        assert_eq!(app.get_as(&other, LOGS).await.expect(200)["total"], 0);
        assert_eq!(app.get_as(&other, &format!("{LOGS}/stats")).await.expect(200)["totalLogs"], 0);
        assert_eq!(app.get_as(&other, &format!("{LOGS}/usage")).await.expect(200)["totals"]["exchanges"], 0);
        app.get_as(&other, &format!("{LOGS}/conversation/c")).await.expect(404);
        app.send_as(&other, "DELETE", &format!("{LOGS}/{id}"), &Value::Null).await.expect(404);
    }
    let own = app.get_as(&issuer.token("Ab-é"), LOGS).await.expect(200);
    assert_eq!(users(&own), ["Ab-é"]);
}

#[tokio::test]
async fn administrators_may_name_a_subject() {
    let issuer = Issuer::start().await;
    let app = App::ai_logs_for(&issuer).await;
    let eve = issuer.admin("eve");
    for user in ["ab", "Ab", "\u{e1}b"] {
        log(&app, &issuer.token(user), user, "c").await;
    }
    for user in ["Ab", "ab"] {
        let shown = app.get_as(&eve, &format!("{LOGS}?user={user}")).await.expect(200);
        assert_eq!((users(&shown), &shown["total"]), (vec![user], &json!(1)));
        let usage = app.get_as(&eve, &format!("{LOGS}/usage?user={user}")).await.expect(200);
        assert_eq!(usage["totals"]["exchanges"], 1);
    }
    // No subject is spelled so, nor does one become another in lower case.
    assert_eq!(app.get_as(&eve, &format!("{LOGS}?user=AB")).await.expect(200)["total"], 0);
    let ab = app.get_as(&issuer.token("Ab"), &format!("{LOGS}?user=Ab")).await.expect(200);
    assert_eq!(users(&ab), ["Ab"]);
    app.get_as(&issuer.token("Ab"), &format!("{LOGS}?user=ab")).await.expect_error(403);
    log(&app, &eve, " Dora@X ", "c").await;
    assert_eq!(users(&app.get_as(&eve, &format!("{LOGS}?user=Dora@X")).await.expect(200)), ["Dora@X"]);
    app.send_as(&eve, "DELETE", &format!("{LOGS}/user/Dora@X"), &Value::Null).await.expect(200);
    let deleted = app.send_as(&eve, "DELETE", &format!("{LOGS}/user/Ab"), &Value::Null).await.expect(200);
    assert_eq!(deleted["deletedCount"], 1);
    assert_eq!(users(&app.get_as(&eve, LOGS).await.expect(200)), ["\u{e1}b", "ab"]);
}
