//! moto, installed by `make test-s3`. Its signatures are checked once a user with a key has been made.

use crate::access::Access;
use crate::process::{Missing, Process, Shared, ask, find, free_addresses};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

/// The calls that make the user, which are the ones that moto is told to take from anybody.
const CALLS: [&str; 3] = [
    "Action=CreateUser&UserName=portico",
    "Action=PutUserPolicy&UserName=portico&PolicyName=all&PolicyDocument=%7B%22Version%22%3A%222012-10-17%22%2C%22\
     Statement%22%3A%5B%7B%22Effect%22%3A%22Allow%22%2C%22Action%22%3A%22%2A%22%2C%22Resource%22%3A%22%2A%22%7D%5D%7D",
    "Action=CreateAccessKey&UserName=portico",
];

/// The program, or what is missing.
pub(crate) fn program() -> Result<PathBuf, Missing> {
    find("PORTICO_TEST_MOTO", "moto/bin/moto_server")
}

/// Starts it at the first call.
pub(crate) async fn start() -> Result<(Access, Arc<Process>), Missing> {
    static SHARED: Shared = Shared::new();
    Ok(SHARED.get(program()?, run).await)
}

fn run(program: &Path) -> (Access, Process) {
    let [address] = free_addresses();
    let process = Process::start("moto", |_| {
        let mut command = Command::new(program);
        command.args(["-H", "127.0.0.1", "-p", &address.port().to_string()]);
        command.env("INITIAL_NO_AUTH_ACTION_COUNT", CALLS.len().to_string());
        command
    });
    process.wait(address, "/moto-api/", "200");
    let [_, _, key] = CALLS.map(|call| iam(address, call));
    let text = |name: &str| {
        let found = key.split_once(&format!("<{name}>")).and_then(|(_, rest)| rest.split_once('<'));
        found.unwrap_or_else(|| panic!("no {name} in {key}")).0.to_owned()
    };
    let access = Access {
        endpoint: format!("http://{address}"),
        region: "us-east-1".to_owned(),
        access_key: text("AccessKeyId"),
        secret_key: text("SecretAccessKey"),
    };
    (access, process)
}

/// A call of IAM, which moto tells from others by what a signature is for.
fn iam(address: SocketAddr, call: &str) -> String {
    let signature =
        "AWS4-HMAC-SHA256 Credential=none/20260101/us-east-1/iam/aws4_request, SignedHeaders=host, Signature=0";
    let form = "application/x-www-form-urlencoded";
    let body = format!("{call}&Version=2010-05-08");
    let headers = format!("Authorization: {signature}\r\nContent-Type: {form}\r\nContent-Length: {}\r\n", body.len());
    ask(address, "POST /", &headers, &body).expect("an answer of moto")
}
