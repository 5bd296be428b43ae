//! Conditions beside path and method: a header field, a query parameter, a cookie, or a part of the body.

use std::borrow::Cow;
use std::fmt;

use http::HeaderName;
use http::header::COOKIE;

use super::{Expression, PatternError, Reading, Target};
use crate::request::cookies;
use crate::value::json::{Json, Pointer};

/// One condition of a route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Predicate {
    /// What is looked at.
    pub subject: Subject,
    /// What must be true of it.
    pub test: Test,
}

/// What a predicate looks at. Names of parameters and cookies are case-sensitive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    /// The values of a header field, each line as it is: lists within a line are not taken apart.
    Header(HeaderName),
    /// The values of a query parameter, `%XX` and `+` decoded.
    Query(Box<str>),
    /// The values of a cookie (RFC 6265 §4.2.1), without the double quotes around it.
    Cookie(Box<str>),
    /// What stands in the body at a pointer (RFC 6901), scalars as texts; of a list each of its scalars. A form is an object
    /// of texts.
    Body(Pointer),
}

/// Whether a condition holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holds {
    /// It does.
    Yes,
    /// It does not.
    No,
    /// The body has not been read yet.
    Unread,
}

impl Subject {
    /// A header field by name, in any case.
    ///
    /// # Errors
    ///
    /// [`PatternError`] when it is no field name (RFC 9110 §5.1).
    pub fn header(name: &str) -> Result<Self, PatternError> {
        HeaderName::try_from(name).map(Self::Header).map_err(|_| PatternError::new(0, "not the name of a header field"))
    }
}

/// What a predicate asks. Where a name has several values, one that passes is enough.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Test {
    /// A value equals this text.
    Exact(Box<str>),
    /// A value begins with this text.
    Prefix(Box<str>),
    /// A value matches this expression as a whole.
    Regex(Expression),
    /// There is a value, be it empty.
    Present,
    /// There is none.
    Absent,
}

impl Predicate {
    /// Whether a request passes; what is not known yet does not.
    pub fn holds(&self, target: &Target<'_>) -> bool {
        let unfit = matches!(self.subject, Subject::Body(_)) && !matches!(target.body, Reading::Read(_));
        if unfit {
            return false;
        }
        let mut present = false;
        let mut passed = false;
        self.subject.each_value(target, &mut |value| {
            present = true;
            passed = passed || self.test.passes(&value);
        });
        match self.test {
            Test::Absent => !present,
            Test::Present => present,
            Test::Exact(_) | Test::Prefix(_) | Test::Regex(_) => passed,
        }
    }

    /// Whether a request passes, so far as that is known.
    pub fn judge(&self, target: &Target<'_>) -> Holds {
        match &self.subject {
            Subject::Body(_) if matches!(target.body, Reading::Unread) => Holds::Unread,
            _ if self.holds(target) => Holds::Yes,
            _ => Holds::No,
        }
    }

    /// Whether every request that passes this one passes `other` too. `false` where that is not known.
    pub(super) fn implies(&self, other: &Self) -> bool {
        self.subject == other.subject
            && match (&self.test, &other.test) {
                (one, two) if one == two => true,
                (Test::Exact(_) | Test::Prefix(_) | Test::Regex(_), Test::Present) => true,
                (Test::Exact(text), test) => test.passes(text.as_bytes()),
                (Test::Prefix(text), Test::Prefix(prefix)) => text.starts_with(&**prefix),
                _ => false,
            }
    }

    /// Whether the two are meant for different requests: they ask for different values of one thing.
    ///
    /// Two different expressions count as such, since what they have in common cannot be known.
    pub(super) fn excludes(&self, other: &Self) -> bool {
        self.subject == other.subject
            && match (&self.test, &other.test) {
                (one, two) if one == two => false,
                (Test::Absent, _) | (_, Test::Absent) => true,
                (Test::Present, _) | (_, Test::Present) => false,
                (Test::Exact(text), test) | (test, Test::Exact(text)) => !test.passes(text.as_bytes()),
                (Test::Prefix(one), Test::Prefix(two)) => !one.starts_with(&**two) && !two.starts_with(&**one),
                (Test::Regex(_), _) | (_, Test::Regex(_)) => true,
            }
    }
}

impl Test {
    fn passes(&self, value: &[u8]) -> bool {
        match self {
            Self::Exact(text) => value == text.as_bytes(),
            Self::Prefix(text) => value.starts_with(text.as_bytes()),
            Self::Regex(expression) => expression.matches(value),
            Self::Present => true,
            Self::Absent => false,
        }
    }
}

impl Subject {
    fn each_value(&self, target: &Target<'_>, visit: &mut dyn FnMut(Cow<'_, [u8]>)) {
        match self {
            Self::Header(name) => target.headers.each(name, &mut |value| visit(Cow::Borrowed(value))),
            Self::Query(name) => each_parameter(target.query.unwrap_or_default(), name, visit),
            Self::Cookie(name) => target.headers.each(&COOKIE, &mut |line| each_cookie(line, name, visit)),
            Self::Body(pointer) => {
                let Reading::Read(body) = target.body else { return };
                match pointer.of(body) {
                    Some(Json::Array(items)) => items.iter().for_each(|item| visit_scalar(item, visit)),
                    Some(value) => visit_scalar(value, visit),
                    None => {}
                }
            }
        }
    }
}

/// Visits a value of a body; what is no scalar is there, and equals no text.
fn visit_scalar(value: &Json, visit: &mut dyn FnMut(Cow<'_, [u8]>)) {
    let text = match value {
        Json::Null => "null",
        other => other.scalar().unwrap_or_default(),
    };
    visit(Cow::Borrowed(text.as_bytes()));
}

/// Visits the values of a parameter of a query (`application/x-www-form-urlencoded`; a malformed escape stands for
/// itself). A parameter without `=` has an empty value.
fn each_parameter(query: &str, name: &str, visit: &mut dyn FnMut(Cow<'_, [u8]>)) {
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        if *form_decoded(key) == *name.as_bytes() {
            visit(form_decoded(value));
        }
    }
}

fn form_decoded(text: &str) -> Cow<'_, [u8]> {
    if !text.contains(['%', '+']) {
        return Cow::Borrowed(text.as_bytes());
    }
    let spaced = text.replace('+', " ");
    Cow::Owned(percent_encoding::percent_decode_str(&spaced).collect())
}

/// Visits the values of a cookie in one `Cookie` field, taking what RFC 6265 §5.4 lets clients send and no more notice
/// of what is malformed than skipping it.
fn each_cookie(line: &[u8], name: &str, visit: &mut dyn FnMut(Cow<'_, [u8]>)) {
    for (key, value) in cookies(line) {
        if key == name.as_bytes() {
            let bare = value.strip_prefix(b"\"").and_then(|value| value.strip_suffix(b"\""));
            visit(Cow::Borrowed(bare.unwrap_or(value)));
        }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Header(name) => write!(f, "header {name}"),
            Self::Query(name) => write!(f, "query {name}"),
            Self::Cookie(name) => write!(f, "cookie {name}"),
            Self::Body(pointer) => write!(f, "body {pointer}"),
        }
    }
}

impl fmt::Display for Predicate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let subject = &self.subject;
        match &self.test {
            Test::Exact(text) => write!(f, "{subject} = {text:?}"),
            Test::Prefix(text) => write!(f, "{subject} begins with {text:?}"),
            Test::Regex(expression) => write!(f, "{subject} matches {:?}", expression.as_str()),
            Test::Present => write!(f, "{subject} is present"),
            Test::Absent => write!(f, "{subject} is absent"),
        }
    }
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderName, HeaderValue};

    use super::*;

    fn holds(predicate: &Predicate, query: Option<&str>, fields: &[(&str, &[u8])]) -> bool {
        let headers: HeaderMap = fields
            .iter()
            .map(|(name, value)| (name.parse::<HeaderName>().unwrap(), HeaderValue::from_bytes(value).unwrap()))
            .collect();
        predicate.holds(&Target { host: "h", path: "/", method: "GET", query, headers: &headers, body: Reading::Unfit })
    }

    fn query(name: &str, test: Test) -> Predicate {
        Predicate { subject: Subject::Query(name.into()), test }
    }

    fn cookie(name: &str, test: Test) -> Predicate {
        Predicate { subject: Subject::Cookie(name.into()), test }
    }

    fn header(name: &str, test: Test) -> Predicate {
        Predicate { subject: Subject::header(name).unwrap(), test }
    }

    fn exact(text: &str) -> Test {
        Test::Exact(text.into())
    }

    #[test]
    fn a_parameter_is_compared_decoded() {
        let predicate = query("a b", exact("c&d e"));
        assert!(holds(&predicate, Some("x=1&a+b=c%26d+e"), &[]));
        assert!(holds(&predicate, Some("a%20b=no&a%20b=c%26d%20e"), &[]));
        assert!(!holds(&predicate, Some("a%20b=c&d e"), &[]));
        assert!(!holds(&predicate, Some("A+b=c%26d+e"), &[]));
        assert!(!holds(&predicate, None, &[]));
        assert!(holds(&query("a", exact("%zz%2")), Some("a=%zz%2"), &[]));
        assert!(holds(&query("a", exact("+")), Some("a=%2B"), &[]));
        assert!(holds(&query("a", exact("%2B")), Some("a=%252B"), &[]));
    }

    #[test]
    fn a_parameter_without_a_value_is_present_and_empty() {
        for written in ["a", "a=", "&a&", "b&a"] {
            assert!(holds(&query("a", Test::Present), Some(written), &[]), "{written}");
            assert!(holds(&query("a", exact("")), Some(written), &[]), "{written}");
            assert!(!holds(&query("a", Test::Absent), Some(written), &[]), "{written}");
        }
        assert!(holds(&query("a", Test::Absent), Some(""), &[]));
        assert!(!holds(&query("", Test::Present), Some("&&"), &[]));
    }

    #[test]
    fn one_passing_value_of_a_header_is_enough() {
        let fields: [(&str, &[u8]); 2] = [("x-beta", b"no"), ("X-Beta", b"true")];
        assert!(holds(&header("X-BETA", exact("true")), None, &fields));
        assert!(!holds(&header("x-beta", exact("True")), None, &fields));
        assert!(holds(&header("x-beta", Test::Prefix("tr".into())), None, &fields));
        assert!(holds(&header("x-beta", Test::Regex(Expression::parse("t.*e").unwrap())), None, &fields));
        assert!(!holds(&header("x-beta", Test::Regex(Expression::parse("r").unwrap())), None, &fields));
        assert!(!holds(&header("x-other", Test::Present), None, &fields));
        assert!(holds(&header("x-raw", Test::Present), None, &[("x-raw", b"\xff")]));
    }

    #[test]
    fn cookies_are_read_leniently() {
        let predicate = cookie("id", exact("7"));
        for line in ["id=7", "a=b; id=7", "a=b;id=7", " id = 7 ", "id=\"7\"", "broken; id=7;", "id=6; id=7"] {
            assert!(holds(&predicate, None, &[("cookie", line.as_bytes())]), "{line}");
        }
        for line in ["ID=7", "xid=7", "id", "id=77", "a=id=7", "id=\"7", "a=\"b; id=8\""] {
            assert!(!holds(&predicate, None, &[("cookie", line.as_bytes())]), "{line}");
        }
        assert!(holds(&predicate, None, &[("cookie", b"a=b"), ("cookie", b"id=7")]));
        assert!(holds(&cookie("id", exact("a=b")), None, &[("cookie", b"id=a=b")]));
    }

    #[test]
    fn tells_predicates_that_exclude_or_imply_each_other() {
        let of = |test| query("a", test);
        let prefix = |text: &str| Test::Prefix(text.into());
        let regex = |text: &str| Test::Regex(Expression::parse(text).unwrap());
        for (one, two, excludes, implies) in [
            (exact("x"), exact("y"), true, false),
            (exact("x"), exact("x"), false, true),
            (exact("xy"), prefix("x"), false, true),
            (exact("y"), prefix("x"), true, false),
            (prefix("xy"), prefix("x"), false, true),
            (prefix("x"), prefix("xy"), false, false),
            (prefix("x"), prefix("y"), true, false),
            (exact("x"), regex("[xy]"), false, true),
            (exact("z"), regex("[xy]"), true, false),
            (regex("x"), regex("[x]"), true, false),
            (exact("x"), Test::Present, false, true),
            (Test::Present, exact("x"), false, false),
            (exact("x"), Test::Absent, true, false),
            (Test::Absent, Test::Present, true, false),
        ] {
            let (one, two) = (of(one), of(two));
            assert_eq!(one.excludes(&two), excludes, "{one} / {two}");
            assert_eq!(two.excludes(&one), excludes, "{two} / {one}");
            assert_eq!(one.implies(&two), implies, "{one} / {two}");
        }
        assert!(!query("a", exact("x")).excludes(&query("b", exact("y"))));
        assert!(!query("a", exact("x")).implies(&cookie("a", Test::Present)));
    }
}
