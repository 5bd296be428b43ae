//! Ranges of addresses.

use super::Invalid;
use super::form::text_form;
use ipnet::{IpNet, Ipv4Net};
use std::fmt;
use std::net::IpAddr;
use std::ops::Deref;
use std::str::FromStr;

/// A range of addresses in CIDR notation (RFC 4632 §3.1); a bare address is the range that holds it alone. IPv4 written as
/// IPv6 (`::ffff:10.0.0.0/104`, RFC 4291 §2.5.5.2) is IPv4.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Network(IpNet);

impl Network {
    /// The range.
    pub fn get(self) -> IpNet {
        self.0
    }
}

impl Deref for Network {
    type Target = IpNet;

    fn deref(&self) -> &IpNet {
        &self.0
    }
}

impl FromStr for Network {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Network, Invalid> {
        if let Ok(address) = text.parse::<IpAddr>() {
            return Ok(Network(IpNet::from(address.to_canonical())));
        }
        let net: IpNet = text.parse().map_err(|_| {
            Invalid::new(format!("`{text}` is not a range of addresses"))
                .hint("write an address and the length of its prefix, such as `10.0.0.0/8` or `fd00::/8`")
        })?;
        if net != net.trunc() {
            return Err(Invalid::new(format!("`{text}` has bits set beyond its prefix"))
                .hint(format!("write `{}`", net.trunc())));
        }
        Ok(Network(unmapped(net)))
    }
}

/// How many bits stand before an IPv4 address that is written as IPv6.
const MAPPED: u8 = 96;

/// The range of IPv4 that a range of mapped addresses means; any other as it is.
fn unmapped(net: IpNet) -> IpNet {
    let IpNet::V6(v6) = net else { return net };
    let v4 = v6.addr().to_ipv4_mapped().zip(v6.prefix_len().checked_sub(MAPPED));
    v4.and_then(|(address, prefix)| Ipv4Net::new(address, prefix).ok()).map_or(net, IpNet::V4)
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

text_form!(Network, "an address or a range such as `10.0.0.0/8`", { "examples": ["10.0.0.0/8", "fd00::/8", "192.0.2.7"] });

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_ranges_and_single_addresses() {
        for (text, canonical) in [("10.0.0.0/8", "10.0.0.0/8"), ("192.0.2.7", "192.0.2.7/32"), ("::1", "::1/128")] {
            assert_eq!(text.parse::<Network>().unwrap().to_string(), canonical);
        }
    }

    #[test]
    fn mapped_ranges_are_ipv4() {
        let cases = [
            ("::ffff:10.0.0.0/104", "10.0.0.0/8"),
            ("::ffff:192.0.2.7", "192.0.2.7/32"),
            ("::ffff:c000:207/128", "192.0.2.7/32"),
            ("::ffff:0:0/96", "0.0.0.0/0"),
            ("::/0", "::/0"),
            ("::ffff:0:0:0/80", "::ffff:0:0:0/80"),
        ];
        for (text, canonical) in cases {
            assert_eq!(text.parse::<Network>().unwrap().to_string(), canonical, "{text}");
        }
    }

    #[test]
    fn refuses_bits_beyond_the_prefix_and_other_text() {
        assert_eq!("10.0.0.1/8".parse::<Network>().unwrap_err().hint.unwrap(), "write `10.0.0.0/8`");
        for text in ["", "10.0.0.0/33", "10.0.0", "localhost", "/8"] {
            assert!(text.parse::<Network>().is_err(), "{text}");
        }
    }
}
