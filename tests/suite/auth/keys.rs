//! Key rotation, withdrawn keys and an unreachable issuer.

use app_core::{
    auth::keys::{KeyError, Keys},
    clock::Clock,
};
use chrono::TimeDelta;
use futures_util::future::join_all;
use rotracker_cli::fake_issuer::SigningKey;
use rotracker_tests::{
    App,
    issuer::{Issuer, RSA_TWO, rsa},
};
use serde_json::json;

const PATH: &str = "/api/ros?limit=1";

fn later(app: &App, by: TimeDelta) {
    app.clock.set(app.clock.now() + by);
}

#[tokio::test]
async fn a_new_key_is_fetched_when_a_token_names_it() {
    let issuer = Issuer::start().await;
    let app = App::start_for(&issuer).await;
    app.get_as(&issuer.token("ann"), PATH).await.expect(200);
    assert_eq!(issuer.fetches(), 1);
    issuer.publish("new", rsa("new", RSA_TWO));
    let token = issuer.key("new").sign(&issuer.claims("ann", json!({}))).unwrap();
    later(&app, TimeDelta::seconds(31));
    app.get_as(&token, PATH).await.expect(200);
    // Cached keys remain valid without another fetch.
    app.get_as(&issuer.token("ann"), PATH).await.expect(200);
    assert_eq!(issuer.fetches(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unknown_keys_cause_limited_fetches() {
    let issuer = Issuer::start().await;
    let app = App::start_for(&issuer).await;
    let good = issuer.token("ann");
    let flood = async |count: usize| {
        let requests = (0..count).map(|index| {
            let key = SigningKey::es256(&format!("unknown-{index}")).unwrap();
            let token = key.sign(&issuer.claims("ann", json!({}))).unwrap();
            let app = &app;
            async move { app.get_as(&token, PATH).await.status }
        });
        for status in join_all(requests).await {
            assert_eq!(status, 401);
        }
        app.get_as(&good, PATH).await.expect(200);
    };
    flood(50).await;
    assert_eq!(issuer.fetches(), 1);
    later(&app, TimeDelta::seconds(29));
    flood(50).await;
    assert_eq!(issuer.fetches(), 1);
    later(&app, TimeDelta::seconds(2));
    flood(50).await;
    assert_eq!(issuer.fetches(), 2);
}

#[tokio::test]
async fn cached_keys_last_a_day_during_an_outage() {
    let issuer = Issuer::start().await;
    let app = App::start_for(&issuer).await;
    let token = issuer.token("ann");
    app.get_as(&token, PATH).await.expect(200);
    issuer.set_down(true);
    for hours in [1, 10, 12] {
        later(&app, TimeDelta::hours(hours));
        app.get_as(&token, PATH).await.expect(200);
    }
    later(&app, TimeDelta::hours(2));
    let response = app.get_as(&token, PATH).await;
    assert_eq!(response.header("retry-after"), Some("1"));
    assert_eq!(response.expect_error(503), "Your token cannot be checked at the moment. Try again.");
    issuer.set_down(false);
    later(&app, TimeDelta::seconds(31));
    app.get_as(&token, PATH).await.expect(200);
}

#[tokio::test]
async fn an_unreachable_issuer_is_503_and_retried() {
    let issuer = Issuer::start().await;
    let app = App::start_for(&issuer).await;
    issuer.set_down(true);
    let token = issuer.token("ann");
    for _ in 0..5 {
        app.get_as(&token, PATH).await.expect_error(503);
    }
    // Requests without a token do not need the issuer.
    app.get("/health").await.expect(200);
    app.get(PATH).await.expect_error(401);
    issuer.set_down(false);
    app.get_as(&token, PATH).await.expect_error(503);
    later(&app, TimeDelta::seconds(3));
    app.get_as(&token, PATH).await.expect(200);
}

#[tokio::test]
async fn a_withdrawn_key_expires() {
    let issuer = Issuer::start().await;
    let app = App::start_for(&issuer).await;
    let token = issuer.token("ann");
    app.get_as(&token, PATH).await.expect(200);
    issuer.withdraw("ec");
    app.get_as(&token, PATH).await.expect(200);
    later(&app, TimeDelta::minutes(61));
    app.get_as(&token, PATH).await.expect_error(401);
}

#[tokio::test]
async fn keys_come_from_the_issuers_jwks_only() {
    let (issuer, other) = (Issuer::start().await, Issuer::start().await);
    let app = App::start_for(&issuer).await;
    issuer.redirect_to(&other);
    let token = other.key("ec").sign(&issuer.claims("ann", json!({}))).unwrap();
    app.get_as(&token, PATH).await.expect_error(503);
    assert_eq!((issuer.fetches(), other.fetches()), (1, 0));
}

#[tokio::test]
async fn an_outage_is_503_for_new_keys_only() {
    let issuer = Issuer::start().await;
    let app = App::start_for(&issuer).await;
    let known = issuer.token("ann");
    app.get_as(&known, PATH).await.expect(200);
    issuer.publish("new", rsa("new", RSA_TWO));
    let new = issuer.key("new").sign(&issuer.claims("ann", json!({}))).unwrap();
    issuer.set_down(true);
    later(&app, TimeDelta::minutes(61));
    app.get_as(&known, PATH).await.expect(200);
    // Each fetch is retried once.
    assert_eq!(issuer.discoveries(), 1 + 2);
    for _ in 0..8 {
        later(&app, TimeDelta::seconds(36));
        app.get_as(&known, PATH).await.expect(200);
    }
    assert_eq!(issuer.discoveries(), 1 + 2, "they were fetched for a key that is known");
    app.get_as(&new, PATH).await.expect_error(503);
    assert_eq!(issuer.discoveries(), 1 + 4);
    issuer.set_down(false);
    later(&app, TimeDelta::seconds(31));
    app.get_as(&new, PATH).await.expect(200);
}

#[tokio::test]
async fn a_token_that_names_no_key_is_signed_with_the_only_one() {
    for has_ids in [true, false] {
        let issuer = Issuer::start().await;
        if !has_ids {
            issuer.leave_out_key_ids();
        }
        let app = App::start_for(&issuer).await;
        let claims = issuer.claims("ann", json!({}));
        let token =
            |key: &SigningKey| key.sign_with(&json!({ "alg": key.algorithm(), "typ": "JWT" }), &claims).unwrap();
        // Of two keys a token must name one.
        app.get_as(&token(&issuer.key("ec")), PATH).await.expect_error(401);
        let first = token(&issuer.withdraw("rsa"));
        later(&app, TimeDelta::seconds(31));
        app.get_as(&token(&issuer.key("ec")), PATH).await.expect(200);
        app.get_as(&first, PATH).await.expect_error(401);

        // The issuer replaces the key.
        let former = token(&issuer.withdraw("ec"));
        issuer.publish("new", rsa("new", RSA_TWO));
        let new = token(&issuer.key("new"));
        app.get_as(&new, PATH).await.expect_error(401);
        later(&app, TimeDelta::seconds(31));
        issuer.set_down(true);
        app.get_as(&new, PATH).await.expect_error(503);
        app.get_as(&former, PATH).await.expect(200);
        issuer.set_down(false);
        later(&app, TimeDelta::seconds(31));
        app.get_as(&new, PATH).await.expect(200);
        app.get_as(&former, PATH).await.expect_error(401);
    }
}

#[tokio::test]
async fn waiting_requests_share_one_timeout() {
    let issuer = Issuer::start().await;
    issuer.fall_silent();
    // This test needs the system clock, because it measures how long a fetch takes.
    let keys = Keys::new(&issuer.url, Clock::system(chrono_tz::Tz::UTC)).unwrap();
    for found in join_all((0..10).map(|_| keys.find(Some("ec")))).await {
        assert!(matches!(found, Err(KeyError::Unavailable)));
    }
    assert_eq!(issuer.discoveries(), 2);
}
