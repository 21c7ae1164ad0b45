//! `page`: the web page at `GET /` and the files that it loads, `GET /assets/*`.
//!
//! The files are built from `web/` and committed in `dist/`, so that a build of this crate needs no npm.

mod basemaps;
mod file;

use std::sync::LazyLock;

use equilibrium_http::{Problem, Request, Response, negotiate};

pub use crate::basemaps::Basemaps;

use crate::file::{Caching, File};

/// The page itself.
const PAGE: &[u8] = include_bytes!("../dist/index.html");

/// The files that the page loads, by name: each name holds a hash of the content.
const ASSETS: &[(&str, &[u8])] = include!(concat!(env!("OUT_DIR"), "/assets.rs"));

/// What the page may do: load from its own origin alone, and run scripts that are files. The map and the plots set styles
/// of elements.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; \
    img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const HTML: &str = "text/html; charset=utf-8";

/// The files, each compressed when it is first sent.
static FILES: LazyLock<Files> = LazyLock::new(|| Files {
    page: File::new(PAGE.into(), HTML, Caching::Revalidated),
    assets: ASSETS.iter().map(|(name, content)| (*name, asset(name, content))).collect(),
});

struct Files {
    page: File,
    assets: Vec<(&'static str, File)>,
}

/// Answers `GET /` for a client that asks for HTML, and `GET /assets/*`. `None` for every other path, and at `/` for other
/// clients: the host has a text for them.
#[must_use]
pub fn respond(request: &Request<'_>, basemaps: &Basemaps) -> Option<Response> {
    if request.path == "/" {
        let accepts = request.header("accept").is_some_and(accepts_html);
        return accepts.then(|| request.respond(page(request)));
    }
    let name = request.path.strip_prefix("/assets/")?;
    Some(request.respond(asset_named(name, request, basemaps)))
}

/// Whether a client names HTML, as browsers do, and does not prefer plain text. Programs such as curl accept everything.
fn accepts_html(accept: &str) -> bool {
    let names_html = accept.to_ascii_lowercase().contains("text/html");
    names_html && negotiate(accept, &["text/html", "text/plain"]) == Some("text/html")
}

fn page(request: &Request<'_>) -> Result<Response, Problem> {
    check(request)?;
    let response = FILES.page.respond(request, "accept, accept-encoding");
    Ok(with_protection(response).with("content-security-policy", CONTENT_SECURITY_POLICY))
}

fn asset_named(name: &str, request: &Request<'_>, basemaps: &Basemaps) -> Result<Response, Problem> {
    check(request)?;
    let built = FILES.assets.iter().find(|(known, _)| *known == name).map(|(_, file)| file);
    let file = built.or_else(|| basemaps.file(name)).ok_or_else(Problem::not_found)?;
    Ok(with_protection(file.respond(request, "accept-encoding")))
}

fn check(request: &Request<'_>) -> Result<(), Problem> {
    request.require_method("GET")?;
    request.require_coding()
}

/// The media type that a response names is the one that the browser uses, and links do not carry the page's address.
fn with_protection(response: Response) -> Response {
    response.with("x-content-type-options", "nosniff").with("referrer-policy", "no-referrer")
}

fn asset(name: &str, content: &'static [u8]) -> File {
    let media_type = match name.rsplit_once('.').map(|(_, extension)| extension) {
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("svg") => "image/svg+xml",
        Some("json") => "application/json",
        _ => "application/octet-stream",
    };
    File::new(content.into(), media_type, Caching::Immutable)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_built_file_has_a_media_type_and_a_hash_in_its_name() {
        for (name, _) in ASSETS {
            assert_ne!(asset(name, b"").media_type(), "application/octet-stream", "{name}");
            let stem = name.rsplit_once('.').unwrap().0;
            let hash = stem.rsplit_once('-').map(|(_, hash)| hash);
            assert!(
                hash.is_some_and(|hash| hash.len() >= 8 && hash.bytes().all(|byte| byte.is_ascii_hexdigit())),
                "{name}"
            );
        }
    }

    #[test]
    fn the_page_loads_built_files_alone() {
        let page = std::str::from_utf8(PAGE).unwrap();
        let links = page.split("=\"").skip(1).filter_map(|rest| rest.split('"').next());
        let loaded: Vec<&str> = links.filter_map(|link| link.strip_prefix("/assets/")).collect();
        assert!(loaded.len() >= 3, "{loaded:?}");
        for name in loaded {
            assert!(ASSETS.iter().any(|(known, _)| *known == name), "{name}");
        }
        assert!(!page.contains("http://") && !page.contains("https://"), "{page}");
    }
}
