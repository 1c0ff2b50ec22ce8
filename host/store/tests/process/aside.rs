//! Blocking work of a `Drop` that takes long for a large file: removing a name, closing a file without one, punching a
//! hole. None of it runs on an async thread. The traced process has one of those, its main thread.

use crate::order::TRACE_MAX;
use crate::{TASK, say};
use libtest_mimic::{Failed, Trial};
use portico_model::strace;
use portico_store::local::{LocalOptions, LocalStore};
use portico_store::{
    Backend, ByteRange, Digest, Error, Expected, FileId, FinalKey, FinalOptions, PartOptions, Scope, SessionId,
    put_final, put_part, stream,
};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Size of each content, in bytes.
const SIZE: usize = 2 << 20;

/// The test. Without strace it is reported as ignored, and in CI it fails.
pub(crate) fn trial() -> Trial {
    let ignored = strace::is_missing_without_ci();
    let test = || if strace::is_installed() { traced() } else { Err(strace::MISSING.to_owned()) };
    let mut name = "nothing_that_gives_blocks_back_is_done_on_an_async_thread".to_owned();
    if ignored {
        name = format!("{name}: {}", strace::MISSING);
    }
    Trial::test(name, move || test().map_err(Failed::from)).with_ignored_flag(ignored)
}

fn traced() -> Result<(), String> {
    let dir = tempfile::tempdir().map_err(|error| error.to_string())?;
    let (log, root) = (dir.path().join("log"), dir.path().join("store"));
    let mut command = Command::new("strace");
    command.args(["-f", "-y", "-e", "trace=unlinkat,fallocate,close", "-o"]).arg(&log).arg("--");
    command.arg(std::env::current_exe().map_err(|error| error.to_string())?).arg(&root).env(TASK, "drops");
    let mut child = command.stdin(Stdio::null()).spawn().map_err(|error| error.to_string())?;
    let since = Instant::now();
    let status = loop {
        match child.try_wait().map_err(|error| error.to_string())? {
            Some(status) => break status,
            None if since.elapsed() > TRACE_MAX => {
                let _ = child.kill();
                return Err("the traced process does not end".to_owned());
            }
            None => std::thread::sleep(Duration::from_millis(20)),
        }
    };
    if !status.success() {
        return Err(format!("the traced process: {status}"));
    }
    let text = std::fs::read_to_string(&log).map_err(|error| error.to_string())?;
    let main = text.split(' ').next().unwrap_or_default();
    let below = root.display().to_string();
    type IsIt<'a> = &'a dyn Fn(&str) -> bool;
    let kinds: [(&str, IsIt<'_>, usize); 3] = [
        ("a name that is removed", &|line| line.contains("unlinkat(") && line.contains(&below), 4),
        ("a hole that is punched", &|line| line.contains("FALLOC_FL_PUNCH_HOLE"), 2),
        ("a file without a name that is closed", &|line| line.contains("close(") && line.contains("(deleted)"), 1),
    ];
    // Until the store is closed, by the main thread itself.
    let closing = text.lines().position(|line| line.contains("close(") && line.contains("/closing>"));
    let lines: Vec<&str> = text.lines().take(closing.ok_or("it does not close the store")?).collect();
    for (what, is_it, at_least) in kinds {
        let found: Vec<&str> = lines.iter().copied().filter(|line| is_it(line)).collect();
        if let Some(line) = found.iter().find(|line| line.split(' ').next() == Some(main)) {
            return Err(format!("{what} on the async thread: {line}"));
        }
        if found.len() < at_least {
            return Err(format!("{what}: only {}, of at least {at_least}", found.len()));
        }
    }
    Ok(())
}

/// The traced process: refused and dropped puts, and a download of an object that is deleted meanwhile.
pub(crate) mod dropping {
    use super::*;

    #[tokio::main(flavor = "current_thread")]
    pub(crate) async fn run(root: &Path) {
        let store = LocalStore::open(root, LocalOptions::default()).await.expect("a store");
        let (scope, session) = (Scope::root(), SessionId::parse("s").expect("an id"));
        let content = || vec![7; SIZE];
        let size = Expected { size: Some(SIZE as u64), ..Expected::default() };
        let wrong = Expected { sha256: Some(Digest([0; 32])), ..size };

        let refused = FinalOptions { expected: wrong, ..FinalOptions::default() };
        let refused = put_final(&store, &scope, &id("refused"), &mut stream::from_bytes(content()), refused).await;
        assert!(matches!(refused, Err(Error::DigestMismatch)), "{refused:?}");
        for (number, offset) in [(1, None), (2, Some(0))] {
            let options = PartOptions { expected: wrong, offset, ..PartOptions::default() };
            let refused = put_part(&store, &scope, &session, number, &mut stream::from_bytes(content()), options).await;
            assert!(matches!(refused, Err(Error::DigestMismatch)), "{refused:?}");
        }
        // The remains of a client that disconnects.
        for (number, offset) in [(3, None), (4, Some(SIZE as u64))] {
            let options = PartOptions { expected: size, offset, ..PartOptions::default() };
            let mut writer = store.begin_part(&scope, &session, number, options).await.expect("a writer");
            writer.write(content().into()).await.expect("room");
            drop(writer);
        }
        put_final(&store, &scope, &id("f"), &mut stream::from_bytes(content()), FinalOptions::default())
            .await
            .expect("an object");
        let key = FinalKey { bucket: "local".to_owned(), key: "final/main/f".to_owned() };
        let mut download = store.read_final(&scope, &key, ByteRange::default()).await.expect("a stream");
        download.next().await.expect("a chunk");
        assert!(store.delete_final(&scope, &key).await.expect("a deletion"));
        drop(download);
        settle(root).await;
        // Visible in the log of calls.
        drop(std::fs::File::create(root.join("lost+found").with_file_name("closing")).expect("a file"));
        say("done");
    }

    /// Waits until the remains of dropped puts are removed.
    async fn settle(root: &Path) {
        let since = Instant::now();
        let open = || {
            let files = std::fs::read_dir("/proc/self/fd").expect("descriptors").flatten();
            files
                .filter_map(|fd| std::fs::read_link(fd.path()).ok())
                .any(|path| path.to_string_lossy().ends_with("(deleted)"))
        };
        while open() || std::fs::read_dir(root.join("temp/main/s")).is_ok_and(|parts| parts.count() > 0) {
            assert!(since.elapsed() < TRACE_MAX, "something of what was dropped is left");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    fn id(name: &str) -> FileId {
        FileId::parse(name).expect("an id")
    }
}
