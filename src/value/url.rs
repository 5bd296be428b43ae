//! Where an upstream's endpoint is.

use super::Invalid;
use super::form::text_form;
use super::suggest;
use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

/// How an endpoint is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Scheme {
    /// HTTP/1.1 in the clear.
    Http,
    /// HTTP/1.1 or HTTP/2 over TLS, as ALPN agrees.
    Https,
    /// HTTP/2 in the clear by prior knowledge (RFC 9113 §3.3).
    H2c,
    /// HTTP/2 over TLS only.
    H2,
}

/// The schemes by name; the first name of each is the canonical one.
const SCHEMES: [(&str, Scheme); 8] = [
    ("http", Scheme::Http),
    ("https", Scheme::Https),
    ("h2c", Scheme::H2c),
    ("h2", Scheme::H2),
    ("grpc", Scheme::H2c),
    ("grpcs", Scheme::H2),
    ("ws", Scheme::Http),
    ("wss", Scheme::Https),
];

impl Scheme {
    /// The canonical name.
    pub fn as_str(self) -> &'static str {
        SCHEMES.iter().find(|(_, scheme)| *scheme == self).map_or("http", |(name, _)| name)
    }

    /// Whether the connection is encrypted.
    pub fn is_tls(self) -> bool {
        matches!(self, Scheme::Https | Scheme::H2)
    }

    /// The port where none is written.
    pub fn default_port(self) -> u16 {
        if self.is_tls() { 443 } else { 80 }
    }
}

impl FromStr for Scheme {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Scheme, Invalid> {
        if let Some((_, scheme)) = SCHEMES.iter().find(|(name, _)| *name == text) {
            return Ok(*scheme);
        }
        let names = SCHEMES.map(|(name, _)| name);
        let hint = match suggest(text, names) {
            Some(name) => format!("did you mean `{name}`?"),
            None => format!("the schemes are {}", names.join(", ")),
        };
        Err(Invalid::new(format!("unknown scheme `{text}`")).hint(hint))
    }
}

impl fmt::Display for Scheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

text_form!(Scheme, "a scheme such as `http` or `https`", {
    "enum": ["http", "https", "h2c", "h2", "grpc", "grpcs", "ws", "wss"],
});

/// The host of an endpoint.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Host {
    /// An address, used as it is.
    Ip(IpAddr),
    /// A name, in lower case, looked up in the background.
    Name(String),
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Host::Ip(IpAddr::V6(ip)) => write!(f, "[{ip}]"),
            Host::Ip(ip) => ip.fmt(f),
            Host::Name(name) => f.write_str(name),
        }
    }
}

/// An endpoint: scheme, host and port, and nothing else.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Url {
    /// How it is spoken to.
    pub scheme: Scheme,
    /// Where it is.
    pub host: Host,
    /// The port; that of the scheme where none is written.
    pub port: u16,
}

impl Url {
    /// Host and port as a `Host` header has them: without the port where it is the scheme's own.
    pub fn authority(&self) -> String {
        if self.port == self.scheme.default_port() {
            self.host.to_string()
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }
}

impl FromStr for Url {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Url, Invalid> {
        let example = "write a URL such as `http://10.0.0.1:8080` or `https://users.internal`";
        let Some((scheme, rest)) = text.split_once("://") else {
            return Err(Invalid::new(format!("`{text}` is not a URL")).hint(example));
        };
        let scheme: Scheme = scheme.parse()?;
        let authority = rest.strip_suffix('/').unwrap_or(rest);
        if let Some(at) = authority.find(['/', '?', '#']) {
            let (before, extra) = authority.split_at_checked(at).unwrap_or((authority, ""));
            return Err(Invalid::new(format!("an endpoint has no path or query, but this one has `{extra}`"))
                .hint(format!("write `{scheme}://{before}`, and `rewrite:` on the route to change the path")));
        }
        if authority.contains('@') {
            // The credentials are not repeated: they are a secret.
            return Err(Invalid::new("an endpoint must not hold credentials").hint("remove what stands before `@`"));
        }
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
            _ => (authority, None),
        };
        let port = port.map_or(Ok(scheme.default_port()), parse_port)?;
        let host = parse_host(host).map_err(|invalid| match invalid.hint {
            Some(_) => invalid,
            None => invalid.hint(example),
        })?;
        Ok(Url { scheme, host, port })
    }
}

fn parse_port(text: &str) -> Result<u16, Invalid> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    text.parse::<u16>()
        .ok()
        .filter(|port| digits && *port > 0)
        .ok_or_else(|| Invalid::new(format!("`{text}` is not a port")).hint("write a port from 1 to 65535"))
}

fn parse_host(text: &str) -> Result<Host, Invalid> {
    if let Some(inner) = text.strip_prefix('[') {
        let ip = inner.strip_suffix(']').and_then(|inner| inner.parse::<Ipv6Addr>().ok());
        return ip
            .map(|ip| Host::Ip(ip.into()))
            .ok_or_else(|| Invalid::new(format!("`{text}` is not an IPv6 address")));
    }
    if let Ok(ip) = text.parse::<IpAddr>() {
        return match ip {
            IpAddr::V4(_) => Ok(Host::Ip(ip)),
            IpAddr::V6(_) => Err(Invalid::new("an IPv6 address needs brackets").hint(format!("write `[{text}]`"))),
        };
    }
    if text.is_empty() {
        return Err(Invalid::new("the URL has no host"));
    }
    if text.contains(':') {
        return Err(Invalid::new(format!("`{text}` is not a host")).hint("an IPv6 address needs brackets"));
    }
    let name = text.strip_suffix('.').unwrap_or(text);
    // RFC 1123 §2.1, and underscores, which service names in the field have.
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let numeric = name.rsplit('.').next().is_some_and(|last| last.bytes().all(|b| b.is_ascii_digit()));
    if name.len() > 253 || !name.split('.').all(label) || numeric {
        return Err(Invalid::new(format!("`{text}` is not a host")));
    }
    Ok(Host::Name(name.to_ascii_lowercase()))
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme, self.authority())
    }
}

text_form!(Url, "a URL such as `http://10.0.0.1:8080`", {
    "pattern": r"^(https?|h2c?|grpcs?|wss?)://[^/?#@]+/?$",
    "examples": ["http://10.0.0.1:8080", "https://users.internal", "grpc://[::1]:50051"],
});

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_every_scheme_with_its_port() {
        for (text, canonical, port) in [
            ("http://10.0.0.1", "http://10.0.0.1", 80),
            ("http://10.0.0.1:8080/", "http://10.0.0.1:8080", 8080),
            ("https://Users.Internal", "https://users.internal", 443),
            ("https://a:443", "https://a", 443),
            ("grpc://[::1]:50051", "h2c://[::1]:50051", 50051),
            ("grpcs://a", "h2://a", 443),
            ("ws://a", "http://a", 80),
            ("wss://a", "https://a", 443),
            ("h2c://my_service.ns.svc.:81", "h2c://my_service.ns.svc:81", 81),
        ] {
            let url: Url = text.parse().unwrap();
            assert_eq!((url.to_string().as_str(), url.port), (canonical, port), "{text}");
            assert_eq!(canonical.parse(), Ok(url));
        }
    }

    #[test]
    fn says_what_is_wrong() {
        for (text, message) in [
            ("10.0.0.1:8080", "`10.0.0.1:8080` is not a URL"),
            ("htp://a", "unknown scheme `htp`"),
            ("http://a/v1", "an endpoint has no path or query, but this one has `/v1`"),
            ("http://a?x=1", "an endpoint has no path or query, but this one has `?x=1`"),
            ("http://user:hunter2@a", "an endpoint must not hold credentials"),
            ("http://", "the URL has no host"),
            ("http://:80", "the URL has no host"),
            ("http://a:0", "`0` is not a port"),
            ("http://a:99999", "`99999` is not a port"),
            ("http://a:", "`` is not a port"),
            ("http://::1", "`:` is not a host"),
            ("http://[::1", "`[:` is not an IPv6 address"),
            ("http://300.1.1.1", "`300.1.1.1` is not a host"),
            ("http://-a", "`-a` is not a host"),
            ("http://a b", "`a b` is not a host"),
            ("http://a//", "an endpoint has no path or query, but this one has `/`"),
        ] {
            assert_eq!(text.parse::<Url>().unwrap_err().message, message, "{text}");
        }
    }
}
