//! The headers of the rate limit: `X-RateLimit-…`, which the dashboard reads, and those of the IETF draft
//! draft-ietf-httpapi-ratelimit-headers, which say the same for libraries.
//!
//! All times among them are the time from which the rate limit would admit one more request, so that `Retry-After` agrees with the
//! others. Only if the tokens of the day are used up is `Retry-After` the time until the next day: the rate limit has admitted such a
//! request, and the other headers are those of an admitted request.

use http::{HeaderMap, HeaderName, HeaderValue, header::RETRY_AFTER};

use super::{Decision, RequestLimit, TokenRefusal};

const LIMIT: HeaderName = HeaderName::from_static("x-ratelimit-limit");
const REMAINING: HeaderName = HeaderName::from_static("x-ratelimit-remaining");
const RESET: HeaderName = HeaderName::from_static("x-ratelimit-reset");
const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

impl Decision {
    /// Returns the headers of the response. `X-RateLimit-Reset` is in seconds since the epoch, `Retry-After` and the `t` of
    /// `RateLimit` in seconds from now.
    pub fn headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        if let Some(seconds) = self.retry_after() {
            headers.insert(RETRY_AFTER, seconds.into());
        }
        let quota = match self {
            Self::Admitted(quota) | Self::Refused(quota) => quota,
            Self::OutOfTokens(TokenRefusal { window: Some(quota), .. }) => quota,
            // The state of the window is unknown.
            Self::OutOfTokens(TokenRefusal { window: None, .. }) | Self::Unchecked(_) => return headers,
        };
        let RequestLimit { limit, window_seconds } = quota.policy;
        let reset_in = quota.reset_in();
        headers.insert(LIMIT, limit.into());
        headers.insert(REMAINING, quota.remaining.into());
        headers.insert(RESET, quota.reset_at().into());
        let fields = [
            (RATE_LIMIT, format!(r#""default";r={};t={reset_in}"#, quota.remaining)),
            (RATE_LIMIT_POLICY, format!(r#""default";q={limit};w={window_seconds}"#)),
        ];
        for (name, value) in fields {
            // These characters are always valid.
            headers.extend(HeaderValue::try_from(value).ok().map(|value| (name, value)));
        }
        headers
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: RequestLimit = RequestLimit { limit: 3, window_seconds: 60 };

    fn headers(decision: Decision) -> Vec<String> {
        let mut lines: Vec<String> =
            decision.headers().iter().map(|(name, value)| format!("{name}: {}", value.to_str().unwrap())).collect();
        lines.sort();
        lines
    }

    #[test]
    fn refusals_have_retry_after() {
        let expected = [
            r#"ratelimit-policy: "default";q=3;w=60"#,
            r#"ratelimit: "default";r=0;t=42"#,
            "retry-after: 42",
            "x-ratelimit-limit: 3",
            "x-ratelimit-remaining: 0",
            "x-ratelimit-reset: 142",
        ];
        assert_eq!(headers(Decision::Refused(POLICY.refusal(141_500, 100_000))), expected);
    }

    #[test]
    fn admissions_have_the_remaining_requests() {
        let mut quota = POLICY.refusal(160_000, 100_000);
        quota.remaining = 1;
        let expected = [
            r#"ratelimit-policy: "default";q=3;w=60"#,
            r#"ratelimit: "default";r=1;t=60"#,
            "x-ratelimit-limit: 3",
            "x-ratelimit-remaining: 1",
            "x-ratelimit-reset: 160",
        ];
        assert_eq!(headers(Decision::Admitted(quota)), expected);
        assert!(headers(Decision::Unchecked(POLICY)).is_empty());
    }
}
