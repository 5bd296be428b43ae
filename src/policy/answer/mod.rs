//! `respond:` and `mock:`: answers that the gateway makes itself, of what is written and what is known of the request.
//!
//! No hook: they are what a route does, once its policies have let the request pass, and those on answers see them. What
//! depends on no request is made when the file is read. What comes from a request is written for where it stands: it can
//! neither end a field or a string, nor begin an element. Examples of a mock are chosen by `Accept` (RFC 9110 §12.5.1).
//! Fails closed: an unknown variable refuses the file. Nothing is carried over a reload. Example: `conf/transform.yaml`.

mod accept;
mod config;

pub use config::{ExampleConfig, MockConfig, RespondConfig};

use super::Setup;
use super::transform::{Facts, HeaderChanges, Made, Scope, Standing, Value, Way, Written};
use crate::reply::Fixed;
use crate::value::{Named, OneOrMany, Spanned};
use accept::best;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use std::time::Duration;

/// The answers of one route, of which each request gets one.
pub struct Answers {
    /// How long a request waits for it.
    pub delay: Option<Duration>,
    choices: Box<[Answer]>,
}

/// One answer.
struct Answer {
    /// The media type it is chosen by; empty where there is no choice.
    kind: Box<str>,
    /// What depends on no request; the whole where nothing does.
    fixed: Fixed,
    made: Option<Box<Parts>>,
}

/// What is made for each request.
struct Parts {
    headers: HeaderChanges,
    content: Content,
}

enum Content {
    Fixed(Bytes),
    Text(Value, Standing),
    Json(Made),
}

/// An answer as it is written, of either kind.
#[derive(Clone, Copy)]
struct Draft<'a> {
    status: &'a Spanned<u16>,
    headers: [&'a Named<Spanned<String>>; 2],
    body: Option<&'a Spanned<String>>,
    json: Option<&'a Spanned<serde_json::Value>>,
    kind: &'a str,
}

impl Answers {
    /// Compiles a `respond:`; problems are recorded at their places.
    pub fn respond(written: &RespondConfig, scope: &Scope<'_>, setup: &mut Setup<'_>) -> Self {
        let (none, RespondConfig { status, headers, body, json }) = (Named::default(), written);
        let headers = [headers, &none];
        let draft = Draft { status, headers, body: body.as_ref(), json: json.as_ref(), kind: "" };
        Self { delay: None, choices: [draft.compile(scope, setup)].into() }
    }

    /// Compiles a `mock:`; problems are recorded at their places.
    pub fn mock(written: &Spanned<MockConfig>, scope: &Scope<'_>, setup: &mut Setup<'_>) -> Self {
        let MockConfig { status, headers, body, json, examples, delay } = &written.value;
        let none = Named::default();
        let whole = Draft { status, headers: [headers, &none], body: body.as_ref(), json: json.as_ref(), kind: "" };
        let delay = delay.map(|delay| delay.get());
        if examples.is_empty() {
            return Self { delay, choices: [whole.compile(scope, setup)].into() };
        }
        if let Some(place) = body.as_ref().map(|body| body.place).or(json.as_ref().map(|json| json.place)) {
            setup.problems.error(place, "a mock has one answer or `examples`, not both").hint("make it an example");
        }
        let choices = examples.iter().map(|(kind, example)| {
            if kind.value.split_once('/').is_none_or(|(one, two)| one.is_empty() || two.is_empty() || two == "*")
                || HeaderValue::from_str(&kind.value).is_err()
            {
                setup
                    .problems
                    .error(kind.place, format!("`{}` is no media type", kind.value))
                    .hint("write one such as `application/json`");
            }
            let ExampleConfig { status, headers: own, body, json } = &example.value;
            let draft = Draft {
                status: status.as_ref().unwrap_or(whole.status),
                headers: [headers, own],
                body: body.as_ref(),
                json: json.as_ref(),
                kind: &kind.value,
            };
            draft.compile(scope, setup)
        });
        Self { delay, choices: choices.collect() }
    }

    /// The answer for one request.
    pub fn answer(&self, facts: &Facts<'_>) -> Fixed {
        let chosen = match &*self.choices {
            [only] => Some(only),
            several => best(facts.request.headers, several.iter().map(|choice| &*choice.kind))
                .and_then(|place| several.get(place))
                .or(several.first()),
        };
        let Some(answer) = chosen else {
            return Fixed { status: StatusCode::OK, fields: Vec::new(), body: Bytes::new() };
        };
        let mut fixed = answer.fixed.clone();
        if let Some(parts) = &answer.made {
            parts.make(facts, &mut fixed);
        }
        if self.choices.len() > 1 {
            fixed.fields.push((header::VARY, HeaderValue::from_static("accept")));
        }
        fixed
    }

    /// Whether what is answered depends on the request.
    pub fn asks(&self) -> bool {
        self.choices.len() > 1 || self.choices.iter().any(|choice| choice.made.is_some())
    }

    /// What is answered, in a line of the plan.
    pub fn describe(&self) -> String {
        let each = self.choices.iter().map(|choice| {
            let status = choice.fixed.status.as_str();
            let what = match &choice.made {
                None => format!("{} bytes", choice.fixed.body.len()),
                Some(parts) => parts.describe(),
            };
            match &*choice.kind {
                "" => format!("{status} ({what})"),
                kind => format!("{status} {kind} ({what})"),
            }
        });
        let each = each.collect::<Vec<_>>().join(", ");
        match self.delay {
            Some(delay) => format!("answers {each} after {delay:?}"),
            None => format!("answers {each}"),
        }
    }
}

impl Draft<'_> {
    fn compile(self, scope: &Scope<'_>, setup: &mut Setup<'_>) -> Answer {
        if !(200..=599).contains(&self.status.value) {
            setup.problems.error(self.status.place, "a status is from 200 to 599");
        }
        if let Some(body) = self.body.filter(|_| self.json.is_some()) {
            setup.problems.error(body.place, "an answer has `body` or `json`, not both");
        }
        let mut fields = HeaderMap::new();
        let usual = match (self.json, self.body) {
            _ if !self.kind.is_empty() => self.kind,
            (Some(_), _) => "application/json",
            (None, Some(_)) => "text/plain; charset=utf-8",
            (None, None) => "",
        };
        if let Some(kind) = HeaderValue::from_str(usual).ok().filter(|_| !usual.is_empty()) {
            fields.insert(header::CONTENT_TYPE, kind);
        }
        let mut made = HeaderChanges::default();
        for set in self.headers {
            let changes = changes(set, scope, setup);
            if !made.is_empty() || !changes.set_constants(&mut fields) {
                made.extend(changes);
            }
        }
        if made.makes(&header::CONTENT_TYPE) {
            let place = self.body.map_or(self.status.place, |body| body.place);
            setup.problems.error(place, "the `Content-Type` of an answer may not depend on the request");
        }
        let content = self.content(&fields, scope, setup).unwrap_or(Content::Fixed(Bytes::new()));
        let status = StatusCode::from_u16(self.status.value).unwrap_or(StatusCode::OK);
        let fields = listed(&fields);
        let (body, made) = match content {
            Content::Fixed(body) if made.is_empty() => (body, None),
            content => (Bytes::new(), Some(Box::new(Parts { headers: made, content }))),
        };
        Answer { kind: self.kind.into(), fixed: Fixed { status, fields, body }, made }
    }

    fn content(self, fields: &HeaderMap, scope: &Scope<'_>, setup: &mut Setup<'_>) -> Option<Content> {
        if let Some(json) = self.json {
            let made = Made::compile(&json.value, json.place, (scope, &mut *setup))?;
            return Some(match made.constant() {
                Some(text) => Content::Fixed(text.into()),
                None => Content::Json(made),
            });
        }
        let Some(body) = self.body else { return Some(Content::Fixed(Bytes::new())) };
        let value = Value::compile_body(body, scope, setup)?;
        if let Some(text) = value.constant() {
            return Some(Content::Fixed(text.to_owned().into()));
        }
        let standing = standing(fields.get(header::CONTENT_TYPE));
        if standing == Standing::Json && !value.is_within_strings() {
            setup
                .problems
                .error(body.place, "a variable in JSON stands within a string")
                .hint("write it in quotes, or write the whole as `json:`");
        }
        Some(Content::Text(value, standing))
    }
}

/// Where a text with that `Content-Type` puts what is put into it.
pub fn standing(content_type: Option<&HeaderValue>) -> Standing {
    let kind = content_type.map(|kind| kind.as_bytes().to_ascii_lowercase()).unwrap_or_default();
    let kind = kind.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
    match kind {
        kind if kind.ends_with(b"/json") || kind.ends_with(b"+json") => Standing::Json,
        kind if kind.ends_with(b"/html") || kind.ends_with(b"/xml") || kind.ends_with(b"+xml") => Standing::Markup,
        b"application/x-www-form-urlencoded" => Standing::Parameter,
        _ => Standing::Text,
    }
}

fn changes(set: &Named<Spanned<String>>, scope: &Scope<'_>, setup: &mut Setup<'_>) -> HeaderChanges {
    let (none, nothing) = (Named::default(), OneOrMany::default());
    let written = Written { rename: &none, remove: &nothing, set, add: &none, append: &none };
    HeaderChanges::compile(written, Way::Down, scope, setup)
}

fn listed(fields: &HeaderMap) -> Vec<(HeaderName, HeaderValue)> {
    fields.iter().map(|(name, value)| (name.clone(), value.clone())).collect()
}

impl Parts {
    fn make(&self, facts: &Facts<'_>, answer: &mut Fixed) {
        answer.body = match &self.content {
            Content::Fixed(body) => body.clone(),
            Content::Text(value, standing) => value.fill(facts, *standing).into(),
            Content::Json(made) => {
                let mut out = String::with_capacity(256);
                made.fill(facts, &mut out);
                out.into()
            }
        };
        if !self.headers.is_empty() {
            let mut fields: HeaderMap = answer.fields.drain(..).collect();
            self.headers.make(facts, &mut fields);
            answer.fields = listed(&fields);
        }
    }

    fn describe(&self) -> String {
        let body = match &self.content {
            Content::Fixed(body) => format!("{} bytes", body.len()),
            Content::Text(..) | Content::Json(_) => "made of the request".to_owned(),
        };
        [vec![body], self.headers.describe()].concat().join("; ")
    }
}

#[cfg(test)]
mod tests;
