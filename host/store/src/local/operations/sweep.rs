//! Removes garbage: of killed processes when the store is opened, of failed removals in a sweep.
//!
//! Invariants: only names of the store's own patterns are touched; a file that a row names or that a running operation
//! needs is never removed; a file among the finals without a row is removed only if it still shares its inode with a
//! staged name, because its publication was not finished, or if a row says that its object was deleted.

use crate::local::files::layout;
use crate::local::index::{finals, parts};
use crate::local::operations::ended::Removed;
use crate::local::shared::{Inner, blocking};
use crate::{Error, FileId, Result, Scope, SessionId, SweepReport, Token};
use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Ends the puts of a session, and removes its parts.
pub(crate) async fn clear_session(inner: &Arc<Inner>, scope: &Scope, session: &SessionId) -> Result<u32> {
    let _seal = inner.sessions.seal(scope, session).await?;
    inner.sessions.interrupt(scope, session).await;
    let _paused = inner.catchers.pause(scope, session).await;
    let cleared = {
        let (scope, session) = (scope.clone(), session.clone());
        inner.index.free(move |conn| parts::clear(conn, &scope, &session)).await?
    };
    inner.sessions.trust(scope, session);
    let count = u32::try_from(cleared.parts).unwrap_or(u32::MAX);
    let (scope, session) = (scope.clone(), session.clone());
    let removed = blocking(inner, move |inner| {
        inner.disk.unlink(&layout::placed(&scope, &session))?;
        for token in &cleared.own {
            inner.disk.unlink(&layout::own(&scope, &session, token))?;
        }
        inner.disk.remove_dir(&layout::session_dir(&scope, &session))
    });
    if let Err(error) = removed.await {
        tracing::warn!(error = %error.told(), "data of a cleared session is left behind; the next sweep removes it");
    }
    Ok(count)
}

/// Drops cached pages of sessions' own files, before anything is written to one; see `cached.rs`.
pub(crate) async fn forget_cached(inner: &Arc<Inner>) -> Result<()> {
    let sessions = sessions(inner, &mut SweepReport::default()).await?;
    blocking(inner, move |inner| {
        for (scope, session) in sessions {
            if let Ok(Some(file)) = inner.disk.open_read(&layout::placed(&scope, &session)) {
                crate::local::open::cached::forget(&file)?;
            }
        }
        Ok(())
    })
    .await
}

/// Removes garbage.
pub(crate) async fn sweep(inner: &Arc<Inner>) -> Result<SweepReport> {
    let mut report = SweepReport::default();
    unfinished_finals(inner, &mut report).await?;
    deleted_finals(inner, &mut report).await?;
    withdrawn_files(inner, &mut report).await?;
    leftover_parts(inner, &mut report).await?;
    report.foreign.sort();
    report.foreign.dedup();
    Ok(report)
}

/// Removes unused staged files, and their names among the finals that have no row.
async fn unfinished_finals(inner: &Arc<Inner>, report: &mut SweepReport) -> Result<()> {
    let mut staged: Vec<PathBuf> = Vec::new();
    for name in list(inner, Path::new(layout::STAGING), report).await? {
        match Token::parse(&name) {
            // A token is in use from before its file exists, and never again after its use.
            Ok(token) if !inner.staging.is_in_use(&token) => staged.push(layout::staged(&token)),
            Ok(_) => {}
            Err(_) => report.foreign.push(format!("{}/{name}", layout::STAGING)),
        }
    }
    let mut twice = HashSet::new();
    for path in &staged {
        twice.extend(named_twice(inner, path.clone()).await?);
    }
    // A session's own file also has two names while it is being published. Its seal is kept, so that no publication
    // begins meanwhile.
    let mut seals = Vec::new();
    for (scope, session) in sessions(inner, report).await? {
        if let Some(seal) = inner.sessions.try_seal(&scope, &session)
            && let Some(inode) = named_twice(inner, layout::placed(&scope, &session)).await?
        {
            twice.insert(inode);
            seals.push(seal);
        }
    }
    let scopes = scopes(inner, Path::new(layout::FINAL), report).await?;
    if !twice.is_empty() {
        unpublish(inner, scopes, &twice, report).await?;
    }
    // Last: until here the staged name marks the other one as unfinished.
    remove(inner, staged, report).await
}

/// The inode of a file that has more than one name.
async fn named_twice(inner: &Arc<Inner>, path: PathBuf) -> Result<Option<u64>> {
    let stat = blocking(inner, move |inner| inner.disk.stat(&path)).await?;
    Ok(stat.filter(|stat| stat.is_file && stat.links > 1).map(|stat| stat.inode))
}

/// Removes the names among the finals that have one of these inodes and no object.
async fn unpublish(
    inner: &Arc<Inner>,
    scopes: Vec<Scope>,
    inodes: &HashSet<u64>,
    report: &mut SweepReport,
) -> Result<()> {
    for scope in scopes {
        let (dir, inodes) = (layout::final_dir(&scope), inodes.clone());
        let named = blocking(inner, move |inner| inner.disk.list(&dir, |inode| inodes.contains(&inode))).await?;
        for name in named.unwrap_or_default() {
            let Ok(file) = FileId::parse(&name) else { continue };
            // An id in doubt is left to the next opening.
            let Ok(_lock) = inner.names.lock(&scope, &file).await else { continue };
            // A tombstone may have come before the publication.
            if !matches!(
                crate::local::operations::publish::stat(inner, &scope, &file).await?,
                Some(finals::FinalRow::Live(_))
            ) {
                remove(inner, vec![layout::final_path(&scope, &file)], report).await?;
            }
        }
    }
    Ok(())
}

/// Removes data of finals that have a tombstone.
async fn deleted_finals(inner: &Arc<Inner>, report: &mut SweepReport) -> Result<()> {
    loop {
        let deleted = inner.index.read(|conn| finals::deleted_with_data(conn, 1_000)).await?;
        if deleted.is_empty() {
            return Ok(());
        }
        let mut removed = Vec::new();
        for (scope, file) in deleted {
            match crate::local::operations::ended::remove_data(inner, &scope, &file).await {
                Ok(Removed::Data(size)) => {
                    report.removed += 1;
                    report.bytes += size;
                }
                Ok(Removed::Nothing) => {}
                Ok(Removed::Foreign) => report.foreign.push(layout::final_path(&scope, &file).display().to_string()),
                // An id in doubt is left to the next opening.
                Err(Error::Unavailable { .. }) => continue,
                Err(error) => return Err(error),
            }
            removed.push((scope, file));
        }
        if removed.is_empty() {
            return Ok(());
        }
        let deleted = removed;
        // A name that came back after a power failure would never be looked for again.
        let dirs: HashSet<PathBuf> = deleted.iter().map(|(scope, _)| layout::final_dir(scope)).collect();
        blocking(inner, move |inner| dirs.iter().try_for_each(|dir| inner.disk.sync_dir(dir))).await?;
        let removed = move |conn: &rusqlite::Connection| {
            deleted.iter().try_for_each(|(scope, file)| finals::data_removed(conn, scope, file))
        };
        inner.index.free(removed).await?;
    }
}

/// Removes sessions' own files whose parts have all been deleted.
async fn withdrawn_files(inner: &Arc<Inner>, report: &mut SweepReport) -> Result<()> {
    let mut after = (String::new(), String::new());
    loop {
        let from = after.clone();
        let Some(next) = inner.index.read(move |conn| parts::next_withdrawn(conn, &from)).await? else { return Ok(()) };
        let scope = Scope::from_written(&next.0).ok_or_else(|| Error::internal("a row with a wrong scope"))?;
        let session = SessionId::parse(&next.1)?;
        after = next;
        // The session is sealed and no put runs, so the file gets no part until it is removed.
        let Some(_seal) = inner.sessions.try_seal(&scope, &session) else { continue };
        if inner.sessions.is_busy(&scope, &session) {
            continue;
        }
        let (of, at) = (scope.clone(), session.clone());
        if inner.index.read(move |conn| parts::has_placed_part(conn, &of, &at)).await? {
            continue;
        }
        // The file first: its ranges may be written again only in another file.
        remove(inner, vec![layout::placed(&scope, &session)], report).await?;
        inner.index.free(move |conn| parts::forget_withdrawn(conn, &scope, &session)).await?;
    }
}

/// Removes files of parts without a row, and empty folders of sessions.
async fn leftover_parts(inner: &Arc<Inner>, report: &mut SweepReport) -> Result<()> {
    for (scope, session) in sessions(inner, report).await? {
        // Under the seal no put begins to write to the session's own file.
        let Some(_seal) = inner.sessions.try_seal(&scope, &session) else { continue };
        let dir = layout::session_dir(&scope, &session);
        let listed = list(inner, &dir, report).await?;
        // In this order: with no put running, each listed file has its row by now, or never gets one; files of later
        // puts are not in the list.
        if inner.sessions.is_busy(&scope, &session) {
            continue;
        }
        let (of, at) = (scope.clone(), session.clone());
        let needed =
            inner.index.read(move |conn| Ok((parts::own(conn, &of, &at)?, parts::session_has_placed(conn, &of, &at)?)));
        let (own, placed) = needed.await?;
        let mut leftover = Vec::new();
        for name in listed {
            match Token::parse(&name) {
                Ok(token) if own.contains(&token) => {}
                Err(_) if name == layout::PLACED && placed => {}
                Err(_) if name != layout::PLACED => report.foreign.push(dir.join(name).display().to_string()),
                _ => leftover.push(dir.join(name)),
            }
        }
        remove(inner, leftover, report).await?;
        blocking(inner, move |inner| inner.disk.remove_dir(&dir)).await?;
    }
    Ok(())
}

/// The sessions that have a folder.
async fn sessions(inner: &Arc<Inner>, report: &mut SweepReport) -> Result<Vec<(Scope, SessionId)>> {
    let mut found = Vec::new();
    for scope in scopes(inner, Path::new(layout::TEMP), report).await? {
        let dir = Path::new(layout::TEMP).join(scope.as_str());
        for session in folders(inner, &dir, report).await? {
            match SessionId::parse(&session) {
                Ok(session) => found.push((scope.clone(), session)),
                Err(_) => report.foreign.push(dir.join(session).display().to_string()),
            }
        }
    }
    Ok(found)
}

/// The scopes that have a folder in one of the store's.
async fn scopes(inner: &Arc<Inner>, dir: &Path, report: &mut SweepReport) -> Result<Vec<Scope>> {
    let mut found = Vec::new();
    for name in folders(inner, dir, report).await? {
        match Scope::from_written(&name) {
            Some(scope) => found.push(scope),
            None => report.foreign.push(dir.join(name).display().to_string()),
        }
    }
    Ok(found)
}

/// The folders in a folder. Other things are reported.
async fn folders(inner: &Arc<Inner>, dir: &Path, report: &mut SweepReport) -> Result<Vec<String>> {
    let (names, of) = (list(inner, dir, report).await?, dir.to_owned());
    let (folders, others) = blocking(inner, move |inner| {
        let (mut folders, mut others) = (Vec::new(), Vec::new());
        for name in names {
            let path = of.join(&name);
            match inner.disk.stat(&path)? {
                Some(stat) if stat.is_folder => folders.push(name),
                Some(_) => others.push(path.display().to_string()),
                None => {}
            }
        }
        Ok((folders, others))
    })
    .await?;
    report.foreign.extend(others);
    Ok(folders)
}

/// The names in a folder. A path that names something else is reported.
async fn list(inner: &Arc<Inner>, dir: &Path, report: &mut SweepReport) -> Result<Vec<String>> {
    let path = dir.to_owned();
    let names = blocking(inner, move |inner| inner.disk.list(&path, |_| true)).await?;
    if names.is_none() {
        report.foreign.push(dir.display().to_string());
    }
    Ok(names.unwrap_or_default())
}

/// Removes files. Other things are reported.
async fn remove(inner: &Arc<Inner>, paths: Vec<PathBuf>, report: &mut SweepReport) -> Result<()> {
    let found = blocking(inner, move |inner| {
        let mut found = SweepReport::default();
        for path in paths {
            let Some(stat) = inner.disk.stat(&path)? else { continue };
            if !stat.is_file {
                found.foreign.push(path.display().to_string());
            } else if inner.disk.unlink(&path)? {
                tracing::info!(path = %path.display(), size = stat.size, "removed garbage of a killed or failed operation");
                found.removed += 1;
                found.bytes += stat.size;
            }
        }
        Ok(found)
    })
    .await?;
    report.removed += found.removed;
    report.bytes += found.bytes;
    report.foreign.extend(found.foreign);
    Ok(())
}
