//! The tokens of a GraphQL document (GraphQL specification, October 2021, §2.1).

use super::refused::Refused;

/// A token that counts. Blanks, commas and comments do not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Token<'t> {
    /// A name or keyword.
    Name(&'t str),
    /// A whole number, as it is written.
    Int(&'t str),
    /// A number with a fraction or an exponent.
    Float,
    /// A string or block string.
    Text,
    /// `...`.
    Spread,
    /// Any other mark.
    Mark(u8),
    /// Nothing follows.
    End,
}

/// Reads tokens, so many and no more.
pub struct Lexer<'t> {
    text: &'t str,
    at: usize,
    left: u32,
    most: u32,
}

impl<'t> Lexer<'t> {
    /// A reader of that text that gives up after so many tokens.
    pub fn new(text: &'t str, most: u32) -> Self {
        Self { text, at: 0, left: most, most }
    }

    fn rest(&self) -> &'t [u8] {
        self.text.as_bytes().get(self.at..).unwrap_or_default()
    }

    /// The next token.
    ///
    /// # Errors
    /// What stands there is no token, or one too many.
    pub fn token(&mut self) -> Result<Token<'t>, Refused> {
        self.blanks()?;
        let rest = self.rest();
        let Some(first) = rest.first().copied() else { return Ok(Token::End) };
        self.left = self.left.checked_sub(1).ok_or_else(|| Refused::tokens(self.most))?;
        let (token, length) = match first {
            b'A'..=b'Z' | b'a'..=b'z' | b'_' => {
                let length = run(rest, |byte| byte.is_ascii_alphanumeric() || byte == b'_');
                (Token::Name(self.slice(length)), length)
            }
            b'-' | b'0'..=b'9' => self.number()?,
            b'"' => (Token::Text, string(rest)?),
            b'.' if rest.starts_with(b"...") => (Token::Spread, 3),
            b'!' | b'$' | b'&' | b'(' | b')' | b':' | b'=' | b'@' | b'[' | b']' | b'{' | b'|' | b'}' => {
                (Token::Mark(first), 1)
            }
            _ => return Err(Refused::bad("a character stands in it that begins nothing")),
        };
        self.at += length;
        Ok(token)
    }

    fn slice(&self, length: usize) -> &'t str {
        self.text.get(self.at..self.at + length).unwrap_or_default()
    }

    /// Goes past what does not count (§2.1.1 to §2.1.5). Some readers end a comment at the line ends of Unicode, and would
    /// see fields where others see a comment: there is none of them in a comment.
    fn blanks(&mut self) -> Result<(), Refused> {
        loop {
            let rest = self.rest();
            match rest.first() {
                Some(b' ' | b'\t' | b'\n' | b'\r' | b',') => self.at += 1,
                Some(0xEF) if rest.starts_with("\u{feff}".as_bytes()) => self.at += 3,
                Some(b'#') => {
                    let length = run(rest, |byte| byte != b'\n' && byte != b'\r');
                    let odd = |c: char| (c.is_control() && c != '\t') || matches!(c, '\u{2028}' | '\u{2029}');
                    if self.slice(length).contains(odd) {
                        return Err(Refused::bad("a comment holds a character that some take for the end of a line"));
                    }
                    self.at += length;
                }
                _ => return Ok(()),
            }
        }
    }

    /// A number (§2.9.1, §2.9.2): nothing that could go on as one may follow.
    fn number(&self) -> Result<(Token<'t>, usize), Refused> {
        let wrong = || Refused::bad("a number is malformed");
        let rest = self.rest();
        let digits = |from: usize| run(rest.get(from..).unwrap_or_default(), |byte| byte.is_ascii_digit());
        let mut length = usize::from(rest.first() == Some(&b'-'));
        let whole = digits(length);
        if whole == 0 || (whole > 1 && rest.get(length) == Some(&b'0')) {
            return Err(wrong());
        }
        length += whole;
        let mut token = Token::Int(self.slice(length));
        if rest.get(length) == Some(&b'.') {
            let fraction = digits(length + 1);
            if fraction == 0 {
                return Err(wrong());
            }
            length += 1 + fraction;
            token = Token::Float;
        }
        if let Some(b'e' | b'E') = rest.get(length) {
            let sign = usize::from(matches!(rest.get(length + 1), Some(b'+' | b'-')));
            let exponent = digits(length + 1 + sign);
            if exponent == 0 {
                return Err(wrong());
            }
            length += 1 + sign + exponent;
            token = Token::Float;
        }
        match rest.get(length) {
            Some(byte) if byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.') => Err(wrong()),
            _ => Ok((token, length)),
        }
    }
}

fn run(bytes: &[u8], belongs: impl Fn(u8) -> bool) -> usize {
    bytes.iter().position(|byte| !belongs(*byte)).unwrap_or(bytes.len())
}

/// The length of a string or block string (§2.9.4), from its first quote to its last.
fn string(text: &[u8]) -> Result<usize, Refused> {
    let open = || Refused::bad("a string does not end, or not on its line");
    let block = text.starts_with(br#"""""#);
    let mut at = if block { 3 } else { 1 };
    loop {
        let rest = text.get(at..).unwrap_or_default();
        match rest.first() {
            None => return Err(open()),
            Some(b'"') if !block => return Ok(at + 1),
            Some(b'\n' | b'\r') if !block => return Err(open()),
            Some(b'\\') if !block => match rest.get(1) {
                Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' | b'u') => at += 2,
                _ => return Err(Refused::bad("a string has an escape that is none")),
            },
            Some(b'\\') if rest.starts_with(br#"\""""#) => at += 4,
            Some(b'"') if rest.starts_with(br#"""""#) => return Ok(at + 3),
            Some(0..=8 | 11 | 12 | 14..=31 | 127) => return Err(Refused::bad("a string holds a control character")),
            Some(_) => at += 1,
        }
    }
}
