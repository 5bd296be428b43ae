//! Policies, one file each, named as in `src/policy`.

mod allow;
mod identity;
mod mtls;
