//! What references stand for in one request.

use super::reference::{Piece, Reference, Text};
use crate::exchange::Incoming;
use crate::value::json::Json;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use std::borrow::Cow;
use std::fmt;

/// Everything but the unreserved characters (RFC 3986 §2.3): a value in a path or a query is only ever a value.
const VALUE: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A reference that finds nothing that can stand where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    /// The part it refers to, where it does.
    pub part: Option<usize>,
    /// What was looked for.
    pub what: String,
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

/// What is known at a moment of one request.
#[derive(Clone, Copy)]
pub struct Facts<'a> {
    /// The request.
    pub request: &'a Incoming,
    /// Its body, where a reference asks for it.
    pub body: Option<&'a Json>,
    /// What the parts have brought so far.
    pub parts: &'a [Option<Json>],
    /// The item that is asked about.
    pub item: Option<&'a Json>,
}

impl<'a> Facts<'a> {
    /// The value; nothing where there is none.
    pub fn value(&self, reference: &Reference) -> Option<Cow<'a, Json>> {
        let text = |text: &str| Some(Cow::Owned(Json::text(text)));
        match reference {
            Reference::Part(at, pointer) => pointer.of(self.parts.get(*at)?.as_ref()?).map(Cow::Borrowed),
            Reference::Item(pointer) => pointer.of(self.item?).map(Cow::Borrowed),
            Reference::Capture(at, _) => {
                let raw = self.request.captures.get(*at)?;
                text(&percent_decode_str(raw).decode_utf8().ok()?)
            }
            Reference::Query(name) => {
                let query = self.request.query.as_deref()?;
                let value = form_urlencoded::parse(query.as_bytes()).find(|(own, _)| **own == **name)?.1;
                text(&value)
            }
            Reference::Header(name) => text(self.request.headers.get(name)?.to_str().ok()?),
            Reference::Body(pointer) => pointer.of(self.body?).map(Cow::Borrowed),
            Reference::Consumer => text(&self.request.origin.caller.as_ref()?.id),
            Reference::Claim(pointer) => {
                let claims = &self.request.origin.caller.as_ref()?.claims;
                claims.pointer(&pointer.to_string()).map(|claim| Cow::Owned(Json::from(claim)))
            }
            Reference::Client => text(&self.request.origin.client.address.to_string()),
            Reference::RequestId => text(self.request.origin.request_id.to_str().ok()?),
        }
    }

    /// A text, its values put in as they are.
    ///
    /// # Errors
    /// A reference that finds no string, number or boolean.
    pub fn text(&self, text: &Text) -> Result<String, Missing> {
        self.put(text, |out, value| out.push_str(value))
    }

    /// A path or a query, its values encoded so that each stays a value (RFC 3986 §2.2).
    ///
    /// # Errors
    /// As for [`Self::text`]; and an empty value, which would make another path.
    pub fn target(&self, text: &Text) -> Result<String, Missing> {
        self.put(text, |out, value| out.extend(utf8_percent_encode(value, VALUE)))
    }

    fn put(&self, text: &Text, mut push: impl FnMut(&mut String, &str)) -> Result<String, Missing> {
        let mut out = String::new();
        for piece in &text.pieces {
            match piece {
                Piece::Plain(plain) => out.push_str(plain),
                Piece::Value(reference) => {
                    let value = self.value(reference);
                    let scalar = value.as_deref().and_then(Json::scalar);
                    push(&mut out, scalar.ok_or_else(|| missing(reference, value.as_deref()))?);
                }
            }
        }
        Ok(out)
    }
}

/// Says what a reference lacks.
pub fn missing(reference: &Reference, found: Option<&Json>) -> Missing {
    let part = match reference {
        Reference::Part(at, _) => Some(*at),
        _ => None,
    };
    let what = match found {
        None => format!("`{reference}` is not there"),
        Some(value) => format!("`{reference}` is {}, where a string or a number is needed", value.kind()),
    };
    Missing { part, what }
}
