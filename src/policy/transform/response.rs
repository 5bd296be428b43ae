//! The rules of `response:`.

use super::body::{self, BodyPlan, Replacements};
use super::config::ResponseConfig;
use super::headers::{HeaderChanges, Way, written};
use super::pairs::{Kind, PairChanges};
use super::status::Statuses;
use super::value::Scope;
use super::variable::Facts;
use super::{changes_nothing, is_made};
use crate::policy::compress::MediaTypes;
use crate::policy::{BodyWork, OnResponse, OnResponseBody, Setup};
use crate::reply::Reply;
use crate::request::{Maker, RequestCx, ResponseView};
use crate::value::{ByteSize, Spanned};
use http::header;
use std::sync::Arc;

/// A compiled rule.
pub struct ResponseRule {
    /// The bit of its `when:`; 0 for none.
    bit: u64,
    when: Option<Box<str>>,
    statuses: Statuses,
    types: Option<MediaTypes>,
    headers: HeaderChanges,
    cookies: PairChanges,
    body: BodyPlan,
    replace: Replacements,
    /// The largest body that is changed.
    bound: u64,
}

impl ResponseRule {
    /// Compiles what is written; problems are recorded at their places.
    pub fn compile(written: &Spanned<ResponseConfig>, bit: u64, scope: &Scope<'_>, setup: &mut Setup<'_>) -> Self {
        let config = &written.value;
        let conditions = ResponseConfig {
            when: config.when.clone(),
            status: config.status.clone(),
            content_type: config.content_type.clone(),
            max_body: config.max_body,
            ..ResponseConfig::default()
        };
        if conditions == *config {
            changes_nothing(written.place, setup);
        }
        Self {
            bit,
            when: config.when.as_ref().map(|text| text.value.as_str().into()),
            statuses: Statuses::compile(&config.status, setup),
            types: (!config.content_type.is_empty()).then(|| MediaTypes::compile(&config.content_type, setup)),
            headers: HeaderChanges::compile(written!(config), Way::Down, scope, setup),
            cookies: PairChanges::compile(written!(config.cookies), Kind::SetCookies, scope, setup),
            body: BodyPlan::compile(body::written!(config), scope, setup),
            replace: Replacements::compile(&config.replace, setup),
            bound: body::bound(config.max_body.as_ref()),
        }
    }

    /// Whether it changes bodies.
    pub fn reads_body(&self) -> bool {
        !self.body.is_empty()
    }

    /// Whether it replaces texts in bodies.
    pub fn replaces(&self) -> bool {
        !self.replace.is_empty()
    }

    fn is_for(&self, cx: &RequestCx, response: &ResponseView<'_>) -> bool {
        let of_type =
            |types: &MediaTypes| response.headers.first(&header::CONTENT_TYPE).is_some_and(|kind| types.contain(kind));
        is_made(self.bit, cx) && self.statuses.contain(response.status) && self.types.as_ref().is_none_or(of_type)
    }

    fn make(&self, cx: &RequestCx, response: &mut ResponseView<'_>) {
        let facts = Facts { cx, request: response.request, status: Some(response.status) };
        if !self.cookies.is_empty() {
            self.cookies.of_answer(&facts, response.headers);
        }
        self.headers.make(&facts, response.headers);
    }

    fn describe(&self) -> String {
        let mut text = "response".to_owned();
        if let Some(when) = &self.when {
            text.push_str(&format!(" when {when}"));
        }
        if !self.statuses.is_any() {
            text.push_str(&format!(" to {}", self.statuses));
        }
        if let Some(types) = &self.types {
            text.push_str(&format!(" of {types}"));
        }
        let mut words = self.cookies.describe();
        words.extend(self.headers.describe());
        words.extend(self.body.describe());
        words.extend(self.replace.describe());
        words.extend(self.reads_body().then(|| format!("bodies up to {}", ByteSize::new(self.bound))));
        format!("{text}: {}", words.join("; "))
    }
}

/// The rules of a route, in order.
pub struct Downwards(pub Arc<[ResponseRule]>);

impl OnResponse for Downwards {
    fn on_response(&self, cx: &mut RequestCx, response: &mut ResponseView<'_>) {
        for rule in self.0.iter() {
            if rule.is_for(cx, response) {
                rule.make(cx, response);
            }
        }
    }

    fn describe_response(&self) -> Option<String> {
        Some(self.0.iter().map(ResponseRule::describe).collect::<Vec<_>>().join("\n    "))
    }
}

/// The rules that change the body of an answer, in order. What the gateway says itself is written by whoever writes the
/// rules: it is left as it is. A part of a body cannot be changed, and was not asked for.
fn made<'r>(
    rules: &'r [ResponseRule],
    changes: fn(&ResponseRule) -> bool,
    cx: &RequestCx,
    response: &ResponseView<'_>,
) -> Result<Vec<&'r ResponseRule>, Box<Reply>> {
    if response.maker == Maker::Gateway {
        return Ok(Vec::new());
    }
    let made: Vec<&ResponseRule> = rules.iter().filter(|rule| changes(rule) && rule.is_for(cx, response)).collect();
    if response.status == 206 && !made.is_empty() {
        return Err(body::refusal(Way::Down, body::Unfit("it is a part, and the whole was asked for")));
    }
    Ok(made)
}

impl OnResponseBody for Downwards {
    /// The bodies are read whole, within the smallest bound of the rules that are made.
    fn on_response_body(&self, cx: &mut RequestCx, response: &mut ResponseView<'_>) -> Result<BodyWork, Box<Reply>> {
        let made = made(&self.0, ResponseRule::reads_body, cx, response)?;
        let Some(bound) = made.iter().map(|rule| rule.bound).min() else { return Ok(BodyWork::Leave) };
        let facts = Facts { cx, request: response.request, status: Some(response.status) };
        body::begin(made.iter().map(|rule| &rule.body), &facts, response.headers, (Way::Down, bound))
    }

    fn describe(&self) -> Vec<String> {
        Vec::new()
    }
}

/// What rules replace in bodies, after all else is done to them.
pub struct ReplacesDown(pub Arc<[ResponseRule]>);

impl OnResponseBody for ReplacesDown {
    /// The texts of all rules that are made, in order: of two at one place the first wins.
    fn on_response_body(&self, cx: &mut RequestCx, response: &mut ResponseView<'_>) -> Result<BodyWork, Box<Reply>> {
        let made = made(&self.0, ResponseRule::replaces, cx, response)?;
        let Some(bound) = made.iter().map(|rule| rule.bound).max() else { return Ok(BodyWork::Leave) };
        let all = Replacements::all(made.iter().map(|rule| &rule.replace));
        body::replace::begin(&all, response.headers, (Way::Down, bound))
    }

    fn describe(&self) -> Vec<String> {
        Vec::new()
    }
}
