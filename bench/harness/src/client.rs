//! An HTTP/1.1 client that costs as little as can be: a blocking socket, a connection for each request, and content
//! that lies in memory.

use crate::content::Content;
use crate::{Error, Result};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// Longest silence of a server before a measurement is given up.
const SILENCE: Duration = Duration::from_secs(60);

/// Longest head, and longest body of an answer that is kept, in bytes.
const ANSWER_MAX: u64 = 1 << 20;

/// A request that is not finished.
pub struct Exchange {
    stream: TcpStream,
}

/// An answer.
pub struct Answer {
    /// Its status.
    pub status: u16,
    head: Vec<(String, String)>,
    /// Its body, up to what is kept.
    pub body: Vec<u8>,
}

impl Answer {
    /// A header, by its name in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.iter().find(|(of, _)| of == name).map(|(_, value)| value.as_str())
    }

    /// Fails unless it has that status.
    pub fn expect(self, status: u16) -> Result<Answer> {
        if self.status == status {
            return Ok(self);
        }
        Err(format!("answered {} instead of {status}: {}", self.status, String::from_utf8_lossy(&self.body)).into())
    }

    /// A field of its JSON object, which must be a text.
    pub fn field(&self, name: &str) -> Result<String> {
        let object: serde_json::Value = serde_json::from_slice(&self.body)?;
        Ok(object[name].as_str().ok_or_else(|| format!("no {name} in {object}"))?.to_owned())
    }
}

impl Exchange {
    /// Sends the head of a request with a body of so many bytes. `headers` are whole lines with their ends.
    pub fn begin(to: SocketAddr, method: &str, path: &str, headers: &str, size: u64) -> Result<Exchange> {
        let mut stream = TcpStream::connect(to)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(SILENCE))?;
        stream.set_write_timeout(Some(SILENCE))?;
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nHost: {to}\r\nConnection: close\r\nContent-Length: {size}\r\n{headers}\r\n"
        )?;
        Ok(Exchange { stream })
    }

    /// The socket, for the body.
    pub fn body(&mut self) -> &mut impl Write {
        &mut self.stream
    }

    /// Reads the answer. Of a body beyond what is kept only the length matters; it is counted and thrown away.
    pub fn finish(self) -> Result<Answer> {
        read(&mut BufReader::with_capacity(1 << 20, self.stream))
    }
}

/// A connection for one request after the other.
pub struct KeptAlive {
    to: SocketAddr,
    reader: BufReader<TcpStream>,
}

impl KeptAlive {
    /// Opens one.
    pub fn open(to: SocketAddr) -> Result<KeptAlive> {
        let stream = TcpStream::connect(to)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(SILENCE))?;
        stream.set_write_timeout(Some(SILENCE))?;
        Ok(KeptAlive { to, reader: BufReader::new(stream) })
    }

    /// A request whose body is so many bytes of `content`, and its answer. `headers` are whole lines with their ends.
    pub fn send(&mut self, method: &str, path: &str, headers: &str, content: &Content, size: u64) -> Result<Answer> {
        let to = self.to;
        let stream = self.reader.get_mut();
        write!(stream, "{method} {path} HTTP/1.1\r\nHost: {to}\r\nContent-Length: {size}\r\n{headers}\r\n")?;
        content.send(size, stream)?;
        read(&mut self.reader)
    }
}

/// Reads an answer: of a body of known length that, of any other all that comes.
fn read(reader: &mut impl BufRead) -> Result<Answer> {
    let mut line = String::new();
    let mut head = Vec::new();
    reader.by_ref().take(ANSWER_MAX).read_line(&mut line)?;
    let status = line.split(' ').nth(1).and_then(|status| status.parse().ok());
    let status = status.ok_or_else(|| format!("not an HTTP answer: {line:?}"))?;
    loop {
        line.clear();
        reader.by_ref().take(ANSWER_MAX).read_line(&mut line)?;
        match line.trim_end() {
            "" => break,
            field => head.extend(field.split_once(':').map(|(n, v)| (n.to_lowercase(), v.trim().to_owned()))),
        }
    }
    let mut answer = Answer { status, head, body: Vec::new() };
    if status == 204 {
        return Ok(answer);
    }
    let chunked = answer.header("transfer-encoding").is_some_and(|coding| coding == "chunked");
    let length: Option<u64> = answer.header("content-length").and_then(|length| length.parse().ok());
    answer.body = if chunked { dechunk(reader)? } else { body(reader, length)? };
    Ok(answer)
}

/// A body of that length, or up to the end of the connection.
fn body(reader: &mut impl Read, length: Option<u64>) -> Result<Vec<u8>> {
    let mut kept = Vec::new();
    let mut reader = reader.take(length.unwrap_or(u64::MAX));
    let start = reader.by_ref().take(ANSWER_MAX).read_to_end(&mut kept)? as u64;
    let rest = std::io::copy(&mut reader, &mut std::io::sink())?;
    match length {
        Some(length) if length != start + rest => Err(Error::from("the answer was cut off")),
        _ => Ok(kept),
    }
}

fn dechunk(reader: &mut impl BufRead) -> Result<Vec<u8>> {
    let mut kept = Vec::new();
    loop {
        let mut line = String::new();
        reader.by_ref().take(ANSWER_MAX).read_line(&mut line)?;
        let length = u64::from_str_radix(line.trim(), 16).map_err(|_| format!("not a chunk: {line:?}"))?;
        let mut chunk = body(reader, Some(length))?;
        body(reader, Some(2))?;
        kept.append(&mut chunk);
        if kept.len() as u64 > ANSWER_MAX {
            return Err("the answer is longer than what is kept, and chunked".into());
        }
        if length == 0 {
            return Ok(kept);
        }
    }
}

/// A request without a body.
pub fn ask(to: SocketAddr, method: &str, path: &str, headers: &str) -> Result<Answer> {
    Exchange::begin(to, method, path, headers, 0)?.finish()
}

/// A request whose body is a short document.
pub fn post(to: SocketAddr, path: &str, media_type: &str, document: &str) -> Result<Answer> {
    let headers = format!("Content-Type: {media_type}\r\n");
    let mut exchange = Exchange::begin(to, "POST", path, &headers, document.len() as u64)?;
    exchange.body().write_all(document.as_bytes())?;
    exchange.finish()
}

/// A request whose body is so many bytes of `content`.
pub fn send(to: SocketAddr, method: &str, path: &str, headers: &str, content: &Content, size: u64) -> Result<Answer> {
    let mut exchange = Exchange::begin(to, method, path, headers, size)?;
    let sent = content.send(size, exchange.body());
    // A server that refuses says why before it closes.
    match (exchange.finish(), sent) {
        (Ok(answer), _) => Ok(answer),
        (Err(error), Ok(())) | (Err(_), Err(error)) => Err(error),
    }
}
