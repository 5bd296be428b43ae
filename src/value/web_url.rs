//! A URL with a path, as documents and services of others have.

use super::form::text_form;
use super::{Invalid, Scheme, Url};
use std::fmt;
use std::str::FromStr;

/// An `http` or `https` URL with path and query, without credentials and fragment.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct WebUrl {
    /// Scheme, host and port.
    pub base: Url,
    /// Path and query; `/` where none is written.
    pub target: String,
    /// As written: issuers are compared by their text (OpenID Connect Discovery §3).
    text: String,
}

impl WebUrl {
    /// As written.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl FromStr for WebUrl {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let example = "write a URL such as `https://idp.example/keys`";
        let Some((scheme, rest)) = text.split_once("://") else {
            return Err(Invalid::new(format!("`{text}` is not a URL")).hint(example));
        };
        let (authority, target) = match rest.find(['/', '?', '#']) {
            Some(at) => rest.split_at_checked(at).unwrap_or((rest, "")),
            None => (rest, ""),
        };
        let base: Url = format!("{scheme}://{authority}").parse()?;
        if !matches!(base.scheme, Scheme::Http | Scheme::Https) {
            return Err(Invalid::new("the URL of a document is http or https").hint(example));
        }
        if target.contains('#') {
            return Err(Invalid::new("a fragment is never sent").hint("remove what stands after `#`"));
        }
        let target = if target.starts_with('/') { target.to_owned() } else { format!("/{target}") };
        if target.parse::<http::uri::PathAndQuery>().is_err() {
            return Err(Invalid::new(format!("`{target}` is not a path")).hint(example));
        }
        Ok(Self { base, target, text: text.to_owned() })
    }
}

impl fmt::Display for WebUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

text_form!(WebUrl, "an http or https URL such as `https://idp.example/keys`", {
    "pattern": "^https?://",
});

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splits_where_the_path_begins() {
        let url: WebUrl = "https://idp.example:8443/a/b?c=d".parse().unwrap();
        assert_eq!((url.base.to_string().as_str(), url.target.as_str()), ("https://idp.example:8443", "/a/b?c=d"));
        let bare: WebUrl = "http://127.0.0.1".parse().unwrap();
        assert_eq!((bare.target.as_str(), bare.as_str()), ("/", "http://127.0.0.1"));
        let query: WebUrl = "http://a?b=c".parse().unwrap();
        assert_eq!(query.target, "/?b=c");
    }

    #[test]
    fn refuses_what_cannot_be_asked() {
        for text in
            ["idp.example/keys", "ftp://a/b", "https://user:pw@idp/x", "https://a/b#c", "h2c://a/", "https://a/ b"]
        {
            assert!(text.parse::<WebUrl>().is_err(), "{text}");
        }
    }
}
