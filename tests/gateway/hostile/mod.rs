//! Requests meant to harm: ambiguous framing, tricks of the path, slow and greedy clients.

mod framing;
mod paths;
mod slow;
