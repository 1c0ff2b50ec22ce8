//! The work that the host measures, through each generation.

use crate::bindings::portico::storage0_2_0::storage as old;
use crate::bindings::portico::storage0_3_0::storage::{Receipt, Store, Writer};
use crate::bindings::wasi::io::streams::StreamError;
use crate::generations::{old_options, old_read};
use crate::source::{final_options, nothing_expected, pipe};
use futures_util::future::join;
use std::hint::black_box;

/// What this component writes and reads at a time.
const CHUNK: usize = 256 << 10;

/// Does one thing: `make`, `copy`, `read` or `write`, with `-old` for generation 0.2.
pub(crate) async fn run(store: &Store, way: &str, size: u64) {
    let before = old::open();
    match way {
        "make" | "write" => write(store, if way == "make" { "source" } else { "written" }, size).await,
        "copy" => {
            let object = store.stat_final("source".to_owned()).await.expect("made");
            let (stream, status) = store.get_final_stream(object.bucket, object.key, None).await.expect("a stream");
            let copy = store.put_final("copy".to_owned(), stream, status, final_options()).await.expect("a copy");
            assert_eq!(copy.size, size);
        }
        "copy-old" => {
            let object = before.stat_final("source").expect("made");
            let stream = before.get_final_stream(&object.bucket, &object.key, None).expect("a stream");
            assert_eq!(before.put_final("copy", stream, &old_options()).expect("a copy").size, size);
        }
        "read" => {
            let object = store.stat_final("source".to_owned()).await.expect("made");
            let (mut stream, status) = store.get_final_stream(object.bucket, object.key, None).await.expect("a stream");
            let (mut seen, mut buffer) = (0, Vec::with_capacity(CHUNK));
            loop {
                let (result, filled) = stream.read(buffer).await;
                seen += black_box(&filled).len() as u64;
                buffer = filled;
                buffer.clear();
                if result == wit_bindgen::StreamResult::Dropped {
                    break;
                }
            }
            status.await.expect("whole");
            assert_eq!(seen, size);
        }
        "read-old" => {
            let object = before.stat_final("source").expect("made");
            let stream = before.get_final_stream(&object.bucket, &object.key, None).expect("a stream");
            let mut seen = 0;
            old_read(&stream, |chunk| seen += black_box(chunk).len() as u64);
            assert_eq!(seen, size);
        }
        "write-old" => {
            let writer = before.create_final("written", &old_options()).expect("a writer");
            let sink = writer.sink().expect("a sink");
            let ready = sink.subscribe();
            let chunk = vec![0x5a; CHUNK];
            let mut left = size as usize;
            while left > 0 {
                match sink.check_write() {
                    Ok(0) => ready.block(),
                    Ok(permit) => {
                        let take = left.min(CHUNK).min(permit as usize);
                        sink.write(&chunk[..take]).expect("permitted");
                        left -= take;
                    }
                    Err(StreamError::Closed | StreamError::LastOperationFailed(_)) => panic!("the sink failed"),
                }
            }
            drop((ready, sink));
            old::Writer::finish(writer, &old_options().expected).map(drop).expect("stored");
        }
        other => panic!("no way {other}"),
    }
    for id in ["copy", "written"] {
        if let Ok(object) = store.stat_final(id.to_owned()).await {
            store.delete_final(object.bucket, object.key).await.expect("deleted");
        }
    }
    store.purge_gone(u64::MAX >> 1, None).await.expect("forgotten");
}

/// Writes an object of this size, chunk by chunk, through a writer.
async fn write(store: &Store, id: &str, size: u64) {
    let writer = store.create_final(id.to_owned(), final_options()).await.expect("a writer");
    let (mut feed, stream, verdict) = pipe();
    let send = async {
        let mut left = size as usize;
        while left > 0 {
            let take = left.min(CHUNK);
            assert!(feed.content.write_all(vec![0x5a; take]).await.is_empty());
            left -= take;
        }
        feed.send(b"", Ok(())).await
    };
    let (pulled, _) = join(writer.pull(stream, verdict), send).await;
    assert_eq!(pulled.expect("pulled"), size);
    assert!(matches!(Writer::finish(writer, nothing_expected()).await, Ok(Receipt::StoredObject(_))));
}
