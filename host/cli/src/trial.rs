//! The trial of `portico check`: all operations of a portal on a store.

use portico_store::{
    Backend, ByteRange, Cursor, Error, Expected, FileId, FinalKey, FinalOptions, PartOptions, RecordName, Result,
    Scope, SessionId, TempKey, Token, all_pages, assemble_final, list_final_receipts, put_final, put_part, stream,
};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The content of all objects of a trial.
const CONTENT: &[u8] = b"portico check";

/// Age from which the objects of another trial count as leftovers.
const OLD: Duration = Duration::from_secs(60 * 60);

/// Entries per page of a listing.
const PAGE: u32 = 100;

/// Writes, assembles, reads and deletes in a scope for trials, and leaves nothing behind. Trials may run concurrently.
pub(super) async fn try_out(store: &dyn Backend) -> Result<()> {
    store.ready().await?;
    let trial =
        Trial { store, scope: Scope::root().narrow("portico-check")?, name: format!("{}-{}", now(), Token::random()?) };
    let tried = trial.run().await;
    let cleared = trial.clear().await;
    tried.and(cleared)
}

/// Returns the seconds since the Unix epoch.
fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

struct Trial<'a> {
    store: &'a dyn Backend,
    scope: Scope,
    /// The name of all objects of this trial: the time, and a random token.
    name: String,
}

impl Trial<'_> {
    async fn run(&self) -> Result<()> {
        let Trial { store, scope, name } = self;
        let put = put_final(*store, scope, &FileId::parse(name)?, &mut content(), FinalOptions::default()).await?;
        self.compare_final(&put.key).await?;

        // One part with a file of its own, and one that becomes an object.
        let session = SessionId::parse(name)?;
        let alone = put_part(*store, scope, &session, 1, &mut content(), PartOptions::default()).await?;
        self.compare_part(&alone.key).await?;
        self.store.delete_part(scope, &alone.key).await?;
        let expected = Expected { size: Some(CONTENT.len() as u64), ..Expected::default() };
        let placed = PartOptions { expected, offset: Some(0), ..PartOptions::default() };
        let part = put_part(*store, scope, &session, 2, &mut content(), placed).await?;
        self.compare_part(&part.key).await?;
        let assembled = FileId::parse(&format!("{name}.assembled"))?;
        let made = assemble_final(*store, scope, &assembled, &[part.key], FinalOptions::default()).await?;
        self.compare_final(&made.key).await?;

        let record = RecordName::parse(name)?;
        let version = store.create_record(scope, &record, CONTENT).await?;
        let version = store.replace_record(scope, &record, &version, CONTENT).await?;
        same(&store.get_record(scope, &record).await?.value)?;
        store.delete_record(scope, &record, Some(&version)).await.map(drop)
    }

    async fn compare_final(&self, key: &FinalKey) -> Result<()> {
        let mut read = self.store.read_final(&self.scope, key, ByteRange::default()).await?;
        same(&stream::collect(&mut *read, CONTENT.len()).await?)
    }

    async fn compare_part(&self, key: &TempKey) -> Result<()> {
        let mut read = self.store.read_part(&self.scope, key, ByteRange::default()).await?;
        same(&stream::collect(&mut *read, CONTENT.len()).await?)
    }

    /// Removes everything that this trial has created, and what killed trials have left.
    async fn clear(&self) -> Result<()> {
        let Trial { store, scope, .. } = self;
        let sessions =
            all_pages(async |after: Option<Cursor>| store.list_sessions(scope, after.as_ref(), PAGE).await).await?;
        for session in sessions.iter().filter(|session| self.is_due(session.as_str())) {
            store.delete_session(scope, session).await?;
        }
        let records =
            all_pages(async |after: Option<Cursor>| store.list_records(scope, "", after.as_ref(), PAGE).await).await?;
        for record in records.iter().filter(|record| self.is_due(record.as_str())) {
            store.delete_record(scope, record, None).await?;
        }
        let finals =
            all_pages(async |after: Option<Cursor>| list_final_receipts(*store, scope, after.as_ref(), PAGE).await)
                .await?;
        for object in finals.iter().filter(|object| self.is_due(object.file.as_str())) {
            store.delete_final(scope, &object.key).await?;
        }
        let mut after = None;
        loop {
            // Ids of trials are never reused, so their tombstones are not needed.
            after = store.purge_gone(scope, u64::MAX, after.as_ref()).await?.next;
            if after.is_none() {
                return Ok(());
            }
        }
    }

    fn is_due(&self, name: &str) -> bool {
        let made = name.split('-').next().and_then(|time| time.parse::<u64>().ok()).unwrap_or(0);
        name.starts_with(&self.name) || made.saturating_add(OLD.as_secs()) < now()
    }
}

fn content() -> impl stream::ByteStream {
    stream::from_bytes(CONTENT)
}

fn same(content: &[u8]) -> Result<()> {
    if content == CONTENT { Ok(()) } else { Err(Error::internal("the content read differs from the content written")) }
}
