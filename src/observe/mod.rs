//! What operators see: metrics, the access log, the process log, request ids and trace context.
//!
//! Nothing here knows the configuration, a snapshot or Pingora; callers hand over plain values.
//!
//! 1. [`metrics`]: counters kept per worker, and their Prometheus exposition.
//! 2. [`access_log`]: one line a request, written by a thread of its own.
//! 3. [`log`]: what the daemon says about itself.
//! 4. [`RequestId`] and [`TraceContext`]: the names under which a request is found again.

pub mod access_log;
pub mod log;
pub mod metrics;

mod file;
mod request_id;
mod time;
mod trace;
mod worker;

pub use request_id::RequestId;
pub use time::{TimeStyle, TimeText, UnixMillis};
pub use trace::{Sampling, SpanId, TraceContext, TraceId, is_tracestate};
pub use worker::Worker;
