//! The folder of a local store, inspected without the store.

use crate::Truth;
use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Compares the folder of an open and idle store with what the store lists: each object is a plain file with its
/// content and no other name, each part's bytes are in a file of its own or at its offset in its session's file, and
/// nothing else exists. Returns a line for each difference.
pub fn audit(root: &Path, truth: &Truth) -> Vec<String> {
    let mut wrong = Vec::new();
    if let Err(error) = audit_all(root, truth, &mut wrong) {
        wrong.push(format!("{} can't be looked at: {error}", root.display()));
    }
    wrong
}

fn audit_all(root: &Path, truth: &Truth, wrong: &mut Vec<String>) -> io::Result<()> {
    const OURS: [&str; 9] = [
        "format",
        "lock",
        "reserve",
        "index.sqlite",
        "index.sqlite-wal",
        "index.sqlite-shm",
        "staging",
        "temp",
        "final",
    ];
    for name in names(root)?.iter().filter(|name| !OURS.contains(&name.as_str())) {
        wrong.push(format!("{name} is in the store's folder"));
    }
    for name in names(&root.join("staging"))? {
        wrong.push(format!("staging/{name} is left behind"));
    }
    finals(root, truth, wrong)?;
    parts(root, truth, wrong)
}

fn finals(root: &Path, truth: &Truth, wrong: &mut Vec<String>) -> io::Result<()> {
    let mut there = BTreeSet::new();
    for scope in names(&root.join("final"))? {
        for file in names(&root.join("final").join(&scope))? {
            there.insert(format!("final/{scope}/{file}"));
        }
    }
    for (receipt, content) in truth.finals.values() {
        let key = &receipt.key.key;
        if !there.remove(key) {
            wrong.push(format!("{key} has a receipt and no file"));
            continue;
        }
        let path = root.join(key);
        let links = fs::symlink_metadata(&path)?.nlink();
        if links != 1 {
            wrong.push(format!("{key} has {links} names"));
        }
        if fs::read(&path)? != *content {
            wrong.push(format!("{key} is not what the store reads from it"));
        }
    }
    wrong.extend(there.iter().map(|path| format!("{path} has no receipt")));
    Ok(())
}

fn parts(root: &Path, truth: &Truth, wrong: &mut Vec<String>) -> io::Result<()> {
    let mut there = BTreeSet::new();
    for scope in names(&root.join("temp"))? {
        for session in names(&root.join("temp").join(&scope))? {
            let dir = Path::new("temp").join(&scope).join(&session);
            let files = names(&root.join(&dir))?;
            if files.is_empty() {
                wrong.push(format!("{} is empty", dir.display()));
            }
            there.extend(files.iter().map(|file| dir.join(file)));
        }
    }
    let mut needed = BTreeSet::new();
    for ((scope, session, number), (part, content)) in &truth.parts {
        let dir = Path::new("temp").join(scope.as_str()).join(session.as_str());
        let own = dir.join(part.key.token.as_str());
        let found = if there.contains(&own) {
            needed.insert(own.clone());
            fs::read(root.join(&own))? == *content
        } else {
            // In the session's file, at the offset that its put gave.
            let placed = dir.join("placed");
            needed.insert(placed.clone());
            match (part.offset, there.contains(&placed)) {
                (Some(offset), true) => {
                    let all = fs::read(root.join(&placed))?;
                    let from = usize::try_from(offset).unwrap_or(usize::MAX);
                    all.get(from..from.saturating_add(content.len())) == Some(&content[..])
                }
                _ => false,
            }
        };
        if !found {
            wrong.push(format!("part {scope}:{session}/{number} is nowhere in the folder"));
        }
    }
    wrong.extend(there.difference(&needed).map(|path| format!("{} is of no part", path.display())));
    Ok(())
}

fn names(dir: &Path) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(dir)? {
        names.push(entry?.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    Ok(names)
}
