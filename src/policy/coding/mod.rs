//! Content codings (RFC 9110 §8.4): gzip, brotli and zstd, written and read piece by piece.
//!
//! Writing flushes with every piece, so that what an upstream sends passes as it arrives. Reading is bounded, in bytes and
//! as a ratio, before memory is taken: a small body cannot become a large one.

mod accept;
mod decode;
mod encode;

pub use accept::{Accepted, accepted, element};
pub use decode::{Bound, DecodeError, Decoder};
pub use encode::{Encoder, Levels, Then};

use crate::request::Headers;
use http::{HeaderValue, header};

/// A coding that is written and read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coding {
    /// RFC 1952.
    Gzip,
    /// RFC 7932.
    Brotli,
    /// RFC 8878, with windows of at most 8 MiB (RFC 9659).
    Zstd,
    /// RFC 1950; read only, since its name has meant two things.
    Deflate,
}

impl Coding {
    /// The coding of that name (RFC 9110 §8.4.1).
    pub fn parse(name: &[u8]) -> Option<Self> {
        let names: [(&[u8], Self); 5] = [
            (b"gzip", Self::Gzip),
            (b"br", Self::Brotli),
            (b"zstd", Self::Zstd),
            (b"deflate", Self::Deflate),
            (b"x-gzip", Self::Gzip),
        ];
        names.into_iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, coding)| coding)
    }

    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Brotli => "br",
            Self::Zstd => "zstd",
            Self::Deflate => "deflate",
        }
    }

    /// Its name as a field's value.
    pub fn value(self) -> HeaderValue {
        HeaderValue::from_static(self.as_str())
    }
}

/// How a body is coded, as its head says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coded {
    /// Not at all.
    Plain,
    /// Once, in this way.
    Once(Coding),
    /// Several times, or in a way that is not known here.
    Otherwise,
}

/// How the body is coded that belongs to these fields.
pub fn coded(headers: &dyn Headers) -> Coded {
    let mut found = Coded::Plain;
    headers.each(&header::CONTENT_ENCODING, &mut |value| {
        for name in value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii) {
            if name.is_empty() || name.eq_ignore_ascii_case(b"identity") {
                continue;
            }
            found = match (found, Coding::parse(name)) {
                (Coded::Plain, Some(coding)) => Coded::Once(coding),
                _ => Coded::Otherwise,
            };
        }
    });
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderMap;

    #[test]
    fn how_a_body_is_coded() {
        for (fields, expected) in [
            (&[][..], Coded::Plain),
            (&["identity"], Coded::Plain),
            (&["gzip"], Coded::Once(Coding::Gzip)),
            (&["BR"], Coded::Once(Coding::Brotli)),
            (&["identity, zstd"], Coded::Once(Coding::Zstd)),
            (&["gzip, br"], Coded::Otherwise),
            (&["gzip", "gzip"], Coded::Otherwise),
            (&["compress"], Coded::Otherwise),
        ] {
            let mut headers = HeaderMap::new();
            for field in fields {
                headers.append(header::CONTENT_ENCODING, HeaderValue::from_static(field));
            }
            assert_eq!(coded(&headers), expected, "{fields:?}");
        }
    }
}
