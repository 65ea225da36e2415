//! The headers of a list of which clients read a part at a time: the number of all items, and links to the other parts.

use axum::response::Response;
use form_urlencoded::Serializer;
use http::{HeaderName, HeaderValue, Uri, header};

use super::PageStart;

/// The header with the number of items in all parts of a list.
pub const TOTAL_COUNT: HeaderName = HeaderName::from_static("x-total-count");

/// The header with the cursor of the next part of a list. A list that is an array has no member for it.
pub const NEXT_CURSOR: HeaderName = HeaderName::from_static("x-next-cursor");

/// The part of a list that a request asks for. `P` is the place of an item in the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListRange<P> {
    /// The most items to return; all if `None`.
    pub limit: Option<i64>,
    pub start: PageStart<P>,
}

impl<P> ListRange<P> {
    /// The whole list.
    pub const ALL: Self = Self { limit: None, start: PageStart::Offset(0) };

    /// Adds the headers to the response to the request for `uri`, whose whole list has `total` items: `X-Total-Count`,
    /// `X-Next-Cursor`, if there is a next part with this cursor, and with a limit also `Link` (RFC 8288).
    pub fn add_headers(&self, mut response: Response, uri: &Uri, total: i64, next_cursor: Option<&str>) -> Response {
        response.headers_mut().insert(TOTAL_COUNT, HeaderValue::from(total));
        if let Some(cursor) = next_cursor.and_then(|cursor| HeaderValue::try_from(cursor).ok()) {
            response.headers_mut().insert(NEXT_CURSOR, cursor);
        }
        let links = self.links(uri.query().unwrap_or_default(), total, next_cursor);
        if let Some(links) = links.and_then(|links| HeaderValue::try_from(links).ok()) {
            response.headers_mut().insert(header::LINK, links);
        }
        response
    }

    /// Returns links to the first, previous, next and last part. They consist of a query only, which clients resolve against the
    /// URL that they requested. So they are right under every prefix, base path and domain. They keep all other parameters.
    fn links(&self, query: &str, total: i64, next_cursor: Option<&str>) -> Option<String> {
        let limit = self.limit?;
        let last = (total - 1).max(0) / limit * limit;
        let at = |offset: i64| ("offset", offset.to_string());
        let (previous, next) = match self.start {
            PageStart::Offset(offset) => (
                (offset > 0).then(|| at((offset - limit).clamp(0, last))),
                Some(offset.saturating_add(limit)).filter(|next| *next < total).map(at),
            ),
            // Clients go back to a part by the cursor that they used for it.
            PageStart::After(_) => (None, next_cursor.map(|cursor| ("cursor", cursor.to_owned()))),
        };
        let parts = [("first", Some(at(0))), ("prev", previous), ("next", next), ("last", Some(at(last)))];
        let links = parts.into_iter().filter_map(|(relation, start)| {
            let (name, value) = start?;
            let others = form_urlencoded::parse(query.as_bytes())
                .filter(|(name, _)| !matches!(&**name, "limit" | "offset" | "cursor"));
            let query = Serializer::new(String::new())
                .extend_pairs(others)
                .append_pair("limit", &limit.to_string())
                .append_pair(name, &value)
                .finish();
            Some(format!("<?{query}>; rel=\"{relation}\""))
        });
        Some(links.collect::<Vec<_>>().join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(limit: Option<i64>, start: PageStart<i64>) -> ListRange<i64> {
        ListRange { limit, start }
    }

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
            let links = range(Some(limit), PageStart::Offset(offset)).links("", total, None).unwrap();
            let expected: Vec<String> = ["first", "prev", "next", "last"]
                .into_iter()
                .zip(expected)
                .filter_map(|(relation, offset)| {
                    Some(format!("<?limit={limit}&offset={}>; rel=\"{relation}\"", offset?))
                })
                .collect();
            assert_eq!(links, expected.join(", "), "{limit} from {offset} of {total}");
        }
        assert_eq!(range(None, PageStart::Offset(7)).links("", 100, None), None);
    }

    #[test]
    fn links_keep_the_other_parameters() {
        let first = range(Some(5), PageStart::Offset(0));
        let links = first.links("q=%3E%22a+b%C3%A9&limit=5&offset=0&cursor=y&x&%6Cimit=5", 5, None).unwrap();
        let query = "q=%3E%22a+b%C3%A9&x=&limit=5&offset=0";
        assert_eq!(links, format!("<?{query}>; rel=\"first\", <?{query}>; rel=\"last\""));
    }

    #[test]
    fn links_of_a_part_by_cursor_lead_on_by_cursor() {
        let part = range(Some(5), PageStart::After(7));
        let first_and_last = ("<?limit=5&offset=0>; rel=\"first\"", "<?limit=5&offset=10>; rel=\"last\"");
        let next = "<?limit=5&cursor=b>; rel=\"next\"";
        let expected = format!("{}, {next}, {}", first_and_last.0, first_and_last.1);
        assert_eq!(part.links("limit=5&cursor=a", 12, Some("b")).unwrap(), expected);
        let expected = format!("{}, {}", first_and_last.0, first_and_last.1);
        assert_eq!(part.links("limit=5&cursor=a", 12, None).unwrap(), expected);
    }
}
