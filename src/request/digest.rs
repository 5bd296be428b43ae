//! What the body of a request must be, checked while it passes.

use aws_lc_rs::digest::{self, Context};
use std::fmt;

/// A hash that `Content-Digest` may use (RFC 9530 §5); its weaker ones are not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DigestKind {
    /// `sha-256`.
    Sha256,
    /// `sha-512`.
    Sha512,
}

impl DigestKind {
    fn algorithm(self) -> &'static digest::Algorithm {
        match self {
            Self::Sha256 => &digest::SHA256,
            Self::Sha512 => &digest::SHA512,
        }
    }
}

/// A digest the body must have. It holds a hash under way, never the body.
#[derive(Clone)]
pub struct BodyDigest {
    kind: DigestKind,
    expected: Box<[u8]>,
    context: Context,
}

impl BodyDigest {
    /// The body must have that digest.
    pub fn new(kind: DigestKind, expected: &[u8]) -> Self {
        Self { kind, expected: expected.into(), context: Context::new(kind.algorithm()) }
    }

    /// Takes the next piece in.
    pub fn update(&mut self, piece: &[u8]) {
        self.context.update(piece);
    }

    /// Begins anew: the body is sent once more, to another endpoint.
    pub fn restart(&mut self) {
        self.context = Context::new(self.kind.algorithm());
    }

    /// Whether what was taken in is what was expected.
    pub fn holds(self) -> bool {
        *self.context.finish().as_ref() == *self.expected
    }
}

impl fmt::Debug for BodyDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BodyDigest({:?})", self.kind)
    }
}
