//! Servers in processes of their own, one of each kind for all tests of a process, which end when that ends.

use crate::access::Access;
use crate::runtime::blocking;
use std::ffi::OsStr;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, Command, Stdio};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

/// What a server lacks that would have to be there to start it.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{0}")]
pub struct Missing(pub String);

/// How long a server may take to answer its first request.
const START: Duration = Duration::from_secs(60);

/// A program that runs until its stdin's other end is closed, which the end of this process does too.
pub(crate) struct Process {
    _stdin: ChildStdin,
    folder: PathBuf,
}

/// Starts the program, waits until that pipe is closed, ends the program by its id and removes its folder, and what it has
/// elsewhere. A key that interrupts the tests goes to the shell as well, which therefore ignores it.
const SHELL: &str = r#"
trap '' INT HUP
folder=$1
shift
"$@" >"$folder/log" 2>&1 </dev/null &
program=$!
cat >/dev/null
kill -9 "$program"
wait "$program"
while read -r path; do
    rm -f "$path"
done <"$folder/outside"
rm -rf "$folder"
"#;

impl Process {
    /// Starts a program with a folder of its own, which `with` prepares and which goes with the program.
    pub(crate) fn start(name: &str, with: impl FnOnce(&Path) -> Command) -> Process {
        let folder = tempfile::Builder::new().prefix(&format!("portico-{name}-")).tempdir().expect("a folder").keep();
        let command = with(&folder);
        // What the program makes outside of its folder, a path in each line.
        std::fs::OpenOptions::new().create(true).append(true).open(folder.join("outside")).expect("a file");
        let mut shell = Command::new("sh");
        shell.args([OsStr::new("-c"), OsStr::new(SHELL), OsStr::new(name), folder.as_os_str(), command.get_program()]);
        shell.args(command.get_args()).current_dir(&folder);
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => shell.env(name, value),
                None => shell.env_remove(name),
            };
        }
        let shell = shell.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        let stdin = shell.spawn().expect("sh starts").stdin.take().expect("a pipe");
        Process { _stdin: stdin, folder }
    }

    /// A folder for what servers in this process keep. With a program that does nothing it too goes when the process
    /// ends, which may be by a signal.
    pub(crate) fn own() -> &'static Path {
        static OWN: OnceLock<Process> = OnceLock::new();
        OWN.get_or_init(|| Process::start("s3s", |_| Command::new("true"))).folder()
    }

    /// The program's folder.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Waits until a `GET` of a path is answered with a status that begins as it must.
    ///
    /// # Panics
    /// With the program's log where that takes too long.
    pub(crate) fn wait(&self, address: SocketAddr, path: &str, status: &str) {
        let is = |answer: &str| answer.get(9..).is_some_and(|rest| rest.starts_with(status));
        self.until(|| ask(address, &format!("GET {path}"), "", "").filter(|answer| is(answer)));
    }

    /// Tries something until there is a result.
    ///
    /// # Panics
    /// With the program's log where that takes too long.
    pub(crate) fn until<T>(&self, mut attempt: impl FnMut() -> Option<T>) -> T {
        let begun = Instant::now();
        loop {
            if let Some(result) = attempt() {
                return result;
            }
            let log = || std::fs::read_to_string(self.folder.join("log")).unwrap_or_default();
            assert!(begun.elapsed() < START, "the server did not start:\n{}", log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// The one server of its kind in this process.
pub(crate) struct Shared(Mutex<Option<(Access, Arc<Process>)>>);

impl Shared {
    pub(crate) const fn new() -> Self {
        Shared(Mutex::new(None))
    }

    /// Starts it at the first call.
    pub(crate) async fn get(
        &'static self,
        program: PathBuf,
        run: fn(&Path) -> (Access, Process),
    ) -> (Access, Arc<Process>) {
        let get = move || {
            let mut started = self.0.lock().expect("a server that started");
            let start = || {
                let (access, process) = run(&program);
                (access, Arc::new(process))
            };
            started.get_or_insert_with(start).clone()
        };
        blocking(get).await
    }
}

/// A request on a connection of its own, and all that is answered.
pub(crate) fn ask(address: SocketAddr, line: &str, headers: &str, body: &str) -> Option<String> {
    let mut stream = TcpStream::connect(address).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(10))).ok()?;
    write!(stream, "{line} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n{headers}\r\n{body}").ok()?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).ok()?;
    Some(String::from_utf8_lossy(&answer).into_owned())
}

/// Addresses that were free a moment ago, each another.
pub(crate) fn free_addresses<const N: usize>() -> [SocketAddr; N] {
    let listeners: [TcpListener; N] = std::array::from_fn(|_| TcpListener::bind("127.0.0.1:0").expect("a free port"));
    listeners.map(|listener| listener.local_addr().expect("an address"))
}

/// A program that a variable names, or else lies below `.cache` in the workspace.
pub(crate) fn find(variable: &str, cached: &str) -> Result<PathBuf, Missing> {
    let named = std::env::var_os(variable).filter(|value| !value.is_empty()).map(PathBuf::from);
    let path = named.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.cache").join(cached));
    if path.is_file() {
        return Ok(path.canonicalize().unwrap_or(path));
    }
    Err(Missing(format!("no program at {} ({variable})", path.display())))
}
