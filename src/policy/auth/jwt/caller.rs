//! Who a token says the caller is.

use super::claims::{Claims, Span, claim};
use crate::consumer::{Consumers, SubjectKind};
use crate::request::{Caller, told_value};
use http::HeaderName;
use serde_json::Value;
use std::borrow::Cow;
use std::sync::Arc;

/// Which claims say what.
#[derive(Clone, Debug)]
pub struct Mapping {
    /// The name of the provider.
    pub provider: Box<str>,
    /// The claim with the caller's name.
    pub consumer: Box<str>,
    /// The claim with its groups.
    pub groups: Option<Box<str>>,
    /// The claim with the scopes; `None` for `scope`, else `scp`.
    pub scopes: Option<Box<str>>,
    /// Fields for the upstream, and the claim of each.
    pub headers: Box<[(HeaderName, Box<str>)]>,
}

impl Mapping {
    /// The caller; the sentence for the client where the token names nobody.
    ///
    /// # Errors
    /// The claim that names the caller is missing or is no name.
    pub fn caller(&self, claims: Claims, span: Span, consumers: &Consumers) -> Result<Arc<Caller>, Cow<'static, str>> {
        let named = claim(&claims, &self.consumer).and_then(scalar).filter(|name| !name.is_empty());
        let Some(name) = named else {
            return Err(format!("the token names nobody in `{}`", self.consumer).into());
        };
        let consumer = consumers.by_subject(SubjectKind::Token, &name).cloned();
        let mut groups: Vec<Box<str>> = consumer.iter().flat_map(|consumer| consumer.groups.iter().cloned()).collect();
        for group in self.groups.iter().filter_map(|path| claim(&claims, path)).flat_map(words_of_list) {
            if !groups.contains(&group) {
                groups.push(group);
            }
        }
        let scopes = match &self.scopes {
            Some(path) => claim(&claims, path),
            None => claims.get("scope").or_else(|| claims.get("scp")),
        };
        let fields = self.headers.iter().filter_map(|(field, path)| {
            let text = claim(&claims, path).and_then(text)?;
            Some((field.clone(), told_value(&text)))
        });
        let caller = Caller {
            id: consumer.as_ref().map_or_else(|| name.as_ref().into(), |consumer| consumer.id.clone()),
            provider: self.provider.clone(),
            credential: claims.get("jti").and_then(Value::as_str).map(Into::into),
            groups: groups.into(),
            scopes: scopes.map(words).unwrap_or_default().into(),
            expires: Some(span.expires),
            fields: fields.collect(),
            consumer,
            claims: Value::Null,
        };
        Ok(Caller { claims: Value::Object(claims), ..caller }.told())
    }
}

/// A name, a number or a truth value in words.
fn scalar(value: &Value) -> Option<Cow<'_, str>> {
    match value {
        Value::String(text) => Some(text.into()),
        Value::Number(number) => Some(number.to_string().into()),
        Value::Bool(value) => Some(value.to_string().into()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// What a field can say of a claim: a list stands with commas.
fn text(value: &Value) -> Option<Cow<'_, str>> {
    match value {
        Value::Array(elements) => {
            let words: Option<Vec<Cow<'_, str>>> = elements.iter().map(scalar).collect();
            Some(words?.join(",").into())
        }
        value => scalar(value),
    }
}

/// The elements of a list, or the one.
fn words_of_list(value: &Value) -> Vec<Box<str>> {
    match value {
        Value::Array(elements) => elements.iter().filter_map(Value::as_str).map(Into::into).collect(),
        Value::String(one) => vec![one.as_str().into()],
        _ => Vec::new(),
    }
}

/// The elements of a list, or words between spaces (RFC 6749 §3.3).
fn words(value: &Value) -> Vec<Box<str>> {
    match value {
        Value::String(text) => text.split(' ').filter(|word| !word.is_empty()).map(Into::into).collect(),
        list => words_of_list(list),
    }
}
