//! `portico put` of files that do not tell how large they are.

use crate::fixture::command::{client, done, failed, last_event};
use crate::fixture::{Server, eventually, run};
use std::fs::{self, File};

#[test]
fn a_file_whose_size_is_false_is_refused_and_nothing_of_it_stays() {
    let server = Server::start(&["--log-format", "json"]);
    let url = format!("http://{}", server.addr);
    // One of procfs tells 0 bytes and has more, one of sysfs tells a page and has fewer.
    for (path, told, words) in [
        ("/proc/version", 0, "claims 0 bytes and has more"),
        ("/sys/kernel/uevent_seqnum", 4_096, "claims 4096 bytes and has fewer"),
    ] {
        assert_eq!(fs::metadata(path).expect("a file").len(), told);
        let said = failed(client(&url, "put", &[path]), 1, &[words, "put --name NAME - <", path]);
        assert!(said.out.is_empty() && !said.err.contains("trying again"), "{said:?}");
    }
    // What was begun was given up.
    eventually("the end of the session", || {
        let ended = |exchange: &serde_json::Value| exchange["method"] == "DELETE" && exchange["status"] == 204;
        server.exchanges().iter().any(ended).then_some(())
    });

    // As it is advised.
    let mut command = client(&url, "put", &["--json", "--name", "version", "-"]);
    command.stdin(File::open("/proc/version").expect("a file"));
    let said = run(command);
    assert_eq!(said.code, Some(0), "{said:?}");
    let lines: Vec<String> = said.out.lines().map(str::to_owned).collect();
    let id = last_event(&lines, "done")["receipt"]["file_id"].as_str().expect("an id").to_owned();
    let got = done(client(&url, "get", &[&id, "-o", "-"]));
    assert_eq!(got.join("\n") + "\n", fs::read_to_string("/proc/version").expect("a file"));
    done(client(&url, "rm", &[&id]));
    server.finish(&[]);
}
