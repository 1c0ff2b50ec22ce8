//! `/uploads/sessions`: resumable uploads in numbered parts, in any order and in parallel.
//!
//! - `POST /uploads/sessions` begins a session.
//! - `GET /uploads/sessions/{id}` returns its status; `DELETE` aborts it.
//! - `PUT /uploads/sessions/{id}/parts/{n}` stores a part; `DELETE` removes it. Parts are numbered from 1.
//! - `POST /uploads/sessions/{id}/finalize` makes the file.
//!
//! Every request is idempotent.

use crate::{
    engine::{Engine, Found, Parts, Standing},
    http::{files::Receipt, kinds, links, route::Route},
    idempotency::{self, Outcome},
    limits::{IDEMPOTENCY_KEY_MAX, JSON_MAX, SIZE_MAX},
    policy::{
        names,
        parts::{self, Layout, Run},
    },
    refusal::Refusal,
    session::{Announced, End, Form, Received, Status},
    times,
};
use portico_guest::{
    Digest, PartOptions, clock,
    http::{Kind, Problem, Request, Response, media_type},
};
use serde::Serialize;
use serde_json::{Map, Value};

/// The routes of this protocol.
pub(super) const ROUTES: &[Route] = &[
    Route { pattern: &["uploads", "sessions"], methods: &[("POST", create)] },
    Route { pattern: &["uploads", "sessions", "*"], methods: &[("GET", status), ("HEAD", status), ("DELETE", abort)] },
    Route {
        pattern: &["uploads", "sessions", "*", "parts", "*"],
        methods: &[("PUT", put_part), ("DELETE", delete_part)],
    },
    Route { pattern: &["uploads", "sessions", "*", "finalize"], methods: &[("POST", finalize)] },
];

/// A session, as clients see it.
#[derive(Serialize)]
struct SessionStatus<'s> {
    session_id: &'s str,
    status: Status,
    original_filename: &'s str,
    content_type: &'s str,
    /// Null while the size is unknown.
    total_size_bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    chunk_size_bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    total_parts: Option<u32>,
    received_parts: Vec<Run>,
    received_bytes: u64,
    created_at: String,
    expires_at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    sha256: Option<&'s str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    file_id: Option<&'s str>,
}

/// The receipt of a part, as clients see it.
#[derive(Serialize)]
struct Part {
    part_number: u32,
    size_bytes: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    sha256: Option<String>,
}

fn create(request: &Request, _: &[&str]) -> Result<Response, Problem> {
    let members = request.json(JSON_MAX)?;
    let file = announced(&members)?;
    let engine = Engine::open();
    let (found, status) = match idempotency_key(&members)? {
        None => (engine.create(file, Parts::Numbered, None)?, 201),
        Some(key) => match idempotency::create(&engine, key, &file)? {
            Outcome::New(found) => (found, 201),
            Outcome::Same(found) => (found, 200),
            Outcome::Other => return Err(Problem::from(kinds::IDEMPOTENCY_KEY_REUSED).field("idempotency_key")),
        },
    };
    let response = if status == 201 {
        let size = found.session.total_size;
        Response::new(201).json("application/json", &describe(&found, None, size, Received::default()))
    } else {
        answer(&engine, &found)?
    };
    let location = request.relative(&format!("uploads/sessions/{}", found.id));
    Ok(response.header("location", location).header("cache-control", "no-store"))
}

fn status(_: &Request, parameters: &[&str]) -> Result<Response, Problem> {
    let engine = Engine::open();
    let found = engine.find(parameters[0])?;
    Ok(answer(&engine, &found)?.header("cache-control", "no-store"))
}

fn abort(_: &Request, parameters: &[&str]) -> Result<Response, Problem> {
    let engine = Engine::open();
    engine.abort(&engine.find(parameters[0])?)?;
    Ok(Response::new(204))
}

fn put_part(request: &Request, parameters: &[&str]) -> Result<Response, Problem> {
    request.must_be_whole_and_plain()?;
    let engine = Engine::open();
    let found = engine.find(parameters[0])?;
    let (number, extent) = numbered(&found, parameters[1])?;
    if let Some(length) = request.content_length()?
        && length != extent.size
    {
        let detail = format!("part {number} has {} bytes, but Content-Length is {length}", extent.size);
        return Err(Problem::from(Kind::SIZE_MISMATCH).detail(detail).field("content-length"));
    }
    let mut options = PartOptions::new().size(extent.size).offset(extent.offset).same_content_ok();
    options.expected.sha256 = request.announced_digest()?;
    options.want_sha256 = request.wants_digest();
    let asked = options.want_sha256 || options.expected.sha256.is_some();
    let part = engine.put_part(&found, number, request.body(), options)?;
    let sha256 = part.sha256.filter(|_| asked).map(|digest| digest.to_string());
    let receipt = Part { part_number: number, size_bytes: part.size, sha256 };
    Ok(Response::new(if part.replayed { 200 } else { 201 }).json("application/json", &receipt))
}

fn delete_part(_: &Request, parameters: &[&str]) -> Result<Response, Problem> {
    let engine = Engine::open();
    let found = engine.find(parameters[0])?;
    let (number, _) = numbered(&found, parameters[1])?;
    engine.delete_part(&found, number)?;
    Ok(Response::new(204))
}

fn finalize(request: &Request, parameters: &[&str]) -> Result<Response, Problem> {
    let engine = Engine::open();
    let found = engine.find(parameters[0])?;
    let (file, is_new) = engine.finalize(&found)?;
    let response = Response::new(if is_new { 201 } else { 200 });
    Ok(response
        .header("location", links::file(request, &file.file_id))
        .json("application/json", &Receipt::new(&file, &engine.store.info().backend)))
}

/// Responds with the status of a session.
fn answer(engine: &Engine, found: &Found) -> Result<Response, Problem> {
    // An end deletes the parts, so it is looked up after them.
    let arrived = engine.arrived(found)?;
    let Standing { end, file } = engine.standing(&found.session)?;
    let size = match &file {
        Some(file) => Some(file.size),
        None => engine.length(found)?,
    };
    let received = match (end, found.session.form()) {
        (Some(End::Complete | End::Deleted | End::Joined), Form::Numbered(layout)) => Received::whole(layout),
        (Some(End::Complete | End::Deleted | End::Joined), _) => {
            Received { bytes: size.unwrap_or_default(), runs: Vec::new() }
        }
        (Some(End::Aborted | End::Expired), _) => Received::default(),
        (None, _) => arrived,
    };
    Ok(Response::new(200).json("application/json", &describe(found, end, size, received)))
}

fn describe<'s>(
    Found { id, session }: &'s Found,
    end: Option<End>,
    size: Option<u64>,
    Received { runs, bytes }: Received,
) -> SessionStatus<'s> {
    SessionStatus {
        session_id: id,
        status: session.status(end, clock::now_ms(), bytes > 0),
        original_filename: &session.original_filename,
        content_type: &session.content_type,
        total_size_bytes: size,
        chunk_size_bytes: session.part_size,
        total_parts: session.layout().map(Layout::parts),
        received_parts: runs,
        received_bytes: bytes,
        created_at: times::rfc3339(session.created_at),
        expires_at: times::rfc3339(session.expires_at),
        sha256: session.sha256.as_deref(),
        file_id: (end == Some(End::Complete)).then_some(session.file_id.as_str()),
    }
}

/// Returns how the file of a session is cut. Uploads of other protocols have no numbered parts.
fn layout(found: &Found) -> Result<Layout, Problem> {
    found.session.layout().ok_or_else(|| Refusal::Kind.into())
}

/// Parses and checks the part number in a path.
fn numbered(found: &Found, segment: &str) -> Result<(u32, parts::Extent), Problem> {
    let layout = layout(found)?;
    let extent = |number| Some((number, layout.extent(number)?));
    parts::number(segment).and_then(extent).ok_or_else(|| {
        let detail = match layout.parts() {
            0 => "an empty file has no parts".to_owned(),
            count => format!("a whole number from 1 to {count} expected"),
        };
        Problem::invalid("part_number", detail)
    })
}

/// Reads the client's announcement of a file.
fn announced(members: &Map<String, Value>) -> Result<Announced, Problem> {
    let original_filename =
        text(members, "original_filename")?.ok_or_else(|| Problem::invalid("original_filename", "required"))?;
    names::check(original_filename).map_err(|bad| Problem::invalid("original_filename", bad.reason()))?;
    let content_type = media_type::announced(text(members, "content_type")?)
        .ok_or_else(|| Problem::invalid("content_type", media_type::EXPECTED))?;
    let total_size =
        size(members, "total_size_bytes")?.ok_or_else(|| Problem::invalid("total_size_bytes", "required"))?;
    let part_size = size(members, "chunk_size_bytes")?;
    let sha256 = text(members, "sha256")?.map(str::parse::<Digest>).transpose();
    let sha256 = sha256.map_err(|_| Problem::invalid("sha256", "64 hexadecimal digits expected"))?;
    Ok(Announced {
        original_filename: original_filename.to_owned(),
        content_type: content_type.to_owned(),
        total_size: Some(total_size),
        part_size,
        sha256: sha256.map(|digest| digest.to_string()),
        ..Announced::default()
    })
}

fn idempotency_key(members: &Map<String, Value>) -> Result<Option<&str>, Problem> {
    let key = text(members, "idempotency_key")?;
    match key {
        Some(key) if !(1..=IDEMPOTENCY_KEY_MAX).contains(&key.len()) => {
            Err(Problem::invalid("idempotency_key", format!("1 to {IDEMPOTENCY_KEY_MAX} bytes expected")))
        }
        key => Ok(key),
    }
}

/// Returns a string member; null counts as absent.
fn text<'m>(members: &'m Map<String, Value>, name: &'static str) -> Result<Option<&'m str>, Problem> {
    match members.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(Problem::invalid(name, "a string expected")),
    }
}

/// Returns a member that is a number of bytes; null counts as absent.
fn size(members: &Map<String, Value>, name: &'static str) -> Result<Option<u64>, Problem> {
    match members.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => match value.as_u64().filter(|bytes| *bytes <= SIZE_MAX) {
            Some(bytes) => Ok(Some(bytes)),
            None => Err(Problem::invalid(name, "a whole number from 0 to 2^63 - 1 expected")),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::{size, text};
    use serde_json::{Map, Value};

    fn members(json: &str) -> Map<String, Value> {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn sizes_are_whole_and_fit() {
        for (json, bytes) in [
            ("{}", Some(None)),
            ("{\"n\": null}", Some(None)),
            ("{\"n\": 0}", Some(Some(0))),
            ("{\"n\": 9223372036854775807}", Some(Some(i64::MAX as u64))),
            ("{\"n\": 9223372036854775808}", None),
            ("{\"n\": 18446744073709551616}", None),
            ("{\"n\": 1e400}", None),
            ("{\"n\": -1}", None),
            ("{\"n\": 1.5}", None),
            ("{\"n\": 1.0}", None),
            ("{\"n\": \"1\"}", None),
            ("{\"n\": true}", None),
            ("{\"n\": [1]}", None),
        ] {
            let Ok(members) = serde_json::from_str::<Map<String, Value>>(json) else {
                assert_eq!(bytes, None, "{json}");
                continue;
            };
            assert_eq!(size(&members, "n").ok(), bytes, "{json}");
        }
    }

    #[test]
    fn texts_are_texts() {
        assert_eq!(text(&members("{\"t\": \"a\"}"), "t").ok(), Some(Some("a")));
        assert_eq!(text(&members("{\"t\": null}"), "t").ok(), Some(None));
        for json in ["{\"t\": 1}", "{\"t\": []}", "{\"t\": {}}", "{\"t\": false}"] {
            assert!(text(&members(json), "t").is_err(), "{json}");
        }
    }
}
