//! Conditional requests: the `ETag` of orders and of the dashboard, `If-None-Match` and `If-Match`.

use std::sync::Arc;

use http::Method;
use rotracker_tests::{
    App, TestResponse,
    app::{new_order, path_by_number, path_of},
    database::execute,
};
use serde_json::{Value, json};

fn tag(response: &TestResponse) -> String {
    let tag = response.header("etag").expect("a tag");
    assert!(tag.starts_with('"') && tag.ends_with('"'), "a strong one: {tag}");
    tag.to_owned()
}

async fn patch_if(app: &App, path: &str, if_match: &str, body: &Value) -> TestResponse {
    app.send_with(Method::PATCH, path, &[("if-match", if_match)], Some(body)).await
}

#[tokio::test]
async fn every_order_response_has_its_tag() {
    let app = App::start().await;
    let created = app.post("/api/ros", &new_order(json!({ "roNumber": "RO1" }))).await;
    let mut tags = vec![tag(&created)];
    let path = path_of(&created.expect(201));
    let by_number = path_by_number("RO1");
    for (case, response) in [
        ("nothing", app.get(&path).await),
        ("patch", app.patch(&path, &json!({ "terms": "COD" })).await),
        ("status", app.patch(&format!("{by_number}/status"), &json!({ "status": "A" })).await),
        ("archive", app.post(&format!("{by_number}/archive"), &json!({ "archiveStatus": "PAID" })).await),
        ("move", app.patch(&path, &json!({ "archiveStatus": "NET" })).await),
    ] {
        assert_eq!(response.status, 200, "{case}");
        if case != "nothing" {
            assert!(!tags.contains(&tag(&response)), "{case} makes a new tag");
            tags.push(tag(&response));
        }
    }
    let last = tags.last().unwrap().clone();
    assert_eq!((tag(&app.get(&path).await), tag(&app.get(&by_number).await)), (last.clone(), last.clone()));
    let same = app.patch(&path, &json!({ "terms": "COD" })).await;
    assert_eq!(tag(&same), last, "nothing was changed");
    execute(&mut app.database.connect().await, "UPDATE net SET TERMS = 'other'").await;
    assert_ne!(tag(&app.get(&path).await), last, "another program changes no number, but the content");
}

#[tokio::test]
async fn undoing_a_change_does_not_restore_the_tag() {
    let app = App::start().await;
    let order = app.create_with(json!({ "terms": "A" })).await;
    let path = path_of(&order);
    let first = tag(&app.get(&path).await);
    app.patch(&path, &json!({ "terms": "B" })).await.expect(200);
    app.patch(&path, &json!({ "terms": "A" })).await.expect(200);
    patch_if(&app, &path, &first, &json!({ "terms": "C" })).await.expect_error(412);
}

#[tokio::test]
async fn a_stale_tag_is_412() {
    let app = App::start().await;
    let order = app.create("RO1").await;
    let (path, by_number) = (path_of(&order), path_by_number("RO1"));
    let old = tag(&app.get(&path).await);
    let changed = app.patch(&path, &json!({ "notes": "faster" })).await;
    let current = tag(&changed);
    let kept = changed.expect(200);
    let archive = format!("{by_number}/archive");
    let status = format!("{by_number}/status");
    let requests = [
        (Method::PATCH, &path, json!({ "notes": "late" })),
        (Method::PATCH, &path, json!({ "archiveStatus": "PAID" })),
        (Method::PATCH, &status, json!({ "status": "late" })),
        (Method::POST, &archive, json!({ "archiveStatus": "PAID" })),
        (Method::POST, &archive, json!({ "archiveStatus": "ACTIVE" })),
        (Method::DELETE, &by_number, Value::Null),
    ];
    for (method, path, body) in &requests {
        for stale in [old.clone(), format!("W/{current}"), format!("\"x\", {old}"), "\"\"".to_owned()] {
            let response = app.send_with(method.clone(), path, &[("if-match", &stale)], Some(body)).await;
            assert_eq!(response.expect(412)["error"], "Precondition failed", "{method} {path} {stale}");
        }
        let known = app.send_with(method.clone(), path, &[("if-none-match", &current)], Some(body)).await;
        known.expect_error(412);
        for malformed in ["x", "", "\"", "*, \"x\""] {
            app.send_with(method.clone(), path, &[("if-match", malformed)], Some(body)).await.expect_error(400);
        }
    }
    assert_eq!(app.get(&path).await.expect_order(), kept);
    assert_eq!(app.get(&format!("{path}/history")).await.expect(200)["total"], 2);
    for if_match in [current.clone(), "*".to_owned()] {
        patch_if(&app, &path, &if_match, &json!({ "notes": "faster" })).await.expect(200);
    }
    let list = format!("{old}, {current}");
    let next = patch_if(&app, &path, &list, &json!({ "notes": "in time" })).await;
    let deleted = app.send_with(Method::DELETE, &path, &[("if-match", &tag(&next))], None).await;
    deleted.expect(200);
    // Without an order there is nothing to compare, so the response is the same as without a condition.
    patch_if(&app, &path, "*", &json!({ "notes": "x" })).await.expect_error(404);
}

#[tokio::test]
async fn an_unchanged_order_is_304() {
    let app = App::start().await;
    let order = app.create_with(json!({ "nextDateToUpdate": "2024-11-15" })).await;
    for path in [path_of(&order), "/api/ros/stats/dashboard".to_owned()] {
        let first = tag(&app.get(&path).await);
        let ask = async |if_none_match: &str| {
            app.send_with(Method::GET, &path, &[("if-none-match", if_none_match)], None).await
        };
        for known in [first.clone(), format!("W/{first}"), format!("\"x\", {first}"), "*".to_owned()] {
            let response = ask(&known).await;
            assert_eq!((response.status.as_u16(), response.bytes.len()), (304, 0), "{path} {known}");
            assert_eq!(response.header("etag"), Some(&*first));
        }
        assert_eq!(ask("\"x\"").await.status, 200);
        ask("x").await.expect_error(400);
        app.send_with(Method::GET, &path, &[("if-match", "\"x\"")], None).await.expect_error(412);
        // At midnight the order becomes overdue, which changes both responses.
        app.clock.set("2024-11-16T00:00:00Z".parse().unwrap());
        let next = ask(&first).await;
        assert_eq!(next.status, 200, "{path}");
        assert_ne!(tag(&next), first);
        app.clock.set("2024-11-15T23:59:59Z".parse().unwrap());
    }
}

#[tokio::test]
async fn tagged_responses_are_not_compressed() {
    let app = App::start().await;
    let order = app.create_with(json!({ "notes": "x".repeat(5_000) })).await;
    for (path, encoding) in
        [(path_of(&order), None), ("/api/ros/stats/dashboard".to_owned(), None), ("/api/ros".to_owned(), Some("gzip"))]
    {
        let response = app.send_with(Method::GET, &path, &[("accept-encoding", "gzip")], None).await;
        assert_eq!(response.header("content-encoding"), encoding, "{path}");
        assert_eq!(response.header("etag").is_some(), encoding.is_none(), "{path}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_conditional_update_of_10_000_is_lost() {
    const EACH: usize = 5_000;
    let app = Arc::new(App::start().await);
    let path = path_of(&app.create_with(json!({ "estimatedCost": 0 })).await);
    let writers = [(), ()].map(|()| {
        let (app, path) = (app.clone(), path.clone());
        tokio::spawn(async move {
            let (mut done, mut refused) = (0_u32, 0_u32);
            let mut seen = app.get(&path).await;
            for _ in 0..EACH {
                let count: f64 = seen.json()["estimatedCost"].as_str().unwrap().parse().unwrap();
                let response = patch_if(&app, &path, &tag(&seen), &json!({ "estimatedCost": count + 1.0 })).await;
                match response.status.as_u16() {
                    200 => {
                        done += 1;
                        seen = response;
                    }
                    412 => {
                        refused += 1;
                        seen = app.get(&path).await;
                    }
                    status => panic!("{status}"),
                }
            }
            (done, refused)
        })
    });
    let (mut done, mut refused) = (0, 0);
    for writer in writers {
        let (its_done, its_refused) = writer.await.unwrap();
        assert!(its_done > 0, "both had their turn");
        done += its_done;
        refused += its_refused;
    }
    assert!(refused > 0, "they were in each other's way");
    let order = app.get(&path).await.expect(200);
    assert_eq!(order["estimatedCost"], format!("{done}.00"), "{refused} were refused");
    assert_eq!(app.get(&format!("{path}/history?limit=1")).await.expect(200)["total"], done + 1);
}
