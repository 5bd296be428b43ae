//! A program that makes the whole of an answer out of what it is made of.

use super::jq::JqConfig;
use super::plan::{BodyPlan, Written, bound};
use super::{Way, begin};
use crate::policy::transform::value::Scope;
use crate::policy::transform::variable::Facts;
use crate::policy::{BodyWork, Changed, Setup};
use crate::value::Spanned;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, header};

/// A compiled program, under the bounds of all programs on bodies.
#[derive(Debug)]
pub struct Shaping {
    plan: BodyPlan,
    bound: u64,
}

impl Shaping {
    /// Compiles what is written; problems are recorded at their places.
    pub fn compile(jq: &Spanned<JqConfig>, scope: &Scope<'_>, setup: &mut Setup<'_>) -> Self {
        let json = super::JsonConfig::default();
        let written = Written { json: &json, jq: Some(jq), template: None, body: None };
        Self { plan: BodyPlan::compile(written, scope, setup), bound: bound(None) }
    }

    /// What it makes of a value in JSON; an error is the refusal of what it fails on.
    pub fn shape(&self, body: Bytes, facts: &Facts<'_>) -> Changed {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        match begin(std::iter::once(&self.plan), facts, &mut headers, (Way::Down, self.bound)) {
            Ok(BodyWork::Whole(work)) if body.len() as u64 <= work.bound() => work.change(body),
            Ok(BodyWork::Whole(work)) => Box::pin(std::future::ready(Err(work.too_large()))),
            Ok(BodyWork::Leave | BodyWork::Stream(_)) => Box::pin(std::future::ready(Ok(body))),
            Err(refusal) => Box::pin(std::future::ready(Err(refusal))),
        }
    }

    /// It in a few words.
    pub fn describe(&self) -> String {
        self.plan.describe().collect::<Vec<_>>().join(", ")
    }
}
