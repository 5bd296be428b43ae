//! `socket:`, a face of WebSocket for a service that speaks plain HTTP.

use super::Compiling;
use super::limits::LimitedRoute;
use super::retries::retries;
use super::routes::{Road, TIMEOUT, on_or};
use crate::config::{EachConfig, Policies, SocketConfig};
use crate::exchange::socket::{Each, Face, SocketPlan};
use crate::value::Spanned;
use http::{HeaderValue, Method};

impl Compiling<'_> {
    /// The compiled form of a route's `socket`; `None` where there is a problem.
    pub(super) fn socket(
        &mut self,
        road: &mut Road<'_>,
        (name, written): (&str, &Spanned<SocketConfig>),
        route: &LimitedRoute<'_>,
        policies: Policies<'_>,
    ) -> Option<Face> {
        let before = self.problems.len();
        let SocketConfig { each, method, path, content_type, most } = &written.value;
        let Some(to) = &route.written.to else {
            self.problems
                .error(written.place, "`socket` asks an upstream, and there is none here")
                .hint("write `to: http://10.0.0.1:8080` beside it");
            return None;
        };
        let target = self.target(road, name, to, None);
        let path = self.handshake_path(path.as_ref());
        let usual = ["POST", "PUT", "PATCH", "QUERY"].contains(&method.value.as_str());
        if !usual {
            self.problems
                .error(method.place, format!("`{}` carries no message", method.value))
                .hint("write POST, PUT, PATCH or QUERY");
        }
        let parsed = HeaderValue::from_str(&content_type.value).ok().filter(|_| content_type.value.contains('/'));
        if parsed.is_none() {
            self.problems.error(content_type.place, format!("`{}` is no media type", content_type.value));
        }
        if !(1..=1 << 30).contains(&most.value.get()) {
            self.problems.error(most.place, "`most` is from 1B to 1GiB");
        }
        let target = target?;
        let [choice] = target.choices() else {
            self.problems.error(to.place, "`socket` asks one upstream").hint("give one upstream several endpoints");
            return None;
        };
        if self.problems.len() > before {
            return None;
        }
        Some(Face::new(SocketPlan {
            to: choice.to.clone(),
            retries: self.pooled_retries(retries(policies.retries)),
            each: match each {
                EachConfig::Request => Each::Request,
                EachConfig::Events => Each::Events,
            },
            method: Method::from_bytes(method.value.as_bytes()).ok()?,
            path,
            content_type: parsed?,
            most: most.value.as_usize(),
            timeout: on_or(policies.timeout, TIMEOUT, |timeout| timeout.get()),
        }))
    }
}
