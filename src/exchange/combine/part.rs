//! One part: the call it makes, and what is taken of its answer.

use super::beside::{Admission, Memory};
use super::facts::{Facts, Missing};
use super::reference::{Piece, Reference, Text};
use super::shape::Shape;
use crate::exchange::call::{Call, CallBody, Callee, Retries};
use crate::request::TRACESTATE;
use crate::value::json::{Json, Pointer};
use bytes::Bytes;
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use std::sync::Arc;
use std::time::Duration;

/// A part of an answer.
pub struct Part {
    /// Its name.
    pub name: Arc<str>,
    /// Who is asked.
    pub to: Callee,
    /// With which method.
    pub method: Method,
    /// For which path.
    pub path: Text,
    /// With which query.
    pub query: Option<Text>,
    /// With which fields beside those that every part gets.
    pub headers: Vec<(HeaderName, Text)>,
    /// With which body.
    pub body: Option<Shape>,
    /// For each item of which list.
    pub each: Option<Each>,
    /// What becomes of the whole answer when it fails.
    pub need: Need,
    /// How long it may take; `None` for as long as the route.
    pub timeout: Option<Duration>,
    /// The longest answer that is taken, in bytes.
    pub most: usize,
    /// What is taken of its answer.
    pub taking: Taking,
    /// Whether it is asked only for others to refer to.
    pub hidden: bool,
    /// When another attempt is made.
    pub retries: Arc<Retries>,
    /// How often it may be asked.
    pub limits: Option<Arc<dyn Admission>>,
    /// What is known of it.
    pub memory: Option<Arc<dyn Memory>>,
}

/// The list that a part is asked about item by item.
pub struct Each {
    /// The list.
    pub list: Reference,
    /// The most items; more fail the part.
    pub most: usize,
    /// How many calls at a time.
    pub at_once: usize,
}

/// What becomes of the answer when a part fails.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Need {
    /// The failure is the answer.
    Required,
    /// It is left out, and the answer says so.
    Optional,
    /// This stands in its place, and the answer says so.
    Fallback(Shape),
}

/// What is taken of a part's answer, in this order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Taking {
    /// From which place.
    pub from: Pointer,
    /// Whether the items of lists within a list become its own.
    pub flatten: bool,
    /// Which members; none for all.
    pub pick: Vec<Box<str>>,
    /// Which members not.
    pub drop: Vec<Box<str>>,
    /// Old and new names of members.
    pub rename: Vec<(Box<str>, Box<str>)>,
}

impl Part {
    /// All references in it but those of its fallback.
    pub fn references(&self) -> Vec<&Reference> {
        let texts = std::iter::once(&self.path).chain(&self.query).chain(self.headers.iter().map(|(_, text)| text));
        let mut all: Vec<&Reference> = texts.flat_map(Text::references).collect();
        all.extend(self.body.iter().flat_map(Shape::references));
        all.extend(self.each.iter().map(|each| &each.list));
        all
    }

    /// The call, with what is known now.
    ///
    /// # Errors
    /// A reference that finds nothing fit to stand where it stands.
    pub fn call(&self, facts: &Facts<'_>, forward: &[HeaderName]) -> Result<Call, Missing> {
        let mut target = facts.target(&self.path)?;
        if leaves_its_place(&target) {
            return Err(Missing { part: None, what: "a value makes another path".into() });
        }
        if let Some(query) = &self.query {
            target.push('?');
            target.push_str(&facts.target(query)?);
        }
        let unfit = |what: &str| Missing { part: None, what: what.to_owned() };
        let target = PathAndQuery::try_from(target).map_err(|_| unfit("a value makes no path"))?;
        let mut fields = HeaderMap::with_capacity(8);
        for name in forward.iter().chain([&TRACESTATE]) {
            for value in facts.request.headers.get_all(name) {
                fields.append(name, value.clone());
            }
        }
        fields.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
        fields.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("gzip"));
        for (name, text) in &self.headers {
            let value =
                HeaderValue::from_str(&facts.text(text)?).map_err(|_| unfit("a value makes no header field"))?;
            fields.insert(name, value);
        }
        let mut call = Call::new(self.to.clone(), self.method.clone(), target, fields);
        if let Some(body) = &self.body {
            let json = HeaderValue::from_static("application/json");
            call.fields.entry(header::CONTENT_TYPE).or_insert(json);
            call.body = CallBody::Whole(Bytes::from(body.fill(facts)?.to_vec()));
        }
        call.retries = Arc::clone(&self.retries);
        Ok(call)
    }
}

/// Whether a value has made a segment empty, or one that leads elsewhere (RFC 3986 §5.2.4). What is written in the
/// configuration has none of them.
fn leaves_its_place(path: &str) -> bool {
    let inner = path.strip_prefix('/').unwrap_or(path);
    let inner = inner.strip_suffix('/').unwrap_or(inner);
    !inner.is_empty() && inner.split('/').any(|segment| matches!(segment, "" | "." | ".."))
}

impl Taking {
    /// What is taken.
    ///
    /// # Errors
    /// Nothing stands at the place it is taken from.
    pub fn take(&self, mut answer: Json) -> Result<Json, Missing> {
        if !self.from.is_whole() {
            let nothing = || Missing { part: None, what: format!("the answer has nothing at `{}`", self.from) };
            answer = self.from.take(&mut answer).ok_or_else(nothing)?;
        }
        if self.flatten
            && let Json::Array(items) = &mut answer
        {
            let all = std::mem::take(items).into_iter();
            items.extend(all.flat_map(|item| match item {
                Json::Array(own) => own,
                one => vec![one],
            }));
        }
        match &mut answer {
            Json::Array(items) => items.iter_mut().for_each(|item| self.members(item)),
            one => self.members(one),
        }
        Ok(answer)
    }

    fn members(&self, value: &mut Json) {
        let Json::Object(members) = value else { return };
        if !self.pick.is_empty() {
            members.retain(|(name, _)| self.pick.contains(name));
        }
        members.retain(|(name, _)| !self.drop.contains(name));
        for (old, new) in &self.rename {
            // The name must be free: one that is taken keeps its value.
            if members.iter().all(|(name, _)| name != new)
                && let Some((name, _)) = members.iter_mut().find(|(name, _)| name == old)
            {
                *name = new.clone();
            }
        }
    }
}

/// A text as it was written, for `explain`.
pub fn shown(text: &Text, parts: &[Part]) -> String {
    let mut out = String::new();
    for piece in &text.pieces {
        match piece {
            Piece::Plain(plain) => out.push_str(plain),
            Piece::Value(Reference::Part(at, pointer)) => {
                let name = parts.get(*at).map(|part| &*part.name).unwrap_or_default();
                out.push_str(&format!("{{{name}{pointer}}}"));
            }
            Piece::Value(other) => out.push_str(&format!("{{{other}}}")),
        }
    }
    out
}
