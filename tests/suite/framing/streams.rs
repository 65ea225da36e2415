//! Responses that are being streamed.

use rotracker_tests::{
    App, TestDatabase,
    anthropic::{FakeAnthropic, Part, Script, events, sse},
    assistant::chat,
    database::fill,
    dynamodb,
    emulator::assistant_variables,
    gateway::{Call, Gateway},
};
use serde_json::{Value, json};

use super::{Function, start_instance};

/// Enough orders to exceed all socket buffers on the way.
const ORDERS: u32 = 50_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_list_is_streamed() {
    let database = TestDatabase::migrated().await;
    fill(&database, ORDERS).await;
    let ros = Function::start("ros", &database, &[]).await;
    let mut posted = ros.lambda.open(Gateway::RestApi, &Call::get("/api/ros")).await;
    assert_eq!(posted.prelude().await["statusCode"], 200);
    let mut body = posted.next().await.unwrap();
    assert!(body.starts_with(b"[{"));
    assert_eq!(ros.requests(), [] as [Value; 0], "the function has not ended");
    let mut pieces = 1;
    while let Some(piece) = posted.next().await {
        body.extend(piece);
        pieces += 1;
    }
    assert!(pieces > 100, "{pieces}");
    assert_eq!(serde_json::from_slice::<Vec<Value>>(&body).unwrap().len(), ORDERS as usize);
    ros.lambda.call(Gateway::RestApi, &Call::get("/api/ros?limit=1")).await.expect(200);
    assert_eq!(ros.requests()[0]["outcome"], "complete");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_chat_is_streamed() {
    let database = TestDatabase::migrated().await;
    let all = events(&["one", "two 部品"]);
    let parts = all.iter().flat_map(|event| [Part::Bytes(sse(event).into_bytes()), Part::Wait]).collect();
    let (anthropic, dynamodb) = (FakeAnthropic::start([Script::parts(parts)]).await, dynamodb::emulator().await);
    let ai = Function::start("ai", &database, &assistant_variables(&anthropic.url, &dynamodb.endpoint)).await;
    let body = chat(&json!({ "stream": true }));
    let call = Call::post("/api/ai/chat", &body).header("accept-encoding", "gzip");
    let mut posted = ai.lambda.open(Gateway::RestApi, &call).await;
    let prelude = posted.prelude().await;
    assert_eq!(prelude["headers"]["content-type"], "text/event-stream");
    assert!(prelude["headers"].get("content-encoding").is_none(), "an encoder would hold events back");
    for event in &all {
        assert_eq!(posted.next().await, Some(format!("data: {event}\n\n").into_bytes()));
        anthropic.resume();
    }
    assert_eq!(posted.next().await.as_deref(), Some(b"data: [DONE]\n\n".as_slice()));
    assert_eq!(posted.next().await, None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disconnect_does_not_harm_the_instance() {
    let database = TestDatabase::migrated().await;
    fill(&database, ORDERS).await;
    let ros = Function::start("ros", &database, &[]).await;
    for _ in 0..3 {
        let mut posted = ros.lambda.open(Gateway::RestApi, &Call::get("/api/ros")).await;
        assert_eq!(posted.prelude().await["statusCode"], 200);
        drop(posted);
        ros.lambda.call(Gateway::RestApi, &Call::get("/api/ros?limit=1")).await.expect(200);
    }
    let outcomes: Vec<Value> = ros.requests().into_iter().map(|line| line["outcome"].clone()).collect();
    assert_eq!(outcomes.iter().filter(|outcome| **outcome == "client left").count(), 3, "{outcomes:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn instances_serve_beside_a_busy_one() {
    let app = App::start().await;
    fill(&app.database, ORDERS).await;
    let ros = Function::start("ros", &app.database, &[]).await;
    let _others = [
        start_instance(&ros.lambda, "ros", &app.database, &[]).await,
        start_instance(&ros.lambda, "ros", &app.database, &[]).await,
    ];
    let busy = Call::get("/api/ros");
    let [mut first, mut second] =
        [ros.lambda.open(Gateway::RestApi, &busy).await, ros.lambda.open(Gateway::FunctionUrl, &busy).await];
    assert_eq!(
        (first.prelude().await["statusCode"].clone(), second.prelude().await["statusCode"].clone()),
        (json!(200), json!(200))
    );
    for _ in 0..3 {
        ros.lambda.call(Gateway::HttpApi, &Call::get("/api/ros?limit=1")).await.expect(200);
    }
    for posted in [first, second] {
        let mut posted = posted;
        let mut body = Vec::new();
        while let Some(piece) = posted.next().await {
            body.extend(piece);
        }
        assert_eq!(serde_json::from_slice::<Vec<Value>>(&body).unwrap().len(), ORDERS as usize);
    }
}
