//! Digests, which tell whether two contents are equal.

use std::fmt;

use serde::Serialize;
use sha2::{Digest as _, Sha256};

use crate::http::ApiError;

/// The first 128 bits of a SHA-256.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Digest([u8; 16]);

impl Digest {
    /// Digests `parts` one after the other. The boundaries between them count.
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

    /// Digests `content` as JSON.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn of(content: &impl Serialize) -> Result<Self, ApiError> {
        let content = serde_json::to_vec(content).map_err(ApiError::internal)?;
        Ok(Self::of_bytes(&[&content]))
    }

    /// Returns the 16 bytes of a `BINARY(16)` column.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Display for Digest {
    /// Writes it in hexadecimal.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(formatter, "{byte:02x}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn different_contents_have_different_digests() {
        let parts = [&b"ab"[..], &b"c"[..]];
        assert_eq!(Digest::of_bytes(&parts), Digest::of_bytes(&parts));
        assert_ne!(Digest::of_bytes(&parts), Digest::of_bytes(&[b"a", b"bc"]));
        assert_ne!(Digest::of(&"1").unwrap(), Digest::of(&1).unwrap());
        assert_eq!(Digest::of(&()).unwrap().to_string().len(), 32);
    }
}
