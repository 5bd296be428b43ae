//! Known callers and what proves them.
//!
//! A [`Consumer`] is who an operator wrote down under `consumers:` or in a file of `consumers_from:`. [`Consumers`] finds
//! one by what a provider has established: its id, the digest of a key, or the subject a token or a certificate names.
//! Providers ask it anew for each request, so that a reload or a file that changes a consumer changes what its
//! credentials mean at once ([`CurrentConsumers`]).

mod current;
mod index;
mod key;
mod password;
mod registry;

pub use current::CurrentConsumers;
pub use key::KeyDigest;
pub use password::PasswordHash;
pub use registry::{Consumers, Credential, Holder, Key, SubjectKind};

/// A known caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Consumer {
    /// Its name: what upstreams, logs and limits know it by.
    pub id: Box<str>,
    /// The groups it is in, for `allow: { group: … }`.
    pub groups: Box<[Box<str>]>,
    /// The plan it is on.
    pub plan: Option<Box<str>>,
}
