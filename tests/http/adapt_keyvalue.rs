//! An app over `wasi:keyvalue` alone, composed with the adapter.

use crate::Store;
use crate::fixture::{Response, Server};
use portico_test_artifacts::COUNTER;
use std::fs;
use std::sync::Arc;

fn serve(store: &Arc<Store>) -> Server {
    let portal = store.beside("counter.wasm");
    fs::write(&portal, COUNTER).expect("a file");
    Server::start_on(store, &["--portal", &*portal.display().to_string(), "--adapt", "keyvalue"])
}

impl Server {
    #[track_caller]
    fn keys(&self, line: &str, status: u16) -> String {
        let Response { head, body } = self.ask(line, &[]);
        let text = String::from_utf8(body).expect("text");
        assert_eq!(head.status, status, "{line}: {text}");
        text
    }
}

#[test]
fn values_are_set_read_listed_and_deleted() {
    let store = Arc::new(Store::new());
    let server = serve(&store);
    assert_eq!(server.keys("GET /b/a", 200), "None");
    server.keys("PUT /b/a?value=one", 200);
    server.keys("PUT /b/a?value=two", 200);
    server.keys("PUT /other/a?value=three", 200);
    assert_eq!(server.keys("GET /b/a", 200), "Some(\"two\")");
    assert_eq!(server.keys("GET /other/a", 200), "Some(\"three\")");
    assert_eq!(
        (server.keys("GET /b/a?exists", 200), server.keys("GET /b/x?exists", 200)),
        ("true".into(), "false".into())
    );
    server.keys("DELETE /b/a", 200);
    server.keys("DELETE /b/a", 200);
    assert_eq!(server.keys("GET /b/a", 200), "None");

    let long = "%E6%97%A5".repeat(400);
    for key in ["", "%2F", "..", "a%00b", "%7E", &long, "A", "a"] {
        server.keys(&format!("PUT /%20%2F/{key}?value={key}"), 200);
    }
    for list in ["list", "list2"] {
        let keys = server.keys(&format!("GET /%20%2F/?{list}"), 200);
        let keys: Vec<&str> = keys.split('\n').collect();
        assert_eq!(keys, ["", "..", "/", "A", "a", "a\0b", "~", &"日".repeat(400)]);
    }
    assert_eq!(server.keys(&format!("GET /%20%2F/{long}"), 200), "Some(\"1200 bytes\")");
    // The values are in the store, and not in the server.
    drop(server);
    store.clear_up();
    let server = serve(&store);
    assert_eq!(server.keys("GET /other/a", 200), "Some(\"three\")");
}

#[test]
fn many_keys_are_listed_page_by_page() {
    let server = serve(&Arc::new(Store::new()));
    assert_eq!(server.keys("GET /b/k?many=12", 200), "true None 1");
    for _ in 0..3 {
        server.keys("GET /b/k?many=6", 200);
    }
    server.keys("PUT /b/x?value=1", 200);
    assert_eq!(server.keys("GET /b/?from=0", 200), "2 None");
    assert_eq!(server.keys("GET /b/?from=1", 200), "1 None");
    assert_eq!(server.keys("GET /b/?from=99", 200), "0 None");
    let refused = server.keys("GET /b/?cursor=nonsense", 500);
    assert!(refused.contains("Other(\"no listing returned this cursor\")"), "{refused}");
}

#[test]
fn no_increment_is_lost() {
    const CLIENTS: u64 = 6;
    const EACH: u64 = 10;
    let server = serve(&Arc::new(Store::new()));
    std::thread::scope(|scope| {
        for client in 0..CLIENTS {
            let server = &server;
            scope.spawn(move || {
                for _ in 0..EACH {
                    // Both drafts count the same number.
                    let how = if client % 2 == 0 { "add" } else { "add2" };
                    server.keys(&format!("GET /b/n?{how}=1"), 200);
                    server.keys("GET /b/letters?append=x", 200);
                }
            });
        }
    });
    assert_eq!(server.keys("GET /b/n?add=0", 200), (CLIENTS * EACH).to_string());
    assert_eq!(server.keys("GET /b/letters", 200), format!("Some({:?})", "x".repeat((CLIENTS * EACH) as usize)));
    assert_eq!(server.keys("GET /b/n?add2=-61", 200), "-1");
    assert_eq!(server.keys("GET /b/s?stale", 200), "Some(\"newer\")");
}

#[test]
fn what_does_not_fit_is_a_typed_error() {
    let server = serve(&Arc::new(Store::new()));
    server.keys("PUT /b/a?fill=65536", 200);
    assert_eq!(server.keys("GET /b/a", 200), "Some(\"65536 bytes\")");
    let refused = server.keys("PUT /b/a?fill=65537", 500);
    assert!(refused.contains("Other(\"the value has 65537 bytes, and at most 65536"), "{refused}");
    let many = server.keys("GET /b/a?get-many=200", 500);
    assert!(many.contains("Other(\"the values have more than 8388608 bytes: get fewer at once\")"), "{many}");
    server.keys("PUT /b/text?value=x", 200);
    for how in ["add=1", "add2=1"] {
        let refused = server.keys(&format!("GET /b/text?{how}"), 500);
        assert!(refused.contains("Other(\"the value is no whole number of this type\")"), "{refused}");
    }
    server.keys("PUT /b/most?value=18446744073709551615", 200);
    assert!(server.keys("GET /b/most?add=1", 500).contains("too large"));
    assert_eq!(server.keys("GET /b/most", 200), "Some(\"18446744073709551615\")");
    let long = "k".repeat(5_000);
    assert!(server.keys(&format!("GET /b/{long}"), 500).contains("at most 4096"));
    assert_eq!(server.keys(&format!("GET /{long}/a"), 500), "Error::NoSuchStore");
}
