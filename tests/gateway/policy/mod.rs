//! One file a policy, named as operators name it.

mod forward;
mod introspection;
mod limit;
mod signature;
