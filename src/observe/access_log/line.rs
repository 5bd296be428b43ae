//! A line of the access log, as JSON or as text.

use super::entry::{AccessEntry, Answer, Ids, Matched, Outcome, Part, SocketOutcome, Timings, What, Who, bound};
use super::escape::Escape;
use super::redact::Redaction;
use crate::observe::{TimeStyle, TimeText, TraceId};
use crate::value::digits::{hex, push_address, push_millis, push_number};

/// The form of the lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Shape {
    /// One JSON object a line.
    #[default]
    Json,
    /// The combined format of Apache and nginx, and after it what it has no place for.
    Text,
}

impl Shape {
    /// The style of time that goes with the form.
    pub(super) const fn time_style(self) -> TimeStyle {
        match self {
            Self::Json => TimeStyle::Rfc3339,
            Self::Text => TimeStyle::CommonLog,
        }
    }
}

/// Appends the entry as one JSON object and a line feed. `clock` must be of [`TimeStyle::Rfc3339`].
///
/// Fields come in a fixed order; those that do not apply are left out.
pub fn write_json(entry: &AccessEntry<'_>, redaction: &Redaction, clock: &mut TimeText, out: &mut Vec<u8>) {
    let AccessEntry { time, ids, who, what, matched, outcome, timings, upstream, parts } = entry;
    let Ids { request, trace, batch } = ids;
    let Who { client, listener, protocol, tls, consumer, user_agent } = who;
    let What { method, host, path, query } = what;
    let Matched { api, route } = matched;
    let Outcome { status, reason, bytes_in, bytes_out, cache, fallback, socket } = outcome;
    let Timings { total, gateway, upstream: upstream_time } = timings;

    out.extend_from_slice(b"{\"time\":\"");
    clock.push(*time, out);
    out.push(b'"');
    let mut object = Members { out };
    object.string(",\"request_id\":\"", request, bound::REQUEST_ID);
    if let Some(id) = trace {
        object.trace(id);
    }
    if let Some(batch) = batch {
        object.string(",\"batch\":\"", batch, bound::REQUEST_ID);
    }
    if let Some(client) = client {
        object.quoted(",\"client\":\"", |out| push_address(*client, out));
    }
    object.name(",\"listener\":\"", Some(listener));
    object.name(",\"protocol\":\"", Some(protocol));
    object.string(",\"method\":\"", method, bound::METHOD);
    object.string(",\"host\":\"", host, bound::HOST);
    object.string(",\"path\":\"", path, bound::PATH);
    if let Some(query) = query {
        object.quoted(",\"query\":\"", |out| redaction.push(query, bound::QUERY, Escape::Json, out));
    }
    object.name(",\"api\":\"", *api);
    object.name(",\"route\":\"", *route);
    object.name(",\"consumer\":\"", *consumer);
    object.number(",\"status\":", (*status).into());
    object.name(",\"reason\":\"", *reason);
    object.number(",\"bytes_in\":", *bytes_in);
    object.number(",\"bytes_out\":", *bytes_out);
    object.plain(",\"duration_ms\":", |out| push_millis(*total, out));
    object.plain(",\"gateway_ms\":", |out| push_millis(*gateway, out));
    if let Some(time) = upstream_time {
        object.plain(",\"upstream_ms\":", |out| push_millis(*time, out));
    }
    if let Some(Answer { upstream, endpoint, attempts }) = upstream {
        object.name(",\"upstream\":\"", Some(upstream));
        object.name(",\"endpoint\":\"", *endpoint);
        object.number(",\"attempts\":", (*attempts).into());
    }
    object.parts(parts);
    object.name(",\"cache\":\"", *cache);
    object.name(",\"fallback\":\"", *fallback);
    if let Some(SocketOutcome { messages_in, messages_out, code, ended }) = socket {
        object.number(",\"messages_in\":", *messages_in);
        object.number(",\"messages_out\":", *messages_out);
        object.number(",\"close_code\":", (*code).into());
        object.name(",\"closed_by\":\"", Some(ended));
    }
    object.name(",\"tls\":\"", *tls);
    if let Some(agent) = user_agent {
        object.string(",\"user_agent\":\"", agent, bound::USER_AGENT);
    }
    out.extend_from_slice(b"}\n");
}

/// Writes members of a JSON object that has one already. Keys are given with all that stands before the value.
struct Members<'a> {
    out: &'a mut Vec<u8>,
}

impl Members<'_> {
    fn plain(&mut self, key: &str, value: impl FnOnce(&mut Vec<u8>)) {
        self.out.extend_from_slice(key.as_bytes());
        value(self.out);
    }

    fn quoted(&mut self, key: &str, value: impl FnOnce(&mut Vec<u8>)) {
        self.plain(key, value);
        self.out.push(b'"');
    }

    fn string(&mut self, key: &str, value: &[u8], bound: usize) {
        self.quoted(key, |out| Escape::Json.push(value, bound, out));
    }

    fn name(&mut self, key: &str, value: Option<&str>) {
        if let Some(value) = value {
            self.string(key, value.as_bytes(), bound::NAME);
        }
    }

    fn number(&mut self, key: &str, value: u64) {
        self.plain(key, |out| push_number(value, out));
    }

    fn trace(&mut self, id: &TraceId) {
        self.hex(",\"trace_id\":\"", id.as_bytes());
    }

    fn hex(&mut self, key: &str, bytes: &[u8]) {
        self.quoted(key, |out| bytes.iter().for_each(|&byte| out.extend_from_slice(&hex(byte))));
    }

    fn parts(&mut self, parts: &[Part<'_>]) {
        for (at, part) in parts.iter().enumerate() {
            let Part { name, upstream, status, duration, outcome, calls, span } = part;
            self.name(if at == 0 { ",\"parts\":[{\"name\":\"" } else { ",{\"name\":\"" }, Some(name));
            self.name(",\"upstream\":\"", Some(upstream));
            if let Some(status) = status {
                self.number(",\"status\":", (*status).into());
            }
            self.plain(",\"duration_ms\":", |out| push_millis(*duration, out));
            self.name(",\"outcome\":\"", Some(outcome));
            self.number(",\"calls\":", *calls as u64);
            if let Some(span) = span {
                self.hex(",\"span_id\":\"", span.as_bytes());
            }
            self.out.push(b'}');
        }
        if !parts.is_empty() {
            self.out.push(b']');
        }
    }
}

/// Appends the entry as one line of text. `clock` must be of [`TimeStyle::CommonLog`].
///
/// ```text
/// client - consumer [time] "METHOD path?query PROTOCOL" status bytes_out "-" "user_agent" request_id duration_ms
/// upstream_ms host "route" reason upstream endpoint
/// ```
///
/// Up to the user agent this is the combined format, with `-` for the referer, which is not logged.
pub fn write_text(entry: &AccessEntry<'_>, redaction: &Redaction, clock: &mut TimeText, out: &mut Vec<u8>) {
    let AccessEntry { time, ids, who, what, matched, outcome, timings, upstream, parts: _ } = entry;
    let escape = Escape::Text;
    match who.client {
        Some(client) => push_address(client, out),
        None => out.push(b'-'),
    }
    out.extend_from_slice(b" - ");
    push_word(who.consumer.map(str::as_bytes), bound::NAME, out);
    out.extend_from_slice(b" [");
    clock.push(*time, out);
    out.extend_from_slice(b"] \"");
    escape.push(what.method, bound::METHOD, out);
    out.push(b' ');
    escape.push(what.path, bound::PATH, out);
    if let Some(query) = what.query {
        out.push(b'?');
        redaction.push(query, bound::QUERY, escape, out);
    }
    out.push(b' ');
    escape.push(who.protocol.as_bytes(), bound::NAME, out);
    out.extend_from_slice(b"\" ");
    push_number(outcome.status.into(), out);
    out.push(b' ');
    push_number(outcome.bytes_out, out);
    out.extend_from_slice(b" \"-\" \"");
    escape.push(who.user_agent.unwrap_or(b"-"), bound::USER_AGENT, out);
    out.extend_from_slice(b"\" ");
    push_word(Some(ids.request), bound::REQUEST_ID, out);
    out.push(b' ');
    push_millis(timings.total, out);
    out.push(b' ');
    match timings.upstream {
        Some(time) => push_millis(time, out),
        None => out.push(b'-'),
    }
    out.push(b' ');
    push_word(Some(what.host), bound::HOST, out);
    out.extend_from_slice(b" \"");
    escape.push(matched.route.unwrap_or("-").as_bytes(), bound::NAME, out);
    out.push(b'"');
    let endpoint = upstream.and_then(|answer| answer.endpoint);
    for word in [outcome.reason, upstream.map(|answer| answer.upstream), endpoint] {
        out.push(b' ');
        push_word(word.map(str::as_bytes), bound::NAME, out);
    }
    out.push(b'\n');
}

/// A field that is not quoted: a hyphen if there is nothing, and no blanks in it, so that fields can be told apart.
fn push_word(value: Option<&[u8]>, bound: usize, out: &mut Vec<u8>) {
    let value = value.filter(|value| !value.is_empty()).unwrap_or(b"-");
    let start = out.len();
    Escape::Text.push(value, bound, out);
    if let Some(written) = out.get_mut(start..) {
        written.iter_mut().filter(|byte| **byte == b' ').for_each(|byte| *byte = b'_');
    }
}
