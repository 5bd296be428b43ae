//! Policies over real sockets: one file for each, named as operators name it.

mod connections;
mod cors;
mod fault;
mod ip;
mod limit;
mod security_headers;
