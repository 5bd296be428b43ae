//! The gateway's own HTTP calls: keys, discovery documents, introspection, a forward authentication service.
//!
//! Over Pingora's connector, so that no second HTTP client is linked in. Every call is bounded in time and in bytes, goes
//! to exactly the URL that was configured (redirects are answers like any other), and never resolves a name on a
//! thread that serves requests.

mod call;
mod fetcher;

pub use call::{Answer, Call, FetchError};
pub use fetcher::Fetcher;
