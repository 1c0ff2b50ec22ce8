//! Compiled components in files.
//!
//! A file is an ELF image of wasmtime with a trailer behind it: a JSON document ([`About`]), its length in 4 bytes, the
//! BLAKE3 digest of everything before, and [`MAGIC`]. The loader of wasmtime ignores what follows the image. Invariants: an
//! [`Artifact`] exists only for an open file that passed every check of [`Artifact::open`]; a file is never changed after its
//! trailer is written.

use super::engine::Addresses;
use super::limits::ARTIFACT_ABOUT_MAX;
use super::shape::{Needs, Shape};
use serde_json::{Value, json};
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{FileExt, MetadataExt};

/// The last bytes of a file. The number is the version of the format.
const MAGIC: &[u8; 8] = b"PORTICO1";

/// The first bytes of a file, which are those of ELF.
const ELF: &[u8] = b"\x7fELF";

/// Bytes after the document: its length, the digest and [`MAGIC`].
const TAIL: u64 = 4 + 32 + 8;

/// Bytes that are read at once.
const PIECE: usize = 256 << 10;

/// The version of this program, which compiles and loads.
pub(super) const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Why a file is not loaded as a compiled component. Each text says what to do.
#[derive(Debug, thiserror::Error)]
pub enum ArtifactError {
    /// Another user could have written the file.
    #[error(
        "the compiled component could have been written by others (owner {owner}, mode {mode:04o}): it must belong to the \
         user of this process ({user}) or to root, and be writable by its owner alone"
    )]
    Exposed {
        /// The owner of the file.
        owner: u32,
        /// The permission bits of the file.
        mode: u32,
        /// The user of this process.
        user: u32,
    },
    /// The file is no regular file.
    #[error("the compiled component is not a regular file")]
    NotAFile,
    /// The trailer is missing.
    #[error("the file is cut off, or was not made by `portico compile`: compile the component again")]
    NotOurs,
    /// The digest does not fit the content.
    #[error("the compiled component is damaged: compile it again")]
    Damaged,
    /// Another version of this program made the file.
    #[error("the component was compiled by portico {0}, and this is portico {VERSION}: compile it again")]
    OtherVersion(String),
    /// The file is of another component or for other settings than its name says.
    #[error("the compiled component is another one than its name says: remove it")]
    OtherKey,
    /// The file cannot be read.
    #[error("cannot read the compiled component")]
    Read(#[from] io::Error),
}

/// What is known about a compiled component.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct About {
    /// What the component contains.
    pub(super) shape: Shape,
    /// The way to reserve address space that the code is for.
    pub(super) addresses: Addresses,
    /// The memory limit that the code is for. It matters with [`Addresses::Tight`] alone.
    pub(super) memory: usize,
    /// The name in a cache; empty outside one.
    pub(super) key: String,
}

impl About {
    fn json(&self) -> String {
        let Needs { core_instances, memories, tables } = self.shape.needs;
        json!({
            "portico": VERSION,
            "addresses": self.addresses.to_string(),
            "memory": self.memory,
            "key": self.key,
            "core_instances": core_instances,
            "memories": memories,
            "tables": tables,
            "imports": self.shape.imports,
            "exports": self.shape.exports,
        })
        .to_string()
    }

    fn parse(text: &[u8]) -> Result<About, ArtifactError> {
        let value: Value = serde_json::from_slice(text).map_err(|_| ArtifactError::NotOurs)?;
        let text = |name: &str| value[name].as_str().map(str::to_owned).ok_or(ArtifactError::NotOurs);
        let number = |name: &str| value[name].as_u64().ok_or(ArtifactError::NotOurs);
        let names = |name: &str| -> Option<Vec<String>> {
            value[name].as_array()?.iter().map(|name| name.as_str().map(str::to_owned)).collect()
        };
        let version = text("portico")?;
        if version != VERSION {
            return Err(ArtifactError::OtherVersion(version));
        }
        let needs = Needs {
            core_instances: number("core_instances")?,
            memories: number("memories")?,
            tables: number("tables")?,
        };
        let (imports, exports) = (names("imports"), names("exports"));
        let (Some(imports), Some(exports)) = (imports, exports) else { return Err(ArtifactError::NotOurs) };
        Ok(About {
            shape: Shape { needs, imports, exports },
            addresses: text("addresses")?.parse().map_err(|_| ArtifactError::NotOurs)?,
            memory: usize::try_from(number("memory")?).map_err(|_| ArtifactError::NotOurs)?,
            key: text("key")?,
        })
    }
}

/// An open file with a compiled component, which is safe to load.
#[derive(Debug)]
pub struct Artifact {
    file: File,
    about: About,
}

impl Artifact {
    /// Checks an open file. Reads it whole.
    ///
    /// # Errors
    /// [`ArtifactError`].
    pub fn open(file: File) -> Result<Artifact, ArtifactError> {
        let facts = file.metadata()?;
        let user = rustix::process::geteuid().as_raw();
        if !facts.is_file() {
            return Err(ArtifactError::NotAFile);
        }
        if (facts.uid() != user && facts.uid() != 0) || facts.mode() & 0o022 != 0 {
            return Err(ArtifactError::Exposed { owner: facts.uid(), mode: facts.mode() & 0o7777, user });
        }
        let length = facts.len();
        let before_tail = length.checked_sub(TAIL).ok_or(ArtifactError::NotOurs)?;
        let mut tail = [0; TAIL as usize];
        file.read_exact_at(&mut tail, before_tail)?;
        let (about_length, digest) = (&tail[..4], &tail[4..36]);
        if &tail[36..] != MAGIC {
            return Err(ArtifactError::NotOurs);
        }
        let about_length = u64::from(u32::from_le_bytes(about_length.try_into().expect("4 bytes")));
        let about_at = before_tail.checked_sub(about_length).filter(|_| about_length <= ARTIFACT_ABOUT_MAX);
        let about_at = about_at.ok_or(ArtifactError::NotOurs)?;
        if digest_of(&file, before_tail + 4)?.as_bytes() != digest {
            return Err(ArtifactError::Damaged);
        }
        let mut about = vec![0; about_length as usize];
        file.read_exact_at(&mut about, about_at)?;
        Ok(Artifact { about: About::parse(&about)?, file })
    }

    /// Returns what is known about the component.
    pub(super) fn about(&self) -> &About {
        &self.about
    }

    pub(super) fn file(&self) -> &File {
        &self.file
    }

    /// Reads the file into memory.
    pub(super) fn content(&self) -> io::Result<Vec<u8>> {
        let mut file = &self.file;
        file.seek(SeekFrom::Start(0))?;
        let mut content = Vec::new();
        file.read_to_end(&mut content)?;
        Ok(content)
    }
}

/// Writes a compiled component and its trailer. The file is not synced.
pub(super) fn write(to: &mut impl Write, image: &[u8], about: &About) -> io::Result<()> {
    let about = about.json();
    let length = u32::try_from(about.len()).ok().filter(|length| u64::from(*length) <= ARTIFACT_ABOUT_MAX);
    let length = length.ok_or_else(|| io::Error::other("the component has too many imports and exports"))?;
    let mut hasher = blake3::Hasher::new();
    for piece in [image, about.as_bytes(), &length.to_le_bytes()] {
        hasher.update(piece);
        to.write_all(piece)?;
    }
    to.write_all(hasher.finalize().as_bytes())?;
    to.write_all(MAGIC)?;
    to.flush()
}

/// Reports whether a file begins as a compiled component does.
pub(super) fn is_compiled(begin: &[u8]) -> bool {
    begin.starts_with(ELF)
}

fn digest_of(file: &File, length: u64) -> io::Result<blake3::Hash> {
    let mut hasher = blake3::Hasher::new();
    let mut piece = vec![0; PIECE];
    let mut at = 0;
    while at < length {
        let most = usize::try_from(length - at).unwrap_or(PIECE).min(PIECE);
        file.read_exact_at(&mut piece[..most], at)?;
        hasher.update(&piece[..most]);
        at += most as u64;
    }
    Ok(hasher.finalize())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;
    use tempfile::NamedTempFile;

    fn about() -> About {
        let shape = Shape { imports: vec!["a".to_owned()], exports: vec!["b".to_owned()], ..Shape::default() };
        About { shape, addresses: Addresses::Tight, memory: 7, key: "key".to_owned() }
    }

    fn written() -> Vec<u8> {
        let mut content = Vec::new();
        write(&mut content, &[b'x'; 1_000], &about()).unwrap();
        content
    }

    fn open(content: &[u8], mode: u32) -> Result<Artifact, ArtifactError> {
        let mut file = NamedTempFile::new().unwrap();
        file.write_all(content).unwrap();
        file.as_file().set_permissions(std::fs::Permissions::from_mode(mode)).unwrap();
        Artifact::open(File::open(file.path()).unwrap())
    }

    #[test]
    fn what_was_written_is_opened() {
        let artifact = open(&written(), 0o644).unwrap();
        assert_eq!(artifact.about(), &about());
        assert_eq!(artifact.content().unwrap(), written());
    }

    #[test]
    fn what_others_can_write_is_refused() {
        for mode in [0o666, 0o620, 0o602] {
            let error = open(&written(), mode).unwrap_err().to_string();
            assert!(error.contains(&format!("mode {mode:04o}")), "{error}");
        }
    }

    #[test]
    fn each_byte_counts() {
        let whole = written();
        for at in (0..whole.len()).step_by(7).chain(whole.len() - 60..whole.len()) {
            let mut changed = whole.clone();
            changed[at] ^= 1;
            let error = open(&changed, 0o600).unwrap_err();
            assert!(matches!(error, ArtifactError::Damaged | ArtifactError::NotOurs), "{at}: {error}");
        }
        for length in [0, 1, 43, 44, 500, whole.len() - 1] {
            let error = open(&whole[..length], 0o600).unwrap_err();
            assert!(matches!(error, ArtifactError::NotOurs), "{length}: {error}");
        }
    }

    #[test]
    fn another_version_is_named() {
        let text = about().json().replace(VERSION, "0.0.9");
        let error = About::parse(text.as_bytes()).unwrap_err().to_string();
        assert!(error.contains("compiled by portico 0.0.9") && error.contains("compile it again"), "{error}");
    }
}
