//! The little HTTP that the store needs.

use portico_guest::bindings::wasi::http::types::{
    Fields, IncomingRequest, OutgoingBody, OutgoingResponse, ResponseOutparam,
};
use portico_guest::{Error, InputStream, OutputStream};
use std::ops::Range;

/// The most bytes of one `blocking-write-and-flush`.
const WRITE_MAX: usize = 4096;

/// The body of an answer.
pub enum Content {
    /// No body, and no length of one.
    None,
    Text(String),
    /// A stream of the store, with its size in bytes.
    Stored(InputStream, u64),
}

pub struct Answer {
    status: u16,
    fields: Vec<(String, Vec<u8>)>,
    content: Content,
}

impl Answer {
    pub fn new(status: u16) -> Answer {
        Answer { status, fields: Vec::new(), content: Content::None }
    }

    pub fn field(mut self, name: &str, value: &str) -> Answer {
        self.fields.push((name.to_owned(), value.as_bytes().to_vec()));
        self
    }

    pub fn content(self, content: Content) -> Answer {
        Answer { content, ..self }
    }

    /// Sends the answer; without its body for HEAD.
    pub fn send(self, head: bool, out: ResponseOutparam) {
        let size = match &self.content {
            Content::None => None,
            Content::Text(text) => Some(text.len() as u64),
            Content::Stored(_, size) => Some(*size),
        };
        let answer = match size {
            Some(size) => self.field("content-length", &size.to_string()),
            None => self,
        };
        let response = OutgoingResponse::new(Fields::from_list(&answer.fields).expect("fields of this program"));
        response.set_status_code(answer.status).expect("a status of three digits");
        if head || size.unwrap_or(0) == 0 {
            return ResponseOutparam::set(out, Ok(response));
        }
        let body = response.body().expect("the body is taken once");
        ResponseOutparam::set(out, Ok(response));
        let sink = body.write().expect("the stream is taken once");
        let whole = match &answer.content {
            Content::None => true,
            Content::Text(text) => {
                text.as_bytes().chunks(WRITE_MAX).all(|chunk| sink.blocking_write_and_flush(chunk).is_ok())
            }
            Content::Stored(stream, size) => splice(&sink, stream, *size),
        };
        drop(sink);
        // A body that is not finished reaches the client as one that broke off.
        if whole {
            let _ = OutgoingBody::finish(body, None);
        }
    }
}

/// Has the host move `left` bytes. Returns false if the store fails, or the client goes away.
fn splice(sink: &OutputStream, source: &InputStream, mut left: u64) -> bool {
    while left > 0 {
        match sink.blocking_splice(source, left) {
            Ok(moved) => left -= moved,
            Err(_) => return false,
        }
    }
    true
}

/// Takes the body, for the host to pull.
pub fn body(request: &IncomingRequest) -> Result<InputStream, Error> {
    let body = request.consume().expect("the body is taken once");
    let stream = body.stream().expect("the stream is taken once");
    // The stream is a child of the body, so the body lives as long as this instance.
    std::mem::forget(body);
    Ok(stream)
}

pub fn field(fields: &Fields, name: &str) -> Option<String> {
    String::from_utf8(fields.get(name).into_iter().next()?).ok()
}

/// Reads a `Range` of one range. Returns `None` where the whole file is the answer, and an empty range where there is no
/// such range.
pub fn range(text: &str, size: u64) -> Option<Range<u64>> {
    let (first, last) = text.strip_prefix("bytes=")?.split_once('-')?;
    let number = |text: &str| text.parse::<u64>().ok();
    match (first, last) {
        ("", last) => Some(size.saturating_sub(number(last)?)..size),
        (first, "") => Some(number(first)?..size),
        (first, last) => {
            let (first, last) = (number(first)?, number(last)?);
            (first <= last).then(|| first..last.saturating_add(1).min(size))
        }
    }
}

pub fn not_allowed(methods: &str) -> Answer {
    Answer::new(405).field("allow", methods).content(Content::Text("method not allowed\n".to_owned()))
}

/// Translates what the store reports.
pub fn refused(error: Error) -> Answer {
    let status = match error {
        Error::NotFound => 404,
        Error::Gone { .. } => 410,
        Error::Conflict => 409,
        Error::OutOfRange { .. } => 416,
        Error::InvalidArgument(_) | Error::SizeMismatch { .. } | Error::DigestMismatch | Error::Interrupted { .. } => {
            400
        }
        Error::TooLarge { .. } => 413,
        Error::Stalled { .. } => 408,
        Error::NoSpace => 507,
        Error::Unavailable { .. } => 503,
        Error::Ended | Error::Denied | Error::Internal { .. } => 500,
    };
    let answer = Answer::new(status).content(Content::Text(format!("{error}\n")));
    match error {
        Error::OutOfRange { size } => answer.field("content-range", &format!("bytes */{size}")),
        _ => answer,
    }
}
