//! What the system lets the process have: files that are open, and addresses.

use crate::Store;
use crate::fixture::{Pattern, Server, eventually};
use std::process::Command;
use std::sync::Arc;

/// A server whose process begins with limits of the shell.
fn limited(limits: &str, flags: &[&str]) -> Server {
    let store = Arc::new(Store::new());
    let inner = store.command("serve");
    let mut command = Command::new("sh");
    command.args(["-c", &format!("{limits} && exec \"$0\" \"$@\"")]).arg(inner.get_program()).args(inner.get_args());
    command
        .args(["--listen", "127.0.0.1:0"])
        .args(flags)
        .env_clear()
        .envs(inner.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command.stdin(std::process::Stdio::null());
    Server::spawn(command, &store)
}

#[test]
fn more_connections_than_the_soft_limit_of_files_leave_room_for_requests() {
    let flags = ["--max-connections", "400", "--max-requests", "32", "--head-timeout", "10m"];
    let server = limited("ulimit -Sn 128", &flags);
    let idle: Vec<_> = (0..300).map(|_| server.connect()).collect();
    let files: Vec<_> = (0..4).map(|seed| server.put("beside", &Pattern::new(seed, 300_000))).collect();
    files.iter().for_each(|file| server.expect_file(file));
    assert!(!server.log().contains("limit of open files"), "{}", server.log());
    drop(idle);
    server.finish(&files.iter().collect::<Vec<_>>());
}

#[test]
fn a_hard_limit_of_files_that_is_too_low_is_warned_of() {
    let server = limited("ulimit -Sn 128 && ulimit -Hn 200", &["--max-connections", "400", "--max-requests", "32"]);
    let warning = eventually("a warning", || {
        server.log().lines().find(|line| line.contains("the limit of open files is too low")).map(str::to_owned)
    });
    for word in ["limit=200", "needed=592", "400 connections", "32 requests", "LimitNOFILE", "max_connections"] {
        assert!(warning.contains(word), "no {word} in {warning}");
    }
    let file = server.put("alone", &Pattern::new(1, 300_000));
    server.finish(&[&file]);
}

#[test]
fn guests_run_where_addresses_are_few() {
    // For 512 guests at 4 GiB: not for those, and for 64 MiB each; for neither.
    for (gib, warnings) in [(60, 1), (6, 2)] {
        let server = limited(&format!("ulimit -v {}", gib << 20), &["--max-requests", "512"]);
        let content = Pattern::new(1, 3 << 20);
        let files: Vec<_> = std::thread::scope(|scope| {
            let puts: Vec<_> = (0..16).map(|_| scope.spawn(|| server.put("few", &content))).collect();
            puts.into_iter().map(|put| put.join().expect("a file")).collect()
        });
        files.iter().for_each(|file| server.expect_file(file));
        let log = server.log();
        let told = log.lines().filter(|line| line.contains("ulimit -v") && line.contains("max_requests")).count();
        assert_eq!(told, warnings, "{log}");
        server.finish(&files.iter().collect::<Vec<_>>());
    }
}
