//! What a body is: its format and its charset, by its `Content-Type`.

use super::json::Unfit;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// A format that bodies are read from and written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// `application/json`, `*+json`.
    Json,
    /// `application/xml`, `text/xml`, `*+xml`.
    Xml,
    /// `application/x-www-form-urlencoded`.
    Form,
}

impl Format {
    /// The format of a media type.
    pub fn of(content_type: &[u8]) -> Option<Self> {
        let kind = content_type.split(|byte| *byte == b';').next()?.trim_ascii().to_ascii_lowercase();
        match kind.as_slice() {
            b"application/json" | b"text/json" => Some(Self::Json),
            b"application/xml" | b"text/xml" => Some(Self::Xml),
            b"application/x-www-form-urlencoded" => Some(Self::Form),
            kind if kind.ends_with(b"+json") => Some(Self::Json),
            kind if kind.ends_with(b"+xml") => Some(Self::Xml),
            _ => None,
        }
    }

    /// Its media type.
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Xml => "application/xml",
            Self::Form => "application/x-www-form-urlencoded",
        }
    }

    /// As it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Xml => "xml",
            Self::Form => "form",
        }
    }
}

/// A charset that is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Charset {
    /// UTF-8, of which ASCII is a part; a byte order mark at its front is dropped.
    Utf8,
    /// ISO-8859-1.
    Latin1,
}

impl Charset {
    /// The charset of a media type: what its parameter says, else UTF-8.
    ///
    /// # Errors
    /// One that is not read.
    pub fn of(content_type: &[u8]) -> Result<Self, Unfit> {
        let mut parameters = content_type.split(|byte| *byte == b';').skip(1).map(<[u8]>::trim_ascii);
        let charset = parameters.find_map(|parameter| {
            let (name, value) = parameter.split_at_checked(8)?;
            name.eq_ignore_ascii_case(b"charset=").then_some(value)
        });
        let Some(name) = charset else { return Ok(Self::Utf8) };
        let name = name.strip_prefix(b"\"").and_then(|name| name.strip_suffix(b"\"")).unwrap_or(name);
        match name.to_ascii_lowercase().as_slice() {
            b"utf-8" | b"utf8" | b"us-ascii" | b"ascii" => Ok(Self::Utf8),
            b"iso-8859-1" | b"latin1" => Ok(Self::Latin1),
            _ => Err(Unfit("its charset is neither UTF-8 nor ISO-8859-1")),
        }
    }

    /// The text that bytes stand for.
    ///
    /// # Errors
    /// They stand for none.
    pub fn read(self, bytes: &[u8]) -> Result<Cow<'_, str>, Unfit> {
        match self {
            Self::Utf8 => {
                let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
                std::str::from_utf8(bytes).map(Cow::Borrowed).map_err(|_| Unfit("it is not UTF-8"))
            }
            Self::Latin1 => Ok(bytes.iter().map(|byte| char::from(*byte)).collect::<String>().into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn media_types_and_charsets() {
        for (kind, format, charset) in [
            ("application/json", Some(Format::Json), Ok(Charset::Utf8)),
            ("Application/Problem+JSON; charset=\"UTF-8\"", Some(Format::Json), Ok(Charset::Utf8)),
            ("text/xml;charset=ISO-8859-1", Some(Format::Xml), Ok(Charset::Latin1)),
            ("image/svg+xml", Some(Format::Xml), Ok(Charset::Utf8)),
            ("application/x-www-form-urlencoded", Some(Format::Form), Ok(Charset::Utf8)),
            ("text/plain; charset=utf-16", None, Err(())),
            ("application/jsonp", None, Ok(Charset::Utf8)),
            ("", None, Ok(Charset::Utf8)),
        ] {
            assert_eq!(Format::of(kind.as_bytes()), format, "{kind}");
            assert_eq!(Charset::of(kind.as_bytes()).map_err(|_| ()), charset, "{kind}");
        }
        assert_eq!(Charset::Latin1.read(b"\xe9").as_deref(), Ok("é"));
        assert_eq!(Charset::Utf8.read(b"\xef\xbb\xbfa").as_deref(), Ok("a"));
        assert!(Charset::Utf8.read(b"\xe9").is_err());
    }
}
