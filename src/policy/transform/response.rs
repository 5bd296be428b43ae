//! The rules of `response:`.

use super::config::ResponseConfig;
use super::headers::{HeaderChanges, Way, written};
use super::pairs::{Kind, PairChanges};
use super::status::Statuses;
use super::value::Scope;
use super::variable::Facts;
use super::{changes_nothing, is_made};
use crate::policy::compress::MediaTypes;
use crate::policy::{OnResponse, Setup};
use crate::request::{RequestCx, ResponseView};
use crate::value::Spanned;
use http::header;

/// A compiled rule.
pub struct ResponseRule {
    /// The bit of its `when:`; 0 for none.
    bit: u64,
    when: Option<Box<str>>,
    statuses: Statuses,
    types: Option<MediaTypes>,
    headers: HeaderChanges,
    cookies: PairChanges,
}

impl ResponseRule {
    /// Compiles what is written; problems are recorded at their places.
    pub fn compile(written: &Spanned<ResponseConfig>, bit: u64, scope: &Scope<'_>, setup: &mut Setup<'_>) -> Self {
        let config = &written.value;
        let conditions = ResponseConfig {
            when: config.when.clone(),
            status: config.status.clone(),
            content_type: config.content_type.clone(),
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
        }
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
        format!("{text}: {}", words.join("; "))
    }
}

/// The rules of a route, in order.
pub struct Downwards(pub Box<[ResponseRule]>);

impl OnResponse for Downwards {
    fn on_response(&self, cx: &mut RequestCx, response: &mut ResponseView<'_>) {
        for rule in &self.0 {
            if rule.is_for(cx, response) {
                rule.make(cx, response);
            }
        }
    }

    fn describe_response(&self) -> Option<String> {
        Some(self.0.iter().map(ResponseRule::describe).collect::<Vec<_>>().join("\n    "))
    }
}
