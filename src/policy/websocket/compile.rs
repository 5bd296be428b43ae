//! From the written form to hooks and rules.

use super::{Door, ExpiryConfig, FromSideConfig, Room, Token, WebSocketConfig};
use crate::policy::auth::RouteAuthConfig;
use crate::policy::cors::Origins;
use crate::policy::limit::{LimitKey, Scope, Seats};
use crate::policy::{ChainBuilder, Setup, Stage};
use crate::value::{ByteSize, Duration, OrOff, Spanned};
use crate::websocket::{LaneRules, Pace, Ping, Rules};
use std::sync::Arc;

impl WebSocketConfig {
    /// Compiles what is written and adds the policy's hooks to a route; `auth`: what the route asks of callers.
    pub fn attach(
        &self,
        auth: Option<&RouteAuthConfig>,
        scope: Scope<'_>,
        chain: &mut ChainBuilder,
        setup: &mut Setup<'_>,
    ) {
        let span =
            |written: &OrOff<Spanned<Duration>>, setup: &mut Setup<'_>| written.on().map(|span| lasting(span, setup));
        let every = span(&self.ping, setup);
        let pong = lasting(&self.pong, setup);
        let rules = Rules {
            client: self.from_client.compile("from_client", setup),
            upstream: self.from_upstream.compile("from_upstream", setup),
            idle: span(&self.idle, setup),
            ping: every.map(|every| Ping { every, pong }),
            life: span(&self.life, setup),
        };
        let token = match auth {
            Some(auth) if self.protocol_token && auth.forward_credentials => Token::Forwarded,
            Some(_) if self.protocol_token => Token::Taken,
            _ => Token::Ignored,
        };
        let origins = self.origins.as_ref().map(|origins| Origins::new(origins.iter().map(|origin| &origin.value)));
        let text = self.describe_rules(auth.is_some());
        let metrics = setup.metrics.sockets(scope.route);
        let seats = self.seats(scope, chain, setup);
        chain.on_request(Stage::Guard, Arc::new(Door { origins, token, rules: Arc::new(rules), metrics }));
        let expires = self.expiry == ExpiryConfig::Close;
        chain.on_request(Stage::Limit, Arc::new(Room { seats, token, expires, text }));
    }

    fn seats(&self, scope: Scope<'_>, chain: &mut ChainBuilder, setup: &mut Setup<'_>) -> Vec<(Seats, String)> {
        let mut all = Vec::new();
        for written in &self.connections {
            if written.per.iter().any(|key| matches!(key.value, LimitKey::Capture(_))) {
                chain.remember_what_was_asked();
            }
            let seats = Seats::compile("connections", written.most, &written.per, scope, setup);
            all.extend(seats.map(|seats| (seats, written.to_string())));
        }
        all
    }

    fn describe_rules(&self, knows_callers: bool) -> String {
        let mut parts: Vec<String> = self.connections.iter().map(|written| format!("{written} open")).collect();
        parts.extend(self.from_client.describe("clients"));
        parts.extend(self.from_upstream.describe("upstreams"));
        if let OrOff::On(idle) = &self.idle {
            parts.push(format!("idle {}", idle.value));
        }
        if let OrOff::On(ping) = &self.ping {
            parts.push(format!("ping after {} of silence, answered within {}", ping.value, self.pong.value));
        }
        if let OrOff::On(life) = &self.life {
            parts.push(format!("life {}", life.value));
        }
        if knows_callers && self.expiry == ExpiryConfig::Close {
            parts.push("closed when the credentials expire".to_owned());
        }
        format!("websocket connections: {}", if parts.is_empty() { "any".to_owned() } else { parts.join("; ") })
    }
}

/// A span that is one.
fn lasting(written: &Spanned<Duration>, setup: &mut Setup<'_>) -> std::time::Duration {
    if written.value.is_zero() {
        setup.problems.error(written.place, "this is no time at all").hint("write one such as `30s`, or `off`");
    }
    written.value.get()
}

impl FromSideConfig {
    fn compile(&self, name: &str, setup: &mut Setup<'_>) -> LaneRules {
        let size = |size: &Option<Spanned<ByteSize>>| size.map_or(u64::MAX, |size| size.value.get());
        let (frame, message) = (size(&self.frame), size(&self.message));
        for written in [self.frame, self.message].into_iter().flatten().filter(|size| size.value.get() == 0) {
            setup
                .problems
                .error(written.place, format!("nothing could come `{name}`"))
                .hint("write one such as `64KiB`");
        }
        let longest = self.frame.or(self.message);
        if let (Some(longest), Some(bytes)) = (longest, &self.bytes)
            && longest.value > bytes.value.burst()
        {
            let most = bytes.value.burst();
            let message = format!("a frame of {} never passes: at most {most} may come at once", longest.value);
            setup.problems.error(bytes.place, message).hint("raise `burst`, or lower `frame` or `message`");
        }
        LaneRules {
            frame,
            message,
            messages: self.messages.as_ref().map(Pace::from),
            bytes: self.bytes.as_ref().map(|rate| Pace::from(&rate.value)),
        }
    }

    fn describe(&self, side: &str) -> Option<String> {
        let all = [
            self.frame.map(|size| format!("frames to {}", size.value)),
            self.message.map(|size| format!("messages to {}", size.value)),
            self.messages.map(|rate| format!("{rate} messages")),
            self.bytes.map(|rate| rate.value.to_string()),
        ];
        let all: Vec<String> = all.into_iter().flatten().collect();
        (!all.is_empty()).then(|| format!("from {side} {}", all.join(", ")))
    }
}
