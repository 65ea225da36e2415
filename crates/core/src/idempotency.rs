//! Requests that may be sent again: the answer to the first request with an `Idempotency-Key` is kept with its effect, in
//! the same transaction, and given to every further one for a day. So is the answer to one that what was there did not
//! allow (404, 409, 412), which has no effect: whoever was told so must not find later that it happened after all.
//!
//! What was wrong in itself, or failed, is not remembered: it has changed nothing, and sending it again, mended or not, is a
//! new attempt. Whoever does not know how a request ended sends it again with its key: either it was done and is answered
//! as it was, or it was not and is done now.

use axum::extract::{FromRequest, FromRequestParts, MatchedPath, Request};
use chrono::{DateTime, SubsecRound, TimeDelta, Utc};
use http::{HeaderMap, HeaderName, StatusCode};
use serde::de::DeserializeOwned;
use sqlx::{MySqlConnection, Row, mysql::MySqlRow};

use crate::{
    Digest,
    clock::Clock,
    db::{self, Pool, Transaction, adoption::Findings, is_duplicate_key, is_lock_refused},
    http::{Answer, ApiError, Caller, json_bytes, parse_object},
};

/// The header that names an attempt. Its value is the client's own: 1 to 255 printable ASCII characters.
pub const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// How long an answer is kept.
const KEPT: TimeDelta = TimeDelta::hours(24);

/// One new key in so many removes old ones on the way.
const KEYS_PER_REMOVAL: u8 = 16;

/// Looks for a key, in vain where its first request still runs.
const FIND_AT_ONCE: &str =
    "SELECT request, created_at, status, entity_tag, body FROM idempotency_keys WHERE digest = ? FOR UPDATE NOWAIT";

/// Looks for a key that is there.
const FIND: &str = "SELECT request, created_at, status, entity_tag, body FROM idempotency_keys WHERE digest = ?";

/// Takes a new key. Takes its digest, its request's and the instant.
const ADD: &str = "INSERT INTO idempotency_keys (digest, request, created_at) VALUES (?, ?, ?)";

/// Takes a key of old again. Takes the request's digest, the instant and the key's digest.
const RENEW: &str = "UPDATE idempotency_keys SET request = ?, created_at = ?, status = NULL, entity_tag = NULL, \
     body = NULL WHERE digest = ?";

/// Keeps the answer. Takes status, tag and body, and the key's digest.
const KEEP: &str = "UPDATE idempotency_keys SET status = ?, entity_tag = ?, body = ? WHERE digest = ?";

/// Removes old keys, as many as a request can do by the way. Takes the instant before which they are old.
const REMOVE_OLD: &str = "DELETE FROM idempotency_keys WHERE created_at <= ? ORDER BY created_at LIMIT 200";

/// What tells our table from another program's of that name.
const COLUMNS: [(&str, &str); 3] = [("digest", "binary"), ("request", "binary"), ("body", "mediumblob")];

/// Sees whether the database `connection` is on has room for the table of keys.
///
/// # Errors
/// When the database fails.
pub async fn inspect(connection: &mut MySqlConnection) -> Result<Findings, sqlx::Error> {
    let mut findings = Findings::default();
    findings.refuse_namesake(connection, "idempotency_keys", &COLUMNS).await?;
    Ok(findings)
}

/// A JSON body, and the attempt that it is part of.
#[derive(Clone, Debug)]
pub struct Once<T> {
    /// The body.
    pub body: T,
    /// The attempt.
    pub attempt: Attempt,
}

/// A request that is to have one effect however often it is sent, if it has a key.
///
/// A handler asks [`answered`](Self::answered) first and hands its answer to [`keep`](Self::keep) last, both in the
/// transaction of the effect, and lets [`settle`](Self::settle) look at what came of that.
#[derive(Clone, Debug)]
pub struct Attempt(Option<Keyed>);

#[derive(Clone, Debug, PartialEq)]
struct Keyed {
    /// Of the key and of whose it is.
    key: Digest,
    /// Of what was asked.
    request: Digest,
}

impl Attempt {
    /// A request that has no key.
    pub const UNKEYED: Self = Self(None);

    /// The answer to an earlier request with the key; nothing if this is the first, which then holds the key until the
    /// transaction ends. Two statements for a first request, one for another, and none without a key.
    ///
    /// # Errors
    /// [`ApiError::KeyInUse`] while the first request runs; it is not waited for. [`ApiError::KeyReused`] when the key
    /// was that of another request.
    pub async fn answered(&self, connection: &mut MySqlConnection, clock: &Clock) -> Result<Option<Answer>, ApiError> {
        match &self.0 {
            Some(keyed) => keyed.answered(connection, clock.now().trunc_subsecs(3)).await,
            None => Ok(None),
        }
    }

    /// Keeps `answer`, which goes to the client when the transaction has ended well.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn keep(
        &self,
        connection: &mut MySqlConnection,
        clock: &Clock,
        answer: Answer,
    ) -> Result<Answer, ApiError> {
        if let Some(keyed) = &self.0 {
            keyed.keep(connection, clock.now(), &answer).await?;
        }
        Ok(answer)
    }

    /// What to answer when the transaction has ended with `done`. Where what was there did not allow the request, that is
    /// the answer which is kept; unless another request was faster since the rollback, and then it is that one's.
    ///
    /// # Errors
    /// The one in `done`, or when the answer cannot be kept.
    pub async fn settle(&self, db: &Pool, clock: &Clock, done: Result<Answer, ApiError>) -> Result<Answer, ApiError> {
        let (Err(error), Some(_)) = (&done, &self.0) else { return done };
        let Some(refusal) = error.outcome()? else { return done };
        db::retry(|| async {
            let mut transaction = Transaction::begin(db).await?;
            let answer = match self.answered(&mut transaction, clock).await {
                Ok(None) => self.keep(&mut transaction, clock, refusal.clone()).await,
                Ok(Some(answer)) => Ok(answer),
                Err(error) => Err(error),
            };
            transaction.end(answer).await
        })
        .await
    }
}

impl Keyed {
    /// The answer to an earlier request, at the instant `now`; nothing if this is the first, which then holds the key until
    /// the transaction ends.
    async fn answered(&self, connection: &mut MySqlConnection, now: DateTime<Utc>) -> Result<Option<Answer>, ApiError> {
        match sqlx::query(FIND_AT_ONCE).bind(self.key.as_bytes()).fetch_optional(&mut *connection).await {
            // By the first request, or by another that reads its answer.
            Err(error) if is_lock_refused(&error) => self.kept_at_least(connection, now).await.map(Some),
            Err(error) => Err(error.into()),
            Ok(Some(row)) => match self.kept(&row, now)? {
                Some(answer) => Ok(Some(answer)),
                None => {
                    let renew = sqlx::query(RENEW).bind(self.request.as_bytes()).bind(now).bind(self.key.as_bytes());
                    renew.execute(connection).await?;
                    Ok(None)
                }
            },
            Ok(None) => {
                let add = sqlx::query(ADD).bind(self.key.as_bytes()).bind(self.request.as_bytes()).bind(now);
                match add.execute(&mut *connection).await {
                    Ok(_) => Ok(None),
                    Err(error) if is_duplicate_key(&error) => self.kept_at_least(connection, now).await.map(Some),
                    Err(error) => Err(error.into()),
                }
            }
        }
    }

    /// The answer that was kept, as far as that was committed, of a key that somebody else holds.
    async fn kept_at_least(&self, connection: &mut MySqlConnection, now: DateTime<Utc>) -> Result<Answer, ApiError> {
        let row = sqlx::query(FIND).bind(self.key.as_bytes()).fetch_optional(connection).await?;
        let answer = row.map(|row| self.kept(&row, now)).transpose()?.flatten();
        answer.ok_or(ApiError::KeyInUse)
    }

    async fn keep(
        &self,
        connection: &mut MySqlConnection,
        now: DateTime<Utc>,
        answer: &Answer,
    ) -> Result<(), ApiError> {
        sqlx::query(KEEP)
            .bind(answer.status.as_u16())
            .bind(answer.tag_text())
            .bind(&answer.body)
            .bind(self.key.as_bytes())
            .execute(&mut *connection)
            .await?;
        // Last, so that nobody waits for the locks of a request that waits.
        if self.key.as_bytes()[0].is_multiple_of(KEYS_PER_REMOVAL) {
            sqlx::query(REMOVE_OLD).bind(now - KEPT).execute(connection).await?;
        }
        Ok(())
    }

    /// The answer that `row` keeps, unless it is too old.
    fn kept(&self, row: &MySqlRow, now: DateTime<Utc>) -> Result<Option<Answer>, ApiError> {
        let (request, created): (Vec<u8>, DateTime<Utc>) = (row.try_get(0)?, row.try_get(1)?);
        if created <= now - KEPT {
            return Ok(None);
        }
        if request != self.request.as_bytes() {
            return Err(ApiError::KeyReused);
        }
        let Some(status) = row.try_get::<Option<u16>, _>(2)? else { return Ok(None) };
        let tag =
            row.try_get::<Option<String>, _>(3)?.map(|tag| tag.parse()).transpose().map_err(ApiError::internal)?;
        let status = StatusCode::from_u16(status).map_err(ApiError::internal)?;
        Ok(Some(Answer {
            status,
            tag,
            body: row.try_get::<Option<Vec<u8>>, _>(4)?.unwrap_or_default(),
            is_replayed: true,
        }))
    }
}

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Once<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        let (mut parts, body) = request.into_parts();
        let caller = Caller::from_request_parts(&mut parts, state).await?;
        let key = key(&parts.headers)?.map(|key| key_digest(caller.subject(), key));
        let route = parts.extensions.get::<MatchedPath>().map_or("", MatchedPath::as_str).to_owned();
        // The same under both prefixes.
        let route = route.rsplit_once("/api/").map_or(&*route, |(_, route)| route).to_owned();
        let (method, path) = (parts.method.clone(), parts.uri.path().to_owned());
        let body = json_bytes(Request::from_parts(parts, body), state).await?;
        let keyed = key.map(|key| Keyed {
            key,
            request: Digest::of_bytes(&[method.as_str().as_bytes(), route.as_bytes(), path.as_bytes(), &body]),
        });
        Ok(Self { body: parse_object(&body)?, attempt: Attempt(keyed) })
    }
}

/// Each caller has keys of its own.
fn key_digest(subject: Option<&str>, key: &[u8]) -> Digest {
    match subject {
        Some(subject) => Digest::of_bytes(&[b"subject", subject.as_bytes(), key]),
        None => Digest::of_bytes(&[b"anybody", key]),
    }
}

fn key(headers: &HeaderMap) -> Result<Option<&[u8]>, ApiError> {
    let mut keys = headers.get_all(IDEMPOTENCY_KEY).iter();
    let (Some(key), other) = (keys.next(), keys.next()) else { return Ok(None) };
    let key = key.as_bytes();
    let is_printable = key.iter().all(|byte| (b' '..=b'~').contains(byte));
    if other.is_some() || !is_printable || !(1..=255).contains(&key.len()) {
        return Err(ApiError::BadRequest(
            "The header Idempotency-Key must be there once, with 1 to 255 printable ASCII characters.".to_owned(),
        ));
    }
    Ok(Some(key))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn a_key_is_a_text_of_its_callers_own() {
        assert_eq!(key_digest(Some("a"), b"k"), key_digest(Some("a"), b"k"));
        for (subject, other) in [(Some("b"), "k"), (Some("a"), "K"), (None, "k"), (Some(""), "ak")] {
            assert_ne!(key_digest(Some("a"), b"k"), key_digest(subject, other.as_bytes()), "{subject:?} {other}");
        }
    }

    #[test]
    fn what_is_no_key_is_refused() {
        let headers = |values: &[&[u8]]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(IDEMPOTENCY_KEY, HeaderValue::from_bytes(value).unwrap());
            }
            headers
        };
        let long = [b'k'; 256];
        for values in [&[&b""[..]][..], &[b"caf\xc3\xa9"], &[b"a\tb"], &[&long], &[b"a", b"b"], &[b"a", b"a"]] {
            assert!(key(&headers(values)).is_err(), "{values:?}");
        }
        assert_eq!(key(&headers(&[&long[..255]])).unwrap(), Some(&long[..255]));
        assert_eq!(key(&headers(&[b"a b~"])).unwrap(), Some(&b"a b~"[..]));
        assert_eq!(key(&HeaderMap::new()).unwrap(), None);
    }
}
