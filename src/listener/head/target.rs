//! The request target, as far as it must be sound before anyone parses it (RFC 9112 §3.2).

use super::check::{HeadError, all, bad};

/// Checks a target of printable ASCII: `/path?query`, `*`, or `http://authority/path?query`; gives back the authority.
///
/// # Errors
/// Another form, an authority with user information or that is none, and characters that URI parsers take for the end of
/// the target or refuse. Characters that clients do leave unencoded (WHATWG URL, "query state") pass.
pub(super) fn check_target(target: &[u8]) -> Result<Option<&[u8]>, HeadError> {
    if target == b"*" {
        return Ok(None);
    }
    let (authority, rest) = match after_scheme(target) {
        Some(after) => {
            let end = after.iter().position(|byte| matches!(byte, b'/' | b'?')).unwrap_or(after.len());
            let (authority, rest) = after.split_at(end);
            (Some(authority), rest)
        }
        None if target.starts_with(b"/") => (None, target),
        None => return Err(bad("The request target is neither a path nor a URL of http or https.")),
    };
    if authority.is_some_and(|text| text.contains(&b'@') || http::uri::Authority::try_from(text).is_err()) {
        return Err(bad("The request target names no host."));
    }
    let path_length = rest.iter().position(|byte| *byte == b'?').unwrap_or(rest.len());
    let (path, query) = rest.split_at(path_length);
    if !all(path, |byte| !is_unsound(byte) && byte != b'`') || !all(query, |byte| !is_unsound(byte)) {
        return Err(bad("The request target holds characters that must be percent-encoded."));
    }
    Ok(authority)
}

fn after_scheme(target: &[u8]) -> Option<&[u8]> {
    [&b"http://"[..], b"https://"].iter().find_map(|scheme| {
        let (start, rest) = target.split_at_checked(scheme.len())?;
        start.eq_ignore_ascii_case(scheme).then_some(rest)
    })
}

fn is_unsound(byte: u8) -> bool {
    matches!(byte, b'"' | b'<' | b'>' | b'#')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_and_urls_pass_and_urls_give_their_authority() {
        for target in ["/", "/a?b", "*", "/a|b^{}\\?`|^{}\\"] {
            assert_eq!(check_target(target.as_bytes()), Ok(None), "{target}");
        }
        assert_eq!(check_target(b"http://a.example:80/x"), Ok(Some(&b"a.example:80"[..])));
        assert_eq!(check_target(b"HTTPS://[::1]"), Ok(Some(&b"[::1]"[..])));
        assert_eq!(check_target(b"http://a?b"), Ok(Some(&b"a"[..])));
    }

    #[test]
    fn whatever_a_parser_would_refuse_or_cut_is_refused_here() {
        let targets = ["a", "a:443", "ftp://a/", "http:///x", "http://u@a/", "http://[::1/", "/a#b", "/<", "/?>", "/`"];
        for target in targets {
            assert!(check_target(target.as_bytes()).is_err(), "{target}");
        }
    }
}
