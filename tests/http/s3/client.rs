//! `portico put` and `get` on one bucket, through several servers.

use crate::fixture::Server;
use crate::fixture::command::{
    Acknowledged, PATIENCE, Running, client, done, expect_content, file_of, parts_done, put_told,
};
use crate::fixture::relay::Relay;
use crate::fixture::{Pattern, eventually};
use crate::{S3Server, Store, finish_after_failures};
use rustix::process::Signal;
use std::sync::Arc;

const MIB: u64 = 1 << 20;

/// The server of an upload is killed in the middle of it, and another one of the same bucket takes its place.
pub(crate) fn an_upload_goes_on_with_another_server(s3: &Arc<S3Server>) {
    let store = Arc::new(Store::on(s3));
    let mut one = Server::start_on(&store, &["--log-format", "json"]);
    let other = Server::start_on(&store, &["--log-format", "json"]);
    let relay = Relay::start(one.addr);
    let content = Pattern::new(1, 40 * MIB + 1);
    let path = file_of(&store, "file", &content);
    let arguments = ["--json", "--part-size", "1MiB", "--retry", PATIENCE, path.to_str().expect("text")];
    let running = Running::start(client(&relay.url(), "put", &arguments));
    eventually("some parts", || (parts_done(&one.exchanges()) > 5).then_some(()));
    relay.lead_to(other.addr);
    one.signal(Signal::KILL);
    one.wait();
    let said = running.wait();
    assert_eq!(said.code, Some(0), "{said:?}");
    let file = put_told(&said.out.lines().map(str::to_owned).collect::<Vec<_>>(), &content);
    let mut acknowledged = Acknowledged::default();
    acknowledged.follow(&one.exchanges());
    acknowledged.follow(&other.exchanges());
    let target = store.beside("target");
    done(client(&relay.url(), "get", &[&file.id, "-o", target.to_str().expect("text")]));
    expect_content(&target, &content);
    finish_after_failures(s3, other, &[&file]);
}
