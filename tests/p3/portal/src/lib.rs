//! A small portal of WASI 0.3: `PUT /ID` stores a file, `GET /ID` returns it, `DELETE /ID` removes it. Content is handed on and
//! never enters this component. Some paths misbehave, for tests of the host.

pub mod bindings;

use bindings::exports::wasi::http::handler::Guest;
use bindings::portico::storage::storage::{Error, Expected, FinalOptions, IfExists, StoredObject, open};
use bindings::wasi::http::types::{ErrorCode, Fields, Method, Request, Response};
use bindings::{wit_future, wit_stream};
use futures_util::future::join;
use std::hint::black_box;
use wit_bindgen::{FutureWriter, StreamReader, spawn_local};

/// The component.
#[derive(Debug)]
pub struct Portal;

#[cfg(target_family = "wasm")]
mod export {
    #![allow(unsafe_code, unreachable_pub, reason = "generated")]

    use super::Portal;
    crate::bindings::export!(Portal with_types_in crate::bindings);
}

impl Guest for Portal {
    async fn handle(request: Request) -> Result<Response, ErrorCode> {
        let path = request.get_path_with_query().unwrap_or_default();
        let id = path.trim_start_matches('/').to_owned();
        match (request.get_method(), id.as_str()) {
            (Method::Get, "trap") => panic!("as asked"),
            (Method::Get, "spin") => spin(),
            (Method::Get, "error") => Err(ErrorCode::InternalError(Some("as asked".to_owned()))),
            (Method::Get, "cut") => Ok(generated(200, vec![7; 100_000], Err(ErrorCode::HttpResponseIncomplete))),
            (Method::Put, _) => put(request, id).await,
            (Method::Get, _) => get(id).await,
            (Method::Delete, _) => delete(id).await,
            _ => Ok(text(405, "method not allowed")),
        }
    }
}

/// How the content of a response ends: with its trailers, or cut off.
type End = Result<Option<Fields>, ErrorCode>;

/// Stores the body of a request. The body's trailers say whether it came to its end.
async fn put(request: Request, id: String) -> Result<Response, ErrorCode> {
    let (_received, result) = wit_future::new(|| Ok(()));
    let (body, trailers) = Request::consume_body(request, result);
    let (verdict, status) = wit_future::new(|| Err(Error::Interrupted(0)));
    let judge = async {
        let whole = match trailers.await {
            Ok(_) => Ok(()),
            Err(ErrorCode::ConnectionReadTimeout) => Err(Error::Stalled(0)),
            Err(_) => Err(Error::Interrupted(0)),
        };
        // The put may have ended before.
        let _ = verdict.write(whole).await;
    };
    let options = FinalOptions {
        expected: Expected { size: None, sha256: None, others: Vec::new() },
        if_exists: IfExists::Fail,
        content_type: None,
        metadata: Vec::new(),
    };
    let store = open();
    let (stored, ()) = join(store.put_final(id, body, status, options), judge).await;
    Ok(match stored {
        Ok(StoredObject { size, sha256, .. }) => {
            let digest: String = sha256.iter().map(|byte| format!("{byte:02x}")).collect();
            text(201, &format!("{size} {digest}"))
        }
        Err(error) => failure(&error),
    })
}

async fn get(id: String) -> Result<Response, ErrorCode> {
    let store = open();
    let object = match store.stat_final(id).await {
        Ok(object) => object,
        Err(error) => return Ok(failure(&error)),
    };
    Ok(match store.get_final_stream(object.bucket, object.key, None).await {
        Ok((bytes, whole)) => {
            let (response, end) = begin(200, bytes);
            spawn_local(async move {
                let how = whole.await.map(|()| None).map_err(|_| ErrorCode::HttpResponseIncomplete);
                // The client may have gone.
                let _ = end.write(how).await;
            });
            response
        }
        Err(error) => failure(&error),
    })
}

async fn delete(id: String) -> Result<Response, ErrorCode> {
    let store = open();
    let deleted = match store.stat_final(id).await {
        Ok(object) => store.delete_final(object.bucket, object.key).await,
        Err(error) => Err(error),
    };
    Ok(deleted.map_or_else(|error| failure(&error), |_| text(200, "deleted")))
}

fn failure(error: &Error) -> Response {
    let status = match error {
        Error::NotFound => 404,
        Error::Gone(_) => 410,
        Error::Conflict => 409,
        Error::InvalidArgument(_) => 400,
        Error::Stalled(_) => 408,
        Error::Unavailable(_) => 503,
        _ => 500,
    };
    text(status, &format!("{error:?}"))
}

/// Begins a response. What is written to the future says whether its content was whole.
fn begin(status: u16, content: StreamReader<u8>) -> (Response, FutureWriter<End>) {
    let (end, trailers) = wit_future::new(|| Err(ErrorCode::HttpResponseIncomplete));
    let (response, _sent) = Response::new(Fields::new(), Some(content), trailers);
    response.set_status_code(status).expect("a status");
    (response, end)
}

fn text(status: u16, words: &str) -> Response {
    generated(status, words.to_owned().into_bytes(), Ok(None))
}

/// Content of this component, and how it ends.
fn generated(status: u16, content: Vec<u8>, how: End) -> Response {
    let (mut stream, reader) = wit_stream::new();
    let (response, end) = begin(status, reader);
    spawn_local(async move {
        stream.write_all(content).await;
        drop(stream);
        // The client may have gone.
        let _ = end.write(how).await;
    });
    response
}

fn spin() -> ! {
    let mut turns = 0_u64;
    loop {
        turns = black_box(turns + 1);
    }
}
