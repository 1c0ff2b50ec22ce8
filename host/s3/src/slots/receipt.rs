//! The contents of live slots: receipts of parts and of final objects.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use portico_store::{
    Chain, Digest, Error, FileId, FinalKey, FinalReceipt, PartReceipt, Result, Sha256, Sha256State, TempKey, Token,
};
use serde::{Deserialize, Serialize};

/// The content of a live slot.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub(crate) enum SlotContent {
    Part(Part),
    Final(Final),
    Record,
}

/// The receipt of a part.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Part {
    /// Token of the part's data.
    pub(crate) data: String,
    pub(crate) size: u64,
    /// The part's identity.
    pub(crate) blake3: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) sha256: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) offset: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) chain: Option<StoredChain>,
}

/// The stored form of a [`Chain`]: the effect of a part's content on a SHA-256.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct StoredChain {
    #[serde(default)]
    before: String,
    /// In base64.
    state: String,
}

impl StoredChain {
    /// Creates the chain of content that was hashed from `before` to `after`.
    pub(crate) fn made(before: Option<Digest>, after: Option<&Sha256>) -> Option<Self> {
        Some(Self::of(&Chain::made(before, after)?))
    }

    /// Stores a chain.
    pub(crate) fn of(chain: &Chain) -> Self {
        StoredChain { before: chain.before.to_hex(), state: STANDARD.encode(chain.state.as_bytes()) }
    }

    /// Decodes the chain; returns `None` if it is damaged.
    pub(crate) fn read(&self) -> Option<Chain> {
        let state = Sha256State::from_bytes(STANDARD.decode(&self.state).ok()?);
        Some(Chain { before: Digest::from_hex(&self.before)?, state })
    }
}

/// The receipt of a final object.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Final {
    /// Token of the object's data.
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
    Error::internal(format!("a receipt has no valid {what}"))
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

    /// Returns the part's chain, if there is an intact one.
    pub(crate) fn chain(&self) -> Option<Chain> {
        self.chain.as_ref()?.read()
    }

    /// Returns the hash state at the part's end, if that is `offset` and the part has a chain.
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
            is_prefix: false,
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
