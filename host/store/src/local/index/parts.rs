//! Rows of parts.

use crate::{
    Argument, Chain, Digest, Error, ListedPart, Result, Scope, SessionId, Sha256State, TempKey, Token, limits,
};
use rusqlite::{Connection, OptionalExtension, Row, named_params, params};
use std::collections::{BTreeMap, HashSet};

/// A part that exists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PartRow {
    pub(crate) key: TempKey,
    pub(crate) size: u64,
    pub(crate) file: PartFile,
    /// The offset that its put gave; always present for a placed part.
    pub(crate) offset: Option<u64>,
    pub(crate) sha256: Option<Digest>,
    pub(crate) chain: Option<Chain>,
}

/// The location of a part's bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PartFile {
    /// In the session's own file, from the part's offset.
    Placed,
    /// In a file of its own.
    Own,
}

macro_rules! columns {
    () => {
        "SELECT session, number, token, size, starts, placed, sha256, chain_before, chain_state"
    };
}

fn row(row: &Row<'_>) -> rusqlite::Result<PartRow> {
    let text = |at: usize| row.get::<_, String>(at);
    let digest = |bytes: Vec<u8>, at: usize| {
        Digest::try_from(&bytes[..])
            .map_err(|error| rusqlite::Error::FromSqlConversionFailure(at, rusqlite::types::Type::Blob, error.into()))
    };
    let name = |at: usize, error: crate::Error| {
        rusqlite::Error::FromSqlConversionFailure(at, rusqlite::types::Type::Text, error.into())
    };
    let token = |at: usize, text: &str| Token::parse(text).map_err(|error| name(at, error));
    let before: Option<Vec<u8>> = row.get(7)?;
    let state: Option<Vec<u8>> = row.get(8)?;
    Ok(PartRow {
        key: TempKey {
            session: SessionId::parse(&text(0)?).map_err(|error| name(0, error))?,
            number: row.get(1)?,
            token: token(2, &text(2)?)?,
        },
        size: row.get(3)?,
        offset: row.get(4)?,
        file: if row.get(5)? { PartFile::Placed } else { PartFile::Own },
        sha256: row.get::<_, Option<Vec<u8>>>(6)?.map(|bytes| digest(bytes, 6)).transpose()?,
        chain: match before.zip(state) {
            Some((before, state)) => Some(Chain { before: digest(before, 7)?, state: Sha256State::from_bytes(state) }),
            None => None,
        },
    })
}

/// Creates a row. Returns the part that already has the number, and changes nothing then.
pub(crate) fn insert(conn: &Connection, scope: &Scope, part: &PartRow) -> Result<Option<PartRow>> {
    if let Some(there) = get(conn, scope, &part.key.session, part.key.number)? {
        return Ok(Some(there));
    }
    let ends = part.offset.map(|offset| offset.saturating_add(part.size));
    if ends.is_some_and(|ends| ends > limits::SIZE_MAX) {
        return Err(Error::InvalidArgument(Argument::Offset));
    }
    conn.prepare_cached(
        "INSERT INTO parts VALUES (:scope, :session, :number, :token, :size, :starts, :ends, :placed, :sha256,
         :chain_before, :chain_state)",
    )?
    .execute(named_params! {
        ":scope": scope.as_str(),
        ":session": part.key.session.as_str(),
        ":number": part.key.number,
        ":token": part.key.token.as_str(),
        ":size": part.size,
        ":starts": part.offset,
        ":ends": ends.filter(|_| part.size > 0),
        ":placed": part.file == PartFile::Placed,
        ":sha256": part.sha256.as_ref().map(|digest| digest.0.as_slice()),
        ":chain_before": part.chain.as_ref().map(|chain| chain.before.0.as_slice()),
        ":chain_state": part.chain.as_ref().map(|chain| chain.state.as_bytes()),
    })?;
    Ok(None)
}

/// The part of a number.
pub(crate) fn get(conn: &Connection, scope: &Scope, session: &SessionId, number: u32) -> Result<Option<PartRow>> {
    let found = conn.prepare_cached(GET)?.query_row(params![scope.as_str(), session.as_str(), number], row);
    Ok(found.optional()?)
}

/// The part of a key.
pub(crate) fn by_key(conn: &Connection, scope: &Scope, key: &TempKey) -> Result<Option<PartRow>> {
    Ok(get(conn, scope, &key.session, key.number)?.filter(|there| there.key == *key))
}

/// Removes the row of a number whose range of the session's own file goes to another row.
pub(crate) fn remove(conn: &Connection, scope: &Scope, key: &TempKey) -> Result<()> {
    let row = params![scope.as_str(), key.session.as_str(), key.number];
    conn.prepare_cached("DELETE FROM parts WHERE scope = ?1 AND session = ?2 AND number = ?3")?.execute(row)?;
    Ok(())
}

/// Removes a part, and returns it. Its range of the session's own file stays taken.
pub(crate) fn delete(conn: &Connection, scope: &Scope, key: &TempKey) -> Result<Option<PartRow>> {
    let Some(there) = by_key(conn, scope, key)? else { return Ok(None) };
    remove(conn, scope, key)?;
    if let (PartFile::Placed, Some(offset)) = (there.file, there.offset) {
        conn.prepare_cached("INSERT INTO withdrawn VALUES (?1, ?2, ?3, ?4)")?.execute(params![
            scope.as_str(),
            key.session.as_str(),
            offset,
            offset + there.size
        ])?;
    }
    Ok(Some(there))
}

/// Removes parts of a session, given by number and token. One statement removes a run of neighbours, because an assembly mostly
/// uses up all parts of its session, at most 100,000. With `file` the session's own file is no longer the session's.
///
/// # Errors
/// [`Error::NotFound`] if a part is no more; the transaction must be undone then.
pub(crate) fn consume(
    conn: &Connection,
    scope: &Scope,
    session: &SessionId,
    tokens: &BTreeMap<u32, Token>,
    file: bool,
) -> Result<()> {
    let (Some((first, _)), Some((last, _))) = (tokens.first_key_value(), tokens.last_key_value()) else {
        return Ok(());
    };
    let mut runs: Vec<(u32, u32)> = Vec::new();
    let (mut found, mut is_open) = (0, false);
    let mut statement = conn.prepare_cached(TOKENS)?;
    let mut rows = statement.query(params![scope.as_str(), session.as_str(), first, last])?;
    while let Some(row) = rows.next()? {
        let number = row.get(0)?;
        let is_one = tokens
            .get(&number)
            .is_some_and(|token| row.get_ref(1).and_then(|text| Ok(text.as_str()?)) == Ok(token.as_str()));
        match runs.last_mut().filter(|_| is_one && is_open) {
            Some((_, end)) => *end = number,
            None if is_one => runs.push((number, number)),
            None => {}
        }
        is_open = is_one;
        found += usize::from(is_one);
    }
    if found != tokens.len() {
        return Err(Error::NotFound);
    }
    let is_whole = count(conn, COUNT, scope, session)? == found as u64;
    for (first, last) in runs {
        let run = params![scope.as_str(), session.as_str(), first, last];
        if !file && !is_whole {
            conn.prepare_cached(WITHDRAW)?.execute(run)?;
        }
        conn.prepare_cached("DELETE FROM parts WHERE scope = ?1 AND session = ?2 AND number BETWEEN ?3 AND ?4")?
            .execute(run)?;
    }
    if file || is_whole { forget_withdrawn(conn, scope, session) } else { Ok(()) }
}

/// The queries. Each searches; none scans a table, and none sorts.
pub(crate) const TOKENS: &str =
    "SELECT number, token FROM parts WHERE scope = ?1 AND session = ?2 AND number BETWEEN ?3 AND ?4 ORDER BY number";
pub(crate) const WITHDRAW: &str = "INSERT INTO withdrawn SELECT scope, session, starts, starts + size FROM parts
    WHERE scope = ?1 AND session = ?2 AND number BETWEEN ?3 AND ?4 AND placed = 1";
pub(crate) const GET: &str = concat!(columns!(), " FROM parts WHERE scope = ?1 AND session = ?2 AND number = ?3");
pub(crate) const LIST: &str = "SELECT number, token, size, starts FROM parts
    WHERE scope = ?1 AND session = ?2 AND number > ?3 ORDER BY number LIMIT ?4";
pub(crate) const NEXT_OF_ALL: &str = concat!(
    columns!(),
    ", scope FROM parts WHERE (scope, session, number) > (?1, ?2, ?3) ORDER BY scope, session, number LIMIT ?4"
);
pub(crate) const NEXT_SESSION: &str =
    "SELECT session FROM parts WHERE scope = ?1 AND session > ?2 ORDER BY session LIMIT 1";
pub(crate) const LAST_PLACED: &str = "SELECT ends FROM parts
    WHERE scope = ?1 AND session = ?2 AND placed = 1 AND starts < ?3 ORDER BY starts DESC LIMIT 1";
pub(crate) const NEXT_WITHDRAWN: &str = "SELECT scope, session FROM withdrawn WHERE (scope, session) > (?1, ?2) \
     ORDER BY scope, session LIMIT 1";
pub(crate) const LAST_WITHDRAWN: &str =
    "SELECT ends FROM withdrawn WHERE scope = ?1 AND session = ?2 AND starts < ?3 ORDER BY starts DESC LIMIT 1";
// Without the hint SQLite would look at all parts of the session, because it has no statistics.
pub(crate) const STATE_AT: &str = "SELECT chain_state FROM parts INDEXED BY parts_chained
    WHERE scope = ?1 AND session = ?2 AND ends = ?3 AND chain_state IS NOT NULL LIMIT 1";
pub(crate) const BEHIND: &str = concat!(
    columns!(),
    " FROM parts INDEXED BY parts_behind
    WHERE scope = ?1 AND session = ?2 AND starts = ?3 AND ends IS NOT NULL AND chain_state IS NULL LIMIT 1"
);
pub(crate) const FIRST_BEHIND: &str = "SELECT part.starts, before.chain_state
    FROM parts AS part INDEXED BY parts_behind CROSS JOIN parts AS before INDEXED BY parts_chained
    WHERE part.scope = ?1 AND part.session = ?2 AND part.ends IS NOT NULL AND part.chain_state IS NULL
    AND before.scope = ?1 AND before.session = ?2 AND before.ends = part.starts AND before.chain_state IS NOT NULL
    ORDER BY part.starts LIMIT 1";
pub(crate) const OWN: &str = "SELECT token FROM parts WHERE scope = ?1 AND session = ?2 AND placed = 0";
pub(crate) const COUNT: &str = "SELECT count(*) FROM parts WHERE scope = ?1 AND session = ?2";
pub(crate) const COUNT_PLACED: &str = "SELECT count(*) FROM parts WHERE scope = ?1 AND session = ?2 AND placed = 1";
pub(crate) const COUNT_WITHDRAWN: &str = "SELECT count(*) FROM withdrawn WHERE scope = ?1 AND session = ?2";

/// Parts of a session by number, from the one after `after`.
pub(crate) fn list(
    conn: &Connection,
    scope: &Scope,
    session: &SessionId,
    after: Option<u32>,
    limit: u32,
) -> Result<Vec<ListedPart>> {
    let after = after.map_or(-1, i64::from);
    let mut statement = conn.prepare_cached(LIST)?;
    let rows = statement.query_map(params![scope.as_str(), session.as_str(), after, limit], |row| {
        Ok((row.get(0)?, row.get::<_, String>(1)?, row.get(2)?, row.get(3)?))
    })?;
    rows.map(|row| {
        let (number, token, size, offset) = row?;
        let key = TempKey { session: session.clone(), number, token: Token::parse(&token)? };
        Ok(ListedPart { key, size, offset })
    })
    .collect()
}

/// Parts of all scopes by scope, session and number, from the one after `after`.
pub(crate) fn next_of_all(
    conn: &Connection,
    after: &(String, String, i64),
    limit: u32,
) -> Result<Vec<(Scope, PartRow)>> {
    let mut statement = conn.prepare_cached(NEXT_OF_ALL)?;
    let mut rows = statement.query(params![after.0, after.1, after.2, limit])?;
    let mut found = Vec::new();
    while let Some(next) = rows.next()? {
        let scope = Scope::from_written(&next.get::<_, String>(9)?);
        found.push((scope.ok_or_else(|| Error::internal("a row with a wrong scope"))?, row(next)?));
    }
    Ok(found)
}

/// Sessions that have parts, in byte order, from the one after `after`.
pub(crate) fn sessions(conn: &Connection, scope: &Scope, after: Option<&str>, limit: u32) -> Result<Vec<SessionId>> {
    // From session to session, whatever the number of parts of each.
    let mut statement = conn.prepare_cached(NEXT_SESSION)?;
    let mut found = Vec::new();
    let mut last = after.unwrap_or("").to_owned();
    while found.len() < limit as usize {
        let next = statement.query_row(params![scope.as_str(), last], |row| row.get::<_, String>(0)).optional()?;
        let Some(next) = next else { break };
        found.push(SessionId::parse(&next)?);
        last = next;
    }
    Ok(found)
}

/// Whether a range of the session's own file is or was a part's. Placed ranges never overlap, so the last one that
/// begins before the end decides.
pub(crate) fn placed(conn: &Connection, scope: &Scope, session: &SessionId, start: u64, end: u64) -> Result<bool> {
    for sql in [LAST_PLACED, LAST_WITHDRAWN] {
        let mut statement = conn.prepare_cached(sql)?;
        let last = statement.query_row(params![scope.as_str(), session.as_str(), end], |row| row.get::<_, u64>(0));
        if last.optional()?.is_some_and(|ends| ends > start) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// How many ranges of the session's own file there are: those of parts, and the withdrawn ones.
pub(crate) fn placed_counts(conn: &Connection, scope: &Scope, session: &SessionId) -> Result<(u64, u64)> {
    Ok((count(conn, COUNT_PLACED, scope, session)?, count(conn, COUNT_WITHDRAWN, scope, session)?))
}

fn count(conn: &Connection, sql: &str, scope: &Scope, session: &SessionId) -> Result<u64> {
    Ok(conn.prepare_cached(sql)?.query_row([scope.as_str(), session.as_str()], |row| row.get(0))?)
}

/// The session with withdrawn ranges, of any scope, that comes after another, whose scope and id are empty for the first.
pub(crate) fn next_withdrawn(conn: &Connection, after: &(String, String)) -> Result<Option<(String, String)>> {
    let next =
        conn.prepare_cached(NEXT_WITHDRAWN)?.query_row(params![after.0, after.1], |row| Ok((row.get(0)?, row.get(1)?)));
    Ok(next.optional()?)
}

/// Whether a part lies in the session's own file.
pub(crate) fn has_placed_part(conn: &Connection, scope: &Scope, session: &SessionId) -> Result<bool> {
    let mut statement = conn.prepare_cached(LAST_PLACED)?;
    Ok(statement.exists(params![scope.as_str(), session.as_str(), limits::SIZE_MAX])?)
}

/// Whether the session's own file is needed.
pub(crate) fn session_has_placed(conn: &Connection, scope: &Scope, session: &SessionId) -> Result<bool> {
    let end = limits::SIZE_MAX;
    placed(conn, scope, session, 0, end)
}

/// The tokens of a session whose files are needed.
pub(crate) fn own(conn: &Connection, scope: &Scope, session: &SessionId) -> Result<HashSet<Token>> {
    let mut statement = conn.prepare_cached(OWN)?;
    let tokens = statement.query_map([scope.as_str(), session.as_str()], |row| row.get::<_, String>(0))?;
    tokens.map(|token| Token::parse(&token?)).collect()
}

/// The state after the part that ends at an offset, if it has one.
pub(crate) fn state_at(
    conn: &Connection,
    scope: &Scope,
    session: &SessionId,
    offset: u64,
) -> Result<Option<Sha256State>> {
    let mut statement = conn.prepare_cached(STATE_AT)?;
    let found = statement.query_row(params![scope.as_str(), session.as_str(), offset], |row| row.get(0));
    Ok(found.optional()?.map(Sha256State::from_bytes))
}

/// A part that begins at an offset, is not empty, and has no chain.
pub(crate) fn behind(conn: &Connection, scope: &Scope, session: &SessionId, offset: u64) -> Result<Option<PartRow>> {
    let found = conn.prepare_cached(BEHIND)?.query_row(params![scope.as_str(), session.as_str(), offset], row);
    Ok(found.optional()?)
}

/// The first offset at which a part without a chain begins and one with a chain ends, with the state there.
pub(crate) fn first_behind(
    conn: &Connection,
    scope: &Scope,
    session: &SessionId,
) -> Result<Option<(u64, Sha256State)>> {
    let mut statement = conn.prepare_cached(FIRST_BEHIND)?;
    let found = statement.query_row([scope.as_str(), session.as_str()], |row| Ok((row.get(0)?, row.get(1)?)));
    Ok(found.optional()?.map(|(offset, state)| (offset, Sha256State::from_bytes(state))))
}

/// Stores the chain of a part that has none; true if the part still exists.
pub(crate) fn chain(conn: &Connection, scope: &Scope, key: &TempKey, chain: &Chain) -> Result<bool> {
    let given = conn
        .prepare_cached(
            "UPDATE parts SET chain_before = ?1, chain_state = ?2
         WHERE scope = ?3 AND session = ?4 AND number = ?5 AND token = ?6 AND chain_state IS NULL",
        )?
        .execute(params![
            chain.before.0.as_slice(),
            chain.state.as_bytes(),
            scope.as_str(),
            key.session.as_str(),
            key.number,
            key.token.as_str()
        ])?;
    Ok(given > 0)
}

/// The parts that were removed from a session.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Cleared {
    /// The number of parts.
    pub(crate) parts: u64,
    /// The tokens of those that had a file of their own.
    pub(crate) own: HashSet<Token>,
}

/// Removes all rows of a session.
pub(crate) fn clear(conn: &Connection, scope: &Scope, session: &SessionId) -> Result<Cleared> {
    let cleared = Cleared { parts: count(conn, COUNT, scope, session)?, own: own(conn, scope, session)? };
    conn.prepare_cached("DELETE FROM parts WHERE scope = ?1 AND session = ?2")?
        .execute([scope.as_str(), session.as_str()])?;
    forget_withdrawn(conn, scope, session)?;
    Ok(cleared)
}

/// Forgets the withdrawn ranges of a session's own file, when that file is no longer the session's.
pub(crate) fn forget_withdrawn(conn: &Connection, scope: &Scope, session: &SessionId) -> Result<()> {
    conn.prepare_cached("DELETE FROM withdrawn WHERE scope = ?1 AND session = ?2")?
        .execute([scope.as_str(), session.as_str()])?;
    Ok(())
}
