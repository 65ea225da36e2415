//! One error type, one JSON shape (design, reading 1).

use std::{collections::BTreeMap, error::Error, time::Duration};

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;

use super::{Answer, Json};
use crate::{
    auth::{Refusal, VerifyError},
    db::{Failure, classify},
    metrics::{self, Metric},
    telemetry,
};

/// Everything a request can fail with, named for what the client can do about it. Details of a 5xx go to the log,
/// once, and never to the client.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// 400: the request as a whole cannot be understood.
    #[error("{0}")]
    BadRequest(String),
    /// 400: some fields or parameters are wrong, each said by name.
    #[error("{0}")]
    Invalid(FieldProblems),
    /// 401: nobody whom the issuer vouches for sends it.
    #[error("{0}")]
    Unauthenticated(Refusal),
    /// 403: the caller is known, and may not do this.
    #[error("{0}")]
    Forbidden(String),
    /// 404: there is no such thing.
    #[error("{0}")]
    NotFound(String),
    /// 405: the path exists, the method does not.
    #[error("This path does not take that method.")]
    MethodNotAllowed,
    /// 409: the request clashes with what is there.
    #[error("{0}")]
    Conflict(String),
    /// 412: what is there is not what the client has seen.
    #[error("It has been changed since it was read, or is not as the request expects it. Read it again.")]
    PreconditionFailed,
    /// 409: the first request with the same `Idempotency-Key` is still being worked on.
    #[error("The first request with this Idempotency-Key has not been answered yet. Try again.")]
    KeyInUse,
    /// 422: the `Idempotency-Key` was that of another request.
    #[error("This Idempotency-Key was sent with another request, which has been answered. Use a new one.")]
    KeyReused,
    /// 413: the body is over the limit, given in bytes.
    #[error("The body must be at most {0} bytes long.")]
    PayloadTooLarge(usize),
    /// 414: path and query are over the limit, given in bytes.
    #[error("The path and its query must be at most {0} bytes long together.")]
    UriTooLong(usize),
    /// 431: there are too many headers, or they are too long.
    #[error("The headers are too many or too long.")]
    HeadersTooLarge,
    /// 415: the body is not JSON, or not said to be.
    #[error("The body must be JSON, with the header Content-Type: application/json.")]
    UnsupportedMediaType,
    /// 503 where waiting helps, else 500: the database failed.
    #[error("the database failed")]
    Database(#[from] sqlx::Error),
    /// 503: the connection broke while a change was being committed, so nobody knows whether it was.
    #[error("the connection broke during a commit")]
    OutcomeUnknown(#[source] sqlx::Error),
    /// 503: it cannot be told who sends the request.
    #[error("the caller cannot be known")]
    CallerUnknown(#[source] VerifyError),
    /// 500: a defect of ours.
    #[error("an unexpected error")]
    Internal(#[source] Box<dyn Error + Send + Sync>),
}

impl From<VerifyError> for ApiError {
    fn from(error: VerifyError) -> Self {
        match error {
            VerifyError::Refused(refusal) => Self::Unauthenticated(refusal),
            error => Self::CallerUnknown(error),
        }
    }
}

/// What is wrong with a request, by field or parameter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FieldProblems(BTreeMap<String, String>);

impl FieldProblems {
    /// Notes that `field` is wrong; `problem` completes a sentence that begins with its name.
    pub fn add(&mut self, field: &str, problem: impl Into<String>) {
        self.0.entry(field.to_owned()).or_insert_with(|| problem.into());
    }

    /// Parses the text of `field`, if there is any; notes what is wrong with it and then gives nothing.
    pub fn parse<'t, T, E: Into<String>>(
        &mut self,
        field: &str,
        text: Option<&'t str>,
        parse: impl FnOnce(&'t str) -> Result<T, E>,
    ) -> Option<T> {
        parse(text?).map_err(|problem| self.add(field, problem)).ok()
    }

    /// Notes that `field` is required if it is not there.
    pub fn require<T>(&mut self, field: &str, value: Option<T>) -> Option<T> {
        if value.is_none() {
            self.add(field, "is required");
        }
        value
    }

    /// Hands over what was made of the fields; what could not be made was noted.
    ///
    /// # Errors
    /// [`ApiError::Invalid`] with all problems.
    pub fn finish<T>(self, made: Option<T>) -> Result<T, ApiError> {
        made.filter(|_| self.0.is_empty()).ok_or(ApiError::Invalid(self))
    }

    /// Fails if anything was noted.
    ///
    /// # Errors
    /// [`ApiError::Invalid`] with all problems.
    pub fn into_result(self) -> Result<(), ApiError> {
        if self.0.is_empty() { Ok(()) } else { Err(ApiError::Invalid(self)) }
    }
}

impl std::fmt::Display for FieldProblems {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (index, (field, problem)) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { "; " };
            write!(formatter, "{separator}{field} {problem}")?;
        }
        formatter.write_str(".")
    }
}

impl ApiError {
    /// 400 for one field or parameter; `problem` completes a sentence that begins with its name.
    pub fn invalid(field: &str, problem: impl Into<String>) -> Self {
        let mut problems = FieldProblems::default();
        problems.add(field, problem);
        Self::Invalid(problems)
    }

    /// 500 with `source` as what the log says.
    pub fn internal(source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Internal(source.into())
    }

    /// The answer's status.
    pub fn status(&self) -> StatusCode {
        match self {
            Self::BadRequest(_) | Self::Invalid(_) => StatusCode::BAD_REQUEST,
            Self::Unauthenticated(_) => StatusCode::UNAUTHORIZED,
            Self::Forbidden(_) => StatusCode::FORBIDDEN,
            Self::NotFound(_) => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::Conflict(_) | Self::KeyInUse => StatusCode::CONFLICT,
            Self::PreconditionFailed => StatusCode::PRECONDITION_FAILED,
            Self::KeyReused => StatusCode::UNPROCESSABLE_ENTITY,
            Self::PayloadTooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::UnsupportedMediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::UriTooLong(_) => StatusCode::URI_TOO_LONG,
            Self::HeadersTooLarge => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Self::OutcomeUnknown(_) | Self::CallerUnknown(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Database(error) => match classify(error) {
                Failure::Contention | Failure::ConnectionLost | Failure::Unreachable => StatusCode::SERVICE_UNAVAILABLE,
                Failure::Other => StatusCode::INTERNAL_SERVER_ERROR,
            },
            Self::Internal(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// The `error` member: which kind of failure this is, in words that stay the same.
    fn kind(&self) -> &'static str {
        match self.status() {
            StatusCode::BAD_REQUEST => "Validation error",
            StatusCode::UNAUTHORIZED => "Unauthorized",
            StatusCode::FORBIDDEN => "Forbidden",
            StatusCode::NOT_FOUND => "Not found",
            StatusCode::METHOD_NOT_ALLOWED => "Method not allowed",
            StatusCode::CONFLICT => "Conflict",
            StatusCode::PRECONDITION_FAILED => "Precondition failed",
            StatusCode::UNPROCESSABLE_ENTITY => "Idempotency key reused",
            StatusCode::PAYLOAD_TOO_LARGE => "Payload too large",
            StatusCode::UNSUPPORTED_MEDIA_TYPE => "Unsupported media type",
            StatusCode::URI_TOO_LONG => "URI too long",
            StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE => "Request header fields too large",
            StatusCode::SERVICE_UNAVAILABLE => "Service unavailable",
            _ => "Internal server error",
        }
    }

    /// The `message` member; for a 5xx one that gives nothing away.
    fn message(&self) -> String {
        match (self, self.status()) {
            (Self::OutcomeUnknown(_), _) => {
                "The connection to the database broke while the change was being saved. Look whether it was before \
                 you try again, or send it again with the same Idempotency-Key if it had one."
                    .to_owned()
            }
            (Self::CallerUnknown(_), _) => "It cannot be checked at the moment who you are. Try again.".to_owned(),
            (_, StatusCode::SERVICE_UNAVAILABLE) => "The database is busy or cannot be reached. Try again.".to_owned(),
            (_, StatusCode::INTERNAL_SERVER_ERROR) => "An unexpected error occurred.".to_owned(),
            _ => self.to_string(),
        }
    }

    /// How the client is told to say who it is (RFC 6750, section 3).
    fn challenge(&self) -> Option<String> {
        match self {
            Self::Unauthenticated(refusal) => Some(refusal.challenge()),
            Self::Forbidden(_) => Some("Bearer realm=\"ro-tracker\", error=\"insufficient_scope\"".to_owned()),
            _ => None,
        }
    }

    /// When another try is worth it.
    fn retry_after(&self) -> Option<Duration> {
        (self.status() == StatusCode::SERVICE_UNAVAILABLE || matches!(self, Self::KeyInUse))
            .then_some(Duration::from_secs(1))
    }
}

/// The body of every error answer.
#[derive(Serialize)]
struct ErrorBody<'a> {
    error: &'a str,
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    details: Option<ErrorDetails<'a>>,
}

#[derive(Serialize)]
struct ErrorDetails<'a> {
    fields: &'a BTreeMap<String, String>,
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        if self.status().is_server_error() {
            self.report("request failed");
        }
        self.answer()
    }
}

impl ApiError {
    /// Tells operators of a request's failure: the log in the words of `what`, and the metrics if the database was
    /// unavailable.
    pub fn report(&self, what: &str) {
        let is_of_database = matches!(self, Self::Database(_) | Self::OutcomeUnknown(_));
        if is_of_database && self.status() == StatusCode::SERVICE_UNAVAILABLE {
            metrics::count(Metric::DatabaseUnavailable, 1);
        }
        tracing::error!(error = %telemetry::causes(self), "{what}");
    }

    /// The answer to a request that was understood, where what was there did not allow it (404, 409, 412): that it was so is
    /// as much an outcome as any other. Nothing for errors of the request itself and for failures.
    ///
    /// # Errors
    /// When it cannot be written as JSON, which would be a defect.
    pub(crate) fn outcome(&self) -> Result<Option<Answer>, Self> {
        match self {
            Self::NotFound(_) | Self::Conflict(_) | Self::PreconditionFailed => {
                Ok(Some(Answer::json(&self.body())?.with_status(self.status())))
            }
            _ => Ok(None),
        }
    }

    fn body(&self) -> ErrorBody<'_> {
        let details = match self {
            Self::Invalid(FieldProblems(fields)) => Some(ErrorDetails { fields }),
            _ => None,
        };
        ErrorBody { error: self.kind(), message: self.message(), details }
    }

    /// The answer, for an error that is in the log already.
    pub(super) fn answer(&self) -> Response {
        let mut response = (self.status(), Json(self.body())).into_response();
        if let Some(retry_after) = self.retry_after() {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(retry_after.as_secs()));
        }
        if let Some(challenge) = self.challenge().and_then(|challenge| HeaderValue::try_from(challenge).ok()) {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
        }
        if let Self::Unauthenticated(refusal) = self {
            // For the request's line of the log.
            response.extensions_mut().insert(*refusal);
        }
        response
    }
}
