//! `allow:`: what the caller must be or have.
//!
//! Stage: Authorize. Hook: on the head. Scopes, groups, consumers, claims and expressions (CEL) are compiled to a tree of
//! comparisons. Where it does not hold, the answer says what was missing, never what the caller has: 403, or 401 with the
//! challenges of the route's providers where nobody is known yet and somebody could be. Nothing is carried over a reload.
//! Fails closed: an expression that cannot be evaluated does not hold, nor does its negation; with `default: deny` a
//! route without `allow` is closed to everybody. Example: `conf/auth-allow.yaml`.

mod claim;
mod compile;
mod condition;
mod config;
mod refusal;
mod rule;

pub(in crate::policy) use claim::find as find_claim;
pub(in crate::policy) use condition::Condition;
pub use config::{AllowConfig, DefaultConfig};

use super::auth::Auth;
use super::{ChainBuilder, Decision, OnRequest, Setup, Stage};
use crate::consumer::CurrentConsumers;
use crate::reply::{Reason, Reply};
use crate::request::{Headers, RequestCx, RequestView};
use crate::value::Spanned;
use rule::Rule;
use std::sync::Arc;

/// What a rule reads.
#[derive(Clone, Copy)]
pub struct Facts<'a> {
    cx: &'a RequestCx,
    method: &'a str,
    host: &'a str,
    path: &'a str,
    query: Option<&'a str>,
    headers: &'a dyn Headers,
}

impl<'a> Facts<'a> {
    /// Those of a request at hand.
    pub(in crate::policy) fn of(cx: &'a RequestCx, request: &'a RequestView<'_>) -> Self {
        let RequestView { method, host, path, .. } = *request;
        Self { cx, method, host, path, query: cx.query(request), headers: &*request.headers }
    }
}

/// The compiled policy.
struct Allow {
    rule: Rule,
    /// The providers of the route: what to ask for where nobody is known.
    auth: Option<Auth>,
}

impl AllowConfig {
    /// Compiles what is written and adds the policy's hook to a route that asks `auth` for the caller.
    pub fn attach(
        written: &Spanned<Self>,
        auth: Option<&Auth>,
        consumers: &CurrentConsumers,
        (chain, setup): (&mut ChainBuilder, &mut Setup<'_>),
    ) {
        let Some(rule) = Self::check(written, consumers, setup) else { return };
        if auth.is_none() && rule.asks_for_a_caller() {
            setup
                .problems
                .error(written.place, "`allow` asks for a caller, and this route has no `auth` to establish one")
                .hint("name a provider with `auth:`, or write `allow: off` on the route");
            return;
        }
        chain.on_request(Stage::Authorize, Arc::new(Allow { rule, auth: auth.cloned() }));
    }

    /// Compiles what is written for its problems alone, where the providers of the route could not be compiled.
    pub fn check_only(written: &Spanned<Self>, consumers: &CurrentConsumers, setup: &mut Setup<'_>) {
        let _ = Self::check(written, consumers, setup);
    }

    fn check(written: &Spanned<Self>, consumers: &CurrentConsumers, setup: &mut Setup<'_>) -> Option<Rule> {
        compile::Compiling { problems: &mut *setup.problems, consumers, depth: 0 }.rule(written)
    }
}

impl OnRequest for Allow {
    fn on_request(&self, cx: &mut RequestCx, request: &mut RequestView<'_>) -> Decision {
        if cx.notes.is_some() {
            let mut lines = Vec::new();
            self.rule.explained(&Facts::of(cx, request), &mut lines);
            lines.into_iter().for_each(|line| cx.note(|| line));
        }
        let facts = Facts::of(cx, request);
        if self.rule.holds(&facts) {
            return Decision::Continue;
        }
        match &self.auth {
            Some(auth) if cx.caller().is_none() && self.rule.asks_for_a_caller() => auth.unknown(),
            _ => Decision::reply(refusal::refusal(&self.rule, &facts)),
        }
    }

    fn describe(&self) -> String {
        format!("allow {}", self.rule)
    }
}

/// Refuses everybody: `default: deny` on a route for which nothing is allowed.
pub struct DenyAll;

impl DenyAll {
    /// Adds the policy's hook to a route.
    pub fn attach(chain: &mut ChainBuilder) {
        chain.on_request(Stage::Authorize, Arc::new(Self));
    }
}

impl OnRequest for DenyAll {
    fn on_request(&self, _cx: &mut RequestCx, _request: &mut RequestView<'_>) -> Decision {
        Decision::reply(Reply::new(Reason::Forbidden).detail("Nothing is allowed here by default."))
    }

    fn describe(&self) -> String {
        "allow nobody (default: deny)".to_owned()
    }
}

#[cfg(test)]
mod tests;
