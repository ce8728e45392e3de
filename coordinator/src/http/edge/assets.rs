//! The app: the files of `web/dist`, embedded in the executable. Files whose names carry a hash of their content never change
//! and are kept by browsers for good; `index.html` is asked for each time and answered 304 when it is the same. The app has
//! its own routes, which its build lists in `pages.json`: their paths give `index.html`. Any other gives it too, with 404, and
//! the app shows that.

use std::sync::LazyLock;

use axum::body::HttpBody;
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use rust_embed::{EmbeddedFile, RustEmbed};
use tower_http::compression::predicate::{Predicate, SizeAbove};

use tower_http::compression::CompressionLayer;

use crate::http::contract::text_header;

/// Paths that are pages whatever app is built in.
const ALWAYS: [&str; 4] = ["/", "/index.html", "/manage", "/delete"];

/// The paths that the app has pages for, as its build lists them.
static PAGES: LazyLock<Vec<String>> = LazyLock::new(|| {
    let listed = Files::get("pages.json").map(|file| serde_json::from_slice(&file.data));
    listed.map_or_else(Vec::new, |pages| pages.expect("the app's build writes a list of texts"))
});

/// Where the build puts files whose names carry a hash.
const HASHED: &str = "assets/";

/// What is served when the executable was built without the app.
const NOT_BUILT: &str = "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>Skein</title></head>\
    <body><h1>Skein</h1><p>This executable was built without the app. <code>make build</code> builds both. The API is here: \
    <a href=\"/api/docs/\">/api/docs</a>.</p></body></html>\n";

#[derive(RustEmbed)]
#[folder = "../web/dist"]
#[allow_missing = true]
struct Files;

/// Bytes below which compressing gains nothing.
const COMPRESSED_BYTES_MIN: u64 = 1024;

/// What is sent compressed: the app's files that are text. Answers of the API are not: they are short, and compressing what holds
/// a reader's secrets beside a stranger's words would betray their length.
#[derive(Clone, Copy, Debug)]
pub struct Compressed;

impl Predicate for Compressed {
    fn should_compress<B: HttpBody>(&self, response: &axum::http::Response<B>) -> bool {
        let media_type = response.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let media_type = media_type.split(';').next().unwrap_or_default();
        let text =
            matches!(media_type, "text/html" | "text/css" | "text/javascript" | "application/javascript" | "image/svg+xml");
        text && SizeAbove::new(COMPRESSED_BYTES_MIN).should_compress(response)
    }
}

/// Serves whatever is not below `/api`.
pub fn serve(method: &Method, uri: &Uri, headers: &HeaderMap) -> Response {
    if method != Method::GET && method != Method::HEAD {
        return (StatusCode::METHOD_NOT_ALLOWED, [(header::ALLOW, "GET,HEAD")]).into_response();
    }
    let path = uri.path();
    let name = path.trim_start_matches('/');
    if let Some(file) = Files::get(name).filter(|_| name != "index.html") {
        let caching = if name.starts_with(HASHED) { "public, max-age=31536000, immutable" } else { "no-cache" };
        return embedded(file, caching, headers);
    }
    let last = name.rsplit('/').next().unwrap_or_default();
    if name.starts_with(HASHED) || last.contains('.') && last != "index.html" {
        // A file that is not there: a page in its place would only hide that.
        return (StatusCode::NOT_FOUND, [(header::CONTENT_TYPE, "text/plain; charset=utf-8")], "no such file\n").into_response();
    }
    let known = ALWAYS.contains(&path) || PAGES.iter().any(|page| page == path);
    let mut response = match Files::get("index.html") {
        // What is sent with 404 is not the page that the browser may have.
        Some(page) => embedded(page, "no-cache", if known { headers } else { &EMPTY }),
        None => page_without_app(),
    };
    if !known {
        *response.status_mut() = StatusCode::NOT_FOUND;
    }
    response
}

static EMPTY: LazyLock<HeaderMap> = LazyLock::new(HeaderMap::new);

fn page_without_app() -> Response {
    ([(header::CONTENT_TYPE, "text/html; charset=utf-8"), (header::CACHE_CONTROL, "no-cache")], NOT_BUILT).into_response()
}

fn embedded(file: EmbeddedFile, caching: &'static str, headers: &HeaderMap) -> Response {
    let hash: String = file.metadata.sha256_hash()[..16].iter().map(|byte| format!("{byte:02x}")).collect();
    // Weak, since it names the file, whether it is sent compressed or not.
    let tag = format!("W/\"{hash}\"");
    let known = headers.get_all(header::IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    let current =
        known.flat_map(|line| line.split(',')).any(|known| known.trim().trim_start_matches("W/") == tag.trim_start_matches("W/"));
    let tag = (header::ETAG, text_header(tag));
    let caching = (header::CACHE_CONTROL, text_header(caching.to_owned()));
    if current {
        return (StatusCode::NOT_MODIFIED, [tag, caching]).into_response();
    }
    let mut media_type = file.metadata.mimetype().to_owned();
    if media_type.starts_with("text/") {
        media_type.push_str("; charset=utf-8");
    }
    ([tag, caching, (header::CONTENT_TYPE, text_header(media_type))], file.data).into_response()
}

/// Compresses what is worth it.
pub fn compression() -> CompressionLayer<Compressed> {
    CompressionLayer::new().compress_when(Compressed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn get(path: &str) -> Response {
        serve(&Method::GET, &path.parse().unwrap(), &HeaderMap::new())
    }

    #[test]
    fn the_apps_own_paths_give_the_page_and_others_give_it_with_404() {
        // The app is not there in every build of the tests; where it is, its own list counts.
        assert!(Files::get("index.html").is_none() || PAGES.len() > 3, "{:?}", *PAGES);
        for page in ALWAYS.into_iter().chain(PAGES.iter().map(String::as_str)) {
            let response = get(page);
            assert_eq!(response.status(), StatusCode::OK, "{page}");
            assert_eq!(response.headers()[header::CACHE_CONTROL], "no-cache");
            assert!(response.headers()[header::CONTENT_TYPE].to_str().unwrap().starts_with("text/html"));
        }
        assert_eq!(get("/nowhere").status(), StatusCode::NOT_FOUND);
        assert!(get("/nowhere").headers()[header::CONTENT_TYPE].to_str().unwrap().starts_with("text/html"));
    }

    #[test]
    fn a_file_that_is_missing_is_not_a_page() {
        for path in ["/assets/gone.js", "/assets/gone", "/robots.txt", "/../Cargo.toml"] {
            let response = get(path);
            assert_eq!(response.status(), StatusCode::NOT_FOUND, "{path}");
            assert!(response.headers()[header::CONTENT_TYPE].to_str().unwrap().starts_with("text/plain"), "{path}");
        }
    }

    #[test]
    fn only_reading_is_allowed() {
        let response = serve(&Method::POST, &"/".parse().unwrap(), &HeaderMap::new());
        assert_eq!(response.status(), StatusCode::METHOD_NOT_ALLOWED);
        assert_eq!(response.headers()[header::ALLOW], "GET,HEAD");
    }
}
