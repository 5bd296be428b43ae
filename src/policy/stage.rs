//! The order of policies on a request: a list to read, never numbers.

/// The stages, first to last. A policy belongs to exactly one; within a stage the order is that of compilation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stage {
    /// Shrinks the answer: first in this list and so the last on the way back, when nothing changes the body any more.
    Compress,
    /// Who is at the other end of the connection: everything later may depend on it.
    Identify,
    /// Cheap refusals (address, size, method) come before anything that costs time or asks another service.
    Guard,
    /// A browser's preflight carries no credentials, so it must be answered before they are asked for.
    Preflight,
    /// Limits by address: they shield the checking of credentials from being flooded.
    LimitByClient,
    /// Establishes the caller.
    Authenticate,
    /// Decides what the caller may do; needs to know who it is.
    Authorize,
    /// Limits by consumer or plan; refused callers must not use them up.
    Limit,
    /// Looks at the content; only for callers who may send it.
    Validate,
    /// Answers from memory; only what would have been allowed upstream.
    Cache,
    /// Changes what the upstream sees; last, so that everything before saw what the client sent.
    Transform,
}

impl Stage {
    /// The last of them.
    pub const LAST: Self = Self::Transform;
}
