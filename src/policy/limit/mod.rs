//! `limit:`: how much may pass.

mod gcra;
mod sketch;
mod store;
mod table;

pub use store::{LimitStore, MAX_KEYS};
