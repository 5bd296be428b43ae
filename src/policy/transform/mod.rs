//! `request:` and `response:`: what is changed about requests on their way up, and about answers on their way down.
//!
//! Stage: Transform, so that everything before saw what the client sent, and caches keep what upstreams sent. Hooks: on the
//! head, where a rule has a `when:` in CEL, which is decided once; on the request as it leaves, at each attempt; on the head
//! of the answer. Rules are made one after the other. Answers of the gateway itself are changed where the request had come
//! so far: its redirects and fixed answers, and failures of upstreams; not refusals. What is put in from a request is
//! written for where it stands; a field whose variable is not there goes. Framing, hop-by-hop fields and those that tell
//! upstreams who calls cannot be named. Fails closed: a path that would not be one is 400, an expression that cannot be
//! evaluated does not hold. Nothing is carried over a reload. Example: `conf/transform.yaml`.

mod body;
mod config;
mod headers;
mod pairs;
mod request;
mod response;
mod status;
mod value;
mod variable;

pub(super) use body::decompress;
pub use body::{Format, JqConfig, JsonConfig, Made, ReplaceConfig, Shaping, TemplateConfig};
pub use config::{ChangesConfig, RequestConfig, ResponseConfig};
pub(super) use headers::{HeaderChanges, Way, Written};
pub(super) use status::Statuses;
pub use value::{Place as Standing, Scope, Value};
pub use variable::Facts;

use super::allow::{Condition, Facts as Conditions};
use super::{ChainBuilder, Decision, OnRequest, Seen, Setup, Stage};
use crate::request::{RequestCx, RequestView};
use crate::value::{OneOrMany, Place, Spanned, suggest};
use request::{Answers, ReplacesUp, RequestRule, Upwards};
use response::{Downwards, ReplacesDown, ResponseRule};
use std::sync::Arc;

/// Rules of one kind that a route may have: each that has a `when:` takes a bit.
const MOST_RULES: usize = 32;

/// Compiles the rules of a route and adds their hooks.
pub fn attach(
    (request, response): (&[Spanned<RequestConfig>], &[Spanned<ResponseConfig>]),
    scope: Scope<'_>,
    chain: &mut ChainBuilder,
    setup: &mut Setup<'_>,
) {
    let mut conditions = Collected::default();
    let too_many = [request.get(MOST_RULES).map(|rule| rule.place), response.get(MOST_RULES).map(|rule| rule.place)];
    for place in too_many.into_iter().flatten() {
        setup.problems.error(place, format!("more than {MOST_RULES} rules of a kind"));
    }
    let up: Vec<RequestRule> = request
        .iter()
        .take(MOST_RULES)
        .map(|written| {
            let bit = conditions.add(written.value.when.as_ref(), setup);
            RequestRule::compile(written, bit, &scope, setup)
        })
        .collect();
    let answered = Scope { answered: true, ..scope };
    let down: Vec<ResponseRule> = response
        .iter()
        .take(MOST_RULES)
        .map(|written| {
            let bit = conditions.add(written.value.when.as_ref(), setup);
            ResponseRule::compile(written, bit, &answered, setup)
        })
        .collect();
    if up.is_empty() && down.is_empty() {
        return;
    }
    chain.remember_what_was_asked();
    if !conditions.all.is_empty() {
        chain.on_request(Stage::Transform, Arc::new(Whens(conditions.all.into())));
    }
    let replaced = down.iter().any(ResponseRule::replaces);
    let changed = replaced || down.iter().any(ResponseRule::reads_body);
    let answers = if changed { Answers::Changed } else { Answers::Pass };
    if !up.is_empty() || changed {
        let replaces = up.iter().any(RequestRule::replaces);
        let up: Arc<[RequestRule]> = up.into();
        chain.on_upstream_request(Stage::Transform, Arc::new(Upwards { rules: Arc::clone(&up), answers }));
        if replaces {
            chain.on_upstream_request(Stage::Transform, Arc::new(ReplacesUp(up)));
        }
    }
    if !down.is_empty() {
        let down: Arc<[ResponseRule]> = down.into();
        chain.on_response(Stage::Transform, Seen::Unwinding, Arc::new(Downwards(Arc::clone(&down))));
        if down.iter().any(ResponseRule::reads_body) {
            chain.on_response_body(Stage::Transform, Seen::Unwinding, Arc::new(Downwards(Arc::clone(&down))));
        }
        if replaced {
            chain.on_response_body(Stage::Transform, Seen::Unwinding, Arc::new(ReplacesDown(down)));
        }
    }
}

/// The expressions of a route's rules, by the bits they set.
#[derive(Default)]
struct Collected {
    all: Vec<(u64, Condition)>,
}

impl Collected {
    /// The bit that tells whether the expression holds; 0 for a rule without one.
    fn add(&mut self, written: Option<&Spanned<String>>, setup: &mut Setup<'_>) -> u64 {
        let Some(text) = written else { return 0 };
        match Condition::parse(&text.value) {
            Ok(condition) => {
                let bit = 1 << self.all.len().min(63);
                self.all.push((bit, condition));
                bit
            }
            Err(error) => {
                let near =
                    error.near.and_then(|(wrong, known)| suggest(&wrong, known.iter().copied()).map(str::to_owned));
                let hint = near.map(|near| format!("did you mean `{near}`?")).or(error.hint);
                setup.problems.error(text.within(error.offset), error.message).hint_if(hint);
                0
            }
        }
    }
}

/// Decides the expressions while the request is at hand.
struct Whens(Box<[(u64, Condition)]>);

impl OnRequest for Whens {
    fn on_request(&self, cx: &mut RequestCx, request: &mut RequestView<'_>) -> Decision {
        let facts = Conditions::of(cx, request);
        let held = self.0.iter().filter(|(_, condition)| condition.holds(&facts)).fold(0, |held, (bit, _)| held | bit);
        cx.changes.held |= held;
        for (bit, condition) in &self.0 {
            cx.note(|| format!("{condition}: {}", if held & bit > 0 { "holds" } else { "does not hold" }));
        }
        Decision::Continue
    }

    fn describe(&self) -> String {
        let texts: Vec<String> = self.0.iter().map(|(_, condition)| condition.to_string()).collect();
        format!("request and response by {}", texts.join(", "))
    }
}

/// A rule without a change is a slip; what could not be read may have been left out.
fn changes_nothing(place: Place, setup: &mut Setup<'_>) {
    if !setup.problems.is_fatal() {
        setup.problems.error(place, "the rule changes nothing").hint("write `set: { X-Name: value }`, for one");
    }
}

/// Whether a rule with that bit is made for a request.
fn is_made(bit: u64, cx: &RequestCx) -> bool {
    bit == 0 || cx.changes.held & bit > 0
}

/// What a level sets, borrowed.
pub fn rules<T>(written: Option<&crate::value::OrOff<OneOrMany<Spanned<T>>>>) -> &[Spanned<T>] {
    written.and_then(crate::value::OrOff::on).map_or(&[], |rules| rules)
}

#[cfg(test)]
mod tests;
