//! What is counted of client connections, by listener. Connections come far less often than requests, so these are not
//! split by worker.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::cells::{Count, Counts};
use super::labels::{ConnectionRefusal, Protocol};
use super::names;
use super::text::{Text, label};

/// The counters of one listener.
#[derive(Debug)]
pub struct ListenerMetrics {
    /// `listener="…"`.
    name: String,
    accepted: Count,
    refused: Counts<{ ConnectionRefusal::COUNT }>,
    open: [AtomicU64; Protocol::COUNT],
}

impl ListenerMetrics {
    pub(super) fn new(name: &str) -> Self {
        Self {
            name: label("listener", name),
            accepted: Count::default(),
            refused: Counts::default(),
            open: Default::default(),
        }
    }

    /// Counts a connection that was accepted, whatever becomes of it.
    pub fn accepted(&self) {
        self.accepted.add(1);
    }

    /// Counts a connection that was closed before a request was read.
    pub fn refused(&self, why: ConnectionRefusal) {
        self.refused.add_one(why as usize);
    }

    /// Counts a connection as open until what is returned is dropped.
    #[must_use]
    pub fn open(self: &Arc<Self>, protocol: Protocol) -> OpenConnection {
        self.one_more(protocol);
        OpenConnection { listener: Arc::clone(self), protocol }
    }

    fn one_more(&self, protocol: Protocol) {
        if let Some(open) = self.open.get(protocol as usize) {
            open.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn one_less(&self, protocol: Protocol) {
        if let Some(open) = self.open.get(protocol as usize) {
            open.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

/// A client connection that is counted as open.
#[derive(Debug)]
pub struct OpenConnection {
    listener: Arc<ListenerMetrics>,
    protocol: Protocol,
}

impl OpenConnection {
    /// The connection speaks something else from now on, as after a WebSocket's handshake.
    pub fn becomes(&mut self, protocol: Protocol) {
        self.listener.one_more(protocol);
        self.listener.one_less(self.protocol);
        self.protocol = protocol;
    }
}

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.listener.one_less(self.protocol);
    }
}

/// Writes the families of all listeners.
pub(super) fn write(mut listeners: Vec<Arc<ListenerMetrics>>, text: &mut Text) {
    listeners.sort_unstable_by(|a, b| a.name.cmp(&b.name));
    let mut samples = text.family(&names::CONNECTIONS);
    for listener in &listeners {
        for (protocol, open) in Protocol::ALL.iter().zip(&listener.open) {
            let labels = format_args!("{},protocol=\"{}\"", listener.name, protocol.label());
            samples.labelled(labels, open.load(Ordering::Relaxed));
        }
    }
    let mut samples = text.family(&names::CONNECTIONS_TOTAL);
    for listener in &listeners {
        samples.labelled(format_args!("{}", listener.name), listener.accepted.get());
    }
    let mut samples = text.family(&names::CONNECTIONS_REFUSED);
    for listener in &listeners {
        let mut totals = [0; ConnectionRefusal::COUNT];
        listener.refused.add_to(&mut totals);
        for (why, count) in ConnectionRefusal::ALL.iter().zip(totals) {
            samples.labelled(format_args!("{},reason=\"{}\"", listener.name, why.label()), count);
        }
    }
}
