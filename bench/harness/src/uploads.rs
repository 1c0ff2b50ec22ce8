//! One upload to a server, checked and taken away again.

use crate::client::KeptAlive;
use crate::content::Content;
use crate::{Result, client};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

const RESUMABLE: &str = "Tus-Resumable: 1.0.0\r\n";

/// Where uploads of tus begin.
#[derive(Clone, Copy)]
pub enum Tus {
    /// At a tusd with its defaults.
    Tusd,
    /// At a portal.
    Portal,
}

impl Tus {
    fn creation(self) -> &'static str {
        match self {
            Tus::Tusd => "/files/",
            Tus::Portal => "/tus/",
        }
    }

    /// The path of a new upload.
    fn create(self, to: SocketAddr, size: u64) -> Result<String> {
        let headers = format!("{RESUMABLE}Upload-Length: {size}\r\n");
        self.path_of(&client::ask(to, "POST", self.creation(), &headers)?.expect(201)?)
    }

    /// The path in the `Location` of an answer.
    fn path_of(self, answer: &client::Answer) -> Result<String> {
        let location = answer.header("location").ok_or("the answer has no location")?;
        let id = location.rsplit('/').next().ok_or("the location has no id")?;
        Ok(format!("{}{id}", self.creation()))
    }
}

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

/// A session of numbered parts that a portal has begun.
pub struct Session<'c> {
    to: SocketAddr,
    content: &'c Content,
    /// Bytes of its file.
    size: u64,
    /// Bytes of each part but the last.
    part: u64,
    path: String,
}

impl<'c> Session<'c> {
    /// Begins one for a file of so many bytes, in parts of so many. Each part has the content from its beginning.
    pub fn begin(to: SocketAddr, content: &'c Content, size: u64, part: u64) -> Result<Session<'c>> {
        let document =
            format!("{{\"original_filename\":\"large\",\"total_size_bytes\":{size},\"chunk_size_bytes\":{part}}}");
        let created = client::post(to, "/uploads/sessions", "application/json", &document)?.expect(201)?;
        let path = format!("/uploads/sessions/{}", created.field("session_id")?);
        Ok(Session { to, content, size, part, path })
    }

    fn part(&self, connection: &mut KeptAlive, number: u64) -> Result<()> {
        let bytes = self.part.min(self.size - (number - 1) * self.part);
        let path = format!("{}/parts/{number}", self.path);
        connection.send("PUT", &path, "", self.content, bytes)?.expect(201).map(drop)
    }

    /// Sends all parts on so many connections at once, each of which begins with the next one when it is done with one.
    pub fn send_in_lanes(&self, lanes: usize) -> Result<()> {
        let next = AtomicU64::new(1);
        let lane = || -> Result<()> {
            let mut connection = KeptAlive::open(self.to)?;
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number > self.size.div_ceil(self.part) {
                    return Ok(());
                }
                self.part(&mut connection, number)?;
            }
        };
        std::thread::scope(|scope| {
            let running: Vec<_> = (0..lanes).map(|_| scope.spawn(lane)).collect();
            running.into_iter().try_for_each(|lane| lane.join().map_err(|_| "a lane panicked")?)
        })
    }

    /// Asks how it stands.
    pub fn status(&self) -> Result<client::Answer> {
        client::ask(self.to, "GET", &self.path, "")?.expect(200)
    }

    /// Makes the file.
    pub fn finalize(&self) -> Result<client::Answer> {
        client::ask(self.to, "POST", &format!("{}/finalize", self.path), "")?.expect(201)
    }

    /// Deletes its file, of which an answer tells, and which must have that digest.
    pub fn delete(&self, answer: &client::Answer, sha256: &str) -> Result<()> {
        if answer.field("sha256")? != sha256 {
            return Err("a session made a file of another digest than that of what was sent".into());
        }
        client::ask(self.to, "DELETE", &format!("/files/{}", answer.field("file_id")?), "")?.expect(204).map(drop)
    }
}

/// Seconds of the parts of one session and of making the file of them, on one connection; the file is checked against the
/// digest and deleted again. The creation of the session does not count.
pub fn parts(to: SocketAddr, content: &Content, size: u64, part: u64, sha256: &str) -> Result<f64> {
    let session = Session::begin(to, content, size, part)?;
    let mut connection = KeptAlive::open(to)?;

    let start = Instant::now();
    for number in 1..=size.div_ceil(part) {
        session.part(&mut connection, number)?;
    }
    let answer = connection.send("POST", &format!("{}/finalize", session.path), "", content, 0)?.expect(201)?;
    let seconds = start.elapsed().as_secs_f64();
    session.delete(&answer, sha256)?;
    Ok(seconds)
}

/// Seconds of the PATCHes of one upload of tus, of so many bytes each, on one connection. The creation of the upload does
/// not count.
pub fn patches(tus: Tus, to: SocketAddr, content: &Content, size: u64, part: u64) -> Result<f64> {
    let path = tus.create(to, size)?;
    let mut connection = KeptAlive::open(to)?;

    let start = Instant::now();
    for offset in (0..size).step_by(usize::try_from(part)?) {
        let headers =
            format!("{RESUMABLE}Upload-Offset: {offset}\r\nContent-Type: application/offset+octet-stream\r\n");
        connection.send("PATCH", &path, &headers, content, part.min(size - offset))?.expect(204)?;
    }
    let seconds = start.elapsed().as_secs_f64();
    client::ask(to, "DELETE", &path, RESUMABLE)?.expect(204)?;
    Ok(seconds)
}

/// Puts one small file on an open connection to a portal, and returns its path.
pub fn put_small(connection: &mut KeptAlive, content: &Content, size: u64) -> Result<String> {
    let answer = connection.send("PUT", "/files/small", "", content, size)?.expect(201)?;
    Ok(format!("/files/{}", answer.field("file_id")?))
}

/// Creates one small upload of a tusd with its content, in one request (creation-with-upload), and returns its path.
pub fn create_small(connection: &mut KeptAlive, content: &Content, size: u64) -> Result<String> {
    let headers = format!("{RESUMABLE}Upload-Length: {size}\r\nContent-Type: application/offset+octet-stream\r\n");
    let answer = connection.send("POST", "/files/", &headers, content, size)?.expect(201)?;
    if answer.header("upload-offset") != Some(size.to_string().as_str()) {
        return Err("tusd did not store the whole".into());
    }
    Tus::Tusd.path_of(&answer)
}

/// Seconds of one PATCH that holds the whole, which is checked by its offset and deleted again. The creation of the
/// upload does not count.
pub fn patch(tus: Tus, to: SocketAddr, content: &Content, size: u64) -> Result<f64> {
    let path = tus.create(to, size)?;
    let headers = format!("{RESUMABLE}Upload-Offset: 0\r\nContent-Type: application/offset+octet-stream\r\n");

    let start = Instant::now();
    let answer = client::send(to, "PATCH", &path, &headers, content, size)?;
    let seconds = start.elapsed().as_secs_f64();
    if answer.expect(204)?.header("upload-offset") != Some(size.to_string().as_str()) {
        return Err("the server did not store the whole".into());
    }
    client::ask(to, "DELETE", &path, RESUMABLE)?.expect(204)?;
    Ok(seconds)
}
