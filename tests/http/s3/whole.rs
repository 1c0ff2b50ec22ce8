//! Whole files there and back.

use crate::fixture::{Pattern, Server, Stored};
use crate::{S3Server, Store};
use std::sync::Arc;

const MIB: u64 = 1 << 20;

pub(crate) fn a_large_file_goes_in_comes_out_and_goes(s3: &Arc<S3Server>) {
    let server = Server::start_on(&Arc::new(Store::on(s3)), &[]);
    let file = server.put("large", &Pattern::new(1, 64 * MIB));
    server.expect_file(&file);
    server.expect_files(&[&file]);
    let mut connection = server.connect();
    // Within a piece of the upload, across two of them, and the end.
    for range in [5..MIB, 8 * MIB - 3..16 * MIB + 7, 64 * MIB - 1..64 * MIB] {
        let field = format!("bytes={}-{}", range.start, range.end - 1);
        connection.request(&format!("GET {}", file.path()), &[("Range", &field)]);
        let head = connection.head();
        let told = format!("bytes {}-{}/{}", range.start, range.end - 1, 64 * MIB);
        head.expect(206, &[("content-range", Some(&*told))]);
        connection.expect_content(&head, &file.content, range);
    }
    assert_eq!(connection.ask(&format!("DELETE {}", file.path()), &[]).head.status, 204);
    connection.ask(&format!("GET {}", file.path()), &[]).expect_problem(410, "gone");
    server.finish(&[]);
}

pub(crate) fn a_body_of_unknown_length_is_stored_whole(s3: &Arc<S3Server>) {
    let server = Server::start_on(&Arc::new(Store::on(s3)), &[]);
    let content = Pattern::new(2, 20 * MIB);
    let mut connection = server.connect();
    connection.request("PUT /files/chunked", &[("Transfer-Encoding", "chunked")]);
    content.pieces().for_each(|piece| connection.send_chunk(piece));
    connection.end_chunks();
    let file = Stored::new(&connection.response(), &content);
    server.expect_file(&file);
    server.finish(&[&file]);
}
