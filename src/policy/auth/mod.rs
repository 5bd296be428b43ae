//! `auth:`: establishes who sent a request.
//!
//! Stage: Authenticate. Hook: on the head. A route names providers; they are asked in order, and one that knows the caller
//! is enough. Credentials are removed from what goes upstream, and the caller is told instead, by fields nobody outside
//! can set. Over a reload each provider takes over what it had learnt (`carry`). Fails closed: a provider that cannot
//! be asked is 503, a credential that is refused is 401 even where `anonymous: true` would let a request without one
//! pass. Example: `conf/auth.yaml`.

mod challenge;
mod config;
mod decide;
mod marker;
mod place;
mod provider;
mod service;
mod token;
mod verdict;

pub mod api_key;
pub mod basic;
pub mod forward;
pub mod introspection;
pub mod jwks;
pub mod jwt;
pub mod mtls;
pub mod oidc;
pub mod signature;

#[cfg(test)]
#[path = "../../../tests/gateway/support/tokens.rs"]
#[expect(dead_code, reason = "unit tests move time by hand; those over sockets ask for the time")]
mod tokens;

pub use challenge::challenge;
pub use config::{AuthConfig, AuthEntry, RouteAuthConfig};
pub use decide::{Anonymous, Auth, AuthPlan, Credentials};
pub use provider::{Authenticate, Provider};
pub use verdict::{Pending, Refusal, Verdict};
