//! JSON from bytes, under bounds.

use super::Json;
use std::fmt;

/// Objects of more members than this are checked for repeated names by sorting, smaller ones by comparing.
const FEW: usize = 16;

/// What a text may hold at most.
#[derive(Clone, Copy, Debug)]
pub struct JsonBounds {
    /// Arrays and objects within each other.
    pub depth: usize,
    /// Values in all. A tree takes up to 40 bytes for each beside its text.
    pub values: usize,
    /// Characters of one number.
    pub digits: usize,
}

impl Default for JsonBounds {
    /// 64 levels, a million values, numbers of 1,024 characters.
    fn default() -> Self {
        Self { depth: 64, values: 1_000_000, digits: 1_024 }
    }
}

/// Why bytes are not taken as JSON.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JsonError {
    /// Where, in bytes from the beginning.
    pub offset: usize,
    /// What is wrong there.
    pub what: &'static str,
}

impl fmt::Display for JsonError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at byte {}", self.what, self.offset)
    }
}

impl std::error::Error for JsonError {}

impl Json {
    /// The value that the whole of the bytes is (RFC 8259 §2).
    ///
    /// # Errors
    /// What is not JSON, a member that stands twice, and what exceeds the bounds, each with its place.
    pub fn parse(bytes: &[u8], bounds: JsonBounds) -> Result<Self, JsonError> {
        let Ok(text) = std::str::from_utf8(bytes) else {
            let offset = std::str::from_utf8(bytes).map_or_else(|error| error.valid_up_to(), |_| 0);
            return Err(JsonError { offset, what: "not UTF-8" });
        };
        let mut reader = Reader { text, bytes, at: 0, left: bounds.values, bounds };
        let value = reader.value(0)?;
        reader.space();
        if reader.at == bytes.len() { Ok(value) } else { Err(reader.error("more after the value")) }
    }
}

struct Reader<'a> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
    left: usize,
    bounds: JsonBounds,
}

impl<'a> Reader<'a> {
    fn error(&self, what: &'static str) -> JsonError {
        JsonError { offset: self.at, what }
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    /// Passes over a byte that may stand here.
    fn takes(&mut self, byte: u8) -> bool {
        let here = self.peek() == Some(byte);
        self.at += usize::from(here);
        here
    }

    fn value(&mut self, depth: usize) -> Result<Json, JsonError> {
        self.space();
        self.left = self.left.checked_sub(1).ok_or_else(|| self.error("more values than are taken"))?;
        match self.peek() {
            Some(b'{') => self.object(depth + 1),
            Some(b'[') => self.array(depth + 1),
            Some(b'"') => self.string().map(Json::Text),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b't') => self.word("true", Json::Bool(true)),
            Some(b'f') => self.word("false", Json::Bool(false)),
            Some(b'n') => self.word("null", Json::Null),
            Some(_) => Err(self.error("no value begins like this")),
            None => Err(self.error("the text ends where a value should stand")),
        }
    }

    fn word(&mut self, word: &str, value: Json) -> Result<Json, JsonError> {
        if !self.text.get(self.at..).is_some_and(|rest| rest.starts_with(word)) {
            return Err(self.error("no value begins like this"));
        }
        self.at += word.len();
        Ok(value)
    }

    fn enter(&mut self, depth: usize) -> Result<(), JsonError> {
        if depth > self.bounds.depth {
            return Err(self.error("nested deeper than is taken"));
        }
        self.at += 1;
        self.space();
        Ok(())
    }

    fn array(&mut self, depth: usize) -> Result<Json, JsonError> {
        self.enter(depth)?;
        let mut items = Vec::new();
        if self.takes(b']') {
            return Ok(Json::Array(items));
        }
        loop {
            items.push(self.value(depth)?);
            self.space();
            if self.takes(b']') {
                return Ok(Json::Array(items));
            }
            if !self.takes(b',') {
                return Err(self.error("a comma or `]` should stand here"));
            }
        }
    }

    fn object(&mut self, depth: usize) -> Result<Json, JsonError> {
        let began = self.at;
        self.enter(depth)?;
        let mut members: Vec<(Box<str>, Json)> = Vec::new();
        if self.takes(b'}') {
            return Ok(Json::Object(members));
        }
        loop {
            self.space();
            if self.peek() != Some(b'"') {
                return Err(self.error("a member's name should stand here"));
            }
            let name = self.string()?;
            self.space();
            if !self.takes(b':') {
                return Err(self.error("a colon should stand here"));
            }
            if members.len() < FEW && members.iter().any(|(own, _)| *own == name) {
                return Err(self.error("a member of this name stands there already"));
            }
            let value = self.value(depth)?;
            members.push((name, value));
            self.space();
            if self.takes(b'}') {
                break;
            }
            if !self.takes(b',') {
                return Err(self.error("a comma or `}` should stand here"));
            }
        }
        if members.len() > FEW && has_twins(&members) {
            return Err(JsonError { offset: began, what: "a member of this object stands there twice" });
        }
        Ok(Json::Object(members))
    }

    /// RFC 8259 §6; kept as it is written.
    fn number(&mut self) -> Result<Json, JsonError> {
        let began = self.at;
        self.takes(b'-');
        if !self.takes(b'0') {
            self.digits()?;
        }
        if self.takes(b'.') {
            self.digits()?;
        }
        if self.takes(b'e') || self.takes(b'E') {
            let _ = self.takes(b'+') || self.takes(b'-');
            self.digits()?;
        }
        if self.at - began > self.bounds.digits {
            return Err(JsonError { offset: began, what: "a number longer than is taken" });
        }
        Ok(Json::Number(self.text.get(began..self.at).unwrap_or_default().into()))
    }

    fn digits(&mut self) -> Result<(), JsonError> {
        let began = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        if self.at > began { Ok(()) } else { Err(self.error("a digit should stand here")) }
    }

    fn string(&mut self) -> Result<Box<str>, JsonError> {
        self.at += 1;
        let began = self.at;
        if self.plain()? {
            let text = self.text.get(began..self.at).unwrap_or_default();
            self.at += 1;
            return Ok(text.into());
        }
        let mut decoded = String::from(self.text.get(began..self.at).unwrap_or_default());
        loop {
            self.at += 1;
            decoded.push(self.escape()?);
            let run = self.at;
            let ended = self.plain()?;
            decoded.push_str(self.text.get(run..self.at).unwrap_or_default());
            if ended {
                self.at += 1;
                return Ok(decoded.into());
            }
        }
    }

    /// Passes over characters that stand for themselves; whether the string ends there, rather than at an escape.
    fn plain(&mut self) -> Result<bool, JsonError> {
        loop {
            match self.peek() {
                Some(b'"') => return Ok(true),
                Some(b'\\') => return Ok(false),
                Some(0..=0x1f) => return Err(self.error("a control character stands in a string")),
                Some(_) => self.at += 1,
                None => return Err(self.error("the text ends within a string")),
            }
        }
    }

    fn escape(&mut self) -> Result<char, JsonError> {
        let byte = self.peek();
        self.at += 1;
        Ok(match byte {
            Some(b'"') => '"',
            Some(b'\\') => '\\',
            Some(b'/') => '/',
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => return self.unicode(),
            _ => return Err(self.error("no such escape")),
        })
    }

    /// `\uXXXX`, or two of them for a character beyond the basic plane (RFC 8259 §7).
    fn unicode(&mut self) -> Result<char, JsonError> {
        let first = self.unit()?;
        let code = if (0xd800..0xdc00).contains(&first) {
            if !(self.takes(b'\\') && self.takes(b'u')) {
                return Err(self.error("half a surrogate pair"));
            }
            let second = self.unit()?;
            if !(0xdc00..0xe000).contains(&second) {
                return Err(self.error("half a surrogate pair"));
            }
            0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00)
        } else {
            first
        };
        char::from_u32(code).ok_or_else(|| self.error("half a surrogate pair"))
    }

    fn unit(&mut self) -> Result<u32, JsonError> {
        let digits = self.text.get(self.at..self.at + 4).filter(|text| text.bytes().all(|b| b.is_ascii_hexdigit()));
        let unit = digits.and_then(|text| u32::from_str_radix(text, 16).ok());
        let unit = unit.ok_or_else(|| self.error("four hexadecimal digits should stand here"))?;
        self.at += 4;
        Ok(unit)
    }
}

fn has_twins(members: &[(Box<str>, Json)]) -> bool {
    let mut names: Vec<&str> = members.iter().map(|(name, _)| &**name).collect();
    names.sort_unstable();
    names.array_windows().any(|[one, next]| one == next)
}
