//! What tells one content from another without keeping it.

use std::fmt;

use serde::Serialize;
use sha2::{Digest as _, Sha256};

use crate::http::ApiError;

/// The first 128 bits of the SHA-256 of some content: equal for equal contents, and for no others that anybody could find.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Digest([u8; 16]);

impl Digest {
    /// Of `parts`, one after the other; where one ends and the next begins matters.
    pub fn of_bytes(parts: &[&[u8]]) -> Self {
        let mut hash = Sha256::new();
        for part in parts {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        }
        let mut digest = [0; 16];
        digest.copy_from_slice(&hash.finalize()[..16]);
        Self(digest)
    }

    /// Of `content` as it is written in JSON.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn of(content: &impl Serialize) -> Result<Self, ApiError> {
        let content = serde_json::to_vec(content).map_err(ApiError::internal)?;
        Ok(Self::of_bytes(&[&content]))
    }

    /// The bits, as a `BINARY(16)` column keeps them.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Display for Digest {
    /// In hexadecimal.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(formatter, "{byte:02x}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_equal_contents_have_the_same() {
        let parts = [&b"ab"[..], &b"c"[..]];
        assert_eq!(Digest::of_bytes(&parts), Digest::of_bytes(&parts));
        assert_ne!(Digest::of_bytes(&parts), Digest::of_bytes(&[b"a", b"bc"]));
        assert_ne!(Digest::of(&"1").unwrap(), Digest::of(&1).unwrap());
        assert_eq!(Digest::of(&()).unwrap().to_string().len(), 32);
    }
}
