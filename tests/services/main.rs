//! The gateway with real services beside it, from Debian's packages (`scripts/setup`), started here on ports the system
//! chooses. A service that is not there fails the tests that need it, and says so.

#[cfg(test)]
mod redis;
#[cfg(test)]
mod shared_failures;
#[cfg(test)]
mod shared_limits;
#[cfg(test)]
mod shared_plans;
#[cfg(test)]
mod shared_precision;
#[cfg(test)]
mod shared_purges;
#[cfg(test)]
mod shared_servers;
#[cfg(test)]
#[path = "../gateway/support/mod.rs"]
#[expect(dead_code, reason = "the tests of the gateway use the rest")]
mod support;
