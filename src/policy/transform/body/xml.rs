//! JSON as XML, and XML as JSON.
//!
//! | XML | JSON |
//! |---|---|
//! | `<a>text</a>`, `<a/>` | `"a": "text"`, `"a": ""` |
//! | `<a><b>1</b><c>2</c></a>` | `"a": { "b": "1", "c": "2" }`, in this order |
//! | `<a><b>1</b><b>2</b></a>` | `"a": { "b": ["1", "2"] }`, at the place of the first |
//! | `<a id="7">text</a>` | `"a": { "@id": "7", "#text": "text" }` |
//! | `<n:a xmlns:n="urn:n"/>` | `"n:a": { "@xmlns:n": "urn:n" }`: prefixes and declarations as they are written |
//! | `<a xsi:nil="true"/>` | `"a": null` |
//!
//! What is read from XML is text: it does not tell numbers from others. Comments, instructions and white space between
//! elements are left out; where text stands between elements its pieces are put together. The other way, an object with one
//! member that is no list becomes the root of that name; anything else stands in `<root>`, elements of a list within a list in
//! `<item>`. Document types, and so entities of their own, are refused; so are names that XML has not.

use super::json::{DEEPEST, Json, Unfit, escaped, plain};
use quick_xml::XmlVersion;
use quick_xml::escape::resolve_predefined_entity;
use quick_xml::events::attributes::Attribute;
use quick_xml::events::{BytesStart, Event};
use quick_xml::reader::Reader;
use std::borrow::Cow;
use std::collections::HashMap;

const NIL: &str = "xsi:nil";
const XSI: &str = "xmlns:xsi";
const INSTANCE: &str = "http://www.w3.org/2001/XMLSchema-instance";
/// The most tags and texts in one document: a tree takes many times the room of a document dense with them.
const MOST_EVENTS: usize = 1 << 20;
const MALFORMED: Unfit = Unfit("it is not XML");

/// An element that is being read.
struct Open {
    name: String,
    members: Vec<(Cow<'static, str>, Json<'static>)>,
    /// Where the members of each name stand, so that many of one name cost no search.
    places: HashMap<String, usize>,
    text: String,
    nil: bool,
}

/// Reads a document.
///
/// # Errors
/// It is no XML, has a document type, or goes too deep.
pub fn to_json(text: &str) -> Result<Json<'static>, Unfit> {
    let mut reader = Reader::from_str(text);
    reader.config_mut().enable_all_checks(true);
    let mut open: Vec<Open> = Vec::new();
    let (mut root, mut elements) = (None, 0);
    loop {
        elements += 1;
        if elements > MOST_EVENTS {
            return Err(Unfit("it has too many elements"));
        }
        match reader.read_event().map_err(|_| MALFORMED)? {
            Event::Start(start) => {
                if open.len() >= DEEPEST {
                    return Err(Unfit("it goes too deep"));
                }
                if root.is_some() {
                    return Err(MALFORMED);
                }
                open.push(begin(&start)?);
            }
            Event::Empty(start) => {
                if root.is_some() {
                    return Err(MALFORMED);
                }
                let element = begin(&start)?;
                close(element, &mut open, &mut root);
            }
            Event::End(_) => match open.pop() {
                Some(element) => close(element, &mut open, &mut root),
                None => return Err(MALFORMED),
            },
            Event::Text(text) => add(&mut open, &text.xml10_content())?,
            Event::CData(text) => match open.last_mut() {
                Some(element) => element.text.push_str(&text.xml10_content()),
                None => return Err(MALFORMED),
            },
            Event::GeneralRef(reference) => {
                let c = match reference.resolve_char_ref().map_err(|_| MALFORMED)? {
                    Some(c) => c.to_string(),
                    None => resolve_predefined_entity(&reference.xml10_content())
                        .ok_or(Unfit("it names an entity of its own"))?
                        .to_owned(),
                };
                if open.is_empty() || !c.chars().all(is_char) {
                    return Err(MALFORMED);
                }
                add(&mut open, &c)?;
            }
            Event::DocType(_) => return Err(Unfit("it has a document type")),
            Event::Decl(declaration) => {
                let encoding = declaration.encoding().transpose().map_err(|_| MALFORMED)?;
                if !encoding
                    .is_none_or(|name| name.eq_ignore_ascii_case("utf-8") || name.eq_ignore_ascii_case("us-ascii"))
                {
                    return Err(Unfit("it declares an encoding that is not UTF-8"));
                }
            }
            Event::Comment(_) | Event::PI(_) => {}
            Event::Eof => break,
        }
    }
    match root {
        Some(root) if open.is_empty() => Ok(root),
        _ => Err(MALFORMED),
    }
}

fn add(open: &mut [Open], text: &str) -> Result<(), Unfit> {
    match open.last_mut() {
        Some(element) => element.text.push_str(text),
        None if text.trim_matches(['\u{feff}', ' ', '\t', '\r', '\n']).is_empty() => {}
        None => return Err(MALFORMED),
    }
    Ok(())
}

fn begin(start: &BytesStart<'_>) -> Result<Open, Unfit> {
    let name = start.name().as_ref().to_owned();
    if !is_name(&name) {
        return Err(MALFORMED);
    }
    let (mut members, mut nil, mut xsi) = (Vec::new(), false, None);
    for attribute in start.attributes() {
        let attribute: Attribute<'_> = attribute.map_err(|_| MALFORMED)?;
        let value = attribute.normalized_value(XmlVersion::Implicit1_0).map_err(|_| MALFORMED)?;
        let key = attribute.key.as_ref();
        if !is_name(key) || !value.chars().all(is_char) {
            return Err(MALFORMED);
        }
        match key {
            NIL if value == "true" || value == "1" => nil = true,
            XSI if value == INSTANCE => xsi = Some(members.len()),
            _ => {}
        }
        members.push((Cow::Owned(escaped(&format!("@{key}"))), Json::text(&value)));
    }
    if nil && members.len() == 1 + usize::from(xsi.is_some()) {
        members.clear();
    } else {
        nil = false;
    }
    Ok(Open { name, members, places: HashMap::new(), text: String::new(), nil })
}

/// Hangs an element into the one around it.
fn close(element: Open, open: &mut [Open], root: &mut Option<Json<'static>>) {
    let Open { name, mut members, text, nil, .. } = element;
    let blank = text.chars().all(|c| matches!(c, ' ' | '\t' | '\r' | '\n'));
    let value = match (members.is_empty(), nil && text.is_empty()) {
        (true, true) => Json::null(),
        (true, false) => Json::text(&text),
        (false, _) => {
            if !blank {
                members.push(("#text".into(), Json::text(&text)));
            }
            Json::Object(members)
        }
    };
    let Some(around) = open.last_mut() else {
        *root = Some(Json::Object(vec![(escaped(&name).into(), value)]));
        return;
    };
    match around.places.get(&name).and_then(|at| around.members.get_mut(*at)) {
        Some((_, Json::List(list))) => list.push(value),
        Some((_, first)) => {
            let before = std::mem::replace(first, Json::List(Vec::new()));
            if let Json::List(list) = first {
                list.extend([before, value]);
            }
        }
        None => {
            around.places.insert(name.clone(), around.members.len());
            around.members.push((escaped(&name).into(), value));
        }
    }
}

/// Characters that XML 1.0 may hold (§2.2).
fn is_char(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | ' '..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..)
}

/// Names of elements and attributes (XML 1.0 §2.3), with at most one colon (Namespaces in XML §3).
fn is_name(name: &str) -> bool {
    let start = |c: char| {
        c.is_ascii_alphabetic()
            || matches!(c, '_' | '\u{c0}'..='\u{d6}' | '\u{d8}'..='\u{f6}' | '\u{f8}'..='\u{2ff}' | '\u{370}'..='\u{37d}'
                | '\u{37f}'..='\u{1fff}' | '\u{200c}'..='\u{200d}' | '\u{2070}'..='\u{218f}' | '\u{2c00}'..='\u{2fef}'
                | '\u{3001}'..='\u{d7ff}' | '\u{f900}'..='\u{fdcf}' | '\u{fdf0}'..='\u{fffd}' | '\u{10000}'..='\u{effff}')
    };
    let inner = |c: char| {
        start(c)
            || c.is_ascii_digit()
            || matches!(c, '-' | '.' | '\u{b7}' | '\u{300}'..='\u{36f}' | '\u{203f}'..='\u{2040}')
    };
    let part = |part: &str| part.starts_with(start) && part.chars().all(inner);
    match name.split_once(':') {
        Some((prefix, local)) => part(prefix) && part(local),
        None => part(name),
    }
}

/// Writes a document.
///
/// # Errors
/// A name or a character that XML has not, a name that stands twice, or more than `most` bytes.
pub fn from_json(value: &Json<'_>, most: usize) -> Result<String, Unfit> {
    let mut out = Writer { out: "<?xml version=\"1.0\" encoding=\"UTF-8\"?>".to_owned(), most };
    match value {
        Json::Object(members) => match members.as_slice() {
            [(name, value)] if !matches!(value, Json::List(_)) && !name.starts_with(['@', '#']) => {
                out.element(&plain(name), value)?;
            }
            _ => out.element("root", value)?,
        },
        Json::List(_) => out.element("root", &Json::Object(vec![("item".into(), value.clone())]))?,
        Json::Scalar(_) => out.element("root", value)?,
    }
    Ok(out.out)
}

struct Writer {
    out: String,
    most: usize,
}

impl Writer {
    fn element(&mut self, name: &str, value: &Json<'_>) -> Result<(), Unfit> {
        if self.out.len() > self.most {
            return Err(Unfit("it becomes too large"));
        }
        if !is_name(name) {
            return Err(Unfit("a name in it is none in XML"));
        }
        self.out.push('<');
        self.out.push_str(name);
        match value {
            Json::Scalar(text) if text == "null" => {
                self.attribute(XSI, INSTANCE)?;
                self.attribute(NIL, "true")?;
                self.out.push_str("/>");
                return Ok(());
            }
            Json::Scalar(_) => {
                self.out.push('>');
                self.text(&value.as_text().unwrap_or_default())?;
            }
            Json::Object(members) => self.members(members)?,
            // A list in a list: the outer one has written an element for it.
            Json::List(list) => {
                self.out.push('>');
                list.iter().try_for_each(|value| self.element("item", value))?;
            }
        }
        self.out.push_str("</");
        self.out.push_str(name);
        self.out.push('>');
        Ok(())
    }

    fn members(&mut self, members: &[(Cow<'_, str>, Json<'_>)]) -> Result<(), Unfit> {
        let mut seen = std::collections::HashSet::with_capacity(members.len());
        let names: Vec<Cow<'_, str>> = members.iter().map(|(name, _)| plain(name)).collect();
        if !names.iter().all(|name| seen.insert(&**name)) {
            return Err(Unfit("a name stands twice in one object"));
        }
        for (name, (_, value)) in names.iter().zip(members) {
            if let Some(attribute) = name.strip_prefix('@') {
                let value = value.as_text().ok_or(Unfit("an attribute has a value that is no text"))?;
                if !is_name(attribute) {
                    return Err(Unfit("a name in it is none in XML"));
                }
                self.attribute(attribute, &value)?;
            }
        }
        self.out.push('>');
        for (name, (_, value)) in names.iter().zip(members) {
            match value {
                _ if name.starts_with('@') => {}
                _ if name == "#text" => {
                    self.text(&value.as_text().ok_or(Unfit("a text is none"))?)?;
                }
                Json::List(list) => list.iter().try_for_each(|value| self.element(name, value))?,
                _ => self.element(name, value)?,
            }
        }
        Ok(())
    }

    fn attribute(&mut self, name: &str, value: &str) -> Result<(), Unfit> {
        self.out.push(' ');
        self.out.push_str(name);
        self.out.push_str("=\"");
        self.escape(value, true)?;
        self.out.push('"');
        Ok(())
    }

    fn text(&mut self, text: &str) -> Result<(), Unfit> {
        self.escape(text, false)
    }

    /// White space that a reader would change is written as what it is (XML 1.0 §2.11, §3.3.3).
    fn escape(&mut self, text: &str, attribute: bool) -> Result<(), Unfit> {
        for c in text.chars() {
            match c {
                '&' => self.out.push_str("&amp;"),
                '<' => self.out.push_str("&lt;"),
                '>' => self.out.push_str("&gt;"),
                '"' if attribute => self.out.push_str("&quot;"),
                '\r' => self.out.push_str("&#13;"),
                '\n' if attribute => self.out.push_str("&#10;"),
                '\t' if attribute => self.out.push_str("&#9;"),
                c if is_char(c) => self.out.push(c),
                _ => return Err(Unfit("a character in it is none in XML")),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
#[path = "xml_tests.rs"]
mod tests;
