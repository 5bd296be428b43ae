//! `message:`, a face of plain HTTP for a service that speaks WebSocket.

use super::Compiling;
use super::limits::LimitedRoute;
use super::retries::retries;
use super::routes::Road;
use crate::config::{MessageConfig, Policies};
use crate::exchange::message::{Correlation, MessagePlan, Talk};
use crate::upstream::Protocol;
use crate::value::Spanned;
use crate::value::json::Pointer;
use http::HeaderValue;
use http::uri::PathAndQuery;

/// Connections beyond that would be a mistake.
const MOST_CONNECTIONS: u32 = 100_000;

impl Compiling<'_> {
    /// The compiled form of a route's `message`; `None` where there is a problem.
    pub(super) fn message(
        &mut self,
        road: &mut Road<'_>,
        (name, written): (&str, &Spanned<MessageConfig>),
        route: &LimitedRoute<'_>,
        policies: Policies<'_>,
    ) -> Option<Talk> {
        let before = self.problems.len();
        let MessageConfig { reply, path, protocol, most, connections, idle, wait } = &written.value;
        let Some(to) = &route.written.to else {
            self.problems
                .error(written.place, "`message` talks to an upstream, and there is none here")
                .hint("write `to: ws://10.0.0.1:9000` beside it");
            return None;
        };
        let target = self.target(road, name, to, None);
        let reply = match reply.value.as_str() {
            "next" => Correlation::Next,
            pointer if pointer.starts_with('/') && Pointer::parse(pointer).is_ok() => Correlation::Same(pointer.into()),
            other => {
                self.problems
                    .error(reply.place, format!("`{other}` says not which message is the reply"))
                    .hint("write `next`, or a JSON pointer such as `/id`");
                return None;
            }
        };
        let path = self.handshake_path(path.as_ref());
        let protocol = protocol.as_ref().and_then(|protocol| {
            let token = !protocol.value.is_empty()
                && protocol.value.bytes().all(|byte| byte.is_ascii_graphic() && byte != b',');
            if !token {
                self.problems.error(protocol.place, format!("`{}` is no subprotocol", protocol.value));
            }
            HeaderValue::from_str(&protocol.value).ok().filter(|_| token)
        });
        if !(1..=MOST_CONNECTIONS).contains(&connections.value) {
            self.problems.error(connections.place, format!("`connections` are from 1 to {MOST_CONNECTIONS}"));
        }
        if !(1..=1 << 30).contains(&most.value.get()) {
            self.problems.error(most.place, "`most` is from 1B to 1GiB");
        }
        let target = target?;
        let [choice] = target.choices() else {
            self.problems
                .error(to.place, "`message` talks to one upstream")
                .hint("give one upstream several endpoints");
            return None;
        };
        let endpoints = &choice.to.upstream.spec().endpoints;
        if endpoints.iter().any(|endpoint| endpoint.protocol != Protocol::Http1) {
            self.problems
                .error(to.place, "WebSocket is spoken over HTTP/1.1, and this upstream is asked with HTTP/2")
                .hint("write `ws://` or `wss://`");
        }
        if self.problems.len() > before {
            return None;
        }
        Some(Talk::new(MessagePlan {
            to: choice.to.clone(),
            retries: self.pooled_retries(retries(policies.retries)),
            reply,
            path,
            protocol,
            most: most.value.as_usize(),
            connections: (usize::try_from(connections.value).unwrap_or(usize::MAX), idle.get()),
            wait: wait.get(),
        }))
    }

    /// A path of one's own that is asked for.
    pub(super) fn handshake_path(&mut self, written: Option<&Spanned<String>>) -> Option<PathAndQuery> {
        let path = written?;
        let parsed = path.value.parse().ok().filter(|_| path.value.starts_with('/'));
        if parsed.is_none() {
            self.problems.error(path.place, format!("`{}` is no path", path.value)).hint("write one such as `/rpc`");
        }
        parsed
    }
}
