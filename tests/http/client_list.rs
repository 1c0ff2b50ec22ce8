//! `portico ls` and `portico rm`.

use crate::fixture::command::{client, done, failed, last_event};
use crate::fixture::{Pattern, Server, Stored};
use serde_json::Value;

fn url(server: &Server) -> String {
    format!("http://{}", server.addr)
}

#[test]
fn files_are_listed_by_the_page_and_told_in_whole() {
    /// More than a page of the client's, put by so many at once.
    const FILES: u64 = 520;
    const PUTTING: u64 = 8;
    let server = Server::start(&[]);
    let put = |first: u64| {
        let mut connection = server.connect();
        let put = move |number: u64| {
            let content = Pattern::new(number, number % 7);
            connection.send_put(&format!("/files/name-{number}"), &[], &content);
            (number, Stored::new(&connection.response(), &content))
        };
        (first..FILES).step_by(PUTTING as usize).map(put).collect::<Vec<_>>()
    };
    let files: Vec<(u64, Stored)> = std::thread::scope(|scope| {
        let put = &put;
        let putting: Vec<_> = (0..PUTTING).map(|first| scope.spawn(move || put(first))).collect();
        putting.into_iter().flat_map(|thread| thread.join().expect("a client")).collect()
    });
    let lines = done(client(&url(&server), "ls", &["--json"]));
    let listed: Vec<Value> = lines.iter().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(listed.len(), files.len());
    for (number, file) in &files {
        let told = listed.iter().find(|told| told["file_id"] == *file.id).unwrap_or_else(|| panic!("no {}", file.id));
        assert_eq!(told["original_filename"], format!("name-{number}"));
        assert_eq!(told["size_bytes"], file.content.size());
        assert_eq!(told["sha256"], file.content.sha256_hex());
        assert_eq!(told["content_type"], "application/octet-stream");
    }
    let lines = done(client(&url(&server), "ls", &[]));
    assert_eq!(lines.len(), files.len() + 1);
    assert!(lines[0].starts_with("FILE_ID ") && lines[0].ends_with(" NAME"), "{}", lines[0]);
    assert!(lines[1..].iter().all(|line| line.contains("  name-")), "{lines:?}");
    server.finish(&files.iter().map(|(_, file)| file).collect::<Vec<_>>());
}

#[test]
fn a_name_does_nothing_to_a_terminal() {
    let server = Server::start(&[]);
    let file = server.put("%E2%80%AEcod.exe", &Pattern::new(1, 1));
    let lines = done(client(&url(&server), "ls", &[]));
    assert!(lines[1].ends_with("  \\u{202e}cod.exe"), "{lines:?}");
    let [line] = &done(client(&url(&server), "ls", &["--json"]))[..] else { panic!("one line") };
    assert_eq!(serde_json::from_str::<Value>(line).expect("JSON")["original_filename"], "\u{202e}cod.exe");
    server.finish(&[&file]);
}

#[test]
fn an_empty_store_lists_nothing() {
    let server = Server::start(&[]);
    assert_eq!(done(client(&url(&server), "ls", &[])), [""; 0]);
    assert_eq!(done(client(&url(&server), "ls", &["--json"])), [""; 0]);
    server.finish(&[]);
}

#[test]
fn what_is_removed_is_gone_and_a_second_time_is_a_failure_unless_it_is_forced() {
    let server = Server::start(&[]);
    let [one, two, three] = [1, 2, 3].map(|seed| server.put("name", &Pattern::new(seed, 100)));
    let said =
        failed(client(&url(&server), "rm", &[&one.id, "nothing", &two.id]), 1, &["nothing: the file does not exist"]);
    assert_eq!(said.out, format!("removed {}\nremoved {}\n", one.id, two.id));
    failed(client(&url(&server), "rm", &[&one.id]), 1, &["the file does not exist"]);
    assert_eq!(done(client(&url(&server), "rm", &["--force", &one.id, "nothing"])), [""; 0]);
    let lines = done(client(&url(&server), "rm", &["--force", "--json", &one.id]));
    assert_eq!(last_event(&lines, "absent")["file_id"], *one.id);
    server.expect_file(&three);
    server.finish(&[&three]);
}
