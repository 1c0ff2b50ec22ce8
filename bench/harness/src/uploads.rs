//! One upload to a server, checked and taken away again.

use crate::content::Content;
use crate::{Result, client};
use std::net::SocketAddr;
use std::time::Instant;

const RESUMABLE: &str = "Tus-Resumable: 1.0.0\r\n";

/// Seconds of one PUT to a portal, which is checked against the digest and deleted again.
pub fn put(to: SocketAddr, content: &Content, size: u64, sha256: &str) -> Result<f64> {
    let start = Instant::now();
    let answer = client::send(to, "PUT", "/files/large", "", content, size)?;
    let seconds = start.elapsed().as_secs_f64();
    let answer = answer.expect(201)?;
    if answer.field("sha256")? != sha256 {
        return Err("a PUT answered another digest than that of what was sent".into());
    }
    client::ask(to, "DELETE", &format!("/files/{}", answer.field("file_id")?), "")?.expect(204)?;
    Ok(seconds)
}

/// Seconds of one PATCH to a tusd that holds the whole, which is checked by its offset and deleted again. The creation
/// of the upload does not count.
pub fn patch(to: SocketAddr, content: &Content, size: u64) -> Result<f64> {
    let created = client::ask(to, "POST", "/files/", &format!("{RESUMABLE}Upload-Length: {size}\r\n"))?.expect(201)?;
    let location = created.header("location").ok_or("tusd gave no location")?;
    let path = location.find("/files/").map(|at| &location[at..]).ok_or("tusd gave another location")?;
    let headers = format!("{RESUMABLE}Upload-Offset: 0\r\nContent-Type: application/offset+octet-stream\r\n");

    let start = Instant::now();
    let answer = client::send(to, "PATCH", path, &headers, content, size)?;
    let seconds = start.elapsed().as_secs_f64();
    if answer.expect(204)?.header("upload-offset") != Some(size.to_string().as_str()) {
        return Err("tusd did not store the whole".into());
    }
    client::ask(to, "DELETE", path, RESUMABLE)?.expect(204)?;
    Ok(seconds)
}
