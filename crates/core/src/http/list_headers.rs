//! The headers of a list of which clients read a part at a time: the number of all items, and links to the other parts.

use axum::response::Response;
use form_urlencoded::Serializer;
use http::{HeaderName, HeaderValue, Uri, header};

/// The header with the number of items in all parts of a list.
pub const TOTAL_COUNT: HeaderName = HeaderName::from_static("x-total-count");

/// The part of a list that a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListRange {
    /// The most items to return; all if `None`.
    pub limit: Option<i64>,
    /// How many items to skip before them.
    pub offset: i64,
}

impl ListRange {
    /// Adds the headers to the response to the request for `uri`, whose whole list has `total` items: `X-Total-Count`, and with a
    /// limit also `Link` (RFC 8288).
    pub fn add_headers(self, mut response: Response, uri: &Uri, total: i64) -> Response {
        response.headers_mut().insert(TOTAL_COUNT, HeaderValue::from(total));
        let links = self.links(uri.query().unwrap_or_default(), total);
        if let Some(links) = links.and_then(|links| HeaderValue::try_from(links).ok()) {
            response.headers_mut().insert(header::LINK, links);
        }
        response
    }

    /// Returns links to the first, previous, next and last part. They consist of a query only, which clients resolve against the
    /// URL that they requested. So they are right under every prefix, base path and domain. They keep all other parameters.
    fn links(self, query: &str, total: i64) -> Option<String> {
        let Self { limit: Some(limit), offset } = self else { return None };
        let last = (total - 1).max(0) / limit * limit;
        let previous = (offset > 0).then(|| (offset - limit).clamp(0, last));
        let next = offset.saturating_add(limit);
        let parts = [
            ("first", Some(0)),
            ("prev", previous),
            ("next", Some(next).filter(|next| *next < total)),
            ("last", Some(last)),
        ];
        let links = parts.into_iter().filter_map(|(relation, offset)| {
            let others =
                form_urlencoded::parse(query.as_bytes()).filter(|(name, _)| !matches!(&**name, "limit" | "offset"));
            let query = Serializer::new(String::new())
                .extend_pairs(others)
                .append_pair("limit", &limit.to_string())
                .append_pair("offset", &offset?.to_string())
                .finish();
            Some(format!("<?{query}>; rel=\"{relation}\""))
        });
        Some(links.collect::<Vec<_>>().join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_lead_to_the_other_parts() {
        for (limit, offset, total, expected) in [
            (10, 0, 0, [Some(0), None, None, Some(0)]),
            (10, 0, 10, [Some(0), None, None, Some(0)]),
            (10, 0, 11, [Some(0), None, Some(10), Some(10)]),
            (10, 10, 35, [Some(0), Some(0), Some(20), Some(30)]),
            (10, 30, 35, [Some(0), Some(20), None, Some(30)]),
            (10, 5, 12, [Some(0), Some(0), None, Some(10)]),
            (10, 1_000, 35, [Some(0), Some(30), None, Some(30)]),
            (1_000, i64::MAX, 5, [Some(0), Some(0), None, Some(0)]),
        ] {
            let links = ListRange { limit: Some(limit), offset }.links("", total).unwrap();
            let expected: Vec<String> = ["first", "prev", "next", "last"]
                .into_iter()
                .zip(expected)
                .filter_map(|(relation, offset)| {
                    Some(format!("<?limit={limit}&offset={}>; rel=\"{relation}\"", offset?))
                })
                .collect();
            assert_eq!(links, expected.join(", "), "{limit} from {offset} of {total}");
        }
        assert_eq!(ListRange { limit: None, offset: 7 }.links("", 100), None);
    }

    #[test]
    fn links_keep_the_other_parameters() {
        let range = ListRange { limit: Some(5), offset: 0 };
        let links = range.links("q=%3E%22a+b%C3%A9&limit=5&offset=0&x&%6Cimit=5", 5).unwrap();
        let query = "q=%3E%22a+b%C3%A9&x=&limit=5&offset=0";
        assert_eq!(links, format!("<?{query}>; rel=\"first\", <?{query}>; rel=\"last\""));
    }
}
