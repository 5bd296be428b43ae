//! Bodies of an operator's own for the gateway's replies.
//!
//! `replies:` on the gateway or an api names a reason (or `default`) and gives a content type and a body with the
//! placeholders `{status}`, `{title}`, `{detail}`, `{reason}`, `{type}` and `{request_id}`. They are parsed when the
//! configuration is compiled; an unknown placeholder refuses it. Values are escaped for the content type: JSON string
//! escapes for JSON, entities for HTML and XML.

use super::{Reason, Reply};
use http::{HeaderValue, StatusCode};

/// What may stand between braces in a template.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Variable {
    Status,
    Title,
    Detail,
    Reason,
    Type,
    RequestId,
}

const VARIABLES: &[(&str, Variable)] = &[
    ("status", Variable::Status),
    ("title", Variable::Title),
    ("detail", Variable::Detail),
    ("reason", Variable::Reason),
    ("type", Variable::Type),
    ("request_id", Variable::RequestId),
];

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(Box<str>),
    Value(Variable),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Escape {
    Json,
    Markup,
    Plain,
}

/// Why a template cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TemplateError {
    /// What is wrong, and what to write instead.
    pub message: String,
}

/// The body of one reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    content_type: HeaderValue,
    status: Option<StatusCode>,
    escape: Escape,
    pieces: Box<[Piece]>,
}

impl Template {
    /// Parses a body. A brace that does not enclose a word of lower-case letters is text, so JSON needs no escaping.
    ///
    /// # Errors
    /// An unknown placeholder, or a content type that is no field value.
    pub fn parse(content_type: &str, body: &str, status: Option<StatusCode>) -> Result<Self, TemplateError> {
        let media = content_type.to_ascii_lowercase();
        let escape = if media.contains("json") {
            Escape::Json
        } else if media.contains("html") || media.contains("xml") {
            Escape::Markup
        } else {
            Escape::Plain
        };
        let content_type = HeaderValue::from_str(content_type)
            .map_err(|_| TemplateError { message: "the content type is not a legal field value".into() })?;
        Ok(Self { content_type, status, escape, pieces: parse_pieces(body)? })
    }

    /// The `Content-Type` of the body.
    pub fn content_type(&self) -> &HeaderValue {
        &self.content_type
    }

    /// The status that replaces the reason's own, where one is given.
    pub fn status(&self) -> Option<StatusCode> {
        self.status
    }

    /// The body for one reply.
    pub fn body(&self, reply: &Reply, status: StatusCode, request_id: &str) -> String {
        let mut out = String::with_capacity(256);
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => out.push_str(text),
                Piece::Value(Variable::Status) => out.push_str(status.as_str()),
                Piece::Value(Variable::Title) => self.escape.write(&mut out, reply.called()),
                Piece::Value(Variable::Detail) => self.escape.write(&mut out, &reply.detail),
                Piece::Value(Variable::Reason) => out.push_str(reply.reason.slug()),
                Piece::Value(Variable::Type) => self.escape.write(&mut out, &reply.of_kind()),
                Piece::Value(Variable::RequestId) => self.escape.write(&mut out, request_id),
            }
        }
        out
    }
}

fn parse_pieces(body: &str) -> Result<Box<[Piece]>, TemplateError> {
    let mut pieces = Vec::new();
    let mut text = String::new();
    let mut rest = body;
    while let Some((before, after)) = rest.split_once('{') {
        text.push_str(before);
        match after.split_once('}').filter(|(word, _)| is_word(word)) {
            None => {
                text.push('{');
                rest = after;
            }
            Some((word, tail)) => {
                let Some((_, variable)) = VARIABLES.iter().find(|(name, _)| *name == word) else {
                    let known: Vec<&str> = VARIABLES.iter().map(|(name, _)| *name).collect();
                    return Err(TemplateError {
                        message: format!("unknown placeholder {{{word}}}; write one of {}", known.join(", ")),
                    });
                };
                if !text.is_empty() {
                    pieces.push(Piece::Text(std::mem::take(&mut text).into()));
                }
                pieces.push(Piece::Value(*variable));
                rest = tail;
            }
        }
    }
    text.push_str(rest);
    if !text.is_empty() {
        pieces.push(Piece::Text(text.into()));
    }
    Ok(pieces.into())
}

fn is_word(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
}

impl Escape {
    fn write(self, out: &mut String, value: &str) {
        match self {
            Self::Plain => out.push_str(value),
            Self::Json => out.push_str(json_inside(value).as_str()),
            Self::Markup => push_markup(out, value),
        }
    }
}

/// The value as it stands inside a JSON string, without the quotes.
fn json_inside(value: &str) -> String {
    let quoted = serde_json::Value::from(value).to_string();
    quoted.strip_prefix('"').and_then(|inner| inner.strip_suffix('"')).unwrap_or_default().to_owned()
}

/// Appends text with the characters that have a meaning in markup replaced by entities.
pub(super) fn push_markup(out: &mut String, value: &str) {
    for character in value.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            other => out.push(other),
        }
    }
}

/// The templates that hold at one place: by reason, or the default. An api's own come before the gateway's.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Templates {
    by_reason: Vec<(Reason, Template)>,
    default: Option<Template>,
}

impl Templates {
    /// Sets the template of one reason, or with `None` the default.
    pub fn set(&mut self, reason: Option<Reason>, template: Template) {
        match reason {
            None => self.default = Some(template),
            Some(reason) => {
                self.by_reason.retain(|(known, _)| *known != reason);
                self.by_reason.push((reason, template));
            }
        }
    }

    /// Takes over what `outer` says of reasons that these templates do not mention.
    pub fn inherit(&mut self, outer: &Self) {
        if self.default.is_none() {
            for (reason, template) in &outer.by_reason {
                if self.by_reason.iter().all(|(known, _)| known != reason) {
                    self.by_reason.push((*reason, template.clone()));
                }
            }
            self.default.clone_from(&outer.default);
        }
    }

    /// The template for that reason, if the operator gave one.
    pub fn get(&self, reason: Reason) -> Option<&Template> {
        self.by_reason
            .iter()
            .find(|(known, _)| *known == reason)
            .map(|(_, template)| template)
            .or(self.default.as_ref())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fills_placeholders_and_leaves_json_braces_alone() {
        let template = Template::parse("application/json", r#"{"code": {status}, "why": "{detail}"}"#, None).unwrap();
        let reply = Reply::new(Reason::NoRoute).detail("no \"such\" thing");
        let body = template.body(&reply, StatusCode::NOT_FOUND, "id");
        assert_eq!(body, r#"{"code": 404, "why": "no \"such\" thing"}"#);
    }

    #[test]
    fn refuses_an_unknown_placeholder() {
        let error = Template::parse("text/plain", "{upstream}", None).unwrap_err();
        assert!(error.message.contains("unknown placeholder {upstream}"), "{}", error.message);
    }

    #[test]
    fn escapes_markup() {
        let template = Template::parse("text/html", "<p>{detail}</p>", None).unwrap();
        let reply = Reply::new(Reason::NoRoute).detail("<script>");
        assert_eq!(template.body(&reply, StatusCode::NOT_FOUND, "id"), "<p>&lt;script&gt;</p>");
    }

    #[test]
    fn an_inner_default_hides_the_outer_reasons() {
        let mut outer = Templates::default();
        outer.set(Some(Reason::NoRoute), Template::parse("text/plain", "outer", None).unwrap());
        let mut inner = Templates::default();
        inner.set(None, Template::parse("text/plain", "inner", None).unwrap());
        inner.inherit(&outer);
        let reply = Reply::new(Reason::NoRoute);
        let body = inner.get(Reason::NoRoute).unwrap().body(&reply, StatusCode::NOT_FOUND, "id");
        assert_eq!(body, "inner");
    }
}
