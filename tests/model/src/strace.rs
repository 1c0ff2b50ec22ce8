//! Logs of `strace -f -y`, parsed into calls with their begin and end.
//!
//! What survives a loss of power depends on the order of a store's system calls; a kill cannot show that order, a log
//! of the calls can.

use std::collections::HashMap;
use std::path::Path;
use std::process::{Command, Stdio};

/// The calls that change or sync files, move bytes, or send answers.
pub const CALLS: &str = "openat,openat2,pwritev,pwritev2,pwrite64,writev,write,read,readv,pread64,preadv,preadv2,fdatasync,\
                         fsync,link,linkat,unlink,unlinkat,mkdir,mkdirat,rename,renameat,renameat2,ftruncate,fallocate,\
                         copy_file_range,sendfile,splice,sendto,sendmsg";

/// The message where strace is missing.
pub const MISSING: &str = "strace is not installed; on Debian and Ubuntu: apt-get install strace";

/// Whether strace is installed.
pub fn is_installed() -> bool {
    Command::new("strace").arg("-V").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok()
}

/// Whether strace is missing outside of CI: there such a test is reported as ignored, and in CI it fails.
pub fn is_missing_without_ci() -> bool {
    !is_installed() && std::env::var_os("CI").is_none_or(|value| value != "true")
}

/// A command under strace, which writes its log to a file.
pub fn command(log: &Path, program: &Path) -> Command {
    let mut command = Command::new("strace");
    command.args(["-f", "-y", "-s", "64", "-e", &format!("trace={CALLS}"), "-o"]).arg(log).arg("--").arg(program);
    command
}

/// The same, with strace as the program's child: the started process is the program.
pub fn command_as_its_child(log: &Path, program: &Path) -> Command {
    let inner = command(log, program);
    let mut command = Command::new("strace");
    command.arg("-D").args(inner.get_args());
    command
}

/// A call that has succeeded.
#[derive(Clone, Debug)]
pub struct Call {
    /// Its name.
    pub name: String,
    /// The text between its parentheses.
    pub args: String,
    /// Its result.
    pub result: i64,
    /// The line of its begin.
    pub begun: usize,
    /// The line of its end.
    pub ended: usize,
}

impl Call {
    /// Its first descriptor's number, and the path that strace prints for it.
    pub fn descriptor(&self) -> Option<(u32, &Path)> {
        let (number, rest) = self.args.split_once('<')?;
        let (path, _) = rest.split_once('>')?;
        Some((number.parse().ok()?, Path::new(path)))
    }

    /// Whether it writes bytes of the process.
    pub fn is_write(&self) -> bool {
        matches!(&*self.name, "pwritev" | "pwritev2" | "pwrite64" | "writev" | "write")
    }

    /// Whether it read bytes, or copied them within the system.
    pub fn moves_bytes(&self) -> bool {
        let moves = self.name.contains("read") || matches!(&*self.name, "copy_file_range" | "sendfile" | "splice");
        moves && self.result > 0
    }

    /// Whether it makes something durable.
    pub fn is_sync(&self) -> bool {
        matches!(&*self.name, "fdatasync" | "fsync")
    }

    /// Whether it names a file or folder, or something beneath one.
    pub fn is_beneath(&self, path: &Path) -> bool {
        self.descriptor().is_some_and(|(_, there)| there.starts_with(path))
    }

    /// Whether it names exactly that file or folder.
    pub fn is_on(&self, path: &Path) -> bool {
        self.descriptor().is_some_and(|(_, there)| there == path)
    }

    /// Its last argument as a number: the offset of a positional write.
    pub fn last_number(&self) -> Option<u64> {
        self.args.rsplit(", ").next()?.parse().ok()
    }
}

/// Parses a log. Calls that failed or never ended are left out.
///
/// # Panics
/// If a line is unknown, because a call could be missing then.
pub fn read(log: &str) -> Vec<Call> {
    let mut calls = Vec::new();
    let mut begun: HashMap<&str, (usize, String)> = HashMap::new();
    for (at, line) in log.lines().enumerate() {
        let Some((process, text)) = line.split_once(' ') else { panic!("not a line of strace: {line:?}") };
        let text = text.trim_start();
        // Signals and ends of processes.
        if text.starts_with("---") || text.starts_with("+++") {
            continue;
        }
        if let Some(first) = text.strip_suffix("<unfinished ...>") {
            let first = first.trim_end();
            begun.insert(process, (at, if first.ends_with(',') { format!("{first} ") } else { first.to_owned() }));
            continue;
        }
        let (start, whole) = match text.strip_prefix("<... ").and_then(|rest| rest.split_once(" resumed>")) {
            Some((_, rest)) => match begun.remove(process) {
                Some((start, first)) => (start, format!("{first}{rest}")),
                None => panic!("resumed and never begun: {line:?}"),
            },
            None => (at, text.to_owned()),
        };
        if let Some(call) = parse(&whole, start, at) {
            calls.push(call);
        }
    }
    calls.sort_by_key(|call| call.ended);
    calls
}

fn parse(text: &str, begun: usize, ended: usize) -> Option<Call> {
    let (call, result) = text.rsplit_once(" = ").unwrap_or_else(|| panic!("a call without a result: {text:?}"));
    let (name, args) = call.trim_end().strip_suffix(')').and_then(|call| call.split_once('(')).unwrap_or_else(|| {
        panic!("not a call: {text:?}");
    });
    let number: String = result.chars().take_while(|c| c.is_ascii_digit()).collect();
    // A failure is a negative number; a call that a signal or the end interrupted has a question mark.
    let result = number.parse().ok()?;
    Some(Call { name: name.to_owned(), args: args.to_owned(), result, begun, ended })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_read_with_their_beginning_and_end() {
        let log = "\
7 pwritev(20</s/a>, [{iov_base=\"x = 1\"..., iov_len=3}], 1, 100) = 3
7 fdatasync(20</s/a> <unfinished ...>
8 write(1</dev/null>, \"a (b) = c\\n\", 10) = 10
8 openat2(3</s>, \"b\", {flags=O_RDWR}, 24) = -1 ENOENT (No such file or directory)
7 <... fdatasync resumed>) = 0
8 --- SIGCHLD {si_signo=SIGCHLD} ---
7 read(5</s/a>, <unfinished ...>
8 +++ exited with 0 +++
7 <... read resumed>\"ab\", 2) = 2
";
        let calls = read(log);
        let told: Vec<_> = calls.iter().map(|call| (&*call.name, call.result, call.begun, call.ended)).collect();
        assert_eq!(told, [("pwritev", 3, 0, 0), ("write", 10, 2, 2), ("fdatasync", 0, 1, 4), ("read", 2, 6, 8)]);
        assert_eq!(calls[0].descriptor(), Some((20, Path::new("/s/a"))));
        assert_eq!(calls[0].last_number(), Some(100));
        assert!(calls[0].is_beneath(Path::new("/s")) && !calls[0].is_on(Path::new("/s")));
        assert_eq!(calls[3].args, "5</s/a>, \"ab\", 2");
    }
}
