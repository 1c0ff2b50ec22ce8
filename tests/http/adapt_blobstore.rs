//! An app over `wasi:blobstore` alone, composed with the adapter.

use crate::Store;
use crate::fixture::{Connection, Pattern, Response, Server, eventually, tell};
use portico_test_artifacts::BLOBS;
use rustix::process::Signal;
use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

const MIB: u64 = 1 << 20;

/// Serves the app on a store that may have been there before.
fn serve(store: &Arc<Store>, flags: &[&str]) -> Server {
    let portal = store.beside("blobs.wasm");
    fs::write(&portal, BLOBS).expect("a file");
    let portal = portal.display().to_string();
    Server::start_on(store, &[&["--portal", &*portal, "--adapt", "blobstore"], flags].concat())
}

fn start() -> Server {
    serve(&Arc::new(Store::new()), &[])
}

impl Server {
    /// Sends a request of the app, and returns the text of its answer.
    #[track_caller]
    fn blobs(&self, line: &str, status: u16) -> String {
        let Response { head, body } = self.ask(line, &[]);
        let text = String::from_utf8(body).expect("text");
        assert_eq!(head.status, status, "{line}: {text}");
        text
    }

    pub(crate) fn put_blob(&self, path: &str, content: &Pattern) {
        let mut connection = self.connect();
        connection.send_put(path, &[], content);
        let response = connection.response();
        assert_eq!(response.head.status, 201, "{}", String::from_utf8_lossy(&response.body));
    }

    #[track_caller]
    pub(crate) fn expect_blob(&self, path: &str, content: &Pattern) {
        self.expect_bytes(path, content, 0..content.size());
    }

    #[track_caller]
    fn expect_bytes(&self, path: &str, content: &Pattern, range: std::ops::Range<u64>) {
        let mut connection = self.connect();
        connection.request(&format!("GET {path}"), &[]);
        let head = connection.head();
        assert_eq!(head.status, 200, "{path}: {head:?}");
        connection.expect_content(&head, content, range);
    }

    /// Waits until the store holds the contents of so many objects, and nothing else.
    #[track_caller]
    fn expect_held(&self, number: usize) {
        eventually("as many contents as objects", || (self.store.contents() == number).then_some(()));
    }

    /// Fails unless the container has these objects and no others.
    #[track_caller]
    fn expect_blobs(&self, container: &str, names: &[&str]) {
        let listed = self.blobs(&format!("GET /{container}?list=2"), 200);
        let mut listed = listed.lines();
        listed.next();
        let mut names = names.to_vec();
        names.sort_unstable();
        assert_eq!(listed.collect::<Vec<_>>(), names);
    }
}

#[test]
fn objects_are_put_read_listed_and_deleted() {
    let server = start();
    assert_eq!(server.blobs("GET /a/x", 404), "container 'a' does not exist");
    let [one, other] = [Pattern::new(1, 3 * MIB), Pattern::new(2, 70_000)];
    let empty = Pattern::new(3, 0);
    server.put_blob("/a/one", &one);
    server.put_blob("/a/other", &other);
    server.put_blob("/a/empty", &empty);
    for (path, content) in [("/a/one", &one), ("/a/other", &other), ("/a/empty", &empty)] {
        server.expect_blob(path, content);
    }
    server.expect_blobs("a", &["empty", "one", "other"]);
    let info = server.blobs("GET /a/one?info", 200);
    assert!(info.starts_with(&format!("a one {} ", 3 * MIB)), "{info}");
    let seconds: u64 = info.rsplit(' ').next().and_then(|text| text.parse().ok()).expect("seconds");
    let now = std::time::SystemTime::UNIX_EPOCH.elapsed().expect("a clock").as_secs();
    assert!(now.abs_diff(seconds) < 600, "{seconds}");

    server.put_blob("/a/one", &other);
    server.expect_blob("/a/one", &other);
    assert_eq!(server.ask("HEAD /a/one", &[]).head.status, 200);
    server.blobs("DELETE /a/one", 200);
    server.blobs("DELETE /a/one", 200);
    assert_eq!(server.ask("HEAD /a/one", &[]).head.status, 404);
    assert_eq!(server.blobs("GET /a/one", 404), "object 'one' does not exist in container 'a'");
    assert_eq!(server.blobs("GET /a/one?info", 404), "object 'one' does not exist in container 'a'");
    server.expect_blobs("a", &["empty", "other"]);
    server.expect_held(2);
}

#[test]
fn ranges_are_inclusive_and_end_with_the_object() {
    let server = start();
    let content = Pattern::new(1, 100_000);
    server.put_blob("/a/x", &content);
    server.put_blob("/a/empty", &Pattern::new(1, 0));
    for (range, bytes) in [
        ("0-0", 0..1),
        ("0-99999", 0..100_000),
        ("0-100000", 0..100_000),
        ("99999-99999", 99_999..100_000),
        ("500-70000", 500..70_001),
        ("7-18446744073709551615", 7..100_000),
    ] {
        server.expect_bytes(&format!("/a/x?range={range}"), &content, bytes);
    }
    server.expect_bytes("/a/empty?range=0-0", &content, 0..0);
    let beyond = server.blobs("GET /a/x?range=100000-100001", 500);
    assert_eq!(beyond, "the range begins at byte 100000 of an object of 100000 bytes");
    assert_eq!(server.blobs("GET /a/x?range=5-4", 500), "the range begins at byte 5, behind its end at byte 4");
    server.expect_held(2);
}

#[test]
fn objects_are_copied_and_moved_between_containers() {
    let server = start();
    let [one, other] = [Pattern::new(1, 300_000), Pattern::new(2, 5)];
    server.put_blob("/a/one", &one);
    assert_eq!(server.blobs("GET /a/one?copy=b/two", 404), "container 'b' does not exist");
    server.blobs("PUT /b", 201);
    assert_eq!(server.blobs("PUT /b", 500), "container 'b' already exists");
    server.put_blob("/b/two", &other);
    server.blobs("GET /a/one?copy=b/two", 200);
    server.expect_blob("/b/two", &one);
    server.expect_blob("/a/one", &one);
    server.put_blob("/a/one", &other);
    server.expect_blob("/b/two", &one);
    server.blobs("GET /b/two?move=a/three", 200);
    assert_eq!(server.ask("HEAD /b/two", &[]).head.status, 404);
    server.expect_blob("/a/three", &one);
    for same in ["copy", "move"] {
        server.blobs(&format!("GET /a/three?{same}=a/three"), 200);
        server.expect_blob("/a/three", &one);
    }
    assert_eq!(server.blobs("GET /a/none?move=a/none", 404), "object 'none' does not exist in container 'a'");
    server.expect_blobs("a", &["one", "three"]);
    server.expect_blobs("b", &[]);
    server.expect_held(2);
}

#[test]
fn containers_are_cleared_and_deleted_with_their_objects() {
    let server = start();
    let content = Pattern::new(1, 1_000);
    for name in 0..5 {
        server.put_blob(&format!("/a/{name}"), &content);
        server.put_blob(&format!("/b/{name}"), &content);
    }
    let info = server.blobs("GET /a?info", 200);
    assert!(info.starts_with("a "), "{info}");
    server.blobs("GET /a?clear", 200);
    server.expect_blobs("a", &[]);
    server.expect_blobs("b", &["0", "1", "2", "3", "4"]);
    server.blobs("DELETE /b", 200);
    assert_eq!(server.blobs("DELETE /b", 404), "container 'b' does not exist");
    assert_eq!(server.ask("HEAD /b", &[]).head.status, 404);
    server.blobs("PUT /b", 201);
    server.expect_blobs("b", &[]);
    server.expect_held(0);
}

#[test]
fn names_of_any_script_and_length_are_kept() {
    let server = start();
    let long = "x".repeat(3_000);
    let names = [
        "",
        "/",
        "..",
        "a/b",
        "a%2Fb",
        "~",
        "A",
        "a",
        "ä",
        "日本語のとても長い名前".repeat(5).as_str(),
        "\n",
        "\0",
        &long,
    ]
    .map(str::to_owned);
    let encode = |name: &str| name.bytes().map(|byte| format!("%{byte:02X}")).collect::<String>();
    for (seed, name) in names.iter().enumerate() {
        server.put_blob(&format!("/%C3%A4%2F/{}", encode(name)), &Pattern::new(seed as u64, 100));
    }
    for (seed, name) in names.iter().enumerate() {
        server.expect_blob(&format!("/%C3%A4%2F/{}", encode(name)), &Pattern::new(seed as u64, 100));
    }
    let listed = server.blobs("GET /%C3%A4%2F?list=3", 200);
    let (count, listed) = listed.split_once('\n').expect("lines");
    assert!(count.starts_with("13 in "), "{count}");
    let mut sorted = names.to_vec();
    sorted.sort();
    assert_eq!(listed, sorted.join("\n"));
    assert_eq!(server.blobs("GET /%C3%A4%2F?skip=12", 200), "(12, false) 1 true");
    assert_eq!(server.blobs("GET /%C3%A4%2F?skip=99", 200), "(13, true) 0 true");
    server.expect_held(13);
}

#[test]
fn a_value_is_used_once_and_only_with_a_name() {
    let server = start();
    server.blobs("PUT /a", 201);
    let twice = server.blobs("GET /a/x?twice", 200);
    assert_eq!(twice, "true Err(\"this value was given to write-data before\") Ok(())");
    assert_eq!(server.blobs("GET /a/y?lost", 200), "Err(\"the value was not given to write-data\")");
    server.expect_blobs("a", &["x"]);
    server.put_blob("/a/text", &Pattern::new(1, 0));
    assert_eq!(server.blobs("GET /a/text?sync", 200), "");
    server.put_blob("/a/large", &Pattern::new(1, 17 * MIB));
    let refused = server.blobs("GET /a/large?sync", 500);
    assert!(refused.contains("returns at most 16777216"), "{refused}");
    let content = Pattern::new(4, 2 * MIB);
    server.put_blob("/a/held", &content);
    server.expect_bytes("/a/held?held", &content, 0..content.size());
    server.expect_held(3);
}

#[test]
fn a_cut_body_leaves_nothing_and_an_old_object_stays() {
    let server = start();
    let old = Pattern::new(1, 100_000);
    server.put_blob("/a/x", &old);
    for name in ["x", "y"] {
        let mut connection = server.connect();
        connection.request(&format!("PUT /a/{name}"), &[("Content-Length", "20000000")]);
        Pattern::new(2, 12 * MIB).pieces().for_each(|piece| connection.send(piece));
        connection.reset();
    }
    server.expect_held(1);
    server.expect_blobs("a", &["x"]);
    server.expect_blob("/a/x", &old);
}

#[test]
fn racing_writers_of_one_name_leave_the_content_of_one() {
    let server = start();
    server.blobs("PUT /a", 201);
    let contents: Vec<Pattern> = (0..4).map(|seed| Pattern::new(seed, 50_000 + seed)).collect();
    std::thread::scope(|scope| {
        for content in &contents {
            let server = &server;
            scope.spawn(move || (0..5).for_each(|_| server.put_blob("/a/x", content)));
        }
        // A reader gets one of them, whole.
        for _ in 0..10 {
            let mut connection = server.connect();
            connection.request("GET /a/x", &[]);
            let head = connection.head();
            if head.status == 200 {
                let mut bytes = Vec::new();
                connection.body(&head, |_, piece| bytes.extend_from_slice(piece)).expect("a whole object");
                let content =
                    contents.iter().find(|content| content.size() == bytes.len() as u64).expect("one of them");
                content.expect(0, &bytes);
            } else {
                let mut rest = Vec::new();
                connection.body(&head, |_, piece| rest.extend_from_slice(piece)).expect("a text");
            }
        }
    });
    let last = server.blobs("GET /a/x?info", 200);
    let size: u64 = last.split(' ').nth(2).and_then(|size| size.parse().ok()).expect("a size");
    let content = contents.iter().find(|content| content.size() == size).expect("one of them");
    server.expect_blob("/a/x", content);
    server.expect_held(1);
}

#[test]
fn a_killed_server_leaves_the_old_or_the_new_content() {
    let store = Arc::new(Store::new());
    let content = |seed: u64| Pattern::new(seed, 200_000 + seed);
    let server = serve(&store, &[]);
    server.put_blob("/a/x", &content(0));
    drop(server);
    let mut known = 0;
    for round in 1..6_u64 {
        store.clear_up();
        let server = serve(&store, &[]);
        let killed = AtomicBool::new(false);
        let last = std::thread::scope(|scope| {
            let writer = scope.spawn(|| {
                for seed in round * 1_000.. {
                    let put = Connection::try_open(server.addr)
                        .and_then(|mut connection| connection.try_put("/a/x", &content(seed)));
                    match put {
                        Ok(response) if response.head.status == 201 => {}
                        _ => {
                            assert!(killed.load(Ordering::Relaxed), "the server fails before it is killed");
                            return seed;
                        }
                    }
                }
                unreachable!("no server lives that long")
            });
            std::thread::sleep(Duration::from_millis(37 * round));
            killed.store(true, Ordering::Relaxed);
            server.signal(Signal::KILL);
            writer.join().expect("a writer")
        });
        drop(server);
        store.clear_up();
        let server = serve(&store, &[]);
        let info = server.blobs("GET /a/x?info", 200);
        let size: u64 = info.split(' ').nth(2).and_then(|size| size.parse().ok()).expect("a size");
        let seed = size - 200_000;
        // What was acknowledged last, or what was being written.
        let acknowledged = if last == round * 1_000 { known } else { last - 1 };
        assert!(seed == acknowledged || seed == last, "{seed} in place of {acknowledged} or {last}");
        server.expect_blob("/a/x", &content(seed));
        known = seed;
    }
}

#[test]
fn a_large_object_goes_through_without_entering_a_guest() {
    let server = serve(&Arc::new(Store::new()), &["--guest-memory", "8MiB"]);
    let peak_of = |content: &Pattern| {
        server.reset_peak();
        server.put_blob("/a/large", content);
        server.expect_blob("/a/large", content);
        server.peak()
    };
    peak_of(&Pattern::new(0, 30 * MIB));
    let small = peak_of(&Pattern::new(1, 30 * MIB));
    let large = peak_of(&Pattern::new(2, 256 * MIB));
    tell(&format!("peak through wasi:blobstore: {} KiB for 30 MiB, {} KiB for 256 MiB", small >> 10, large >> 10));
    // An S3 store gathers pieces; nothing has room for the whole.
    assert!(large <= small + 32 * MIB, "{small} and {large} bytes");
    server.expect_held(1);
}
