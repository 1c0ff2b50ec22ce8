//! An app over `wasi:blobstore` and `wasi:http` alone: it knows nothing of Portico.
//!
//! `/CONTAINER/NAME` is an object; `/CONTAINER` is a container. The first request for a container makes it. What a request does
//! besides is in its query: `?range=START-END`, `?info`, `?copy=CONTAINER/NAME`, `?move=CONTAINER/NAME`, `?sync`, `?list=N`,
//! `?skip=N`, `?clear`. Names are percent-encoded.

mod bindings;

use bindings::wasi::blobstore::blobstore as blobs;
use bindings::wasi::blobstore::container::Container;
use bindings::wasi::blobstore::types::{IncomingValue, ObjectId, OutgoingValue};
use percent_encoding::percent_decode_str;
use wasip2::exports::http::incoming_handler::Guest;
use wasip2::http::types::{Fields, IncomingRequest, Method, OutgoingBody, OutgoingResponse, ResponseOutparam};
use wasip2::io::streams::{InputStream, OutputStream, StreamError};

/// Most bytes that one splice moves.
const SPLICE: u64 = 1 << 20;

/// The component.
#[derive(Debug)]
pub struct App;

/// What is answered.
enum Answer {
    Text(u16, String),
    Stream(u64, InputStream),
}

impl Guest for App {
    fn handle(request: IncomingRequest, out: ResponseOutparam) {
        let answer = answer(&request).unwrap_or_else(|error| {
            let missing = error.contains("does not exist");
            Answer::Text(if missing { 404 } else { 500 }, error)
        });
        send(answer, out);
    }
}

fn answer(request: &IncomingRequest) -> Result<Answer, String> {
    let target = request.path_with_query().unwrap_or_default();
    let (path, query) = target.split_once('?').unwrap_or((&target, ""));
    let (name, value) = query.split_once('=').unwrap_or((query, ""));
    let mut segments = path.trim_start_matches('/').splitn(2, '/');
    let container = decode(segments.next().unwrap_or_default());
    let text = |text: String| Ok(Answer::Text(200, text));
    let Some(object) = segments.next().map(decode) else {
        return match (request.method(), name) {
            (Method::Put, _) => blobs::create_container(&container).map(|_| Answer::Text(201, String::new())),
            (Method::Delete, _) => blobs::delete_container(&container).and_then(|()| text(String::new())),
            (Method::Head, _) => {
                Ok(Answer::Text(if blobs::container_exists(&container)? { 200 } else { 404 }, String::new()))
            }
            (_, "clear") => blobs::get_container(&container)?.clear().and_then(|()| text(String::new())),
            (_, "info") => {
                let info = blobs::get_container(&container)?.info()?;
                text(format!("{} {}", info.name, info.created_at))
            }
            (_, "skip") => {
                let names = blobs::get_container(&container)?.list_objects()?;
                let skipped = names.skip_stream_object_names(number(value)?)?;
                let (rest, end) = names.read_stream_object_names(1)?;
                text(format!("{skipped:?} {} {end}", rest.len()))
            }
            _ => text(list(&blobs::get_container(&container)?, number(value).unwrap_or(100))?),
        };
    };
    let place = || ObjectId { container: container.clone(), object: object.clone() };
    let to = || {
        let (container, object) = value.split_once('/').unwrap_or((value, ""));
        ObjectId { container: decode(container), object: decode(object) }
    };
    match (request.method(), name) {
        (Method::Put, _) => {
            put(request, &ensure(&container)?, &object)?;
            Ok(Answer::Text(201, String::new()))
        }
        (Method::Delete, _) => {
            blobs::get_container(&container)?.delete_object(&object).and_then(|()| text(String::new()))
        }
        (Method::Head, _) => {
            let has = blobs::get_container(&container)?.has_object(&object)?;
            Ok(Answer::Text(if has { 200 } else { 404 }, String::new()))
        }
        (_, "copy") => blobs::copy_object(&place(), &to()).and_then(|()| text(String::new())),
        (_, "move") => blobs::move_object(&place(), &to()).and_then(|()| text(String::new())),
        (_, "info") => {
            let info = blobs::get_container(&container)?.object_info(&object)?;
            text(format!("{} {} {} {}", info.container, info.name, info.size, info.created_at))
        }
        (_, "twice") => {
            let value = OutgoingValue::new_outgoing_value();
            let container = blobs::get_container(&container)?;
            let stream = value.outgoing_value_write_body().map_err(|()| "no stream")?;
            let again = value.outgoing_value_write_body().is_err();
            container.write_data(&object, &value)?;
            let data = container.write_data(&object, &value);
            drop(stream);
            text(format!("{again} {data:?} {:?}", OutgoingValue::finish(value)))
        }
        (_, "lost") => text(format!("{:?}", OutgoingValue::finish(OutgoingValue::new_outgoing_value()))),
        (_, "held") => {
            // The stream was opened before the object is deleted.
            let container = blobs::get_container(&container)?;
            let data = container.get_data(&object, 0, u64::MAX)?;
            container.delete_object(&object)?;
            let size = data.size();
            Ok(Answer::Stream(size, IncomingValue::incoming_value_consume_async(data)?))
        }
        (_, "sync") => {
            let data = blobs::get_container(&container)?.get_data(&object, 0, u64::MAX)?;
            let bytes = IncomingValue::incoming_value_consume_sync(data)?;
            text(String::from_utf8_lossy(&bytes).into_owned())
        }
        (_, range) => {
            let (start, end) = match range {
                "range" => {
                    let (start, end) = value.split_once('-').ok_or("no range")?;
                    (number(start)?, number(end)?)
                }
                _ => (0, u64::MAX),
            };
            let data = blobs::get_container(&container)?.get_data(&object, start, end)?;
            let size = data.size();
            Ok(Answer::Stream(size, IncomingValue::incoming_value_consume_async(data)?))
        }
    }
}

/// Returns a container, made if there is none.
fn ensure(name: &str) -> Result<Container, String> {
    if blobs::container_exists(name)? {
        blobs::get_container(name)
    } else {
        // Another request may have made it just now.
        blobs::create_container(name).or_else(|_| blobs::get_container(name))
    }
}

fn put(request: &IncomingRequest, container: &Container, object: &str) -> Result<(), String> {
    let body = request.consume().map_err(|()| "no body")?;
    let source = body.stream().map_err(|()| "no stream")?;
    let value = OutgoingValue::new_outgoing_value();
    let sink = value.outgoing_value_write_body().map_err(|()| "no stream")?;
    container.write_data(object, &value)?;
    splice(&sink, &source, u64::MAX)?;
    drop(sink);
    OutgoingValue::finish(value)
}

/// Moves bytes to the end of a stream.
fn splice(to: &OutputStream, from: &InputStream, mut left: u64) -> Result<(), String> {
    while left > 0 {
        match to.blocking_splice(from, SPLICE.min(left)) {
            Ok(moved) => left -= moved,
            Err(StreamError::Closed) => break,
            Err(StreamError::LastOperationFailed(error)) => return Err(error.to_debug_string()),
        }
    }
    to.blocking_flush().map_err(|error| error.to_string())
}

fn list(container: &Container, most: u64) -> Result<String, String> {
    let names = container.list_objects()?;
    let mut listed = Vec::new();
    let mut pages = 0;
    loop {
        let (page, end) = names.read_stream_object_names(most)?;
        assert!(page.len() as u64 <= most, "a page that is too long");
        listed.extend(page);
        pages += 1;
        if end {
            break;
        }
    }
    listed.sort();
    Ok(format!("{} in {pages} pages\n{}", listed.len(), listed.join("\n")))
}

fn number(text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| format!("no number: {text}"))
}

fn decode(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

fn send(answer: Answer, out: ResponseOutparam) {
    let fields = Fields::new();
    let length = match &answer {
        Answer::Text(_, text) => text.len() as u64,
        Answer::Stream(size, _) => *size,
    };
    let _ = fields.set("content-length", &[length.to_string().into_bytes()]);
    let response = OutgoingResponse::new(fields);
    let status = match &answer {
        Answer::Text(status, _) => *status,
        Answer::Stream(..) => 200,
    };
    let _ = response.set_status_code(status);
    let Ok(body) = response.body() else { return };
    ResponseOutparam::set(out, Ok(response));
    let Ok(stream) = body.write() else { return };
    let sent = match answer {
        Answer::Text(_, text) => text
            .as_bytes()
            .chunks(4096)
            .try_for_each(|piece| stream.blocking_write_and_flush(piece))
            .map_err(|error| error.to_string()),
        Answer::Stream(size, source) => splice(&stream, &source, size),
    };
    drop(stream);
    if sent.is_ok() {
        let _ = OutgoingBody::finish(body, None);
    }
}
