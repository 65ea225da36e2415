//! Idempotency keys: a request that is sent again with the same `Idempotency-Key` has one effect and one response.
//!
//! The response to the first request with a key is saved in the transaction of its effect and given to every later request
//! with that key for 24 hours. A refusal that depends on the data (404, 409, 412) is saved as well, because a client that was
//! refused must not find later that the request succeeded after all. Errors of the request itself (400, 413, …) and failures
//! (5xx) are not saved: they have changed nothing, and the request may be sent again, corrected or not.
//!
//! A client that does not know how a request ended sends it again with its key. Either it was done and gets the saved
//! response, or it is done now.

use axum::extract::{FromRequest, FromRequestParts, MatchedPath, RawPathParams, Request};
use chrono::{DateTime, SubsecRound, TimeDelta, Utc};
use http::{HeaderMap, HeaderName, Method, StatusCode, request::Parts};
use serde::de::DeserializeOwned;
use sqlx::{FromRow, MySqlConnection};

use crate::{
    Digest,
    clock::Clock,
    db::{self, Comparison, Pool, is_duplicate_key, is_lock_refused},
    http::{ApiError, Caller, JsonResponse, json_bytes, parse_object},
};

/// The header that carries the key: 1 to 255 printable ASCII characters of the client's choice.
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// How long a response is saved.
const LIFETIME: TimeDelta = TimeDelta::hours(24);

/// One new key in this many deletes expired keys.
const KEYS_PER_CLEANUP: u8 = 16;

/// A JSON body together with the request's idempotency key.
#[derive(Clone, Debug)]
pub struct Idempotent<T> {
    pub body: T,
    pub key: IdempotencyKey,
}

/// The idempotency key of a request, if it has one. [`transaction!`](crate::transaction) saves responses under it.
#[derive(Clone, Debug)]
pub struct IdempotencyKey(Option<RequestDigests>);

/// What is stored of a key: digests, so that keys of any length have a short primary key.
#[derive(Clone, Debug, PartialEq)]
struct RequestDigests {
    /// The digest of the key and its owner.
    key: Digest,
    /// The digest of the method, route, body and the parameters in the path. The path itself differs between the two prefixes.
    request: Digest,
}

/// A row of `idempotency_keys`.
#[derive(FromRow)]
struct SavedRequest {
    request: Vec<u8>,
    created_at: DateTime<Utc>,
    /// None while the first request still runs.
    status: Option<u16>,
    entity_tag: Option<String>,
    body: Option<Vec<u8>>,
}

impl IdempotencyKey {
    /// Returns the response to an earlier request with this key. If there is none, the transaction holds the key until it
    /// ends. This costs two statements for a first request, one for a repeated one, and none without a key.
    ///
    /// # Errors
    /// [`ApiError::KeyInUse`] while the first request still runs, without waiting for it; [`ApiError::KeyReused`] when the key
    /// was sent with another request.
    pub async fn saved_response(
        &self,
        connection: &mut MySqlConnection,
        clock: &Clock,
    ) -> Result<Option<JsonResponse>, ApiError> {
        match &self.0 {
            Some(digests) => digests.saved_response(connection, clock.now().trunc_subsecs(3)).await,
            None => Ok(None),
        }
    }

    /// Saves `response`, which may be sent once the transaction is committed, and returns it.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn save_response(
        &self,
        connection: &mut MySqlConnection,
        clock: &Clock,
        response: JsonResponse,
    ) -> Result<JsonResponse, ApiError> {
        if let Some(digests) = &self.0 {
            digests.save_response(connection, &response).await?;
            // Last, so that no other request waits for the locks of this one for longer than needed.
            if digests.key.as_bytes()[0].is_multiple_of(KEYS_PER_CLEANUP) {
                delete_expired_keys(connection, clock.now()).await?;
            }
        }
        Ok(response)
    }

    /// Saves the refusal in `result`, if it is one (404, 409, 412), in a transaction of its own, because the request's
    /// transaction was rolled back. Returns the response to send. If another request with the key has saved a response
    /// meanwhile, returns that one.
    ///
    /// # Errors
    /// The error in `result` if it is not a refusal, or when the database fails.
    pub async fn save_refusal(
        &self,
        pool: &Pool,
        clock: &Clock,
        result: Result<JsonResponse, ApiError>,
    ) -> Result<JsonResponse, ApiError> {
        let (Err(error), Some(_)) = (&result, &self.0) else { return result };
        let Some(refusal) = error.refusal()? else { return result };
        db::transaction!(pool, |connection| {
            match self.saved_response(connection, clock).await? {
                Some(response) => Ok(response),
                None => self.save_response(connection, clock, refusal.clone()).await,
            }
        })
    }
}

impl RequestDigests {
    async fn saved_response(
        &self,
        connection: &mut MySqlConnection,
        now: DateTime<Utc>,
    ) -> Result<Option<JsonResponse>, ApiError> {
        let saved = sqlx::query_as(
            "SELECT request, created_at, status, entity_tag, body
             FROM idempotency_keys
             WHERE digest = ?
             FOR UPDATE NOWAIT",
        )
        .bind(self.key.as_bytes())
        .fetch_optional(&mut *connection)
        .await;
        match saved {
            Ok(Some(saved)) => match self.response_in(saved, now)? {
                Some(response) => Ok(Some(response)),
                None => {
                    self.reuse_expired_key(connection, now).await?;
                    Ok(None)
                }
            },
            Ok(None) => match self.insert_key(connection, now).await {
                Ok(()) => Ok(None),
                Err(error) if is_duplicate_key(&error) => self.committed_response(connection, now).await.map(Some),
                Err(error) => Err(error.into()),
            },
            // Another request holds the lock: the first one, or a repeat that is reading the saved response.
            Err(error) if is_lock_refused(&error) => self.committed_response(connection, now).await.map(Some),
            Err(error) => Err(error.into()),
        }
    }

    /// Returns the committed response of a key whose row another transaction has locked. Reads without a lock.
    async fn committed_response(
        &self,
        connection: &mut MySqlConnection,
        now: DateTime<Utc>,
    ) -> Result<JsonResponse, ApiError> {
        let saved = sqlx::query_as(
            "SELECT request, created_at, status, entity_tag, body
             FROM idempotency_keys
             WHERE digest = ?",
        )
        .bind(self.key.as_bytes())
        .fetch_optional(connection)
        .await?;
        let response = saved.map(|saved| self.response_in(saved, now)).transpose()?.flatten();
        response.ok_or(ApiError::KeyInUse)
    }

    async fn insert_key(&self, connection: &mut MySqlConnection, now: DateTime<Utc>) -> Result<(), sqlx::Error> {
        sqlx::query("INSERT INTO idempotency_keys (digest, request, created_at) VALUES (?, ?, ?)")
            .bind(self.key.as_bytes())
            .bind(self.request.as_bytes())
            .bind(now)
            .execute(connection)
            .await
            .map(|_| ())
    }

    /// Uses an expired key again.
    async fn reuse_expired_key(&self, connection: &mut MySqlConnection, now: DateTime<Utc>) -> Result<(), sqlx::Error> {
        sqlx::query(
            "UPDATE idempotency_keys
             SET request = ?, created_at = ?, status = NULL, entity_tag = NULL, body = NULL
             WHERE digest = ?",
        )
        .bind(self.request.as_bytes())
        .bind(now)
        .bind(self.key.as_bytes())
        .execute(connection)
        .await
        .map(|_| ())
    }

    async fn save_response(
        &self,
        connection: &mut MySqlConnection,
        response: &JsonResponse,
    ) -> Result<(), sqlx::Error> {
        sqlx::query(
            "UPDATE idempotency_keys
             SET status = ?, entity_tag = ?, body = ?
             WHERE digest = ?",
        )
        .bind(response.status.as_u16())
        .bind(response.tag_text())
        .bind(&response.body)
        .bind(self.key.as_bytes())
        .execute(connection)
        .await
        .map(|_| ())
    }

    /// Returns the response in `saved`, unless it is expired or not there yet.
    fn response_in(&self, saved: SavedRequest, now: DateTime<Utc>) -> Result<Option<JsonResponse>, ApiError> {
        if saved.created_at <= now - LIFETIME {
            return Ok(None);
        }
        if saved.request != self.request.as_bytes() {
            return Err(ApiError::KeyReused);
        }
        let Some(status) = saved.status else { return Ok(None) };
        Ok(Some(JsonResponse {
            status: StatusCode::from_u16(status).map_err(ApiError::internal)?,
            tag: saved.entity_tag.map(|tag| tag.parse()).transpose().map_err(ApiError::internal)?,
            body: saved.body.unwrap_or_default(),
            is_replayed: true,
        }))
    }
}

/// Deletes keys that have expired by `now`, but no more than a request can do on the side.
async fn delete_expired_keys(connection: &mut MySqlConnection, now: DateTime<Utc>) -> Result<(), sqlx::Error> {
    sqlx::query(
        "DELETE FROM idempotency_keys
         WHERE created_at <= ?
         ORDER BY created_at
         LIMIT 200",
    )
    .bind(now - LIFETIME)
    .execute(connection)
    .await
    .map(|_| ())
}

/// Compares the keys with the responses that are saved with them, for `rotracker check`. A key is never committed without one.
///
/// # Errors
/// When the database fails.
pub async fn check(connection: &mut MySqlConnection, kept: usize) -> Result<Comparison, ApiError> {
    let query = "
        SELECT 'idempotency_keys' AS table_name,
               HEX(digest) AS row_id,
               'has no response' AS difference
        FROM idempotency_keys
        WHERE status IS NULL OR body IS NULL";
    Comparison::of_rows(connection, "responses to requests with a key", kept, query).await
}

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Idempotent<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        let (mut parts, body) = request.into_parts();
        let keyed = KeyedRequest::read(&mut parts, state).await?;
        let body = json_bytes(Request::from_parts(parts, body), state).await?;
        Ok(Self { key: keyed.with_body(&body), body: parse_object(&body)? })
    }
}

/// For requests without a body.
impl<S: Send + Sync> FromRequestParts<S> for IdempotencyKey {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        Ok(KeyedRequest::read(parts, state).await?.with_body(&[]))
    }
}

/// A request without its body.
struct KeyedRequest {
    key: Option<Digest>,
    method: Method,
    route: String,
    /// The values of the route's parameters in the path.
    parameters: Vec<String>,
}

impl KeyedRequest {
    async fn read<S: Send + Sync>(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let caller = Caller::from_request_parts(parts, state).await?;
        let key = key_in(&parts.headers)?.map(|key| key_digest(caller.subject(), key));
        let route = parts.extensions.get::<MatchedPath>().map_or("", MatchedPath::as_str);
        // A request is the same under both prefixes.
        let route = route.rsplit_once("/api/").map_or(route, |(_, route)| route).to_owned();
        // This fails only for a path that is not UTF-8. Handlers reject it, so that nothing is saved.
        let parameters = RawPathParams::from_request_parts(parts, state).await;
        let parameters = parameters.iter().flatten().map(|(_, value)| value.to_owned()).collect();
        Ok(Self { key, method: parts.method.clone(), route, parameters })
    }

    fn with_body(self, body: &[u8]) -> IdempotencyKey {
        let Self { key, method, route, parameters } = self;
        let mut request = vec![method.as_str().as_bytes(), route.as_bytes(), body];
        request.extend(parameters.iter().map(String::as_bytes));
        IdempotencyKey(key.map(|key| RequestDigests { key, request: Digest::of_bytes(&request) }))
    }
}

/// Callers cannot meet each other's keys: the digest covers the caller.
fn key_digest(subject: Option<&str>, key: &[u8]) -> Digest {
    match subject {
        Some(subject) => Digest::of_bytes(&[b"subject", subject.as_bytes(), key]),
        None => Digest::of_bytes(&[b"anybody", key]),
    }
}

/// Reads the key from the headers.
fn key_in(headers: &HeaderMap) -> Result<Option<&[u8]>, ApiError> {
    let mut keys = headers.get_all(IDEMPOTENCY_KEY).iter();
    let (Some(key), other) = (keys.next(), keys.next()) else { return Ok(None) };
    let key = key.as_bytes();
    let is_printable = key.iter().all(|byte| (b' '..=b'~').contains(byte));
    if other.is_some() || !is_printable || !(1..=255).contains(&key.len()) {
        return Err(ApiError::BadRequest(
            "Send the header Idempotency-Key once, with 1 to 255 printable ASCII characters.".to_owned(),
        ));
    }
    Ok(Some(key))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn keys_of_different_callers_differ() {
        assert_eq!(key_digest(Some("a"), b"k"), key_digest(Some("a"), b"k"));
        for (subject, other) in [(Some("b"), "k"), (Some("a"), "K"), (None, "k"), (Some(""), "ak")] {
            assert_ne!(key_digest(Some("a"), b"k"), key_digest(subject, other.as_bytes()), "{subject:?} {other}");
        }
    }

    #[test]
    fn malformed_keys_are_rejected() {
        let headers = |values: &[&[u8]]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(IDEMPOTENCY_KEY, HeaderValue::from_bytes(value).unwrap());
            }
            headers
        };
        let long = [b'k'; 256];
        for values in [&[&b""[..]][..], &[b"caf\xc3\xa9"], &[b"a\tb"], &[&long], &[b"a", b"b"], &[b"a", b"a"]] {
            assert!(key_in(&headers(values)).is_err(), "{values:?}");
        }
        assert_eq!(key_in(&headers(&[&long[..255]])).unwrap(), Some(&long[..255]));
        assert_eq!(key_in(&headers(&[b"a b~"])).unwrap(), Some(&b"a b~"[..]));
        assert_eq!(key_in(&HeaderMap::new()).unwrap(), None);
    }
}
