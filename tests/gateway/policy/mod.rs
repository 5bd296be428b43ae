//! One file a policy, named as operators name it.

mod allow;
mod answer;
mod api_key;
mod basic;
mod cache;
mod cache_disk;
mod cache_h2;
mod compress;
mod connections;
mod consumers;
mod cors;
mod csrf;
mod fault;
mod forward;
mod identity;
mod introspection;
mod ip;
mod jwt;
mod limit;
mod mtls;
mod oidc;
mod plan;
mod security_headers;
mod signature;
mod transform;
mod transform_bodies;
