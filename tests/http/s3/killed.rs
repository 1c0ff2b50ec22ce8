//! What a kill leaves in the bucket, and who removes it.

use crate::fixture::{Pattern, Server, eventually};
use crate::{S3Server, Store};
use rustix::process::Signal;
use std::sync::Arc;

pub(crate) fn a_sweep_removes_what_a_killed_put_has_left(s3: &Arc<S3Server>) {
    let store = Arc::new(Store::on(s3));
    let mut server = Server::start_on(&store, &[]);
    let kept = server.put("kept", &Pattern::new(1, 20 << 20));
    server.expect_files(&[&kept]);
    let content = Pattern::new(2, 64 << 20);
    let length = content.size().to_string();
    let mut known = server.connect();
    known.request("PUT /files/killed", &[("Content-Length", &*length)]);
    content.pieces_of(0..24 << 20).for_each(|piece| known.send(piece));
    let mut chunked = server.connect();
    chunked.request("PUT /files/killed", &[("Transfer-Encoding", "chunked")]);
    content.pieces_of(0..24 << 20).for_each(|piece| chunked.send_chunk(piece));
    eventually("two uploads under way", || (store.leftovers().len() == 2).then_some(()));
    server.signal(Signal::KILL);
    server.wait();

    let server = Server::start_on(&store, &[]);
    server.expect_file(&kept);
    assert_eq!(store.leftovers().len(), 2, "a start leaves alone what may be another server's");
    store.clear_up();
    let [_, _, data] = store.place(&kept.id);
    let expected = ["store/format".to_owned(), format!("store/receipt/main/{}", kept.id), data];
    let mut found: Vec<String> = store.keys().into_keys().collect();
    found.sort();
    let mut expected = expected.to_vec();
    expected.sort();
    assert_eq!(found, expected);
    server.finish(&[&kept]);
}
