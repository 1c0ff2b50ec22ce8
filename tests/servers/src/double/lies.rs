//! What a lying server does otherwise than S3.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// Lies of a server in the process, each seen on a real one. The default is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lies {
    /// `If-None-Match` on a put or a completion is taken for absent.
    pub ignores_if_none_match: bool,
    /// `If-Match`, on whatever, and `x-amz-copy-source-if-match` are taken for absent.
    pub ignores_if_match: bool,
    /// `UploadPartCopy` answers 200 and stores a part of no bytes, which a completion then takes.
    pub copy_stores_nothing: bool,
    /// `UploadPartCopy` answers 501.
    pub copy_not_implemented: bool,
    /// `UploadPartCopy` copies the whole source.
    pub copy_ignores_range: bool,
    /// Checksums in headers and trailers are not compared.
    pub checksum_not_verified: bool,
    /// A request for a range is answered 200, with everything.
    pub range_ignored: bool,
    /// The last byte of a `PutObject` is lost.
    pub truncates_objects: bool,
    /// `CompleteMultipartUpload` does its work and answers 404 `NoSuchUpload`.
    pub loses_uploads: bool,
    /// `CompleteMultipartUpload` makes the object, answers 500 `InternalError`, and has the upload still.
    pub keeps_uploads: bool,
    /// `ListMultipartUploads` answers 501.
    pub no_list_uploads: bool,
    /// Pages of listings end after 7 entries, whatever is asked.
    pub small_pages: bool,
    /// `If-None-Match` on a put is looked at so long before the object is written, in two steps.
    pub if_none_match_gap: Option<Duration>,
    /// `If-Match` on a put is looked at so long before the object is written, in two steps.
    pub if_match_gap: Option<Duration>,
    /// Answers have no request id.
    pub no_request_ids: bool,
}

/// Waits, for microseconds, and lets other requests be served meanwhile.
pub(super) async fn gap(time: Duration) {
    let since = Instant::now();
    loop {
        tokio::task::yield_now().await;
        if since.elapsed() >= time {
            return;
        }
    }
}

/// The lies that are told at present.
#[derive(Clone, Default)]
pub(crate) struct Told(Arc<Mutex<Lies>>);

impl Told {
    pub(crate) fn set(&self, lies: Lies) {
        *self.0.lock().expect("no panic under the lock") = lies;
    }

    pub(super) fn get(&self) -> Lies {
        *self.0.lock().expect("no panic under the lock")
    }
}
