//! Host names in one spelling, and the patterns they are matched against.

use std::borrow::Cow;
use std::fmt;
use std::net::Ipv6Addr;

use super::PatternError;
use super::target::split_at_byte;

/// The longest name DNS can carry, in bytes without the final dot (RFC 1035 §2.3.4).
const LONGEST_NAME: usize = 253;
/// The longest label of a name (RFC 1035 §2.3.4).
const LONGEST_LABEL: usize = 63;

/// A host in normal form: lower case, without a final dot, an IPv6 address in its shortest form within brackets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NormalHost<'a> {
    name: Cow<'a, str>,
    port: Option<u16>,
}

impl<'a> NormalHost<'a> {
    /// The host as text, without the port.
    pub fn as_str(&self) -> &str {
        &self.name
    }

    /// The port, where one was written.
    pub fn port(&self) -> Option<u16> {
        self.port
    }

    /// The text; borrowed when the request spelled it in normal form.
    pub fn into_text(self) -> Cow<'a, str> {
        self.name
    }
}

/// Why an authority names no host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BadHost {
    /// Nothing before the port, or an empty label.
    Empty,
    /// `user@` before the host, which RFC 9110 §4.2.4 forbids.
    UserInfo,
    /// A character that no host name holds; names beyond ASCII travel as A-labels (RFC 5890).
    Character,
    /// Brackets around something that is not an IPv6 address.
    Address,
    /// A port that is not a number below 65,536.
    Port,
    /// A name over 253 bytes or a label over 63.
    TooLong,
}

impl fmt::Display for BadHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "the host or one of its labels is empty",
            Self::UserInfo => "the host holds user information",
            Self::Character => "the host holds a character that no host name may hold",
            Self::Address => "the host is not a valid IPv6 address",
            Self::Port => "the port is not a number below 65536",
            Self::TooLong => "the host name is too long",
        })
    }
}

impl std::error::Error for BadHost {}

/// Brings the authority of a request (`Host`, `:authority`, or that of an absolute-form target) into normal form.
///
/// # Errors
///
/// [`BadHost`] when it names no host; the request is then answered 400.
pub fn normalise_host(authority: &str) -> Result<NormalHost<'_>, BadHost> {
    // No host holds an `@`: it is looked for only to say what is wrong.
    read_host(authority).map_err(|bad| if authority.contains('@') { BadHost::UserInfo } else { bad })
}

fn read_host(authority: &str) -> Result<NormalHost<'_>, BadHost> {
    if let Some(bracketed) = authority.strip_prefix('[') {
        let (address, rest) = bracketed.split_once(']').ok_or(BadHost::Address)?;
        let address: Ipv6Addr = address.parse().map_err(|_| BadHost::Address)?;
        let port = match rest.strip_prefix(':') {
            Some(port) => parse_port(port)?,
            None if rest.is_empty() => None,
            None => return Err(BadHost::Character),
        };
        return Ok(NormalHost { name: Cow::Owned(format!("[{address}]")), port });
    }
    let (name, port) = split_at_byte(authority, b':').unwrap_or((authority, ""));
    let port = parse_port(port)?;
    let name = name.strip_suffix('.').unwrap_or(name);
    check_name(name)?;
    let name = match name.bytes().any(|byte| byte.is_ascii_uppercase()) {
        true => Cow::Owned(name.to_ascii_lowercase()),
        false => Cow::Borrowed(name),
    };
    Ok(NormalHost { name, port })
}

/// RFC 3986 §3.2.3 allows an empty port after the colon.
fn parse_port(digits: &str) -> Result<Option<u16>, BadHost> {
    match digits {
        "" => Ok(None),
        _ if digits.bytes().all(|byte| byte.is_ascii_digit()) => digits.parse().map(Some).map_err(|_| BadHost::Port),
        _ => Err(BadHost::Port),
    }
}

/// Checks a name without port and final dot. Underscores are allowed, as names with them are in use.
fn check_name(name: &str) -> Result<(), BadHost> {
    if name.len() > LONGEST_NAME {
        return Err(BadHost::TooLong);
    }
    let mut label = 0_usize;
    for byte in name.bytes() {
        match byte {
            b'.' if label == 0 => return Err(BadHost::Empty),
            b'.' => label = 0,
            _ if !is_name_byte(byte) => return Err(BadHost::Character),
            _ if label == LONGEST_LABEL => return Err(BadHost::TooLong),
            _ => label += 1,
        }
    }
    if label == 0 { Err(BadHost::Empty) } else { Ok(()) }
}

fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')
}

/// Which hosts a route is for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum HostPattern {
    /// This host only, in normal form.
    Exact(Box<str>),
    /// Every name of one or more labels before this suffix, kept without `*.`: `*.example.com` matches
    /// `a.example.com` and `b.a.example.com`, not `example.com`.
    Wildcard(Box<str>),
}

impl HostPattern {
    /// Reads `api.example.com`, `*.example.com`, `192.0.2.1` or `[2001:db8::1]`, in any case, without a port.
    ///
    /// # Errors
    ///
    /// [`PatternError`] with the place in `text` and what to write instead.
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        let (name, wildcard) = match text.strip_prefix("*.") {
            Some(suffix) => (suffix, true),
            None => (text, false),
        };
        let offset = text.len() - name.len();
        if text == "*" {
            return Err(PatternError::new(0, "a host pattern of `*` alone says nothing")
                .hint("leave `host` out to match every host"));
        }
        if let Some(star) = name.find('*') {
            return Err(PatternError::new(offset + star, "`*` stands only for whole labels at the front of a host")
                .hint("write `*.example.com`"));
        }
        let host = normalise_host(name).map_err(|bad| refusal(name, offset, bad))?;
        if host.port.is_some() || (name.ends_with(':')) {
            let colon = name.rfind(':').unwrap_or(0);
            return Err(PatternError::new(offset + colon, "a host pattern has no port")
                .hint(format!("write `{}`; ports belong to listeners", text.get(..offset + colon).unwrap_or(text))));
        }
        match (wildcard, host.name.starts_with('[')) {
            (true, true) => Err(PatternError::new(0, "an address has no subdomains").hint("leave `*.` out")),
            (true, false) => Ok(Self::Wildcard(host.name.into())),
            (false, _) => Ok(Self::Exact(host.name.into())),
        }
    }

    /// Whether it matches a host in normal form.
    pub fn matches(&self, host: &str) -> bool {
        match self {
            Self::Exact(name) => **name == *host,
            Self::Wildcard(suffix) => host
                .strip_suffix(&**suffix)
                .and_then(|front| front.strip_suffix('.'))
                .is_some_and(|front| !front.is_empty()),
        }
    }

    /// How specific it is; the greater is tried first.
    pub(super) fn rank(&self) -> usize {
        match self {
            Self::Exact(_) => usize::MAX,
            Self::Wildcard(suffix) => suffix.len(),
        }
    }
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(name) => f.write_str(name),
            Self::Wildcard(suffix) => write!(f, "*.{suffix}"),
        }
    }
}

/// Places the reason for a refused pattern at the first character to blame.
fn refusal(name: &str, offset: usize, bad: BadHost) -> PatternError {
    let at = match bad {
        BadHost::Empty => name.find("..").map_or(0, |at| at + 1),
        BadHost::UserInfo => name.find('@').unwrap_or(0),
        BadHost::Character => name.find(|c: char| !c.is_ascii_alphanumeric() && !"-_.".contains(c)).unwrap_or(0),
        BadHost::Port => name.find(':').unwrap_or(0),
        BadHost::Address | BadHost::TooLong => 0,
    };
    let error = PatternError::new(offset + at, bad.to_string());
    match bad {
        BadHost::Character if !name.is_ascii() => error.hint("write the name in its ASCII form (`xn--…`)"),
        BadHost::Character if name.contains('/') => error.hint("write the host name only, without scheme and path"),
        BadHost::Port if name.contains("://") => error.hint("write the host name only, without scheme and path"),
        _ => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn normal(authority: &str) -> Result<(String, Option<u16>), BadHost> {
        normalise_host(authority).map(|host| (host.as_str().to_owned(), host.port()))
    }

    #[test]
    fn gives_a_host_one_spelling() {
        for (written, name, port) in [
            ("example.com", "example.com", None),
            ("EXAMPLE.com", "example.com", None),
            ("example.com.", "example.com", None),
            ("Example.Com.:8080", "example.com", Some(8080)),
            ("example.com:", "example.com", None),
            ("a_b.example", "a_b.example", None),
            ("192.0.2.1:80", "192.0.2.1", Some(80)),
            ("[2001:DB8:0::1]", "[2001:db8::1]", None),
            ("[::1]:8443", "[::1]", Some(8443)),
        ] {
            assert_eq!(normal(written), Ok((name.to_owned(), port)), "{written}");
        }
        assert!(matches!(normalise_host("example.com:80").unwrap().into_text(), Cow::Borrowed(_)));
    }

    #[test]
    fn refuses_what_names_no_host() {
        let label = "a".repeat(64);
        let name = "a.".repeat(127);
        for (written, reason) in [
            ("", BadHost::Empty),
            (".", BadHost::Empty),
            (":80", BadHost::Empty),
            ("a..b", BadHost::Empty),
            ("a.b..", BadHost::Empty),
            (".a", BadHost::Empty),
            ("user@example.com", BadHost::UserInfo),
            ("u:p@example.com", BadHost::UserInfo),
            ("exa mple.com", BadHost::Character),
            ("example.com/x", BadHost::Character),
            ("ex%61mple.com", BadHost::Character),
            ("bücher.example", BadHost::Character),
            ("a,b", BadHost::Character),
            ("a\0b", BadHost::Character),
            ("a\\b", BadHost::Character),
            ("*.example.com", BadHost::Character),
            ("example.com:80:90", BadHost::Port),
            ("example.com:+80", BadHost::Port),
            ("example.com:65536", BadHost::Port),
            ("::1", BadHost::Port),
            ("[::1", BadHost::Address),
            ("[::1%25eth0]", BadHost::Address),
            ("[example.com]", BadHost::Address),
            ("[::1]x", BadHost::Character),
            (&label, BadHost::TooLong),
            (&name, BadHost::TooLong),
        ] {
            let refused = normal(written);
            // 127 labels of one letter and their dots are 253 bytes, still a name.
            if written == name {
                assert!(refused.is_ok());
                assert_eq!(normal(&format!("b{name}")), Err(reason));
            } else {
                assert_eq!(refused, Err(reason), "{written}");
            }
        }
    }

    #[test]
    fn a_wildcard_stands_for_one_or_more_labels() {
        let pattern = HostPattern::parse("*.Example.com").unwrap();
        assert_eq!(pattern.to_string(), "*.example.com");
        for (host, expected) in [
            ("a.example.com", true),
            ("b.a.example.com", true),
            ("example.com", false),
            ("badexample.com", false),
            (".example.com", false),
            ("example.com.evil", false),
        ] {
            assert_eq!(pattern.matches(host), expected, "{host}");
        }
    }

    #[test]
    fn refuses_host_patterns_at_the_place_to_blame() {
        for (text, offset) in [
            ("*", 0),
            ("*.*.com", 2),
            ("a*.com", 1),
            ("*.", 2),
            ("a.com:80", 5),
            ("*.a.com:80", 7),
            ("a b", 1),
            ("a..b", 2),
            ("*.[::1]", 0),
            ("u@h", 1),
            ("http://a.com", 4),
        ] {
            let error = HostPattern::parse(text).expect_err(text);
            assert_eq!(error.offset, offset, "{text}: {error}");
        }
    }
}
