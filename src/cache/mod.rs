//! The response cache: answers a request from what an upstream answered before (RFC 9111).
//!
//! Read in this order: [`CacheConfig`] (what operators write), [`Plan`] (what a route does by it), [`Asked`] (what a request
//! asks of the cache, and its key), [`judge()`] (whether an answer may be kept, and how long), [`Store`] (where it is kept),
//! [`Purge`] (what is taken out). [`Cache`] puts the store behind Pingora's cache phases, whose state machine elects one
//! leader a key, feeds its followers while the answer arrives, revalidates, and answers ranges and conditions.
//!
//! The key is made after all policies of the request: what the upstream would see is what the answer may depend on, so a
//! query that a policy has changed counts as changed. Carried over a reload: everything, since each key holds what gives an
//! answer its meaning (route, upstreams, rewriting, what it varies by). Fails open towards upstreams: what cannot be kept
//! is asked for again.

mod asked;
mod body;
mod client;
mod condition;
mod config;
mod control;
mod direct;
mod disk;
mod hit;
mod index;
mod judge;
mod key;
mod object;
mod outcome;
mod plan;
mod purge;
mod query;
mod shard;
mod sharing;
mod shunned;
mod sketch;
mod storage;
mod store;
mod vary;

pub use asked::{Asked, Bypass, Found};
pub use client::{Client, Freshness};
pub use condition::Sign;
pub use config::{CacheConfig, CacheMethod, CacheStoreConfig, StoreWhen, VaryOn};
pub use control::is_targeted;
pub use disk::{DiskConfig, DiskLevels, DiskPlan, OnDisk};
pub use hit::Hit;
pub use judge::{Answer, Refused, Terms, judge, merge, stored_head, tags_of};
pub use key::{Authority, Place, UrlText};
pub use object::Facts;
pub use object::Object;
pub use outcome::{Outcome, Told};
pub use plan::{Meaning, Plan};
pub use purge::Purge;
pub use query::Counting;
pub use sharing::{Purged, Reach};
pub use storage::Cache;
pub use store::{Holdings, Look, Store};

#[cfg(test)]
mod tests;
