//! The path a browser comes back to after a login.

use percent_encoding::percent_decode_str;

/// A longer way back is not kept: several logins beside a large session must fit into the head of a request.
const LONGEST_RETURN: usize = 1024;
/// So often a path is decoded in search of another meaning.
const DECODINGS: usize = 4;

/// The path and query to come back to; `/` for what a browser might take for another place than this origin.
pub fn return_to(path: &str, query: Option<&str>) -> String {
    let whole = match query {
        Some(query) => format!("{path}?{query}"),
        None => path.to_owned(),
    };
    if is_local(&whole) { whole } else { "/".to_owned() }
}

/// Whether every browser takes the text for a path of the page's own origin (WHATWG URL, "path-absolute-URL string"):
/// `//host`, `/\host` and all that becomes one of them by decoding or by dropping tabs and line ends are not.
pub fn is_local(text: &str) -> bool {
    if text.len() > LONGEST_RETURN || !text.bytes().all(|byte| byte.is_ascii_graphic()) || text.contains(['\\', '#']) {
        return false;
    }
    let path = text.split('?').next().unwrap_or_default();
    let mut form = path.to_owned();
    for _ in 0..DECODINGS {
        if !is_plain_path(&form) {
            return false;
        }
        let Ok(decoded) = percent_decode_str(&form).decode_utf8().map(std::borrow::Cow::into_owned) else {
            return false;
        };
        if decoded == form {
            return true;
        }
        form = decoded;
    }
    // Encoded more often than anybody does by accident.
    false
}

fn is_plain_path(path: &str) -> bool {
    let mut characters = path.chars();
    characters.next() == Some('/')
        && !matches!(characters.next(), Some('/' | '\\'))
        && !path.chars().any(|c| c.is_control() || c == '\\')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_paths_of_the_same_origin_are_kept() {
        for kept in [
            "/",
            "/orders",
            "/orders/7?x=1&y=/%2F%2Fz",
            "/a//b",
            "/a%2Fb",
            "/caf%C3%A9",
            "/a%20b",
            "/?next=https://evil.example",
            "/a/..;/b",
        ] {
            assert!(is_local(kept), "{kept}");
            assert_eq!(return_to(kept, None), kept);
        }
        for refused in [
            "",
            "orders",
            "//evil.example",
            "///evil.example",
            "/\\evil.example",
            "\\\\evil.example",
            "\\/evil.example",
            "https://evil.example/",
            "https:evil.example",
            "javascript:alert(1)",
            "data:text/html,x",
            "/\t/evil.example",
            "/\n/evil.example",
            "/\r\nLocation: https://evil.example",
            " /evil.example",
            "/ /evil.example",
            "\u{0}/x",
            "/%2f/evil.example",
            "/%2F%2Fevil.example",
            "/%5cevil.example",
            "/%5C%5Cevil.example",
            "/%252f%252fevil.example",
            "/%255cevil.example",
            "/%25252fevil.example",
            "/%09/evil.example",
            "/a%0d%0aSet-Cookie:x=y",
            "/%00",
            "/a%5cb",
            "/#//evil.example",
            "/%ff",
            "/\u{2028}/evil",
            "/。evil.example",
            "/%252525252525252525252fevil",
        ] {
            assert!(!is_local(refused), "{refused:?}");
            assert_eq!(return_to(refused, None), "/", "{refused:?}");
        }
        assert_eq!(return_to("/a", Some("b=c")), "/a?b=c");
        assert_eq!(return_to("/a", Some(&"x".repeat(LONGEST_RETURN))), "/");
    }
}
