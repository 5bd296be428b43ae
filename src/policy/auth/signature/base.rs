//! The text that is signed (RFC 9421 §2).

use crate::request::{Headers, RequestCx, RequestView, Scheme};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderName, header};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use sfv::{BareItem, InnerList, Item, List, ListEntry, Parser, SerializeValue};

/// The most components a signature may cover.
const MOST_COMPONENTS: usize = 64;
/// What the names and values of `@query-param` are written with (URL Standard, "application/x-www-form-urlencoded
/// percent-encode set"; RFC 9421 §2.2.8).
const FORM: &AsciiSet = &NON_ALPHANUMERIC.remove(b'*').remove(b'-').remove(b'.').remove(b'_');

/// The request that was signed. Its path is the one that was matched and is forwarded, in normal form: what a signature
/// covers is what the upstream acts on.
pub(super) struct Message<'a> {
    method: &'a str,
    scheme: Scheme,
    authority: String,
    path: &'a str,
    query: Option<&'a str>,
    headers: &'a dyn Headers,
}

impl<'a> Message<'a> {
    pub(super) fn new(cx: &'a RequestCx, request: &'a RequestView<'_>) -> Self {
        let host = request.header(&header::HOST).and_then(|host| std::str::from_utf8(host).ok());
        let mut authority = host.unwrap_or(request.host).to_ascii_lowercase();
        let default = if cx.scheme == Scheme::Https { ":443" } else { ":80" };
        if let Some(bare) = authority.strip_suffix(default) {
            authority.truncate(bare.len());
        }
        Self {
            method: request.method,
            scheme: cx.scheme,
            authority,
            path: request.path,
            query: cx.query(request),
            headers: request.headers,
        }
    }

    /// Whether it has a query.
    pub(super) fn has_query(&self) -> bool {
        self.query.is_some()
    }
}

/// The text to verify, and the plain names of what it covers.
pub(super) struct Base {
    pub(super) text: Vec<u8>,
    pub(super) covered: Vec<String>,
}

/// Writes the base of a signature with those parameters over that message.
///
/// # Errors
/// A component that is missing, doubled, or of a kind that is not read; the sentence is for the client.
pub(super) fn base(input: &InnerList, message: &Message<'_>) -> Result<Base, &'static str> {
    if input.items.len() > MOST_COMPONENTS {
        return Err("The signature covers too many components.");
    }
    let (mut text, mut covered, mut seen) = (Vec::with_capacity(512), Vec::new(), Vec::new());
    for item in &input.items {
        let name = item.bare_item.as_str().ok_or("A component of the signature is not a string.")?;
        let identifier = item.serialize_value().map_err(|_| "A component of the signature is malformed.")?;
        if seen.contains(&identifier) {
            return Err("The signature names a component twice.");
        }
        text.extend_from_slice(identifier.as_bytes());
        text.extend_from_slice(b": ");
        text.extend_from_slice(&component(name, item, message)?);
        text.push(b'\n');
        if item.params.is_empty() {
            covered.push(name.to_owned());
        }
        seen.push(identifier);
    }
    let parameters: List = vec![ListEntry::InnerList(input.clone())];
    let parameters = parameters.serialize_value().map_err(|_| "The signature's parameters are malformed.")?;
    text.extend_from_slice(b"\"@signature-params\": ");
    text.extend_from_slice(parameters.as_bytes());
    Ok(Base { text, covered })
}

/// The value of one component.
fn component(name: &str, item: &Item, message: &Message<'_>) -> Result<Vec<u8>, &'static str> {
    if name.starts_with('@') {
        return derived(name, item, message).map(String::into_bytes);
    }
    let field: HeaderName = name.parse().map_err(|_| "A component of the signature is no field name.")?;
    if field.as_str() != name {
        return Err("The components of a signature are written in lower case.");
    }
    let mut lines: Vec<Vec<u8>> = Vec::new();
    message.headers.each(&field, &mut |value| lines.push(value.trim_ascii().to_vec()));
    if lines.is_empty() {
        return Err("The signature covers a field that the request does not have.");
    }
    match item.params.iter().next() {
        None => Ok(lines.join(&b", "[..])),
        Some((key, BareItem::Boolean(true))) if key == "bs" && item.params.len() == 1 => {
            let coded: Vec<String> = lines.iter().map(|line| format!(":{}:", STANDARD.encode(line))).collect();
            Ok(coded.join(", ").into_bytes())
        }
        Some((key, BareItem::String(member))) if key == "key" && item.params.len() == 1 => {
            let dictionary = Parser::parse_dictionary(&lines.join(&b", "[..]));
            let member = dictionary.ok().and_then(|dictionary| dictionary.get(member).cloned());
            let one: List = vec![member.ok_or("The signature covers a member that the field does not have.")?];
            one.serialize_value().map(String::into_bytes).map_err(|_| "A field that is signed is malformed.")
        }
        Some(_) => Err("The parameters `sf`, `tr` and `req` of signed components are not read here."),
    }
}

/// The value of a component that is no field (RFC 9421 §2.2).
fn derived(name: &str, item: &Item, message: &Message<'_>) -> Result<String, &'static str> {
    let Message { method, scheme, authority, path, query, .. } = message;
    let with_query = || query.map_or_else(|| (*path).to_owned(), |query| format!("{path}?{query}"));
    if name == "@query-param" {
        return query_parameter(item, query.unwrap_or_default());
    }
    if !item.params.is_empty() {
        return Err("The parameters of a derived component of the signature are not read here.");
    }
    Ok(match name {
        "@method" => (*method).to_owned(),
        "@authority" => authority.clone(),
        "@scheme" => scheme.as_str().to_owned(),
        "@path" => (*path).to_owned(),
        "@query" => format!("?{}", query.unwrap_or_default()),
        "@target-uri" => format!("{}://{authority}{}", scheme.as_str(), with_query()),
        "@request-target" => with_query(),
        _ => return Err("The signature covers a derived component that requests do not have."),
    })
}

/// The one value of a parameter of the query (RFC 9421 §2.2.8).
fn query_parameter(item: &Item, query: &str) -> Result<String, &'static str> {
    let name = match (item.params.get("name"), item.params.len()) {
        (Some(BareItem::String(name)), 1) => name,
        _ => return Err("`@query-param` takes `name` and nothing else."),
    };
    let coded = |text: &str| utf8_percent_encode(text, FORM).to_string();
    let mut values = form_urlencoded::parse(query.as_bytes()).filter(|(key, _)| coded(key) == *name);
    match (values.next(), values.next()) {
        (Some((_, value)), None) => Ok(coded(&value)),
        _ => Err("The signature covers a parameter of the query that does not stand there exactly once."),
    }
}

/// Whether what is covered holds what must be.
pub(super) fn covers(covered: &[String], required: &str) -> bool {
    let has = |name: &str| covered.iter().any(|covered| covered == name);
    has(required)
        || match required {
            "@path" | "@query" => has("@target-uri") || has("@request-target"),
            "@authority" | "@scheme" => has("@target-uri"),
            _ => false,
        }
}
