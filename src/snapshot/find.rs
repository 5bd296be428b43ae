//! Which route takes a request: the router's word, save for the preflights of browsers.

use super::Snapshot;
use crate::policy::cors::{Preflight, Preflights};
use crate::reply::{Reason, Reply};
use crate::routing::{Captures, Found, OPTIONS, Target};

impl Snapshot {
    /// Finds the route that takes a request.
    ///
    /// A preflight is for the route of the method it asks about, where that route has `cors`: the answer is that route's
    /// to give. A route that is written for OPTIONS by name comes first.
    ///
    /// # Errors
    /// The refusal of a preflight that asks about a route without `cors`, where another that has it takes OPTIONS and
    /// would otherwise answer for it.
    pub fn find(&self, target: &Target<'_>, captures: &mut Captures) -> Result<Found, Reply> {
        let asked = if target.method == OPTIONS { Preflight::of(target.method, target.headers) } else { None };
        let asked = asked.and_then(|preflight| std::str::from_utf8(preflight.method).ok());
        let Some(method) = asked else { return Ok(self.router.find(target, captures)) };
        let found = self.router.find(target, captures);
        if self.is_written_for_options(&found) {
            return Ok(found);
        }
        let meant = self.router.find(&Target { method, ..*target }, captures);
        match (self.answers_preflights(&meant), self.answers_preflights(&found)) {
            (true, _) => Ok(meant),
            (false, false) => Ok(self.router.find(target, captures)),
            (false, true) => Err(Reason::CorsDenied.into()),
        }
    }

    fn is_written_for_options(&self, found: &Found) -> bool {
        let Found::Route(number) = found else { return false };
        self.router.rules().get(*number).is_some_and(|rule| rule.methods.names(OPTIONS))
    }

    fn answers_preflights(&self, found: &Found) -> bool {
        let Found::Route(number) = found else { return false };
        self.routes.get(*number).is_some_and(|route| route.preflights == Preflights::Answered)
    }
}
