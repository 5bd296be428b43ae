//! Policies: configured behaviours on the gateway, an api or a route.
//!
//! Each has one home, a file (or folder) named as operators write it, holding its written form, its compiled form, its
//! hooks and its tests. A policy joins the order of a request by its [`Stage`]; a route's [`Chain`] holds the hooks of the
//! policies it has and no others.

pub mod allow;
pub mod answer;
pub mod auth;
mod body;
pub mod body_limit;
mod chain;
pub mod coding;
pub mod compress;
pub mod cors;
pub mod csrf;
pub mod errors;
pub mod fault;
pub mod graphql;
mod hook;
pub mod ip;
pub mod limit;
pub mod maintenance;
mod origin;
pub mod security_headers;
mod setup;
mod stage;
pub mod transform;
mod watch;
pub mod websocket;

pub use body::{
    BodyStream, BodyWork, Changed, KeptAs, OnResponseBody, OnUpstreamAnswer, OnUpstreamRequest, WholeBody,
    forget_content, forget_length,
};
pub use chain::{Chain, ChainBuilder, Progress};
pub use hook::{
    BodyDecision, BodyPiece, Decision, OnRefusal, OnRequest, OnRequestBody, OnResponse, Resume, Seen, Wait,
};
pub use setup::{Setup, Tend};
pub use stage::Stage;
pub use watch::Watched;

#[cfg(test)]
mod tests;
