use super::*;
use std::time::Duration;

/// A configuration of flags, environment and file, with a store unless one of them gives one.
fn load(
    flags: &[(&'static str, &str)],
    environment: &[(&str, &str)],
    file: Option<&str>,
) -> Result<Config, ConfigError> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("portico.toml");
    if let Some(text) = file {
        std::fs::write(&path, text).unwrap();
    }
    let mut flags: BTreeMap<_, _> = flags.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
    flags.entry("store").or_insert_with(|| "file:/tmp/store".to_owned());
    let environment = environment.iter().map(|(name, value)| (name.into(), value.into())).collect();
    Config::load(&Sources { flags, environment, file: file.map(|_| path) })
}

fn message(result: Result<Config, ConfigError>) -> String {
    match result {
        Ok(config) => panic!("no error: {config:?}"),
        Err(error) => error.to_string(),
    }
}

#[test]
fn defaults_are_those_of_the_parts() {
    let config = load(&[], &[], None).unwrap();
    let (limits, settings) = (runtime::Limits::default(), server::Settings::default());
    assert_eq!(format!("{:?}", config.limits), format!("{limits:?}"));
    assert_eq!(format!("{:?}", config.settings), format!("{settings:?}"));
    assert_eq!(config.local.max_object_size, portico_store::limits::OBJECT_SIZE_MAX);
    assert_eq!(config.local.lock_wait, Duration::from_secs(10));
    assert_eq!(config.listen, "127.0.0.1:8080".parse().unwrap());
    assert_eq!(config.portal, None);
}

#[test]
fn flags_win_over_environment_over_file() {
    let file = "listen = '127.0.0.1:1'\nmax_requests = 3\nguest_cpu = '3s'\ntrusted_proxies = ['::1', '10.0.0.1']";
    let environment = [("PORTICO_LISTEN", "127.0.0.1:2"), ("PORTICO_MAX_REQUESTS", "2")];
    let config = load(&[("listen", "127.0.0.1:3")], &environment, Some(file)).unwrap();
    assert_eq!(config.listen.port(), 3);
    assert_eq!((config.limits.guests, config.settings.max_requests), (2, 2));
    assert_eq!(config.limits.cpu, Duration::from_secs(3));
    assert_eq!(config.settings.trusted_proxies.len(), 2);

    let source = |name: &str| config.given.iter().find(|(key, _)| key.name == name).unwrap().1.source.clone();
    assert_eq!(source("listen"), Source::Flag("listen".into()));
    assert_eq!(source("max_requests"), Source::Environment("PORTICO_MAX_REQUESTS".into()));
    assert!(matches!(source("guest_cpu"), Source::File(_)));
    assert_eq!(source("guest_memory"), Source::Default);
}

#[test]
fn a_bad_value_is_named_with_its_source() {
    // Any text is a path, and the store comes from a flag here.
    for key in KEYS.iter().filter(|key| !matches!(key.name, "portal" | "store")) {
        let text = message(load(&[], &[], Some(&format!("{} = 'a=b=c'", key.name))));
        assert!(text.starts_with(&format!("{} = `a=b=c` (from ", key.name)), "{text}");
        let text = message(load(&[], &[(&key.variable(), "a=b=c")], None));
        assert!(text.contains(&format!("(from {})", key.variable())), "{text}");
    }
}

#[test]
fn unknown_keys_of_the_file_are_errors_and_foreign_variables_are_not() {
    let text = message(load(&[], &[], Some("listn = '127.0.0.1:1'")));
    assert!(text.contains("unknown key `listn` in ") && text.ends_with("portico.toml"), "{text}");
    let text = message(load(&[], &[], Some("[limits]\nmax_requests = 1")));
    assert!(text.contains("unknown key `limits`"), "{text}");
    load(&[], &[("PORTICO_SERVICE_HOST", "10.0.0.1")], None).unwrap();
}

#[test]
fn what_is_no_toml_or_no_plain_value_is_an_error() {
    assert!(message(load(&[], &[], Some("listen = "))).contains("not valid TOML"));
    assert!(message(load(&[], &[], Some("max_requests = 1.5"))).contains("expected a string, a whole number"));
    assert!(message(load(&[], &[], Some("trusted_proxies = [1]"))).contains("trusted_proxies"));
    let missing = Sources { file: Some("/nonexistent/portico.toml".into()), ..Sources::default() };
    assert!(message(Config::load(&missing)).contains("/nonexistent/portico.toml"));
}

#[test]
fn a_store_is_needed_and_must_be_one_that_exists_here() {
    let text = message(Config::load(&Sources::default()));
    assert!(text.contains("--store") && text.contains("PORTICO_STORE"), "{text}");
    for (url, part) in
        [("s3://bucket/x", "S3 backend"), ("file:", "no folder"), ("/tmp/x", "file:DIR"), ("", "file:DIR")]
    {
        let text = message(load(&[("store", url)], &[], None));
        assert!(text.contains(part) && text.contains("from --store"), "{url}: {text}");
    }
    let config = load(&[("store", "file:a:b")], &[], None).unwrap();
    assert_eq!(config.store, StoreUrl::Local("a:b".into()));
}

#[test]
fn only_loopback_is_listened_on() {
    for address in ["127.0.0.1:0", "127.1.2.3:80", "[::1]:8080"] {
        load(&[("listen", address)], &[], None).unwrap();
    }
    for address in ["0.0.0.0:80", "[::]:80", "192.0.2.1:80", "localhost:80", "127.0.0.1", ":80"] {
        assert!(message(load(&[("listen", address)], &[], None)).contains("listen = "), "{address}");
    }
}
