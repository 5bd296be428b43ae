//! Policies over real sockets, one file for each, named as in `src/policy`.

mod api_key;
mod connections;
mod cors;
mod fault;
mod ip;
mod limit;
mod security_headers;
