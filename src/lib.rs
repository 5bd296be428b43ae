//! Tollgate, an API gateway on Cloudflare's Pingora.
//!
//! *Configuration is compiled to a snapshot; a request gets a context; policies decide; an upstream answers.*
//! Every noun of that sentence is a folder here; read them in this order:
//!
//! 1. [`config`]: what operators write. Plain serde types, nothing in them runs.
//! 2. [`snapshot`]: what requests read. `compile` is the only road from the first to the second.
//! 3. [`request`]: what is known of one request, and the views policies are written against.
//! 4. [`policy`]: what decides; one policy, one home. [`policy::auth`] asks who calls, of the callers in [`consumer`].
//! 5. [`upstream`]: who answers; endpoints, balancing, health.
//!
//! Beside them [`websocket`] knows the frames that upgraded connections carry.
//!
//! [`proxy`] ties them to Pingora's callbacks, one file per callback:
//!
//! | moment | Pingora callback = file in `proxy/` |
//! |---|---|
//! | request head arrived | `early_request_filter` |
//! | before any upstream work | `request_filter` |
//! | each request body chunk | `request_body_filter` |
//! | choose the endpoint, each attempt | `upstream_peer` |
//! | request about to leave | `upstream_request_filter` |
//! | response head arrived | `upstream_response_filter`, `response_filter` |
//! | each response body chunk | `response_body_filter` |
//! | response trailers arrived | `response_trailer_filter` |
//! | something failed | `failure` |
//! | all is over | `logging` |
//!
//! Imports go downwards only, and `scripts/check` holds the table of who may import whom.

pub mod admin;
pub mod cache;
pub mod cli;
pub mod config;
pub mod consumer;
pub mod exchange;
pub mod fetch;
pub mod listener;
pub mod observe;
pub mod policy;
pub mod proxy;
pub mod reply;
pub mod request;
pub mod routing;
pub mod server;
pub mod shared_state;
pub mod snapshot;
pub mod upstream;
pub mod value;
pub mod websocket;
