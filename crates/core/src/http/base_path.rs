//! The base path of a custom domain, below which every route answers, too.

use std::str::FromStr;

use http::{Request, Uri, uri::PathAndQuery};

/// The beginnings of the routes' own paths, which a base path cannot have.
const FIRST_PARTS_OF_ROUTES: [&str; 4] = ["api", ".netlify", "health", "docs"];

/// A path such as `/ro`, which requests may have before the path of a route; empty for none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BasePath(String);

impl BasePath {
    /// What a base path must be, as the end of a sentence.
    pub(crate) const EXPECTED: &str = "a path such as /ro, without a slash at its end, and not one of the API's own";

    /// Removes the base path from the path of `request`, if it begins with it.
    pub fn strip<B>(&self, mut request: Request<B>) -> Request<B> {
        if let Some(uri) = self.stripped(request.uri()) {
            *request.uri_mut() = uri;
        }
        request
    }

    fn stripped(&self, uri: &Uri) -> Option<Uri> {
        let rest = uri.path().strip_prefix(self.0.as_str()).filter(|_| !self.0.is_empty())?;
        let path = match rest {
            "" => "/",
            // `/rods` does not begin with the path `/ro`.
            _ => rest.starts_with('/').then_some(rest)?,
        };
        let query = uri.query().map(|query| format!("?{query}")).unwrap_or_default();
        let mut parts = uri.clone().into_parts();
        parts.path_and_query = Some(PathAndQuery::try_from(format!("{path}{query}")).ok()?);
        Uri::from_parts(parts).ok()
    }
}

impl FromStr for BasePath {
    type Err = ();

    /// Reads a path of one or more parts without a slash at its end. It has only characters that need no encoding in a URL.
    fn from_str(path: &str) -> Result<Self, ()> {
        let mut parts = path.strip_prefix('/').ok_or(())?.split('/');
        let is_valid = |part: &str| {
            !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte))
        };
        let first = parts.next().unwrap_or_default();
        let is_path = is_valid(first) && parts.all(is_valid) && !FIRST_PARTS_OF_ROUTES.contains(&first);
        is_path.then(|| Self(path.to_owned())).ok_or(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_base_path_is_removed_where_it_is_a_whole_part_of_the_path() {
        let base_path: BasePath = "/ro".parse().unwrap();
        for (sent, kept) in [
            ("/ro/api/ros?limit=1&x=%2F", "/api/ros?limit=1&x=%2F"),
            ("/ro/api/ros/by-number/a%2Fb", "/api/ros/by-number/a%2Fb"),
            ("/ro", "/"),
            ("/ro?x", "/?x"),
            ("/ro/", "/"),
            ("/ro/ro/api/ros", "/ro/api/ros"),
            ("/api/ros", "/api/ros"),
            ("/rods/api/ros", "/rods/api/ros"),
            ("/x/ro/api/ros", "/x/ro/api/ros"),
            ("https://repairs.example/ro/health", "https://repairs.example/health"),
        ] {
            let request = base_path.strip(Request::get(sent).body(()).unwrap());
            assert_eq!(request.uri().to_string(), kept, "{sent}");
        }
        let request = BasePath::default().strip(Request::get("/api/ros").body(()).unwrap());
        assert_eq!(request.uri(), "/api/ros");
    }

    #[test]
    fn a_base_path_that_could_be_mistaken_is_rejected() {
        for path in ["/ro", "/ro/v1", "/RO-tracker_2.x~"] {
            assert!(path.parse::<BasePath>().is_ok(), "{path}");
        }
        for path in [
            "",
            "/",
            "ro",
            "/ro/",
            "//",
            "/ro//v1",
            "/r o",
            "/r%20o",
            "/ro?x",
            "/api",
            "/api/ro",
            "/.netlify",
            "/health",
        ] {
            assert!(path.parse::<BasePath>().is_err(), "{path}");
        }
    }
}
