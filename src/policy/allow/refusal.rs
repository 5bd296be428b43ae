//! What a refusal says: what was missing, never what the caller has.

use super::Facts;
use super::rule::{Names, Rule, has_scope};
use crate::policy::auth::challenge;
use crate::reply::{Reason, Reply};
use http::header;
use serde_json::{Map, Value};

/// The refusal of a request for which `rule` does not hold.
pub fn refusal(rule: &Rule, facts: &Facts<'_>) -> Reply {
    let failing = rule.failing(facts);
    let lacking = |scopes: &Names| -> Vec<Box<str>> {
        let caller = facts.cx.caller();
        scopes.iter().filter(|scope| !caller.is_some_and(|caller| has_scope(caller, scope))).cloned().collect()
    };
    let (mut sentences, mut missing, mut scopes) = (Vec::new(), Map::new(), Vec::new());
    for rule in &failing {
        sentences.push(match rule {
            Rule::Scope(all) => {
                let lacking = lacking(all);
                scopes.extend(all.iter().map(|scope| &**scope));
                add(&mut missing, "scope", &lacking);
                format!("The credential lacks {}.", counted("scope", &lacking, " and "))
            }
            Rule::Group(any) => {
                add(&mut missing, "group", any);
                format!("The caller is not in {}.", counted("group", any, " or "))
            }
            Rule::Claim(claim) => {
                add(&mut missing, "claim", &[claim.path().into()]);
                format!("The claim {} is missing or has another value.", claim.path())
            }
            Rule::Consumer(_) => "This consumer may not use this route.".to_owned(),
            Rule::When(_) => "The request does not meet a condition of this route.".to_owned(),
            Rule::Not(_) | Rule::All(_) | Rule::Any(_) => "An exception of this route applies.".to_owned(),
        });
    }
    sentences.dedup();
    let only_scopes = !failing.is_empty() && failing.iter().all(|rule| matches!(rule, Rule::Scope(_)));
    let mut reply = Reply::new(if only_scopes { Reason::InsufficientScope } else { Reason::Forbidden });
    if !sentences.is_empty() {
        reply = reply.detail(sentences.join(" "));
    }
    if !missing.is_empty() {
        reply = reply.member("missing", missing);
    }
    // RFC 6750 §3.1: the scope that is needed, not only what lacks of it.
    let asked = challenge("Bearer", &[("error", "insufficient_scope"), ("scope", &scopes.join(" "))]);
    match asked.filter(|_| only_scopes) {
        Some(challenge) => reply.field(header::WWW_AUTHENTICATE, challenge),
        None => reply,
    }
}

fn add(missing: &mut Map<String, Value>, kind: &str, names: &[Box<str>]) {
    let list = missing.entry(kind).or_insert_with(|| Value::Array(Vec::new()));
    if let Value::Array(list) = list {
        list.extend(names.iter().map(|name| Value::from(&**name)));
    }
}

fn counted(noun: &str, names: &[Box<str>], word: &str) -> String {
    let plural = if names.len() == 1 { "" } else { "s" };
    format!("the {noun}{plural} {}", names.join(word))
}
