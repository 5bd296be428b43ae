//! The path of a request target in one spelling, before any route or policy looks at it.
//!
//! [`normalise`] applies the syntax-based normalisation of RFC 3986 §6.2.2 and merges repeated slashes. What routes are
//! matched against is what the upstream gets, so whatever cannot be given one spelling without guessing is refused:
//!
//! | in the path | what happens |
//! |---|---|
//! | escaped unreserved characters (`%61`) | decoded, once: `%2561` stays as it is (RFC 3986 §2.3, §6.2.2.2) |
//! | other escapes (`%c3`) | their digits are written in upper case (§6.2.2.1) |
//! | `.` and `..` segments, also as `%2e` | removed (§5.2.4) |
//! | `..` above the root | refused, where §5.2.4 would ignore it: no honest client sends it |
//! | `//` | merged, before dot segments are removed: `/a//../b` is `/b` |
//! | `%2F`, `%5C` | kept, and told by [`NormalPath::has_encoded_slash`]: the route decides |
//! | `..` or `.` behind `%2F`, `%5C`, or before `;` or `%3B`; a bare `;x` segment | refused: servers disagree about them |
//! | the same where it only shows once escapes are decoded again (`%252e%252e`) | refused |
//! | other `;` parameters (§3.3) | kept; a literal of a route is compared without them, too |
//! | `%00`, malformed escapes, overlong UTF-8 (`%C0%AE`) | refused |
//! | a raw `"`, `<`, `>`, `[`, `]`, `^`, `` ` ``, `{`, `\|`, `}` | escaped, as clients that send them mean them |
//! | a raw space, control, backslash, `?`, `#` or non-ASCII character | refused (§3.3 does not allow them) |

use std::borrow::Cow;
use std::fmt;

/// A path in normal form: begins with `/`, is ASCII, holds no dot segment, no empty segment but a last one, and only
/// well-formed upper-case escapes of characters that need one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NormalPath<'a> {
    text: Cow<'a, str>,
    encoded_slash: bool,
}

impl<'a> NormalPath<'a> {
    /// The path as text.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether it holds an escaped slash or backslash (`%2F`, `%5C`). A route that does not ask for these must refuse.
    pub fn has_encoded_slash(&self) -> bool {
        self.encoded_slash
    }

    /// The text; borrowed when the request spelled it in normal form.
    pub fn into_text(self) -> Cow<'a, str> {
        self.text
    }
}

/// Why a path has no normal form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BadPath {
    /// It does not begin with `/`.
    NotAbsolute,
    /// `%` without two hexadecimal digits after it.
    Escape,
    /// The escape `%00`.
    Nul,
    /// A character that RFC 3986 §3.3 does not allow in a path.
    Character,
    /// `..` leads above the root.
    AboveRoot,
    /// A dot segment behind an escaped slash or before a path parameter, or a parameter without a name.
    HiddenDots,
    /// Escapes that are an overlong UTF-8 form (RFC 3629 §3), which lenient decoders turn into `.` or `/`.
    Overlong,
}

impl fmt::Display for BadPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotAbsolute => "the path does not begin with a slash",
            Self::Escape => "a percent sign is not followed by two hexadecimal digits",
            Self::Nul => "the path holds an escaped NUL",
            Self::Character => "the path holds a character that must be percent-encoded",
            Self::AboveRoot => "the path leads above the root",
            Self::HiddenDots => "a dot segment is hidden by an escaped slash or a path parameter",
            Self::Overlong => "an escape is an overlong UTF-8 form",
        })
    }
}

impl std::error::Error for BadPath {}

/// Brings the path part of a request target into normal form; see the head of this file for the rules.
///
/// One scan without allocation when the path is in normal form already and holds no escaped slash.
///
/// # Errors
///
/// [`BadPath`] when it has no normal form; the request is then answered 400.
pub fn normalise(raw: &str) -> Result<NormalPath<'_>, BadPath> {
    if is_simple(raw.as_bytes()) || is_plainly_normal(raw.as_bytes()) {
        return Ok(NormalPath { text: Cow::Borrowed(raw), encoded_slash: false });
    }
    let text = rewrite(raw)?;
    let encoded_slash = text.contains("%2F") || text.contains("%5C");
    let text = if text == raw { Cow::Borrowed(raw) } else { Cow::Owned(text) };
    Ok(NormalPath { text, encoded_slash })
}

/// The path from its segment number `count` on (counted from 0), beginning with a slash: `/c` for `/a/b/c` and 2.
///
/// For taking off the base of an api. `/` when there is nothing left.
pub fn after_segments(path: &str, count: usize) -> &str {
    path.match_indices('/').nth(count).and_then(|(at, _)| path.get(at..)).unwrap_or("/")
}

/// A segment as literals are compared: escapes of characters that may stand raw in a segment are decoded.
///
/// RFC 3986 §2.2 keeps `%40` and `@` apart, and so they reach the upstream as they were written; but most upstreams
/// decode both alike, so a literal that says `@me` must not be passed by spelling it `%40me`.
pub(super) fn literal_key(segment: &str) -> Cow<'_, str> {
    if memchr::memchr(b'%', segment.as_bytes()).is_none() {
        return Cow::Borrowed(segment);
    }
    let mut key = String::with_capacity(segment.len());
    let mut rest = segment.as_bytes();
    loop {
        rest = match rest {
            [] => return Cow::Owned(key),
            [b'%', high, low, tail @ ..] => {
                match unescape(*high, *low) {
                    Some(byte) if matches!(class(byte), Class::Plain | Class::Dot) => key.push(char::from(byte)),
                    _ => key.extend(['%', char::from(*high), char::from(*low)]),
                }
                tail
            }
            [byte, tail @ ..] => {
                key.push(char::from(*byte));
                tail
            }
        }
    }
}

/// The key of a segment as a lenient service reads it, one that drops path parameters or decodes until nothing changes;
/// `None` where it reads what [`literal_key`] does. A literal that no segment is equal to is found by this, so that a
/// route is not passed by a spelling that its upstream takes for it all the same.
pub(super) fn lenient_key(key: &str) -> Option<String> {
    if !key.contains(';') && !key.contains("%25") {
        return None;
    }
    let mut text = key.to_owned();
    while text.contains("%25") {
        text = literal_key(&text.replace("%25", "%")).into_owned();
    }
    text.truncate(text.find(';').unwrap_or(text.len()));
    Some(text)
}

/// What a raw byte means in a path.
enum Class {
    /// Stands for itself: unreserved (§2.3), sub-delims (§2.2), `:` and `@`.
    Plain,
    /// Unreserved too, but may make a dot segment.
    Dot,
    Slash,
    /// Not allowed raw, but sent by browsers and scripts: escaped.
    ToEscape,
    /// Refused, or the beginning of an escape.
    Other,
}

const fn class(byte: u8) -> Class {
    match byte {
        b'/' => Class::Slash,
        b'.' => Class::Dot,
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'~' => Class::Plain,
        b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+' | b',' | b';' | b'=' | b':' | b'@' => Class::Plain,
        b'"' | b'<' | b'>' | b'[' | b']' | b'^' | b'`' | b'{' | b'|' | b'}' => Class::ToEscape,
        _ => Class::Other,
    }
}

/// RFC 3986 §2.3.
pub(super) fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

/// The byte that two hexadecimal digits stand for.
fn unescape(high: u8, low: u8) -> Option<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|value| u8::try_from(value).ok());
    Some(digit(high)? << 4 | digit(low)?)
}

/// What a byte is to [`is_simple`].
#[derive(Clone, Copy, PartialEq, Eq)]
enum Simple {
    /// Stands for itself anywhere.
    Anywhere,
    /// Does so but behind a slash, where it would make an empty segment, a dot segment or a bare parameter.
    NotBehindSlash,
    /// Needs a closer look.
    No,
}

static SIMPLE: [Simple; 256] = simple_bytes();

#[expect(clippy::indexing_slicing, reason = "runs in the compiler, where an index out of range is an error")]
const fn simple_bytes() -> [Simple; 256] {
    let mut table = [Simple::No; 256];
    let mut byte = 0;
    while byte < table.len() {
        table[byte] = match class(byte as u8) {
            Class::Slash | Class::Dot => Simple::NotBehindSlash,
            Class::Plain if byte as u8 == b';' => Simple::NotBehindSlash,
            Class::Plain => Simple::Anywhere,
            Class::ToEscape | Class::Other => Simple::No,
        };
        byte += 1;
    }
    table
}

/// Whether a path is in normal form by one look at each byte: without escapes, and no segment begins with a dot or a
/// semicolon. Most paths are; `false` only means that [`is_plainly_normal`] must look at it.
fn is_simple(path: &[u8]) -> bool {
    let mut behind_slash = false;
    path.first() == Some(&b'/')
        && path.iter().all(|byte| {
            let simple = match SIMPLE.get(usize::from(*byte)) {
                Some(Simple::Anywhere) => true,
                Some(Simple::NotBehindSlash) => !behind_slash,
                Some(Simple::No) | None => false,
            };
            behind_slash = *byte == b'/';
            simple
        })
}

/// Whether a path is beyond doubt in normal form. `false` only means that [`rewrite`] must look at it.
fn is_plainly_normal(path: &[u8]) -> bool {
    if path.first() != Some(&b'/') {
        return false;
    }
    let mut rest = path;
    loop {
        rest = match rest {
            [] => return true,
            [b'/', b'.'] | [b'/', b'/' | b';', ..] | [b'/', b'.', b'.' | b'/' | b';' | b'%', ..] => return false,
            [b'%', high, low, tail @ ..] if is_settled(*high, *low) => tail,
            [byte, tail @ ..] => match class(*byte) {
                Class::Plain | Class::Dot | Class::Slash => tail,
                Class::ToEscape | Class::Other => return false,
            },
        }
    }
}

/// Whether an escape is one that stays as it is whatever stands around it.
fn is_settled(high: u8, low: u8) -> bool {
    let upper = |digit: u8| matches!(digit, b'0'..=b'9' | b'A'..=b'F');
    let doubtful =
        |byte: u8| is_unreserved(byte) || matches!(byte, 0 | b'/' | b'\\' | b';' | b'%' | 0xC0 | 0xC1 | 0xE0 | 0xF0);
    upper(high) && upper(low) && unescape(high, low).is_some_and(|byte| !doubtful(byte))
}

/// Writes the normal form of any path, segment by segment.
fn rewrite(raw: &str) -> Result<String, BadPath> {
    let mut segments = raw.strip_prefix('/').ok_or(BadPath::NotAbsolute)?.split('/').peekable();
    let mut path = String::with_capacity(raw.len() + 8);
    path.push('/');
    // At the head of each round `path` ends with the slash that the next segment follows.
    while let Some(segment) = segments.next() {
        let start = path.len();
        append_segment(segment.as_bytes(), &mut path)?;
        match path.get(start..).unwrap_or_default() {
            "" => {}
            "." => path.truncate(start),
            ".." => {
                let parent = path.get(..start - 1).and_then(|kept| kept.rfind('/')).ok_or(BadPath::AboveRoot)?;
                path.truncate(parent + 1);
            }
            segment if hides_dots(segment) => return Err(BadPath::HiddenDots),
            _ if segments.peek().is_some() => path.push('/'),
            _ => {}
        }
    }
    Ok(path)
}

/// Appends one segment, its escapes in normal form.
fn append_segment(segment: &[u8], path: &mut String) -> Result<(), BadPath> {
    let mut rest = segment;
    loop {
        rest = match rest {
            [] => return Ok(()),
            [b'%', high, low, tail @ ..] => {
                let byte = unescape(*high, *low).ok_or(BadPath::Escape)?;
                match byte {
                    0 => return Err(BadPath::Nul),
                    _ if is_overlong(byte, tail) => return Err(BadPath::Overlong),
                    _ if is_unreserved(byte) => path.push(char::from(byte)),
                    _ => push_escape(byte, path),
                }
                tail
            }
            [byte, tail @ ..] => {
                match class(*byte) {
                    Class::Plain | Class::Dot => path.push(char::from(*byte)),
                    Class::ToEscape => push_escape(*byte, path),
                    Class::Other if *byte == b'%' => return Err(BadPath::Escape),
                    Class::Slash | Class::Other => return Err(BadPath::Character),
                }
                tail
            }
        }
    }
}

/// Appends `%XX`.
pub(super) fn push_escape(byte: u8, text: &mut String) {
    let digit = |value: u8| char::from_digit(u32::from(value), 16).unwrap_or('0').to_ascii_uppercase();
    text.extend(['%', digit(byte >> 4), digit(byte & 0xF)]);
}

/// Whether `lead` and the escape after it begin a UTF-8 sequence longer than its character needs.
fn is_overlong(lead: u8, tail: &[u8]) -> bool {
    let [b'%', high, low, ..] = tail else { return false };
    let next = unescape(*high, *low);
    match lead {
        0xC0 | 0xC1 => matches!(next, Some(0x80..=0xBF)),
        0xE0 => matches!(next, Some(0x80..=0x9F)),
        0xF0 => matches!(next, Some(0x80..=0x8F)),
        _ => false,
    }
}

/// Whether a server behind us could read a segment as a dot segment, or as nothing: one that decodes escaped slashes,
/// or one that drops path parameters (as servlet containers do) before it removes dot segments.
fn hides_dots(segment: &str) -> bool {
    if segment.contains("%25") {
        let once = segment.replace("%25", "%");
        let escapes = [("%2e", "."), ("%2E", "."), ("%2f", "%2F"), ("%5c", "%5C"), ("%3b", "%3B")];
        return hides_dots(&escapes.iter().fold(once, |text, (from, to)| text.replace(from, to)));
    }
    if matches!(segment, "." | "..") {
        return true;
    }
    segment.split("%2F").flat_map(|part| part.split("%5C")).any(|part| {
        let name = part.split(';').next().and_then(|name| name.split("%3B").next()).unwrap_or(part);
        matches!(name, "." | "..") || (name.is_empty() && !part.is_empty())
    })
}

#[cfg(test)]
mod tests;
