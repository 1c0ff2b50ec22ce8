//! Uploads a stream of unknown length in one request. It cannot be resumed.

use super::source::Sent;
use super::upload::{Uploaded, type_of};
use crate::client::Client;
use crate::error::{BoxError, Error, Unreadable};
use crate::event::{Event, Observer};
use crate::limits::CHUNK;
use crate::remote::{OutgoingBody, Receipt, STALL_LIMIT, file_path};
use bytes::Bytes;
use http::{HeaderValue, Method};
use http_body::Frame;
use http_body_util::BodyExt as _;
use hyper::header::{ACCEPT, CONTENT_TYPE};
use portico_store::{Digest, Sha256};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use tokio::sync::mpsc;

/// Capacity of the queue of pieces that wait to be sent.
const AHEAD: usize = 2;

impl Client {
    /// Uploads a stream to its end. A thread of its own reads the stream, and ends at the next read after this call.
    ///
    /// # Errors
    /// [`Error`]. Nothing is retried. If the connection is lost at the end, the file may be stored or not.
    pub async fn put_pipe(
        &self,
        from: impl Read + Send + 'static,
        name: &str,
        content_type: Option<&str>,
        observer: &Arc<dyn Observer>,
    ) -> Result<Uploaded, Error> {
        observer.report(Event::Started { size: None, already: 0 });
        let sent = {
            let observer = observer.clone();
            let total = std::sync::atomic::AtomicU64::new(0);
            Arc::new(Sent::new(move |bytes| {
                let before = total.fetch_add(bytes, std::sync::atomic::Ordering::Relaxed);
                observer.report(Event::Transferred(before + bytes));
            }))
        };
        let request = self.server.request(Method::PUT, &file_path(name))?;
        let guessed = content_type.map_or_else(|| type_of(name), str::to_owned);
        let guessed = HeaderValue::try_from(&guessed).map_err(|_| Error::MediaType(guessed))?;
        let (body, digest) = pipe(from, sent.clone());
        let request = request.header(CONTENT_TYPE, guessed).header(ACCEPT, "application/json").body(body);
        let request = request.expect("a request");
        let receipt: Receipt = self.server.exchange(request, Some(STALL_LIMIT), &sent.pulse).await?;
        let receipt = self.expect_receipt(receipt)?;
        observer.report(Event::Comparing);
        let sha256 = digest.lock().expect("no panic under the lock").take();
        if sha256.map(|sha256| sha256.to_hex()).as_ref() == Some(&receipt.sha256) {
            return Ok(Uploaded { receipt, was_there: false });
        }
        self.delete(&receipt.file_id).await?;
        Err(Error::Differs(PathBuf::from("-")))
    }
}

/// The digest of the stream, set at its end.
type SharedDigest = Arc<Mutex<Option<Digest>>>;

struct Pipe {
    pieces: mpsc::Receiver<std::io::Result<Bytes>>,
    sent: Arc<Sent>,
}

fn pipe(mut from: impl Read + Send + 'static, sent: Arc<Sent>) -> (OutgoingBody, SharedDigest) {
    let (sender, pieces) = mpsc::channel(AHEAD);
    let digest = SharedDigest::default();
    let told = digest.clone();
    // A thread of the runtime would be waited for at the end of the process.
    std::thread::spawn(move || {
        let mut sha256 = Sha256::new();
        loop {
            let mut buffer = vec![0; CHUNK];
            let piece = match from.read(&mut buffer) {
                Ok(0) => {
                    *told.lock().expect("no panic under the lock") = Some(sha256.finish());
                    return;
                }
                Ok(length) => {
                    buffer.truncate(length);
                    sha256.update(&buffer);
                    Ok(buffer.into())
                }
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                Err(error) => Err(error),
            };
            let failed = piece.is_err();
            if sender.blocking_send(piece).is_err() || failed {
                return;
            }
        }
    });
    (Pipe { pieces, sent }.boxed_unsync(), digest)
}

impl http_body::Body for Pipe {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        self.pieces.poll_recv(context).map(|piece| {
            Some(match piece? {
                Ok(bytes) => {
                    self.sent.add(bytes.len());
                    Ok(Frame::data(bytes))
                }
                Err(cause) => {
                    let path = Path::new("-").to_owned();
                    Err(Unreadable { path, cause: Arc::new(cause) }.into())
                }
            })
        })
    }
}
