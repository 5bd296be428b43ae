//! Signs in a request by which it goes past the cache.

use crate::request::{Headers, cookie};
use crate::value::Invalid;
use crate::value::form::text_form;
use http::HeaderName;
use std::fmt;
use std::str::FromStr;

/// Something a request has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sign {
    /// A header field.
    Header(HeaderName),
    /// A cookie (RFC 6265 §4.2).
    Cookie(Box<str>),
    /// A parameter of the query.
    Query(Box<str>),
}

impl Sign {
    /// Whether the request has it.
    pub fn is_in(&self, headers: &dyn Headers, query: Option<&str>) -> bool {
        match self {
            Self::Header(name) => headers.first(name).is_some(),
            Self::Cookie(name) => cookie(headers, name).is_some(),
            Self::Query(name) => {
                form_urlencoded::parse(query.unwrap_or_default().as_bytes()).any(|(key, _)| key == **name)
            }
        }
    }
}

impl FromStr for Sign {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let wrong = || {
            Invalid::new(format!("`{text}` is nothing to look for in a request"))
                .hint("write `header X-Name`, `cookie name` or `query name`")
        };
        let (kind, name) = text.split_once(' ').map(|(kind, name)| (kind, name.trim())).ok_or_else(wrong)?;
        match kind {
            "header" => name.parse().map(Self::Header).map_err(|_| wrong()),
            "cookie" if !name.is_empty() && !name.contains(' ') => Ok(Self::Cookie(name.into())),
            "query" if !name.is_empty() => Ok(Self::Query(name.into())),
            _ => Err(wrong()),
        }
    }
}

impl fmt::Display for Sign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Header(name) => write!(f, "header {name}"),
            Self::Cookie(name) => write!(f, "cookie {name}"),
            Self::Query(name) => write!(f, "query {name}"),
        }
    }
}
text_form!(Sign, "`header X-Name`, `cookie name` or `query name`", { "examples": ["cookie session", "query preview"] });
