//! Why an upstream counts as out.

use super::Invalid;
use super::form::text_form;
use std::fmt;
use std::str::FromStr;

/// Why an upstream counts as out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outage {
    /// It has nobody to ask: all endpoints are gone, or its name was never resolved.
    NoEndpoint,
    /// Its breaker is open.
    Breaker,
    /// It can take no more: `max_in_flight`, or overload control.
    Busy,
    /// No connection came about.
    Connect,
    /// It broke off before its answer, or what came is no answer.
    Reset,
    /// No answer in time.
    Timeout,
    /// The route's own timeout has passed.
    Deadline,
    /// It answered with that status.
    Status(u16),
}

impl Outage {
    /// What counts where nothing is written.
    pub const USUAL: [Self; 5] = [Self::NoEndpoint, Self::Breaker, Self::Connect, Self::Reset, Self::Timeout];

    /// Whether nothing of the request has reached the upstream then.
    pub fn is_unsent(self) -> bool {
        matches!(self, Self::NoEndpoint | Self::Breaker | Self::Busy | Self::Connect)
    }
}

impl FromStr for Outage {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        Ok(match text {
            "no_endpoint" => Self::NoEndpoint,
            "breaker" => Self::Breaker,
            "busy" => Self::Busy,
            "connect" => Self::Connect,
            "reset" => Self::Reset,
            "timeout" => Self::Timeout,
            "deadline" => Self::Deadline,
            _ => match text.parse() {
                Ok(status @ 400..=599) => Self::Status(status),
                _ => {
                    return Err(Invalid::new(format!("`{text}` is nothing to fall back on account of")).hint(
                        "write `no_endpoint`, `breaker`, `busy`, `connect`, `reset`, `timeout`, `deadline`, or a status from 400 to 599",
                    ));
                }
            },
        })
    }
}

impl fmt::Display for Outage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoEndpoint => "no_endpoint",
            Self::Breaker => "breaker",
            Self::Busy => "busy",
            Self::Connect => "connect",
            Self::Reset => "reset",
            Self::Timeout => "timeout",
            Self::Deadline => "deadline",
            Self::Status(status) => return status.fmt(f),
        })
    }
}
text_form!(Outage, "no_endpoint, breaker, busy, connect, reset, timeout, deadline, or a status", {});

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_read_as_it_is_written() {
        for text in ["no_endpoint", "breaker", "busy", "connect", "reset", "timeout", "deadline", "404", "503"] {
            assert_eq!(text.parse::<Outage>().unwrap().to_string(), text);
        }
        for text in ["", "200", "600", "down", "no-endpoint"] {
            assert!(text.parse::<Outage>().is_err(), "{text}");
        }
    }
}
