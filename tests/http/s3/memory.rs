//! Memory: it depends on what uploads may gather, and not on the size of a file or on who stands still.

use crate::fixture::{Connection, Pattern, Server, Stored, tell};
use crate::{S3Server, Store};
use std::sync::Arc;

const MIB: u64 = 1 << 20;

pub(crate) fn a_large_file_takes_little_memory(s3: &Arc<S3Server>) {
    let server = Server::start_on(&Arc::new(Store::on(s3)), &[]);
    let warm = server.put("warm-up", &Pattern::new(0, MIB));
    let content = Pattern::new(1, 256 * MIB);
    for kind in ["known", "unknown"] {
        server.reset_peak();
        let file = if kind == "known" {
            server.put("large", &content)
        } else {
            let mut connection = server.connect();
            connection.request("PUT /files/large", &[("Transfer-Encoding", "chunked")]);
            content.pieces().for_each(|piece| connection.send_chunk(piece));
            connection.end_chunks();
            Stored::new(&connection.response(), &content)
        };
        let peak = server.peak();
        tell(&format!("peak: {} KiB for 256 MiB of {kind} length", peak >> 10));
        assert!(peak < 128 * MIB, "{peak} bytes for {kind} length");
        assert_eq!(server.ask(&format!("DELETE {}", file.path()), &[]).head.status, 204);
    }
    server.finish(&[&warm]);
}

pub(crate) fn clients_that_stand_still_keep_nobody_from_finishing(s3: &Arc<S3Server>) {
    const CLIENTS: u64 = 200;
    // 64 MiB of pieces, the program itself, and for each client an instance of the portal and two connections: 241 to 263 MiB were seen.
    const LIMIT: u64 = 320 * MIB;
    let server = Server::start_on(&Arc::new(Store::on(s3)), &["--body-idle-timeout", "10m"]);
    let warm = server.put("warm-up", &Pattern::new(0, MIB));
    server.reset_peak();
    let content = Pattern::new(1, 8 * MIB);
    let length = content.size().to_string();
    let standing: Vec<Connection> = (0..CLIENTS)
        .map(|_| {
            let mut connection = server.connect();
            connection.request("PUT /files/slow", &[("Content-Length", &*length), ("Expect", "100-continue")]);
            assert_eq!(connection.head().status, 100);
            content.pieces_of(0..2 * MIB).for_each(|piece| connection.send(piece));
            connection
        })
        .collect();
    let mut files = vec![warm, server.put("known", &Pattern::new(2, 16 * MIB))];
    let chunked = Pattern::new(3, 16 * MIB);
    let mut connection = server.connect();
    connection.request("PUT /files/unknown", &[("Transfer-Encoding", "chunked")]);
    chunked.pieces().for_each(|piece| connection.send_chunk(piece));
    connection.end_chunks();
    files.push(Stored::new(&connection.response(), &chunked));
    let peak = server.peak();
    tell(&format!("peak: {} KiB with {CLIENTS} clients that stand still", peak >> 10));
    assert!(peak < LIMIT, "{peak} bytes");
    drop(standing);
    server.finish(&files.iter().collect::<Vec<_>>());
}

pub(crate) fn who_loses_memory_to_others_is_told_to_come_back(s3: &Arc<S3Server>) {
    const CLIENTS: u64 = 24;
    // Room for what a few of them have sent, and for two pieces, for which the others wait.
    let flags = ["--s3-memory", "20MiB", "--s3-part-size", "5MiB", "--body-idle-timeout", "20s"];
    let server = Server::start_on(&Arc::new(Store::on(s3)), &flags);
    let content = Pattern::new(1, 2 * MIB);
    let told: Vec<u16> = std::thread::scope(|scope| {
        let stand = || {
            let mut connection = server.connect();
            connection.request("PUT /files/standing", &[("Transfer-Encoding", "chunked")]);
            content.pieces().for_each(|piece| connection.send_chunk(piece));
            let refused = connection.response();
            match refused.head.status {
                408 => _ = refused.expect_problem(408, "stalled"),
                status => {
                    refused.expect_problem(503, "unavailable");
                    let wait = refused.head.field("retry-after").and_then(|wait| wait.parse::<u32>().ok());
                    assert!(wait.is_some_and(|wait| wait > 0), "{status} {wait:?}");
                }
            }
            refused.head.status
        };
        let standing: Vec<_> = (0..CLIENTS).map(|_| scope.spawn(stand)).collect();
        standing.into_iter().map(|client| client.join().expect("an answer")).collect()
    });
    assert!(told.contains(&503), "{told:?}");
    server.finish(&[]);
}
