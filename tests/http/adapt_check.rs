//! `--adapt` before anything is served: what fits, what does not, and what is compiled ahead.

use crate::Store;
use crate::fixture::server::Said;
use crate::fixture::{Pattern, Server, portico, run};
use portico_test_artifacts::{BLOBS, COUNTER, HOSTILE};
use std::fs;
use std::sync::Arc;

/// Runs `check` on a component with adapters.
fn check(component: &[u8], flags: &[&str]) -> Said {
    let store = Store::new();
    let file = store.beside("app.wasm");
    fs::write(&file, component).expect("a file");
    run(portico(["check", "--portal", &*file.display().to_string()].iter().chain(flags)))
}

#[test]
fn check_says_what_fits_and_what_does_not() {
    let said = check(BLOBS, &["--adapt", "blobstore"]);
    assert_eq!((said.code, &*said.err), (Some(0), ""), "{said:?}");
    for line in
        ["adapter: blobstore", "import  portico:storage/storage@0.2.0", "answers HTTP: yes", "does maintenance: yes"]
    {
        assert!(said.out.lines().any(|said| said == line), "no {line:?} in {}", said.out);
    }
    assert!(!said.out.contains("wasi:blobstore"), "{}", said.out);

    for (component, flags, code, words) in [
        (BLOBS, &[][..], 1, "does not provide: wasi:blobstore/"),
        (BLOBS, &[], 1, "`--adapt blobstore` provides wasi:blobstore"),
        (
            BLOBS,
            &["--adapt", "blobs"],
            2,
            "adapt = `blobs` (from --adapt): there is no adapter `blobs`: expected blobstore, keyvalue",
        ),
        (BLOBS, &["--adapt", "./none.wasm"], 1, "cannot read the adapter ./none.wasm"),
        (
            BLOBS,
            &["--adapt", "blobstore", "--adapt", "keyvalue"],
            1,
            "nothing that the adapter keyvalue provides (wasi:keyvalue/",
        ),
        (
            BLOBS,
            &["--adapt", "blobstore,blobstore"],
            1,
            "the adapters blobstore and blobstore both provide wasi:blobstore/",
        ),
        (HOSTILE, &["--adapt", "blobstore"], 1, "leave the adapter out"),
        (COUNTER, &["--adapt", "blobstore"], 1, "leave the adapter out"),
        (b"(component)", &["--adapt", "blobstore"], 1, "WebAssembly text"),
    ] {
        let said = check(component, flags);
        assert_eq!(said.code, Some(code), "{said:?}");
        assert!(said.err.contains(words), "no {words:?} in {}", said.err);
    }
    let said = run(portico(["check", "--store", "file:none", "--adapt", "blobstore"]));
    assert!(said.code == Some(2) && said.err.contains("the built-in portal takes no adapter"), "{said:?}");
}

#[test]
fn a_component_is_compiled_with_its_adapters() {
    let store = Arc::new(Store::new());
    let (app, image) = (store.beside("app.wasm"), store.beside("app.cwasm"));
    fs::write(&app, BLOBS).expect("a file");
    let [app, image] = [app, image].map(|path| path.display().to_string());
    let said = run(portico(["compile", &*app, "--adapt", "blobstore", "-o", &*image]));
    assert_eq!((said.code, &*said.err), (Some(0), ""), "{said:?}");
    let said = run(portico(["check", "--portal", &*image, "--adapt", "blobstore"]));
    assert!(said.code == Some(1) && said.err.contains("a compiled portal takes no adapter"), "{said:?}");
    let server = Server::start_on(&store, &["--portal", &*image]);
    server.put_blob("/a/x", &Pattern::new(1, 1_000));
    server.expect_blob("/a/x", &Pattern::new(1, 1_000));
}
