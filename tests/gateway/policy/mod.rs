//! Policies over real sockets, one file for each, named as in `src/policy`.

mod connections;
mod cors;
mod csrf;
mod fault;
mod ip;
mod limit;
mod oidc;
mod security_headers;
