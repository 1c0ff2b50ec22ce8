//! The content of a store in memory.

use super::{names, streams::lock};
use crate::bindings::portico::storage::storage::{self as wit, Error, IfExists};
use sha2::{Digest as _, Sha256};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard},
    time::{Duration, SystemTime},
};

/// The bucket of all final objects.
pub(super) const BUCKET: &str = "memory";

/// Prefix of the keys of final objects. Because of it no key looks like a file id.
pub(super) const FINALS: &str = "final/";

/// The largest object that a new host takes, in bytes.
pub(super) const OBJECT_MAX: u64 = 1 << 40;

/// All scopes of a host, shared by its stores, readers and writers.
#[derive(Clone, Debug)]
pub(super) struct Shared(Arc<Mutex<State>>);

/// All scopes of a host.
#[derive(Debug)]
pub(super) struct State {
    scopes: BTreeMap<String, Scope>,
    pub(super) object_max: u64,
    /// The lead of the host's clock over the system's.
    pub(super) ahead: Duration,
    /// The failure that the test ordered for the next operation.
    pub(super) fault: Option<Error>,
    /// The settings of the guest.
    pub(super) settings: BTreeMap<String, String>,
    writes: u64,
}

/// The content of a scope.
#[derive(Debug, Default)]
pub(super) struct Scope {
    pub(super) parts: BTreeMap<(String, u32), Part>,
    pub(super) ids: BTreeMap<String, Id>,
    pub(super) records: BTreeMap<String, wit::StoredRecord>,
    /// Number of interrupts of each session.
    pub(super) interrupts: BTreeMap<String, u64>,
}

/// A stored part.
#[derive(Clone, Debug)]
pub(super) struct Part {
    pub(super) receipt: wit::TempPart,
    pub(super) bytes: Arc<[u8]>,
}

/// A stored final object. Its readers and streams share the bytes.
#[derive(Clone, Debug)]
pub(super) struct Object {
    pub(super) receipt: wit::StoredObject,
    pub(super) bytes: Arc<[u8]>,
}

/// The state of a file id that is taken.
#[derive(Debug)]
pub(super) enum Id {
    Object(Object),
    Tombstone { reason: String, at_ms: u64 },
}

impl Shared {
    pub(super) fn new() -> Self {
        Shared(Arc::new(Mutex::new(State {
            scopes: BTreeMap::new(),
            object_max: OBJECT_MAX,
            ahead: Duration::ZERO,
            fault: None,
            settings: BTreeMap::new(),
            writes: 0,
        })))
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.0)
    }

    /// Begins an operation of a guest.
    ///
    /// # Errors
    /// The failure that the test ordered.
    pub(super) fn begin(&self) -> Result<MutexGuard<'_, State>, Error> {
        let mut state = self.state();
        state.fault.take().map_or(Ok(state), Err)
    }

    /// Returns the number of interrupts of a session.
    pub(super) fn interrupts(&self, scope: &str, session: &str) -> u64 {
        self.state().scope(scope).interrupts.get(session).copied().unwrap_or_default()
    }
}

impl State {
    pub(super) fn scope(&mut self, path: &str) -> &mut Scope {
        self.scopes.entry(path.to_owned()).or_default()
    }

    pub(super) fn scopes(&self) -> impl Iterator<Item = (&String, &Scope)> {
        self.scopes.iter()
    }

    /// Returns the host's time in milliseconds since the Unix epoch.
    pub(super) fn now_ms(&self) -> u64 {
        let now = SystemTime::now() + self.ahead;
        now.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |time| time.as_millis() as u64)
    }

    /// Returns a token that no other write has.
    pub(super) fn token(&mut self) -> String {
        self.writes += 1;
        format!("{:016x}", self.writes)
    }

    /// Stores a final object of complete, checked content.
    pub(super) fn publish(
        &mut self,
        scope: &str,
        file_id: &str,
        bytes: &[u8],
        options: &wit::FinalOptions,
    ) -> Result<wit::StoredObject, Error> {
        let created_at = self.now_ms();
        let ids = &mut self.scope(scope).ids;
        match ids.get(file_id) {
            Some(Id::Tombstone { reason, .. }) => return Err(Error::Gone(reason.clone())),
            Some(Id::Object(object)) if options.if_exists == IfExists::SameContentOk && *object.bytes == *bytes => {
                return Ok(wit::StoredObject { replayed: true, ..object.receipt.clone() });
            }
            Some(Id::Object(_)) => return Err(Error::Conflict),
            None => {}
        }
        let receipt = wit::StoredObject {
            file_id: file_id.to_owned(),
            bucket: BUCKET.to_owned(),
            key: format!("{FINALS}{}", below(scope, file_id)),
            size: bytes.len() as u64,
            sha256: Sha256::digest(bytes).to_vec(),
            content_type: options.content_type.clone(),
            metadata: options.metadata.clone(),
            created_at,
            replayed: false,
        };
        ids.insert(file_id.to_owned(), Id::Object(Object { receipt: receipt.clone(), bytes: bytes.into() }));
        Ok(receipt)
    }
}

/// Returns the path of a name in a scope.
pub(super) fn below(scope: &str, name: &str) -> String {
    if scope.is_empty() { name.to_owned() } else { format!("{scope}/{name}") }
}

impl Scope {
    /// Returns the part of a key.
    pub(super) fn part(&self, temp_key: &str) -> Result<&Part, Error> {
        let (session, number) = names::temp_key(temp_key)?;
        let part = self.parts.get(&(session.to_owned(), number));
        part.filter(|part| part.receipt.temp_key == temp_key).ok_or(Error::NotFound)
    }

    /// Returns the object of a file id.
    pub(super) fn object(&self, file_id: &str) -> Result<&Object, Error> {
        match self.ids.get(file_id) {
            Some(Id::Object(object)) => Ok(object),
            Some(Id::Tombstone { reason, .. }) => Err(Error::Gone(reason.clone())),
            None => Err(Error::NotFound),
        }
    }

    /// Fails if an object or a tombstone exists where a part's session ends.
    pub(super) fn must_be_open(&self, unless_final: Option<&String>) -> Result<(), Error> {
        if unless_final.is_some_and(|id| self.ids.contains_key(id)) { Err(Error::Ended) } else { Ok(()) }
    }

    pub(super) fn interrupt(&mut self, session: &str) {
        *self.interrupts.entry(session.to_owned()).or_default() += 1;
    }

    /// Returns the bytes of parts, in the order given.
    pub(super) fn joined(&self, temp_keys: &[String]) -> Result<Vec<u8>, Error> {
        let mut bytes = Vec::new();
        for key in temp_keys {
            bytes.extend_from_slice(&self.part(key)?.bytes);
        }
        Ok(bytes)
    }

    /// Removes parts.
    pub(super) fn remove(&mut self, temp_keys: &[String]) {
        self.parts.retain(|_, part| !temp_keys.contains(&part.receipt.temp_key));
    }
}
