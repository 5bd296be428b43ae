//! What a configuration does, in words: the whole plan, or the way of one request through it. No network is touched.

mod pool;

use self::pool::pool;
use super::{Action, Backoff, EncodedSlash, HostField, Rewrite, Route, Snapshot};
use crate::exchange::{Show, Shown};
use crate::policy::Decision;
use crate::reply::Reply;
use crate::request::{Asked, Client, Moment, RequestCx, RequestView};
use crate::routing::{
    Captures, Found, Reading, RouteRule, Step, Subject, Target, Verdict, content, normalise, normalise_host,
    split_target,
};
use crate::value::{ByteSize, Priority};
use http::{HeaderMap, HeaderName, HeaderValue};
use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr};
use std::time::{Instant, SystemTime};

/// A request to explain.
#[derive(Clone, Debug, Default)]
pub struct Question {
    /// The method.
    pub method: String,
    /// A URL, or a path; a path goes to any host.
    pub url: String,
    /// Header fields.
    pub headers: Vec<(String, String)>,
    /// The body; none where it is empty.
    pub body: String,
    /// The client's address; that of this machine where none is given.
    pub client: Option<IpAddr>,
}

/// Mermaid flow charts of the routes that make their answers out of several calls, each below a comment with its key.
pub fn draw_plan(snapshot: &Snapshot) -> String {
    let mut out = String::new();
    for route in &snapshot.routes {
        if let Action::Exchange(own) = &route.action
            && let Some(drawing) = own.show(Show::Chart)
        {
            let _ = writeln!(out, "%% {}\n{drawing}", name_of(route));
        }
    }
    out
}

/// The compiled plan: listeners, upstreams, routes in order of writing.
pub fn explain_plan(snapshot: &Snapshot) -> String {
    let mut out = String::new();
    for listener in &snapshot.process.listeners {
        let speaks = listener.protocols;
        let names = [(speaks.h1, "h1"), (speaks.h2, "h2"), (speaks.h2c, "h2c")];
        let protocols: Vec<&str> = names.iter().filter(|(on, _)| *on).map(|(_, name)| *name).collect();
        let tls = if listener.tls.is_some() { ", TLS" } else { "" };
        let _ = writeln!(out, "listener {}: {} ({}{tls})", listener.name, listener.address, protocols.join(", "));
    }
    if let Some(shared) = &snapshot.shared {
        let _ = writeln!(out, "shared state: {}", shared.store().describe());
    }
    if let Some(disk) = &snapshot.process.cache_disk {
        let _ = writeln!(out, "kept answers: in memory, and up to {} bytes in {}", disk.size, disk.path.display());
    }
    for (name, upstream) in &snapshot.upstreams {
        let _ = writeln!(out, "upstream {name}: {}", pool(upstream.spec()));
    }
    for (route, rule) in snapshot.routes.iter().zip(snapshot.router.rules()) {
        let hosts: Vec<String> = rule.hosts.iter().map(ToString::to_string).collect();
        let hosts = if hosts.is_empty() { String::new() } else { format!(" on {}", hosts.join(", ")) };
        let _ = writeln!(out, "route {}{hosts} -> {}", name_of(route), action(route));
        let asked = bodies(rule);
        let policies = asked.into_iter().chain(route.chain.describe());
        let policies = policies.chain(route.chain.describe_upstream_requests());
        let policies = policies.chain(route.chain.describe_responses());
        for line in policies.chain(frame(route)) {
            let _ = writeln!(out, "    {line}");
        }
    }
    out
}

/// What a route asks of bodies.
fn bodies(rule: &RouteRule) -> Option<String> {
    let asked = rule.predicates.iter().filter(|predicate| matches!(predicate.subject, Subject::Body(_)));
    let asked: Vec<String> = asked.map(ToString::to_string).collect();
    (!asked.is_empty()).then(|| format!("for {}; bodies up to 64KiB are read to tell", asked.join(" and ")))
}

fn name_of(route: &Route) -> String {
    match &route.api {
        Some(api) => format!("`{}` of {api}", route.key),
        None => format!("`{}`", route.key),
    }
}

fn action(route: &Route) -> String {
    match &route.action {
        Action::Respond(answers) => answers.describe(),
        Action::Exchange(own) => own.describe().into_iter().next().unwrap_or_default(),
        Action::Batch(batch) => batch.describe().into_iter().next().unwrap_or_default(),
        Action::Policies => "answered by its policies".to_owned(),
        Action::Redirect(redirect, _) => format!("redirects to {} with {}", redirect.to, redirect.status.as_str()),
        Action::Forward(target) => {
            let choices: Vec<String> = target
                .choices()
                .iter()
                .map(|choice| match target.choices().len() {
                    1 => choice.to_string(),
                    _ => {
                        let told: Vec<String> = choice.when.iter().map(ToString::to_string).collect();
                        let when =
                            if told.is_empty() { String::new() } else { format!(", or when {}", told.join(" and ")) };
                        format!("{choice} (weight {}{when})", choice.weight)
                    }
                })
                .collect();
            let sticky = target.sticky().map(|sticky| format!("; sticky by {sticky}")).unwrap_or_default();
            format!("{}{sticky}", choices.join(", "))
        }
    }
}

/// What the frame does for a route that asks an upstream.
fn frame(route: &Route) -> Vec<String> {
    let mut lines = Vec::new();
    match &route.action {
        Action::Forward(_) => {}
        Action::Exchange(own) => lines.extend(own.describe().into_iter().skip(1)),
        Action::Batch(batch) => lines.extend(batch.describe().into_iter().skip(1)),
        // Nothing below concerns an answer of the gateway's own.
        Action::Respond(_) | Action::Redirect(..) | Action::Policies => return lines,
    }
    match route.timeout {
        Some(timeout) => lines.push(format!("timeout {timeout:?}, all attempts together")),
        None => lines.push("no timeout".to_owned()),
    }
    if let Some(name) = &route.deadline_header {
        lines.push(format!("deadlines in {name}"));
    }
    if route.priority != Priority::Normal {
        lines.push(format!("priority {}", route.priority.as_str()));
    }
    if route.retries.max > 0 && !matches!(route.action, Action::Batch(_)) {
        let budget = route.retries.budget * 100.0;
        let causes: Vec<String> = route.retries.on.iter().map(ToString::to_string).collect();
        let mut line = format!("retries {} on {}, budget {budget}%", route.retries.max, causes.join(", "));
        if let Some(limit) = route.retries.per_try {
            let _ = write!(line, ", {limit:?} each");
        }
        match route.retries.backoff {
            None => line.push_str(", without a wait"),
            Some(Backoff { first, .. }) => {
                let _ = write!(line, ", after up to {first:?} and more");
            }
        }
        let _ = write!(line, ", bodies up to {}", ByteSize::new(route.retries.replay));
        lines.push(line);
    }
    match &route.forward.rewrite {
        Rewrite::Keep => {}
        Rewrite::Strip { prefix, .. } => lines.push(format!("strips {}", prefix.to_str().unwrap_or_default())),
        Rewrite::Template(template) => lines.push(format!("rewrites the path to {template}")),
    }
    if route.forward.host == HostField::Client {
        lines.push("keeps the client's Host".to_owned());
    }
    if route.encoded_slash == EncodedSlash::Keep {
        lines.push("keeps encoded slashes".to_owned());
    }
    lines.extend(route.cache.as_ref().map(|caching| caching.plan.describe()));
    lines.extend(route.traffic.iter().flat_map(|traffic| traffic.describe()));
    lines
}

/// The way of one request: what was read of it, the routes considered and what each lost on, and what the winner does.
///
/// # Errors
/// Why the request would be refused before it is routed.
pub fn explain_request(snapshot: &Snapshot, asked: &Question) -> Result<String, String> {
    let target = split_target(&asked.url).map_err(|error| format!("400 bad-path: {error}"))?;
    let mut headers = HeaderMap::new();
    for (name, value) in &asked.headers {
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| format!("`{name}` is not a header name"))?;
        let value = HeaderValue::from_str(value).map_err(|_| format!("the value of {name} is not a header value"))?;
        headers.append(name, value);
    }
    let named = target.authority.or_else(|| headers.get(http::header::HOST).and_then(|host| host.to_str().ok()));
    let host = match named {
        None => String::new(),
        Some(host) => {
            normalise_host(host).map_err(|error| format!("400 bad-request: {error}"))?.into_text().into_owned()
        }
    };
    let path = normalise(target.path).map_err(|error| format!("400 bad-path: {error}"))?;
    let mut out = String::new();
    let shown = if host.is_empty() { "(no host)" } else { &host };
    let _ = writeln!(out, "request {} {shown} {}", asked.method, path.as_str());
    if path.as_str() != target.path {
        let _ = writeln!(out, "    written as {}", target.path);
    }
    let said = content(&headers, asked.body.as_bytes());
    let body = said.as_ref().map_or(Reading::Unfit, Reading::Read);
    if !asked.body.is_empty() {
        let known = if said.is_some() { "" } else { ", of which nothing can be read" };
        let _ = writeln!(out, "    a body of {} bytes{known}", asked.body.len());
    }
    let lookup = Target {
        host: &host,
        path: path.as_str(),
        method: &asked.method,
        query: target.query,
        headers: &headers,
        body,
    };
    let lookup = match snapshot.sought(&lookup) {
        Ok(sought) => sought,
        Err(reply) => {
            let _ = writeln!(out, "answer {}", refusal(&reply));
            return Ok(out);
        }
    };
    if lookup.method != asked.method {
        let _ = writeln!(out, "    a preflight, for the route of {}", lookup.method);
    }
    for candidate in snapshot.router.explain(&lookup) {
        let Some(route) = snapshot.routes.get(candidate.route) else { continue };
        let _ = writeln!(out, "route {}: {}", name_of(route), verdict(snapshot, &candidate.verdict));
    }
    let mut captures = Captures::new();
    match snapshot.router.find(&lookup, &mut captures) {
        Found::NoRoute => out.push_str("answer 404 no-route\n"),
        Found::MethodNotAllowed(allowed) => {
            let methods: Vec<&str> = allowed.iter().collect();
            let _ = writeln!(out, "answer 405 method-not-allowed, Allow: {}", methods.join(", "));
        }
        Found::Route(number) | Found::Unread(number) => {
            if let Some(route) = snapshot.routes.get(number) {
                winner(&mut out, snapshot, (number, route), (path.as_str(), &captures), path.has_encoded_slash());
                let mut view = RequestView {
                    method: &asked.method,
                    host: &host,
                    path: path.as_str(),
                    query: target.query,
                    headers: &mut headers.clone(),
                };
                if verdicts(&mut out, (route, &captures), asked.client, &mut view) {
                    sent(&mut out, (route, &captures), &view, &asked.body);
                }
            }
        }
    }
    Ok(out)
}

fn winner(
    out: &mut String,
    snapshot: &Snapshot,
    (number, route): (usize, &Route),
    (path, captures): (&str, &Captures),
    encoded_slash: bool,
) {
    if encoded_slash && route.encoded_slash == EncodedSlash::Refuse {
        out.push_str("answer 400 bad-path: this route refuses encoded slashes\n");
        return;
    }
    if let Some(rule) = snapshot.router.rules().get(number) {
        for (index, name) in rule.path.captures().iter().enumerate() {
            if let Some(value) = captures.get(path, index) {
                let _ = writeln!(out, "    {{{name}}} = {value}");
            }
        }
    }
    let _ = writeln!(out, "-> {}", action(route));
    for line in frame(route) {
        let _ = writeln!(out, "    {line}");
    }
}

/// What an exchange would make of the request, once policies have let it pass.
fn sent(out: &mut String, (route, captures): (&Route, &Captures), view: &RequestView<'_>, body: &str) {
    let Action::Exchange(own) = &route.action else { return };
    let pieces: Vec<Box<str>> =
        (0..captures.len()).map(|index| captures.get(view.path, index).unwrap_or_default().into()).collect();
    let (method, path, query) = (view.method, view.path, view.query);
    let mut headers = HeaderMap::new();
    view.headers.all(&mut |name, value| {
        headers.extend(HeaderValue::from_bytes(value).ok().map(|value| (name.clone(), value)));
    });
    let asked = Shown { method, path, query, captures: &pieces, fields: &headers, body: body.as_bytes() };
    out.extend(own.show(Show::Request(&asked)));
}

/// What each policy of the route says of the request, up to the first that does not let it pass; whether all do.
fn verdicts(
    out: &mut String,
    (route, captures): (&Route, &Captures),
    client: Option<IpAddr>,
    view: &mut RequestView<'_>,
) -> bool {
    let now = Moment { started: Instant::now(), wall: SystemTime::now() };
    let address = client.map_or(IpAddr::V4(Ipv4Addr::LOCALHOST), |client| client.to_canonical());
    let client = Client { address, peer: address, via_trusted: false };
    let mut cx = RequestCx { client, notes: Some(Box::default()), ..RequestCx::new(now) };
    if route.chain.remembers_what_was_asked() {
        let pieces = (0..captures.len()).map(|index| captures.get(view.path, index).unwrap_or_default().into());
        let (host, path, query) = (view.host.into(), view.path.into(), view.query.map(Into::into));
        cx.changes.asked = Some(Box::new(Asked { host, path, query, captures: pieces.collect() }));
    }
    for (position, line) in route.chain.describe().iter().enumerate() {
        let Some(decision) = route.chain.explain(position, &mut cx, view) else { return false };
        let outcome = match &decision {
            Decision::Continue => "passes".to_owned(),
            Decision::Reply(reply) => refusal(reply),
            Decision::Answer(fixed) => format!("answers {}", fixed.status.as_str()),
            Decision::Wait(_) => "asks another service; what follows is decided then".to_owned(),
        };
        let _ = writeln!(out, "policy {line}: {outcome}");
        for note in cx.notes.iter_mut().flat_map(|notes| notes.drain(..)) {
            let _ = writeln!(out, "    {note}");
        }
        if !decision.is_continue() {
            return false;
        }
    }
    if let Some(caching) = &route.cache {
        let _ = writeln!(out, "{}", caching.plan.explain(&cx, view));
    }
    true
}

fn refusal(reply: &Reply) -> String {
    format!("{} {}: {}", reply.reason.status().as_str(), reply.reason.slug(), reply.detail)
}

fn verdict(snapshot: &Snapshot, verdict: &Verdict) -> String {
    match verdict {
        Verdict::Won => "takes the request".into(),
        Verdict::Outranked { winner, on } => {
            let winner = snapshot.routes.get(*winner).map(name_of).unwrap_or_default();
            let what = match on {
                Step::Host => "host",
                Step::Path => "path",
                Step::Method => "method",
                Step::Predicates => "predicates",
            };
            format!("would take it, but {winner} has the more specific {what}")
        }
        Verdict::Host => "lost: for other hosts".into(),
        Verdict::Path { segment: Some(segment) } => format!("lost: the path differs in segment {}", segment + 1),
        Verdict::Path { segment: None } => "lost: the path does not match".into(),
        Verdict::Method(methods) => format!("lost: for {methods} only"),
        Verdict::Predicate(predicate) => format!("lost: {predicate} does not hold"),
    }
}
