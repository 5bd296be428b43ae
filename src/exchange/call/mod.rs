//! The gateway's own calls to upstreams: not the client's request passed on, but a request that the gateway makes.
//!
//! A call does what a request does that the proxy passes on, by the same code or the same rules: the upstream's balancing,
//! health, ejection, breaker and bounds choose an endpoint; the connection is the upstream's own kind (HTTP/1.1, HTTP/2
//! with or without TLS) and is kept afterwards; the head tells who it is made for; another attempt is made by the retries
//! it is given, elsewhere, within the upstream's budget, after the waits and within the time of each, and only where that is
//! safe; what came of it goes to the endpoint's
//! health and to `tollgate_upstream_*`.
//!
//! ```text
//! let call = Call { retries, ..Call::new(callee, Method::GET, target, fields) };
//! let mut answer = calls.send(call, &origin).await?;          // drop the future, and the call is given up
//! let (body, trailers) = answer.body.collect(1 << 20).await?; // or `answer.body.next()`, frame by frame
//! ```
//!
//! | type | what |
//! |---|---|
//! | [`Calls`] | makes them; one for a process, in `Shared` and in each [`Incoming`](crate::exchange::Incoming) |
//! | [`Call`] | what is asked of which upstream: method, path and query, fields, body, retries |
//! | [`Callee`] | an upstream with its counters; put together when the configuration is compiled |
//! | [`Origin`] | the client's request that calls are made for: identity, ids, deadline; also counts them |
//! | [`CallAnswer`], [`AnswerBody`] | head and body of the answer |
//! | [`CallError`] | why there is none: a [`Reason`](crate::reply::Reason), so blame and status |

mod answer;
mod ask;
mod asked;
mod attempt;
mod calls;
mod clock;
mod failure;
mod head;
mod ledger;
mod origin;
mod retries;

pub use answer::{AnswerBody, CallAnswer, Upgraded};
pub use ask::{hash, no_endpoint, shown};
pub use asked::{Call, CallBody, Callee, Marking, Pieces};
pub use attempt::has_known_framing;
pub use calls::Calls;
pub use clock::{LONGEST_SILENCE, moment_after};
pub use failure::{CallError, classify};
pub use ledger::{Ledger, PartTold};
pub use origin::{Flow, Origin};
pub use retries::{Attempted, Backoff, Retries, RetryCause, listed, retry_after};
