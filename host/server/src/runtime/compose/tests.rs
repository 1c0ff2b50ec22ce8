use super::*;

fn adapter(name: &str, wat: &str) -> AdapterComponent {
    AdapterComponent { name: name.to_owned(), component: wat::parse_str(wat).expect("a component").into() }
}

/// A component that exports an instance with a function `run`, and imports what `imports` says.
fn provider(export: &str, imports: &str) -> String {
    format!(
        r#"(component {imports}
            (core module $m (func (export "run")))
            (core instance $i (instantiate $m))
            (func $run (canon lift (core func $i "run")))
            (instance $out (export "run" (func $run)))
            (export "{export}" (instance $out)))"#
    )
}

const RUN: &str = r#"(instance (export "run" (func)))"#;

fn imports_and_exports(component: &[u8]) -> (Vec<String>, Vec<String>) {
    let shape = Shape::read(component).expect("a component");
    (shape.imports, shape.exports)
}

#[track_caller]
fn refused(portal: &str, adapters: &[AdapterComponent], words: &[&str]) {
    let portal = wat::parse_str(portal).expect("a component");
    let error = portico_store::chain(&compose(&portal, adapters).expect_err("an error"));
    for word in words {
        assert!(error.contains(word), "no {word:?} in {error}");
    }
}

#[test]
fn an_import_becomes_the_export_of_an_adapter() {
    let imports =
        format!(r#"(import "a:b/c@0.2.0-draft" {RUN}) (import "d:e/f@0.2.1" {RUN}) (import "g:h/i@1.0.0" {RUN})"#);
    let portal = wat::parse_str(provider("x:y/z@0.2.0", &imports)).expect("a component");
    // Both import d:e/f, in compatible versions.
    let one = adapter("one", &provider("a:b/c@0.2.0-draft", &format!(r#"(import "d:e/f@0.2.12" {RUN})"#)));
    let two = adapter("two", &provider("g:h/i@1.2.3", ""));
    let composed = compose(&portal, &[one, two]).expect("a composition");
    wasmparser::Validator::new().validate_all(&composed).expect("a valid component");
    let (imports, exports) = imports_and_exports(&composed);
    let [import] = &*imports else { panic!("{imports:?}") };
    assert!(import.starts_with("d:e/f@0.2.1"), "{import}");
    assert_eq!(exports, ["x:y/z@0.2.0"]);
}

#[test]
fn the_same_components_make_the_same_composition() {
    let portal = wat::parse_str(provider("x:y/z", &format!(r#"(import "a:b/c" {RUN})"#))).expect("a component");
    let make = || compose(&portal, &[adapter("one", &provider("a:b/c", ""))]).expect("a composition");
    assert_eq!(make(), make());
}

#[test]
fn the_maintenance_of_an_adapter_is_exported_if_the_portal_has_none() {
    let with = |name: &str| {
        let also = r#"(export "portico:storage/maintenance@0.2.0" (instance $out)))"#;
        let text = provider(name, "");
        text.strip_suffix(')').expect("its end").to_owned() + also
    };
    let import = format!(r#"(import "a:b/c" {RUN}) (import "a:b/d" {RUN})"#);
    let plain = wat::parse_str(provider("x:y/z", &import)).expect("a component");
    let both = |composed: Vec<u8>| imports_and_exports(&composed).1;
    let names = ["x:y/z", "portico:storage/maintenance@0.2.0"].map(str::to_owned);
    assert_eq!(both(compose(&plain, &[adapter("one", &with("a:b/c"))]).expect("a composition")), names);
    refused(
        &provider("x:y/z", &import),
        &[adapter("one", &with("a:b/c")), adapter("two", &with("a:b/d"))],
        &["the adapters one and two both provide portico:storage/maintenance@0.2.0"],
    );
    let text = provider("x:y/z", &import);
    let own = text.strip_suffix(')').expect("its end").to_owned()
        + r#"(export "portico:storage/maintenance@0.2.0" (instance $out)))"#;
    let own = wat::parse_str(own).expect("a component");
    let adapters = [adapter("one", &with("a:b/c")), adapter("two", &with("a:b/d"))];
    assert_eq!(both(compose(&own, &adapters).expect("a composition")), names);
}

#[test]
fn what_does_not_fit_is_said() {
    let portal = &provider("x:y/z", &format!(r#"(import "a:b/c@0.2.0-draft" {RUN})"#));
    let one = |name: &str| adapter("one", &provider(name, ""));
    refused(
        portal,
        &[one("other:one/c")],
        &["imports nothing that the adapter one provides (other:one/c)", "leave the adapter out"],
    );
    refused(
        portal,
        &[one("a:b/c@0.2.0-draft2")],
        &["(a:b/c@0.2.0-draft2)", "or use one for a:b/c@0.2.0-draft, which the portal imports"],
    );
    refused(
        portal,
        &[one("a:b/c@0.2.0-draft"), AdapterComponent { name: "two".to_owned(), ..one("a:b/c@0.2.0-draft") }],
        &["the adapters one and two both provide a:b/c@0.2.0-draft"],
    );
    let types = provider("x:y/z", r#"(import "a:b/c" (instance (export "run" (func (result string)))))"#);
    refused(&types, &[one("a:b/c")], &["one provides a:b/c with other types"]);
    for (component, words) in [
        (&b""[..], "the file is empty"),
        (b"\0asm\x01\0\0\0", "a core module"),
        (b"(component)", "text"),
        (b"\0asm\x0d\0\x01\0\x07", "ends after 9 bytes"),
    ] {
        let broken = AdapterComponent { name: "one".to_owned(), component: component.into() };
        refused(portal, &[broken], &["the adapter one cannot be used", words]);
    }
}
