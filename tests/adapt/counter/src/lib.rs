//! An app over `wasi:keyvalue` and `wasi:http` alone: it knows nothing of Portico.
//!
//! The path is `/BUCKET/KEY`, percent-encoded; the query says what to do. Without one, `GET` returns a value, `PUT` sets the
//! one that the query `value=` has, and `DELETE` deletes.

mod bindings;

use bindings::wasi::keyvalue0_2_0_draft::{atomics, batch, store};
use bindings::wasi::keyvalue0_2_0_draft2::{atomics as atomics2, store as store2};
use percent_encoding::percent_decode_str;
use wasip2::exports::http::incoming_handler::Guest;
use wasip2::http::types::{Fields, IncomingRequest, Method, OutgoingBody, OutgoingResponse, ResponseOutparam};

/// The component.
#[derive(Debug)]
pub struct App;

impl Guest for App {
    fn handle(request: IncomingRequest, out: ResponseOutparam) {
        let (status, text) = match answer(&request) {
            Ok(text) => (200, text),
            Err(error) => (500, error),
        };
        send(status, &text, out);
    }
}

fn shown(error: impl std::fmt::Debug) -> String {
    format!("{error:?}")
}

fn answer(request: &IncomingRequest) -> Result<String, String> {
    let target = request.path_with_query().unwrap_or_default();
    let (path, query) = target.split_once('?').unwrap_or((&target, ""));
    let (name, value) = query.split_once('=').unwrap_or((query, ""));
    let (bucket_name, key) = path.trim_start_matches('/').split_once('/').unwrap_or((path, ""));
    let (bucket_name, key) = (decode(bucket_name), decode(key));
    let bucket = store::open(&bucket_name).map_err(shown)?;
    let number = || value.parse::<i64>().map_err(shown);
    match name {
        "add" => atomics::increment(&bucket, &key, number()? as u64).map(|sum| sum.to_string()).map_err(shown),
        "add2" => {
            let bucket = store2::open(&bucket_name).map_err(shown)?;
            atomics2::increment(&bucket, &key, number()?).map(|sum| sum.to_string()).map_err(shown)
        }
        "append" => append(&bucket_name, &key, value),
        "stale" => {
            let bucket = store2::open(&bucket_name).map_err(shown)?;
            let cas = atomics2::Cas::new(&bucket, &key).map_err(shown)?;
            bucket.set(&key, b"newer").map_err(shown)?;
            match atomics2::swap(cas, b"lost") {
                Err(atomics2::CasError::CasFailed(now)) => Ok(format!("{:?}", now.current().map_err(shown)?.map(text))),
                other => Err(format!("{other:?}")),
            }
        }
        "exists" => Ok(bucket.exists(&key).map_err(shown)?.to_string()),
        "fill" => bucket.set(&key, &vec![b'x'; number()? as usize]).map(|()| String::new()).map_err(shown),
        "many" => {
            let keys: Vec<String> = (0..number()?).map(|number| format!("{key}{number}")).collect();
            let pairs: Vec<_> = keys.iter().map(|key| (key.clone(), key.clone().into_bytes())).collect();
            batch::set_many(&bucket, &pairs).map_err(shown)?;
            let absent = [keys.clone(), vec!["absent".to_owned()]].concat();
            let found = batch::get_many(&bucket, &absent).map_err(shown)?;
            let right = found.iter().zip(&pairs).all(|(found, pair)| found.as_ref() == Some(pair));
            let last = found.last().cloned().flatten();
            batch::delete_many(&bucket, &keys[1..]).map_err(shown)?;
            Ok(format!("{right} {last:?} {}", list(&bucket)?.len()))
        }
        "get-many" => {
            batch::get_many(&bucket, &vec![key; number()? as usize]).map(|found| found.len().to_string()).map_err(shown)
        }
        "list" => Ok(list(&bucket)?.join("\n")),
        "from" => {
            let page = bucket.list_keys(Some(number()? as u64)).map_err(shown)?;
            Ok(format!("{} {:?}", page.keys.len(), page.cursor))
        }
        "list2" => {
            let bucket = store2::open(&bucket_name).map_err(shown)?;
            let (mut keys, mut cursor) = (Vec::new(), None);
            loop {
                let page = bucket.list_keys(cursor.as_deref()).map_err(shown)?;
                keys.extend(page.keys);
                cursor = page.cursor;
                if cursor.is_none() {
                    break;
                }
            }
            keys.sort();
            Ok(keys.join("\n"))
        }
        "cursor" => {
            let bucket = store2::open(&bucket_name).map_err(shown)?;
            bucket.list_keys(Some(value)).map(|page| page.keys.len().to_string()).map_err(shown)
        }
        "value" => bucket.set(&key, decode(value).as_bytes()).map(|()| String::new()).map_err(shown),
        _ if matches!(request.method(), Method::Delete) => bucket.delete(&key).map(|()| String::new()).map_err(shown),
        _ => Ok(format!("{:?}", bucket.get(&key).map_err(shown)?.map(text))),
    }
}

/// Adds a letter to a value by compare-and-swap.
fn append(bucket: &str, key: &str, value: &str) -> Result<String, String> {
    let bucket = store2::open(bucket).map_err(shown)?;
    let mut cas = atomics2::Cas::new(&bucket, key).map_err(shown)?;
    loop {
        let old = cas.current().map_err(shown)?.unwrap_or_default();
        match atomics2::swap(cas, &[old, value.as_bytes().to_vec()].concat()) {
            Ok(()) => return Ok(String::new()),
            Err(atomics2::CasError::CasFailed(newer)) => cas = newer,
            Err(error) => return Err(shown(error)),
        }
    }
}

fn list(bucket: &store::Bucket) -> Result<Vec<String>, String> {
    let (mut keys, mut cursor) = (Vec::new(), None);
    loop {
        let page = bucket.list_keys(cursor).map_err(shown)?;
        keys.extend(page.keys);
        cursor = page.cursor;
        if cursor.is_none() {
            keys.sort();
            return Ok(keys);
        }
    }
}

fn text(bytes: Vec<u8>) -> String {
    match bytes.len() {
        0..=1_000 => String::from_utf8_lossy(&bytes).into_owned(),
        length => format!("{length} bytes"),
    }
}

fn decode(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

fn send(status: u16, text: &str, out: ResponseOutparam) {
    let fields = Fields::new();
    let _ = fields.set("content-length", &[text.len().to_string().into_bytes()]);
    let response = OutgoingResponse::new(fields);
    let _ = response.set_status_code(status);
    let Ok(body) = response.body() else { return };
    ResponseOutparam::set(out, Ok(response));
    let Ok(stream) = body.write() else { return };
    if text.as_bytes().chunks(4096).try_for_each(|piece| stream.blocking_write_and_flush(piece)).is_ok() {
        drop(stream);
        let _ = OutgoingBody::finish(body, None);
    }
}
