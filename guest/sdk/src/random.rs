//! Random numbers of the host.

/// Returns 128 random bits in hexadecimal: an id that no client can guess, and that no two files share.
#[must_use]
pub fn id() -> String {
    hex::encode(bytes(16))
}

/// Returns whether a text has the form of an [`id`].
#[must_use]
pub fn is_id(text: &str) -> bool {
    text.len() == 32 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

/// Returns as many random bytes, fit for a secret.
#[must_use]
pub fn bytes(length: usize) -> Vec<u8> {
    #[cfg(target_family = "wasm")]
    {
        crate::bindings::wasi::random::random::get_random_bytes(length as u64)
    }
    // Only native tests come here, so that no crate for random numbers is needed.
    #[cfg(not(target_family = "wasm"))]
    {
        use std::hash::{BuildHasher, RandomState};
        let words = std::iter::repeat_with(|| RandomState::new().hash_one(0_u8).to_le_bytes());
        words.flatten().take(length).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::{id, is_id};

    #[test]
    fn ids_have_one_form_and_differ() {
        assert!(is_id("0123456789abcdef0123456789abcdef"));
        assert!(is_id(&id()));
        assert_ne!(id(), id());
        for text in [
            "",
            "0123456789abcdef0123456789abcde",
            "0123456789ABCDEF0123456789ABCDEF",
            "../../../../../../../../../../../",
        ] {
            assert!(!is_id(text), "{text}");
        }
    }
}
