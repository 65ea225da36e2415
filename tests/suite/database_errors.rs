//! Errors of the database server that mean "not now", and connections that the server closes.

use std::sync::Arc;

use app_core::db::{self, DatabaseConfig, Pool};
use futures_util::future::{join_all, try_join_all};
use rotracker_tests::{
    App, TestDatabase, TestResponse,
    app::{new_order, path_of},
    database::{config_of, connect, execute, own_server, server, try_execute},
};
use serde_json::json;
use sqlx::Row;
use uuid::Uuid;

/// Whether a request succeeds by itself after an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Response {
    /// It runs its statements again.
    Success,
    /// It fails with this status.
    Failure(u16),
}

/// What happens to the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum After {
    Kept,
    Closed,
}

/// The errors of both servers, and what each does to a request and to its connection.
const ERRORS: [(Response, After, &[u16]); 5] = [
    (Response::Success, After::Kept, &[1020, 1205, 1213, 1412, 1615, 1689, 3101, 3572]),
    (Response::Success, After::Closed, &[1053, 1079, 1156, 1158, 1159, 1160, 1161, 1317, 1927, 3169, 4031]),
    (
        Response::Failure(503),
        After::Kept,
        &[1021, 1040, 1042, 1043, 1114, 1129, 1135, 1180, 1203, 1206, 1226, 1637, 1878, 1969, 3019, 3024, 3675],
    ),
    (
        Response::Failure(503),
        After::Closed,
        &[
            1036, 1037, 1038, 1041, 1044, 1045, 1047, 1049, 1130, 1142, 1143, 1146, 1227, 1251, 1290, 1370, 1449, 1461,
            1524, 1698, 1792, 1820, 1836, 1862, 1874, 3015, 3032, 3100, 3118, 3159, 3168, 3170, 3879, 3884, 3955, 3985,
            3989, 4081, 4082, 4150, 4151,
        ],
    ),
    // Any other error.
    (Response::Failure(500), After::Kept, &[1105]),
];

/// Makes the next INSERT into `active` fail with the number in `next_error`. That table has no transactions, so the failed one leaves
/// the id of its connection there, and the error comes once.
const FAIL_ONCE: &str = "
    CREATE TABLE next_error (number INT NOT NULL, connection BIGINT) ENGINE = MyISAM;
    CREATE TRIGGER fail_once BEFORE INSERT ON active FOR EACH ROW
    BEGIN
        DECLARE failure INT;
        SELECT MAX(number) INTO failure FROM next_error WHERE connection IS NULL;
        IF failure IS NOT NULL THEN
            UPDATE next_error SET connection = CONNECTION_ID();
            SIGNAL SQLSTATE 'HY000' SET MYSQL_ERRNO = failure, MESSAGE_TEXT = 'on purpose';
        END IF;
    END";

/// `ros` with one connection.
async fn app_with_one_connection() -> App {
    let database = TestDatabase::migrated().await;
    let pool = database.pool(1);
    App::on(database, pool)
}

/// Creates an order.
async fn create(app: &App) -> TestResponse {
    app.post("/api/ros", &new_order(json!({ "roNumber": Uuid::new_v4().to_string() }))).await
}

#[track_caller]
fn assert_unavailable(response: TestResponse, case: &str) {
    assert_eq!(response.status, 503, "{case}: {response:?}");
    assert!(response.header("retry-after").is_some(), "{case}");
    assert_eq!(response.expect_error(503), "The database is busy or cannot be reached. Try again.", "{case}");
}

/// The id of the pool's connection. It is read without a prepared statement.
async fn connection_id(app: &App) -> i64 {
    let id = sqlx::raw_sql("SELECT CAST(CONNECTION_ID() AS SIGNED) AS id");
    id.fetch_one(&mut *app.connection().await).await.unwrap().get("id")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_error_is_retried_or_refused_and_the_next_request_succeeds() {
    let app = app_with_one_connection().await;
    let mut other = app.database.connect().await;
    execute(&mut other, FAIL_ONCE).await;
    for (expected, after, numbers) in ERRORS {
        for number in numbers {
            let case = format!("error {number}");
            execute(&mut other, &format!("DELETE FROM next_error; INSERT INTO next_error (number) VALUES ({number})"))
                .await;
            let response = create(&app).await;
            match expected {
                Response::Success => assert_eq!(response.status, 201, "{case}: {response:?}"),
                Response::Failure(503) => assert_unavailable(response, &case),
                Response::Failure(status) => assert_eq!(response.status, status, "{case}: {response:?}"),
            }
            let failed: Option<i64> =
                sqlx::query_scalar("SELECT connection FROM next_error").fetch_one(&mut other).await.unwrap();
            let is_kept = failed.expect("the error was raised") == connection_id(&app).await;
            assert_eq!(is_kept, after == After::Kept, "{case}");
            assert_eq!(create(&app).await.status, 201, "{case}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_takes_no_changes_is_closed() {
    let app = app_with_one_connection().await;
    execute(&mut *app.connection().await, "SET SESSION TRANSACTION READ ONLY").await;
    assert_unavailable(create(&app).await, "read only");
    create(&app).await.expect(201);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn other_connections_to_a_server_that_takes_no_changes_are_not_used_again() {
    let database = TestDatabase::migrated().await;
    let pool = database.pool(4);
    let app = App::on(database, pool);
    for mut connection in join_all((0..4).map(|_| app.connection())).await {
        execute(&mut connection, "SET SESSION TRANSACTION READ ONLY").await;
    }
    assert_unavailable(create(&app).await, "read only");
    for _ in 0..4 {
        create(&app).await.expect(201);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_statement_that_takes_too_long_is_503() {
    let app = app_with_one_connection().await;
    let path = path_of(&app.create("RO1").await);
    let mut other = app.database.connect().await;
    let version: String = sqlx::query_scalar("SELECT VERSION()").fetch_one(&mut other).await.unwrap();
    let limit =
        if version.contains("MariaDB") { "SET max_statement_time = 0.1" } else { "SET max_execution_time = 100" };
    execute(&mut *app.connection().await, limit).await;
    execute(&mut other, "LOCK TABLES active WRITE").await;
    assert_unavailable(app.get(&path).await, limit);
    execute(&mut other, "UNLOCK TABLES").await;
    app.get(&path).await.expect(200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_table_is_503_until_it_has_room() {
    let app = app_with_one_connection().await;
    let mut other = app.database.connect().await;
    // A table in memory has a size that a test can choose.
    execute(
        &mut other,
        "SET SESSION max_heap_table_size = 16384;
         CREATE TABLE small (text CHAR(200)) ENGINE = MEMORY;
         CREATE TRIGGER fill AFTER INSERT ON active FOR EACH ROW INSERT INTO small VALUES ('x')",
    )
    .await;
    while try_execute(&mut other, "INSERT INTO small VALUES ('x')").await.is_ok() {}
    assert_unavailable(create(&app).await, "a full table");
    assert!(app.rows().await.is_empty());
    execute(&mut other, "DELETE FROM small").await;
    create(&app).await.expect(201);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_statement_that_is_killed_is_run_again_on_another_connection() {
    let app = Arc::new(app_with_one_connection().await);
    let path = path_of(&app.create("RO1").await);
    let killed = connection_id(&app).await;
    let mut other = app.database.connect().await;
    execute(&mut other, "START TRANSACTION; UPDATE active SET NOTES = 'theirs'").await;
    let ours = tokio::spawn({
        let app = app.clone();
        async move { app.patch(&path, &json!({ "terms": "COD" })).await }
    });
    // As soon as a statement was killed, there is no such connection.
    let mut root = connect().await;
    while try_execute(&mut root, &format!("KILL QUERY {killed}")).await.is_ok() {
        assert!(!ours.is_finished(), "the connection was kept");
    }
    execute(&mut other, "COMMIT").await;
    assert_eq!(ours.await.unwrap().expect(200)["notes"], "theirs");
}

/// Creates an account on the server of `root`, and `ros` with it.
async fn app_with_account(root: &DatabaseConfig, database: TestDatabase) -> (App, DatabaseConfig) {
    let account = format!("t{}", &Uuid::new_v4().simple().to_string()[..20]);
    let (name, user) = (&database.name, format!("'{account}'@'%'"));
    execute(
        &mut db::connect(root, None).await.unwrap(),
        &format!(
            "CREATE USER {user} IDENTIFIED BY 'right';
             GRANT SELECT, INSERT, UPDATE, DELETE, EXECUTE ON {name}.* TO {user}"
        ),
    )
    .await;
    let account = DatabaseConfig { user: account, password: "right".into(), max_connections: 1, ..root.clone() };
    let pool = Pool::new(&account, name);
    (App::on(database, pool), account)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_succeed_again_once_the_configuration_is_mended() {
    let mut root = connect().await;
    let (app, account) = app_with_account(server(), TestDatabase::migrated().await).await;
    let (name, user) = (&app.database.name, format!("'{}'@'%'", account.user));
    for (broken, mended) in [
        (format!("ALTER USER {user} IDENTIFIED BY 'wrong'"), format!("ALTER USER {user} IDENTIFIED BY 'right'")),
        (format!("ALTER USER {user} ACCOUNT LOCK"), format!("ALTER USER {user} ACCOUNT UNLOCK")),
        (format!("REVOKE INSERT ON {name}.* FROM {user}"), format!("GRANT INSERT ON {name}.* TO {user}")),
        (
            format!("REVOKE ALL PRIVILEGES, GRANT OPTION FROM {user}"),
            format!("GRANT SELECT, INSERT, UPDATE, DELETE, EXECUTE ON {name}.* TO {user}"),
        ),
        (
            format!("RENAME TABLE {name}.active TO {name}.elsewhere"),
            format!("RENAME TABLE {name}.elsewhere TO {name}.active"),
        ),
    ] {
        create(&app).await.expect(201);
        execute(&mut root, &broken).await;
        // Sessions that are open notice few of these.
        app.database.kill_sessions().await;
        assert_unavailable(create(&app).await, &broken);
        assert_unavailable(create(&app).await, &broken);
        execute(&mut root, &mended).await;
        create(&app).await.expect(201);
    }

    // Another connection of the account is the only one that it may have.
    execute(&mut root, &format!("ALTER USER {user} WITH MAX_USER_CONNECTIONS 1")).await;
    app.database.kill_sessions().await;
    let other = loop {
        if let Ok(other) = db::connect(&account, None).await {
            break other;
        }
    };
    assert_unavailable(create(&app).await, "too many connections of the account");
    execute(&mut root, &format!("ALTER USER {user} WITH MAX_USER_CONNECTIONS 0")).await;
    create(&app).await.expect(201);
    drop(other);

    execute(&mut root, &format!("DROP DATABASE {name}")).await;
    assert_unavailable(create(&app).await, "no database");
    assert_unavailable(create(&app).await, "no database");
    execute(&mut root, &format!("CREATE DATABASE {name}")).await;
    migrate::migrate_main(&app.database.pool(1)).await.unwrap();
    create(&app).await.expect(201);
    execute(&mut root, &format!("DROP USER {user}")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_succeed_again_once_the_server_recovers() {
    // Its global variables may be changed.
    let (server, _folder) = own_server(None, &[]).await;
    let config = config_of(&server, 1);
    let mut root = db::connect(&config, None).await.unwrap();
    // It has the same name as a database of the shared server, which is dropped at the end.
    let database = TestDatabase::empty().await;
    execute(&mut root, &format!("CREATE DATABASE {}", database.name)).await;
    migrate::migrate_main(&Pool::new(&config, &database.name)).await.unwrap();
    let (app, account) = app_with_account(&config, database).await;

    // A connection that has prepared its statements would not notice the first of these.
    for (broken, mended) in [
        ("SET GLOBAL max_prepared_stmt_count = 0", "SET GLOBAL max_prepared_stmt_count = 16382"),
        ("SET GLOBAL read_only = 1", "SET GLOBAL read_only = 0"),
    ] {
        let refused = connection_id(&app).await;
        execute(&mut root, broken).await;
        assert_unavailable(create(&app).await, broken);
        assert_ne!(connection_id(&app).await, refused, "{broken}: the connection was kept");
        assert_unavailable(create(&app).await, broken);
        execute(&mut root, mended).await;
        create(&app).await.expect(201);
    }

    // Others have more connections than the server may have now.
    let others = try_join_all((0..20).map(|_| db::connect(&account, None))).await.unwrap();
    execute(&mut root, "SET GLOBAL max_connections = 10").await;
    execute(&mut root, &format!("KILL {}", connection_id(&app).await)).await;
    assert_unavailable(create(&app).await, "too many connections");
    execute(&mut root, "SET GLOBAL max_connections = 100").await;
    create(&app).await.expect(201);
    drop(others);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_server_closes_connections_that_stay_idle_and_no_request_notices() {
    let app = app_with_one_connection().await;
    let idle_time = sqlx::query_scalar("SELECT CAST(@@SESSION.wait_timeout AS SIGNED)");
    let idle_time: i64 = idle_time.fetch_one(&mut *app.connection().await).await.unwrap();
    assert_eq!(idle_time, 600);

    execute(&mut *app.connection().await, "SET SESSION wait_timeout = 1").await;
    let idle = connection_id(&app).await;
    app.database.wait_until_unused().await;
    create(&app).await.expect(201);
    assert_ne!(connection_id(&app).await, idle);
}
