//! Which media types a policy is for.

use crate::policy::Setup;
use crate::value::Spanned;
use std::fmt;

/// Patterns of media types: whole ones, `text/*`, `*+json`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MediaTypes(Box<[Box<str>]>);

impl MediaTypes {
    /// Compiles what is written; what is no pattern is a problem at its place.
    pub fn compile(written: &[Spanned<String>], setup: &mut Setup<'_>) -> Self {
        let mut all: Vec<Box<str>> = Vec::new();
        for kind in written {
            let text = kind.value.to_ascii_lowercase();
            if is_pattern(&text) {
                all.push(text.into());
            } else {
                setup
                    .problems
                    .error(kind.place, format!("`{}` is no media type", kind.value))
                    .hint("write one such as `application/json`, `text/*` or `*+json`");
            }
        }
        Self(all.into())
    }

    /// Whether one of them stands for the value of a `Content-Type`, whatever its parameters.
    pub fn contain(&self, content_type: &[u8]) -> bool {
        let kind = content_type.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
        self.0.iter().any(|pattern| covers(pattern.as_bytes(), kind))
    }
}

impl fmt::Display for MediaTypes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join(", "))
    }
}

fn covers(pattern: &[u8], kind: &[u8]) -> bool {
    match pattern {
        [front @ .., b'*'] => kind.get(..front.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(front)),
        [b'*', back @ ..] => {
            let start = kind.len().saturating_sub(back.len());
            kind.get(start..).is_some_and(|end| end.eq_ignore_ascii_case(back))
        }
        _ => pattern.eq_ignore_ascii_case(kind),
    }
}

fn is_pattern(text: &str) -> bool {
    let sound = |part: &str| {
        !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&byte))
    };
    match (text.strip_prefix("*+"), text.split_once('/')) {
        (Some(suffix), _) => sound(suffix),
        (None, Some((front, "*"))) => sound(front),
        (None, Some((front, back))) => sound(front) && sound(back.strip_suffix('*').unwrap_or(back)),
        (None, None) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_cover_whole_types_families_and_suffixes() {
        let types = MediaTypes(["application/json".into(), "text/*".into(), "*+json".into()].into());
        for kind in ["application/json", "Application/JSON; charset=utf-8", "text/html", "application/problem+json"] {
            assert!(types.contain(kind.as_bytes()), "{kind}");
        }
        for kind in ["", "application/jsonx", "image/png", "application/json+xml", "xtext/html", "json"] {
            assert!(!types.contain(kind.as_bytes()), "{kind}");
        }
    }

    #[test]
    fn what_is_a_pattern() {
        for good in ["text/html", "text/*", "*+json", "application/vnd.a.b-c+xml", "application/vnd.a.*"] {
            assert!(is_pattern(good), "{good}");
        }
        for bad in ["", "*", "*/*", "text", "text/", "/html", "text/html; q=1", "*json", "te*/x"] {
            assert!(!is_pattern(bad), "{bad}");
        }
    }
}
