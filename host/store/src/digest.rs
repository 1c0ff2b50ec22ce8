//! SHA-256 that can be suspended between parts, and BLAKE3 for the identity of a part whose content is remote.
//!
//! A suspended state lets the host continue hashing where the previous part ended. It must never leave the host,
//! because its holder can extend a digest. Invariant: a [`Chain`] is a fact about the content that it is stored with,
//! and about nothing else, so no order of writes can make it wrong.

use sha2::Digest as _;
use sha2::digest::common::hazmat::{SerializableState, SerializedState};

/// A SHA-256 or BLAKE3 value, 32 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Digest(pub [u8; 32]);

impl Digest {
    /// The lower-case hexadecimal form, 64 digits.
    pub fn to_hex(&self) -> String {
        hex::encode(self.0)
    }

    /// Reads 64 hexadecimal digits.
    pub fn from_hex(text: &str) -> Option<Self> {
        let mut value = [0; 32];
        hex::decode_to_slice(text, &mut value).ok().map(|()| Digest(value))
    }
}

impl TryFrom<&[u8]> for Digest {
    type Error = std::array::TryFromSliceError;

    fn try_from(bytes: &[u8]) -> Result<Self, Self::Error> {
        bytes.try_into().map(Digest)
    }
}

/// A running SHA-256 (FIPS 180-4).
#[derive(Clone, Default)]
pub struct Sha256(sha2::Sha256);

impl Sha256 {
    /// The state of no bytes.
    pub fn new() -> Self {
        Self::default()
    }

    /// Continues from a suspended state; `None` if the state is not valid.
    pub fn resume(state: &Sha256State) -> Option<Self> {
        let state = SerializedState::<sha2::Sha256>::try_from(&state.0[..]).ok()?;
        sha2::Sha256::deserialize(&state).ok().map(Sha256)
    }

    /// The current state.
    pub fn suspend(&self) -> Sha256State {
        Sha256State(self.0.serialize().to_vec())
    }

    /// Adds bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The digest of all bytes added.
    pub fn finish(self) -> Digest {
        Digest(self.0.finalize().into())
    }

    /// The digest of all bytes added so far.
    pub fn so_far(&self) -> Digest {
        self.clone().finish()
    }

    /// Skips the content of a part, if `chain`, which is stored with the part, fits here. Returns whether it did.
    pub fn pass(&mut self, chain: Option<&Chain>) -> bool {
        let state = chain.filter(|chain| chain.before == self.so_far()).and_then(|chain| Sha256::resume(&chain.state));
        let passes = state.is_some();
        if let Some(state) = state {
            *self = state;
        }
        passes
    }
}

/// The effect of a part's content on a SHA-256: after content with the digest `before`, this content leads to the state
/// `state`. That stays true whatever precedes the part in the end, and helps only where the digest is the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chain {
    /// The SHA-256 of everything before the content.
    pub before: Digest,
    /// The state after the content.
    pub state: Sha256State,
}

impl Chain {
    /// The chain of the content of several parts, in order. `None` if one has no chain, or one does not fit the next.
    pub fn joined<'c>(chains: impl IntoIterator<Item = Option<&'c Chain>>) -> Option<Chain> {
        chains.into_iter().try_fold(None, |joined: Option<Chain>, next| {
            let next = next?;
            match joined {
                None => Some(Some(next.clone())),
                Some(joined) => {
                    let fits = Sha256::resume(&joined.state)?.so_far() == next.before;
                    fits.then(|| Some(Chain { before: joined.before, state: next.state.clone() }))
                }
            }
        })?
    }

    /// The chain of content that was hashed from `before` to the state `after`. `None` if either is absent.
    pub fn made(before: Option<Digest>, after: Option<&Sha256>) -> Option<Chain> {
        before.zip(after).map(|(before, after)| Chain { before, state: after.suspend() })
    }
}

/// A suspended SHA-256.
#[derive(Clone, PartialEq, Eq)]
pub struct Sha256State(Vec<u8>);

impl Sha256State {
    /// A stored state. [`Sha256::resume`] checks it.
    pub fn from_bytes(bytes: Vec<u8>) -> Self {
        Sha256State(bytes)
    }

    /// The bytes to store, 104 of them.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl std::fmt::Debug for Sha256State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Sha256State(..)")
    }
}

/// A running BLAKE3.
#[derive(Clone, Default)]
pub struct Blake3(blake3::Hasher);

impl Blake3 {
    /// The state of no bytes.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The digest of all bytes added.
    pub fn finish(&self) -> Digest {
        Digest(*self.0.finalize().as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_suspended_state_goes_on_at_any_boundary() {
        let content: Vec<u8> = (0..300u16).map(|n| n as u8).collect();
        let mut whole = Sha256::new();
        whole.update(&content);
        let whole = whole.finish();
        for cut in [0, 1, 63, 64, 65, 128, 299, 300] {
            let mut head = Sha256::new();
            head.update(&content[..cut]);
            let state = Sha256State::from_bytes(head.suspend().as_bytes().to_vec());
            assert_eq!(state.as_bytes().len(), 104);
            let mut tail = Sha256::resume(&state).expect("a state of ours");
            tail.update(&content[cut..]);
            assert_eq!(tail.finish(), whole, "cut at {cut}");
        }
    }

    #[test]
    fn a_part_is_passed_only_behind_what_it_was_hashed_behind() {
        let hash = |pieces: &[&str]| {
            let mut sha256 = Sha256::new();
            pieces.iter().for_each(|piece| sha256.update(piece.as_bytes()));
            sha256
        };
        let behind = |before: &Sha256, after: &Sha256| Chain { before: before.so_far(), state: after.suspend() };
        let chain = behind(&hash(&["ab"]), &hash(&["abcd"]));
        // The cut of the preceding content does not matter.
        let mut whole = hash(&["a", "b"]);
        assert!(whole.pass(Some(&chain)));
        assert_eq!(whole.finish(), hash(&["abcd"]).finish());
        for other in [hash(&[]), hash(&["a"]), hash(&["xy"]), hash(&["abcd"])] {
            let mut whole = other.clone();
            assert!(!whole.pass(Some(&chain)) && !whole.pass(None));
            assert_eq!(whole.finish(), other.finish(), "it is as it was");
        }
        let damaged = Chain { state: Sha256State::from_bytes(vec![0; 7]), ..chain };
        assert!(!hash(&["ab"]).pass(Some(&damaged)));
    }

    #[test]
    fn chains_are_joined_only_where_they_fit() {
        let mut sha256 = Sha256::new();
        let chains: Vec<Chain> = ["ab", "c", "def"]
            .map(|content| {
                let before = sha256.so_far();
                sha256.update(content.as_bytes());
                Chain { before, state: sha256.suspend() }
            })
            .to_vec();
        let joined = Chain::joined(chains.iter().map(Some)).expect("they fit");
        let mut whole = Sha256::new();
        assert!(whole.pass(Some(&joined)));
        assert_eq!(whole.finish(), sha256.finish());
        assert!(Chain::joined([Some(&chains[0]), Some(&chains[2])]).is_none(), "a gap");
        assert!(Chain::joined([Some(&chains[0]), None, Some(&chains[2])]).is_none(), "one without");
        assert!(Chain::joined([]).is_none());
    }

    #[test]
    fn digests_are_read_as_they_are_written() {
        let mut sha256 = Sha256::new();
        sha256.update(b"content");
        let digest = sha256.finish();
        assert_eq!(Digest::from_hex(&digest.to_hex()), Some(digest));
        assert_eq!(Digest::from_hex(&"g".repeat(64)), None);
        assert_eq!(Digest::from_hex(&digest.to_hex()[..63]), None);
    }

    #[test]
    fn what_is_not_a_state_is_refused() {
        assert!(Sha256::resume(&Sha256State::from_bytes(vec![])).is_none());
        assert!(Sha256::resume(&Sha256State::from_bytes(vec![0xff; 104])).is_none());
        assert!(Sha256::resume(&Sha256State::from_bytes(vec![0; 105])).is_none());
    }
}
