//! `errors:`: tells errors of upstreams in the api's own format: status, title, and of their text only what is selected.
//!
//! Stage: before all others on answers, so that they see what the client will. Hook: on the head of an upstream's answer.
//! The first rule for a status decides; without one the answer passes as it is. What a rule takes is answered as a refusal
//! of the gateway's own is ([`Reason::UpstreamError`]): problem details, or what `replies:` says. The body of the upstream
//! is read only where members are selected from it, up to 1 MiB; one that is no JSON, or larger, has none of them.
//! Answers of gRPC pass. Nothing is carried over a reload. Example: `conf/transform.yaml`.

mod config;

pub use config::ErrorsConfig;

use super::coding::{Bound, Coded, Coding, Decoder, coded};
use super::transform::{Facts, Scope, Standing, Statuses, Value};
use super::{BodyWork, ChainBuilder, Changed, OnUpstreamAnswer, Setup, WholeBody};
use crate::reply::{Reason, Reply};
use crate::request::{RequestCx, ResponseView};
use crate::value::json::{Json, JsonBounds, Pointer};
use crate::value::{OneOrMany, Spanned};
use bytes::Bytes;
use http::{HeaderName, HeaderValue, StatusCode, header};
use std::sync::Arc;

/// The largest body that members are selected from, in bytes.
const MOST: u64 = 1 << 20;
/// The largest body that is read though nothing is selected from it.
const WORTH_READING: u64 = 64 * 1024;
/// How many times larger than what came a decoded body may be.
const RATIO: u32 = 200;
/// Members that a problem has already (RFC 9457 §3.1).
const OWN: [&str; 5] = ["type", "title", "status", "detail", "instance"];

/// The rules of a route, in order.
struct Errors(Box<[Rule]>);

/// A compiled rule.
struct Rule {
    statuses: Statuses,
    outcome: Option<Told>,
}

/// How an error is told.
struct Told {
    status: Option<StatusCode>,
    kind: Option<Box<str>>,
    title: Option<Box<str>>,
    detail: Option<Value>,
    select: Arc<[(Box<str>, Pointer)]>,
    keep: Box<[HeaderName]>,
}

/// Compiles the rules of a route and adds their hook.
pub fn attach(
    written: &OneOrMany<Spanned<ErrorsConfig>>,
    scope: &Scope<'_>,
    chain: &mut ChainBuilder,
    setup: &mut Setup<'_>,
) {
    let scope = Scope { answered: true, ..*scope };
    let rules: Vec<Rule> = written.iter().map(|rule| Rule::compile(rule, &scope, setup)).collect();
    if !rules.is_empty() {
        chain.remember_what_was_asked();
        chain.on_upstream_answer(Arc::new(Errors(rules.into())));
    }
}

impl Rule {
    fn compile(written: &Spanned<ErrorsConfig>, scope: &Scope<'_>, setup: &mut Setup<'_>) -> Self {
        let config = &written.value;
        let usual = OneOrMany(["4xx", "5xx"].map(|class| Spanned::nowhere(class.to_owned())).into());
        let statuses = if config.status.is_empty() { &usual } else { &config.status };
        let statuses = Statuses::compile(statuses, setup);
        if !statuses.are_errors() {
            let place = config.status.first().map_or(written.place, |status| status.place);
            setup.problems.error(place, "an error has a status from 400 to 599");
        }
        let says = ErrorsConfig { status: config.status.clone(), pass: config.pass, ..ErrorsConfig::default() };
        if config.pass && says != *config {
            setup.problems.error(written.place, "errors that pass are left as they are").hint("write `pass` alone");
        }
        Self { statuses, outcome: (!config.pass).then(|| Told::compile(config, scope, setup)) }
    }
}

impl Told {
    fn compile(config: &ErrorsConfig, scope: &Scope<'_>, setup: &mut Setup<'_>) -> Self {
        let status = config.to.as_ref().and_then(|to| {
            let status = StatusCode::from_u16(to.value).ok().filter(|_| (400..=599).contains(&to.value));
            if status.is_none() {
                setup.problems.error(to.place, "an error has a status from 400 to 599");
            }
            status
        });
        let mut select = Vec::new();
        for (name, at) in config.select.iter() {
            if OWN.contains(&name.value.as_str()) {
                setup.problems.error(name.place, format!("`{}` is a member that every problem has", name.value));
            }
            match Pointer::parse(&at.value) {
                Ok(pointer) => select.push((name.value.as_str().into(), pointer)),
                Err(_) => {
                    setup
                        .problems
                        .error(at.place, format!("`{}` is no JSON pointer", at.value))
                        .hint("write one such as `/error/code` (RFC 6901)");
                }
            }
        }
        let keep = config.keep.iter().filter_map(|name| kept(name, setup)).collect();
        Self {
            status,
            kind: config.kind.as_ref().map(|kind| kind.value.as_str().into()),
            title: config.title.as_ref().map(|title| title.value.as_str().into()),
            detail: config.detail.as_ref().and_then(|detail| Value::compile(detail, scope, setup)),
            select: select.into(),
            keep,
        }
    }

    fn reply(&self, facts: &Facts<'_>, answer: &ResponseView<'_>) -> Reply {
        let upstream = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::BAD_GATEWAY);
        let status = self.status.unwrap_or(upstream);
        let usual = status.canonical_reason().unwrap_or("Error");
        let mut reply = Reply::new(Reason::UpstreamError).status(status);
        reply = reply.title(self.title.as_deref().unwrap_or(usual));
        if let Some(kind) = &self.kind {
            reply = reply.kind(&**kind);
        }
        if let Some(detail) = &self.detail {
            reply = reply.detail(detail.fill(facts, Standing::Text));
        }
        for name in &self.keep {
            answer.headers.each(name, &mut |value| {
                if let (Ok(value), Some(extra)) = (HeaderValue::from_bytes(value), &mut reply.extra) {
                    extra.fields.push((name.clone(), value));
                }
            });
        }
        let wait = answer.headers.first(&header::RETRY_AFTER).and_then(|value| HeaderValue::from_bytes(value).ok());
        // A number or a date (RFC 9110 §10.2.3) says nothing else.
        let sound = |value: &HeaderValue| {
            value.to_str().is_ok_and(|text| text.parse::<u32>().is_ok() || httpdate::parse_http_date(text).is_ok())
        };
        match wait.filter(sound) {
            Some(wait) => reply.field(header::RETRY_AFTER, wait),
            None => reply,
        }
    }

    fn describe(&self) -> String {
        let mut words = Vec::new();
        words.extend(self.status.map(|status| format!("told as {}", status.as_str())));
        words.extend(self.kind.as_ref().map(|kind| format!("type {kind}")));
        words.extend(self.title.as_ref().map(|title| format!("title {title:?}")));
        words.extend(self.detail.as_ref().map(|detail| format!("detail {:?}", detail.to_string())));
        words.extend(self.select.iter().map(|(name, pointer)| format!("{name} from {pointer}")));
        words.extend(self.keep.iter().map(|name| format!("keeps {name}")));
        if words.is_empty() { "told as problems".to_owned() } else { words.join("; ") }
    }
}

/// A field that may be kept: framing and what describes the body that goes are not among them.
fn kept(written: &Spanned<String>, setup: &mut Setup<'_>) -> Option<HeaderName> {
    const GONE: [&str; 12] = [
        "content-length",
        "content-type",
        "content-encoding",
        "content-range",
        "content-digest",
        "transfer-encoding",
        "connection",
        "keep-alive",
        "trailer",
        "upgrade",
        "etag",
        "x-request-id",
    ];
    let name = HeaderName::from_bytes(written.value.as_bytes()).ok();
    match name {
        Some(name) if !GONE.contains(&name.as_str()) => Some(name),
        Some(name) => {
            setup.problems.error(written.place, format!("`{name}` is not kept: the answer has a body of its own"));
            None
        }
        None => {
            setup.problems.error(written.place, "this is not the name of a header");
            None
        }
    }
}

impl OnUpstreamAnswer for Errors {
    fn on_upstream_answer(&self, cx: &mut RequestCx, answer: &mut ResponseView<'_>) -> Result<BodyWork, Box<Reply>> {
        let Some(rule) = self.0.iter().find(|rule| rule.statuses.contain(answer.status)) else {
            return Ok(BodyWork::Leave);
        };
        let Some(told) = &rule.outcome else { return Ok(BodyWork::Leave) };
        let kind = answer.headers.first(&header::CONTENT_TYPE).unwrap_or_default().to_ascii_lowercase();
        if kind.starts_with(b"application/grpc") {
            return Ok(BodyWork::Leave);
        }
        let reply = Box::new(told.reply(&Facts { cx, request: answer.request, status: Some(answer.status) }, answer));
        let essence = kind.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii_end();
        let is_json = essence.ends_with(b"/json") || essence.ends_with(b"+json");
        let empty = answer.headers.first(&header::CONTENT_LENGTH).is_some_and(|length| length == b"0");
        let coding = match coded(answer.headers) {
            Coded::Plain => None,
            Coded::Once(coding) => Some(coding),
            Coded::Otherwise => return Err(reply),
        };
        let selects = is_json && !told.select.is_empty();
        // A short body is read away for the sake of the connection to the upstream.
        let length = answer.headers.first(&header::CONTENT_LENGTH).and_then(|text| std::str::from_utf8(text).ok());
        let short = length.and_then(|text| text.parse::<u64>().ok()).is_some_and(|length| length <= WORTH_READING);
        if empty || answer.request.method == "HEAD" || !(selects || short) {
            return Err(reply);
        }
        let select = if selects { Arc::clone(&told.select) } else { Arc::default() };
        Ok(BodyWork::Whole(Box::new(Selection { reply, select, coding })))
    }

    fn describe(&self) -> Vec<String> {
        let line = |rule: &Rule| match &rule.outcome {
            None => format!("errors {}: pass", rule.statuses),
            Some(told) => format!("errors {}: {}", rule.statuses, told.describe()),
        };
        self.0.iter().map(line).collect()
    }
}

/// Takes members out of the body of an error.
struct Selection {
    reply: Box<Reply>,
    select: Arc<[(Box<str>, Pointer)]>,
    coding: Option<Coding>,
}

impl Selection {
    fn told(mut self, body: &[u8]) -> Box<Reply> {
        if self.select.is_empty() {
            return self.reply;
        }
        let decoded = match self.coding {
            None => Ok(Bytes::copy_from_slice(body)),
            Some(coding) => Decoder::new(coding, Bound { bytes: MOST, ratio: RATIO })
                .map_err(|_| ())
                .and_then(|mut decoder| decoder.piece(body, true).map_err(|_| ())),
        };
        let parsed = decoded.ok().and_then(|body| Json::parse(&body, JsonBounds::default()).ok());
        if let (Some(whole), Some(extra)) = (parsed, &mut self.reply.extra) {
            let found = self.select.iter().filter_map(|(name, at)| {
                Some((name.clone(), String::from_utf8_lossy(&at.of(&whole)?.to_vec()).into()))
            });
            extra.written = found.collect();
        }
        self.reply
    }
}

impl WholeBody for Selection {
    fn bound(&self) -> u64 {
        MOST
    }

    fn too_large(&self) -> Box<Reply> {
        self.reply.clone()
    }

    fn change(self: Box<Self>, body: Bytes) -> Changed {
        Box::pin(async move { Err(self.told(&body)) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::tests::{messages, with_setup, written};
    use std::path::Path;

    fn problems(yaml: &str) -> Vec<String> {
        let config: OneOrMany<Spanned<ErrorsConfig>> = written(yaml);
        let scope = Scope { captures: &[], route: "/", api: "", env: &[], answered: false };
        let mut chain = ChainBuilder::default();
        let ((), problems, _) = with_setup(Path::new("."), |setup| attach(&config, &scope, &mut chain, setup));
        messages(&problems).iter().map(|text| text.lines().take(1).collect()).collect()
    }

    #[test]
    fn each_rule_is_read_or_refused_for_a_reason() {
        assert_eq!(problems("{}"), Vec::<String>::new());
        assert_eq!(problems("[{ status: 404, pass: true }, { to: 502, detail: \"{status}\" }]"), Vec::<String>::new());
        for (yaml, problem) in [
            ("{ status: 200 }", "an error has a status from 400 to 599"),
            ("{ status: 399-401 }", "an error has a status from 400 to 599"),
            ("{ to: 200 }", "an error has a status from 400 to 599"),
            ("{ pass: true, to: 500 }", "errors that pass are left as they are"),
            ("{ select: { title: /a } }", "`title` is a member that every problem has"),
            ("{ select: { a: b } }", "`b` is no JSON pointer"),
            ("{ keep: Content-Length }", "`content-length` is not kept: the answer has a body of its own"),
            ("{ detail: \"{x}\" }", "there is no variable `x`"),
        ] {
            assert_eq!(problems(yaml), [problem], "{yaml}");
        }
    }
}
