//! Origins (RFC 6454 §6.2; Fetch, "`Origin` header"), as operators list them and as browsers send them.
//!
//! An origin is compared as text, byte by byte: browsers serialise it in one way only, and whatever is spelled otherwise
//! was not sent by one.

use crate::value::Invalid;
use crate::value::form::text_form;
use std::fmt;
use std::net::Ipv6Addr;
use std::str::FromStr;

/// An origin as operators write it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OriginPattern {
    /// `*`: any.
    Any,
    /// `https://shop.example`.
    Exact(Box<str>),
    /// `https://*.shop.example`: every host below, at any depth, and not the host itself.
    Below {
        /// `https://`.
        scheme: Box<str>,
        /// `.shop.example`, with the port if there is one.
        suffix: Box<str>,
    },
}

impl OriginPattern {
    /// Whether it stands for every host of a whole top-level domain.
    pub fn is_boundless(&self) -> bool {
        matches!(self, Self::Below { suffix, .. } if !suffix.get(1..).is_some_and(|host| host.contains('.')))
    }
}

impl FromStr for OriginPattern {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let refuse = |message: String, hint: &str| Err(Invalid::new(message).hint(hint));
        match text {
            "*" => return Ok(Self::Any),
            "null" => {
                return refuse("`null` is no origin to list".into(), "any page can have the origin `null`; write `*`");
            }
            _ => {}
        }
        let Some((scheme, authority)) = text.split_once("://") else {
            return refuse(format!("`{text}` has no scheme"), "write an origin such as `https://shop.example`");
        };
        if let Some((origin, _)) = authority.split_once(['/', '?', '#']) {
            return Err(Invalid::new(format!("`{text}` is more than an origin"))
                .hint(format!("leave the path out: `{scheme}://{origin}`")));
        }
        if text.bytes().any(|byte| byte.is_ascii_uppercase()) {
            return Err(Invalid::new(format!("`{text}` is not as browsers send it"))
                .hint(format!("write it in lower case: `{}`", text.to_ascii_lowercase())));
        }
        if !is_scheme(scheme) {
            return refuse(format!("`{scheme}` is not a scheme"), "write `https` or `http`");
        }
        let below = authority.strip_prefix("*.");
        let (host, port) = split_port(below.unwrap_or(authority));
        if !(is_host(host) || below.is_none() && is_ipv6(host)) {
            return refuse(
                format!("`{authority}` is not a host"),
                "write a name such as `shop.example` in ASCII; `*.` may stand for sub-domains at its beginning",
            );
        }
        if let Some(port) = port
            && let Err(hint) = check_port(scheme, port)
        {
            return refuse(format!("`{text}` is not as browsers send it"), hint);
        }
        Ok(match below {
            Some(below) => Self::Below { scheme: format!("{scheme}://").into(), suffix: format!(".{below}").into() },
            None => Self::Exact(text.into()),
        })
    }
}

impl fmt::Display for OriginPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("*"),
            Self::Exact(origin) => f.write_str(origin),
            Self::Below { scheme, suffix } => write!(f, "{scheme}*{suffix}"),
        }
    }
}

text_form!(OriginPattern, "an origin such as `https://shop.example`, or `*`", {
    "examples": ["https://shop.example", "https://*.shop.example", "http://localhost:3000", "*"]
});

/// RFC 3986 §3.1, in lower case.
fn is_scheme(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_lowercase())
        && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"+-.".contains(&byte))
}

fn split_port(authority: &str) -> (&str, Option<&str>) {
    match authority.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, Some(port)),
        _ => (authority, None),
    }
}

/// Whether it is labels between single dots, in lower case: what a browser may send as a host.
fn is_host(text: &str) -> bool {
    let is_label = |label: &str| {
        !label.is_empty()
            && label.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_".contains(&byte))
    };
    text.split('.').all(is_label)
}

/// Whether it is an address in brackets, in the shortest form (RFC 5952).
fn is_ipv6(text: &str) -> bool {
    let address = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    address.is_some_and(|text| text.parse::<Ipv6Addr>().is_ok_and(|address| address.to_string() == text))
}

fn check_port(scheme: &str, port: &str) -> Result<(), &'static str> {
    match (scheme, port) {
        ("https", "443") | ("http", "80") => Err("browsers leave the usual port out; so must this"),
        _ if port.starts_with(|first: char| matches!(first, '1'..='9')) && port.parse::<u16>().is_ok() => Ok(()),
        _ => Err("write a port from 1 to 65535"),
    }
}

/// The compiled list.
#[derive(Clone, Debug, Default)]
pub struct Origins {
    /// Whether `*` is among them.
    pub any: bool,
    /// Sorted.
    exact: Vec<Box<str>>,
    below: Vec<(Box<str>, Box<str>)>,
}

impl Origins {
    /// A list of these.
    pub fn new<'a>(patterns: impl Iterator<Item = &'a OriginPattern>) -> Self {
        let mut origins = Self::default();
        for pattern in patterns {
            match pattern.clone() {
                OriginPattern::Any => origins.any = true,
                OriginPattern::Exact(origin) => origins.exact.push(origin),
                OriginPattern::Below { scheme, suffix } => origins.below.push((scheme, suffix)),
            }
        }
        origins.exact.sort_unstable();
        origins
    }

    /// Whether an origin, as it was sent, is among them.
    pub fn contains(&self, origin: &[u8]) -> bool {
        if self.any {
            return true;
        }
        let Ok(origin) = std::str::from_utf8(origin) else { return false };
        self.exact.binary_search_by(|known| (**known).cmp(origin)).is_ok()
            || self.below.iter().any(|(scheme, suffix)| {
                let host = origin.strip_prefix(&**scheme).and_then(|rest| rest.strip_suffix(&**suffix));
                host.is_some_and(is_host)
            })
    }
}

impl fmt::Display for Origins {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let any = self.any.then(|| "*".to_owned());
        let below = self.below.iter().map(|(scheme, suffix)| format!("{scheme}*{suffix}"));
        let all: Vec<String> = any.into_iter().chain(self.exact.iter().map(ToString::to_string)).chain(below).collect();
        f.write_str(&all.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origins(written: &[&str]) -> Origins {
        let patterns: Vec<OriginPattern> = written.iter().map(|text| text.parse().unwrap()).collect();
        Origins::new(patterns.iter())
    }

    #[test]
    fn an_origin_is_scheme_host_and_port_and_nothing_else() {
        let list =
            origins(&["https://shop.example", "http://localhost:3000", "http://[::1]:8080", "capacitor://localhost"]);
        for listed in ["https://shop.example", "http://localhost:3000", "http://[::1]:8080", "capacitor://localhost"] {
            assert!(list.contains(listed.as_bytes()), "{listed}");
        }
        for other in [
            "http://shop.example",
            "https://shop.example:443",
            "https://shop.example:8443",
            "https://shop.example.",
            "https://shop.example/",
            "https://Shop.example",
            "HTTPS://shop.example",
            "https://shop.example.evil",
            "https://evilshop.example",
            "https://evil.shop.example",
            "https://user@shop.example",
            "https://shop.example@evil",
            "https://shop.example ",
            " https://shop.example",
            "https://shop.example, https://evil",
            "https://shop.example https://evil",
            "https://shop.example\0",
            "https://shop。example",
            "http://localhost",
            "http://localhost:30000",
            "https://",
            "null",
            "*",
            "",
        ] {
            assert!(!list.contains(other.as_bytes()), "{other:?}");
        }
        assert!(!list.contains(b"https://shop.example\xff"));
    }

    #[test]
    fn a_wildcard_is_for_hosts_below_and_for_nothing_that_only_ends_alike() {
        let list = origins(&["https://*.shop.example", "http://*.dev.example:8080"]);
        for listed in [
            "https://eu.shop.example",
            "https://a.b.shop.example",
            "https://x_y-1.shop.example",
            "http://a.dev.example:8080",
        ] {
            assert!(list.contains(listed.as_bytes()), "{listed}");
        }
        for other in [
            "https://shop.example",
            "https://.shop.example",
            "https://..shop.example",
            "https://a..shop.example",
            "https://evilshop.example",
            "https://evil.example/.shop.example",
            "https://evil.example#.shop.example",
            "https://evil.example?.shop.example",
            "https://evil.example:1.shop.example",
            "https://evil.example\\.shop.example",
            "https://u:p@eu.shop.example",
            "https://evil@eu.shop.example",
            "https://evil.example%2f.shop.example",
            "https://eu.shop.example:8443",
            "https://eu.shop.example.",
            "https://eu.shop.example.evil",
            "https://EU.shop.example",
            "http://eu.shop.example",
            "http://a.dev.example",
            "http://a.dev.example:80800",
            "https://*.shop.example",
            "null",
        ] {
            assert!(!list.contains(other.as_bytes()), "{other:?}");
        }
    }

    #[test]
    fn any_is_any_even_null() {
        let list = origins(&["*"]);
        for origin in ["null", "https://a.example", "anything"] {
            assert!(list.contains(origin.as_bytes()));
        }
    }

    #[test]
    fn refuses_what_no_browser_sends_and_says_what_to_write() {
        for (text, hint) in [
            ("shop.example", "write an origin such as `https://shop.example`"),
            ("null", "any page can have the origin `null`; write `*`"),
            ("https://shop.example/", "leave the path out: `https://shop.example`"),
            ("https://shop.example/a?b", "leave the path out: `https://shop.example`"),
            ("https://Shop.example", "write it in lower case: `https://shop.example`"),
            ("https://shop.example:443", "browsers leave the usual port out; so must this"),
            ("http://shop.example:80", "browsers leave the usual port out; so must this"),
            ("https://shop.example:0", "write a port from 1 to 65535"),
            ("https://shop.example:65536", "write a port from 1 to 65535"),
            ("1https://shop.example", "write `https` or `http`"),
        ] {
            let invalid = text.parse::<OriginPattern>().unwrap_err();
            assert_eq!(invalid.hint.as_deref(), Some(hint), "{text}");
        }
        for text in [
            "https://",
            "https://*",
            "https://*shop.example",
            "https://a.*.example",
            "https://*.*.example",
            "https://*.[::1]",
            "https://shop.example.",
            "https://.shop.example",
            "https://shop..example",
            "https://user@shop.example",
            "https://shop.example:",
            "https://shop.example:+1",
            "https://bücher.example",
            "http://[0:0::1]",
            "https:// shop.example",
        ] {
            assert!(text.parse::<OriginPattern>().is_err(), "{text}");
        }
    }

    #[test]
    fn is_written_as_it_was_read() {
        for text in ["*", "https://shop.example", "https://*.shop.example:8443"] {
            assert_eq!(text.parse::<OriginPattern>().unwrap().to_string(), text);
        }
        assert!("https://*.com".parse::<OriginPattern>().unwrap().is_boundless());
        assert!(!"https://*.shop.example".parse::<OriginPattern>().unwrap().is_boundless());
    }
}
