//! One table of checks on each server: the double in the process answers as the real ones do.

mod listing;
mod multipart;
mod objects;
mod requests;
#[path = "../support/mod.rs"]
mod support;

use libtest_mimic::Arguments;
use portico_test_servers::{trial, wanted};
use std::pin::Pin;
use std::process::ExitCode;
use std::sync::Arc;
use support::Place;

type Run = fn(Place) -> Pin<Box<dyn Future<Output = ()>>>;
type Check = (&'static str, Run);

/// The name and the function of each check.
macro_rules! checks {
    ($($module:ident :: $name:ident),* $(,)?) => {
        [$((stringify!($name), (|place| Box::pin($module::$name(place))) as Run)),*]
    };
}

const CHECKS: &[Check] = &checks![
    objects::an_object_is_the_same_wherever_it_is_asked_for,
    objects::put_if_none_match,
    objects::put_if_match,
    objects::one_of_many_creates_wins,
    objects::one_of_many_replacements_wins,
    objects::reads_if_match,
    objects::ranges,
    objects::deletes,
    objects::deletes_of_many,
    listing::pages_of_a_thousand,
    listing::order_and_odd_keys,
    listing::delimiter,
    listing::writes_are_listed_at_once,
    listing::uploads_and_aborts,
    multipart::parts_with_gaps_and_again,
    multipart::unknown_uploads,
    multipart::completions_refused,
    multipart::completions_on_conditions,
    multipart::copies,
    multipart::copies_refused,
    requests::wrong_checksums,
    requests::right_checksums,
    requests::checksums_in_trailers,
    requests::bodies_that_break_off,
    requests::dates,
    requests::strangers,
    requests::missing_buckets,
];

/// Where a real server is known to do otherwise than AWS; such a check is shown as ignored, with the reason.
const OTHERWISE: &[(&str, &str, &str)] = &[
    ("moto", "parts_with_gaps_and_again", "ListParts has an XML root of another name"),
    ("moto", "unknown_uploads", "UploadPart to an unknown upload answers 500"),
    ("moto", "completions_refused", "sizes are compared before the order"),
    ("moto", "completions_on_conditions", "If-Match is ignored by CompleteMultipartUpload"),
    ("moto", "copies_refused", "x-amz-copy-source-if-match is ignored"),
    ("moto", "wrong_checksums", "checksums are not compared"),
    ("moto", "right_checksums", "checksums are not answered"),
    ("garage", "put_if_none_match", "If-None-Match is ignored"),
    ("garage", "put_if_match", "If-Match is ignored by PutObject"),
    ("garage", "one_of_many_creates_wins", "If-None-Match is ignored"),
    ("garage", "one_of_many_replacements_wins", "If-Match is ignored by PutObject"),
    ("garage", "reads_if_match", "412 has no code"),
    ("garage", "uploads_and_aborts", "uploads are listed in no order"),
    ("garage", "completions_refused", "parts of any size are accepted"),
    ("garage", "completions_on_conditions", "conditions are ignored by CompleteMultipartUpload"),
    ("garage", "wrong_checksums", "the code is InvalidDigest"),
    ("garage", "checksums_in_trailers", "signed chunks with a trailer are refused"),
    ("garage", "strangers", "the code is AccessDenied"),
    ("seaweedfs", "parts_with_gaps_and_again", "a part that was sent again is listed twice"),
    ("versitygw", "one_of_many_creates_wins", "conditions are looked at and writes made in two steps"),
    ("versitygw", "one_of_many_replacements_wins", "conditions are looked at and writes made in two steps"),
    ("versitygw", "completions_refused", "sizes are compared before the order"),
    ("versitygw", "dates", "Date may be a second behind Last-Modified"),
    ("versitygw", "strangers", "it answers 404 XAdminUserNotFound"),
];

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let runtime = Arc::new(tokio::runtime::Runtime::new().expect("a runtime"));
    let mut trials = Vec::new();
    for server in wanted() {
        let one_bucket = server == "env" && std::env::var_os("PORTICO_TEST_S3_BUCKET").is_some();
        for (name, check) in CHECKS {
            let otherwise = OTHERWISE.iter().find(|(on, of, _)| *on == server && of == name).map(|(_, _, why)| *why);
            let lacks = if one_bucket { Some("needs buckets of its own") } else { otherwise };
            let runtime = runtime.clone();
            trials.push(trial(&server, name, lacks, move |server| {
                runtime.block_on(async { check(Place::new(server).await).await });
            }));
        }
    }
    libtest_mimic::run(&arguments, trials).exit_code()
}
