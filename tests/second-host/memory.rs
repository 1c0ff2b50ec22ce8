//! A store in memory, and the contract's rules for names.

use crate::bindings::wit::{self, Argument, Error};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

/// The only bucket.
pub(crate) const BUCKET: &str = "memory";
pub(crate) const SIZE_MAX: u64 = i64::MAX as u64;

/// The largest object, in bytes.
pub(crate) const OBJECT_MAX: u64 = 1 << 40;

/// The content of all scopes, by the path of the scope.
#[derive(Clone, Default)]
pub(crate) struct Memory(Arc<Mutex<BTreeMap<String, Space>>>);

/// The content of a scope.
#[derive(Default)]
pub(crate) struct Space {
    pub(crate) parts: BTreeMap<(String, u32), Part>,
    pub(crate) ids: BTreeMap<String, Id>,
    pub(crate) records: BTreeMap<String, wit::StoredRecord>,
    /// How often the puts of a session were ended from outside.
    pub(crate) interrupts: BTreeMap<String, u64>,
}

/// The number of writes so far, in all scopes.
static WRITES: AtomicU64 = AtomicU64::new(0);

#[derive(Clone)]
pub(crate) struct Part {
    pub(crate) receipt: wit::TempPart,
    pub(crate) bytes: Arc<Vec<u8>>,
}

/// A final object. Open readers and streams share its content.
#[derive(Clone)]
pub struct Object {
    pub(crate) receipt: wit::StoredObject,
    pub(crate) bytes: Arc<Vec<u8>>,
}

/// What a file id stands for.
pub(crate) enum Id {
    Object(Object),
    Gone { reason: String, at: u64 },
}

impl Memory {
    pub(crate) fn spaces(&self) -> MutexGuard<'_, BTreeMap<String, Space>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs a step on a scope, alone.
    pub(crate) fn with<T>(&self, scope: &str, step: impl FnOnce(&mut Space) -> T) -> T {
        step(self.spaces().entry(scope.to_owned()).or_default())
    }
}

/// Returns a text that no other write has.
pub(crate) fn token() -> String {
    format!("{:016x}", WRITES.fetch_add(1, Ordering::Relaxed))
}

impl Space {
    pub(crate) fn part(&self, key: &str) -> Result<&Part, Error> {
        let (session, number) = parse_key(key)?;
        self.parts.get(&(session, number)).filter(|part| part.receipt.temp_key == key).ok_or(Error::NotFound)
    }

    pub(crate) fn object(&self, id: &str) -> Result<&Object, Error> {
        match self.ids.get(id) {
            Some(Id::Object(object)) => Ok(object),
            Some(Id::Gone { reason, .. }) => Err(Error::Gone(reason.clone())),
            None => Err(Error::NotFound),
        }
    }

    pub(crate) fn must_be_open(&self, unless: Option<&String>) -> Result<(), Error> {
        if unless.is_some_and(|id| self.ids.contains_key(id)) { Err(Error::Ended) } else { Ok(()) }
    }
}

/// Returns session and number of a temp key, `SESSION/NUMBER/TOKEN`.
pub(crate) fn parse_key(key: &str) -> Result<(String, u32), Error> {
    let invalid = || Error::InvalidArgument(Argument::TempKey);
    let mut pieces = key.split('/');
    let (Some(session), Some(number), Some(_), None) = (pieces.next(), pieces.next(), pieces.next(), pieces.next())
    else {
        return Err(invalid());
    };
    id(session, Argument::TempKey)?;
    Ok((session.to_owned(), number.parse().map_err(|_| invalid())?))
}

pub(crate) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| u64::try_from(time.as_millis()).unwrap_or(u64::MAX))
}

fn check(is_valid: bool, argument: Argument) -> Result<(), Error> {
    if is_valid { Ok(()) } else { Err(Error::InvalidArgument(argument)) }
}

fn is_id(text: &str, longest: usize) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
    (1..=longest).contains(&text.len()) && !text.starts_with('.') && text.bytes().all(allowed)
}

/// Checks an identifier.
pub(crate) fn id(text: &str, argument: Argument) -> Result<(), Error> {
    check(is_id(text, 128), argument)
}

pub(crate) fn reason(text: &str) -> Result<(), Error> {
    check(is_id(text, 64), Argument::Reason)
}

pub(crate) fn record_name(text: &str) -> Result<(), Error> {
    check(text.len() <= 256 && text.split('/').all(|piece| is_id(piece, 128)), Argument::RecordName)
}

/// Checks any leading piece of a name.
pub(crate) fn record_prefix(text: &str) -> Result<(), Error> {
    if text.is_empty() {
        Ok(())
    } else {
        record_name(text.strip_suffix('/').unwrap_or(text)).and(check(text.len() <= 256, Argument::RecordName))
    }
}

/// Returns the path of a scope below another one.
pub(crate) fn narrower(scope: &str, name: &str) -> Result<String, Error> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    let is_name = (1..=64).contains(&name.len()) && name.bytes().all(allowed);
    let path = if scope.is_empty() { name.to_owned() } else { format!("{scope}/{name}") };
    check(is_name && path.split('/').count() <= 8 && path.len() <= 250, Argument::Scope)?;
    Ok(path)
}

pub(crate) fn expected(expected: &wit::Expected) -> Result<(), Error> {
    let sizes = [16, 20, 64, 4];
    let others = &expected.others;
    let is_valid = expected.size.is_none_or(|size| size <= SIZE_MAX)
        && expected.sha256.as_ref().is_none_or(|sha256| sha256.len() == 32)
        && others.iter().all(|digest| digest.value.len() == sizes[digest.algorithm as usize])
        && others.iter().enumerate().all(|(at, one)| others[..at].iter().all(|two| one.algorithm != two.algorithm));
    check(is_valid, Argument::Expected)
}

pub(crate) fn final_options(options: &wit::FinalOptions) -> Result<(), Error> {
    expected(&options.expected)?;
    let is_visible = |text: &String| {
        (1..=255).contains(&text.len())
            && text.bytes().all(|byte| (b' '..=b'~').contains(&byte))
            && !text.trim().is_empty()
    };
    check(options.content_type.as_ref().is_none_or(is_visible), Argument::ContentType)?;
    let pairs = &options.metadata;
    let in_key = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_".contains(&byte);
    let is_pair = |(key, value): &(String, String)| {
        (1..=64).contains(&key.len()) && key.bytes().all(in_key) && !value.chars().any(char::is_control)
    };
    let is_valid = pairs.len() <= 64
        && pairs.iter().map(|(key, value)| key.len() + value.len()).sum::<usize>() <= 8 << 10
        && pairs.iter().all(is_pair)
        && pairs.iter().enumerate().all(|(at, (key, _))| pairs[..at].iter().all(|(other, _)| other != key));
    check(is_valid, Argument::Metadata)
}

/// Returns the bytes of a range.
pub(crate) fn slice(bytes: &[u8], range: Option<wit::ByteRange>) -> Result<std::ops::Range<usize>, Error> {
    let size = bytes.len() as u64;
    let (start, end) = range.map_or((0, size), |range| (range.start, range.end.unwrap_or(size.max(range.start))));
    check(start <= end, Argument::Range)?;
    if end > size { Err(Error::OutOfRange(size)) } else { Ok(start as usize..end as usize) }
}

/// Returns a page of a listing, and its cursor, which has the kind of the listing before the last entry.
pub(crate) fn page<T>(
    kind: char,
    entries: impl Iterator<Item = (String, T)>,
    after: Option<String>,
    limit: u32,
) -> Result<(Vec<T>, Option<String>), Error> {
    check((1..=1_000).contains(&limit), Argument::Limit)?;
    let after = match after {
        None => None,
        Some(after) => match after.strip_prefix(kind) {
            Some(after) => Some(after.to_owned()),
            None => return Err(Error::InvalidArgument(Argument::Cursor)),
        },
    };
    let mut rest = entries.filter(|(name, _)| after.as_ref().is_none_or(|after| name > after)).peekable();
    let (mut page, mut last) = (Vec::new(), None);
    while page.len() < limit as usize
        && let Some((name, entry)) = rest.next()
    {
        page.push(entry);
        last = Some(name);
    }
    let next = if rest.peek().is_some() { last.map(|last| format!("{kind}{last}")) } else { None };
    Ok((page, next))
}
