//! The `migrate` function. A deployment invokes it through a custom resource of CloudFormation, and an operator by
//! `aws lambda invoke`. No gateway leads to it.
//!
//! It reads its configuration for each event, so that a missing variable is a response and does not end the instance during Init.

pub mod cloudformation;

use std::{future::Future, panic::AssertUnwindSafe, time::Duration};

use app_core::{clock::Clock, config::Env, db::error_number};
use chrono_tz::Tz;
use futures_util::FutureExt;
use lambda_runtime::{Error, LambdaEvent};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};
use sqlx::Executor;
use tokio::time::timeout;

use crate::{
    databases::{Databases, connect, error_line},
    doctor::{Account, Finding, examine},
    migrations::{MigratedDatabase, Run, migrate_all, summary},
};

/// The time before the end of the invocation that is kept for ending a statement and sending the response.
const TIME_TO_RESPOND: Duration = Duration::from_secs(15);

/// How long ending a statement on the server may take.
const KILL_TIMEOUT: Duration = Duration::from_secs(5);

/// The events that the function accepts.
#[derive(Debug)]
enum Event {
    /// A custom resource is created, updated or deleted.
    CloudFormation(cloudformation::Request),
    /// `{"migrate": true}`
    Migrate,
    /// `{"doctor": true}`
    Doctor,
}

impl Event {
    /// Returns the event, unless it is none of those that this function accepts. Requests of gateways are none of them, whatever
    /// clients put into their bodies and headers, because those are not at the top of the event.
    fn parse(event: &Value) -> Option<Self> {
        if event.get("requestContext").is_some() || event.get("httpMethod").is_some() {
            return None;
        }
        if *event == json!({ "migrate": true }) {
            return Some(Self::Migrate);
        }
        if *event == json!({ "doctor": true }) {
            return Some(Self::Doctor);
        }
        cloudformation::Request::parse(event).map(Self::CloudFormation)
    }
}

const UNKNOWN_EVENT: &str = "this function accepts the events of a custom resource of CloudFormation, {\"migrate\": true} and \
                             {\"doctor\": true}; nothing was done";

/// Handles an event.
///
/// # Errors
/// When the event is none of those that this function accepts, when the migrations fail that it asks for, and when CloudFormation
/// does not take the response; Lambda then repeats the event.
pub async fn handle(event: LambdaEvent<Value>) -> Result<Value, Error> {
    let time = time_left(event.context.deadline);
    match Event::parse(&event.payload) {
        Some(Event::CloudFormation(request)) => cloudformation::respond(&request, migrate_within(time)).await,
        Some(Event::Migrate) => {
            let migrated = catching_panics(migrate_within(time)).await?;
            Ok(json!({ "applied": applied(&migrated), "summary": summary(&migrated) }))
        }
        Some(Event::Doctor) => {
            let findings = catching_panics(examine_within(time)).await?;
            Ok(json!({ "findings": findings }))
        }
        None => Err(UNKNOWN_EVENT.into()),
    }
}

/// Returns the time for the migrations of an invocation that ends at `deadline`, in milliseconds since 1970.
fn time_left(deadline: u64) -> Duration {
    let now = u64::try_from(Clock::system(Tz::UTC).now().timestamp_millis()).unwrap_or_default();
    Duration::from_millis(deadline.saturating_sub(now)).saturating_sub(TIME_TO_RESPOND)
}

/// Returns the number of migrations that were applied.
fn applied(migrated: &[MigratedDatabase]) -> usize {
    migrated.iter().map(|database| database.applied).sum()
}

/// Runs `work`. A panic is an error, so that there is a response in any case.
async fn catching_panics<T>(work: impl Future<Output = Result<T, String>>) -> Result<T, String> {
    let result = AssertUnwindSafe(work).catch_unwind().await;
    result.unwrap_or_else(|_| Err("the program panicked; the log of the function migrate says where".to_owned()))
}

/// Migrates the databases that the environment names. After `time` it ends the statement that runs. An error is a text for
/// people, without the password.
async fn migrate_within(time: Duration) -> Result<Vec<MigratedDatabase>, String> {
    let databases = Databases::read(Env::of_process()).map_err(|error| error.to_string())?;
    let run = Run::new(|line| tracing::info!("{line}"));
    let error = match timeout(time, migrate_all(&databases, false, &run)).await {
        Ok(Ok(migrated)) => return Ok(migrated),
        Ok(Err(error)) => error_line(&error),
        Err(_) => out_of_time(&databases, &run).await,
    };
    Err(without_password(&error, &databases.server.password))
}

/// Examines the databases that the environment names, with the account that migrates.
async fn examine_within(time: Duration) -> Result<Vec<Finding>, String> {
    let databases = Databases::read(Env::of_process()).map_err(|error| error.to_string())?;
    let clock = Clock::system(Tz::UTC);
    let examined = timeout(time, examine(&databases, Account::Migrator, None, &clock)).await;
    examined.map_err(|_| "the database does not answer in time".to_owned())
}

/// Ends the statement of `run` on the server, and says what to do.
async fn out_of_time(databases: &Databases, run: &Run) -> String {
    let ended = match run.connection_id() {
        Some(id) => match timeout(KILL_TIMEOUT, kill(databases, id)).await {
            Ok(Ok(())) => " Their statement was ended on the server.".to_owned(),
            Ok(Err(error)) => {
                format!(" Their statement may still run, since it could not be ended: {}.", error_line(&error))
            }
            Err(_) => " Their statement may still run, since the server does not answer.".to_owned(),
        },
        None => String::new(),
    };
    format!(
        "The migrations were not finished in the time that this function has.{ended} When they run again, they go on from there. A change \
         that takes longer is made before the deployment, by `rotracker migrate` on a machine that reaches the database; see \
         migrations/README.md."
    )
}

/// Ends the connection `id`, its statement and its lock. Ending only the statement would leave the connection to notice that its
/// client is gone.
async fn kill(databases: &Databases, id: u64) -> anyhow::Result<()> {
    let mut connection = connect(&databases.server, None).await?;
    // KILL takes no placeholder, and an id is a number.
    match connection.execute(sqlx::raw_sql(sqlx::AssertSqlSafe(format!("KILL {id}")))).await {
        Err(error) if !has_no_such_connection(&error) => Err(error.into()),
        _ => Ok(()),
    }
}

/// Returns whether KILL found no connection. That one has ended by itself, because its client is gone.
fn has_no_such_connection(error: &sqlx::Error) -> bool {
    const NO_SUCH_THREAD: u16 = 1094;
    error_number(error) == Some(NO_SUCH_THREAD)
}

/// Takes the password out of `text`. One of less than eight characters is taken out as a whole word only, because its letters are also
/// those of other words.
fn without_password(text: &str, password: &SecretString) -> String {
    const SHORT: usize = 8;
    let password = password.expose_secret();
    if password.is_empty() {
        return text.to_owned();
    }
    let touches = |character: Option<char>| character.is_some_and(char::is_alphanumeric);
    let mut result = String::with_capacity(text.len());
    let mut end = 0;
    for (start, _) in text.match_indices(password) {
        let after = start + password.len();
        let is_in_word = touches(text[..start].chars().next_back()) || touches(text[after..].chars().next());
        if password.chars().count() < SHORT && is_in_word {
            continue;
        }
        result.push_str(&text[end..start]);
        result.push_str("***");
        end = after;
    }
    result.push_str(&text[end..]);
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_password_is_taken_out() {
        assert_eq!(without_password("no hunter2 here", &"hunter2".into()), "no *** here");
        assert_eq!(without_password("nothing", &"".into()), "nothing");
        assert_eq!(without_password("xhunter22x", &"hunter22".into()), "x***x");
        // A short one is not taken out of other words.
        assert_eq!(without_password("cannot know 'no', no.", &"no".into()), "cannot know '***', ***.");
    }

    #[test]
    fn only_known_events_are_accepted() {
        let url = "https://bucket.example/response";
        for event in [
            json!({ "migrate": true }),
            json!({ "doctor": true }),
            json!({ "RequestType": "Create", "ResponseURL": url }),
        ] {
            assert!(Event::parse(&event).is_some(), "{event}");
        }
        for event in [
            json!({}),
            json!(null),
            json!([{ "migrate": true }]),
            json!({ "migrate": false }),
            json!({ "migrate": true, "requestContext": {} }),
            json!({ "httpMethod": "POST", "RequestType": "Create", "ResponseURL": url }),
            json!({ "requestContext": { "http": {} }, "body": "{\"migrate\": true}" }),
            json!({ "RequestType": "Create" }),
        ] {
            assert!(Event::parse(&event).is_none(), "{event}");
        }
    }
}
