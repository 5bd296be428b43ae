//! One file a policy, named as operators name it.

mod fault;
mod jwt;
mod limit;
