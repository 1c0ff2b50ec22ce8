//! What it costs to make an object of parts that arrived in order, against the server's own copy of those parts.

use crate::bucket::{Bucket, named};
use crate::context::Bench;
use crate::minio::{ACCESS_KEY, REGION, SECRET_KEY, endpoint};
use crate::recorder::Recorder;
use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart};
use bytes::Bytes;
use portico_bench_harness::content::size;
use portico_bench_harness::report::{Report, Row, Target};
use portico_bench_harness::turns::{median, rotate, settle, spread};
use portico_bench_harness::{MIB, Result};
use portico_s3::{Credentials, Location, S3Options, S3Store, Traffic};
use portico_store::{
    Backend, Expected, FileId, FinalOptions, PartOptions, Scope, SessionId, TempKey, Token, assemble_final, put_part,
    stream,
};
use std::net::SocketAddr;
use std::time::Instant;
use tokio::task::JoinSet;

const BUCKET: &str = "bench-assembly";

/// Bytes of a part: the least that S3 takes.
const PART: u64 = 5 * MIB;

/// Copies at once, on both sides: what the store does by default.
const WIDTH: usize = 16;

/// The key of the bare copy.
const COPY: &str = "copy";

/// A store, and a plain client of the bucket that it is in.
struct Sides<'a> {
    bench: &'a Bench,
    bucket: Bucket,
    store: S3Store,
    sha256: String,
}

async fn open(s3: SocketAddr) -> Result<S3Store> {
    let mut options = S3Options::new(Location::parse(&format!("{BUCKET}/store"))?);
    options.endpoint = Some(endpoint(s3));
    options.region = Some(REGION.to_owned());
    options.credentials = Some(Credentials::new(ACCESS_KEY, SECRET_KEY).into());
    Ok(S3Store::open(options).await?)
}

impl Sides<'_> {
    /// Puts the parts of a session in order, each with its place.
    async fn put_parts(&self, store: &S3Store) -> Result<Vec<TempKey>> {
        let session = SessionId::parse("session")?;
        let mut parts = Vec::new();
        let mut offset = 0;
        while offset < self.bench.size {
            let length = PART.min(self.bench.size - offset);
            let content = Bytes::from(self.bench.content.pieces(length).collect::<Vec<_>>().concat());
            let expected = Expected { size: Some(length), ..Expected::default() };
            let options = PartOptions { expected, offset: Some(offset), ..PartOptions::default() };
            let number = u32::try_from(parts.len())?;
            let mut content = stream::from_bytes(content);
            parts.push(put_part(store, &Scope::root(), &session, number, &mut content, options).await?.key);
            offset += length;
        }
        Ok(parts)
    }

    /// Seconds of an assembly, and the bytes that passed until all of it was done, also in the background. It consumes the
    /// parts, and is checked and taken away.
    async fn assembly(&self, store: &S3Store, parts: &[TempKey], passed: impl Fn() -> u64) -> Result<(f64, u64)> {
        let file = FileId::parse(Token::random()?.as_str())?;
        let before = passed();
        let start = Instant::now();
        let receipt = assemble_final(store, &Scope::root(), &file, parts, FinalOptions::default()).await?;
        let seconds = start.elapsed().as_secs_f64();
        store.settle().await;
        let bytes = passed() - before;
        if receipt.size != self.bench.size || receipt.sha256.to_hex() != self.sha256 {
            return Err("an assembly answered another size or digest than that of its parts".into());
        }
        store.delete_final(&Scope::root(), &receipt.key).await?;
        store.settle().await;
        Ok((seconds, bytes))
    }

    /// Seconds of a multipart upload whose pieces are copies of the same objects, which is taken away with them.
    async fn bare_copy(&self, sources: Vec<String>) -> Result<f64> {
        let client = &self.bucket.client;
        let start = Instant::now();
        let upload = client.create_multipart_upload().bucket(BUCKET).key(COPY).send().await.map_err(named)?;
        let id = upload.upload_id().ok_or("no upload id")?;
        let mut sources = (1..).zip(sources);
        let mut copied = Vec::new();
        let mut running = JoinSet::new();
        loop {
            while running.len() < WIDTH
                && let Some((number, source)) = sources.next()
            {
                let request = client.upload_part_copy().bucket(BUCKET).key(COPY).upload_id(id).part_number(number);
                let request = request.copy_source(format!("{BUCKET}/{source}"));
                running.spawn(async move {
                    let result = request.send().await.map_err(named)?.copy_part_result.ok_or("nothing was copied")?;
                    let part = CompletedPart::builder().part_number(number).set_e_tag(result.e_tag).build();
                    Ok::<_, portico_bench_harness::Error>((number, part))
                });
            }
            let Some(done) = running.join_next().await else { break };
            copied.push(done??);
        }
        copied.sort_by_key(|(number, _)| *number);
        let parts = copied.into_iter().map(|(_, part)| part).collect();
        let parts = CompletedMultipartUpload::builder().set_parts(Some(parts)).build();
        let complete = client.complete_multipart_upload().bucket(BUCKET).key(COPY).upload_id(id);
        complete.multipart_upload(parts).send().await.map_err(named)?;
        Ok(start.elapsed().as_secs_f64())
    }

    /// One turn of one side, on parts that were put just before.
    fn turn(&self, is_ours: bool) -> Result<f64> {
        let runtime = &self.bucket.runtime;
        let parts = runtime.block_on(self.put_parts(&self.store))?;
        self.bench.minio.empty_trash()?;
        settle(&self.bench.data)?;
        if is_ours {
            return Ok(runtime.block_on(self.assembly(&self.store, &parts, || 0))?.0);
        }
        let sources = self.bucket.list("store/temp/")?.into_iter().map(|object| object.key).collect();
        let seconds = runtime.block_on(self.bare_copy(sources))?;
        if self.bucket.clear(COPY)? != self.bench.size {
            return Err("a bare copy made another size than that of its parts".into());
        }
        for part in &parts {
            runtime.block_on(self.store.delete_part(&Scope::root(), part))?;
        }
        Ok(seconds)
    }
}

pub(crate) fn compare(bench: &Bench, report: &mut Report) -> Result<()> {
    let bucket = Bucket::create(bench.minio.addr, BUCKET)?;
    let store = bucket.runtime.block_on(open(bench.minio.addr))?;
    let sides = Sides { bench, bucket, store, sha256: bench.content.sha256(bench.size) };

    // One through a proxy, for the bytes.
    let recorder = Recorder::before(bench.minio.addr)?;
    let (_, bytes) = sides.bucket.runtime.block_on(async {
        let store = open(recorder.addr).await?;
        let parts = sides.put_parts(&store).await?;
        sides.assembly(&store, &parts, || recorder.bytes()).await
    })?;

    let mut times = rotate(bench.rounds, &bench.data, 2, |side| sides.turn(side == 0))?.into_iter();
    let (ours, theirs) = (times.next().unwrap_or_default(), times.next().unwrap_or_default());
    let (our, their) = (median(&ours), median(&theirs));
    report.row(
        &Row {
            name: format!("assembly of {} in parts of {} / bare copy", size(bench.size), size(PART)),
            ours: format!("{our:.2} s"),
            theirs: format!("{their:.2} s"),
            value: their / our,
            unit: "x",
            target: Target::AtLeast(0.95),
        },
        &format!(
            "against a plain SDK client that copies the same {} objects into one, {WIDTH} at a time, without digest, \
             receipt or removal of the parts; parts put in order, each with its place; ours {}, theirs {}",
            bench.size.div_ceil(PART),
            spread(&ours),
            spread(&theirs)
        ),
    )?;
    let mib = |bytes: u64| bytes as f64 / MIB as f64;
    let how = "all that passed between the store and the server during one assembly, in both directions";
    report.row(&Row::alone("  through this host", mib(bytes), "MiB", 50.0), how)?;
    let Traffic { read_back, caught_up, streamed } = sides.store.traffic();
    let rows = [("  read back for the digest", read_back + caught_up), ("  sent again", streamed)];
    rows.into_iter().try_for_each(|(name, bytes)| {
        report.row(&Row::alone(name, bytes as f64, "bytes", 0.0), "over all those assemblies")
    })
}
