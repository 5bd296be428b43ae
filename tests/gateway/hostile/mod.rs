//! Requests meant to harm: ambiguous framing, tricks of the path, slow and greedy clients.

mod auth_paths;
mod cache;
mod callers;
mod crowds;
mod framing;
mod http2;
mod paths;
mod slow;
