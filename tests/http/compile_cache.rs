//! Compiled portals: the cache of them, and `portico compile`. Whatever has become of a file, the server starts.

use crate::Store;
use crate::fixture::server::Said;
use crate::fixture::{Pattern, Server, portico, run, tell};
use crate::small_disk::SmallDisk;
use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;

const WHERE_IT_LOGS: [&str; 2] = ["--log", "info,portico_server=debug"];

/// What the log has of a start that needed no compiler.
const TAKEN: &str = "the compiled portal is in the cache";

/// What the log has of a start that compiled.
const COMPILED: &str = "compiled the portal";

struct Cached {
    store: Arc<Store>,
    folder: PathBuf,
}

impl Cached {
    fn new() -> Cached {
        let store = Arc::new(Store::new());
        let folder = store.beside("cache");
        Cached { store, folder }
    }

    fn start(&self) -> Server {
        let folder = self.folder.display().to_string();
        Server::start_on(&self.store, &[&WHERE_IT_LOGS[..], &["--compile-cache", &*folder]].concat())
    }

    /// Starts a server, looks for words in its log, and stops it after an upload.
    #[track_caller]
    fn expect(&self, words: &[&str]) {
        let server = self.start();
        for word in words {
            server.log_with(word);
        }
        server.ask("GET /openapi.json", &[]).head.expect(200, &[]);
        server.finish(&[]);
    }

    fn files(&self) -> Vec<PathBuf> {
        fs::read_dir(&self.folder).expect("a folder").map(|entry| entry.expect("an entry").path()).collect()
    }

    /// The only file.
    #[track_caller]
    fn file(&self) -> PathBuf {
        let [file] = &*self.files() else { panic!("{:?}", self.files()) };
        file.clone()
    }
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).expect("it exists").mode() & 0o777
}

#[test]
fn a_portal_is_compiled_once() {
    let cached = Cached::new();
    cached.expect(&[COMPILED]);
    assert_eq!((mode(&cached.folder), mode(&cached.file())), (0o700, 0o600));
    let made = fs::metadata(cached.file()).expect("a file").ino();
    cached.expect(&[TAKEN]);
    assert_eq!(fs::metadata(cached.file()).expect("a file").ino(), made, "the same file");
    // Commands that compile use it too.
    let folder = cached.folder.display().to_string();
    for arguments in [&["sweep"][..], &["ls"]] {
        let mut command = cached.store.command(arguments[0]);
        command.args(["--compile-cache", &*folder]).args(WHERE_IT_LOGS);
        let said = run(command);
        assert_eq!(said.code, Some(0), "{said:?}");
        assert!(said.err.contains(TAKEN) && !said.err.contains(COMPILED), "{said:?}");
    }
    // Other code is another file.
    let server = Server::start_on(&cached.store, &["--compile-cache", "off"]);
    let content = Pattern::new(1, 1_000);
    let file = server.put("uncached", &content);
    server.finish(&[&file]);
    assert_eq!(cached.files().len(), 1);
}

#[test]
fn a_file_that_was_changed_is_not_loaded() {
    let cached = Cached::new();
    cached.expect(&[COMPILED]);
    let whole = fs::read(cached.file()).expect("a file");
    let change = |at: usize| {
        let mut changed = whole.clone();
        changed[at] ^= 0x20;
        changed
    };
    for content in
        [change(whole.len() / 2), change(100), change(whole.len() - 1), whole[..whole.len() / 2].to_vec(), Vec::new()]
    {
        fs::write(cached.file(), &content).expect("a file");
        cached.expect(&["a compiled portal in the cache is not used; compiling again", COMPILED]);
        let artifact = fs::read(cached.file()).expect("a file");
        assert_ne!(artifact, content, "the file was replaced");
        cached.expect(&[TAKEN]);
    }
    // A file of another key under this name.
    fs::set_permissions(cached.file(), Permissions::from_mode(0o622)).expect("the test's own file");
    cached.expect(&["could have been written by others", COMPILED]);
    fs::rename(cached.file(), cached.folder.join("0123456789abcdef0123456789abcdef.cwasm")).expect("a file");
    cached.expect(&[COMPILED]);
    assert_eq!(cached.files().len(), 2);
}

#[test]
fn a_folder_that_others_can_write_is_not_used() {
    let cached = Cached::new();
    fs::create_dir(&cached.folder).expect("a folder");
    fs::set_permissions(&cached.folder, Permissions::from_mode(0o777)).expect("the test's own folder");
    cached.expect(&["others could write to the folder", "mode 0700", "compile_cache", COMPILED]);
    assert!(cached.files().is_empty());
    fs::remove_dir(&cached.folder).expect("an empty folder");
    fs::write(&cached.folder, "a file").expect("a file");
    cached.expect(&["the cache of compiled portals is not used", COMPILED]);
}

#[test]
fn a_full_disk_costs_the_cache_alone() {
    let cached = Cached::new();
    let disk = SmallDisk::new(1);
    let (folder, server) = match &disk {
        Ok(disk) => {
            let folder = disk.folder.beside("cache").display().to_string();
            let mut inner = cached.store.command("serve");
            inner.args(["--listen", "127.0.0.1:0", "--compile-cache", &*folder]);
            (folder, Server::spawn(disk.enter(&inner), &cached.store))
        }
        Err(reason) => {
            tell(&format!(
                "no small disk can be mounted here ({reason}); a folder that takes no files takes its place"
            ));
            fs::create_dir(&cached.folder).expect("a folder");
            fs::set_permissions(&cached.folder, Permissions::from_mode(0o500)).expect("the test's own folder");
            (cached.folder.display().to_string(), cached.start())
        }
    };
    server.log_with("cannot keep the compiled portal in the cache");
    let file = server.put("kept", &Pattern::new(1, 100_000));
    server.finish(&[&file]);
    drop((folder, disk));
}

#[test]
fn processes_that_start_together_share_it() {
    let cached = Cached::new();
    let folder = cached.folder.display().to_string();
    let servers: Vec<Server> = std::thread::scope(|scope| {
        let start = || {
            let store = Arc::new(Store::new());
            Server::start_on(&store, &["--compile-cache", &*folder])
        };
        let starts: Vec<_> = (0..4).map(|_| scope.spawn(start)).collect();
        starts.into_iter().map(|start| start.join().expect("a server")).collect()
    });
    for server in servers {
        assert!(!server.log().contains("WARN"), "{}", server.log());
        let file = server.put("shared", &Pattern::new(1, 1_000));
        server.finish(&[&file]);
    }
    cached.file();
    cached.expect(&[TAKEN]);
}

/// Compiles the hostile portal. Returns the folder, and the compiled file.
fn compiled(flags: &[&str]) -> (Store, PathBuf, Said) {
    let store = Store::new();
    let (component, output) = (store.beside("portal.wasm"), store.beside("portal.cwasm"));
    fs::write(&component, portico_test_artifacts::HOSTILE).expect("a file");
    let (component, out) = (component.display().to_string(), output.display().to_string());
    let said = run(portico([&["compile", &*component, "-o", &*out], flags].concat()));
    (store, output, said)
}

#[test]
fn a_compiled_portal_is_served() {
    for addresses in ["ample", "tight", "as-needed"] {
        let (store, file, said) = compiled(&["--addresses", addresses]);
        assert_eq!((said.code, &*said.out, &*said.err), (Some(0), "", ""), "{said:?}");
        assert_eq!(mode(&file) & 0o022, 0);
        let file = file.display().to_string();
        let server = Server::start_on(&Arc::new(store), &[&["--portal", &*file], &WHERE_IT_LOGS[..]].concat());
        assert_eq!(server.ask("GET /ok", &[]).body, b"ok");
        assert!(!server.log().contains(COMPILED), "{}", server.log());
        server.finish(&[]);
    }
}

#[test]
fn a_compiled_portal_is_the_operators_or_refused() {
    let (store, file, _) = compiled(&["--addresses", "tight"]);
    let path = file.display().to_string();
    let check = |flags: &[&str]| run(portico([&["check", "--portal", &*path], flags].concat()));
    assert_eq!(check(&[]).code, Some(0), "{:?}", check(&[]));
    let refused = |said: Said, words: &str| {
        assert_eq!(said.code, Some(1), "{said:?}");
        assert!(said.err.contains(words), "no {words:?} in {}", said.err);
    };
    refused(check(&["--guest-memory", "80MiB"]), "compiled for guest_memory = 67108864, and 83886080 is configured");
    for mode in [0o666, 0o660] {
        fs::set_permissions(&file, Permissions::from_mode(mode)).expect("the test's own file");
        refused(check(&[]), "could have been written by others");
    }
    fs::set_permissions(&file, Permissions::from_mode(0o644)).expect("the test's own file");
    let whole = fs::read(&file).expect("a file");
    let mut changed = whole.clone();
    changed[whole.len() / 3] ^= 1;
    fs::write(&file, changed).expect("a file");
    refused(check(&[]), "is damaged: compile it again");
    fs::write(&file, &whole[..whole.len() - 7]).expect("a file");
    refused(check(&[]), "is cut off, or was not made by `portico compile`");
    drop(store);
}

#[test]
fn what_cannot_be_compiled_leaves_no_file() {
    let store = Store::new();
    let (component, output) = (store.beside("portal.wasm"), store.beside("portal.cwasm"));
    let arguments = ["compile".to_owned(), component.display().to_string(), "-o".into(), output.display().to_string()];
    for (content, words) in [(&b""[..], "is empty"), (b"\0asm\x0d\0\x01\0", "cannot run the portal")] {
        fs::write(&component, content).expect("a file");
        let said = run(portico(&arguments));
        if content.is_empty() {
            assert_eq!(said.code, Some(1), "{said:?}");
            assert!(said.err.contains(words), "{said:?}");
            assert!(!output.exists());
        }
    }
    let missing = store.beside("missing/portal.cwasm").display().to_string();
    fs::write(&component, portico_test_artifacts::HOSTILE).expect("a file");
    let said = run(portico(["compile", &*arguments[1], "-o", &*missing]));
    assert_eq!(said.code, Some(1), "{said:?}");
    assert!(said.err.contains("cannot write") && said.err.contains(&missing), "{said:?}");
}

#[test]
fn a_signal_ends_a_start_that_compiles() {
    let store = Store::new();
    let portal = store.beside("portal.wasm");
    // Compiling takes long enough to be interrupted, on any machine.
    let function =
        "(func (param i32) (result i32) local.get 0 i32.const 7 i32.mul local.get 0 i32.div_u)".repeat(60_000);
    let more = format!("(core module $large {function}) (core instance (instantiate $large))");
    fs::write(&portal, crate::portal_limits::component(&more)).expect("a file");
    let mut command = store.command("serve");
    command.args(["--listen", "127.0.0.1:0", "--portal", &portal.display().to_string()]);
    let mut child = command.stderr(Stdio::null()).stdout(Stdio::null()).spawn().expect("the binary");
    // The compiler is a child of the server.
    let children = format!("/proc/{0}/task/{0}/children", child.id());
    let compiler = crate::fixture::eventually("the compiler", || {
        let threads = fs::read_dir(format!("/proc/{}/task", child.id())).ok()?;
        let of = |thread: fs::DirEntry| fs::read_to_string(thread.path().join("children")).unwrap_or_default();
        let children: String = threads.flatten().map(of).collect();
        children.split_whitespace().next().map(str::to_owned)
    });
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("the server runs");
    let status = crate::fixture::eventually("the end of the server", || child.try_wait().expect("a child"));
    assert_eq!(status.code(), Some(0), "{status} {children}");
    crate::fixture::eventually("the end of the compiler", || {
        (!Path::new(&format!("/proc/{compiler}/exe")).exists()).then_some(())
    });
}
