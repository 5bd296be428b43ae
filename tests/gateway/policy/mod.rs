//! One file a policy, named as operators name it.

mod allow;
mod identity;
mod limit;
mod mtls;
