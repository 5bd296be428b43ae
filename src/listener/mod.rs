//! Listeners: addresses, certificates by name, bounds of connections, and the strict first look at a request.

pub mod head;
