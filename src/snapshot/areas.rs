//! Whose replies a request without a route gets: those of the api under whose hosts and base it falls.

use crate::reply::Templates;
use crate::routing::{Captures, Found, HostPattern, Methods, PathPattern, RouteRule, Router, Target};
use std::sync::Arc;

/// The hosts and bases of apis, where any of them has replies of its own.
#[derive(Default)]
pub struct Areas {
    found: Option<(Router, Box<[Arc<Templates>]>)>,
}

/// The hosts and the base of one api, and its replies.
pub(super) struct Area {
    /// Everything below the base, on the hosts.
    pub rule: RouteRule,
    /// What is replied there.
    pub replies: Arc<Templates>,
}

impl Area {
    /// All below a base; `None` where nothing can stand there.
    pub(super) fn new(hosts: &[HostPattern], base: Option<&PathPattern>, replies: &Arc<Templates>) -> Option<Self> {
        let all = PathPattern::parse("/**").ok()?;
        let path = match base {
            Some(base) => all.below(base).ok()?,
            None => all,
        };
        let rule = RouteRule { hosts: hosts.to_vec(), methods: Methods::Any, path, predicates: Vec::new() };
        Some(Self { rule, replies: Arc::clone(replies) })
    }
}

impl Areas {
    /// Nothing is looked up where no api says anything of its own. Of apis at one place, those that do come first, and of
    /// several that do the first written.
    pub(super) fn new(mut areas: Vec<Area>, outer: &Arc<Templates>) -> Self {
        areas.sort_by_key(|area| Arc::ptr_eq(&area.replies, outer));
        if areas.first().is_none_or(|area| Arc::ptr_eq(&area.replies, outer)) {
            return Self::default();
        }
        let rules = |areas: &[Area]| areas.iter().map(|area| area.rule.clone()).collect();
        let router = Router::build(rules(&areas)).or_else(|conflicts| {
            let mut number = 0..;
            areas.retain(|_| {
                number.next().is_none_or(|number| conflicts.iter().all(|conflict| conflict.loser != number))
            });
            Router::build(rules(&areas))
        });
        let replies = areas.into_iter().map(|area| area.replies).collect();
        Self { found: router.ok().map(|router| (router, replies)) }
    }

    /// The replies of the api around a request; `None` where there is none, or it has no replies of its own.
    pub fn find(&self, target: &Target<'_>) -> Option<&Arc<Templates>> {
        let (router, replies) = self.found.as_ref()?;
        match router.find(target, &mut Captures::new()) {
            Found::Route(number) => replies.get(number),
            Found::NoRoute | Found::MethodNotAllowed(_) | Found::Unread(_) => None,
        }
    }
}
