//! Refusals of the engine as problems.

use crate::{http::kinds, policy::parts::BadPartSize, refusal::Refusal, session::End};
use portico_guest::http::{Kind, Problem};

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        let of = Problem::from;
        match refusal {
            Refusal::Unknown => of(Kind::NOT_FOUND),
            Refusal::Ended(End::Complete) => of(kinds::SESSION_COMPLETE),
            Refusal::Ended(End::Deleted) => of(Kind::GONE).detail("the file was deleted"),
            Refusal::Ended(End::Aborted) => of(Kind::GONE).detail("the session was aborted"),
            Refusal::Ended(End::Expired) => of(Kind::GONE).detail("the session has expired"),
            Refusal::Ended(End::Joined) => of(Kind::GONE).detail("the upload has become a piece of another file"),
            Refusal::Incomplete(runs) => of(kinds::INCOMPLETE_UPLOAD).member("missing_parts", runs),
            Refusal::Short(received) => of(kinds::INCOMPLETE_UPLOAD).detail(format!("{received} bytes have arrived")),
            Refusal::Offset(offset) => of(kinds::OFFSET_MISMATCH).detail(format!("the upload has {offset} bytes")),
            Refusal::Length => of(kinds::LENGTH_MISMATCH),
            Refusal::Kind => of(kinds::OTHER_KIND),
            Refusal::Partial => Problem::invalid("upload-concat", "not a partial upload of this server"),
            Refusal::Used => Problem::invalid("upload-concat", "a partial upload can be used once"),
            Refusal::Appends => of(Kind::TOO_LARGE).detail("too many appends"),
            Refusal::OtherContent => of(kinds::PART_CONFLICT),
            Refusal::Busy => of(kinds::SESSION_BUSY).header("retry-after", "1".to_owned()),
            Refusal::Unreadable => of(Kind::INTERNAL).detail("the session's record has an unknown version"),
            Refusal::TooLarge(limit) => of(Kind::TOO_LARGE).field("total_size_bytes").limit(limit),
            Refusal::PartSize(bad) => {
                let detail = match bad {
                    BadPartSize::Below(least) => format!("at least {least} bytes expected"),
                    BadPartSize::Above(most) => format!("at most {most} bytes expected"),
                    BadPartSize::Splits(least) => format!("too many parts; at least {least} bytes needed"),
                };
                Problem::invalid("chunk_size_bytes", detail)
            }
            Refusal::Store(error) => error.into(),
        }
    }
}
