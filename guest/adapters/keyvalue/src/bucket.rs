//! The operations on the keys of one bucket.

use crate::error::{Error, Result};
use crate::limits::{MANY_BYTES, NAME_MAX, PAGE};
use crate::record::{identifier, pack, unpack};
use portico_adapter_common::{Attempts, decode, encode, open};
use portico_guest::{Error as StoreError, Store};
use std::cell::RefCell;

/// The part of the store that belongs to this adapter.
const SCOPE: &str = "wasi-keyvalue";

/// What `get` of a record returns: its version and the value of the key.
pub(crate) type Version = (String, Vec<u8>);

/// A key and its value.
pub(crate) type Pair = (String, Vec<u8>);

/// A page of a listing.
pub(crate) struct KeyPage {
    /// Keys, in the order of their identifiers.
    pub(crate) keys: Vec<String>,
    /// Where the next page begins, opaque; absent on the last page.
    pub(crate) next: Option<String>,
}

/// A bucket. Any name is a bucket, and an unused one is empty.
#[expect(unreachable_pub, reason = "the generated bindings name it")]
pub struct Bucket {
    store: Store,
    name: String,
    /// Where the listing by numbers continues: the number of keys before, and the cursor.
    position: RefCell<Option<(u64, String)>>,
}

impl Bucket {
    /// Opens a bucket.
    ///
    /// # Errors
    /// [`Error::NoSuchStore`] for a name longer than [`NAME_MAX`].
    pub(crate) fn open(name: &str) -> Result<Bucket> {
        if name.len() > NAME_MAX {
            return Err(Error::NoSuchStore);
        }
        Ok(Bucket { store: open(SCOPE)?, name: name.to_owned(), position: RefCell::default() })
    }

    /// Opens the same bucket again.
    pub(crate) fn again(&self) -> Result<Bucket> {
        Bucket::open(&self.name)
    }

    fn prefix(&self) -> String {
        format!("b/{}/", encode(&self.name))
    }

    fn record(&self, identifier: &str) -> String {
        self.prefix() + identifier
    }

    /// Returns the version and the value of a key.
    pub(crate) fn version(&self, key: &str) -> Result<Option<Version>> {
        let identifier = identifier(key)?;
        match self.store.get_record(&self.record(&identifier)) {
            Ok(record) => Ok(Some((record.version, unpack(&identifier, record.value)?.1))),
            Err(StoreError::NotFound) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Writes a key if its version is still this one; `None` for a key that does not exist. Returns false if it is another one.
    pub(crate) fn write(&self, key: &str, version: Option<&str>, value: Vec<u8>) -> Result<bool> {
        let identifier = identifier(key)?;
        let (name, content) = (self.record(&identifier), pack(key, &identifier, value)?);
        let written = match version {
            Some(version) => self.store.replace_record(&name, version, &content),
            None => self.store.create_record(&name, &content),
        };
        match written {
            Ok(_) => Ok(true),
            Err(StoreError::Conflict | StoreError::NotFound) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Changes the value of a key. `change` returns the new value and a result.
    fn change<T>(&self, key: &str, mut change: impl FnMut(Option<Vec<u8>>) -> Result<(Vec<u8>, T)>) -> Result<T> {
        let mut attempts = Attempts::default();
        while attempts.begin() {
            let (version, value) = self.version(key)?.unzip();
            let (value, result) = change(value)?;
            if self.write(key, version.as_deref(), value)? {
                return Ok(result);
            }
        }
        Err(Error::other("too many others write this key at the same time"))
    }

    pub(crate) fn get(&self, key: &str) -> Result<Option<Vec<u8>>> {
        Ok(self.version(key)?.map(|(_, value)| value))
    }

    pub(crate) fn set(&self, key: &str, value: &[u8]) -> Result<()> {
        self.change(key, |_| Ok((value.to_vec(), ())))
    }

    pub(crate) fn delete(&self, key: &str) -> Result<()> {
        self.store.delete_record(&self.record(&identifier(key)?), None)?;
        Ok(())
    }

    /// Adds to the decimal number that a key has; an absent key counts as 0. `parse` and `add` are those of the number's type.
    pub(crate) fn increment<N: std::str::FromStr + ToString + Copy + Default>(
        &self,
        key: &str,
        add: impl Fn(N) -> Option<N>,
    ) -> Result<N> {
        self.change(key, |value| {
            let number = match value {
                None => N::default(),
                Some(value) => {
                    let number = std::str::from_utf8(&value).ok().and_then(|text| text.parse().ok());
                    number.ok_or_else(|| Error::other("the value is no whole number of this type"))?
                }
            };
            let sum = add(number).ok_or_else(|| Error::other("the sum is too large or too small"))?;
            Ok((sum.to_string().into_bytes(), sum))
        })
    }

    /// Lists keys from a cursor of an earlier page on.
    pub(crate) fn list(&self, after: Option<&str>) -> Result<KeyPage> {
        let prefix = self.prefix();
        let page = match self.store.list_records(&prefix, after, PAGE) {
            Err(StoreError::InvalidArgument(_)) => return Err(Error::other("no listing returned this cursor")),
            page => page?,
        };
        let mut keys = Vec::new();
        for name in page.items {
            let identifier = name.strip_prefix(&prefix).unwrap_or_default();
            keys.extend(match decode(identifier) {
                Some(key) => Some(key),
                // The record has the key, unless it was deleted meanwhile.
                None => match self.store.get_record(&name) {
                    Ok(record) => unpack(identifier, record.value)?.0,
                    Err(StoreError::NotFound) => None,
                    Err(error) => return Err(error.into()),
                },
            });
        }
        Ok(KeyPage { keys, next: page.next })
    }

    /// Lists keys after as many keys as earlier pages had. Cheap where this bucket returned the number last; elsewhere the
    /// keys before are listed again.
    pub(crate) fn list_from(&self, number: u64) -> Result<(Vec<String>, Option<u64>)> {
        let (mut at, mut after) = match &*self.position.borrow() {
            Some((at, after)) if *at <= number => (*at, Some(after.clone())),
            _ => (0, None),
        };
        loop {
            let page = self.list(after.as_deref())?;
            let end = at + page.keys.len() as u64;
            if let (true, Some(next)) = (end <= number, &page.next) {
                (at, after) = (end, Some(next.clone()));
                continue;
            }
            let skipped = usize::try_from(number - at).unwrap_or(usize::MAX).min(page.keys.len());
            let next = page.next.map(|next| {
                *self.position.borrow_mut() = Some((end, next));
                end
            });
            return Ok((page.keys.into_iter().skip(skipped).collect(), next));
        }
    }

    pub(crate) fn get_many(&self, keys: Vec<String>) -> Result<Vec<Option<Pair>>> {
        let mut bytes = 0;
        let value = |key: String| {
            let Some(value) = self.get(&key)? else { return Ok(None) };
            bytes += value.len();
            if bytes > MANY_BYTES {
                return Err(Error::Other(format!("the values have more than {MANY_BYTES} bytes: get fewer at once")));
            }
            Ok(Some((key, value)))
        };
        keys.into_iter().map(value).collect()
    }

    pub(crate) fn set_many(&self, pairs: Vec<Pair>) -> Result<()> {
        pairs.into_iter().try_for_each(|(key, value)| self.set(&key, &value))
    }

    pub(crate) fn delete_many(&self, keys: Vec<String>) -> Result<()> {
        keys.iter().try_for_each(|key| self.delete(key))
    }
}
