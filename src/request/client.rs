//! Who is at the other end: the client's address, found through the proxies in front that are trusted.

use super::Headers;
use http::HeaderName;
use ipnet::IpNet;
use std::net::IpAddr;

/// The address list of `trusted_proxies`.
#[derive(Clone, Debug, Default)]
pub struct TrustedProxies {
    networks: Box<[IpNet]>,
}

impl TrustedProxies {
    /// A list of networks; overlapping ones are merged.
    pub fn new(networks: impl IntoIterator<Item = IpNet>) -> Self {
        let all: Vec<IpNet> = networks.into_iter().collect();
        Self { networks: IpNet::aggregate(&all).into() }
    }

    /// Whether what this peer says of others is believed.
    pub fn contains(&self, address: IpAddr) -> bool {
        self.networks.iter().any(|network| network.contains(&address))
    }
}

/// The client of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Client {
    /// The address the request came from, in the gateway's judgement.
    pub address: IpAddr,
    /// The address of the connection's other end: the client itself or the proxy nearest to us.
    pub peer: IpAddr,
    /// Whether the peer is a trusted proxy, so that its `X-Forwarded-*`, `X-Request-Id` and `traceparent` stand.
    pub via_trusted: bool,
}

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// More hops than this in `X-Forwarded-For` are not walked; the last one reached counts.
const LONGEST_WALK: usize = 64;

impl Client {
    /// Finds the client: the peer, or where the peer is trusted the right-most address of `X-Forwarded-For` that is not.
    /// A hop that is no address ends the walk: the address before it is the best that can be vouched for.
    pub fn find(peer: IpAddr, headers: &dyn Headers, trusted: &TrustedProxies) -> Self {
        let peer = peer.to_canonical();
        if !trusted.contains(peer) {
            return Self { address: peer, peer, via_trusted: false };
        }
        let mut chain: Vec<Box<[u8]>> = Vec::new();
        headers.each(&X_FORWARDED_FOR, &mut |value| chain.push(value.into()));
        let hops = chain.iter().rev().flat_map(|value| value.rsplit(|byte| *byte == b','));
        let mut address = peer;
        for hop in hops.take(LONGEST_WALK) {
            let Some(next) = parse_hop(hop) else { break };
            address = next;
            if !trusted.contains(next) {
                break;
            }
        }
        Self { address, peer, via_trusted: true }
    }
}

/// An address as it stands in `X-Forwarded-For`: bare, `v4:port`, `[v6]` or `[v6]:port`.
fn parse_hop(hop: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(hop).ok()?.trim();
    let bare = match text.strip_prefix('[') {
        Some(rest) => rest.split(']').next()?,
        None => match text.split_once(':') {
            Some((before, after)) if !after.contains(':') => before,
            _ => text,
        },
    };
    bare.parse::<IpAddr>().ok().map(|address| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{HeaderMap, HeaderValue};

    fn find(peer: &str, forwarded: &[&str]) -> String {
        let trusted = TrustedProxies::new(["10.0.0.0/8".parse().unwrap(), "fd00::/8".parse().unwrap()]);
        let mut headers = HeaderMap::new();
        for value in forwarded {
            headers.append(X_FORWARDED_FOR, HeaderValue::from_str(value).unwrap());
        }
        Client::find(peer.parse().unwrap(), &headers, &trusted).address.to_string()
    }

    #[test]
    fn an_untrusted_peer_is_the_client_whatever_it_says() {
        assert_eq!(find("203.0.113.9", &["1.2.3.4"]), "203.0.113.9");
    }

    #[test]
    fn walks_right_to_left_past_trusted_hops() {
        assert_eq!(find("10.0.0.1", &["6.6.6.6, 198.51.100.7, 10.2.3.4"]), "198.51.100.7");
        assert_eq!(find("10.0.0.1", &["198.51.100.7", "10.9.9.9"]), "198.51.100.7");
    }

    #[test]
    fn a_chain_of_trusted_hops_ends_at_its_first() {
        assert_eq!(find("10.0.0.1", &["10.0.0.3, 10.0.0.2"]), "10.0.0.3");
    }

    #[test]
    fn garbage_ends_the_walk() {
        assert_eq!(find("10.0.0.1", &["1.2.3.4, unknown, 10.0.0.2"]), "10.0.0.2");
        assert_eq!(find("10.0.0.1", &["\"quoted\""]), "10.0.0.1");
    }

    #[test]
    fn ports_and_brackets_are_dropped() {
        assert_eq!(find("10.0.0.1", &["198.51.100.7:8080"]), "198.51.100.7");
        assert_eq!(find("10.0.0.1", &["[2001:db8::1]:443"]), "2001:db8::1");
    }

    #[test]
    fn a_mapped_v4_address_is_the_v4_address() {
        assert_eq!(find("::ffff:10.0.0.1", &["198.51.100.7"]), "198.51.100.7");
    }
}
