//! The command line: what it refuses, with which exit code, and in which words an operator finds the fault.

use crate::fixture::{Pattern, Server, portico, run, tell};
use crate::folder::Folder;
use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::{Duration, Instant};

/// Runs a command that must fail so, saying these words.
#[track_caller]
fn refused(arguments: &[&str], code: i32, words: &[&str]) -> String {
    let said = run(portico(arguments));
    assert_eq!(said.code, Some(code), "{arguments:?}: {said:?}");
    assert_eq!(said.out, "", "{arguments:?}");
    for word in words {
        assert!(said.err.contains(word), "{arguments:?}: no {word:?} in {}", said.err);
    }
    said.err
}

fn store_of(folder: &Folder) -> String {
    format!("file:{}", folder.root().display())
}

/// All names below a folder, with the sizes of files.
fn tree(path: &Path) -> Vec<(String, u64)> {
    let mut names = Vec::new();
    for entry in fs::read_dir(path).expect("a folder") {
        let entry = entry.expect("an entry");
        let kind = entry.file_type().expect("a kind");
        names.push((
            entry.path().display().to_string(),
            if kind.is_file() { entry.metadata().expect("a file").len() } else { 0 },
        ));
        if kind.is_dir() {
            names.extend(tree(&entry.path()));
        }
    }
    names.sort();
    names
}

#[test]
fn wrong_usage_is_exit_code_2() {
    refused(&[], 2, &["Usage: portico"]);
    refused(&["nonsense"], 2, &["nonsense"]);
    refused(&["serve", "--nonsense"], 2, &["--nonsense"]);
    refused(&["serve"], 2, &["store", "--store", "PORTICO_STORE"]);
    for said in [run(portico(["--help"])), run(portico(["serve", "--help"]))] {
        assert_eq!((said.code, &*said.err), (Some(0), ""));
    }
    assert!(run(portico(["serve", "--help"])).out.contains("PORTICO_MAX_OBJECT_SIZE"));
    assert_eq!(run(portico(["--version"])).out, format!("portico {}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn a_bad_value_is_exit_code_2_and_named_with_its_source() {
    let folder = Folder::new();
    let store = store_of(&folder);
    for (flag, value, key) in [
        ("--store", "/srv/store", "store"),
        ("--store", "file:", "store"),
        ("--store", "file:~/store", "store"),
        ("--store", "file://host/store", "store"),
        ("--store", "s3:bucket", "store"),
        ("--store", "s3://Bucket", "store"),
        ("--store", "s3://bucket/../x", "store"),
        ("--s3-temp", "file:/tmp", "s3_temp"),
        ("--s3-temp", "s3://bucket/a//b", "s3_temp"),
        ("--s3-endpoint", "127.0.0.1:9000", "s3_endpoint"),
        ("--s3-region", "eu central", "s3_region"),
        ("--s3-path-style", "yes", "s3_path_style"),
        ("--s3-payload-signing", "true", "s3_payload_signing"),
        ("--s3-checksum", "md5", "s3_checksum"),
        ("--s3-single-runner", "auto", "s3_single_runner"),
        ("--s3-part-size", "4MiB", "s3_part_size"),
        ("--s3-concurrency", "0", "s3_concurrency"),
        ("--s3-concurrency", "65", "s3_concurrency"),
        ("--s3-memory", "15MiB", "s3_memory"),
        ("--s3-timeout", "0s", "s3_timeout"),
        ("--s3-retry", "1", "s3_retry"),
        ("--s3-grace", "29m", "s3_grace"),
        ("--listen", "8080", "listen"),
        ("--listen", "localhost:8080", "listen"),
        ("--token-file", "/nonexistent/tokens", "token_file"),
        ("--part-size", "5 apples", "part_size"),
        ("--part-size", "1KiB", "part_size"),
        ("--part-size-min", "0", "part_size_min"),
        ("--part-size-max", "1KiB", "part_size_max"),
        ("--session-ttl", "7", "session_ttl"),
        ("--tombstone-ttl", "1500ms", "tombstone_ttl"),
        ("--maintenance-interval", "often", "maintenance_interval"),
        ("--durability", "maybe", "durability"),
        ("--lock-wait", "10", "lock_wait"),
        ("--max-object-size", "5 apples", "max_object_size"),
        ("--max-connections", "0", "max_connections"),
        ("--max-requests", "100000", "max_requests"),
        ("--guest-memory", "1KiB", "guest_memory"),
        ("--guest-cpu", "0s", "guest_cpu"),
        ("--head-timeout", "soon", "head_timeout"),
        ("--body-idle-timeout", "-1s", "body_idle_timeout"),
        ("--body-min-rate", "fast", "body_min_rate"),
        ("--shutdown-grace", "1", "shutdown_grace"),
        ("--trusted-proxies", "localhost", "trusted_proxies"),
        ("--base-url", "files.example.org", "base_url"),
        ("--cors-origins", "https://app.example.org/", "cors_origins"),
        ("--interim-responses", "on", "interim_responses"),
        ("--log", "info,=", "log"),
        ("--log-format", "xml", "log_format"),
    ] {
        let flag_and_value = format!("{flag}={value}");
        let store = if flag.starts_with("--s3") { "s3://bucket/prefix" } else { &*store };
        let store: &[&str] = if flag == "--store" { &[] } else { &["--store", store] };
        let arguments = [&["serve", &*flag_and_value], store].concat();
        refused(&arguments, 2, &[&format!("portico: {key} = `{value}`"), &format!("from {flag}")]);
    }

    let config = folder.beside("portico.toml");
    let config = config.display().to_string();
    let large = format!("max_requests = 1\n{}", "#".repeat(1 << 20));
    for (text, words) in [
        (&*large, ["it is larger than 1048576 bytes", &*config]),
        ("nonsense = 1", ["unknown key `nonsense`", &*config]),
        ("guest_cpu = \"10\"", ["guest_cpu = `10`", &*config]),
        ("[guest_cpu]\nms = 1", ["guest_cpu", &*config]),
        ("store = ", ["not valid TOML", &*config]),
    ] {
        fs::write(&config, text).expect("a file");
        refused(&["serve", "--store", &store, "--config", &config], 2, &words);
    }
    refused(&["serve", "--config", "/nonexistent/portico.toml"], 2, &["/nonexistent/portico.toml"]);

    let mixed = ["check", "--store", &*store, "--s3-retry", "1s"];
    refused(&mixed, 2, &["s3_retry (from --s3-retry) is for s3: stores only", &store]);
    let mixed = ["check", "--store", "s3://bucket", "--durability", "none"];
    refused(&mixed, 2, &["durability (from --durability) is for file: stores only", "s3://bucket"]);
    refused(&["check", "--store", "s3://bucket", "--rebuild"], 2, &["--rebuild", "file:"]);

    let mut command = portico(["serve", "--store", &store]);
    command.env("PORTICO_GUEST_CPU", "10");
    let said = run(command);
    assert_eq!(said.code, Some(2));
    assert!(said.err.contains("guest_cpu = `10` (from PORTICO_GUEST_CPU)"), "{}", said.err);
    assert!(!folder.root().exists(), "nothing is made before the configuration is right");
}

#[test]
fn it_listens_to_this_machine_only() {
    let folder = Folder::new();
    let store = store_of(&folder);
    for address in ["0.0.0.0:0", "[::]:0", "192.0.2.1:8080", "[2001:db8::1]:80"] {
        refused(&["serve", "--store", &store, "--listen", address], 2, &["listen", address, "loopback"]);
    }
    let held = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = held.local_addr().expect("a port").to_string();
    refused(&["serve", "--store", &store, "--listen", &address], 1, &["cannot listen on", &address]);
}

#[test]
fn a_second_process_on_a_store_is_told_who_has_it() {
    let server = Server::start(&[]);
    let file = server.put("kept", &Pattern::new(1, 100_000));
    let store = store_of(&server.store);
    let holder = format!("pid {}, portico serve at http://{}", server.pid(), server.addr);
    for arguments in [
        ["serve", "--store", &*store, "--listen", "127.0.0.1:0", "--lock-wait", "100ms"].as_slice(),
        &["check", "--store", &store],
        &["sweep", "--store", &store],
    ] {
        let said = run(portico(arguments));
        assert_eq!(said.code, Some(1), "{said:?}");
        for word in ["in use by another process", &holder, "--server"] {
            assert!(said.err.contains(word), "{arguments:?}: no {word:?} in {}", said.err);
        }
    }
    server.expect_file(&file);

    // One that may wait gets it as soon as the first has ended.
    let folder = server.store.clone();
    let waiting = std::thread::spawn(move || Server::start_on(&folder, &["--lock-wait", "60s"]));
    server.stop(&[&file]);
    let second = waiting.join().expect("a server that gets its turn");
    second.expect_file(&file);
    second.finish(&[&file]);
}

#[test]
fn check_shows_the_configuration_and_tries_the_store() {
    let folder = Folder::new();
    let store = store_of(&folder);
    let config = folder.beside("portico.toml");
    fs::write(&config, "guest_cpu = \"3s\"\nmax_requests = 7\nlog = \"warn\"").expect("a file");
    let mut command =
        portico(["check", "--store", &store, "--config", &config.display().to_string(), "--log", "error"]);
    command.env("PORTICO_MAX_REQUESTS", "8").env("PORTICO_SERVICE_HOST", "set by a platform");
    command.env("PORTICO_S3_RETRY", "90s");
    let said = run(command);
    assert_eq!((said.code, &*said.err), (Some(0), ""), "{said:?}");
    let has = |words: &[&str]| said.out.lines().any(|line| words.iter().all(|word| line.contains(word)));
    let file = format!("from {}", config.display());
    for line in [
        ["store", &*store, "from --store"].as_slice(),
        &["guest_cpu", "3s", &*file],
        &["max_requests", "8", "from PORTICO_MAX_REQUESTS"],
        &["log ", "error", "from --log"],
        &["s3_retry ", "90s", "from PORTICO_S3_RETRY, ignored: for s3: stores only"],
        &["max_object_size", "5TiB", "default"],
        &["store: local folder", &*folder.root().display().to_string()],
        &["filesystem: ", "MiB free of"],
        &["writing, reading and deleting succeeded"],
    ] {
        assert!(has(line), "no {line:?} in {}", said.out);
    }
    assert!(!has(&["s3_temp"]), "{}", said.out);
    folder.expect_files(&[]);
    folder.expect_listing(&[]);
}

#[test]
fn a_server_that_does_not_answer_is_exit_code_2_and_named() {
    // Nobody listens on port 1.
    let flags = [
        "--store=s3://bucket/prefix",
        "--s3-endpoint=http://127.0.0.1:1",
        "--s3-retry=1s",
        "--s3-region=us-east-1",
        "--log=error",
    ];
    for command in ["serve", "check", "sweep", "conformance"] {
        let mut process = portico([command].iter().chain(&flags));
        process.env("AWS_ACCESS_KEY_ID", "id").env("AWS_SECRET_ACCESS_KEY", "secret-of-a-test");
        let start = Instant::now();
        let said = run(process);
        let took = start.elapsed();
        assert_eq!(said.code, Some(2), "{command}: {said:?}");
        for word in ["cannot open the store", "127.0.0.1:1"] {
            assert!(said.err.contains(word), "{command}: no {word:?} in {}", said.err);
        }
        assert!(!said.out.contains("listening"), "{command}: {said:?}");
        assert!(!format!("{said:?}").contains("secret-of-a-test"), "{command}: {said:?}");
        // It would be more than 30 s if --s3-retry were not in force.
        assert!(took < Duration::from_secs(20), "{command} took {took:?}");
    }
}

#[test]
fn sweep_removes_leftovers_and_nothing_else() {
    let server = Server::start(&[]);
    let file = server.put("kept", &Pattern::new(1, 100_000));
    let folder = server.store.clone();
    server.finish(&[&file]);
    let staged = folder.root().join("staging/0123456789abcdef0123456789abcdef");
    let foreign = folder.root().join("staging/somebody-elses");
    fs::write(&staged, [0; 1_000]).expect("a file");
    fs::write(&foreign, "x").expect("a file");
    let said = run(portico(["sweep", "--store", &store_of(&folder)]));
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(said.out.contains("removed 1 leftovers of 1000 bytes"), "{}", said.out);
    assert!(said.out.contains("staging/somebody-elses"), "{}", said.out);
    assert!(!staged.exists() && foreign.exists());
    fs::remove_file(&foreign).expect("a file");
    folder.expect_files(&[&file]);
    folder.expect_listing(&[&file]);
}

#[test]
fn folders_that_are_no_store_are_refused_and_left_alone() {
    let commands = |store: &str| {
        [
            vec!["serve".to_owned(), "--listen=127.0.0.1:0".to_owned()],
            vec!["check".to_owned()],
            vec!["sweep".to_owned()],
        ]
        .map(|command| [command, vec![format!("--store={store}")]].concat())
    };
    let refuse_all = |folder: &Folder, words: &[&str]| {
        let before = tree(&folder.beside(""));
        for command in commands(&store_of(folder)) {
            let said = run(portico(&command));
            assert_eq!(said.code, Some(1), "{command:?}: {said:?}");
            for word in words {
                assert!(said.err.contains(word), "{command:?}: no {word:?} in {}", said.err);
            }
        }
        assert_eq!(tree(&folder.beside("")), before);
    };

    let folder = Folder::new();
    fs::create_dir(folder.root()).expect("a folder");
    fs::write(folder.root().join("thesis.txt"), "years of work").expect("a file");
    refuse_all(&folder, &["cannot open the store", "not a Portico store"]);

    let folder = Folder::new();
    fs::write(folder.root(), "a file").expect("a file");
    refuse_all(&folder, &["cannot open the store"]);

    // A store whose index is gone, and one in which somebody planted a way out.
    let lost = |change: &dyn Fn(&Path)| {
        let server = Server::start(&[]);
        let file = server.put("kept", &Pattern::new(1, 1_000));
        let folder = server.store.clone();
        server.finish(&[&file]);
        change(&folder.root());
        folder
    };
    let folder = lost(&|root| {
        for name in ["index.sqlite", "index.sqlite-wal", "index.sqlite-shm"] {
            let _ = fs::remove_file(root.join(name));
        }
    });
    refuse_all(&folder, &["index", "check --rebuild"]);
    let folder = lost(&|root| {
        let outside = root.join("../outside");
        fs::create_dir(&outside).expect("a folder");
        fs::remove_dir(root.join("staging")).expect("an empty folder");
        symlink(outside, root.join("staging")).expect("a symlink");
    });
    refuse_all(&folder, &["staging", "symlink"]);
}

#[test]
fn a_portal_that_is_none_is_refused_before_the_port_is_taken() {
    let folder = Folder::new();
    let store = store_of(&folder);
    let file = folder.beside("portal.wasm");
    let path = file.display().to_string();
    let serve = ["serve", "--store", &*store, "--listen", "127.0.0.1:0", "--portal", &*path];
    refused(&serve, 1, &["cannot run the portal", &path, "cannot read the file"]);
    for (text, words) in [
        ("not wasm at all", "not a WebAssembly component"),
        ("(module)", "not a WebAssembly component"),
        ("(component)", "wasi:http/incoming-handler"),
        (
            "(component (import \"other:thing/x\" (func)) (instance $i) (export \"wasi:http/incoming-handler@0.2.0\" (instance $i)))",
            "imports something",
        ),
    ] {
        let bytes = wat::parse_str(text).unwrap_or_else(|_| text.into());
        fs::write(&file, bytes).expect("a file");
        refused(&serve, 1, &[words]);
    }
}

#[test]
fn starting_takes_so_long() {
    let start = Instant::now();
    let server = Server::start(&[]);
    let took = start.elapsed();
    tell(&format!("from start to listening: {} ms, unoptimised", took.as_millis()));
    // A line that comes before its port would be a lie.
    assert_eq!(server.ask("GET /health", &[]).head.status, 200);
    server.finish(&[]);
}
