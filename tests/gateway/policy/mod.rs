//! One file a policy, named as operators name it.

mod csrf;
mod fault;
mod limit;
mod oidc;
