//! The parts of a request target (RFC 9112 §3.2).

use std::fmt;

/// A request target, cut into its parts but otherwise as it was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SplitTarget<'a> {
    /// Host and port of an absolute-form target; it stands in for the `Host` field (RFC 9112 §3.2.2).
    pub authority: Option<&'a str>,
    /// The path, to be normalised; `*` for the asterisk form, never empty.
    pub path: &'a str,
    /// What follows the first `?`, without it.
    pub query: Option<&'a str>,
}

/// Why a request target cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BadTarget {
    /// Neither origin, absolute nor asterisk form. The authority form belongs to `CONNECT`, which a gateway refuses.
    Form,
    /// An absolute form whose scheme is not `http` or `https`.
    Scheme,
    /// A fragment, which is never sent (RFC 9110 §7.1).
    Fragment,
    /// An absolute form without an authority.
    NoAuthority,
}

impl fmt::Display for BadTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Form => "the request target is neither a path nor a URL",
            Self::Scheme => "the scheme of the request target is not http or https",
            Self::Fragment => "the request target holds a fragment",
            Self::NoAuthority => "the request target names no host",
        })
    }
}

impl std::error::Error for BadTarget {}

/// Cuts a request target in origin form (`/p?q`), absolute form (`http://host/p?q`) or asterisk form (`*`).
///
/// # Errors
///
/// [`BadTarget`] for every other form; the request is then answered 400.
pub fn split_target(target: &str) -> Result<SplitTarget<'_>, BadTarget> {
    if memchr::memchr(b'#', target.as_bytes()).is_some() {
        return Err(BadTarget::Fragment);
    }
    if target == "*" {
        return Ok(SplitTarget { authority: None, path: target, query: None });
    }
    let (authority, rest) = match target.starts_with('/') {
        true => (None, target),
        false => split_absolute(target).map(|(authority, rest)| (Some(authority), rest))?,
    };
    let (path, query) = match split_at_byte(rest, b'?') {
        Some((path, query)) => (path, Some(query)),
        None => (rest, None),
    };
    // An empty path equals "/" (RFC 9110 §4.2.3).
    Ok(SplitTarget { authority, path: if path.is_empty() { "/" } else { path }, query })
}

/// What stands before and behind the first such byte, an ASCII character: `split_once` by the processor's own search.
pub(super) fn split_at_byte(text: &str, byte: u8) -> Option<(&str, &str)> {
    let at = memchr::memchr(byte, text.as_bytes())?;
    Some((text.get(..at)?, text.get(at + 1..)?))
}

/// The authority of an absolute form, and what follows it.
fn split_absolute(target: &str) -> Result<(&str, &str), BadTarget> {
    let (scheme, rest) = target.split_once("://").ok_or(BadTarget::Form)?;
    if !scheme.eq_ignore_ascii_case("http") && !scheme.eq_ignore_ascii_case("https") {
        return Err(BadTarget::Scheme);
    }
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    match rest.split_at_checked(end) {
        None | Some(("", _)) => Err(BadTarget::NoAuthority),
        Some(parts) => Ok(parts),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splits_the_three_forms() {
        let split = |text| split_target(text).map(|t| (t.authority, t.path, t.query));
        assert_eq!(split("/a?b?c"), Ok((None, "/a", Some("b?c"))));
        assert_eq!(split("/a"), Ok((None, "/a", None)));
        assert_eq!(split("/a?"), Ok((None, "/a", Some(""))));
        assert_eq!(split("*"), Ok((None, "*", None)));
        assert_eq!(split("http://h:80/a?b"), Ok((Some("h:80"), "/a", Some("b"))));
        assert_eq!(split("HTTPS://h"), Ok((Some("h"), "/", None)));
        assert_eq!(split("http://h?b"), Ok((Some("h"), "/", Some("b"))));
        assert_eq!(split("//h/a"), Ok((None, "//h/a", None)));
        assert_eq!(split("/a?u=http://x/"), Ok((None, "/a", Some("u=http://x/"))));
    }

    #[test]
    fn refuses_every_other_form() {
        assert_eq!(split_target("h:443"), Err(BadTarget::Form));
        assert_eq!(split_target(""), Err(BadTarget::Form));
        assert_eq!(split_target("a/b"), Err(BadTarget::Form));
        assert_eq!(split_target("ftp://h/"), Err(BadTarget::Scheme));
        assert_eq!(split_target("/a://b").map(|t| t.path), Ok("/a://b"));
        assert_eq!(split_target("http:///a"), Err(BadTarget::NoAuthority));
        assert_eq!(split_target("/a#b"), Err(BadTarget::Fragment));
        assert_eq!(split_target("/a?b#c"), Err(BadTarget::Fragment));
    }
}
