//! The built binary as operators meet it: exit codes, messages, signals, reload and upgrade under load.

#[cfg(test)]
mod cache;
#[cfg(test)]
mod commands;
#[cfg(test)]
mod daemon;
#[cfg(test)]
mod load;
#[cfg(test)]
mod memory;
#[cfg(test)]
mod program;
#[cfg(test)]
mod quotas;
#[cfg(test)]
mod refusals;
#[cfg(test)]
mod reload;
#[cfg(test)]
mod secrecy;
#[cfg(test)]
mod stopping;
#[cfg(test)]
#[path = "../gateway/support/mod.rs"]
#[expect(dead_code, reason = "the tests of the gateway use the rest")]
mod support;
#[cfg(test)]
mod upgrade;
