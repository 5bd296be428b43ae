//! The moments of a request at which the limits of a route decide.

use super::group::Group;
use super::in_flight::Level;
use super::shared::SharedLimits;
use crate::observe::metrics::LimitDecision;
use crate::policy::{Decision, OnRefusal, OnRequest, OnResponse};
use crate::reply::{Reason, Reply};
use crate::request::{Held, Holder, Maker, RequestCx, RequestView, ResponseView};
use std::sync::Arc;

/// The limits of one stage of a route.
pub(super) struct Limits {
    pub group: Group,
    /// The place of the first one's counters in the route's chain.
    pub counters: u16,
}

impl OnRequest for Limits {
    fn on_request(&self, cx: &mut RequestCx, request: &mut RequestView<'_>) -> Decision {
        self.group.ask(self.counters, cx, request)
    }

    fn describe(&self) -> String {
        format!("limit {}", self.group.describe())
    }
}

impl OnRefusal for Limits {
    fn on_refusal(&self, cx: &mut RequestCx) {
        self.group.give_back(cx);
    }
}

impl OnResponse for Limits {
    fn on_response(&self, cx: &mut RequestCx, response: &mut ResponseView<'_>) {
        // For an answer of the gateway's own nobody has worked.
        if response.maker == Maker::Upstream {
            self.group.charge(cx, response.headers);
        }
    }
}

/// The shared limits of one stage of a route.
pub(super) struct SharedHook {
    pub limits: SharedLimits,
    /// The place of the first one's counters in the route's chain.
    pub counters: u16,
}

impl OnRequest for SharedHook {
    fn on_request(&self, cx: &mut RequestCx, request: &mut RequestView<'_>) -> Decision {
        self.limits.decide(self.counters, cx, request)
    }

    fn describe(&self) -> String {
        format!("limit {}", self.limits.describe())
    }
}

impl OnResponse for SharedHook {
    fn on_response(&self, cx: &mut RequestCx, response: &mut ResponseView<'_>) {
        // For an answer of the gateway's own nobody has worked.
        if response.maker == Maker::Upstream {
            self.limits.charge(cx, response.headers);
        }
    }
}

impl OnRefusal for SharedHook {
    fn on_refusal(&self, cx: &mut RequestCx) {
        self.limits.give_back(cx);
    }
}

/// A bound on the requests under way through a level.
pub(super) struct Bound {
    pub level: Arc<Level>,
    pub most: u32,
    /// Where it is written: a route, an api, or `defaults`.
    pub written: String,
    /// The place of its counters in the route's chain.
    pub counters: u16,
}

impl OnRequest for Bound {
    fn on_request(&self, cx: &mut RequestCx, _request: &mut RequestView<'_>) -> Decision {
        let passes = match cx.notes.is_some() {
            true => self.level.count() < self.most,
            false => self.level.take(self.most),
        };
        cx.note(|| format!("{} under way", self.level.count()));
        let ledger = &mut cx.changes.ledger;
        if passes {
            ledger.decided.push((self.counters, LimitDecision::Passed));
            if cx.notes.is_none() {
                let holder: Arc<dyn Holder> = Arc::clone(&self.level) as _;
                ledger.held.push(Held::new(holder, (0, 0)));
            }
            return Decision::Continue;
        }
        ledger.decided.push((self.counters, LimitDecision::Refused));
        Decision::reply(Reply::new(Reason::RouteBusy).retry_after(1))
    }

    fn describe(&self) -> String {
        format!("max_in_flight {} ({})", self.most, self.written)
    }
}
