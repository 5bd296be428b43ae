//! How a request makes a message: what of its path, its query and its body goes to which field.

use super::fields::{FieldPath, of_query};
use super::json::Json;
use super::schema::Method;
use super::template::Template;
use crate::reply::{Reason, Reply};
use bytes::Bytes;
use http::{HeaderMap, Method as HttpMethod, header};
use percent_encoding::percent_decode_str;
use prost_reflect::{DynamicMessage, FieldDescriptor, MessageDescriptor, ReflectMessage, Value};

/// A message that is a body as it is, of any type (google/api/httpbody.proto).
pub const HTTP_BODY: &str = "google.api.HttpBody";

/// A method, and how requests make its message.
#[derive(Clone, Debug)]
pub struct Binding {
    /// The method.
    pub method: Method,
    /// Where values stand in the path.
    pub path: PathValues,
    /// The fields they go to, in the same order.
    pub fields: Vec<FieldPath>,
    /// What the body is.
    pub body: BodyBinding,
    /// Whether the query goes to fields.
    pub query: bool,
    /// The field of the answer that is its body; `None` for the whole.
    pub response: Option<FieldDescriptor>,
}

/// Where values stand in a path.
#[derive(Clone, Debug)]
pub enum PathValues {
    /// In captures of the route, by their numbers.
    Captures(Vec<usize>),
    /// As a template says, below that many segments.
    Template(Template, usize),
}

/// What a body is.
#[derive(Clone, Debug)]
pub enum BodyBinding {
    /// Nothing: it is not read.
    None,
    /// The message.
    Whole,
    /// A field of it.
    Field(FieldDescriptor),
    /// The message, unless the method has no body by its nature.
    ByMethod,
}

/// What a request says beside its body.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// The method.
    pub method: &'a HttpMethod,
    /// The path, normalised.
    pub path: &'a str,
    /// The query, without the question mark.
    pub query: Option<&'a str>,
    /// What the route's path captured.
    pub captures: &'a [Box<str>],
}

/// The values that path and query put into each message.
pub type Values = Vec<(FieldPath, Value)>;

impl Binding {
    /// The texts that stand in the path; `None` where the path is not one of this binding's.
    pub fn texts(&self, asked: &Asked<'_>) -> Option<Vec<Option<String>>> {
        match &self.path {
            PathValues::Captures(numbers) => {
                let text = |number: &usize| {
                    let captured = asked.captures.get(*number)?;
                    percent_decode_str(captured).decode_utf8().ok().map(std::borrow::Cow::into_owned)
                };
                Some(numbers.iter().map(text).collect())
            }
            PathValues::Template(template, skipped) => template.values(below(asked.path, *skipped)),
        }
    }

    /// What path and query put into the message.
    ///
    /// # Errors
    /// A value is none of its field's.
    pub fn values(&self, asked: &Asked<'_>, texts: &[Option<String>], json: &Json) -> Result<Values, Box<Reply>> {
        let mut values = Vec::new();
        for (field, text) in self.fields.iter().zip(texts) {
            let Some(text) = text else { return Err(invalid("The path holds what is not UTF-8.")) };
            let value =
                field.read(json, text).map_err(|why| invalid(format!("The path is not as it should be: {why}.")))?;
            values.extend(value.map(|value| (field.clone(), value)));
        }
        let Some(query) = asked.query.filter(|_| self.query) else { return Ok(values) };
        let is_taken = |field: &FieldPath| {
            let of_body = matches!(&self.body, BodyBinding::Field(body) if field.is_in(body));
            of_body || self.fields.iter().any(|known| known.is_same(field))
        };
        let found = of_query(&self.method.input, query, json, &is_taken);
        values.extend(found.map_err(|why| invalid(format!("The query is not as it should be: {why}.")))?);
        Ok(values)
    }

    /// In words, for `explain`.
    pub fn describe(&self, upstream: &str) -> String {
        let (name, kind, input) = (&self.method.name, self.method.kind.describe(), self.method.input.full_name());
        let body = match &self.body {
            BodyBinding::None => "no body".to_owned(),
            BodyBinding::Whole | BodyBinding::ByMethod => format!("the body is {input}"),
            BodyBinding::Field(field) => format!("the body is `{}` of {input}", field.name()),
        };
        let answer = self.response.as_ref().map(|field| format!(", answers its `{}`", field.name()));
        format!("calls {name} of {upstream} ({kind}): {body}{}", answer.unwrap_or_default())
    }

    /// Whether a body is read of a request.
    pub fn reads_body(&self, method: &HttpMethod) -> bool {
        match self.body {
            BodyBinding::None => false,
            BodyBinding::Whole | BodyBinding::Field(_) => true,
            BodyBinding::ByMethod => ![HttpMethod::GET, HttpMethod::HEAD, HttpMethod::DELETE].contains(method),
        }
    }

    /// Whether the body is taken as it is, and is no JSON.
    pub fn takes_any_body(&self) -> bool {
        match &self.body {
            BodyBinding::None => true,
            BodyBinding::Whole | BodyBinding::ByMethod => is_http_body(&self.method.input),
            BodyBinding::Field(field) => field.kind().as_message().is_some_and(is_http_body),
        }
    }

    /// The message that a body makes, with the values of path and query; `None` for no body.
    ///
    /// # Errors
    /// It makes none.
    pub fn message(
        &self,
        body: Option<&Bytes>,
        values: &Values,
        json: &Json,
        headers: &HeaderMap,
    ) -> Result<DynamicMessage, Box<Reply>> {
        let input = &self.method.input;
        let empty = || DynamicMessage::new(input.clone());
        let mut message = match (body.filter(|body| !body.is_empty()), &self.body) {
            (None, _) => empty(),
            (Some(body), BodyBinding::Field(field)) if self.takes_any_body() => {
                let mut message = empty();
                if let Some(kind) = field.kind().as_message() {
                    message.set_field(field, Value::Message(http_body(kind, body, headers)));
                }
                message
            }
            (Some(body), _) if self.takes_any_body() => http_body(input, body, headers),
            (Some(body), BodyBinding::Field(field)) => json.read_field(field, body).map_err(not_the_message)?,
            (Some(body), _) => json.read(input, body).map_err(not_the_message)?,
        };
        for (field, value) in values {
            field.put(&mut message, value.clone());
        }
        Ok(message)
    }

    /// The body of the answer that a message makes, and its type.
    ///
    /// # Errors
    /// It has no form in JSON.
    pub fn answer(&self, message: &DynamicMessage, json: &Json) -> Result<(Vec<u8>, Option<String>), String> {
        let part = self.response.as_ref().map(|field| message.get_field(field));
        let whole = match part.as_deref() {
            Some(Value::Message(inner)) if is_http_body(&inner.descriptor()) => Some(inner),
            None if is_http_body(&message.descriptor()) => Some(message),
            _ => None,
        };
        if let Some(whole) = whole {
            let field = |name: &str| whole.get_field_by_name(name);
            let data = field("data").and_then(|data| data.as_bytes().map(|data| data.to_vec()));
            let kind = field("content_type").and_then(|kind| kind.as_str().map(str::to_owned));
            let kind = kind.filter(|kind| !kind.is_empty()).unwrap_or_else(|| "application/octet-stream".to_owned());
            return Ok((data.unwrap_or_default(), Some(kind)));
        }
        let mut out = Vec::with_capacity(512);
        match &self.response {
            Some(field) => json.write_field(message, field, &mut out)?,
            None => json.write(message, &mut out)?,
        }
        Ok((out, None))
    }
}

/// The refusal of a request that makes no message.
pub fn invalid(detail: impl Into<std::borrow::Cow<'static, str>>) -> Box<Reply> {
    Box::new(Reply::new(Reason::InvalidMessage).detail(detail))
}

fn not_the_message(why: String) -> Box<Reply> {
    invalid(format!("The body is not the JSON this route needs: {why}."))
}

fn is_http_body(message: &MessageDescriptor) -> bool {
    message.full_name() == HTTP_BODY
}

fn http_body(kind: &MessageDescriptor, body: &Bytes, headers: &HeaderMap) -> DynamicMessage {
    let mut message = DynamicMessage::new(kind.clone());
    if let Some(data) = kind.get_field_by_name("data") {
        message.set_field(&data, Value::Bytes(body.clone()));
    }
    let named = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    if let (Some(field), Some(named)) = (kind.get_field_by_name("content_type"), named) {
        message.set_field(&field, Value::String(named.to_owned()));
    }
    message
}

/// A path without its first segments.
fn below(path: &str, segments: usize) -> &str {
    let mut rest = path;
    for _ in 0..segments {
        let inner = rest.strip_prefix('/').unwrap_or(rest);
        rest = inner.find('/').and_then(|at| inner.get(at..)).unwrap_or("/");
    }
    rest
}
