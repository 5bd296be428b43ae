//! Names for credentials that were judged before: neither does one give its credential away, nor can anybody make two
//! credentials that share one.

use aws_lc_rs::hmac::{self, HMAC_SHA256};
use aws_lc_rs::rand::SystemRandom;

/// Stands for what was marked.
pub type Mark = [u8; 32];

/// Marks by HMAC-SHA256 under a key that was made up for it and is nowhere else.
pub struct Marker(hmac::Key);

impl Marker {
    /// One with a key of its own; `None` where the system gives no random bytes.
    pub fn new() -> Option<Self> {
        hmac::Key::generate(HMAC_SHA256, &SystemRandom::new()).ok().map(Self)
    }

    /// The mark of one text.
    pub fn mark(&self, text: &[u8]) -> Mark {
        of(hmac::sign(&self.0, text))
    }

    /// The mark of several. Each is written with its length, so that no two lists are written alike.
    pub fn mark_all<'p>(&self, parts: impl IntoIterator<Item = &'p [u8]>) -> Mark {
        let mut context = hmac::Context::with_key(&self.0);
        for part in parts {
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part);
        }
        of(context.sign())
    }
}

fn of(tag: hmac::Tag) -> Mark {
    tag.as_ref().first_chunk().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_of_its_marker_and_of_its_parts_alone() {
        let (one, other) = (Marker::new().unwrap(), Marker::new().unwrap());
        assert_eq!(one.mark(b"t"), one.mark(b"t"));
        assert_ne!(one.mark(b"t"), one.mark(b"u"));
        assert_ne!(one.mark(b"t"), other.mark(b"t"), "another process, other marks");
        let all = |parts: &[&str]| one.mark_all(parts.iter().map(|part| part.as_bytes()));
        assert_eq!(all(&["a", "b"]), all(&["a", "b"]));
        assert_ne!(all(&["a", "b"]), all(&["b", "a"]));
        assert_ne!(all(&["ab", ""]), all(&["a", "b"]));
        assert_ne!(all(&["a"]), all(&["a", ""]));
    }
}
