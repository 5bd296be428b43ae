//! What becomes of a route's requests beside the usual: which of several upstreams they stay at.

use super::Compiling;
use crate::config::{Policies, RouteConfig, StickyConfig, TargetConfig, TargetEntry};
use crate::snapshot::Sticky;
use crate::value::OrOff;

impl Compiling<'_> {
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
        Some(match &sticky.value {
            StickyConfig::Consumer => {
                if !matches!(policies.auth, Some(OrOff::On(_))) {
                    self.problems
                        .error(sticky.place, "nobody is known here to be kept by: the route has no `auth`")
                        .hint("write `auth:`, or keep requests by `client`, `cookie` or `header X-Name`");
                }
                Sticky::Consumer
            }
            StickyConfig::Client => Sticky::Client,
            StickyConfig::Header(name) => Sticky::Header(name.clone()),
            StickyConfig::Cookie { name, lasts } => Sticky::Cookie { name: name.as_str().into(), lasts: *lasts },
        })
    }
}
