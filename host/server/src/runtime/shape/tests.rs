use super::*;
use portico_test_artifacts::PORTAL;

const HANDLER_02: &str = r#"(instance $empty) (export "wasi:http/incoming-handler@0.2.3" (instance $empty))"#;

fn component(text: &str) -> Vec<u8> {
    wat::parse_str(format!("(component {text})")).unwrap()
}

fn error(file: &[u8]) -> String {
    let checked = Shape::read(file).and_then(|shape| shape.check(&Limits::default()));
    checked.unwrap_err().to_string()
}

#[test]
fn the_built_in_portal_fits_with_room_to_spare() {
    let shape = Shape::read(PORTAL).unwrap();
    shape.check(&Limits::default()).unwrap();
    assert_eq!(shape.needs.memories, 1);
    assert!(shape.imports.iter().any(|name| name.starts_with("portico:storage/")), "{shape:?}");
    assert!(shape.exports.iter().any(|name| name.starts_with("portico:storage/maintenance")), "{shape:?}");
}

#[test]
fn each_file_that_is_no_portal_says_what_to_do() {
    let cut = |file: &[u8]| error(&file[..file.len() / 2]);
    for (text, words) in [
        (error(b""), "is empty"),
        (error(b"not wasm at all"), "not a WebAssembly component: it does not begin"),
        (error(b" ;; text\n(component)"), "wasm-tools parse"),
        (error(b"(module)"), "wasm-tools parse"),
        (error(&wat::parse_str("(module)").unwrap()), "core module, not a WebAssembly component: build for"),
        (cut(PORTAL), "in the middle of the component: copy or build it again"),
        (error(&PORTAL[..9]), "ends after 9 bytes"),
        (error(b"\0asm\x0d\0\x01\0\x06\x05\x01\xff\0\0\0"), "wasm-tools validate"),
        (error(&vec![0; COMPONENT_MAX as usize + 1]), "larger than 128 MiB"),
        (error(&component("")), "no export wasi:http/incoming-handler@0.2; its exports: none"),
        (
            error(&component(r#"(instance $i) (export "wasi:cli/run@0.2.0" (instance $i))"#)),
            "its exports: wasi:cli/run@0.2.0",
        ),
        (error(&component(r#"(import "wasi:http/types@0.4.0" (instance))"#)), "uses `wasi:http/types@0.4.0`"),
        (error(&component(r#"(import "wasi:http/types@0.4.0" (instance))"#)), "provides WASI 0.2"),
    ] {
        assert!(text.contains(words), "no {words:?} in {text}");
    }
}

#[cfg(not(feature = "p3"))]
#[test]
fn components_of_wasi_0_3_need_a_build_that_takes_them() {
    for name in ["wasi:http/types@0.3.0", "portico:storage/storage@0.3.0"] {
        let text = error(&component(&format!("(import \"{name}\" (instance))")));
        assert!(
            text.contains(&format!("is of WASI 0.3 (it uses `{name}`)")) && text.contains("--features p3"),
            "{text}"
        );
    }
    let text = error(&component(r#"(instance $i) (export "wasi:http/handler@0.3.0" (instance $i))"#));
    assert!(text.contains("is of WASI 0.3"), "{text}");
}

#[cfg(feature = "p3")]
#[test]
fn a_handler_of_wasi_0_3_is_a_portal() {
    let text =
        r#"(import "wasi:http/types@0.3.0" (instance)) (instance $i) (export "wasi:http/handler@0.3.0" (instance $i))"#;
    let shape = Shape::read(&component(text)).unwrap();
    shape.check(&Limits::default()).unwrap();
    assert_eq!(shape.generation(), super::Generation::Wasi03);
}

#[test]
fn instances_of_nested_components_count_each_time() {
    let text = format!(
        r#"
        (core module $small (memory 1))
        (component $inner
            (core module $own (memory 1) (table 1 funcref) (table 1 funcref))
            (alias outer 1 $small (core module $outer))
            (core instance (instantiate $own))
            (core instance (instantiate $outer)))
        (component $middle
            (alias outer 1 $inner (component $nested))
            (instance (instantiate $nested))
            (instance (instantiate $nested)))
        (instance (instantiate $middle))
        (instance (instantiate $middle))
        (core instance (instantiate $small))
        {HANDLER_02}"#
    );
    let shape = Shape::read(&component(&text)).unwrap();
    // Two of the middle, with two of the inner each, and one small module beside them.
    assert_eq!(shape.needs, Needs { core_instances: 9, memories: 9, tables: 8 });
    let tight = |core_instances, memories, tables| Limits { core_instances, memories, tables, ..Limits::default() };
    shape.check(&tight(9, 9, 8)).unwrap();
    for (limits, words) in [
        (tight(8, 9, 8), "has 9 core instances, and guest_instances allows 8: raise guest_instances to at least 9"),
        (tight(9, 8, 8), "has 9 linear memories, and guest_memories allows 8"),
        (tight(9, 9, 7), "has 8 tables, and guest_tables allows 7"),
    ] {
        let text = shape.check(&limits).unwrap_err().to_string();
        assert!(text.contains(words), "{text}");
    }
}

#[test]
fn what_multiplies_beyond_all_numbers_is_counted_in_no_time() {
    let mut text = String::from("(component $c0 (core module $m) (core instance (instantiate $m)))");
    for level in 1..=80 {
        let below = level - 1;
        text += &format!(
            "(component $c{level} (alias outer 1 $c{below} (component $b)) (instance (instantiate $b)) (instance (instantiate $b)))"
        );
    }
    text += "(instance (instantiate $c80))";
    assert_eq!(Shape::read(&component(&text)).unwrap().needs.core_instances, u64::MAX);
}

#[test]
fn a_thousand_instances_are_refused_by_their_number() {
    let many = "(core instance (instantiate $m))".repeat(1_000);
    let text = error(&component(&format!("(core module $m) {many} {HANDLER_02}")));
    assert!(text.contains("has 1000 core instances, and guest_instances allows 64"), "{text}");
}
