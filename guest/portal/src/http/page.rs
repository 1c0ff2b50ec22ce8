//! `GET /` and `GET /page/{name}`: the page for browsers, which the portal carries in itself.
//!
//! The page is public: it holds no data and asks for a token itself. Invariants: the page loads nothing from another origin,
//! runs no inline script, and cannot be framed. Names other than [`STABLE`] contain a digest of their content, so caches may
//! keep them for ever.

use crate::http::route::Route;
use portico_guest::http::{Kind, Problem, Request, Response};

/// A file of the page.
struct Asset {
    name: &'static str,
    plain: &'static [u8],
    /// The same content, compressed by gzip; absent if that saves nothing.
    gzip: Option<&'static [u8]>,
}

/// The files that the build script found.
static ASSETS: &[Asset] = include!(concat!(env!("OUT_DIR"), "/page.rs"));

/// The file at `/`.
const INDEX: &str = "index.html";

/// The files whose content changes under one name.
const STABLE: [&str; 2] = [INDEX, "licences.html"];

/// What the page may do: load and contact its own origin alone, and create one worker (Trusted Types).
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
    connect-src 'self'; worker-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'; \
    require-trusted-types-for 'script'; trusted-types portico";

/// The routes of this protocol.
pub(super) const ROUTES: &[Route] = &[
    Route { pattern: &[""], methods: &[("GET", index), ("HEAD", index)] },
    Route { pattern: &["page", "*"], methods: &[("GET", asset), ("HEAD", asset)] },
];

fn index(request: &Request, _: &[&str]) -> Result<Response, Problem> {
    serve(request, INDEX)
}

fn asset(request: &Request, parameters: &[&str]) -> Result<Response, Problem> {
    // The index refers to its files relative to `/`.
    if parameters[0] == INDEX { Err(Kind::NOT_FOUND.into()) } else { serve(request, parameters[0]) }
}

fn serve(request: &Request, name: &str) -> Result<Response, Problem> {
    let asset = ASSETS.iter().find(|asset| asset.name == name).ok_or(Kind::NOT_FOUND)?;
    let caching = if STABLE.contains(&name) { "no-cache" } else { "public, max-age=31536000, immutable" };
    let response = Response::new(200)
        .header("cache-control", caching)
        .header("content-security-policy", CONTENT_SECURITY_POLICY)
        .header("cross-origin-opener-policy", "same-origin")
        .header("referrer-policy", "no-referrer")
        .header("vary", "accept-encoding")
        .header("x-content-type-options", "nosniff");
    let accepted = request.field("accept-encoding");
    Ok(match asset.gzip {
        Some(gzip) if accepted.is_some_and(|field| accepts_gzip(&field)) => {
            response.header("content-encoding", "gzip").content(media_type(name), gzip)
        }
        _ => response.content(media_type(name), asset.plain),
    })
}

fn media_type(name: &str) -> &'static str {
    match name.rsplit_once('.').map_or("", |(_, extension)| extension) {
        "html" => "text/html; charset=utf-8",
        "js" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "json" => "application/json",
        "svg" => "image/svg+xml",
        _ => "text/plain; charset=utf-8",
    }
}

/// Reports whether an `Accept-Encoding` field allows gzip (RFC 9110, 12.5.3).
fn accepts_gzip(field: &str) -> bool {
    field.split(',').any(|coding| {
        let (name, weight) = coding.split_once(';').unwrap_or((coding, ""));
        let weight = weight.trim().strip_prefix("q=").map_or(Some(1.0), |weight| weight.trim().parse::<f32>().ok());
        name.trim().eq_ignore_ascii_case("gzip") && weight.is_some_and(|weight| weight > 0.0)
    })
}

#[cfg(test)]
mod tests {
    use super::{ASSETS, CONTENT_SECURITY_POLICY, INDEX, accepts_gzip, media_type};

    #[test]
    fn codings_that_a_client_accepts() {
        for (field, accepted) in [
            ("gzip, deflate, br", true),
            ("br;q=1, GZIP;q=0.5", true),
            ("gzip; q=0.1", true),
            ("gzip;q=0", false),
            ("gzip;q=0.000", false),
            ("gzip;q=x", false),
            ("x-gzip", false),
            ("identity", false),
            ("", false),
        ] {
            assert_eq!(accepts_gzip(field), accepted, "{field}");
        }
    }

    #[test]
    fn the_index_exists_and_refers_to_files_that_exist() {
        let index = ASSETS.iter().find(|asset| asset.name == INDEX).expect("an index");
        let index = std::str::from_utf8(index.plain).expect("UTF-8");
        for reference in index.split("=\"page/").skip(1) {
            let name = reference.split('"').next().unwrap_or_default();
            assert!(ASSETS.iter().any(|asset| asset.name == name), "{name}");
            assert_ne!(media_type(name), "", "{name}");
        }
        assert!(index.contains("action=\"files\""), "a form for browsers without JavaScript");
    }

    #[test]
    fn the_policy_allows_nothing_unsafe_and_no_other_origin() {
        assert!(!CONTENT_SECURITY_POLICY.contains("unsafe") && !CONTENT_SECURITY_POLICY.contains("http"));
        assert!(!CONTENT_SECURITY_POLICY.contains('*'));
    }
}
