//! What it costs to make a file of its parts, against copying that file.

use crate::context::Bench;
use bytes::Bytes;
use portico_bench_harness::content::{rate, size};
use portico_bench_harness::report::{Report, Row, Target};
use portico_bench_harness::turns::{median, settle, spread};
use portico_bench_harness::{MIB, Result};
use portico_store::local::{LocalOptions, LocalStore};
use portico_store::{
    Backend, Expected, FileId, FinalOptions, FinalReceipt, PartOptions, Scope, SessionId, TempKey, assemble_final,
    put_part, stream,
};
use std::path::Path;
use std::time::Instant;

/// Bytes of a part: the least that S3 takes, and what browsers' clients send.
const PART: u64 = 5 * MIB;

/// Puts the parts of a session in order, each with its place.
async fn put_parts(bench: &Bench, store: &LocalStore, session: &SessionId) -> Result<Vec<TempKey>> {
    let mut parts = Vec::new();
    let mut offset = 0;
    while offset < bench.size {
        let length = PART.min(bench.size - offset);
        let content = Bytes::from(bench.content.pieces(length).collect::<Vec<_>>().concat());
        let expected = Expected { size: Some(length), ..Expected::default() };
        let options = PartOptions { expected, offset: Some(offset), ..PartOptions::default() };
        let number = u32::try_from(parts.len())?;
        let mut content = stream::from_bytes(content);
        parts.push(put_part(store, &Scope::root(), session, number, &mut content, options).await?.key);
        offset += length;
    }
    Ok(parts)
}

struct Round {
    assembly: f64,
    copy: f64,
}

async fn round(bench: &Bench, store: &LocalStore, root: &Path, number: usize) -> Result<Round> {
    let scope = Scope::root();
    let file = FileId::parse(&format!("file-{number}"))?;
    let parts = put_parts(bench, store, &SessionId::parse(&format!("session-{number}"))?).await?;
    settle(root)?;

    let start = Instant::now();
    let receipt = assemble_final(store, &scope, &file, &parts, FinalOptions::default()).await?;
    let assembly = start.elapsed().as_secs_f64();
    check(bench, &receipt)?;

    let copy_to = root.with_extension("copy");
    let start = Instant::now();
    std::fs::copy(root.join(&receipt.key.key), &copy_to)?;
    let copy = start.elapsed().as_secs_f64();
    std::fs::remove_file(&copy_to)?;
    store.delete_final(&scope, &receipt.key).await?;
    Ok(Round { assembly, copy })
}

/// The digest is that of the parts' bytes one after the other; a part is a whole number of blocks.
fn check(bench: &Bench, receipt: &FinalReceipt) -> Result<()> {
    if receipt.size != bench.size || receipt.sha256.to_hex() != bench.content.sha256(bench.size) {
        return Err("an assembly answered another size or digest than that of its parts".into());
    }
    Ok(())
}

#[tokio::main]
pub(crate) async fn compare(bench: &Bench, report: &mut Report) -> Result<()> {
    let root = bench.dir.join("assembly");
    let store = LocalStore::open(&root, LocalOptions::default()).await?;
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for number in 0..=bench.rounds.min(3) {
        let round = round(bench, &store, &root, number).await?;
        if number > 0 {
            ours.push(round.assembly);
            theirs.push(round.copy);
        }
    }
    let counters = store.counters();
    let (our, their) = (median(&ours), median(&theirs));
    let row = Row {
        name: format!("assembly of {} in parts of {} / copy", size(bench.size), size(PART)),
        ours: format!("{:.1} ms", our * 1e3),
        theirs: format!("{:.1} ms", their * 1e3),
        value: their / our,
        unit: "x",
        target: Target::AtLeast(20.0),
    };
    report.row(
        &row,
        &format!(
            "against copying the assembled file within the page cache, at {}; parts placed and put in order; durability \
             full in ours, nothing synced in theirs; ours {}, theirs {}",
            rate(bench.size, their),
            spread(&ours),
            spread(&theirs)
        ),
    )?;
    let bytes = |name, value: u64| Row::alone(name, value as f64, "bytes", 0.0);
    report.row(&bytes("  read back for the hash", counters.hash_read_back), "over all those assemblies")?;
    report.row(&bytes("  copied", counters.assembly_copied), "over all those assemblies")
}
