//! Tests of the `portico` binary behind nginx, with settings that the README names.
//!
//! `PORTICO_TEST_SLOW_SECONDS` makes clients as slow as they may be.

#[path = "../fixture/mod.rs"]
#[expect(dead_code, unused_imports, reason = "the tests of `main.rs` use the rest")]
mod fixture;
#[path = "../fixture/folder.rs"]
#[expect(dead_code, reason = "the tests of `main.rs` use the rest")]
mod folder;

use fixture::slow::Slow;
use fixture::{Server, eventually};
use folder::Folder as Store;
use libtest_mimic::{Arguments, Trial};
use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, ExitCode, Stdio};
use tempfile::TempDir;

const MISSING: &str = "nginx is not installed; on Debian and Ubuntu: apt-get install nginx";

/// How often another pair of ports is tried, because somebody else has taken one of the last.
const TRIES: usize = 5;

/// What is asked of nginx, by the name of its case.
const CASES: [(&str, &str, &str); 2] = [
    // By itself it gathers what it passes on, in files.
    ("gathers", "", ""),
    // It calls a client's socket writable as seldom as any program on Linux does, unless the buffer of that is small.
    ("passes_on", "proxy_request_buffering off; proxy_buffering off;", "sndbuf=64k"),
];

fn main() -> ExitCode {
    let installed = Command::new("nginx").arg("-v").stderr(Stdio::null()).status().is_ok();
    // Where nginx is missing, people see that this did not run, and CI fails.
    let ignored = !installed && std::env::var_os("CI").is_none_or(|value| value != "true");
    let trials = CASES.map(|(name, proxy, listen)| {
        let mut name = format!("slow_and_steady_clients_get_and_give_everything_where_nginx_{name}");
        if ignored {
            name = format!("{name}: {MISSING}");
        }
        let test = move || {
            if !installed {
                return Err(MISSING.into());
            }
            slow_and_steady(proxy, listen);
            Ok(())
        };
        Trial::test(name, test).with_ignored_flag(ignored)
    });
    libtest_mimic::run(&Arguments::from_args(), trials.into()).exit_code()
}

fn slow_and_steady(proxy: &str, listen: &str) {
    let slow = Slow::wanted();
    let server = Server::start(slow.flags);
    let nginx = Nginx::before(server.addr, proxy, listen);
    let file = server.put("slow", &slow.content(1));
    let put = slow.all(nginx.http1, nginx.http2, &file);
    drop(nginx);
    server.finish(&[&[&file], &*put.iter().collect::<Vec<_>>()].concat());
}

/// An nginx of one process, which is killed when this is dropped.
struct Nginx {
    child: Child,
    /// Where it speaks HTTP/1.1.
    http1: SocketAddr,
    /// Where it speaks HTTP/2, with prior knowledge.
    http2: SocketAddr,
    _folder: TempDir,
}

impl Nginx {
    /// Starts one in front of a server.
    fn before(server: SocketAddr, proxy: &str, listen: &str) -> Nginx {
        (0..TRIES).find_map(|_| Nginx::try_before(server, proxy, listen)).expect("an nginx that listens")
    }

    fn try_before(server: SocketAddr, proxy: &str, listen: &str) -> Option<Nginx> {
        let folder = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder");
        let free = || TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let addr = |listener: &TcpListener| listener.local_addr().expect("an address");
        let ports = [free(), free()];
        let [http1, http2] = [&ports[0], &ports[1]].map(addr);
        drop(ports);
        let config = folder.path().join("nginx.conf");
        fs::write(&config, configuration(folder.path(), server, [http1, http2], proxy, listen)).expect("a file");
        let mut command = Command::new("nginx");
        command.arg("-p").arg(folder.path()).arg("-e").arg(folder.path().join("error")).arg("-c").arg(config);
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let mut nginx = Nginx { child: child.expect("nginx"), http1, http2, _folder: folder };
        let listens = eventually("an nginx that listens, or has ended", || {
            if nginx.child.try_wait().expect("a child").is_some() {
                return Some(false);
            }
            [http1, http2].iter().all(|addr| TcpStream::connect(addr).is_ok()).then_some(true)
        });
        listens.then_some(nginx)
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn configuration(
    folder: &Path,
    server: SocketAddr,
    [http1, http2]: [SocketAddr; 2],
    proxy: &str,
    listen: &str,
) -> String {
    let folder = folder.display();
    let kept: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|of| format!("{of}_temp_path {folder}/{of};"))
        .concat();
    format!(
        "daemon off; master_process off; pid {folder}/pid; error_log {folder}/error;\n\
         events {{ worker_connections 256; }}\n\
         http {{\n\
         access_log off; {kept}\n\
         client_max_body_size 0; send_timeout 10m;\n\
         server {{ listen {http1} {listen}; listen {http2} http2 {listen};\n\
         location / {{ proxy_pass http://{server}; proxy_http_version 1.1; {proxy} }} }}\n\
         }}\n"
    )
}
