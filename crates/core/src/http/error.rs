//! The error type of all handlers, and its JSON body:
//! `{"error": kind, "message": sentence, "details"?: {"fields": {name: problem}} or {"current": {name: value}}}`.

use std::{collections::BTreeMap, error::Error, time::Duration};

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;

use super::{Json, JsonResponse, NotAdministrator, observe::Refusal};
use crate::{
    auth::{TokenError, VerifyError},
    db::{Failure, classify, hint},
    metrics::{self, Metric},
    telemetry,
};

/// Everything that a request can fail with, named for what the client can do about it. Details of a 5xx go to the log,
/// once, and never to the client.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// 400: the request as a whole cannot be understood.
    #[error("{0}")]
    BadRequest(String),
    /// 400: some fields or parameters are wrong.
    #[error("{0}")]
    Invalid(FieldProblems),
    /// 401: the request has no valid token.
    #[error("{0}")]
    Unauthenticated(TokenError),
    /// 403: the caller is known and may not do this, for a reason that the log line has.
    #[error("{0}")]
    Forbidden(String, Option<NotAdministrator>),
    /// 404.
    #[error("{0}")]
    NotFound(String),
    /// 405: the path exists, but not for this method.
    #[error("This path does not take that method.")]
    MethodNotAllowed,
    /// 409: the request contradicts the data.
    #[error("{0}")]
    Conflict(String),
    /// 409: a value that the request expects is another by now.
    #[error("{message}")]
    Outdated {
        message: String,
        /// The current value, as `details` shows it.
        current: BTreeMap<&'static str, Option<i64>>,
    },
    /// 412: the resource is not in the state that `If-Match` or `If-None-Match` asks for.
    #[error("It has changed since you read it, or is not in the state that the request expects. Read it again.")]
    PreconditionFailed,
    /// 409: the first request with the same `Idempotency-Key` is still running.
    #[error("The first request with this Idempotency-Key has not been answered yet. Try again.")]
    KeyInUse,
    /// 422: the `Idempotency-Key` was sent with another request before.
    #[error("This Idempotency-Key was sent with another request, which has been answered. Use a new one.")]
    KeyReused,
    /// 413: the body is longer than this limit in bytes.
    #[error("The body must be at most {0} bytes long.")]
    PayloadTooLarge(usize),
    /// 414: path and query are longer than this limit in bytes.
    #[error("The path and its query must be at most {0} bytes long together.")]
    UriTooLong(usize),
    /// 431.
    #[error("The headers are too many or too long.")]
    HeadersTooLarge,
    /// 415: the `Content-Type` is not JSON.
    #[error("The body must be JSON, with the header Content-Type: application/json.")]
    UnsupportedMediaType,
    /// 415: the body is compressed.
    #[error(
        "The body must not be encoded. Send it without the header Content-Encoding, or with Content-Encoding: identity."
    )]
    UnsupportedContentEncoding,
    /// The database failed: 503 if the same request may succeed later, else 500.
    #[error("the database failed")]
    Database(#[from] sqlx::Error),
    /// 503: the connection was lost during a commit, so it is unknown whether the change was saved.
    #[error("the connection was lost during a commit")]
    OutcomeUnknown(#[source] sqlx::Error),
    /// 503: the token cannot be checked at the moment.
    #[error("the token cannot be checked")]
    TokenUncheckable(#[source] VerifyError),
    /// 500: a defect of ours.
    #[error("an unexpected error")]
    Internal(#[source] Box<dyn Error + Send + Sync>),
}

impl From<VerifyError> for ApiError {
    fn from(error: VerifyError) -> Self {
        match error {
            VerifyError::Rejected(error) => Self::Unauthenticated(error),
            error => Self::TokenUncheckable(error),
        }
    }
}

/// The message of a 503 if the service lacks the configuration with which it would know who sends a request.
pub const NOT_CONFIGURED: &str = "The authentication of this service is not configured. Its log says more.";

/// The message of a 503 if the keys of the issuer are not available.
pub const TOKEN_UNCHECKABLE: &str = "Your token cannot be checked at the moment. Try again.";

/// The problems of a request, by field or parameter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FieldProblems(BTreeMap<String, String>);

impl FieldProblems {
    /// Adds a problem; `problem` completes a sentence that begins with the field's name. Only the first of a field is kept.
    pub fn add(&mut self, field: &str, problem: impl Into<String>) {
        self.0.entry(field.to_owned()).or_insert_with(|| problem.into());
    }

    /// Parses the text of `field`, if there is any. If that fails, adds the problem and returns `None`.
    pub fn parse<'t, T, E: Into<String>>(
        &mut self,
        field: &str,
        text: Option<&'t str>,
        parse: impl FnOnce(&'t str) -> Result<T, E>,
    ) -> Option<T> {
        parse(text?).map_err(|problem| self.add(field, problem)).ok()
    }

    /// Adds a problem if `value` is missing.
    pub fn require<T>(&mut self, field: &str, value: Option<T>) -> Option<T> {
        if value.is_none() {
            self.add(field, "is required");
        }
        value
    }

    /// Returns `value`, which is there unless a problem was added.
    ///
    /// # Errors
    /// [`ApiError::Invalid`] with all problems.
    pub fn finish<T>(self, value: Option<T>) -> Result<T, ApiError> {
        value.filter(|_| self.0.is_empty()).ok_or(ApiError::Invalid(self))
    }

    /// Fails if there are problems.
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
    /// Creates a 400 for one field or parameter; `problem` completes a sentence that begins with its name.
    pub fn invalid(field: &str, problem: impl Into<String>) -> Self {
        let mut problems = FieldProblems::default();
        problems.add(field, problem);
        Self::Invalid(problems)
    }

    /// Creates a 500; `source` goes to the log.
    pub fn internal(source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Internal(source.into())
    }

    pub fn status(&self) -> StatusCode {
        match self {
            Self::BadRequest(_) | Self::Invalid(_) => StatusCode::BAD_REQUEST,
            Self::Unauthenticated(_) => StatusCode::UNAUTHORIZED,
            Self::Forbidden(..) => StatusCode::FORBIDDEN,
            Self::NotFound(_) => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::Conflict(_) | Self::Outdated { .. } | Self::KeyInUse => StatusCode::CONFLICT,
            Self::PreconditionFailed => StatusCode::PRECONDITION_FAILED,
            Self::KeyReused => StatusCode::UNPROCESSABLE_ENTITY,
            Self::PayloadTooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::UnsupportedMediaType | Self::UnsupportedContentEncoding => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::UriTooLong(_) => StatusCode::URI_TOO_LONG,
            Self::HeadersTooLarge => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Self::OutcomeUnknown(_) | Self::TokenUncheckable(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Database(error) => match classify(error) {
                Failure::Other => StatusCode::INTERNAL_SERVER_ERROR,
                _ => StatusCode::SERVICE_UNAVAILABLE,
            },
            Self::Internal(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// The `error` member of the body: a constant text for each status.
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

    /// The `message` member of the body; that of a 5xx has no details.
    fn message(&self) -> String {
        match (self, self.status()) {
            (Self::OutcomeUnknown(_), _) => {
                "The connection to the database was lost while the change was being saved. Check whether it was saved \
                 before you try again, or send the request again with the same Idempotency-Key if it had one."
                    .to_owned()
            }
            (Self::TokenUncheckable(VerifyError::NotConfigured | VerifyError::NoProxySecret), _) => {
                NOT_CONFIGURED.to_owned()
            }
            (Self::TokenUncheckable(_), _) => TOKEN_UNCHECKABLE.to_owned(),
            (_, StatusCode::SERVICE_UNAVAILABLE) => "The database is busy or cannot be reached. Try again.".to_owned(),
            (_, StatusCode::INTERNAL_SERVER_ERROR) => "An unexpected error occurred.".to_owned(),
            _ => self.to_string(),
        }
    }

    /// The `WWW-Authenticate` header (RFC 6750, section 3).
    fn challenge(&self) -> Option<String> {
        match self {
            Self::Unauthenticated(error) => Some(error.challenge()),
            Self::Forbidden(..) => Some("Bearer realm=\"ro-tracker\", error=\"insufficient_scope\"".to_owned()),
            _ => None,
        }
    }

    /// The `Retry-After` header.
    fn retry_after(&self) -> Option<Duration> {
        (self.status() == StatusCode::SERVICE_UNAVAILABLE || matches!(self, Self::KeyInUse))
            .then_some(Duration::from_secs(1))
    }
}

#[derive(Serialize)]
struct ErrorBody<'a> {
    error: &'a str,
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    details: Option<ErrorDetails<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "lowercase")]
enum ErrorDetails<'a> {
    Fields(&'a BTreeMap<String, String>),
    Current(&'a BTreeMap<&'static str, Option<i64>>),
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        if self.status().is_server_error() {
            self.log("request failed");
        }
        self.response()
    }
}

impl ApiError {
    /// Logs the error with `message`, and counts it in the metrics if the database was unavailable.
    pub fn log(&self, message: &str) {
        let is_from_database = matches!(self, Self::Database(_) | Self::OutcomeUnknown(_));
        if is_from_database && self.status() == StatusCode::SERVICE_UNAVAILABLE {
            metrics::count(Metric::DatabaseUnavailable, 1);
        }
        let hint = match self {
            Self::Database(error) | Self::OutcomeUnknown(error) => hint(error),
            _ => None,
        };
        let fault = hint.map(|_| "configuration");
        tracing::error!(error = %telemetry::error_chain(self), fault, hint, "{message}");
    }

    /// Returns the response if the request was valid but the data did not allow it (404, 409, 412). For errors of the request
    /// itself and for failures returns `None`.
    ///
    /// # Errors
    /// When it cannot be written as JSON, which would be a defect.
    pub(crate) fn refusal(&self) -> Result<Option<JsonResponse>, Self> {
        match self {
            Self::NotFound(_) | Self::Conflict(_) | Self::Outdated { .. } | Self::PreconditionFailed => {
                Ok(Some(JsonResponse::new(&self.body())?.with_status(self.status())))
            }
            _ => Ok(None),
        }
    }

    fn body(&self) -> ErrorBody<'_> {
        let details = match self {
            Self::Invalid(FieldProblems(fields)) => Some(ErrorDetails::Fields(fields)),
            Self::Outdated { current, .. } => Some(ErrorDetails::Current(current)),
            _ => None,
        };
        ErrorBody { error: self.kind(), message: self.message(), details }
    }

    /// Makes the response without logging the error.
    pub(super) fn response(&self) -> Response {
        let mut response = (self.status(), Json(self.body())).into_response();
        if let Some(retry_after) = self.retry_after() {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(retry_after.as_secs()));
        }
        if let Some(challenge) = self.challenge().and_then(|challenge| HeaderValue::try_from(challenge).ok()) {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
        }
        if matches!(self, Self::UnsupportedContentEncoding) {
            // The encodings that are accepted (RFC 9110, section 12.5.3).
            response.headers_mut().insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        }
        let refusal = match self {
            Self::Unauthenticated(error) => Some(error.to_string()),
            Self::Forbidden(_, reason) => reason.map(|reason| reason.to_string()),
            _ => None,
        };
        if let Some(refusal) = refusal {
            response.extensions_mut().insert(Refusal(refusal));
        }
        response
    }
}
