//! Policies over real sockets, one file for each, named as in `src/policy`.

mod connections;
mod cors;
mod ip;
mod security_headers;
