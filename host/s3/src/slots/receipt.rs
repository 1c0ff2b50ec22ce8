//! What live slots hold: the receipts of parts and of final objects.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use portico_store::{
    Digest, Error, FileId, FinalKey, FinalReceipt, PartReceipt, Result, Sha256, Sha256State, TempKey, Token,
};
use serde::{Deserialize, Serialize};

/// What a live slot holds.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub(crate) enum Content {
    Part(Part),
    Final(Final),
    Record,
}

/// The receipt of a part.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Part {
    /// The token of its data.
    pub(crate) data: String,
    pub(crate) size: u64,
    /// Its identity.
    pub(crate) blake3: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) sha256: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) offset: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) chain: Option<StoredChain>,
}

/// What the content of a part does to a SHA-256, as it is written; see [`portico_store::Chain`].
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct StoredChain {
    #[serde(default)]
    before: String,
    /// In base64.
    state: String,
}

impl StoredChain {
    /// The chain of content that was hashed on from something.
    pub(crate) fn made(before: Option<Digest>, after: Option<&Sha256>) -> Option<Self> {
        let state = STANDARD.encode(after?.suspend().as_bytes());
        Some(StoredChain { before: before?.to_hex(), state })
    }

    /// As it is used; `None` if it can't be.
    pub(crate) fn read(&self) -> Option<portico_store::Chain> {
        let state = Sha256State::from_bytes(STANDARD.decode(&self.state).ok()?);
        Some(portico_store::Chain { before: Digest::from_hex(&self.before)?, state })
    }
}

/// The receipt of a final object.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Final {
    /// The token of its data.
    pub(crate) data: String,
    pub(crate) size: u64,
    pub(crate) sha256: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) content_type: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) metadata: Vec<(String, String)>,
    /// In milliseconds since the Unix epoch.
    pub(crate) created_at: u64,
}

fn damaged(what: &str) -> Error {
    Error::internal(format!("a receipt has no {what}"))
}

fn digest(text: &str) -> Result<Digest> {
    Digest::from_hex(text).ok_or_else(|| damaged("digest"))
}

fn token(text: &str) -> Result<Token> {
    Token::parse(text).map_err(|_| damaged("token"))
}

impl Part {
    pub(crate) fn token(&self) -> Result<Token> {
        token(&self.data)
    }

    /// What is known of what its content does to a SHA-256.
    pub(crate) fn chain(&self) -> Option<portico_store::Chain> {
        self.chain.as_ref()?.read()
    }

    /// The digest of everything up to its end, if that is at an offset and it has a chain.
    pub(crate) fn sha256_at(&self, offset: u64) -> Option<Sha256> {
        let ends_there = self.offset.and_then(|at| at.checked_add(self.size)) == Some(offset);
        Sha256::resume(&self.chain().filter(|_| ends_there)?.state)
    }

    pub(crate) fn receipt(&self, key: TempKey, replayed: bool) -> Result<PartReceipt> {
        Ok(PartReceipt {
            key,
            size: self.size,
            sha256: self.sha256.as_deref().map(digest).transpose()?,
            offset: self.offset,
            replayed,
        })
    }
}

impl Final {
    pub(crate) fn token(&self) -> Result<Token> {
        token(&self.data)
    }

    pub(crate) fn receipt(&self, file: FileId, key: FinalKey, replayed: bool) -> Result<FinalReceipt> {
        Ok(FinalReceipt {
            file,
            key,
            size: self.size,
            sha256: digest(&self.sha256)?,
            content_type: self.content_type.clone(),
            metadata: self.metadata.clone(),
            created_at: self.created_at,
            replayed,
        })
    }
}
