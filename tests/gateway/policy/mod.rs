//! Policies over real sockets, one file for each, named as in `src/policy`.

mod connections;
mod cors;
mod fault;
mod forward;
mod introspection;
mod ip;
mod limit;
mod security_headers;
mod signature;
