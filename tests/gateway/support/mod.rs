//! The other ends of the gateway in tests: scripted upstreams, strict clients, certificates, gates and deadlines.

pub mod client;
pub mod file;
pub mod gate;
pub mod gateway;
pub mod openid;
pub mod origin;
pub mod ports;
pub mod run;
pub mod service;
pub mod socket;
pub mod tls;
pub mod tokens;
pub mod tonic;
pub mod wait;
pub mod wire;
