//! The smallest portal: `PUT`, `GET`, `HEAD` and `DELETE /files/NAME`, with digests, ranges and conditions.
//!
//! Build it with `cargo build -p portico-guest --example tiny_portal --target wasm32-wasip2`, and test its logic with
//! `cargo test -p portico-guest --example tiny_portal`.

use portico_guest::Store;
use portico_guest::http::{Kind, Problem, Request, Response, delete, download, upload};

portico_guest::portal!(answer);

fn answer(request: &Request) -> Result<Response, Problem> {
    let name = request.path().strip_prefix("/files/").ok_or(Kind::NOT_FOUND)?;
    let store = Store::open();
    match request.method() {
        "PUT" => {
            let file = upload(request, &store, name, request.final_options()?)?;
            Ok(Response::new(201).header("location", request.path()).describe(&file))
        }
        "GET" | "HEAD" => download(request, &store.open_final(name)?),
        "DELETE" => delete(request, &store, name),
        _ => Err(Problem::method_not_allowed("GET, HEAD, PUT, DELETE")),
    }
}

#[cfg(test)]
mod tests {
    use super::{Request, answer};
    use portico_guest::memory::{Cut, Host};
    use portico_guest::{Error, InputStream};
    use std::io::Read;

    #[test]
    fn a_file_comes_back_whole_and_in_ranges() {
        let host = Host::new();
        let put = Request::new("PUT", "/files/a").with_field("content-type", "text/plain").with_body("0123456789");
        let stored = host.serve(answer, put);
        assert_eq!((stored.status, stored.field("location")), (201, Some("/files/a")));

        let whole = host.serve(answer, Request::new("GET", "/files/a"));
        assert_eq!((whole.status, whole.text(), whole.field("content-type")), (200, "0123456789", Some("text/plain")));
        assert_eq!(whole.field("repr-digest"), stored.field("repr-digest"));

        let range = host.serve(answer, Request::new("GET", "/files/a").with_field("range", "bytes=2-4"));
        assert_eq!((range.status, range.text()), (206, "234"));
        assert_eq!(range.field("content-range"), Some("bytes 2-4/10"));

        let tag = whole.field("etag").expect("a tag");
        let same = host.serve(answer, Request::new("GET", "/files/a").with_field("if-none-match", tag));
        assert_eq!((same.status, same.text()), (304, ""));
    }

    #[test]
    fn what_is_not_whole_leaves_nothing() {
        let host = Host::new();
        let broken = InputStream::from_reader(Read::chain(&b"0123"[..], Cut));
        assert_eq!(host.serve(answer, Request::new("PUT", "/files/a").with_stream(broken)).status, 400);

        let digest = "sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=:"; // of no bytes
        let other = Request::new("PUT", "/files/a").with_field("repr-digest", digest).with_body("0123");
        assert_eq!(host.serve(answer, other).status, 422);

        host.fail_next(Error::NoSpace);
        assert_eq!(host.serve(answer, Request::new("PUT", "/files/a").with_body("0123")).status, 507);
        assert!(host.objects().is_empty());
    }

    #[test]
    fn a_name_is_given_once() {
        let host = Host::new();
        let put = || Request::new("PUT", "/files/a").with_body("a");
        assert_eq!(host.serve(answer, put()).status, 201);
        assert_eq!(host.serve(answer, put()).status, 409);
        assert_eq!(host.serve(answer, put().with_field("if-none-match", "*")).status, 412);
        assert_eq!(host.serve(answer, Request::new("DELETE", "/files/a")).status, 204);
        assert_eq!(host.serve(answer, Request::new("GET", "/files/a")).status, 410);
    }

    #[test]
    fn other_requests_are_refused() {
        let host = Host::new();
        for (method, path, status) in
            [("GET", "/files/a", 404), ("GET", "/", 404), ("POST", "/files/a", 405), ("PUT", "/files/a/b", 404)]
        {
            assert_eq!(host.serve(answer, Request::new(method, path).with_body("")).status, status, "{method} {path}");
        }
    }
}
