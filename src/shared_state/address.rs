//! Where a store is: `redis://host:port/database`, and `host:port` for the nodes of several.

use crate::value::form::text_form;
use crate::value::{Host, Invalid, Url};
use std::fmt;
use std::str::FromStr;

/// The port of Redis.
const PORT: u16 = 6379;
/// The port of Sentinel.
pub(super) const SENTINEL_PORT: u16 = 26379;

/// A host and a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// The host: an address or a name.
    pub host: Host,
    /// The port; `None` for the usual one.
    pub port: Option<u16>,
}

impl Node {
    /// The host without the brackets of IPv6.
    pub(super) fn host(&self) -> String {
        match &self.host {
            Host::Ip(address) => address.to_string(),
            Host::Name(name) => name.clone(),
        }
    }

    /// The port, that of Redis where none is written.
    pub(super) fn port(&self) -> u16 {
        self.port.unwrap_or(PORT)
    }
}

impl FromStr for Node {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let example = "write a host and a port, such as `10.0.0.1:6379`";
        if text.contains('@') {
            // Not repeated: what stands before it may be a secret.
            return Err(
                Invalid::new("credentials do not stand in an address").hint("write `username:` and `password:`")
            );
        }
        if text.contains("://") {
            return Err(Invalid::new(format!("`{text}` is not a host and a port")).hint(example));
        }
        // The rules of hosts and ports are those of endpoints.
        let url: Url = format!("http://{text}").parse().map_err(|invalid: Invalid| match invalid.hint {
            Some(_) => invalid,
            None => invalid.hint(example),
        })?;
        let written = text.rsplit_once(':').is_some_and(|(_, port)| !port.ends_with(']'));
        Ok(Self { host: url.host, port: written.then_some(url.port) })
    }
}

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.port {
            Some(port) => write!(f, "{}:{port}", self.host),
            None => write!(f, "{}", self.host),
        }
    }
}

text_form!(Node, "a host and a port such as `10.0.0.1:6379`", {
    "examples": ["10.0.0.1:6379", "redis-0.internal:26379"],
});

/// The URL of one server, without credentials.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RedisUrl {
    /// Whether the connection is encrypted: `rediss`.
    pub tls: bool,
    /// Where it is.
    pub node: Node,
    /// The number of the database; 0 where none is written.
    pub database: u16,
}

impl FromStr for RedisUrl {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let example = "write `redis://host:6379`, or `rediss://host:6379` for TLS";
        let (scheme, rest) = text.split_once("://").ok_or_else(|| {
            let shown = if text.contains('@') { "this" } else { text };
            Invalid::new(format!("`{shown}` is not a URL")).hint(example)
        })?;
        let tls = match scheme {
            "redis" | "valkey" => false,
            "rediss" | "valkeys" => true,
            _ => return Err(Invalid::new(format!("unknown scheme `{scheme}`")).hint(example)),
        };
        if rest.contains('@') {
            // Not repeated: it is a secret.
            return Err(Invalid::new("a URL here must not hold credentials")
                .hint("write `{ url: …, username: …, password: $env:REDIS_PASSWORD }`"));
        }
        let (node, database) = match rest.split_once('/') {
            None | Some((_, "")) => (rest.trim_end_matches('/'), 0),
            Some((node, number)) => {
                let wrong = || {
                    Invalid::new(format!("`{number}` is not the number of a database"))
                        .hint("write `redis://host:6379/0`")
                };
                (node, number.parse().map_err(|_| wrong())?)
            }
        };
        Ok(Self { tls, node: node.parse()?, database })
    }
}

impl fmt::Display for RedisUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", if self.tls { "rediss" } else { "redis" }, self.node)?;
        if self.database > 0 {
            write!(f, "/{}", self.database)?;
        }
        Ok(())
    }
}

text_form!(RedisUrl, "a URL such as `redis://127.0.0.1:6379`", {
    "pattern": "^(rediss?|valkeys?)://[^@]+$",
    "examples": ["redis://127.0.0.1:6379", "rediss://redis.internal:6380/2"],
});

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_and_writes_urls_and_nodes() {
        for (text, canonical) in [
            ("redis://127.0.0.1", "redis://127.0.0.1"),
            ("redis://127.0.0.1:6379/", "redis://127.0.0.1:6379"),
            ("rediss://Redis.internal:6380/2", "rediss://redis.internal:6380/2"),
            ("valkey://[::1]:80", "redis://[::1]:80"),
        ] {
            let url: RedisUrl = text.parse().unwrap();
            assert_eq!(url.to_string(), canonical);
            assert_eq!(canonical.parse(), Ok(url));
        }
        let node: Node = "[::1]".parse().unwrap();
        assert_eq!((node.to_string().as_str(), node.port(), node.host().as_str()), ("[::1]", 6379, "::1"));
        assert_eq!("a:80".parse::<Node>().unwrap().port(), 80);
    }

    #[test]
    fn refuses_what_is_none_and_repeats_no_secret() {
        for text in ["", "127.0.0.1:6379", "http://a", "redis://", "redis://a/b", "redis://a:0", "redis://a/70000"] {
            assert!(text.parse::<RedisUrl>().is_err(), "{text}");
        }
        for text in ["redis://:hunter2@a", "redis:hunter2@a", "rediss://me:hunter2@a:1/0"] {
            let invalid = text.parse::<RedisUrl>().unwrap_err();
            assert!(!format!("{invalid:?}").contains("hunter2"), "{invalid:?}");
        }
        assert!(!format!("{:?}", "hunter2@a".parse::<Node>().unwrap_err()).contains("hunter2"));
    }
}
