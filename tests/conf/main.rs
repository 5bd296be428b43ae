//! The files of `conf/` and the YAML of the README: each is checked as `tollgate check` does, and each that needs nothing
//! beside this machine is started as `run` does, on ports the system chooses, and asked once.

#[cfg(test)]
#[path = "../gateway/support/mod.rs"]
#[expect(dead_code, reason = "these tests use a part of what the gateway's tests do")]
mod support;

#[cfg(test)]
mod callers;
#[cfg(test)]
mod copy;
#[cfg(test)]
mod files;
#[cfg(test)]
mod readme;
