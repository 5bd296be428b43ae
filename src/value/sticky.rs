//! What keeps a request at one of several upstreams (`sticky:`).

use super::form::text_form;
use super::{Duration, Invalid};
use http::HeaderName;
use std::fmt;
use std::str::FromStr;

/// The name of a cookie that has been given none.
const COOKIE: &str = "tollgate_split";
/// How long a cookie lasts.
const LASTS: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// What keeps a request at one of several upstreams.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sticky {
    /// The caller.
    Consumer,
    /// The client's address.
    Client,
    /// A header.
    Header(HeaderName),
    /// A cookie of the gateway's own.
    Cookie {
        /// Its name.
        name: String,
        /// How long browsers keep it.
        lasts: Duration,
    },
}

impl FromStr for Sticky {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let wrong = || {
            Invalid::new(format!("`{text}` is nothing to keep a request by"))
                .hint("write `consumer`, `client`, `header X-Name`, `cookie`, or `cookie name for 30d`")
        };
        let words: Vec<&str> = text.split_whitespace().collect();
        let (name, lasts) = match words.as_slice() {
            ["consumer"] => return Ok(Self::Consumer),
            ["client"] => return Ok(Self::Client),
            ["header", name] => return name.parse().map(Self::Header).map_err(|_| wrong()),
            ["cookie"] => (COOKIE, LASTS),
            ["cookie", "for", lasts] => (COOKIE, lasts.parse()?),
            ["cookie", name] => (*name, LASTS),
            ["cookie", name, "for", lasts] => (*name, lasts.parse()?),
            _ => return Err(wrong()),
        };
        // RFC 6265 §4.1.1: the name is a token, as that of a field is.
        if HeaderName::from_bytes(name.as_bytes()).is_err() || lasts.get().as_secs() == 0 {
            return Err(wrong());
        }
        Ok(Self::Cookie { name: name.to_owned(), lasts })
    }
}

impl fmt::Display for Sticky {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Consumer => f.write_str("consumer"),
            Self::Client => f.write_str("client"),
            Self::Header(name) => write!(f, "header {name}"),
            Self::Cookie { name, lasts } => write!(f, "cookie {name} for {lasts}"),
        }
    }
}
text_form!(Sticky, "consumer, client, header NAME, cookie, or cookie NAME for 30d", {
    "examples": ["consumer", "cookie", "cookie canary for 7d", "header X-Tenant"],
});

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_form_reads_back_as_it_is_written() {
        for (text, long) in [
            ("consumer", "consumer"),
            ("client", "client"),
            ("header X-Tenant", "header x-tenant"),
            ("cookie", "cookie tollgate_split for 30d"),
            ("cookie canary", "cookie canary for 30d"),
            ("cookie for 1h", "cookie tollgate_split for 1h"),
            ("cookie canary for 7d", "cookie canary for 7d"),
        ] {
            let read: Sticky = text.parse().unwrap();
            assert_eq!(read.to_string(), long);
            assert_eq!(long.parse::<Sticky>().unwrap(), read);
        }
        for text in
            ["", "session", "header", "header a b", "cookie a;b", "cookie a for 0s", "cookie a for ever", "client x"]
        {
            assert!(text.parse::<Sticky>().is_err(), "{text}");
        }
    }
}
