//! `batch:`: bounds, and the fields that requests are given.

use super::Compiling;
use super::limits::LimitedRoute;
use crate::config::{BatchConfig, MOST_BATCHED};
use crate::exchange::batch::Batch;
use crate::routing::{Methods, RouteKey};
use crate::value::{ByteSize, Spanned};
use http::header;

impl Compiling<'_> {
    /// The compiled form of a route's `batch`; `None` where there is a problem.
    pub(super) fn batch(&mut self, route: &LimitedRoute<'_>, written: &Spanned<BatchConfig>) -> Option<Batch> {
        let before = self.problems.len();
        let BatchConfig { requests, at_once, max_body, max_answer, max_answers, forward } = &written.value;
        let only_post = RouteKey::parse(route.key).is_ok_and(|key| match key.methods {
            Methods::Any => false,
            Methods::Named(set) => set.iter().eq(["POST"]),
        });
        if !only_post {
            self.problems
                .error(written.place, "a batch is sent with POST, and the route takes other methods too")
                .hint("write `POST /batch` as the key of the route");
        }
        for (name, count, most) in [("requests", requests, MOST_BATCHED), ("at_once", at_once, 64)] {
            if !(1..=most).contains(&count.value) {
                self.problems.error(count.place, format!("`{name}` of a batch is from 1 to {most}"));
            }
        }
        let forward = match forward {
            None => vec![header::ACCEPT_LANGUAGE, header::USER_AGENT],
            Some(names) => names.iter().filter_map(|name| self.field_name(name)).collect(),
        };
        let count = |count: &Spanned<u32>| usize::try_from(count.value).unwrap_or(usize::MAX);
        let bytes = |size: &ByteSize| size.as_usize();
        (self.problems.len() == before).then(|| Batch {
            requests: count(requests),
            at_once: count(at_once),
            max_body: bytes(max_body),
            max_answer: bytes(max_answer),
            max_answers: bytes(max_answers),
            forward,
            metrics: self.surroundings.metrics.traffic(route.key),
        })
    }
}
