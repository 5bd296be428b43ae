//! API keys as they are kept: a digest, never the key.

use crate::value::Invalid;
use crate::value::digits::{unhex, write_hex};
use aws_lc_rs::digest::{SHA256, digest};
use std::fmt;
use std::str::FromStr;
use subtle::ConstantTimeEq;

/// What a digest begins with where it is written.
const PREFIX: &str = "sha256:";
/// Bytes of a digest that name a key which has no name of its own.
const NAMING: usize = 6;

/// The SHA-256 of a key. It can be compared with that of a key that is presented; the key cannot be had from it.
#[derive(Clone, Copy)]
pub struct KeyDigest([u8; 32]);

impl KeyDigest {
    /// The digest of a key.
    pub fn of(key: &[u8]) -> Self {
        let mut bytes = [0; 32];
        bytes.iter_mut().zip(digest(&SHA256, key).as_ref()).for_each(|(to, from)| *to = *from);
        Self(bytes)
    }

    /// Whether a text says that it is a digest.
    pub fn is_written(text: &str) -> bool {
        text.starts_with(PREFIX)
    }

    /// Where to look for it: any bytes of a digest are as good as a hash.
    pub(super) fn hash(&self) -> u64 {
        self.0.iter().take(8).fold(0, |hash, byte| hash << 8 | u64::from(*byte))
    }

    /// Names a key that has no name of its own: the first twelve hexadecimal digits of its digest.
    pub fn name(&self) -> String {
        let mut digits = [0; NAMING * 2];
        write_hex(&self.0, &mut digits);
        String::from_utf8_lossy(&digits).into_owned()
    }
}

/// In constant time.
impl PartialEq for KeyDigest {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for KeyDigest {}

impl fmt::Debug for KeyDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name())
    }
}

impl FromStr for KeyDigest {
    type Err = Invalid;

    /// Reads `sha256:` and 64 hexadecimal digits. The text is never repeated: it might be a key.
    fn from_str(text: &str) -> Result<Self, Invalid> {
        let wrong = || {
            Invalid::new("a digest is `sha256:` and 64 hexadecimal digits")
                .hint("make one by `printf %s \"$KEY\" | sha256sum`")
        };
        let digits = text.strip_prefix(PREFIX).ok_or_else(wrong)?.as_bytes();
        let mut bytes = [0; 32];
        if digits.len() != bytes.len() * 2 {
            return Err(wrong());
        }
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            let [high, low] = pair else { return Err(wrong()) };
            *byte = unhex(*high).ok_or_else(wrong)? << 4 | unhex(*low).ok_or_else(wrong)?;
        }
        Ok(Self(bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_digest_that_sha256sum_prints() {
        let written = "sha256:BA7816BF8F01CFEA414140DE5DAE2223B00361A396177A9CB410FF61F20015AD";
        let digest: KeyDigest = written.parse().unwrap();
        assert!(digest == KeyDigest::of(b"abc") && digest != KeyDigest::of(b"abd"));
        assert_eq!(digest.name(), "ba7816bf8f01");
    }

    #[test]
    fn refuses_what_is_no_digest_and_repeats_nothing_of_it() {
        for text in ["", "abc", "sha256:", "sha256:12", "sha1:ba7816bf", &format!("sha256:{}", "g".repeat(64))] {
            let invalid = text.parse::<KeyDigest>().unwrap_err();
            assert!(
                text.len() < 4
                    || !invalid.to_string().contains(text.trim_start_matches("sha256:"))
                    || text == "sha256:"
            );
        }
    }
}
