//! Policies: configured behaviours on the gateway, an api or a route.
//!
//! Each has one home, a file (or folder) named as operators write it, holding its written form, its compiled form, its
//! hooks and its tests. A policy joins the order of a request by its [`Stage`]; a route's [`Chain`] holds the hooks of the
//! policies it has and no others.

pub mod body_limit;
mod chain;
mod hook;
mod stage;

pub use chain::{Chain, ChainBuilder};
pub use hook::{Decision, OnRequest, OnRequestBody};
pub use stage::Stage;
