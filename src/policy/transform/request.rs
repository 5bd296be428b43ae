//! The rules of `request:`.

use super::body::{self, BodyPlan, Replacements};
use super::config::RequestConfig;
use super::headers::{HeaderChanges, Way, written};
use super::pairs::{Kind, PairChanges};
use super::value::{Place, Scope, Value};
use super::variable::Facts;
use super::{changes_nothing, is_made};
use crate::policy::{BodyWork, OnUpstreamRequest, Setup};
use crate::reply::{Reason, Reply};
use crate::request::{Body, OutgoingView, RequestCx};
use crate::value::{ByteSize, Spanned};
use http::{HeaderValue, Method, header};
use std::sync::Arc;

/// A compiled rule.
pub struct RequestRule {
    /// The bit of its `when:`; 0 for none.
    bit: u64,
    when: Option<Box<str>>,
    headers: HeaderChanges,
    query: PairChanges,
    cookies: PairChanges,
    method: Option<Method>,
    path: Option<Value>,
    body: BodyPlan,
    replace: Replacements,
    decompress: bool,
    /// The largest body that is changed.
    bound: u64,
}

impl RequestRule {
    /// Compiles what is written; problems are recorded at their places.
    pub fn compile(written: &Spanned<RequestConfig>, bit: u64, scope: &Scope<'_>, setup: &mut Setup<'_>) -> Self {
        let config = &written.value;
        let rule = Self {
            bit,
            when: config.when.as_ref().map(|text| text.value.as_str().into()),
            headers: HeaderChanges::compile(written!(config), Way::Up, scope, setup),
            query: PairChanges::compile(written!(config.query), Kind::Query, scope, setup),
            cookies: PairChanges::compile(written!(config.cookies), Kind::Cookies, scope, setup),
            method: config.method.as_ref().and_then(|method| self::method(method, setup)),
            path: config.path.as_ref().and_then(|path| self::path(path, scope, setup)),
            body: BodyPlan::compile(body::written!(config), scope, setup),
            replace: Replacements::compile(&config.replace, setup),
            decompress: config.decompress,
            bound: body::bound(config.max_body.as_ref()),
        };
        let conditions =
            RequestConfig { when: config.when.clone(), max_body: config.max_body, ..RequestConfig::default() };
        if conditions == *config {
            changes_nothing(written.place, setup);
        }
        rule
    }

    fn make(&self, cx: &RequestCx, request: &mut OutgoingView<'_>) -> Result<(), Box<Reply>> {
        let facts = Facts { cx, request: request.request, status: None };
        if let Some(path) = &self.path {
            let made = path.expand(&facts, Place::Segment).ok_or_else(|| {
                let detail = "The path of the upstream is made of something that this request has not.";
                Box::new(Reply::new(Reason::BadPath).detail(detail))
            })?;
            request.path = made.into();
        }
        if !self.query.is_empty() {
            request.query = self.query.of_query(&facts, request.query.as_deref()).map(Into::into);
        }
        if let Some(method) = &self.method {
            request.method = method.clone();
        }
        if !self.cookies.is_empty() {
            self.cookies.of_request(&facts, request.headers);
        }
        self.headers.make(&facts, request.headers);
        Ok(())
    }

    /// Whether it replaces texts in bodies.
    pub fn replaces(&self) -> bool {
        !self.replace.is_empty()
    }

    fn reads_body(&self) -> bool {
        self.decompress || !self.body.is_empty()
    }

    fn describe(&self) -> String {
        let method = self.method.as_ref().map(|method| format!("method {method}"));
        let path = self.path.as_ref().map(|path| format!("path {path}"));
        let mut words: Vec<String> = method.into_iter().chain(path).collect();
        words.extend(self.query.describe());
        words.extend(self.cookies.describe());
        words.extend(self.headers.describe());
        words.extend(self.body.describe());
        words.extend(self.replace.describe());
        words.extend(self.decompress.then(|| "decompress".to_owned()));
        words.extend(self.reads_body().then(|| format!("bodies up to {}", ByteSize::new(self.bound))));
        let when = self.when.as_ref().map(|when| format!(" when {when}")).unwrap_or_default();
        format!("request{when}: {}", words.join("; "))
    }
}

/// What the upstream is asked to do. Where the answer's body ends depends on HEAD, and CONNECT and TRACE are for proxies.
fn method(written: &Spanned<String>, setup: &mut Setup<'_>) -> Option<Method> {
    let method = Method::from_bytes(written.value.as_bytes()).ok();
    let known = method.filter(|method| !matches!(*method, Method::HEAD | Method::CONNECT | Method::TRACE));
    if known.is_none() {
        let message = format!("`{}` is no method a request can be changed to", written.value);
        setup.problems.error(written.place, message).hint("write GET, POST, PUT, PATCH, DELETE or OPTIONS");
    }
    known
}

fn path(written: &Spanned<String>, scope: &Scope<'_>, setup: &mut Setup<'_>) -> Option<Value> {
    let value = Value::compile(written, scope, setup)?;
    let message = if !written.value.starts_with('/') {
        "a path begins with `/`"
    } else if value.texts().any(|text| !text.chars().all(|c| c.is_ascii_graphic() && !"?#\\\"<>^`{|}".contains(c))) {
        "this is not a path; parameters are changed under `query:`"
    } else {
        return Some(value);
    };
    setup.problems.error(written.place, message).hint("write `/v2/{id}`");
    None
}

/// The rules of a route, in order.
pub struct Upwards {
    /// The rules of `request:`.
    pub rules: Arc<[RequestRule]>,
    /// Whether bodies of answers are changed.
    pub answers: Answers,
}

/// What becomes of the bodies of answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answers {
    /// They pass.
    Pass,
    /// They are changed: the upstream is asked for the whole, uncoded.
    Changed,
}

impl Upwards {
    fn body(&self, cx: &RequestCx, request: &mut OutgoingView<'_>) -> Result<BodyWork, Box<Reply>> {
        let mut made = self.rules.iter().filter(|rule| rule.reads_body() && is_made(rule.bit, cx)).peekable();
        if made.peek().is_none() || cx.body == Body::None {
            return Ok(BodyWork::Leave);
        }
        let made: Vec<&RequestRule> = made.collect();
        let bound = made.iter().map(|rule| rule.bound).min().unwrap_or(0);
        if let Body::Length(length) = cx.body
            && length > bound
        {
            return Err(body::too_large(Way::Up, bound));
        }
        let facts = Facts { cx, request: request.request, status: None };
        let plans = made.iter().map(|rule| &rule.body);
        match body::begin(plans, &facts, request.headers, (Way::Up, bound))? {
            BodyWork::Leave if made.iter().any(|rule| rule.decompress) => body::decompress(request.headers, bound),
            work => Ok(work),
        }
    }
}

impl OnUpstreamRequest for Upwards {
    fn on_upstream_request(&self, cx: &mut RequestCx, request: &mut OutgoingView<'_>) -> Result<BodyWork, Box<Reply>> {
        for rule in self.rules.iter().filter(|rule| is_made(rule.bit, cx)) {
            rule.make(cx, request)?;
        }
        if self.answers == Answers::Changed {
            for name in [header::RANGE, header::IF_RANGE] {
                request.headers.remove(&name);
            }
            request.headers.set(&header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        }
        self.body(cx, request)
    }

    fn describe(&self) -> Vec<String> {
        self.rules.iter().map(RequestRule::describe).collect()
    }
}

/// What rules replace in bodies, after all else is done to them.
pub struct ReplacesUp(pub Arc<[RequestRule]>);

impl OnUpstreamRequest for ReplacesUp {
    /// The texts of all rules that are made, in order: of two at one place the first wins.
    fn on_upstream_request(&self, cx: &mut RequestCx, request: &mut OutgoingView<'_>) -> Result<BodyWork, Box<Reply>> {
        let made = self.0.iter().filter(|rule| rule.replaces() && is_made(rule.bit, cx));
        let all = Replacements::all(made.map(|rule| &rule.replace));
        if all.is_empty() || cx.body == Body::None {
            return Ok(BodyWork::Leave);
        }
        let bound = self.0.iter().map(|rule| rule.bound).max().unwrap_or(0);
        body::replace::begin(&all, request.headers, (Way::Up, bound))
    }

    fn describe(&self) -> Vec<String> {
        Vec::new()
    }
}
