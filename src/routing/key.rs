//! The key of a route as it is written: `GET /orders/{id}`.

use std::fmt;

use super::{Methods, PathPattern, PatternError};

/// Methods and path of a route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RouteKey {
    /// Any, where none is written.
    pub methods: Methods,
    /// The path pattern.
    pub path: PathPattern,
}

impl RouteKey {
    /// Reads a path pattern, and before it, with a space between, method names separated by commas or `|`.
    ///
    /// # Errors
    ///
    /// [`PatternError`] with the place in `text` and what to write instead.
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        let names_only = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_uppercase());
        // The path is behind the first space before a `/` or `~`; a list of methods may hold spaces too.
        let space = text.find(" /").into_iter().chain(text.find(" ~")).min().or_else(|| text.rfind(' '));
        let (methods, path) = match space.and_then(|space| text.split_at_checked(space)) {
            _ if text.starts_with(['/', '~']) => (Methods::Any, text),
            Some((methods, path)) => (Methods::parse(methods.trim_end())?, path.trim_start_matches(' ')),
            None if names_only(text) => (Methods::Any, ""),
            None => (Methods::Any, text),
        };
        if path.is_empty() {
            return Err(PatternError::new(text.len(), "a path is missing after the method")
                .hint(format!("write `{} /**` for every path", text.trim())));
        }
        let path = PathPattern::parse(path).map_err(|error| error.shifted(text.len() - path.len()))?;
        Ok(Self { methods, path })
    }
}

impl fmt::Display for RouteKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.methods {
            Methods::Any => self.path.fmt(f),
            Methods::Named(set) => write!(f, "{} {}", set.iter().collect::<Vec<_>>().join(","), self.path),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_methods_before_the_path() {
        for (text, written) in [
            ("/a", "/a"),
            ("GET /a/{id}", "GET /a/{id}"),
            ("POST, GET /a", "GET,POST /a"),
            ("PUT|PATCH  /a", "PUT,PATCH /a"),
            ("~/a b", "~/a b"),
            ("GET ~/(a /b)", "GET ~/(a /b)"),
        ] {
            let key = RouteKey::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!(key.to_string(), written, "{text}");
        }
    }

    #[test]
    fn refuses_a_key_at_the_place_to_blame() {
        for (text, offset) in [
            ("GET", 3),
            ("GET ", 4),
            ("get /a", 0),
            ("GET /a//b", 7),
            ("orders", 0),
            ("", 0),
            ("GET a", 4),
            ("GET ~(", 5),
        ] {
            assert_eq!(RouteKey::parse(text).map_err(|error| error.offset), Err(offset), "{text}");
        }
    }
}
