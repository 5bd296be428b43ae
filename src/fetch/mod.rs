//! The gateway's own HTTP calls: keys, discovery documents, introspection, a forward authentication service.
//!
//! Over Pingora's connector, so that no second HTTP client is linked in. Every call is bounded in time and in bytes, goes
//! to exactly the URL that was configured (redirects are answers like any other), and never resolves a name on a
//! thread that serves requests. HTTP/1.1 only, uncompressed. Connections are kept and used again; one that has died in
//! the meantime costs one more try on a new one. [`Flight`] makes one call of many that ask the same.

mod call;
mod exchange;
mod fetcher;
mod flight;
mod trust;

#[cfg(test)]
mod tests;

pub use call::{Answer, Call, FetchError, unverifiable};
pub use fetcher::Fetcher;
pub use flight::Flight;
pub use trust::Trust;
