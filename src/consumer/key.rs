//! API keys: kept as digests, never as themselves.

use super::Consumer;
use aws_lc_rs::digest::{SHA256, digest};
use std::fmt::Write as _;
use std::sync::Arc;

/// SHA-256 of a key. Keys are random and long, so that a plain digest gives nothing away; comparing digests takes no
/// time that depends on the key.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct KeyDigest([u8; 32]);

impl KeyDigest {
    /// The digest of a key.
    pub fn of(key: &[u8]) -> Self {
        let digest = digest(&SHA256, key);
        Self(digest.as_ref().first_chunk().copied().unwrap_or_default())
    }

    /// Names the key in logs and to upstreams: the first 48 bits of its digest, which tell keys apart and find none.
    pub fn name(&self) -> String {
        self.0.iter().take(6).fold(String::with_capacity(12), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
    }
}

impl std::fmt::Debug for KeyDigest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.name())
    }
}

/// A key of a consumer.
#[derive(Clone, Debug)]
pub struct Key {
    /// Whose it is.
    pub consumer: Arc<Consumer>,
    /// Names it without giving it away.
    pub id: Box<str>,
    /// When it expires, in seconds since the epoch.
    pub expires: Option<u64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_names_a_key_and_hides_it() {
        let digest = KeyDigest::of(b"abc");
        assert_eq!(digest.name(), "ba7816bf8f01");
        assert_eq!(format!("{digest:?}"), "ba7816bf8f01");
        assert_ne!(digest, KeyDigest::of(b"abd"));
    }
}
