//! What a route asks of a request, and which of two routes at one place is preferred.

use std::cmp::Ordering;
use std::sync::Arc;

use super::method::{Asked, Fit};
use super::{Holds, HostPattern, Methods, PathPattern, Predicate, Subject, Target, Test};

/// What a route asks of a request. The index of a rule in the list given to [`super::Router::build`] is its number.
#[derive(Debug, Clone)]
pub struct RouteRule {
    /// The hosts it is for; none written means every host.
    pub hosts: Vec<HostPattern>,
    /// The methods it is for.
    pub methods: Methods,
    /// The paths it is for.
    pub path: PathPattern,
    /// What else must hold, all of it.
    pub predicates: Vec<Predicate>,
}

/// A rule as it stands at one place of a host's tree.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) route: usize,
    pub(super) methods: Methods,
    /// Sorted by their text, none twice.
    pub(super) predicates: Arc<[Predicate]>,
    weight: Weight,
}

/// How much the predicates of a rule ask: how many there are, then how many of headers, of query parameters, of cookies
/// and of the body, then how many are exact, a prefix, an expression, a presence. The greater is preferred.
type Weight = [u16; 9];

impl Entry {
    pub(super) fn new(route: usize, methods: Methods, predicates: Vec<Predicate>) -> Self {
        let mut predicates: Vec<(String, Predicate)> =
            predicates.into_iter().map(|predicate| (predicate.to_string(), predicate)).collect();
        predicates.sort_by(|(one, _), (two, _)| one.cmp(two));
        predicates.dedup_by(|(one, _), (two, _)| one == two);
        let predicates: Arc<[Predicate]> = predicates.into_iter().map(|(_, predicate)| predicate).collect();
        let weight = weigh(&predicates);
        Self { route, methods, predicates, weight }
    }

    /// Whether all its predicates hold: the body is asked for only where everything else does.
    pub(super) fn judge(&self, target: &Target<'_>) -> Holds {
        let mut all = Holds::Yes;
        for predicate in &*self.predicates {
            match predicate.judge(target) {
                Holds::Yes => {}
                Holds::No => return Holds::No,
                Holds::Unread => all = Holds::Unread,
            }
        }
        all
    }

    /// The order in which rules at one place are tried, the lesser first: a named method before any, then the greater
    /// weight. What is still equal is either for different requests, or a tie that [`super::Router::build`] refuses;
    /// the text of the predicates gives the former an order that does not depend on the file's.
    pub(super) fn precedence(&self, other: &Self) -> Ordering {
        self.rank(other)
            .then_with(|| self.predicate_text().cmp(&other.predicate_text()))
            .then(self.route.cmp(&other.route))
    }

    /// The part of [`Entry::precedence`] that means something to operators.
    pub(super) fn rank(&self, other: &Self) -> Ordering {
        let takes_any = |entry: &Self| matches!(entry.methods, Methods::Any);
        takes_any(self).cmp(&takes_any(other)).then_with(|| other.weight.cmp(&self.weight))
    }

    /// Whether every request that `other` would take passes the predicates of this one.
    pub(super) fn asks_no_more_than(&self, other: &Self) -> bool {
        self.predicates.iter().all(|asked| other.predicates.iter().any(|given| given.implies(asked)))
    }

    /// Whether neither is preferred though both are meant for some request.
    pub(super) fn ties_with(&self, other: &Self) -> bool {
        let apart = |one: &Predicate| other.predicates.iter().any(|two| one.excludes(two));
        self.rank(other).is_eq() && self.methods.meets(&other.methods) && !self.predicates.iter().any(apart)
    }

    fn predicate_text(&self) -> Vec<String> {
        self.predicates.iter().map(ToString::to_string).collect()
    }
}

fn weigh(predicates: &[Predicate]) -> Weight {
    let mut weight = Weight::default();
    let [total, header, query, cookie, body, exact, prefix, expression, present] = &mut weight;
    for Predicate { subject, test } in predicates {
        *total += 1;
        match subject {
            Subject::Header(_) => *header += 1,
            Subject::Query(_) => *query += 1,
            Subject::Cookie(_) => *cookie += 1,
            Subject::Body(_) => *body += 1,
        }
        match test {
            Test::Exact(_) => *exact += 1,
            Test::Prefix(_) => *prefix += 1,
            Test::Regex(_) => *expression += 1,
            Test::Present => *present += 1,
            Test::Absent => {}
        }
    }
    weight
}

/// The search for the first rule, in order of precedence, that takes a request.
pub(super) struct Search<'r> {
    asked: Asked<'r>,
    target: &'r Target<'r>,
    /// Whether a rule whose path matched did not take the method.
    pub(super) missed_by_method: bool,
    /// Whether the chosen rule takes the request only if its body is what the rule asks for.
    pub(super) unread: bool,
}

impl<'r> Search<'r> {
    pub(super) fn new(target: &'r Target<'r>) -> Self {
        Self { asked: Asked::new(target.method), target, missed_by_method: false, unread: false }
    }

    /// The rule at one place that takes the request. For `HEAD`, one that names it is preferred to one that names
    /// `GET`, and that to one that takes any method.
    pub(super) fn choose<'e>(&mut self, entries: &'e [Entry]) -> Option<&'e Entry> {
        let mut implied = None;
        for entry in entries {
            let Some(fit) = entry.methods.fit(self.asked) else {
                self.missed_by_method = true;
                continue;
            };
            match fit {
                // Those that take any method come last.
                Fit::Any if implied.is_some() => break,
                Fit::Implied if implied.is_some() => continue,
                _ => {}
            }
            match entry.judge(self.target) {
                Holds::No => {}
                Holds::Yes if fit == Fit::Implied => implied = Some(entry),
                Holds::Yes => return Some(entry),
                Holds::Unread => {
                    self.unread = true;
                    return Some(entry);
                }
            }
        }
        implied
    }
}
