//! The contract's rules for the form of arguments.

use crate::bindings::portico::storage::storage::{
    Argument, ByteRange, DigestAlgorithm, Error, Expected, FinalOptions, PartOptions,
};
use std::ops::Range;

/// Largest size and offset in bytes: the limit of the contract.
const SIZE_MAX: u64 = i64::MAX as u64;

/// Longest identifier, in bytes.
const ID_MAX: usize = 128;

/// Longest record name, in bytes.
const RECORD_NAME_MAX: usize = 256;

type Checked<T = ()> = Result<T, Error>;

fn require(holds: bool, argument: Argument) -> Checked {
    if holds { Ok(()) } else { Err(Error::InvalidArgument(argument)) }
}

fn is_identifier(text: &str, most: usize) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~');
    !text.is_empty() && text.len() <= most && !text.starts_with('.') && text.bytes().all(is_allowed)
}

/// Checks a session id.
pub(super) fn session(id: &str) -> Checked {
    require(is_identifier(id, ID_MAX), Argument::SessionId)
}

/// Checks a file id.
pub(super) fn file(id: &str) -> Checked {
    require(is_identifier(id, ID_MAX), Argument::FileId)
}

/// Checks a reason for a tombstone.
pub(super) fn reason(text: &str) -> Checked {
    require(is_identifier(text, 64), Argument::Reason)
}

/// Checks the name of a record.
pub(super) fn record(name: &str) -> Checked {
    let is_name = name.len() <= RECORD_NAME_MAX && name.split('/').all(|piece| is_identifier(piece, ID_MAX));
    require(is_name, Argument::RecordName)
}

/// Checks the beginning of the names of records. A single `/` may end the beginning.
pub(super) fn record_prefix(prefix: &str) -> Checked {
    if prefix.is_empty() {
        return Ok(());
    }
    require(prefix.len() <= RECORD_NAME_MAX, Argument::RecordName)?;
    record(prefix.strip_suffix('/').unwrap_or(prefix))
}

/// Returns the path of the scope of that name in the scope `path`.
pub(super) fn scope(path: &str, name: &str) -> Checked<String> {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    require((1..=64).contains(&name.len()) && name.bytes().all(is_allowed), Argument::Scope)?;
    let narrower = if path.is_empty() { name.to_owned() } else { format!("{path}/{name}") };
    require(narrower.split('/').count() <= 8 && narrower.len() <= 250, Argument::Scope)?;
    Ok(narrower)
}

/// Returns the session and the number of a temp key, `SESSION/NUMBER/TOKEN`.
pub(super) fn temp_key(key: &str) -> Checked<(&str, u32)> {
    let parse = || {
        let (session, rest) = key.split_once('/')?;
        let (number, token) = rest.split_once('/')?;
        let parsed = number.parse::<u32>().ok().filter(|parsed| parsed.to_string() == number)?;
        let is_token = token.len() == 16 && token.bytes().all(|byte| byte.is_ascii_hexdigit());
        (is_identifier(session, ID_MAX) && is_token).then_some((session, parsed))
    };
    parse().ok_or(Error::InvalidArgument(Argument::TempKey))
}

/// Checks a list of temp keys: each well-formed and at most once, and as many as `allowed` says.
pub(super) fn temp_keys(keys: &[String], allowed: std::ops::RangeInclusive<usize>) -> Checked {
    for key in keys {
        temp_key(key)?;
    }
    let distinct: std::collections::BTreeSet<&String> = keys.iter().collect();
    require(allowed.contains(&keys.len()) && distinct.len() == keys.len(), Argument::Parts)
}

/// Checks the known facts about content.
pub(super) fn expected(expected: &Expected) -> Checked {
    let length = |algorithm| match algorithm {
        DigestAlgorithm::Md5 => 16,
        DigestAlgorithm::Sha1 => 20,
        DigestAlgorithm::Sha512 => 64,
        DigestAlgorithm::Crc32c => 4,
    };
    let mut named = Vec::new();
    for digest in &expected.others {
        require(digest.value.len() == length(digest.algorithm), Argument::Expected)?;
        require(!named.contains(&digest.algorithm), Argument::Expected)?;
        named.push(digest.algorithm);
    }
    require(expected.size.is_none_or(|size| size <= SIZE_MAX), Argument::Expected)?;
    require(expected.sha256.as_ref().is_none_or(|digest| digest.len() == 32), Argument::Expected)
}

/// Checks the options of a part.
pub(super) fn part_options(options: &PartOptions) -> Checked {
    expected(&options.expected)?;
    let has_digest = options.expected.sha256.is_some() || !options.expected.others.is_empty();
    require(!(options.keep_prefix && has_digest), Argument::Expected)?;
    place(options, options.expected.size.unwrap_or_default())?;
    if let Some(id) = &options.unless_final {
        file(id)?;
    }
    if let Some(key) = &options.previous {
        temp_key(key)?;
    }
    Ok(())
}

/// Checks that a part of this size ends within the largest object.
pub(super) fn place(options: &PartOptions, size: u64) -> Checked {
    let fits = |offset: u64| offset.checked_add(size).is_some_and(|end| end <= SIZE_MAX);
    require(options.offset.is_none_or(fits), Argument::Offset)
}

/// Checks the options of a final object.
pub(super) fn final_options(options: &FinalOptions) -> Checked {
    expected(&options.expected)?;
    if let Some(text) = &options.content_type {
        let is_visible = text.bytes().all(|byte| matches!(byte, b' '..=b'~')) && text.bytes().any(|byte| byte != b' ');
        require(text.len() <= 255 && is_visible, Argument::ContentType)?;
    }
    let (mut bytes, mut keys) = (0, Vec::new());
    for (key, value) in &options.metadata {
        let is_allowed = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_');
        let is_key = (1..=64).contains(&key.len()) && key.bytes().all(is_allowed) && !keys.contains(&key);
        require(is_key && !value.chars().any(char::is_control), Argument::Metadata)?;
        bytes += key.len() + value.len();
        keys.push(key);
    }
    require(keys.len() <= 64 && bytes <= 8 << 10, Argument::Metadata)
}

/// Checks that the range does not end before it starts.
pub(super) fn range(range: Option<ByteRange>) -> Checked {
    require(range.is_none_or(|range| range.end.is_none_or(|end| range.start <= end)), Argument::Range)
}

/// Returns the indices of a range in content of `size` bytes.
pub(super) fn within(wanted: Option<ByteRange>, size: usize) -> Checked<Range<usize>> {
    range(wanted)?;
    let Some(ByteRange { start, end }) = wanted else { return Ok(0..size) };
    let index = |at: u64| usize::try_from(at).ok().filter(|at| *at <= size).ok_or(Error::OutOfRange(size as u64));
    Ok(index(start)?..end.map_or(Ok(size), index)?)
}
