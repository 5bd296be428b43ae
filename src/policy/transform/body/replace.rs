//! `replace:`: text for text in bodies as they pass.
//!
//! Texts are compared byte by byte, wherever pieces of a body begin and end; of two that begin at one place the one written
//! first wins, and what is put in is not looked at again. No more of a body is kept back than may be the beginning of such
//! a text. Bodies of text are changed: `text/*`, JSON, XML, forms and scripts, in UTF-8 or ISO-8859-1.

use super::format::Charset;
use super::json::Unfit;
use super::{Decoding, refusal};
use crate::policy::Setup;
use crate::policy::transform::headers::Way;
use crate::policy::{BodyStream, BodyWork, forget_length};
use crate::reply::Reply;
use crate::request::HeadersMut;
use crate::value::Spanned;
use bytes::Bytes;
use http::header;
use memchr::memmem;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Texts that one rule may replace.
const MOST: usize = 64;
/// The longest text that is looked for, in bytes.
const LONGEST: usize = 4 * 1024;

/// A text in the place of another.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ReplaceConfig {
    /// The text that is looked for, to the letter.
    pub from: Spanned<String>,
    /// What takes its place.
    pub to: Spanned<String>,
}

/// Compiled replacements.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Replacements(Arc<[(Box<str>, Box<str>)]>);

impl Replacements {
    /// Compiles what is written; problems are recorded at their places.
    pub fn compile(written: &[Spanned<ReplaceConfig>], setup: &mut Setup<'_>) -> Self {
        let mut all: Vec<(Box<str>, Box<str>)> = Vec::new();
        for entry in written {
            let ReplaceConfig { from, to } = &entry.value;
            if from.value.is_empty() || from.value.len() > LONGEST {
                setup.problems.error(from.place, format!("a text that is looked for has 1 to {LONGEST} bytes"));
            }
            if all.iter().any(|(known, _)| !known.is_empty() && from.value.starts_with(&**known)) {
                setup.problems.error(from.place, "a text before it always wins").hint("write the longer text first");
            }
            all.push((from.value.as_str().into(), to.value.as_str().into()));
        }
        if let Some(entry) = written.get(MOST) {
            setup.problems.error(entry.place, format!("more than {MOST} texts"));
        }
        Self(all.into())
    }

    /// Several, in order.
    pub fn all<'r>(several: impl Iterator<Item = &'r Self>) -> Self {
        let mut several: Vec<&Self> = several.collect();
        match several.as_mut_slice() {
            [only] => only.clone(),
            _ => Self(several.iter().flat_map(|one| one.0.iter().cloned()).collect()),
        }
    }

    /// Whether nothing is replaced.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The replacements in a few words each.
    pub fn describe(&self) -> impl Iterator<Item = String> {
        self.0.iter().map(|(from, to)| format!("body: {from:?} becomes {to:?}"))
    }

    fn is_ascii(&self) -> bool {
        self.0.iter().all(|(from, to)| from.is_ascii() && to.is_ascii())
    }
}

/// The work of these on the body that belongs to a head, which is changed to match.
///
/// # Errors
/// The refusal of a body whose coding or charset is not read.
pub fn begin(
    all: &Replacements,
    headers: &mut dyn HeadersMut,
    (way, bound): (Way, u64),
) -> Result<BodyWork, Box<Reply>> {
    let Some(kind) = headers.first(&header::CONTENT_TYPE).filter(|kind| is_text(kind)) else {
        return Ok(BodyWork::Leave);
    };
    let charset = Charset::of(kind).map_err(|unfit| refusal(way, unfit))?;
    if charset != Charset::Utf8 && !all.is_ascii() {
        return Err(refusal(way, Unfit("its charset is not UTF-8")));
    }
    let decoding = Decoding::of(headers, (way, bound))?;
    headers.remove(&header::CONTENT_ENCODING);
    forget_length(headers);
    Ok(BodyWork::Stream(Box::new(Stream { all: all.clone(), kept: Vec::new(), decoding })))
}

fn is_text(kind: &[u8]) -> bool {
    let kind = kind.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii().to_ascii_lowercase();
    let back = kind.rsplit(|byte| matches!(byte, b'/' | b'+')).next().unwrap_or_default();
    kind.starts_with(b"text/") || matches!(back, b"json" | b"xml" | b"javascript" | b"x-www-form-urlencoded")
}

struct Stream {
    all: Replacements,
    /// The end of what came so far, which may be the beginning of a text that is looked for.
    kept: Vec<u8>,
    decoding: Option<Decoding>,
}

impl BodyStream for Stream {
    fn piece(&mut self, bytes: Bytes, last: bool) -> Result<Bytes, Box<Reply>> {
        let bytes = match &mut self.decoding {
            None => bytes,
            Some(decoding) => decoding.piece(bytes, last)?,
        };
        if self.kept.is_empty() && bytes.is_empty() {
            return Ok(bytes);
        }
        let mut whole = std::mem::take(&mut self.kept);
        whole.extend_from_slice(&bytes);
        let (out, rest) = replace(&self.all, &whole, last);
        self.kept = whole.get(rest..).unwrap_or_default().to_vec();
        Ok(out.into())
    }
}

/// What becomes of bytes, and where what must wait for more begins.
fn replace(all: &Replacements, bytes: &[u8], last: bool) -> (Vec<u8>, usize) {
    let finders: Vec<_> =
        all.0.iter().map(|(from, to)| (memmem::Finder::new(from.as_bytes()), to, from.len())).collect();
    // The next place of each text, looked for anew once it is passed.
    let mut next: Vec<Option<usize>> = finders.iter().map(|(finder, _, _)| finder.find(bytes)).collect();
    let (mut out, mut at) = (Vec::with_capacity(bytes.len()), 0);
    let mut wait = if last { bytes.len() } else { waits(all, bytes, 0) };
    loop {
        if at > wait {
            wait = waits(all, bytes, at); // what was passed cannot be the beginning of another
        }
        for (found, (finder, _, _)) in next.iter_mut().zip(&finders) {
            if found.is_some_and(|found| found < at) {
                *found = finder.find(bytes.get(at..).unwrap_or_default()).map(|found| found + at);
            }
        }
        let first = next.iter().enumerate().filter_map(|(number, found)| Some((*found.as_ref()?, number))).min();
        let Some(((place, _), (_, to, length))) = first.and_then(|found| Some((found, finders.get(found.1)?))) else {
            break;
        };
        // What begins before is not known yet, and would come first.
        if place >= wait {
            break;
        }
        out.extend_from_slice(bytes.get(at..place).unwrap_or_default());
        out.extend_from_slice(to.as_bytes());
        at = place + length;
    }
    out.extend_from_slice(bytes.get(at..wait).unwrap_or_default());
    (out, wait)
}

/// The first place, none before `from`, from which on the bytes are the beginning of a text that is looked for, but not all of it.
fn waits(all: &Replacements, bytes: &[u8], from: usize) -> usize {
    let longest = all.0.iter().map(|(from, _)| from.len()).max().unwrap_or(0);
    let window = bytes.len().saturating_sub(longest.saturating_sub(1)).max(from);
    let begins = |at: &usize| {
        let tail = bytes.get(*at..).unwrap_or_default();
        all.0.iter().any(|(from, _)| from.len() > tail.len() && from.as_bytes().starts_with(tail))
    };
    (window..bytes.len()).find(begins).unwrap_or(bytes.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn replacements(pairs: &[(&str, &str)]) -> Replacements {
        Replacements(pairs.iter().map(|(from, to)| ((*from).into(), (*to).into())).collect())
    }

    fn in_pieces(pairs: &[(&str, &str)], pieces: &[&str]) -> String {
        let all = replacements(pairs);
        let mut stream = Stream { all, kept: Vec::new(), decoding: None };
        let mut out = Vec::new();
        for (number, piece) in pieces.iter().enumerate() {
            let bytes = Bytes::copy_from_slice(piece.as_bytes());
            out.extend_from_slice(&stream.piece(bytes, number + 1 == pieces.len()).unwrap());
        }
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn texts_are_found_wherever_pieces_end_and_the_first_written_wins() {
        const PAIRS: &[(&str, &str)] = &[("internal.example", "api.example"), ("int", "INT"), ("aa", "b")];
        for (pieces, expected) in [
            (&["see http://internal.example/x"][..], "see http://api.example/x"),
            (&["inter", "nal.exam", "ple"], "api.example"),
            (&["inter", "nal.exam", "pla"], "INTernal.exampla"),
            (&["inte"], "INTe"),
            (&["a", "a", "a", "a", "a"], "bba"),
            (&["", "x", ""], "x"),
            (&["i", "n", "internal.example"], "inapi.example"),
        ] {
            assert_eq!(in_pieces(PAIRS, pieces), expected, "{pieces:?}");
        }
        assert_eq!(in_pieces(&[("a", "aa")], &["a", "a"]), "aaaa", "what is put in is looked at again");
    }

    #[test]
    fn nothing_is_kept_back_that_cannot_be_the_beginning_of_a_text() {
        let all = replacements(&[("event: secret", "event: none")]);
        let mut stream = Stream { all, kept: Vec::new(), decoding: None };
        assert_eq!(stream.piece(Bytes::from_static(b"event: open\n\n"), false).unwrap(), "event: open\n\n");
        assert_eq!(stream.piece(Bytes::from_static(b"event: se"), false).unwrap(), "");
        assert_eq!(stream.piece(Bytes::from_static(b"nt\n\n"), false).unwrap(), "event: sent\n\n");
    }

    #[test]
    fn text_is_told_from_what_is_none() {
        for (kind, text) in [
            ("text/event-stream", true),
            ("application/problem+json; charset=utf-8", true),
            ("Application/XML", true),
            ("application/javascript", true),
            ("image/png", false),
            ("application/octet-stream", false),
            ("application/grpc", false),
        ] {
            assert_eq!(is_text(kind.as_bytes()), text, "{kind}");
        }
    }

    proptest! {
        #[test]
        fn pieces_come_to_the_same_as_the_whole(text in "[abc]{0,60}", cuts in prop::collection::vec(0_usize..60, 0..6)) {
            const PAIRS: &[(&str, &str)] = &[("abcab", "1"), ("bca", "22"), ("cc", ""), ("ab", "3")];
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(text.len())).collect();
            cuts.sort_unstable();
            let mut pieces = Vec::new();
            let mut at = 0;
            for cut in cuts {
                pieces.push(&text[at..cut]);
                at = cut;
            }
            pieces.push(&text[at..]);
            // The model goes from place to place.
            let (mut expected, mut place) = (String::new(), 0);
            while place < text.len() {
                match PAIRS.iter().find(|(from, _)| text[place..].starts_with(from)) {
                    Some((from, to)) => {
                        expected.push_str(to);
                        place += from.len();
                    }
                    None => {
                        expected.push_str(&text[place..=place]);
                        place += 1;
                    }
                }
            }
            prop_assert_eq!(in_pieces(PAIRS, &pieces), expected);
        }
    }
}
