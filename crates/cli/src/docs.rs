//! The documentation page of the API: Swagger UI, in which requests can be tried out. A crate has it as the ZIP archive of its
//! release. Another crate, `utoipa-swagger-ui`, unpacks that at build time, but it and its dependencies take seconds to compile.

use std::io::Read;

use anyhow::Result;
use app_core::http::Path;
use axum::{
    Router,
    http::{StatusCode, header},
    response::{IntoResponse, Redirect, Response},
    routing::get,
};
use flate2::read::DeflateDecoder;
use utoipa_swagger_ui_vendored::SWAGGER_UI_VENDORED as ARCHIVE;

use crate::openapi;

const DESCRIPTION: &str = "/openapi.json";

/// The script of the page that configures it. The archive has one with the description of a sample API.
const INITIALIZER: &str = "swagger-initializer.js";

/// Our [`INITIALIZER`]. Swagger's online validator would send the description to a public server.
const CONFIGURATION: &str = r##"
window.onload = function() {
  window.ui = SwaggerUIBundle({
    url: "/openapi.json",
    dom_id: "#swagger-ui",
    deepLinking: true,
    displayOperationId: true,
    tryItOutEnabled: true,
    validatorUrl: "none",
    presets: [SwaggerUIBundle.presets.apis, SwaggerUIStandalonePreset],
    plugins: [SwaggerUIBundle.plugins.DownloadUrl],
  });
};
"##;

/// Returns the routes of the page, `/docs` and `/openapi.json`. They go without the functions' layers, because one of those removes
/// trailing slashes and the page is at `/docs/`.
///
/// # Errors
/// When two functions describe the same thing differently.
pub fn router() -> Result<Router> {
    let document = openapi::document()?;
    let description = get(async || ([(header::CONTENT_TYPE, "application/json")], document));
    Ok(Router::new()
        .route("/docs", get(async || Redirect::to("/docs/")))
        .route("/docs/", get(async || file("index.html")))
        .route("/docs/{name}", get(async |Path(name): Path<String>| file(&name)))
        .route(DESCRIPTION, description))
}

/// Responds with a file of the page.
fn file(name: &str) -> Response {
    let bytes = if name == INITIALIZER { Some(CONFIGURATION.into()) } else { unpack(name) };
    let content_type = match name.rsplit('.').next() {
        Some("html") => "text/html",
        Some("css") => "text/css",
        Some("js") => "text/javascript",
        Some("png") => "image/png",
        _ => "application/octet-stream",
    };
    match bytes {
        Some(bytes) => ([(header::CONTENT_TYPE, content_type)], bytes).into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

/// Unpacks the file `name` of the archive's folder `dist`. The archive ends with a record that has the place of its directory, whose
/// entries have the places of the files.
fn unpack(name: &str) -> Option<Vec<u8>> {
    let end = ARCHIVE.windows(4).rposition(|bytes| bytes == b"PK\x05\x06")?;
    let mut entry = ARCHIVE.get(number::<4>(ARCHIVE, end + 16)?..)?;
    while entry.starts_with(b"PK\x01\x02") {
        let after_name = 46 + number::<2>(entry, 28)?;
        let path = str::from_utf8(entry.get(46..after_name)?).ok()?;
        // The first folder has the name and the version of the release.
        if path.split_once('/')?.1.strip_prefix("dist/") == Some(name) {
            let (is_packed, packed_length) = (number::<2>(entry, 10)? == 8, number::<4>(entry, 20)?);
            let file = ARCHIVE.get(number::<4>(entry, 42)?..)?;
            let header = 30 + number::<2>(file, 26)? + number::<2>(file, 28)?;
            let packed = file.get(header..header + packed_length)?;
            if !is_packed {
                return Some(packed.to_owned());
            }
            let mut bytes = Vec::new();
            DeflateDecoder::new(packed).read_to_end(&mut bytes).ok()?;
            return Some(bytes);
        }
        entry = entry.get(after_name + number::<2>(entry, 30)? + number::<2>(entry, 32)?..)?;
    }
    None
}

/// Reads the number of `SIZE` bytes at `place`. In ZIP archives the lowest byte comes first.
fn number<const SIZE: usize>(bytes: &[u8], place: usize) -> Option<usize> {
    let bytes = bytes.get(place..place + SIZE)?;
    Some(bytes.iter().rev().fold(0, |number, byte| (number << 8) | usize::from(*byte)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_has_all_its_files() {
        let page = String::from_utf8(unpack("index.html").unwrap()).unwrap();
        let links =
            page.split(['"', '\'']).filter(|text| [".css", ".js", ".png"].iter().any(|end| text.ends_with(end)));
        let names: Vec<&str> = links.map(|link| link.trim_start_matches("./")).collect();
        assert!(names.contains(&INITIALIZER) && names.contains(&"swagger-ui.css"), "{names:?}");
        for name in names {
            assert_eq!(file(name).status(), StatusCode::OK, "{name}");
        }
        assert_eq!(unpack("swagger-ui-bundle.js").map(|script| script.len()), Some(1_526_593));
        assert_eq!(unpack("swagger-ui"), None);
        assert!(CONFIGURATION.contains(DESCRIPTION));
    }
}
