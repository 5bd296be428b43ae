//! WebSocket (RFC 6455) as the gateway follows it: frames as a stream, what a route allows, how a connection ends.
//!
//! Read in this order: [`frame`] (the head of a frame, and the frames of the gateway's own), `lane` (what one side sends),
//! `tunnel` (both sides and the clock), `open` (those that are open). [`message`] is for connections that the gateway makes itself. Nothing here does input or output: `proxy/tunnel.rs`
//! does. Frames pass as they came, byte by byte, and nothing is kept of a message.

mod ending;
pub mod frame;
mod lane;
pub mod message;
mod open;
mod rules;
mod tunnel;

#[cfg(test)]
mod tests;

pub use ending::{Ending, Side};
pub use lane::{Extensions, Lane, Passed, Step};
pub use open::{Belongs, Membership, Sockets};
pub use rules::{Bucket, LaneRules, Opening, Pace, Ping, Rules};
pub use tunnel::{Counts, Sifted, Tunnel};
