//! The layout of the keys of a store. No other file knows their form.
//!
//! ```text
//! LOCATION/ format                                  marks the prefix as a store, with its id
//!           owner                                   with `single_runner`: the process that owns the store
//!           receipt/SCOPE/FILE                      slot: the receipt or tombstone of a final object
//!           final/SCOPE/FILE!TOKEN                  its data
//!           record/SCOPE/NAME                       slot: a record
//!           mark/KEY                                a sweep found no receipt for KEY (below LOCATION or TEMP)
//!           probe/TOKEN/...                         scratch of a probe, removed at its end
//! TEMP/     part/SCOPE/SESSION!NUMBER               slot: the receipt of a part; NUMBER has 10 digits
//!           temp/SCOPE/SESSION!NUMBER!TOKEN         its data
//! ```
//!
//! Invariants: a listing in the order of keys is a listing in the byte order of names, for data and for slots alike
//! (`!` comes before every byte of a name); no key is another key and a `/` with something after it, because servers
//! that keep objects as files can't have both; no piece between slashes is longer than 255 bytes.

use crate::Location;
use portico_store::{Cursor, FileId, FinalKey, RecordName, Scope, SessionId, TempKey, Token};

/// Length from which the name of a record is written in two pieces, in bytes.
const RECORD_PIECE: usize = 128;

/// The locations of a store, and the keys in them.
#[derive(Clone, Debug)]
pub(crate) struct Keys {
    pub(crate) main: Location,
    pub(crate) temp: Location,
}

/// The two kinds of data.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum DataKind {
    Part,
    Final,
}

/// The bucket and key of an object.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct ObjectKey {
    pub(crate) bucket: String,
    pub(crate) key: String,
}

impl std::fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.bucket, self.key)
    }
}

fn below(location: &Location, rest: std::fmt::Arguments<'_>) -> ObjectKey {
    ObjectKey { bucket: location.bucket.clone(), key: format!("{}{rest}", location.prefix) }
}

impl Keys {
    pub(crate) fn format(&self) -> ObjectKey {
        below(&self.main, format_args!("format"))
    }

    /// Returns the marker of the temporary location, if that is a separate one.
    pub(crate) fn temp_format(&self) -> Option<ObjectKey> {
        (self.temp != self.main).then(|| below(&self.temp, format_args!("format")))
    }

    pub(crate) fn owner(&self) -> ObjectKey {
        below(&self.main, format_args!("owner"))
    }

    pub(crate) fn probe(&self, token: &Token, name: &str) -> ObjectKey {
        below(&self.main, format_args!("probe/{token}/{name}"))
    }

    pub(crate) fn probes(&self) -> ObjectKey {
        below(&self.main, format_args!("probe/"))
    }

    pub(crate) fn receipts(&self, scope: &Scope) -> ObjectKey {
        below(&self.main, format_args!("receipt/{scope}/"))
    }

    pub(crate) fn receipt(&self, scope: &Scope, file: &FileId) -> ObjectKey {
        below(&self.main, format_args!("receipt/{scope}/{file}"))
    }

    pub(crate) fn all_receipts(&self) -> ObjectKey {
        below(&self.main, format_args!("receipt/"))
    }

    pub(crate) fn final_data(&self, scope: &Scope, file: &FileId, token: &Token) -> ObjectKey {
        below(&self.main, format_args!("final/{scope}/{file}!{token}"))
    }

    pub(crate) fn all_final_data(&self) -> ObjectKey {
        below(&self.main, format_args!("final/"))
    }

    /// Returns the file and token of a caller's key, if it belongs to this scope.
    pub(crate) fn parse_final(&self, scope: &Scope, key: &FinalKey) -> Option<(FileId, Token)> {
        if key.bucket != self.main.bucket {
            return None;
        }
        let rest = key.key.strip_prefix(&self.main.prefix)?.strip_prefix("final/")?;
        let (file, token) = rest.strip_prefix(scope.as_str())?.strip_prefix('/')?.split_once('!')?;
        Some((FileId::parse(file).ok()?, Token::parse(token).ok()?))
    }

    pub(crate) fn parts(&self, scope: &Scope) -> ObjectKey {
        below(&self.temp, format_args!("part/{scope}/"))
    }

    pub(crate) fn all_parts(&self) -> ObjectKey {
        below(&self.temp, format_args!("part/"))
    }

    pub(crate) fn session_parts(&self, scope: &Scope, session: &SessionId) -> ObjectKey {
        below(&self.temp, format_args!("part/{scope}/{session}!"))
    }

    pub(crate) fn part(&self, scope: &Scope, session: &SessionId, number: u32) -> ObjectKey {
        below(&self.temp, format_args!("part/{scope}/{session}!{number:010}"))
    }

    pub(crate) fn temp_data(&self, scope: &Scope, key: &TempKey) -> ObjectKey {
        below(&self.temp, format_args!("temp/{scope}/{}!{:010}!{}", key.session, key.number, key.token))
    }

    pub(crate) fn session_data(&self, scope: &Scope, session: &SessionId) -> ObjectKey {
        below(&self.temp, format_args!("temp/{scope}/{session}!"))
    }

    pub(crate) fn all_temp_data(&self) -> ObjectKey {
        below(&self.temp, format_args!("temp/"))
    }

    /// Returns the prefixes of all data of a kind, and of the slots with its receipts.
    pub(crate) fn data_and_slots(&self, kind: DataKind) -> (ObjectKey, ObjectKey) {
        match kind {
            DataKind::Part => (self.all_temp_data(), self.all_parts()),
            DataKind::Final => (self.all_final_data(), self.all_receipts()),
        }
    }

    pub(crate) fn records(&self, scope: &Scope) -> ObjectKey {
        below(&self.main, format_args!("record/{scope}/"))
    }

    pub(crate) fn all_records(&self) -> ObjectKey {
        below(&self.main, format_args!("record/"))
    }

    pub(crate) fn record(&self, scope: &Scope, name: &RecordName) -> ObjectKey {
        below(&self.main, format_args!("record/{scope}/{}", write_record(name.as_str(), false)))
    }

    /// Returns the prefix of the keys of all records whose names have a prefix.
    pub(crate) fn records_from(&self, scope: &Scope, prefix: &str) -> ObjectKey {
        below(&self.main, format_args!("record/{scope}/{}", write_record(prefix, true)))
    }

    /// Returns the key after which a listing of records continues.
    pub(crate) fn records_after(&self, scope: &Scope, cursor: &Cursor) -> String {
        below(&self.main, format_args!("record/{scope}/{}", write_record(cursor.as_str(), false))).key
    }

    pub(crate) fn parse_record(&self, scope: &Scope, key: &str) -> Option<RecordName> {
        read_record(key.strip_prefix(&self.records(scope).key)?)
    }

    /// Returns the key of the mark on data without a receipt.
    pub(crate) fn mark(&self, data: &ObjectKey) -> ObjectKey {
        let prefix =
            if data.key.starts_with(&self.all_temp_data().key) { &self.temp.prefix } else { &self.main.prefix };
        let rest = data.key.strip_prefix(prefix.as_str()).unwrap_or(&data.key);
        below(&self.main, format_args!("mark/{rest}"))
    }

    pub(crate) fn marks(&self) -> ObjectKey {
        below(&self.main, format_args!("mark/"))
    }
}

/// Encodes the name of a record. `-`, `.` and `/` become `(`, `)` and `*`, which have the same order and precede all
/// other bytes of a name. A long name is two pieces, the second of which begins with `!`.
fn write_record(name: &str, is_prefix: bool) -> String {
    let mut text: String = name
        .chars()
        .map(|c| match c {
            '-' => '(',
            '.' => ')',
            '/' => '*',
            other => other,
        })
        .collect();
    if name.len() > RECORD_PIECE || (name.len() == RECORD_PIECE && !is_prefix) {
        text.insert_str(RECORD_PIECE, "/!");
    }
    text
}

fn read_record(text: &str) -> Option<RecordName> {
    let name: String = match text.split_once("/!") {
        Some((first, second)) if first.len() == RECORD_PIECE => [first, second].concat(),
        Some(_) => return None,
        None => text.to_owned(),
    };
    let name: String = name
        .chars()
        .map(|c| match c {
            '(' => '-',
            ')' => '.',
            '*' => '/',
            other => other,
        })
        .collect();
    RecordName::parse(&name).ok()
}

/// Splits a key below a prefix into its scope and the rest.
pub(crate) fn parse_scoped<'a>(key: &'a str, prefix: &str) -> Option<(Scope, &'a str)> {
    let (scope, rest) = key.strip_prefix(prefix)?.split_once('/')?;
    Some((Scope::from_written(scope)?, rest))
}

/// Parses the session and number in the key of a part's slot, after the scope.
pub(crate) fn parse_part(rest: &str) -> Option<(SessionId, u32)> {
    let (session, number) = rest.split_once('!')?;
    (number.len() == 10).then_some(())?;
    Some((SessionId::parse(session).ok()?, number.parse().ok()?))
}

/// Parses the part in the key of its data, after the scope.
pub(crate) fn parse_temp(rest: &str) -> Option<TempKey> {
    let (slot, token) = rest.rsplit_once('!')?;
    let (session, number) = parse_part(slot)?;
    Some(TempKey { session, number, token: Token::parse(token).ok()? })
}

/// Parses the file and token in the key of a final object's data, after the scope.
pub(crate) fn parse_data(rest: &str) -> Option<(FileId, Token)> {
    let (file, token) = rest.split_once('!')?;
    Some((FileId::parse(file).ok()?, Token::parse(token).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn keys() -> Keys {
        Keys { main: Location::parse("bucket/store").unwrap(), temp: Location::parse("bucket/store").unwrap() }
    }

    fn record(name: &str) -> String {
        keys().record(&Scope::root(), &RecordName::parse(name).unwrap()).key
    }

    proptest! {
        #[test]
        fn records_keep_their_order_and_are_read_again(
            a in "[A-Za-z0-9_~-][A-Za-z0-9._~-]{0,3}(/[a-z0-9-][a-z0-9.-]{0,2}){0,3}",
            b in "[A-Za-z0-9_~-][A-Za-z0-9._~-]{0,3}(/[a-z0-9-][a-z0-9.-]{0,2}){0,3}",
            long in prop::bool::ANY,
        ) {
            let stem = if long { "x".repeat(124) } else { String::new() };
            let (a, b) = (format!("{stem}{a}"), format!("{stem}{b}"));
            prop_assume!(RecordName::parse(&a).is_ok() && RecordName::parse(&b).is_ok());
            prop_assert_eq!(record(&a).cmp(&record(&b)), a.cmp(&b));
            prop_assert_eq!(keys().parse_record(&Scope::root(), &record(&a)).unwrap().to_string(), a.clone());
            prop_assert!(!record(&a).starts_with(&format!("{}/", record(&b))), "one is a folder of the other");
            for end in 0..=a.len() {
                prop_assert!(record(&a).starts_with(&keys().records_from(&Scope::root(), &a[..end]).key));
            }
            let begins = record(&b).starts_with(&keys().records_from(&Scope::root(), &a).key);
            prop_assert_eq!(begins, b.starts_with(&a));
        }
    }

    #[test]
    fn a_key_of_another_scope_is_none_of_this() {
        let file = FileId::parse("file").unwrap();
        let token = Token::random().unwrap();
        let scope = Scope::root().narrow("tenant").unwrap();
        let key = |scope: &Scope| {
            let object = keys().final_data(scope, &file, &token);
            FinalKey { bucket: object.bucket, key: object.key }
        };
        assert_eq!(keys().parse_final(&scope, &key(&scope)), Some((file.clone(), token.clone())));
        assert_eq!(keys().parse_final(&scope, &key(&Scope::root())), None);
        assert_eq!(keys().parse_final(&Scope::root(), &key(&scope)), None);
        let other = FinalKey { bucket: "other".to_owned(), ..key(&scope) };
        assert_eq!(keys().parse_final(&scope, &other), None);
    }

    #[test]
    fn no_piece_of_a_key_is_too_long_for_a_file_name() {
        let id = "i".repeat(128);
        let (session, file) = (SessionId::parse(&id).unwrap(), FileId::parse(&id).unwrap());
        let temp = TempKey { session: session.clone(), number: u32::MAX, token: Token::random().unwrap() };
        let name = format!("{id}/{}", "n".repeat(127));
        let scope = Scope::root();
        for key in [
            keys().part(&scope, &session, u32::MAX).key,
            keys().temp_data(&scope, &temp).key,
            keys().final_data(&scope, &file, &temp.token).key,
            record(&name),
        ] {
            assert!(key.split('/').all(|piece| piece.len() <= 255), "{key}");
        }
    }
}
