//! Content types of gRPC-Web, and the way between them and those of gRPC.

use http::HeaderValue;

const GRPC: &[u8] = b"application/grpc";
const WEB: &[u8] = b"application/grpc-web";
const WEB_TEXT: &[u8] = b"application/grpc-web-text";

/// How a gRPC-Web body is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// Frames as they are.
    Binary,
    /// Frames in base64, for clients that can only read text.
    Text,
}

/// A content type of gRPC-Web: `application/grpc-web+proto`, `application/grpc-web-text` …
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WebType<'v> {
    /// How the body is written.
    pub encoding: Encoding,
    /// The message format with its plus sign, `+proto`; empty where none is named.
    format: &'v [u8],
}

impl<'v> WebType<'v> {
    /// Reads a `Content-Type`; `None` where it is not gRPC-Web. Parameters do not count.
    pub fn parse(value: &'v [u8]) -> Option<Self> {
        let media = value.split(|byte| *byte == b';').next()?.trim_ascii();
        let rest = after(media, WEB)?;
        let (encoding, format) = match after(rest, b"-text") {
            // The protocol names base64 as the default of several encodings, and is the only one.
            Some(text) => (Encoding::Text, after(text, b"-base64").unwrap_or(text)),
            None => (Encoding::Binary, rest),
        };
        let named = format.first() == Some(&b'+') && format.len() > 1;
        (format.is_empty() || named).then_some(Self { encoding, format })
    }

    /// The content type of gRPC with the same message format.
    pub fn to_grpc(self) -> Option<HeaderValue> {
        joined(GRPC, self.format)
    }

    /// The content type itself, without parameters: for an answer that the gateway gives by itself.
    pub fn to_value(self) -> Option<HeaderValue> {
        joined(self.encoding.family(), self.format)
    }
}

impl Encoding {
    fn family(self) -> &'static [u8] {
        match self {
            Self::Binary => WEB,
            Self::Text => WEB_TEXT,
        }
    }

    /// The encoding a client wants its answer in, by its `Accept`: the first content type of gRPC-Web in it; `None`
    /// where it names none.
    pub fn accepted(accept: &[u8]) -> Option<Self> {
        accept.split(|byte| *byte == b',').find_map(WebType::parse).map(|kind| kind.encoding)
    }

    /// What a `Content-Type` of gRPC becomes for a gRPC-Web client; `None` where it is not gRPC.
    pub fn of_grpc(self, content_type: &[u8]) -> Option<HeaderValue> {
        let format = after(content_type, GRPC)?;
        matches!(format.first(), None | Some(b'+' | b';' | b' ')).then(|| joined(self.family(), format)).flatten()
    }
}

/// What follows a prefix; types are not case-sensitive (RFC 9110 §8.3.1).
fn after<'v>(value: &'v [u8], prefix: &[u8]) -> Option<&'v [u8]> {
    let (start, rest) = value.split_at_checked(prefix.len())?;
    start.eq_ignore_ascii_case(prefix).then_some(rest)
}

fn joined(family: &[u8], format: &[u8]) -> Option<HeaderValue> {
    HeaderValue::from_bytes(&[family, format].concat()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_every_content_type_of_grpc_web() {
        let cases: &[(&str, Encoding, &str)] = &[
            ("application/grpc-web", Encoding::Binary, "application/grpc"),
            ("application/grpc-web+proto", Encoding::Binary, "application/grpc+proto"),
            ("application/grpc-web+json; charset=utf-8", Encoding::Binary, "application/grpc+json"),
            ("Application/gRPC-Web-Text", Encoding::Text, "application/grpc"),
            ("application/grpc-web-text+proto", Encoding::Text, "application/grpc+proto"),
            ("application/grpc-web-text-base64", Encoding::Text, "application/grpc"),
        ];
        for (written, encoding, grpc) in cases {
            let kind = WebType::parse(written.as_bytes()).unwrap();
            assert_eq!((kind.encoding, kind.to_grpc().unwrap().to_str().unwrap()), (*encoding, *grpc), "{written}");
        }
    }

    #[test]
    fn takes_nothing_else_for_grpc_web() {
        for other in ["", "application/grpc", "application/grpc+proto", "application/grpc-website", "application/json"]
        {
            assert_eq!(WebType::parse(other.as_bytes()), None, "{other}");
        }
        assert_eq!(WebType::parse(b"application/grpc-web+"), None);
        assert_eq!(WebType::parse(b"application/grpc-web-text-base32"), None);
    }

    #[test]
    fn an_answer_keeps_the_message_format() {
        let value = |encoding: Encoding, grpc: &str| {
            encoding.of_grpc(grpc.as_bytes()).map(|value| value.to_str().unwrap().to_owned())
        };
        assert_eq!(value(Encoding::Binary, "application/grpc+proto").unwrap(), "application/grpc-web+proto");
        assert_eq!(value(Encoding::Text, "application/grpc").unwrap(), "application/grpc-web-text");
        assert_eq!(value(Encoding::Text, "text/html"), None);
        assert_eq!(value(Encoding::Binary, "application/grpc-web"), None);
    }

    #[test]
    fn accept_says_how_the_answer_is_written() {
        assert_eq!(Encoding::accepted(b"application/grpc-web-text"), Some(Encoding::Text));
        assert_eq!(Encoding::accepted(b"text/html, application/grpc-web+proto;q=0.9"), Some(Encoding::Binary));
        assert_eq!(Encoding::accepted(b"*/*"), None);
    }
}
