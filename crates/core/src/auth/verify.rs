//! Verifies bearer tokens and returns their callers.

use http::{HeaderMap, HeaderValue, header};
use jsonwebtoken::{Validation, errors::ErrorKind};
use serde_json::{Map, Value};

use super::{
    config::IssuerConfig,
    keys::{Key, KeyError, Keys},
};
use crate::http::{Caller, NotAdministrator};

/// How far clocks may be apart.
const LEEWAY_SECONDS: u64 = 60;

/// The longest token. API Gateway takes 10 KB of headers in all.
const MAX_TOKEN_BYTES: usize = 16 * 1024;

/// The longest subject that fits the columns for users.
const MAX_SUBJECT_CHARS: usize = 255;

/// The reason why a token is rejected. The client may know it, since it knows the token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// There is no bearer token.
    #[error("This request needs a bearer token.")]
    Missing,
    /// There is more than one `Authorization` header.
    #[error("There must be one Authorization header.")]
    SeveralHeaders,
    /// The token is not a well-formed JWT.
    #[error("The token is malformed.")]
    Malformed,
    /// The signature does not belong to a key of the issuer.
    #[error("The token is not signed by the expected issuer.")]
    Signature,
    /// The claim `iss` names another issuer.
    #[error("The token is of another issuer.")]
    Issuer,
    /// The claim `aud` names another audience.
    #[error("The token is for another audience.")]
    Audience,
    /// The token has expired.
    #[error("The token has expired.")]
    Expired,
    /// The token is not valid yet.
    #[error("The token is not valid yet.")]
    NotYetValid,
    /// The request has no secret of the proxy through which requests must come. The client does not learn more.
    #[error("This request must come through the address of the dashboard.")]
    NotThroughProxy,
    /// The claim `sub` is missing, empty or too long, or has white space around it or control characters.
    #[error("The token has no valid subject.")]
    Subject,
}

impl TokenError {
    /// Returns the value of `WWW-Authenticate` (RFC 6750, section 3).
    pub fn challenge(self) -> String {
        let error = match self {
            // A request without a token gets no error code.
            Self::Missing | Self::NotThroughProxy => return "Bearer realm=\"ro-tracker\"".to_owned(),
            Self::SeveralHeaders => "invalid_request",
            _ => "invalid_token",
        };
        format!("Bearer realm=\"ro-tracker\", error=\"{error}\", error_description=\"{self}\"")
    }
}

/// The reason why a request is not authenticated.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// 401: the token is not valid.
    #[error(transparent)]
    Rejected(#[from] TokenError),
    /// 503: the issuer's keys are not available.
    #[error("the keys of the issuer are not available")]
    Unavailable,
    /// 503: no issuer is configured.
    #[error("no issuer of tokens is configured")]
    NotConfigured,
    /// 503: the proxy's secret is not configured.
    #[error("LEGACY_DASHBOARD is true, but PROXY_SECRET is not set")]
    NoProxySecret,
}

impl From<KeyError> for VerifyError {
    fn from(error: KeyError) -> Self {
        match error {
            KeyError::Unknown => Self::Rejected(TokenError::Signature),
            KeyError::Unavailable => Self::Unavailable,
        }
    }
}

/// Returns the bearer token in `headers` (RFC 6750, section 2.1).
pub(super) fn bearer(headers: &HeaderMap) -> Result<&str, TokenError> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let value = match (values.next(), values.next()) {
        (None, _) => return Err(TokenError::Missing),
        (Some(value), None) => HeaderValue::to_str(value).map_err(|_| TokenError::Malformed)?,
        (Some(_), Some(_)) => return Err(TokenError::SeveralHeaders),
    };
    match value.split_once(' ') {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => Ok(token.trim()),
        _ => Err(TokenError::Missing),
    }
}

/// Verifies `token` and returns its caller.
pub(super) async fn verify(token: &str, config: &IssuerConfig, keys: &Keys) -> Result<Caller, VerifyError> {
    if token.len() > MAX_TOKEN_BYTES {
        return Err(TokenError::Malformed.into());
    }
    let header = jsonwebtoken::decode_header(token).map_err(|_| TokenError::Malformed)?;
    // Extensions that a verifier must know, and this one does not (RFC 7515, section 4.1.11).
    if header.crit.is_some() {
        return Err(TokenError::Malformed.into());
    }
    let key = keys.find(header.kid.as_deref()).await?;
    let claims = match claims(token, &key, config) {
        Err(TokenError::Signature) if header.kid.is_none() => claims(token, &keys.find_replacement().await?, config)?,
        claims => claims?,
    };
    if !is_for_us(&claims, &config.audiences) {
        return Err(TokenError::Audience.into());
    }
    caller(&claims, config).ok_or_else(|| TokenError::Subject.into())
}

/// Checks the signature, the issuer and the times of `token`, and returns its claims.
fn claims(token: &str, key: &Key, config: &IssuerConfig) -> Result<Map<String, Value>, TokenError> {
    let mut rules = Validation::new(key.algorithm);
    rules.leeway = LEEWAY_SECONDS;
    rules.validate_nbf = true;
    // `verify` checks it.
    rules.validate_aud = false;
    rules.set_issuer(&config.accepted);
    rules.set_required_spec_claims(&["exp", "iss", "sub"]);
    let token = jsonwebtoken::decode(token, &key.key, &rules).map_err(|error| token_error(&error))?;
    Ok(token.claims)
}

fn token_error(error: &jsonwebtoken::errors::Error) -> TokenError {
    match error.kind() {
        ErrorKind::ExpiredSignature => TokenError::Expired,
        ErrorKind::ImmatureSignature => TokenError::NotYetValid,
        ErrorKind::InvalidIssuer => TokenError::Issuer,
        ErrorKind::InvalidSignature | ErrorKind::InvalidAlgorithm => TokenError::Signature,
        ErrorKind::MissingRequiredClaim(claim) if claim == "sub" => TokenError::Subject,
        _ => TokenError::Malformed,
    }
}

/// Returns whether the token is for one of `audiences`. Access tokens of Cognito have no `aud`; they name the client that they were
/// made for (`client_id`) and say that they are access tokens. Its identity tokens are for clients and not for APIs.
fn is_for_us(claims: &Map<String, Value>, audiences: &[String]) -> bool {
    let is_ours = |audience: &str| audiences.iter().any(|ours| ours == audience);
    let token_use = claims.get("token_use");
    match claims.get("aud") {
        Some(_) if token_use.is_some_and(|token_use| token_use != "access") => false,
        Some(aud) => texts(aud).any(is_ours),
        None => {
            token_use.is_some_and(|token_use| token_use == "access")
                && claims.get("client_id").and_then(Value::as_str).is_some_and(is_ours)
        }
    }
}

fn caller(claims: &Map<String, Value>, config: &IssuerConfig) -> Option<Caller> {
    let subject = claims.get("sub")?.as_str()?;
    // Users are stored without white space around them, and two subjects must not become one user.
    let is_plain = subject == subject.trim() && !subject.chars().any(char::is_control);
    if subject.is_empty() || !is_plain || subject.chars().count() > MAX_SUBJECT_CHARS {
        return None;
    }
    Some(Caller::verified(subject, administrator(claims, config)))
}

/// Checks that the claim of roles has that of administrators. A text is one role, also if it has blanks.
fn administrator(claims: &Map<String, Value>, config: &IssuerConfig) -> Result<(), NotAdministrator> {
    let admin = config.admin_role.as_deref().ok_or(NotAdministrator::NoRoleConfigured)?;
    let mut roles = claims.get(&config.roles_claim).into_iter().flat_map(texts);
    if roles.any(|role| role == admin) {
        Ok(())
    } else if are_groups_left_out(claims) {
        Err(NotAdministrator::GroupsLeftOut)
    } else {
        Err(NotAdministrator::RoleMissing)
    }
}

/// Returns whether the token says that it does not name the groups of its user. Entra does so from 201 groups on, or from six in the
/// implicit flow. For the former it names a service that knows them (OpenID Connect Core, section 5.6.2), for the latter it
/// only says that there are some.
fn are_groups_left_out(claims: &Map<String, Value>) -> bool {
    claims.get("_claim_names").is_some_and(|names| names.get("groups").is_some()) || claims.contains_key("hasgroups")
}

/// Returns the texts of a claim that is a text or a list of texts.
fn texts(claim: &Value) -> impl Iterator<Item = &str> {
    let list = claim.as_array().map(Vec::as_slice).unwrap_or_else(|| std::slice::from_ref(claim));
    list.iter().filter_map(Value::as_str)
}
