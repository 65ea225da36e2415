//! The real binaries, and what they write into their logs.

use rotracker_cli::local_client::local_client;
use rotracker_tests::{TestDatabase, app::bearer, emulator::Emulator, issuer::Issuer};
use serde_json::Value;

use super::tokens::bad_tokens;

fn requests(log: &[String]) -> Vec<&String> {
    log.iter().filter(|line| line.contains("http.status")).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_refused_token_is_one_line_of_the_log_without_the_token() {
    let (issuer, database, emulator) = (Issuer::start().await, TestDatabase::migrated().await, Emulator::start().await);
    let ros = emulator.ros(&database, &issuer.variables()).await;
    let url = format!("{}/lambda-url/ros/api/ros", emulator.url);
    let client = local_client().build().unwrap();
    let good = issuer.token("ann");
    let answer = client.get(&url).header("authorization", bearer(&good)).send().await.unwrap();
    assert_eq!((answer.status().as_u16(), answer.text().await.unwrap().as_str()), (200, "[]"));
    // Fetched during Init, before anybody asked.
    assert_eq!(issuer.fetches(), 1);
    let before = ros.log().len();
    let bad = bad_tokens(&issuer);
    for (what, token, _) in &bad {
        let answer = client.get(&url).header("authorization", bearer(token)).send().await.unwrap();
        assert_eq!(answer.status(), 401, "{what}");
        assert_eq!(answer.json::<Value>().await.unwrap()["error"], "Unauthorized", "{what}");
    }
    let twice = client.get(&url).header("authorization", bearer(&good)).header("authorization", bearer(&good));
    assert_eq!(twice.send().await.unwrap().status(), 401);
    let log = ros.log();
    let lines = &log[before..];
    assert_eq!((lines.len(), requests(lines).len()), (bad.len() + 1, bad.len() + 1), "{lines:#?}");
    for (what, token, _) in bad.iter().filter(|(_, token, _)| token.len() > 40) {
        let (start, end) = (&token[..40], &token[token.len() - 40..]);
        assert!(!lines.iter().any(|line| line.contains(start) || line.contains(end)), "{what}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deployed_function_without_an_issuer_lets_nobody_in_unless_told_to() {
    let (database, emulator) = (TestDatabase::migrated().await, Emulator::start().await);
    let client = local_client().build().unwrap();
    let get = async |path: &str| {
        let answer = client.get(format!("{}/lambda-url/ros{path}", emulator.url)).send().await.unwrap();
        let hsts = answer.headers().get("strict-transport-security").cloned();
        let retry = answer.headers().contains_key("retry-after");
        (answer.status().as_u16(), hsts.is_some(), retry)
    };
    let production = [
        ("APP_ENV", "production".to_owned()),
        ("DB_NAME_PROD", database.name.clone()),
        ("FRONTEND_URL", "https://repairs.example".to_owned()),
    ];
    let ros = emulator.ros(&database, &production).await;
    assert_eq!(get("/api/ros").await, (503, true, true));
    assert_eq!(get("/nothing").await, (503, true, true));
    assert_eq!(get("/health").await, (200, true, false));
    assert!(ros.log()[0].contains("there is no AUTH_ISSUER"), "{:?}", ros.log());
    ros.stop().await;

    let open = [production.as_slice(), &[("AUTH_MODE", "none".to_owned())]].concat();
    let ros = emulator.ros(&database, &open).await;
    assert_eq!(get("/api/ros").await, (200, true, false));
    assert!(ros.log()[0].contains("AUTH_MODE is none"), "{:?}", ros.log());
}
