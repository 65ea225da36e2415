//! Routes that only administrators may use.

use rotracker_tests::{
    App, TestResponse,
    anthropic::FakeAnthropic,
    app::clock,
    assistant::{Assistant, Options, chat},
    issuer::{ADMIN_ROLE, Issuer},
};
use serde_json::{Value, json};

#[track_caller]
fn expect_forbidden(response: TestResponse) {
    let challenge = "Bearer realm=\"ro-tracker\", error=\"insufficient_scope\"";
    assert_eq!(response.header("www-authenticate"), Some(challenge));
    let body = response.expect(403);
    assert_eq!((&body["error"], &body["message"]), (&json!("Forbidden"), &json!("Only administrators may do this.")));
}

#[tokio::test]
async fn roles_are_read_from_one_claim() {
    let issuer = Issuer::start().await;
    let path = "/api/ai-logs/user/bob";
    let namespaced = "https://ro-tracker.example/roles";
    for (claim, claims, may) in [
        ("", json!({ "roles": [ADMIN_ROLE] }), true),
        ("", json!({ "roles": ADMIN_ROLE }), true),
        ("", json!({}), false),
        (
            "",
            json!({ "roles": ["Reader"], "groups": [ADMIN_ROLE], "cognito:groups": [ADMIN_ROLE], "scp": ADMIN_ROLE }),
            false,
        ),
        ("", json!({ "roles": [ADMIN_ROLE.to_lowercase(), format!("{ADMIN_ROLE}2")] }), false),
        // One text is one role.
        ("", json!({ "roles": format!("Reader {ADMIN_ROLE}") }), false),
        ("", json!({ "roles": { ADMIN_ROLE: true } }), false),
        (namespaced, json!({ namespaced: ["Reader", ADMIN_ROLE] }), true),
        (namespaced, json!({ "roles": [ADMIN_ROLE] }), false),
        ("cognito:groups", json!({ "cognito:groups": [ADMIN_ROLE] }), true),
        // A dot is a part of the name and leads into no object.
        ("realm_access.roles", json!({ "realm_access": { "roles": [ADMIN_ROLE] } }), false),
        (" realm_access.roles ", json!({ "realm_access.roles": [ADMIN_ROLE] }), true),
    ] {
        let variables = [issuer.variables(), vec![("AUTH_ROLES_CLAIM", claim.to_owned())]].concat();
        let app = App::ai_logs_with(&issuer.config_of(&variables, clock())).await;
        let response = app.send_as(&issuer.token_with("ann", claims.clone()), "DELETE", path, &Value::Null).await;
        if may {
            assert_eq!(response.status, 200, "{claim}: {claims}");
        } else {
            expect_forbidden(response);
        }
    }
}

#[tokio::test]
async fn only_administrators_adjust_stock() {
    let issuer = Issuer::start().await;
    let app = App::inventory_for(&issuer).await;
    let part = app.put("stock_room", "A1", 5).await;
    let count = part.change(&json!({ "newQty": 9, "notes": "counted" }));
    let ann = issuer.token("ann");
    for prefix in ["/api", "/.netlify/functions/api"] {
        expect_forbidden(app.send_as(&ann, "POST", &format!("{prefix}/inventory/adjust"), &count).await);
    }
    // The role is checked before the body.
    expect_forbidden(app.send_as(&ann, "POST", "/api/inventory/adjust", &json!({})).await);
    let taken = app.send_as(&ann, "POST", "/api/inventory/decrement", &part.change(&json!({}))).await.expect(200);
    assert_eq!(taken["newQty"], 4);
    let counted = app.send_as(&issuer.admin("eve"), "POST", "/api/inventory/adjust", &count).await.expect(200);
    assert_eq!(counted["newQty"], 9);
}

#[tokio::test]
async fn a_rate_limit_is_cleared_for_the_subject_as_it_is_spelled() {
    let issuer = Issuer::start().await;
    let options = Options { limit: 1, http: issuer.config(clock()), ..Options::default() };
    let assistant = Assistant::with(FakeAnthropic::start([]).await, options).await;
    let ask = async |subject: &str| {
        assistant.app.send_as(&issuer.token(subject), "POST", "/api/ai/chat", &chat(&json!({}))).await.status.as_u16()
    };
    assert_eq!((ask("Ann").await, ask("ann").await, ask("Ann").await, ask("ann").await), (200, 200, 429, 429));
    let body = json!({ "userId": " Ann " });
    assistant.app.send_as(&issuer.admin("eve"), "POST", "/api/ai/clear-rate-limit", &body).await.expect(200);
    assert_eq!((ask("Ann").await, ask("ann").await), (200, 429));
}

#[tokio::test]
async fn the_subject_is_limited_and_logged() {
    let issuer = Issuer::start().await;
    let options = Options { limit: 2, http: issuer.config(clock()), ..Options::default() };
    let assistant = Assistant::with(FakeAnthropic::start([]).await, options).await;
    let (ann, eve) = (issuer.token("ann"), issuer.admin("eve"));
    let ask = async |token: &str, user: &str| {
        let body = chat(&json!({ "userId": user, "conversationId": "c" }));
        assistant.app.send_as(token, "POST", "/api/ai/chat", &body).await
    };
    ask(&ann, "bob").await.expect(200);
    ask(&ann, "carl").await.expect(200);
    ask(&ann, "dora").await.expect(429);
    // The request counts for the user of the token, and administrators are limited, too.
    ask(&issuer.token("bob"), "ann").await.expect(200);
    ask(&eve, "ann").await.expect(200);
    let users: Vec<String> = assistant.log().await.into_iter().map(|entry| entry.user).collect();
    assert_eq!(users, ["ann", "ann", "bob", "eve"]);

    let clear = async |token: &str| {
        assistant.app.send_as(token, "POST", "/api/ai/clear-rate-limit", &json!({ "userId": "ann" })).await
    };
    expect_forbidden(clear(&ann).await);
    ask(&ann, "ann").await.expect(429);
    clear(&eve).await.expect(200);
    ask(&ann, "ann").await.expect(200);
}
