//! Path templates of `google.api.http`: `/v1/{name=shelves/*/books/*}:archive`.
//!
//! ```text
//! Template = "/" Segments [ ":" LITERAL ]        Segments = Segment { "/" Segment }
//! Segment  = "*" | "**" | LITERAL | Variable     Variable = "{" FieldPath [ "=" Segments ] "}"
//! ```

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use std::fmt;

/// What is encoded in one segment: all but unreserved characters (RFC 3986 §2.3).
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
/// And in several.
const SEGMENTS: &AsciiSet = &SEGMENT.remove(b'/');

/// A template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    segments: Vec<Segment>,
    verb: Option<Box<str>>,
    variables: Vec<Variable>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Segment {
    Literal(Box<str>),
    /// `*`: one, not empty.
    One,
    /// `**`, last: any number.
    Rest,
}

/// A stretch of the path that goes into a field.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Variable {
    field: Box<str>,
    from: usize,
    /// Exclusive; what `**` stands for is included.
    to: usize,
}

/// What is wrong with a template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadTemplate(pub String);

impl Template {
    /// Reads a template.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, BadTemplate> {
        let rest = text.strip_prefix('/').ok_or_else(|| BadTemplate("a path begins with `/`".into()))?;
        let (path, verb) = match rest.rfind(':').filter(|at| rest.rfind(['}', '/']).is_none_or(|end| end < *at)) {
            Some(at) => (rest.get(..at).unwrap_or_default(), rest.get(at + 1..)),
            None => (rest, None),
        };
        if verb.is_some_and(|verb| verb.is_empty() || !verb.bytes().all(is_literal)) {
            return Err(BadTemplate("what follows `:` is no verb".into()));
        }
        let mut template = Self { segments: Vec::new(), verb: verb.map(Into::into), variables: Vec::new() };
        for part in split(path)? {
            template.part(part)?;
        }
        let last = template.segments.len().saturating_sub(1);
        if template.segments.iter().position(|segment| *segment == Segment::Rest).is_some_and(|at| at != last) {
            return Err(BadTemplate("`**` stands last".into()));
        }
        Ok(template)
    }

    fn part(&mut self, part: &str) -> Result<(), BadTemplate> {
        let Some(inner) = part.strip_prefix('{') else { return self.plain(part) };
        let inner = inner.strip_suffix('}').ok_or_else(|| BadTemplate("a variable is a whole segment".into()))?;
        let (field, segments) = inner.split_once('=').unwrap_or((inner, "*"));
        let is_name = |name: &str| {
            name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
                && name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
        };
        if !field.split('.').all(is_name) {
            return Err(BadTemplate(format!("`{field}` is no path of fields")));
        }
        if self.variables.iter().any(|known| *known.field == *field) {
            return Err(BadTemplate(format!("`{field}` stands twice")));
        }
        let from = self.segments.len();
        segments.split('/').try_for_each(|segment| self.plain(segment))?;
        self.variables.push(Variable { field: field.into(), from, to: self.segments.len() });
        Ok(())
    }

    fn plain(&mut self, text: &str) -> Result<(), BadTemplate> {
        self.segments.push(match text {
            "*" => Segment::One,
            "**" => Segment::Rest,
            "" => return Err(BadTemplate("a segment is empty".into())),
            text if text.bytes().all(is_literal) => Segment::Literal(text.into()),
            text => return Err(BadTemplate(format!("`{text}` is no segment"))),
        });
        Ok(())
    }

    /// The paths of the fields it sets, in order.
    pub fn fields(&self) -> impl Iterator<Item = &str> {
        self.variables.iter().map(|variable| &*variable.field)
    }

    /// Whether it ends in a verb.
    pub fn has_verb(&self) -> bool {
        self.verb.is_some()
    }

    /// The same as a pattern of routes. A verb after `**` has no place there: paths without it match the pattern, and only
    /// [`Self::values`] tells them apart.
    pub fn pattern(&self) -> String {
        self.with_names(|at| {
            let named = self.variables.iter().find(|variable| variable.from == at && variable.to == at + 1);
            named.map_or_else(|| format!("segment_{at}"), |variable| variable.field.replace('.', "_"))
        })
    }

    /// The same for all templates whose paths the same pattern matches, whatever their variables are called.
    pub fn shape(&self) -> String {
        self.with_names(|at| format!("segment_{at}"))
    }

    /// Whether both match the same paths.
    pub fn is_like(&self, other: &Self) -> bool {
        self.segments == other.segments && self.verb == other.verb
    }

    fn with_names(&self, name: impl Fn(usize) -> String) -> String {
        let mut out = String::new();
        let last = self.segments.len().saturating_sub(1);
        for (at, segment) in self.segments.iter().enumerate() {
            out.push('/');
            let verb = self.verb.as_deref().filter(|_| at == last);
            match (segment, verb) {
                (Segment::Literal(text), None) => out.push_str(text),
                (Segment::Literal(text), Some(verb)) => out.push_str(&format!("{text}:{verb}")),
                (Segment::One, None) => out.push_str(&format!("{{{}}}", name(at))),
                (Segment::One, Some(verb)) => out.push_str(&format!("{{{}:.*:{verb}}}", name(at))),
                (Segment::Rest, _) => out.push_str("**"),
            }
        }
        out
    }

    /// The path that values make, in the order of the variables, each encoded for where it stands; `None` where they do not fit:
    /// a segment would be empty, or lead elsewhere (RFC 3986 §5.2.4).
    pub fn fill(&self, values: &[String]) -> Option<String> {
        let mut out = String::new();
        let mut at = 0;
        while at < self.segments.len() {
            let found = self.variables.iter().zip(values).find(|(variable, _)| variable.from == at);
            match (found, self.segments.get(at)) {
                (Some((variable, value)), _) => {
                    let several = variable.to > at + 1 || self.segments.get(at) == Some(&Segment::Rest);
                    let encoded = utf8_percent_encode(value, if several { SEGMENTS } else { SEGMENT });
                    out.push_str(&format!("/{encoded}"));
                    at = variable.to;
                }
                (None, Some(Segment::Literal(text))) => {
                    out.push_str(&format!("/{text}"));
                    at += 1;
                }
                (None, _) => return None,
            }
        }
        let climbs = out.split('/').skip(1).any(|segment| matches!(segment, "" | "." | ".."));
        out.extend(self.verb.iter().map(|verb| format!(":{verb}")));
        (!climbs && self.values(&out).is_some()).then_some(out)
    }

    /// The values of its variables in a path, in order and decoded; `None` where the path does not match.
    ///
    /// A variable of one segment is decoded whole; in one of several an encoded slash stays, so that it is not taken for one
    /// that parts segments.
    pub fn values(&self, path: &str) -> Option<Vec<Option<String>>> {
        let path = path.strip_prefix('/')?;
        let path = match &self.verb {
            Some(verb) => path.strip_suffix(&**verb)?.strip_suffix(':')?,
            None => path,
        };
        let parts: Vec<&str> = if path.is_empty() { Vec::new() } else { path.split('/').collect() };
        let fixed = self.segments.len() - usize::from(self.segments.last() == Some(&Segment::Rest));
        let rest = fixed < self.segments.len();
        if parts.len() < fixed || (parts.len() > fixed && !rest) {
            return None;
        }
        let fits = |(segment, part): (&Segment, &&str)| match segment {
            Segment::Literal(text) => **text == **part,
            Segment::One => !part.is_empty(),
            Segment::Rest => true,
        };
        if !self.segments.iter().zip(&parts).all(fits) {
            return None;
        }
        let value = |variable: &Variable| {
            let end = if rest && variable.to == self.segments.len() { parts.len() } else { variable.to };
            let held = parts.get(variable.from.min(end)..end)?;
            match held {
                [one] if !(rest && variable.to > fixed) => {
                    percent_decode_str(one).decode_utf8().ok().map(std::borrow::Cow::into_owned)
                }
                several => decoded_but_slashes(&several.join("/")),
            }
        };
        Some(self.variables.iter().map(value).collect())
    }
}

/// As it is written in a schema.
impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut at = 0;
        while at < self.segments.len() {
            f.write_str("/")?;
            let variable = self.variables.iter().find(|variable| variable.from == at);
            let end = variable.map_or(at + 1, |variable| variable.to);
            let held = self.segments.get(at..end).unwrap_or_default();
            let held: Vec<&str> = held.iter().map(Segment::written).collect();
            match variable {
                Some(variable) if held == ["*"] => write!(f, "{{{}}}", variable.field)?,
                Some(variable) => write!(f, "{{{}={}}}", variable.field, held.join("/"))?,
                None => f.write_str(&held.join("/"))?,
            }
            at = end.max(at + 1);
        }
        self.verb.as_deref().map_or(Ok(()), |verb| write!(f, ":{verb}"))
    }
}

impl Segment {
    fn written(&self) -> &str {
        match self {
            Self::Literal(text) => text,
            Self::One => "*",
            Self::Rest => "**",
        }
    }
}

/// Decodes all escapes but those of slashes; `None` where that is not UTF-8.
fn decoded_but_slashes(text: &str) -> Option<String> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("%2F").or_else(|| rest.find("%2f")) {
        let (before, after) = rest.split_at_checked(at)?;
        out.extend(percent_decode_str(before));
        out.extend_from_slice(b"%2F");
        rest = after.get(3..)?;
    }
    out.extend(percent_decode_str(rest));
    String::from_utf8(out).ok()
}

/// Splits at the slashes that are not within braces.
fn split(path: &str) -> Result<Vec<&str>, BadTemplate> {
    let (mut parts, mut start, mut open) = (Vec::new(), 0, false);
    for (at, byte) in path.bytes().enumerate() {
        match byte {
            b'{' if open => return Err(BadTemplate("a variable within a variable".into())),
            b'{' => open = true,
            b'}' => open = false,
            b'/' if !open => {
                parts.push(path.get(start..at).unwrap_or_default());
                start = at + 1;
            }
            _ => {}
        }
    }
    if open {
        return Err(BadTemplate("`{` without `}`".into()));
    }
    parts.push(path.get(start..).unwrap_or_default());
    Ok(parts)
}

/// What a segment may be of (RFC 3986 §3.3), but what means something here.
fn is_literal(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~!$&'()+,;@%".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(template: &str, path: &str) -> Option<Vec<String>> {
        let found = Template::parse(template).unwrap().values(path)?;
        Some(found.into_iter().map(Option::unwrap).collect())
    }

    fn held(values: &[&str]) -> Option<Vec<String>> {
        Some(values.iter().map(|value| (*value).to_owned()).collect())
    }

    #[test]
    fn variables_hold_what_their_segments_match() {
        let cases: &[(&str, &str, Option<Vec<String>>)] = &[
            ("/v1/messages/{message_id}", "/v1/messages/123456", held(&["123456"])),
            ("/v1/{name=messages/*}", "/v1/messages/123456", held(&["messages/123456"])),
            ("/v1/{name=messages/*}", "/v1/others/123456", None),
            ("/v1/{name=shelves/*/books/*}:archive", "/v1/shelves/1/books/2:archive", held(&["shelves/1/books/2"])),
            ("/v1/{name=shelves/*/books/*}:archive", "/v1/shelves/1/books/2", None),
            ("/v1/{name=**}", "/v1/a/b/c", held(&["a/b/c"])),
            ("/v1/{name=**}", "/v1", held(&[""])),
            ("/v1/{name=files/**}:read", "/v1/files/a/b:read", held(&["files/a/b"])),
            ("/v1/*/{id}", "/v1/x/y", held(&["y"])),
            ("/v1/{a.b}/c", "/v1/x/c", held(&["x"])),
            ("/v1/{id}", "/v1/", None),
            ("/v1/{id}", "/v1/a/b", None),
            ("/v1/{id}", "/v1/a:b", held(&["a:b"])),
            ("/v1", "/v1", held(&[])),
        ];
        for (template, path, expected) in cases {
            assert_eq!(values(template, path), *expected, "{template} {path}");
        }
    }

    #[test]
    fn a_variable_of_one_segment_is_decoded_and_one_of_several_keeps_encoded_slashes() {
        assert_eq!(values("/v1/{id}", "/v1/a%2Fb%20c"), held(&["a/b c"]));
        assert_eq!(values("/v1/{id=*/*}", "/v1/a%2Fb%20c/d"), held(&["a%2Fb c/d"]));
        assert_eq!(values("/v1/{id=**}", "/v1/a%2Fb"), held(&["a%2Fb"]));
        assert_eq!(Template::parse("/v1/{id}").unwrap().values("/v1/%FF"), Some(vec![None]));
    }

    #[test]
    fn values_make_the_path_that_they_came_from_and_no_other() {
        let filled = |template: &str, values: &[&str]| {
            let values: Vec<String> = values.iter().map(|value| (*value).to_owned()).collect();
            Template::parse(template).unwrap().fill(&values)
        };
        assert_eq!(filled("/v1/{id}/x", &["a/b ?c"]).as_deref(), Some("/v1/a%2Fb%20%3Fc/x"));
        assert_eq!(filled("/v1/{name=shelves/*}:read", &["shelves/ü"]).as_deref(), Some("/v1/shelves/%C3%BC:read"));
        assert_eq!(filled("/v1/{name=**}", &["a/b"]).as_deref(), Some("/v1/a/b"));
        for (template, value) in [
            ("/v1/{id}", ""),
            ("/v1/{id}", ".."),
            ("/v1/{name=shelves/*}", "others/1"),
            ("/v1/{name=shelves/*}", "shelves/1/2"),
            ("/v1/{name=shelves/*}", "shelves/.."),
            ("/v1/{name=**}", "a/../b"),
            ("/v1/{name=**}", "/a"),
        ] {
            assert_eq!(filled(template, &[value]), None, "{template} {value}");
        }
    }

    #[test]
    fn what_is_no_template_is_refused() {
        for text in [
            "v1",
            "/",
            "/v1//x",
            "/{a",
            "/v1/{a=**}/x",
            "/v1/x{a}",
            "/v1/{a}{b}",
            "/v1/{a={b}}",
            "/v1/{a}/{a}",
            "/v1/{}",
            "/v1/{a=}",
            "/v1/{1a}",
            "/v1/x:",
            "/v1/a b",
            "/v1/***",
        ] {
            assert!(Template::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_template_is_a_pattern_of_routes() {
        for (template, pattern) in [
            ("/v1/messages/{message_id}", "/v1/messages/{message_id}"),
            ("/v1/{name=shelves/*}", "/v1/shelves/{segment_2}"),
            ("/v1/{book.name}:read", "/v1/{book_name:.*:read}"),
            ("/v1/messages:search", "/v1/messages:search"),
            ("/v1/{name=**}:x", "/v1/**"),
        ] {
            let parsed = Template::parse(template).unwrap();
            assert_eq!(parsed.to_string(), template);
            let found = parsed.pattern();
            assert_eq!(found, pattern, "{template}");
            assert!(crate::routing::PathPattern::parse(&found).is_ok(), "{found}");
        }
    }
}
