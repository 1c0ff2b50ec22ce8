//! The paths of files in a ZIP archive: harmless on every system, and each once.
//!
//! Invariants: no path is absolute, has a drive or climbs out of its folder; no two paths differ in letter case alone,
//! and none is also the folder of another.

use crate::limits::FILENAME_MAX;
use std::collections::HashSet;

/// Returns a path for each file: of the folder path and name that its client gave, or else `id`.
pub(crate) fn paths<'f>(files: impl IntoIterator<Item = (&'f str, &'f str)>) -> Vec<String> {
    let wanted: Vec<String> =
        files.into_iter().map(|(path, id)| harmless(path).unwrap_or_else(|| id.to_owned())).collect();
    let mut taken: HashSet<String> = wanted.iter().flat_map(|path| folders(path)).map(fold).collect();
    wanted.into_iter().map(|path| free(path, &mut taken)).collect()
}

/// Removes what could lead out of the folder in which an archive is unpacked; `None` if nothing remains.
fn harmless(path: &str) -> Option<String> {
    // A backslash is a separator on Windows, and a colon follows a drive or precedes a hidden stream there.
    let path = path.replace(|c: char| c == '\\' || c == ':' || c.is_control(), "_");
    let segments: Vec<&str> = path.split('/').filter(|segment| !matches!(*segment, "" | "." | "..")).collect();
    (!segments.is_empty()).then(|| segments.join("/"))
}

/// Returns the folders of a path.
fn folders(path: &str) -> impl Iterator<Item = &str> {
    path.match_indices('/').map(|(at, _)| &path[..at])
}

/// Returns a path as systems without letter case compare it.
fn fold(path: &str) -> String {
    path.to_lowercase()
}

/// Takes the path, or the first of `name (2).ext`, `name (3).ext` and so on that is free.
fn free(path: String, taken: &mut HashSet<String>) -> String {
    if taken.insert(fold(&path)) {
        return path;
    }
    let (folder, name) = path.rsplit_once('/').map_or(("", path.as_str()), |(folder, name)| (folder, name));
    let (stem, extension) = match name.rfind('.') {
        Some(at) if at > 0 => name.split_at(at),
        _ => (name, ""),
    };
    let mut number = 2_u32;
    loop {
        let suffix = format!(" ({number}){extension}");
        let room = FILENAME_MAX.saturating_sub(suffix.len());
        let name = format!("{}{suffix}", &stem[..stem.floor_char_boundary(room.min(stem.len()))]);
        let candidate = if folder.is_empty() { name } else { format!("{folder}/{name}") };
        if taken.insert(fold(&candidate)) {
            return candidate;
        }
        number += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::{fold, paths};
    use proptest::prelude::*;
    use std::collections::HashSet;

    fn of(paths_of_clients: &[&str]) -> Vec<String> {
        paths(paths_of_clients.iter().map(|path| (*path, "0123")))
    }

    #[test]
    fn paths_stay_and_do_not_climb() {
        for (path, expected) in [
            ("a.txt", "a.txt"),
            ("album/deep/b.txt", "album/deep/b.txt"),
            ("naïve ☃.txt", "naïve ☃.txt"),
            ("../../etc/passwd", "etc/passwd"),
            ("/etc/passwd", "etc/passwd"),
            ("a/./b//c/..", "a/b/c"),
            ("..\\..\\x", ".._.._x"),
            ("C:\\x", "C__x"),
            ("C:/x", "C_/x"),
            ("..", "0123"),
            ("", "0123"),
            ("./..//", "0123"),
            ("...", "..."),
            ("a\nb", "a_b"),
        ] {
            assert_eq!(of(&[path]), [expected], "{path}");
        }
    }

    #[test]
    fn each_path_occurs_once() {
        assert_eq!(
            of(&["a.txt", "A.txt", "a.txt", "a (2).txt", ".x", ".x", "d/a.txt", "d/a.txt", "tar.gz", "tar.gz"]),
            [
                "a.txt",
                "A (2).txt",
                "a (3).txt",
                "a (2) (2).txt",
                ".x",
                ".x (2)",
                "d/a.txt",
                "d/a (2).txt",
                "tar.gz",
                "tar (2).gz"
            ]
        );
        // A file where a folder must be, whichever comes first.
        assert_eq!(of(&["x", "x/y"]), ["x (2)", "x/y"]);
        assert_eq!(of(&["X/y/z", "x/Y"]), ["X/y/z", "x/Y (2)"]);
        let long = "é".repeat(127);
        let twice = of(&[&long, &long]);
        assert_eq!(twice[1], format!("{} (2)", "é".repeat(125)));
    }

    proptest! {
        #[test]
        fn no_two_files_meet(files in proptest::collection::vec("[aA.é]{0,2}(/[aA.]{0,2}){0,2}", 1..20)) {
            let found = of(&files.iter().map(String::as_str).collect::<Vec<_>>());
            prop_assert_eq!(found.len(), files.len());
            let folded: HashSet<String> = found.iter().map(|path| fold(path)).collect();
            prop_assert_eq!(folded.len(), files.len(), "{:?}", found);
            for path in &found {
                prop_assert!(!path.starts_with('/') && path.split('/').all(|part| !["", ".", ".."].contains(&part)));
                prop_assert!(!folded.iter().any(|other| other.starts_with(&format!("{}/", fold(path)))), "{:?}", found);
            }
        }
    }
}
