//! Addresses to listen on.

use super::Invalid;
use super::form::text_form;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::ops::Deref;
use std::str::FromStr;

/// An address and port to listen on: `127.0.0.1:8080`, `[::1]:8080`, or `:8080`, which is every IPv4 address
/// (`0.0.0.0:8080`); write `[::]:8080` for every IPv6 address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Address(SocketAddr);

impl Address {
    /// The address as the standard library has it.
    pub const fn get(self) -> SocketAddr {
        self.0
    }

    /// That address.
    pub const fn new(address: SocketAddr) -> Address {
        Address(address)
    }
}

impl Deref for Address {
    type Target = SocketAddr;

    fn deref(&self) -> &SocketAddr {
        &self.0
    }
}

impl From<SocketAddr> for Address {
    fn from(address: SocketAddr) -> Address {
        Address(address)
    }
}

impl FromStr for Address {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Address, Invalid> {
        if let Ok(address) = text.parse::<SocketAddr>() {
            return Ok(Address(address));
        }
        let wrong = |message: String| Err(Invalid::new(message));
        let hint = "write `:8080`, `127.0.0.1:8080` or `[::1]:8080`";
        if text.parse::<IpAddr>().is_ok() {
            return wrong(format!("the address `{text}` has no port")).map_err(|invalid| invalid.hint(hint));
        }
        if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) {
            return wrong(format!("`{text}` is not an address"))
                .map_err(|invalid| invalid.hint(format!("write `:{text}`")));
        }
        match text.rsplit_once(':') {
            Some(("", port)) => match port.parse::<u16>() {
                Ok(port) if port_is_plain(port, text) => Ok(Address((IpAddr::V4(Ipv4Addr::UNSPECIFIED), port).into())),
                _ => wrong(format!("`{port}` is not a port"))
                    .map_err(|invalid| invalid.hint("write a port from 0 to 65535")),
            },
            Some((host, port)) if port.parse::<u16>().is_ok() => wrong(format!("`{host}` is not an IP address"))
                .map_err(|invalid| match host {
                    "localhost" => invalid.hint(format!("write `127.0.0.1:{port}` or `[::1]:{port}`")),
                    "*" => invalid.hint(format!("write `:{port}`")),
                    _ => invalid.hint("a listener needs an address of this machine, not a name"),
                }),
            _ => wrong(format!("`{text}` is not an address")).map_err(|invalid| invalid.hint(hint)),
        }
    }
}

/// Whether the port is written without a sign or leading zeros, which `u16::from_str` would let pass.
fn port_is_plain(port: u16, text: &str) -> bool {
    text.len() == port.to_string().len() + 1
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

text_form!(Address, "an address such as `:8080`, `127.0.0.1:8080` or `[::1]:8080`", {
    "pattern": r"^([0-9.]*|\[[0-9A-Fa-f:.]+\]):[0-9]{1,5}$",
    "examples": [":8080", "127.0.0.1:8080", "[::1]:8080"],
});

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_addresses_and_the_short_form() {
        for (text, canonical) in [
            (":8080", "0.0.0.0:8080"),
            ("127.0.0.1:80", "127.0.0.1:80"),
            ("[::1]:8443", "[::1]:8443"),
            (":0", "0.0.0.0:0"),
        ] {
            assert_eq!(text.parse::<Address>().unwrap().to_string(), canonical);
        }
    }

    #[test]
    fn says_what_to_write_instead() {
        for (text, hint) in [
            ("8080", "write `:8080`"),
            ("localhost:8080", "write `127.0.0.1:8080` or `[::1]:8080`"),
            ("127.0.0.1", "write `:8080`, `127.0.0.1:8080` or `[::1]:8080`"),
            ("*:80", "write `:80`"),
            ("gw.example:80", "a listener needs an address of this machine, not a name"),
            (":99999", "write a port from 0 to 65535"),
            (":+80", "write a port from 0 to 65535"),
            ("", "write `:8080`, `127.0.0.1:8080` or `[::1]:8080`"),
        ] {
            assert_eq!(text.parse::<Address>().unwrap_err().hint.as_deref(), Some(hint), "{text}");
        }
    }
}
