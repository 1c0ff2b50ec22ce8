use super::*;
use portico_s3::{CONCURRENCY_MAX, GRACE_MIN, Location, MEMORY_MAX, MEMORY_MIN, PART_SIZE_MAX, S3Options};
use portico_store::local::LocalOptions;
use std::time::Duration;

/// Loads a configuration from flags, environment and file. The default store is a `file:` one.
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
    Config::load(&ConfigSources { flags, environment, file: file.map(|_| path) })
}

/// Loads a configuration of an S3 store from flags alone.
fn load_s3(flags: &[(&'static str, &str)]) -> Result<Config, ConfigError> {
    load(&[&[("store", "s3://bucket/prefix")], flags].concat(), &[], None)
}

fn s3_options(config: Config) -> S3Options {
    match config.store {
        StoreConfig::S3(options) => *options,
        other => panic!("{other:?}"),
    }
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
    let settings = server::Settings::default();
    let limits = runtime::Limits::default();
    assert_eq!(format!("{:?}", config.limits), format!("{limits:?}"));
    assert_eq!(format!("{:?}", config.settings), format!("{settings:?}"));
    // Only the wait for the lock is the program's own.
    let local = LocalOptions { lock_wait: Duration::from_secs(10), ..LocalOptions::default() };
    let local = StoreConfig::Local { path: "/tmp/store".into(), options: local };
    assert_eq!(format!("{:?}", config.store), format!("{local:?}"));
    let s3 = S3Options::new(Location::parse("bucket/prefix").unwrap());
    assert_eq!(format!("{:?}", s3_options(load_s3(&[]).unwrap())), format!("{s3:?}"));
    assert_eq!(config.listen, "127.0.0.1:8080".parse().unwrap());
    assert_eq!((config.portals.len(), config.portals[0].file.as_ref()), (1, None));
    assert_eq!(config.maintenance_interval, Some(Duration::from_secs(60 * 60)));
    assert_eq!(load(&[("maintenance_interval", "0s")], &[], None).unwrap().maintenance_interval, None);
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

    let origin = |name: &str| config.given.iter().find(|(key, _)| key.name == name).unwrap().1.origin.clone();
    assert_eq!(origin("listen"), Origin::Flag("listen".into()));
    assert_eq!(origin("max_requests"), Origin::Environment("PORTICO_MAX_REQUESTS".into()));
    assert!(matches!(origin("guest_cpu"), Origin::File(_)));
    assert_eq!(origin("guest_memory"), Origin::Default);
}

#[test]
fn a_bad_value_is_named_with_its_source() {
    // Any text is a path, and the store is given by a flag here.
    for key in KEYS.iter().filter(|key| !matches!(key.name, "portal" | "store" | "s3_ca_file")) {
        let store = match key.only_for {
            Some(StoreKind::S3) => "s3://bucket",
            Some(StoreKind::Local) | None => "file:/tmp/store",
        };
        let text = message(load(&[("store", store)], &[], Some(&format!("{} = 'a=b=c'", key.name))));
        assert!(text.starts_with(&format!("{} = `a=b=c` (from ", key.name)), "{text}");
        let text = message(load(&[("store", store)], &[(&key.variable(), "a=b=c")], None));
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
    // Truncated at the limit, the file would be valid.
    let large = format!("max_requests = 1\n{}", "#".repeat(FILE_MAX as usize));
    let error = load(&[], &[], Some(&large)).unwrap_err();
    let cause = std::error::Error::source(&error).expect("a cause").to_string();
    assert_eq!(cause, "it is larger than 1048576 bytes", "{error}");
    load(&[], &[], Some(&large[..FILE_MAX as usize])).unwrap();
    let missing = ConfigSources { file: Some("/nonexistent/portico.toml".into()), ..ConfigSources::default() };
    assert!(message(Config::load(&missing)).contains("/nonexistent/portico.toml"));
}

#[test]
fn a_store_is_needed_and_must_be_one_that_exists_here() {
    let text = message(Config::load(&ConfigSources::default()));
    assert!(text.contains("--store") && text.contains("PORTICO_STORE"), "{text}");
    for (url, part) in [
        ("file:", "folder is missing"),
        ("/tmp/x", "file:DIR"),
        ("", "s3://BUCKET"),
        ("s3:bucket", "s3://BUCKET"),
        ("s3://", "not the name of a bucket"),
        ("s3://Bucket/x", "not the name of a bucket"),
        ("s3://bucket//x", "not a prefix"),
    ] {
        let text = message(load(&[("store", url)], &[], None));
        assert!(text.contains(part) && text.contains("from --store"), "{url}: {text}");
    }
    for (url, words) in [
        ("file:~", ["`~` is not expanded", "file:$HOME/", "file:./~"]),
        ("file:~/x", ["`~` is not expanded", "file:$HOME/x", "file:./~/x"]),
        ("file:~alice/x", ["`~` is not expanded", "file:$HOME/x", "file:./~alice/x"]),
        ("file://host/a/b", ["names the host `host`", "file:///a/b", "file:host/a/b"]),
        ("file://localhost/a", ["names the host `localhost`", "file:///a", "file:localhost/a"]),
        ("file://store", ["names the host `store`", "file:///", "file:store"]),
        ("file://~/x", ["names the host `~`", "file:///x", "file:./~/x"]),
        ("file://", ["folder is missing", "file:DIR", "file:DIR"]),
    ] {
        let text = message(load(&[("store", url)], &[], None));
        assert!(words.iter().all(|word| text.contains(word)), "{url}: {text}");
    }
    for (url, folder) in
        [("file:a:b", "a:b"), ("file:a", "a"), ("file:/a/b", "/a/b"), ("file:///a/b", "/a/b"), ("file:./~/x", "./~/x")]
    {
        let config = load(&[("store", url)], &[], None).unwrap();
        assert!(matches!(config.store, StoreConfig::Local { path, .. } if path == Path::new(folder)), "{url}");
    }
    let config = load(&[("store", "s3://bucket/a/b/")], &[], None).unwrap();
    assert_eq!(s3_options(config).location.to_string(), "s3://bucket/a/b/");
}

#[test]
fn each_setting_of_an_s3_store_is_in_force() {
    let file = "s3_temp = 's3://other/parts'\ns3_endpoint = 'http://127.0.0.1:9000'\ns3_region = 'eu-central-1'\n\
        s3_path_style = true\ns3_ca_file = '/etc/ca.pem'\ns3_payload_signing = 'never'\ns3_checksum = 'none'\n\
        s3_single_runner = true\ns3_part_size = '16MiB'\ns3_concurrency = 9\ns3_memory = '32MiB'\n\
        s3_timeout = '3s'\ns3_retry = '0s'\ns3_grace = '31m'\nmax_object_size = '1GiB'";
    let options = s3_options(load(&[("store", "s3://bucket")], &[], Some(file)).unwrap());
    let expected = S3Options {
        temp: Some(Location::parse("other/parts").unwrap()),
        endpoint: Some("http://127.0.0.1:9000".to_owned()),
        region: Some("eu-central-1".to_owned()),
        path_style: Some(true),
        ca_file: Some("/etc/ca.pem".into()),
        payload_signing: portico_s3::PayloadSigning::Never,
        checksum: portico_s3::Checksum::None,
        single_runner: true,
        part_size: 16 << 20,
        concurrency: 9,
        memory: 32 << 20,
        timeout: Duration::from_secs(3),
        retry: Duration::ZERO,
        grace: Duration::from_secs(31 * 60),
        max_object_size: 1 << 30,
        ..S3Options::new(Location::parse("bucket").unwrap())
    };
    assert_eq!(format!("{options:?}"), format!("{expected:?}"));
}

/// A valid configuration opens, because a store checks the same limits.
#[test]
fn sizes_and_times_of_an_s3_store_fit_each_other() {
    let [concurrency, memory_min, memory_max, part_size_max] =
        [CONCURRENCY_MAX, MEMORY_MIN, MEMORY_MAX, PART_SIZE_MAX].map(|number| number.to_string());
    let grace = format!("{}s", GRACE_MIN.as_secs());
    for flags in [
        [("s3_part_size", "5MiB"), ("s3_memory", &*memory_min)],
        [("s3_part_size", &part_size_max), ("s3_memory", &memory_max)],
        [("s3_single_runner", "true"), ("s3_grace", &grace)],
        [("s3_single_runner", "false"), ("s3_grace", &grace)],
        [("s3_concurrency", "1"), ("s3_timeout", "24h")],
        [("s3_concurrency", &concurrency), ("s3_timeout", "1ms")],
    ] {
        assert_eq!(s3_options(load_s3(&flags).unwrap()).check(), Ok(()), "{flags:?}");
    }
    for (flags, words) in [
        ([("s3_part_size", "5242879"), ("s3_memory", "64MiB")], ["s3_part_size = `5242879`", "5MiB"]),
        ([("s3_part_size", "6GiB"), ("s3_memory", "64GiB")], ["s3_part_size = `6GiB`", "2048MiB"]),
        ([("s3_part_size", "64MiB"), ("s3_concurrency", "1")], ["s3_memory = `64MiB` (default)", "from 128MiB"]),
        ([("s3_part_size", "5MiB"), ("s3_memory", "20971519")], ["s3_memory = `20971519`", "from 20MiB"]),
        ([("s3_part_size", "5MiB"), ("s3_memory", "5GiB")], ["s3_memory = `5GiB`", "to 4096MiB"]),
        ([("s3_part_size", "5MiB"), ("s3_concurrency", "65")], ["s3_concurrency = `65`", "from 1 to 64"]),
        ([("s3_part_size", "5MiB"), ("s3_concurrency", "0")], ["s3_concurrency = `0`", "from 1 to 64"]),
        ([("s3_part_size", "5MiB"), ("s3_timeout", "25h")], ["s3_timeout = `25h`", "to 86400000 ms"]),
        ([("s3_single_runner", "false"), ("s3_grace", "29m")], ["s3_grace = `29m`", "at least 30 minutes"]),
        ([("s3_single_runner", "true"), ("s3_grace", "29m")], ["s3_grace = `29m`", "at least 30 minutes"]),
    ] {
        let text = message(load_s3(&flags));
        assert!(words.iter().all(|word| text.contains(word)), "{text}");
    }
    for endpoint in ["127.0.0.1:9000", "ftp://host", "http://user:word@host", "https://host/?a=b", "https://", "/x"] {
        assert!(message(load_s3(&[("s3_endpoint", endpoint)])).starts_with("s3_endpoint = "), "{endpoint}");
    }
}

#[test]
fn each_setting_of_the_portal_is_handed_on() {
    let told = |config: Config| config.portals[0].settings.entries().map(|(name, value)| format!("{name}={value}"));
    let day = 24 * 60 * 60;
    let defaults = [
        format!("part-size={}", 5 << 20),
        format!("part-size-min={}", 64 << 10),
        format!("part-size-max={}", 5_u64 << 30),
        "append-size-max=0".to_owned(),
        format!("session-ttl={}", 7 * day),
        format!("tombstone-ttl={}", 30 * day),
    ];
    assert_eq!(told(load(&[], &[], None).unwrap()), defaults);
    let file = "part_size = 3\npart_size_min = 2\npart_size_max = 4\nappend_size_max = 5\nsession_ttl = '90m'\n\
                tombstone_ttl = '1s'";
    let expected = [
        "part-size=3",
        "part-size-min=2",
        "part-size-max=4",
        "append-size-max=5",
        "session-ttl=5400",
        "tombstone-ttl=1",
    ];
    assert_eq!(told(load(&[], &[], Some(file)).unwrap()), expected);
}

#[test]
fn settings_of_the_portal_fit_each_other() {
    load(&[("part_size", "1"), ("part_size_min", "1"), ("part_size_max", "1")], &[], None).unwrap();
    load(&[("session_ttl", "36500d")], &[], None).unwrap();
    for (flag, value, words) in [
        ("part_size_min", "0", ["part_size_min = `0`", "more than 0"]),
        ("part_size_min", "6MiB", ["part_size = `5MiB` (default)", "part_size_min (6291456 bytes)"]),
        ("part_size_min", "6GiB", ["part_size_max = `5GiB` (default)", "part_size_min (6442450944 bytes)"]),
        ("part_size_max", "4MiB", ["part_size = `5MiB` (default)", "part_size_max (4194304 bytes)"]),
        ("part_size_max", "1KiB", ["part_size_max = `1KiB`", "part_size_min (65536 bytes)"]),
        ("part_size", "65535", ["part_size = `65535`", "part_size_min (65536 bytes)"]),
        ("part_size", "6GiB", ["part_size = `6GiB`", "part_size_max (5368709120 bytes)"]),
        ("session_ttl", "0s", ["session_ttl = `0s`", "more than 0"]),
        ("session_ttl", "1500ms", ["session_ttl = `1500ms`", "whole seconds"]),
        ("tombstone_ttl", "36501d", ["tombstone_ttl = `36501d`", "at most 36500d"]),
    ] {
        let text = message(load(&[(flag, value)], &[], None));
        assert!(words.iter().all(|word| text.contains(word)), "{flag}={value}: {text}");
    }
}

#[test]
fn settings_of_another_kind_of_store_are_errors_unless_the_environment_has_them() {
    for key in KEYS {
        let store = match key.only_for {
            None => continue,
            Some(StoreKind::Local) => "s3://bucket",
            Some(StoreKind::S3) => "file:/tmp/store",
        };
        let default = key.default.unwrap();
        let text = message(load(&[("store", store), (key.name, default)], &[], None));
        let words = [&format!("{} (from --{}) is for ", key.name, key.flag()), store];
        assert!(text.starts_with(words[0]) && text.ends_with(words[1]), "{text}");
        let text = message(load(&[("store", store)], &[], Some(&format!("{} = '{default}'", key.name))));
        assert!(text.contains("portico.toml) is for "), "{text}");
        load(&[("store", store)], &[(&key.variable(), "a=b=c")], None).unwrap();
    }
}

#[test]
fn without_tokens_only_loopback_is_listened_on() {
    for address in ["127.0.0.1:0", "127.1.2.3:80", "[::1]:8080"] {
        load(&[("listen", address)], &[], None).unwrap();
    }
    for address in ["0.0.0.0:80", "[::]:80", "192.0.2.1:80", "localhost:80", "127.0.0.1", ":80"] {
        assert!(message(load(&[("listen", address)], &[], None)).contains("listen = "), "{address}");
    }
    assert!(message(load(&[("listen", "0.0.0.0:80")], &[], None)).contains("token_file"));
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "0123456789abcdefghijklmnopqrstuv").unwrap();
    let with_tokens = [("token_file", file.path().to_str().unwrap()), ("listen", "0.0.0.0:80")];
    let config = load(&with_tokens, &[], None).unwrap();
    assert_eq!((config.listen.port(), config.settings.tokens.is_some()), (80, true));
}

#[test]
fn what_concerns_browsers_and_proxies_is_off_unless_given() {
    let settings = load(&[], &[], None).unwrap().settings;
    assert_eq!(settings.cors_origins, server::CorsOrigins::Own);
    assert_eq!((settings.base_url, settings.interim_responses), (None, false));
    let file = "cors_origins = ['https://a.example', 'HTTP://b.example:80']\nbase_url = 'https://c.example/up/'\n\
                interim_responses = true";
    let settings = load(&[], &[], Some(file)).unwrap().settings;
    assert_eq!(settings.cors_origins, "https://a.example,http://b.example".parse().unwrap());
    assert_eq!((settings.base_url, settings.interim_responses), (Some("https://c.example/up".parse().unwrap()), true));
    let environment = [("PORTICO_CORS_ORIGINS", "*"), ("PORTICO_BASE_URL", "http://d.example")];
    let settings = load(&[("base_url", "")], &environment, Some(file)).unwrap().settings;
    assert_eq!((settings.cors_origins, settings.base_url), (server::CorsOrigins::All, None));
    for (flag, value, words) in [
        ("cors_origins", "https://a.example/", ["cors_origins = `https://a.example/`", "without a path"]),
        ("cors_origins", "https://a.example,b.example", ["cors_origins = ", "`b.example` is not an origin"]),
        ("cors_origins", "null", ["cors_origins = `null`", "`null` is not an origin"]),
        ("cors_origins", "https://*.example", ["cors_origins = ", "`https://*.example` is not an origin"]),
        ("cors_origins", "*,https://a.example", ["cors_origins = ", "must stand alone"]),
        ("base_url", "c.example", ["base_url = `c.example`", "expected http://HOST"]),
        ("base_url", "ftp://c.example", ["base_url = ", "expected http://HOST"]),
        ("base_url", "https://user@c.example", ["base_url = ", "without a user"]),
        ("base_url", "https://c.example/?a", ["base_url = ", "or a query"]),
        ("interim_responses", "yes", ["interim_responses = `yes`", "true or false"]),
    ] {
        let text = message(load(&[(flag, value)], &[], None));
        assert!(words.iter().all(|word| text.contains(word)), "{flag}={value}: {text}");
    }
}

#[test]
fn the_cache_is_where_the_environment_says() {
    let cache = |value: &str, environment: &[(&str, &str)]| {
        let config = load(&[("compile_cache", value)], environment, None).unwrap();
        config.compile_cache.map(|path| path.display().to_string())
    };
    let all = [("CACHE_DIRECTORY", "/var/cache/a:/b"), ("XDG_CACHE_HOME", "/x"), ("HOME", "/home/u")];
    for (value, environment, folder) in [
        ("auto", &all[..], Some("/var/cache/a/portico/compiled")),
        ("auto", &all[1..], Some("/x/portico/compiled")),
        ("auto", &all[2..], Some("/home/u/.cache/portico/compiled")),
        ("auto", &[("HOME", "relative")], None),
        ("auto", &[], None),
        ("off", &all, None),
        ("/own", &all, Some("/own")),
    ] {
        assert_eq!(cache(value, environment).as_deref(), folder, "{value} {environment:?}");
    }
    let text = message(load(&[("compile_cache", "relative")], &[], None));
    assert!(text.contains("expected auto, off, or an absolute path"), "{text}");
}

#[test]
fn the_parts_of_a_guest_are_limited() {
    let flags = [("guest_instances", "3"), ("guest_memories", "2"), ("guest_tables", "1")];
    let limits = load(&flags, &[], None).unwrap().limits;
    assert_eq!((limits.core_instances, limits.memories, limits.tables), (3, 2, 1));
    for value in ["0", "1001", "many"] {
        let text = message(load(&[("guest_memories", value)], &[], None));
        assert!(text.contains("from 1 to 1000"), "{text}");
    }
}
