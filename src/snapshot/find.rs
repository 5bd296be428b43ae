//! Which route takes a request: the router's word, save for the preflights of browsers.

use super::Snapshot;
use crate::policy::cors::{Preflight, Preflights};
use crate::reply::{Reason, Reply};
use crate::routing::{Captures, Found, OPTIONS, Reading, Target};

/// What a preflight is told whose route is not the one that would answer it.
const NOT_FOR_OTHERS: &str = "The route that answers this method is not for pages of other origins.";

impl Snapshot {
    /// Finds the route that takes a request.
    ///
    /// # Errors
    /// As [`Self::sought`].
    pub fn find(&self, target: &Target<'_>, captures: &mut Captures) -> Result<Found, Reply> {
        Ok(self.router.find(&self.sought(target)?, captures))
    }

    /// What a route is looked up for: the request as it is, or with the method that a preflight asks about, where the
    /// route of that method has `cors`, so that the answer is that route's to give. A route that is written for OPTIONS by
    /// name comes first.
    ///
    /// # Errors
    /// The refusal of a preflight that asks about a route without `cors`, where another that has it takes OPTIONS and
    /// would otherwise answer for it.
    pub fn sought<'t>(&self, target: &Target<'t>) -> Result<Target<'t>, Reply> {
        if target.method != OPTIONS {
            return Ok(*target);
        }
        let asked = Preflight::of(target.method, target.headers);
        let asked = asked.and_then(|preflight| std::str::from_utf8(preflight.method).ok());
        let Some(method) = asked else { return Ok(*target) };
        let find = |target: &Target<'_>| self.router.find(target, &mut Captures::new());
        let found = find(target);
        if self.is_written_for_options(&found) {
            return Ok(*target);
        }
        // What is asked about has a body, if only the question has none.
        let meant = Target { method, body: Reading::Unread, ..*target };
        match (self.answers_preflights(&find(&meant)), self.answers_preflights(&found)) {
            (true, _) => Ok(meant),
            (false, false) => Ok(*target),
            (false, true) => Err(Reply::new(Reason::CorsDenied).detail(NOT_FOR_OTHERS)),
        }
    }

    fn is_written_for_options(&self, found: &Found) -> bool {
        let (Found::Route(number) | Found::Unread(number)) = found else { return false };
        self.router.rules().get(*number).is_some_and(|rule| rule.methods.names(OPTIONS))
    }

    fn answers_preflights(&self, found: &Found) -> bool {
        let (Found::Route(number) | Found::Unread(number)) = found else { return false };
        self.routes.get(*number).is_some_and(|route| route.preflights == Preflights::Answered)
    }
}
