use super::super::*;
use super::*;
use std::time::Duration;

fn load(file: &str, flags: &[(&'static str, &str)]) -> Result<Config, ConfigError> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("portico.toml");
    std::fs::write(&path, format!("store = 'file:/tmp/store'\n{file}")).unwrap();
    let flags = flags.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
    Config::load(&ConfigSources { flags, environment: Vec::new(), file: Some(path) })
}

fn portals(file: &str) -> Vec<PortalConfig> {
    load(file, &[]).unwrap().portals
}

#[track_caller]
fn refused(file: &str, words: &[&str]) {
    let text = load(file, &[]).unwrap_err().to_string();
    for word in words {
        assert!(text.contains(word), "no {word:?} in {text}");
    }
}

#[test]
fn without_entries_there_is_one_portal() {
    let [portal] = &*portals("portal = 'a.wasm'\nadapt = ['keyvalue']\nguest_memory = '3MiB'") else { panic!() };
    assert_eq!((portal.name().as_str(), portal.file.as_deref()), ("/", Some(Path::new("a.wasm"))));
    assert_eq!(portal.adapters.iter().map(Adapter::name).collect::<Vec<_>>(), ["keyvalue"]);
    assert_eq!((portal.limits.memory, &portal.scope), (3 << 20, &Scope::root()));
    assert_eq!(portal.entries().len(), 6);
}

#[test]
fn an_entry_may_have_each_setting_that_a_portal_receives() {
    let [portal] = &*portals("") else { panic!() };
    for (name, _) in portal.settings.entries() {
        assert!(PORTAL_SETTINGS.contains(&name.replace('-', "_").as_str()), "{name}");
    }
}

#[test]
fn each_entry_has_its_own_and_inherits_the_rest() {
    let file = "
        guest_cpu = '3s'
        max_requests = 100
        part_size = '6MiB'
        [[portals]]
        prefix = '/a/b/'
        scope = 'team.inbox'
        part_size = '7MiB'
        [[portals]]
        host = 'Py.Example.org'
        file = 'py.wasm'
        adapt = ['blobstore', './mine.wasm']
        scope = 'py'
        guest_memory = '128MiB'
        guest_memories = 2
        max_requests = 7
        [portals.config]
        greeting = 'hello'
        count = 3
        loud = true";
    let [inbox, python] = &*portals(file) else { panic!() };
    assert_eq!((inbox.name().as_str(), inbox.file.as_ref()), ("/a/b", None));
    assert_eq!((inbox.scope.as_str(), inbox.settings.part_size), ("main.team.inbox", 7 << 20));
    assert_eq!((inbox.limits.guests, inbox.limits.cpu), (100, Duration::from_secs(3)));
    assert_eq!((python.name().as_str(), python.scope.as_str()), ("py.example.org", "main.py"));
    assert_eq!((python.limits.memory, python.limits.memories, python.limits.guests), (128 << 20, 2, 7));
    assert_eq!((python.limits.cpu, python.settings.part_size), (Duration::from_secs(3), 6 << 20));
    let adapters: Vec<_> = python.adapters.iter().map(Adapter::name).collect();
    assert_eq!(adapters, ["blobstore", "./mine.wasm"]);
    let own: Vec<_> = python.config.iter().map(|(name, value)| format!("{name}={value}")).collect();
    assert_eq!(own, ["count=3", "greeting=hello", "loud=true"]);
}

#[test]
fn entries_that_answer_the_same_requests_or_share_a_scope_are_refused() {
    let two = |one: &str, other: &str| format!("[[portals]]\n{one}\n[[portals]]\n{other}");
    refused(
        &two("prefix='/a'\nscope='x'", "prefix='/a/'\nscope='y'"),
        &["portal 2: answers the same requests as portal 1"],
    );
    refused(&two("scope='x'", "prefix='/'\nscope='y'"), &["same requests"]);
    refused(&two("prefix='/a'", "prefix='/b'"), &["(the whole store) overlaps that of portal 1 (the whole store)"]);
    refused(&two("prefix='/a'", "prefix='/b'\nscope='x'"), &["scope `x`", "the whole store"]);
    refused(&two("prefix='/a'\nscope='x.y'", "prefix='/b'\nscope='x'"), &["scope `x.y`", "shared_scope = true"]);
    refused(&two("prefix='/a'\nshared_scope=true", "prefix='/b'"), &["shared_scope = true"]);
    portals(&two("prefix='/a'\nscope='x'", "prefix='/a/b'\nscope='xy'"));
    portals(&two("prefix='/a'\nshared_scope=true", "prefix='/b'\nscope='x'\nshared_scope=true"));
    portals(&two("host='a.example'\nscope='x'", "host='b.example'\nscope='y'"));
}

#[test]
fn a_bad_entry_is_named_with_its_number() {
    for (entry, words) in [
        ("prefix = 'a'", ["portal 1: prefix = `a`", "expected a path"]),
        ("prefix = '/a//b'", ["prefix = `/a//b`", "expected a path"]),
        ("prefix = '/a/../b'", ["prefix = `/a/../b`", "expected a path"]),
        ("prefix = '/ä'", ["prefix = `/ä`", "expected a path"]),
        ("prefix = '/metrics'", ["prefix = `/metrics`", "the server itself answers"]),
        ("prefix = 1", ["prefix = 1", "expected a string"]),
        ("host = 'a:80'", ["host = `a:80`", "without a port"]),
        ("host = ''", ["host = ``", "without a port"]),
        ("scope = 'a/b'", ["scope = `a/b`", "dots between"]),
        ("shared_scope = 'yes'", ["shared_scope = ", "true or false"]),
        ("listen = '127.0.0.1:1'", ["unknown key `listen`", "guest_memory"]),
        ("guest_memory = '1KiB'", ["guest_memory = `1KiB` (from portal 1 of ", "2MiB to 4GiB"]),
        ("guest_memory = 1.5", ["guest_memory = 1.5", "expected a string"]),
        ("part_size = '1B'", ["part_size = `1B` (from portal 1 of ", "part_size_min"]),
        ("file = 'a.wasm'\nadapt = ['blob']", ["adapt = [\"blob\"]", "there is no adapter `blob`"]),
        ("adapt = 'blobstore'", ["portal 1: the built-in portal", "name a component (`file`)"]),
        ("config = 1", ["config = 1", "expected a table"]),
        ("config = { a = [1] }", ["config.a = [1]", "expected a string"]),
        ("config = { part-size = 1 }", ["config has `part-size`", "key part_size"]),
    ] {
        refused(&format!("[[portals]]\n{entry}"), &words);
    }
    refused("adapt = 'blobstore'", &["adapt = `blobstore`", "name a component (`portal`)"]);
    refused("adapt = 'blobstore'\n[[portals]]\nfile = 'a.wasm'", &["adapt = `blobstore`", "name the adapters there"]);
    refused("portals = 3", &["portico.toml", "write each portal as `[[portals]]`"]);
    refused("portals = []", &["there is no portal"]);
    refused(&"[[portals]]\n".repeat(PORTALS_MAX + 1), &["more than 64 portals"]);
    refused(
        "portal = 'a.wasm'\n[[portals]]\nprefix = '/a'",
        &["portal = `a.wasm`", "name the component there as `file`"],
    );
}
