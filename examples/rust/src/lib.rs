//! A content-addressed store: the name of a file is its SHA-256, so equal files are stored once.
//!
//! - `POST /blobs` stores the body under its digest: 201 with `Location`, or 200 if the file was there.
//! - `PUT /blobs/DIGEST` does the same in one step for a digest that the client knows; other content is refused.
//! - `GET`, `HEAD` and `DELETE /blobs/DIGEST`.
//!
//! The host moves and hashes all content; no byte of a file enters this program.

use portico_guest::http::{Kind, Problem, Request, Response, delete, download, upload};
use portico_guest::maintenance::{Progress, Step, Sweep};
use portico_guest::{Digest, Error, Expected, FinalOptions, PartOptions, Store, StoredObject, random};
use std::time::Duration;

portico_guest::portal!(answer, maintenance = upkeep);

/// The time after which a deleted file is forgotten, so that the same content may come again.
const FORGET_AFTER: Duration = Duration::from_secs(24 * 3600);

fn answer(request: &Request) -> Result<Response, Problem> {
    let mut path = request.path().strip_prefix('/').unwrap_or_default().split('/');
    let (Some("blobs"), name, None) = (path.next(), path.next().unwrap_or_default(), path.next()) else {
        return Err(Kind::NOT_FOUND.into());
    };
    let store = Store::open();
    match (request.method(), name) {
        ("POST", "") => post(request, &store),
        (_, "") => Err(Problem::method_not_allowed("POST")),
        ("PUT", _) => put(request, &store, name),
        ("GET" | "HEAD", _) => download(request, &store.open_final(name)?),
        ("DELETE", _) => delete(request, &store, name),
        _ => Err(Problem::method_not_allowed("GET, HEAD, PUT, DELETE")),
    }
}

/// Stores content of unknown digest: as a part, which then becomes the file of its name.
fn post(request: &Request, store: &Store) -> Result<Response, Problem> {
    let session = random::id();
    let options = request.final_options()?.same_content_ok();
    let part = PartOptions { expected: options.expected.clone(), ..PartOptions::new().want_sha256() };
    let stored = store.put_temp_part(&session, 1, request.body(), part).and_then(|part| {
        let digest = part.sha256.expect("the put asked for the digest");
        // The host has compared the content with what is expected.
        let options = FinalOptions { expected: Expected::default(), ..options };
        store.assemble_final(&digest.to_string(), [part.temp_key], options)
    });
    // An assembly that fails leaves the part.
    if stored.is_err() {
        store.delete_session_parts(&session)?;
    }
    Ok(created(&stored?))
}

/// Stores content under the digest that the client gave, which the host checks.
fn put(request: &Request, store: &Store, name: &str) -> Result<Response, Problem> {
    let digest: Digest = name.parse().map_err(|_| Kind::NOT_FOUND)?;
    let mut options = request.final_options()?.same_content_ok();
    if options.expected.sha256.replace(digest).is_some_and(|announced| announced != digest) {
        return Err(Error::DigestMismatch.into());
    }
    Ok(created(&upload(request, store, &digest.to_string(), options)?))
}

fn created(stored: &StoredObject) -> Response {
    let status = if stored.replayed { 200 } else { 201 };
    Response::new(status).header("location", format!("/blobs/{}", stored.file_id)).describe(stored)
}

/// Removes parts that a killed process left between the two steps of a POST, and forgets deleted files.
fn upkeep(step: Step) -> Result<Progress, Error> {
    Sweep::new(|_session| Ok(false)).forget_after(FORGET_AFTER).run(&Store::open(), step)
}

#[cfg(test)]
mod tests {
    use super::{FORGET_AFTER, Request, Step, answer, upkeep};
    use portico_guest::memory::{Cut, Host};
    use portico_guest::{Error, InputStream};
    use std::io::Read;

    const NAME: &str = "/blobs/2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";

    fn post(content: &str) -> Request {
        Request::new("POST", "/blobs").with_body(content)
    }

    #[test]
    fn equal_content_is_stored_once() {
        let host = Host::new();
        for status in [201, 200] {
            let reply = host.serve(answer, post("hello"));
            assert_eq!((reply.status, reply.field("location")), (status, Some(NAME)));
        }
        assert_eq!(host.serve(answer, Request::new("PUT", NAME).with_body("hello")).status, 200);
        assert_eq!(host.serve(answer, Request::new("GET", NAME)).text(), "hello");
        assert_eq!((host.objects().len(), host.parts().len()), (1, 0));
    }

    #[test]
    fn other_content_is_refused() {
        let host = Host::new();
        assert_eq!(host.serve(answer, Request::new("PUT", NAME).with_body("hullo")).status, 422);
        assert_eq!(host.serve(answer, Request::new("PUT", "/blobs/no-digest").with_body("hello")).status, 404);
        let broken = InputStream::from_reader(Read::chain(&b"hel"[..], Cut));
        assert_eq!(host.serve(answer, Request::new("POST", "/blobs").with_stream(broken)).status, 400);
        host.fail_next(Error::Unavailable { retry_after: None });
        assert_eq!(host.serve(answer, post("hello")).status, 503);
        assert!(host.objects().is_empty() && host.parts().is_empty());
    }

    #[test]
    fn deleted_content_may_come_again_after_a_day() {
        let host = Host::new();
        assert_eq!(host.serve(answer, post("hello")).status, 201);
        assert_eq!(host.serve(answer, Request::new("DELETE", NAME)).status, 204);
        assert_eq!(host.serve(answer, post("hello")).status, 410);
        host.advance(FORGET_AFTER * 2);
        assert_eq!(host.run(|| upkeep(Step::new(1_000, None))).map(|progress| progress.purged), Ok(1));
        assert_eq!(host.serve(answer, post("hello")).status, 201);
    }
}
