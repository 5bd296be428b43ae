//! Which route takes a request? Pure: no I/O, no clock, and no Pingora type.
//!
//! A request comes in through [`normalise_host`] and [`normalise`], then [`Router::find`] names its route.
//!
//! **Precedence** never depends on the order in which routes are written. Of all routes that take a request, the one
//! wins that is ahead in the first of these in which they differ:
//!
//! 1. host: exact, then the longest wildcard, then none. A host without a route for the path does not hide those of
//!    less specific hosts.
//! 2. path, segment by segment from the left: literal, capture with a regular expression, capture, `*`, `**`. Of two
//!    expressions at one place the longer text is ahead, then the lesser by bytes. A pattern that ends is ahead of `**`.
//!    Whole-path expressions (`~`) come after every other pattern, among themselves the longer text first.
//! 3. method: named, then (for `HEAD`) named as `GET`, then any.
//! 4. predicates: more, then more on headers, on query parameters, on cookies, on the body, then more that are exact, a prefix, an
//!    expression, a presence. What is still equal is for different values of the same thing, and ordered by its text,
//!    or a tie, which [`Router::build`] refuses.
//!
//! A path whose best route does not take the method, or whose predicates fail, falls through to the next in this order.
//! Only when none takes the request, and some would with another method, it is [`Found::MethodNotAllowed`].
//!
//! A body is read only where a route that asks for something in it is next in this order, and everything else of it holds
//! ([`Found::Unread`]).
//!
//! **Cost**: a hash per host level and, on the way down a tree, one scan and at most one hash per segment; it does not
//! grow with the number of routes. What does count is what one path is compared with one by one: expressions, and rules
//! with different predicates at the same place.

mod captures;
mod conflict;
mod content;
mod error;
mod explain;
mod expression;
mod host;
mod key;
mod method;
mod path;
mod pattern;
mod predicate;
mod regexes;
mod router;
mod rule;
#[cfg(test)]
mod support;
mod target;
mod template;
mod tree;

pub use captures::Captures;
pub use conflict::{Conflict, ConflictKind};
pub use content::{MOST_READ, content};
pub use error::PatternError;
pub use explain::{Candidate, Step, Verdict};
pub use expression::Expression;
pub use host::{BadHost, HostPattern, NormalHost, normalise_host};
pub use key::RouteKey;
pub use method::{AllowSet, MethodSet, Methods, OPTIONS};
pub use path::{BadPath, NormalPath, after_segments, normalise};
pub use pattern::{PathPattern, REST};
pub use predicate::{Holds, Predicate, Subject, Test};
pub use router::{Found, Reading, Router, Target};
pub use rule::RouteRule;
pub use target::{BadTarget, SplitTarget, split_target};
pub use template::Template;
