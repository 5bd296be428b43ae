//! What becomes of a route's requests beside the usual: which of several upstreams they stay at, who gets copies,
//! what stands in for an upstream.

use super::Compiling;
use super::limits::LimitedRoute;
use super::routes::Road;
use crate::config::{
    CalledConfig, Compared, EventsConfig, FallbackConfig, HedgeAfter, MirrorConfig, Policies, RouteConfig,
    TargetConfig, TargetEntry,
};
use crate::exchange::call::Callee;
use crate::exchange::events::Events;
use crate::exchange::hedge::{After, Hedge};
use crate::exchange::mirror::{Compare, Mirror};
use crate::observe::metrics::TrafficMetrics;
use crate::policy::answer::Answers;
use crate::snapshot::{Action, Fallback, Traffic};
use crate::value::json::Pointer;
use crate::value::{OrOff, Outage, Spanned, Sticky};
use crate::websocket::Pace;
use http::HeaderName;
use parking_lot::Mutex;
use std::sync::Arc;

impl Compiling<'_> {
    /// What a route does beside passing requests on; `None` where it does nothing, or passes none on.
    pub(super) fn traffic(
        &mut self,
        road: &mut Road<'_>,
        policies: Policies<'_>,
        (route, action): (&LimitedRoute<'_>, &Action),
    ) -> Option<Box<Traffic>> {
        let Action::Forward(_) = action else { return None };
        let mirror = policies.mirror.and_then(OrOff::on);
        let fallback = policies.fallback.and_then(OrOff::on);
        let hedge = policies.hedge.and_then(OrOff::on);
        let events = policies.events.and_then(OrOff::on);
        if mirror.is_none() && fallback.is_none() && hedge.is_none() && events.is_none() {
            return None;
        }
        let metrics = self.surroundings.metrics.traffic(route.key);
        let mirror = mirror.and_then(|mirror| self.mirror(road, mirror, (route.key, &metrics)));
        let cached = matches!(policies.cache, Some(OrOff::On(_)));
        let fallback = fallback.and_then(|fallback| self.fallback(road, fallback, (route, cached)));
        let hedge = hedge.map(|hedge| {
            if cached {
                self.problems
                    .error(
                        hedge.after.place,
                        format!("answers of a route that hedges are not kept: `{}` has a `cache`", route.key),
                    )
                    .hint("write `cache: off` or `hedge: off` on the route");
            }
            let after = match hedge.after.value {
                HedgeAfter::Time(time) => After::Time(time.get()),
                HedgeAfter::Percentile(percent) => After::Percentile(percent),
            };
            Arc::new(Hedge { after, metrics: Arc::clone(&metrics) })
        });
        let events = events.map(|events| Arc::new(self.events(events, (route, cached))));
        Some(Box::new(Traffic { mirror: mirror.map(Arc::new), hedge, events, fallback, metrics }))
    }

    fn events(&mut self, written: &Spanned<EventsConfig>, (route, cached): (&LimitedRoute<'_>, bool)) -> Events {
        let EventsConfig { heartbeat, retry, events, bytes, life } = &written.value;
        if cached {
            self.problems
                .error(written.place, format!("streams of events are not kept: `{}` has a `cache`", route.key))
                .hint("write `cache: off` or `events: off` on the route");
        }
        for span in [heartbeat, life].into_iter().filter_map(OrOff::on).filter(|span| span.value.is_zero()) {
            self.problems.error(span.place, "this is no time at all").hint("write one such as `15s`, or `off`");
        }
        let parts = [
            heartbeat.on().map(|span| format!("a comment after {} of silence", span.value)),
            retry.map(|retry| format!("retry {retry}")),
            events.map(|rate| format!("{rate}")),
            bytes.map(|rate| format!("{rate}")),
            life.on().map(|span| format!("life {}", span.value)),
        ];
        let parts: Vec<String> = parts.into_iter().flatten().collect();
        let text = if parts.is_empty() { "followed".to_owned() } else { parts.join(", ") };
        Events {
            heartbeat: heartbeat.on().map(|span| span.value.get()),
            retry: retry.map(|retry| retry.get()),
            events: events.as_ref().map(Pace::from),
            bytes: bytes.as_ref().map(Pace::from),
            life: life.on().map(|span| span.value.get()),
            text: format!("events: {text}"),
            metrics: self.surroundings.metrics.streams(route.key),
        }
    }

    fn fallback(
        &mut self,
        road: &mut Road<'_>,
        written: &Spanned<FallbackConfig>,
        (route, cached): (&LimitedRoute<'_>, bool),
    ) -> Option<Fallback> {
        let FallbackConfig { on, stale, to, respond } = &written.value;
        if stale.is_none() && to.is_none() && respond.is_none() && !self.loaded.problems.is_fatal() {
            self.problems
                .error(written.place, "`fallback` says nothing of what stands in for the upstream")
                .hint("write `to: another-upstream`, `respond: { status: 503, body: … }`, or `stale: 1h`");
        }
        let on: Vec<Outage> = match on {
            None => Outage::USUAL.into(),
            Some(on) => on.iter().map(|outage| outage.value).collect(),
        };
        if let Some(stale) = stale.filter(|_| !cached && route.written.fallback.is_some()) {
            self.problems
                .error(stale.place, "nothing is kept here that could be given: the route has no `cache`")
                .hint("write `cache: 30s` beside it, or leave `stale` out");
        }
        if let (Some(to), true) = (to, respond.is_none() && stale.is_none() && on == [Outage::Deadline]) {
            self.problems
                .error(to.place, "once the deadline has passed there is no time to ask another upstream")
                .hint("write `respond:`, or leave `deadline` out of `on`");
        }
        let to = to.as_ref().and_then(|to| self.called_upstream(road, to));
        let answer = respond.as_ref().map(|respond| {
            if !(200..=599).contains(&respond.status.value) {
                self.problems.error(respond.status.place, "a status is from 200 to 599");
            }
            let scope = self.scope(route);
            Box::new(Answers::respond(respond, &scope, &mut self.setup()))
        });
        Some(Fallback { on: on.into(), stale: stale.is_some() && cached, to, answer })
    }

    fn mirror(
        &mut self,
        road: &mut Road<'_>,
        written: &MirrorConfig,
        (key, metrics): (&str, &Arc<TrafficMetrics>),
    ) -> Option<Mirror> {
        let to = self.called_upstream(road, &written.to)?;
        let compared: Vec<Compared> = written.compare.iter().flat_map(|parts| parts.0.iter().copied()).collect();
        if let Some(ignored) = written.ignore.first().filter(|_| compared.is_empty()) {
            self.problems
                .error(ignored.place, "nothing is compared, so that nothing can be left out")
                .hint("write `compare: [status, headers, json]` beside it");
        }
        let (mut ignored_fields, mut ignored_places) = (Vec::new(), Vec::new());
        for ignored in &written.ignore {
            if ignored.value.starts_with('/') {
                ignored_places.extend(self.place_in_json(ignored));
            } else if let Ok(name) = HeaderName::from_bytes(ignored.value.as_bytes()) {
                ignored_fields.push(name);
            } else {
                self.problems
                    .error(ignored.place, format!("`{}` is neither a header nor a place in JSON", ignored.value))
                    .hint("write `X-Version`, or a pointer such as `/items/*/id`");
            }
        }
        Some(Mirror {
            route: key.into(),
            to,
            share: written.share,
            compare: Compare {
                status: compared.contains(&Compared::Status),
                headers: compared.contains(&Compared::Headers),
                json: compared.contains(&Compared::Json),
                ignored_fields: ignored_fields.into(),
                ignored_places: ignored_places.into(),
            },
            max_body: usize::try_from(written.max_body.get()).unwrap_or(usize::MAX),
            max_in_flight: written.max_in_flight.value,
            timeout: written.timeout.get(),
            metrics: Arc::clone(metrics),
            logged: Mutex::new(None),
        })
    }

    fn place_in_json(&mut self, written: &Spanned<String>) -> Option<Pointer> {
        let pointer = Pointer::parse(&written.value);
        if let Err(why) = pointer {
            self.problems.error(written.place, why).hint("write `/data/items`");
        }
        pointer.ok()
    }

    /// An upstream by its name, or by the URL of its one endpoint; and which of its endpoints.
    pub(super) fn called_upstream(&mut self, road: &mut Road<'_>, written: &Spanned<CalledConfig>) -> Option<Callee> {
        let CalledConfig { upstream, subset } = &written.value;
        let upstream = self.called(road, &upstream.value, upstream.place)?;
        let metrics = road.handles.upstream(upstream.name());
        let subset = match subset {
            Some(labels) => Some(self.subset(&upstream, labels)?),
            None => None,
        };
        Some(Callee { upstream, subset, metrics })
    }

    /// What keeps a request at one of the route's upstreams.
    pub(super) fn sticky(&mut self, written: &RouteConfig, policies: Policies<'_>) -> Option<Sticky> {
        let sticky = written.sticky.as_ref()?;
        let to = written.to.as_ref().map(|to| &to.value);
        let several = matches!(to, Some(TargetConfig::List(entries))
            if entries.len() > 1 && entries.iter().all(|entry| matches!(entry.value, TargetEntry::Upstream(_))));
        if !several && !self.loaded.problems.is_fatal() {
            self.problems
                .error(
                    sticky.place,
                    "`sticky` keeps requests at one of several upstreams, and `to` names no list of them",
                )
                .hint("write `to: [{ upstream: v1, weight: 95 }, { upstream: v2, weight: 5 }]`, or leave `sticky` out");
        }
        if sticky.value == Sticky::Consumer && !matches!(policies.auth, Some(OrOff::On(_))) {
            self.problems
                .error(sticky.place, "nobody is known here to be kept by: the route has no `auth`")
                .hint("write `auth:`, or keep requests by `client`, `cookie` or `header X-Name`");
        }
        Some(sticky.value.clone())
    }
}
