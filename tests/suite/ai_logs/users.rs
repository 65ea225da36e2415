//! Which users and conversations are the same, without authentication. `auth::ownership` has the rule for subjects of tokens.

use rotracker_tests::{App, app::encoded};
use serde_json::{Value, json};

use super::{LOGS, log};

#[tokio::test]
async fn a_user_is_one_in_all_spellings_but_for_accents() {
    let app = App::ai_logs().await;
    let (jose, other) = ("jos\u{e9}.r@example.com", "jose.r@example.com");
    for user in
        ["Jos\u{e9}.R@example.com", " JOS\u{c9}.R@example.com\t", "Jose\u{301}.r@Example.com", "Jose.R@example.com"]
    {
        log(&app, json!({ "user": user, "model": "opus" })).await;
    }
    for (spelling, count) in
        [("Jos\u{e9}.R@EXAMPLE.com", 3), (" jose\u{301}.r@example.com ", 3), ("JOSE.R@example.com", 1)]
    {
        let query = format!("user={}", encoded(spelling));
        let list = app.get(&format!("{LOGS}?{query}")).await.expect(200);
        assert_eq!(list["total"], count, "{spelling}");
        assert_eq!(list["logs"][0]["user"], if count == 3 { jose } else { other });
        let usage = app.get(&format!("{LOGS}/usage?{query}")).await.expect(200);
        assert_eq!(usage["totals"]["exchanges"], count, "{spelling}");
    }
    let usage = app.get(&format!("{LOGS}/usage")).await.expect(200);
    let groups: Vec<_> =
        usage["usage"].as_array().unwrap().iter().map(|group| (&group["user"], &group["exchanges"])).collect();
    assert_eq!(groups, [(&json!(other), &json!(1)), (&json!(jose), &json!(3))]);
    let stats = app.get(&format!("{LOGS}/stats")).await.expect(200);
    assert_eq!(stats["totalUsers"], 2);
    assert_eq!(stats["topUsers"], json!([{ "user": jose, "count": 3 }, { "user": other, "count": 1 }]));

    let deleted = app.delete(&format!("{LOGS}/user/{}", encoded("JOS\u{c9}.R@example.com"))).await.expect(200);
    assert_eq!(deleted["deletedCount"], 3);
    let left = app.get(LOGS).await.expect(200);
    assert_eq!((&left["total"], &left["logs"][0]["user"]), (&json!(1), &json!(other)));
}

#[tokio::test]
async fn a_name_that_is_too_long_in_lower_case_is_400() {
    let app = App::ai_logs().await;
    // In lower case a letter and a dot above it.
    let user = "\u{130}".repeat(128);
    let path = encoded(&user);
    for response in [
        app.post(LOGS, &super::new_log(json!({ "user": user }))).await,
        app.get(&format!("{LOGS}?user={path}")).await,
        app.get(&format!("{LOGS}/usage?user={path}")).await,
        app.delete(&format!("{LOGS}/user/{path}")).await,
    ] {
        let body = response.expect(400);
        assert_eq!(body["details"]["fields"]["user"], "must be at most 255 characters long");
    }
}

#[tokio::test]
async fn conversations_differ_by_case_and_accents() {
    let app = App::ai_logs().await;
    let conversations = ["pcx_aB3xQ", "pcx_Ab3xq", "caf\u{e9}", "cafe", "cafe\u{301}"];
    for (user, conversation) in ["ann", "bob", "ann", "bob", "ann"].into_iter().zip(conversations) {
        log(&app, json!({ "user": user, "conversationId": format!(" {conversation} ") })).await;
    }
    for conversation in conversations {
        let id = encoded(conversation);
        let shown = app.get(&format!("{LOGS}/conversation/{id}")).await.expect(200);
        assert_eq!((&shown["messageCount"], &shown["conversationId"]), (&json!(1), &json!(conversation)));
        let list = app.get(&format!("{LOGS}?conversationId={id}")).await.expect(200);
        let found: Vec<&Value> =
            list["logs"].as_array().unwrap().iter().map(|entry| &entry["conversationId"]).collect();
        assert_eq!(found, [&json!(conversation)]);
    }
    assert_eq!(app.get(&format!("{LOGS}/stats")).await.expect(200)["totalConversations"], 5);
}
