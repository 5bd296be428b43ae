//! Builds the gateway from a configuration and runs it: workers, listeners, background work, reload, draining, upgrade.
//!
//! [`Gateway`] owns everything, so that two can run in one process. [`daemon`] puts one into a Pingora server, which
//! daemonises, listens for signals and hands sockets to a successor.

mod background;
pub mod daemon;
mod gateway;
mod handover;
mod listeners;
mod lock;
mod reload;
mod reloader;
mod signals;
mod sockets;
mod watch;
mod worker;

pub use gateway::{Candidate, Gateway, Phase, Prepared, StartError};
pub use reload::Source;
pub use sockets::Sockets;
