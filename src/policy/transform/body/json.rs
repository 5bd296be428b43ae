//! JSON as a tree in which what is not looked at stays as it is written: numbers of any size, escapes, the order of keys.

use serde::de::IgnoredAny;
use std::borrow::Cow;

/// Values may stand in values this deep.
pub const DEEPEST: usize = 128;

/// The most values in one text: a tree takes many times the room of a text dense with them.
const MOST_VALUES: usize = 1 << 20;

/// A value.
#[derive(Clone, Debug, PartialEq)]
pub enum Json<'a> {
    /// A text with its quotes, a number, `true`, `false` or `null`, as written; in what [`Json::read`] has read also a
    /// list or an object that nobody has looked into.
    Scalar(Cow<'a, str>),
    /// A list.
    List(Vec<Json<'a>>),
    /// An object; its names as written, without their quotes.
    Object(Vec<(Cow<'a, str>, Json<'a>)>),
}

/// Why a body cannot be read or written. Tells nothing of its content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unfit(pub &'static str);

impl<'a> Json<'a> {
    /// Reads a whole text (RFC 8259).
    ///
    /// # Errors
    /// It is no JSON, or goes too deep.
    pub fn parse(text: &'a str) -> Result<Self, Unfit> {
        check(text)?;
        Scanner { text, at: 0, values: &mut 0 }.value(0)
    }

    /// Reads a whole text, but takes it apart only where [`Json::opened`] looks: a change in one place of a large text need
    /// not make a tree of all of it.
    ///
    /// # Errors
    /// It is no JSON.
    pub fn read(text: &'a str) -> Result<Self, Unfit> {
        check(text)?;
        Ok(Self::Scalar(Scanner { text, at: 0, values: &mut 0 }.unopened().into()))
    }

    /// The value, with what it holds directly. `values` counts what is held of the whole text.
    ///
    /// # Errors
    /// Those are too many.
    pub fn opened(&mut self, values: &mut usize) -> Result<&mut Self, Unfit> {
        if let Self::Scalar(Cow::Borrowed(text)) = *self
            && text.starts_with(['{', '['])
        {
            *self = Scanner { text, at: 0, values }.level()?;
        }
        Ok(self)
    }

    /// A text as a value.
    pub fn text(text: &str) -> Self {
        Self::Scalar(quoted(text).into())
    }

    /// `null`.
    pub fn null() -> Self {
        Self::Scalar("null".into())
    }

    /// Writes it, without spaces but those of what was not looked into.
    ///
    /// # Errors
    /// More than `most` bytes.
    pub fn write(&self, out: &mut String, most: usize) -> Result<(), Unfit> {
        match self {
            Self::Scalar(text) => out.push_str(text),
            Self::List(list) => {
                out.push('[');
                for (number, value) in list.iter().enumerate() {
                    out.push_str(if number > 0 { "," } else { "" });
                    value.write(out, most)?;
                }
                out.push(']');
            }
            Self::Object(members) => {
                out.push('{');
                for (number, (name, value)) in members.iter().enumerate() {
                    out.push_str(if number > 0 { ",\"" } else { "\"" });
                    out.push_str(name);
                    out.push_str("\":");
                    value.write(out, most)?;
                }
                out.push('}');
            }
        }
        if out.len() > most { Err(Unfit("it becomes too large")) } else { Ok(()) }
    }

    /// The text of a scalar: without quotes and escapes where it is a text; `None` for `null` and for what is no scalar.
    pub fn as_text(&self) -> Option<Cow<'_, str>> {
        match self {
            Self::Scalar(text) if text.starts_with('"') => Some(plain(text.get(1..text.len().saturating_sub(1))?)),
            Self::Scalar(text) if text != "null" => Some(Cow::Borrowed(text)),
            _ => None,
        }
    }
}

/// A text in quotes, with its escapes.
pub fn quoted(text: &str) -> String {
    serde_json::to_string(text).unwrap_or_default()
}

/// A text as the name of a member: escaped, without quotes.
pub fn escaped(text: &str) -> String {
    let quoted = quoted(text);
    quoted.get(1..quoted.len().saturating_sub(1)).unwrap_or_default().to_owned()
}

/// What stands between quotes, without its escapes. Half a surrogate pair, which JSON lets pass and no text can hold, stays
/// as it is written.
pub fn plain(written: &str) -> Cow<'_, str> {
    if !written.contains('\\') {
        return Cow::Borrowed(written);
    }
    serde_json::from_str(&format!("\"{written}\"")).map_or(Cow::Borrowed(written), Cow::Owned)
}

/// The library says whether it is JSON; who takes it apart need only find where its parts are.
fn check(text: &str) -> Result<(), Unfit> {
    serde_json::from_str::<IgnoredAny>(text).map(drop).map_err(|_| Unfit("it is not JSON"))
}

/// Goes through a text that is JSON.
struct Scanner<'a, 'b> {
    text: &'a str,
    at: usize,
    values: &'b mut usize,
}

impl<'a> Scanner<'a, '_> {
    fn peek(&mut self) -> u8 {
        let rest = self.text.as_bytes().get(self.at..).unwrap_or_default();
        self.at += rest.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
        self.text.as_bytes().get(self.at).copied().unwrap_or(b' ')
    }

    /// Whether the list or object goes on; the comma is passed.
    fn goes_on(&mut self, end: u8) -> bool {
        let next = self.peek();
        self.at += usize::from(next == end || next == b',');
        next != end && self.at < self.text.len()
    }

    /// The value with all that it holds.
    fn value(&mut self, depth: usize) -> Result<Json<'a>, Unfit> {
        if depth > DEEPEST {
            return Err(Unfit("it goes too deep"));
        }
        self.count()?;
        self.parts(&mut |scanner| scanner.value(depth + 1))
    }

    /// The value with what it holds directly.
    fn level(&mut self) -> Result<Json<'a>, Unfit> {
        self.parts(&mut |scanner| {
            scanner.count()?;
            Ok(Json::Scalar(scanner.unopened().into()))
        })
    }

    fn count(&mut self) -> Result<(), Unfit> {
        *self.values += 1;
        if *self.values > MOST_VALUES { Err(Unfit("it has too many values")) } else { Ok(()) }
    }

    fn parts(&mut self, part: &mut dyn FnMut(&mut Self) -> Result<Json<'a>, Unfit>) -> Result<Json<'a>, Unfit> {
        match self.peek() {
            b'{' => {
                self.at += 1;
                let mut members = Vec::new();
                while self.goes_on(b'}') {
                    self.peek();
                    let name = self.scalar();
                    self.peek();
                    self.at += 1; // the colon
                    let name = name.get(1..name.len().saturating_sub(1)).unwrap_or_default();
                    members.push((Cow::Borrowed(name), part(self)?));
                }
                Ok(Json::Object(members))
            }
            b'[' => {
                self.at += 1;
                let mut list = Vec::new();
                while self.goes_on(b']') {
                    list.push(part(self)?);
                }
                Ok(Json::List(list))
            }
            _ => Ok(Json::Scalar(Cow::Borrowed(self.scalar()))),
        }
    }

    /// The value, not taken apart.
    fn unopened(&mut self) -> &'a str {
        if !matches!(self.peek(), b'{' | b'[') {
            return self.scalar();
        }
        let (start, mut open) = (self.at, 0_usize);
        loop {
            match self.text.as_bytes().get(self.at) {
                Some(b'"') => {
                    self.scalar();
                    continue;
                }
                Some(b'{' | b'[') => open += 1,
                Some(b'}' | b']') => open = open.saturating_sub(1),
                Some(_) => {}
                None => break,
            }
            self.at += 1;
            if open == 0 {
                break;
            }
        }
        self.text.get(start..self.at).unwrap_or_default()
    }

    /// A text with its quotes, or anything else up to where it ends.
    fn scalar(&mut self) -> &'a str {
        let rest = self.text.get(self.at..).unwrap_or_default();
        let bytes = rest.as_bytes();
        let length = if bytes.first() == Some(&b'"') {
            let mut end = 1;
            loop {
                let tail = bytes.get(end..).unwrap_or_default();
                match memchr::memchr2(b'"', b'\\', tail) {
                    Some(at) if tail.get(at) == Some(&b'\\') => end += at + 2,
                    Some(at) => break end + at + 1,
                    None => break bytes.len(),
                }
            }
        } else {
            let ends = |byte: &u8| byte.is_ascii_whitespace() || matches!(byte, b',' | b']' | b'}');
            bytes.iter().position(ends).unwrap_or(bytes.len())
        };
        self.at += length;
        rest.get(..length).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn again(text: &str) -> String {
        let mut out = String::new();
        Json::parse(text).unwrap_or_else(|unfit| panic!("{text}: {unfit:?}")).write(&mut out, usize::MAX).unwrap();
        out
    }

    #[test]
    fn what_is_not_changed_stays_as_it_is_written() {
        let digits = "9".repeat(1_000_000);
        for text in [
            r#"{"z":1,"a":{"b":[1,2.50,-0,1e400,12345678901234567890123]},"\u00e9\"\\":"\ud83d\ude00\n"}"#,
            r#"[]"#,
            r#"{}"#,
            r#"[[],{},"",null,true,false]"#,
            r#""text""#,
            &digits,
        ] {
            assert_eq!(again(text), text);
        }
        assert_eq!(again(" { \"a\" : [ 1 , 2 ] ,\t\"b\":\r\n{ } } "), r#"{"a":[1,2],"b":{}}"#);
    }

    #[test]
    fn what_is_no_json_or_goes_too_deep_is_refused() {
        for text in ["", " ", "{", "[1,]", "{\"a\":}", "{a:1}", "01", "NaN", "'a'", "1 2", "\"\u{1}\"", "[1}", "tru"] {
            assert_eq!(Json::parse(text), Err(Unfit("it is not JSON")), "{text}");
        }
        let deep = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
        assert!(Json::parse(&deep(DEEPEST)).is_ok());
        assert_eq!(Json::parse(&deep(DEEPEST + 2)), Err(Unfit("it goes too deep")));
        assert!(Json::parse(&deep(2_000_000)).is_err());
        let wide = format!("[{}0]", "0,".repeat(MOST_VALUES));
        assert_eq!(Json::parse(&wide), Err(Unfit("it has too many values")));
        assert!(Json::parse(&"{\"a\":".repeat(1_000_000)).is_err());
    }

    #[test]
    fn what_is_not_looked_into_is_not_taken_apart() {
        let text = r#" { "a" : [ 1 , "]}\"" , { } ] , "b":{"c" : {}},"d":-1e9 } "#;
        let (mut value, mut values) = (Json::read(text).unwrap(), 0);
        assert_eq!(value, Json::Scalar(text.trim().into()));
        let Json::Object(members) = value.opened(&mut values).unwrap() else { panic!("an object") };
        assert_eq!(members[0].1, Json::Scalar(r#"[ 1 , "]}\"" , { } ]"#.into()));
        members[1].1.opened(&mut values).unwrap();
        let mut out = String::new();
        value.write(&mut out, usize::MAX).unwrap();
        assert_eq!((out.as_str(), values), (r#"{"a":[ 1 , "]}\"" , { } ],"b":{"c":{}},"d":-1e9}"#, 4));
        assert_eq!(Json::read("[1}"), Err(Unfit("it is not JSON")));
        let wide = format!("[{}0]", "0,".repeat(MOST_VALUES));
        assert_eq!(Json::read(&wide).unwrap().opened(&mut 0), Err(Unfit("it has too many values")));
    }

    #[test]
    fn texts_lose_quotes_and_escapes() {
        for (text, expected) in [
            ("\"a\\u0041\\n\"", Some("aA\n")),
            ("12.50", Some("12.50")),
            ("true", Some("true")),
            ("null", None),
            ("[]", None),
        ] {
            assert_eq!(Json::parse(text).unwrap().as_text().as_deref(), expected, "{text}");
        }
        assert_eq!(Json::parse("\"\\ud800x\"").unwrap().as_text().as_deref(), Some("\\ud800x"));
    }

    fn open_all(value: &mut Json<'_>) {
        match value.opened(&mut 0).unwrap() {
            Json::List(list) => list.iter_mut().for_each(open_all),
            Json::Object(members) => members.iter_mut().for_each(|(_, value)| open_all(value)),
            _ => {}
        }
    }

    fn values() -> impl Strategy<Value = serde_json::Value> {
        let leaf = prop_oneof![
            Just(serde_json::Value::Null),
            any::<bool>().prop_map(Into::into),
            any::<i64>().prop_map(Into::into),
            ".{0,8}".prop_map(Into::into),
        ];
        leaf.prop_recursive(4, 32, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Into::into),
                prop::collection::vec((".{0,4}", inner), 0..4)
                    .prop_map(|pairs| serde_json::Value::Object(pairs.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn reads_whatever_the_library_writes(value in values(), pretty in any::<bool>()) {
            let text = if pretty { serde_json::to_string_pretty(&value) } else { serde_json::to_string(&value) }.unwrap();
            prop_assert_eq!(again(&text), serde_json::to_string(&value).unwrap());
            let mut out = String::new();
            Json::read(&text).unwrap().write(&mut out, usize::MAX).unwrap();
            prop_assert_eq!(&out, &text, "as it is written");
            let mut opened = Json::read(&text).unwrap();
            open_all(&mut opened);
            prop_assert_eq!(opened, Json::parse(&text).unwrap());
        }
    }
}
