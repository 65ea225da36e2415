//! Conditional requests (RFC 9110, sections 8.8.3 and 13): entity tags, `If-Match` and `If-None-Match`.

use axum::{
    extract::FromRequestParts,
    response::{IntoResponse, Response},
};
use headers::{ETag, Header, HeaderMapExt, IfMatch, IfNoneMatch};
use http::{HeaderMap, StatusCode, request::Parts};
use serde::Serialize;

use super::{ApiError, JsonResponse};
use crate::Digest;

/// Returns the strong entity tag of `content`, a digest of its JSON.
///
/// # Errors
/// When it cannot be written as JSON, which would be a defect.
pub fn entity_tag(content: &impl Serialize) -> Result<ETag, ApiError> {
    format!("\"{}\"", Digest::of(content)?).parse().map_err(ApiError::internal)
}

/// The conditional headers of a request.
#[derive(Clone, Debug, Default)]
pub struct Preconditions {
    if_match: Option<IfMatch>,
    if_none_match: Option<IfNoneMatch>,
}

impl Preconditions {
    /// Checks the headers before a change of a resource with the tag `current`, which must be locked.
    ///
    /// # Errors
    /// [`ApiError::PreconditionFailed`] when `If-Match` does not contain the tag (weak tags never match), or `If-None-Match` does.
    pub fn check(&self, current: &ETag) -> Result<(), ApiError> {
        self.check_match(current)?;
        if self.is_known(current) { Err(ApiError::PreconditionFailed) } else { Ok(()) }
    }

    /// Checks `If-Match`, which comes before `If-None-Match` (RFC 9110, section 13.2.2).
    fn check_match(&self, current: &ETag) -> Result<(), ApiError> {
        let differs = self.if_match.as_ref().is_some_and(|tags| !tags.precondition_passes(current));
        if differs { Err(ApiError::PreconditionFailed) } else { Ok(()) }
    }

    /// Responds to a GET with `content`, which has the tag `current`, or with 304 if the client has it already.
    ///
    /// # Errors
    /// [`ApiError::PreconditionFailed`] when `If-Match` does not contain the tag.
    pub fn respond(&self, current: ETag, content: &impl Serialize) -> Result<Response, ApiError> {
        self.check_match(&current)?;
        if self.is_known(&current) {
            let mut response = StatusCode::NOT_MODIFIED.into_response();
            response.headers_mut().typed_insert(current);
            return Ok(response);
        }
        Ok(JsonResponse::new(content)?.with_tag(current).into_response())
    }

    fn is_known(&self, current: &ETag) -> bool {
        self.if_none_match.as_ref().is_some_and(|tags| !tags.precondition_passes(current))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Preconditions {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        Ok(Self { if_match: read(&parts.headers)?, if_none_match: read(&parts.headers)? })
    }
}

fn read<H: Header>(headers: &HeaderMap) -> Result<Option<H>, ApiError> {
    let malformed = || ApiError::BadRequest(format!("The header {} must be * or a list of entity tags.", H::name()));
    let lines = headers.get_all(H::name());
    // The crate `headers` ignores malformed tags in a list.
    let mut texts = lines.iter().map(|line| line.to_str().map(str::trim).unwrap_or_default());
    let is_any = lines.iter().count() == 1 && lines.iter().all(|line| line.as_bytes().trim_ascii() == b"*");
    if !is_any && !texts.all(is_list_of_tags) {
        return Err(malformed());
    }
    headers.typed_try_get().map_err(|_| malformed())
}

/// Returns whether `text` is a list of tags; elements may be empty (RFC 9110, sections 5.6.1 and 8.8.3). Tags contain no quotation
/// mark, so that the text between quotation marks is by turns a separator and a tag.
fn is_list_of_tags(text: &str) -> bool {
    let is_tag = |text: &str| text.bytes().all(|byte| byte == b'!' || (b'#'..=b'~').contains(&byte));
    let pieces: Vec<&str> = text.split('"').collect();
    let last = pieces.len() - 1;
    last > 0
        && last.is_multiple_of(2)
        && pieces.iter().enumerate().all(|(index, piece)| {
            if !index.is_multiple_of(2) {
                return is_tag(piece);
            }
            let separator = if index < last { piece.strip_suffix("W/").unwrap_or(piece) } else { piece };
            let is_between = 0 < index && index < last;
            separator.chars().all(|character| matches!(character, ' ' | '\t' | ','))
                && (!is_between || separator.contains(','))
        })
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue, header};

    use super::*;

    fn conditions(lines: &[(HeaderName, &'static str)]) -> Result<Preconditions, ApiError> {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(name, HeaderValue::from_static(value));
        }
        Ok(Preconditions { if_match: read(&headers)?, if_none_match: read(&headers)? })
    }

    #[test]
    fn changes_need_the_latest_tag() {
        let current: ETag = "\"a\"".parse().unwrap();
        for (header, value, passes) in [
            (header::IF_MATCH, "\"a\"", true),
            (header::IF_MATCH, " \"b\" ,\"a\"", true),
            (header::IF_MATCH, "*", true),
            (header::IF_MATCH, "\"a\",", true),
            (header::IF_MATCH, ", ,\"b\",,W/\"c\" , \"a\" ,", true),
            (header::IF_MATCH, "\"b\"", false),
            (header::IF_MATCH, "W/\"a\"", false),
            (header::IF_MATCH, "\"a,\"", false),
            (header::IF_NONE_MATCH, "\"b\", W/\"c\"", true),
            (header::IF_NONE_MATCH, "W/\"a\"", false),
            (header::IF_NONE_MATCH, "*", false),
        ] {
            let checked = conditions(&[(header.clone(), value)]).unwrap().check(&current);
            assert_eq!(checked.is_ok(), passes, "{header}: {value}");
        }
        assert!(conditions(&[]).unwrap().check(&current).is_ok());
        let two_lines = [(header::IF_MATCH, "\"b\""), (header::IF_MATCH, "\"a\"")];
        assert!(conditions(&two_lines).unwrap().check(&current).is_ok());
    }

    #[test]
    fn if_match_comes_before_if_none_match() {
        let current: ETag = "\"a\"".parse().unwrap();
        let respond =
            |lines: &[_]| conditions(lines).unwrap().respond(current.clone(), &1).map(|response| response.status());
        let known = (header::IF_NONE_MATCH, "\"a\"");
        assert_eq!(respond(std::slice::from_ref(&known)).unwrap(), StatusCode::NOT_MODIFIED);
        assert_eq!(respond(&[known.clone(), (header::IF_MATCH, "*")]).unwrap(), StatusCode::NOT_MODIFIED);
        assert!(matches!(respond(&[known, (header::IF_MATCH, "\"b\"")]), Err(ApiError::PreconditionFailed)));
        assert_eq!(respond(&[(header::IF_NONE_MATCH, "\"b\"")]).unwrap(), StatusCode::OK);
    }

    #[test]
    fn malformed_lists_of_tags_are_rejected() {
        for value in [
            "",
            ",",
            "a",
            "\"",
            "\"a",
            "a\"",
            "\"a\" \"",
            "w/\"a\"",
            "*, \"a\"",
            "\"a\", *",
            "\"a\", b",
            "\"a b\"",
            "\"a\" \"b\"",
            "\"a\"x\"b\"",
            "\"a\", x, \"b\"",
            "\"a\" W/",
            "W/ \"a\"",
        ] {
            assert!(matches!(conditions(&[(header::IF_MATCH, value)]), Err(ApiError::BadRequest(_))), "{value}");
        }
        let two_lines = [(header::IF_NONE_MATCH, "*"), (header::IF_NONE_MATCH, "\"a\"")];
        assert!(conditions(&two_lines).is_err());
    }
}
