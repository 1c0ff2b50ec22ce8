//! Sweeps that run beside everything else: nothing acknowledged vanishes, and no garbage is left in the end.

mod support;

use portico_store::local::LocalStore;
use portico_store::{
    Backend, ByteRange, Error, FinalOptions, IfExists, PartOptions, TempKey, assemble_final, put_final, put_part,
    stream,
};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use support::*;

const LASTS: Duration = Duration::from_secs(3);

/// Pseudo-random numbers (xorshift64), the same in each run.
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end
    }

    fn content(&mut self) -> Vec<u8> {
        let len = [0, 1, 1_000, 70_000, 600_000][self.below(5) as usize];
        content(self.below(256) as u8, len as usize)
    }
}

/// Objects that must exist in the end, and their content.
type Kept = BTreeMap<String, Vec<u8>>;

/// Puts, re-puts and deletes objects.
async fn objects(store: Arc<LocalStore>, task: u64, until: Instant) -> Kept {
    let mut random = Random(task + 1);
    let mut kept = Kept::new();
    for number in 0.. {
        if Instant::now() > until {
            break;
        }
        let (id, bytes) = (format!("o{task}-{number}"), random.content());
        put(&store, &id, bytes.clone()).await.unwrap();
        assert_eq!(get(&store, &id).await.unwrap(), bytes, "{id}");
        match random.below(3) {
            0 => {
                let options = FinalOptions { if_exists: IfExists::SameContentOk, ..FinalOptions::default() };
                let mut stream = stream::from_bytes(bytes.clone());
                let again = put_final(&*store, &scope(), &file(&id), &mut stream, options).await;
                assert!(again.unwrap().replayed);
                kept.insert(id, bytes);
            }
            1 => {
                assert!(delete(&store, &id).await.unwrap());
                assert!(matches!(get(&store, &id).await, Err(Error::Gone(_))));
            }
            _ => {
                // Abandoned half-way.
                let options = FinalOptions::default();
                let mut upload =
                    portico_store::Upload::final_object(&*store, &scope(), &file("never"), options).await.unwrap();
                upload.write(bytes.clone().into()).await.unwrap();
                drop(upload);
                kept.insert(id, bytes);
            }
        }
    }
    kept
}

async fn read_part(store: &LocalStore, key: &TempKey) -> Vec<u8> {
    let mut stream = store.read_part(&scope(), key, ByteRange::default()).await.unwrap();
    stream::collect(&mut *stream, 1 << 20).await.unwrap()
}

/// Puts, re-puts and deletes parts, and makes objects of them, session after session.
async fn sessions(store: Arc<LocalStore>, task: u64, until: Instant) -> Kept {
    let mut random = Random(task + 100);
    let mut kept = Kept::new();
    for number in 0.. {
        if Instant::now() > until {
            break;
        }
        let of = format!("s{task}-{number}");
        let (mut keys, mut whole, mut puts) = (Vec::new(), Vec::new(), Vec::new());
        for part_number in 0..1 + random.below(6) as u32 {
            let bytes = random.content();
            let offset = (random.below(4) > 0).then_some(whole.len() as u64);
            whole.extend_from_slice(&bytes);
            let (store, of) = (store.clone(), of.clone());
            puts.push(tokio::spawn(async move {
                let made = part(&store, &of, part_number, offset, bytes.clone()).await.unwrap();
                assert_eq!(read_part(&store, &made.key).await, bytes, "{of} {part_number}");
                (made.key, bytes, offset)
            }));
        }
        for put in puts {
            keys.push(put.await.unwrap());
        }
        for (key, bytes, offset) in &mut keys {
            match random.below(4) {
                0 => {
                    let options = PartOptions { if_exists: IfExists::SameContentOk, ..PartOptions::default() };
                    let mut stream = stream::from_bytes(bytes.clone());
                    let again = put_part(&*store, &scope(), &session(&of), key.number, &mut stream, options).await;
                    assert_eq!(again.unwrap().key, *key);
                }
                1 => {
                    assert!(store.delete_part(&scope(), key).await.unwrap());
                    *key = part(&store, &of, key.number, *offset, bytes.clone()).await.unwrap().key;
                }
                _ => {}
            }
            assert_eq!(read_part(&store, key).await, *bytes, "{of} {}", key.number);
        }
        if random.below(4) == 0 {
            let cleared = store.delete_session(&scope(), &session(&of)).await.unwrap();
            assert_eq!(cleared as usize, keys.len());
        } else {
            let list: Vec<TempKey> = keys.into_iter().map(|(key, _, _)| key).collect();
            let made = assemble_final(&*store, &scope(), &file(&of), &list, FinalOptions::default()).await;
            assert_eq!(made.unwrap_or_else(|error| panic!("{of}: {error:?}")).size, whole.len() as u64);
            assert_eq!(get(&store, &of).await.unwrap(), whole, "{of}");
            kept.insert(of, whole);
        }
    }
    kept
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn sweeps_beside_running_puts_take_nothing_that_was_acknowledged() {
    let dir = tempfile::tempdir().unwrap();
    let store = Arc::new(open(dir.path()).await.unwrap());
    let until = Instant::now() + LASTS;
    let sweeps = Arc::new(AtomicU64::new(0));
    let sweeping: Vec<_> = (0..2)
        .map(|_| {
            let (store, sweeps) = (store.clone(), sweeps.clone());
            tokio::spawn(async move {
                while Instant::now() < until {
                    let report = store.sweep().await.unwrap();
                    assert!(report.foreign.is_empty(), "{report:?}");
                    sweeps.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    let work: Vec<_> = (0..3)
        .flat_map(|task| {
            [tokio::spawn(objects(store.clone(), task, until)), tokio::spawn(sessions(store.clone(), task, until))]
        })
        .collect();
    let mut kept = Kept::new();
    for task in work {
        kept.extend(task.await.unwrap());
    }
    for task in sweeping {
        task.await.unwrap();
    }
    assert!(sweeps.load(Ordering::Relaxed) > 20 && kept.len() > 20, "{sweeps:?} sweeps, {} objects", kept.len());

    let report = store.sweep().await.unwrap();
    drop(store);
    for _ in 0..2 {
        let store = open(dir.path()).await.unwrap();
        for (id, bytes) in &kept {
            assert!(get(&store, id).await.unwrap() == *bytes, "{id} is not what it was");
        }
        let ids: Vec<String> = kept.keys().map(|id| format!("main/{id}")).collect();
        let files: Vec<String> =
            paths(&dir.path().join("final")).into_iter().filter(|path| path.contains('/')).collect();
        assert_eq!(files, ids, "nothing but what was kept");
        assert!(paths(&dir.path().join("staging")).is_empty(), "{report:?}");
        assert_eq!(paths(&dir.path().join("temp")), ["main"]);
    }
}
