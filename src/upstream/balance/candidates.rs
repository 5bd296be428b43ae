//! Who may be chosen: the rules every algorithm shares about unavailable and already tried endpoints.

use std::sync::Arc;

use crate::upstream::endpoint::Endpoint;
use crate::upstream::set::Ask;
use crate::upstream::time::Millis;

/// The endpoints of a set, as one attempt sees them.
pub(in crate::upstream) struct Candidates<'a> {
    endpoints: &'a [Arc<Endpoint>],
    ask: &'a Ask<'a>,
    scope: Scope,
    /// Whether fresh endpoints get less than their share.
    warming: Warming,
}

/// What becomes of a choice among endpoints of which too few are available.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::upstream) enum Scope {
    /// With fewer than this share available, all of them are used.
    All(f64),
    /// With fewer than this share available, or all of them tried, nobody is chosen: there are others elsewhere.
    Near(f64),
}

/// Whether fresh endpoints get less than their share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::upstream) enum Warming {
    /// They do.
    Slowly,
    /// They do not: there is no slow start, or keys must keep their place.
    AtOnce,
}

/// Who may be chosen when the first choice may not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rule {
    health: Health,
    history: History,
    warmth: Warmth,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Warmth {
    /// Only endpoints that are warm enough for this request.
    Enough,
    /// All: none is.
    Any,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Health {
    /// Only available endpoints.
    Available,
    /// All: too few are available.
    Any,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum History {
    /// Only endpoints this request did not try.
    Untried,
    /// All: every endpoint that may be chosen was tried.
    Any,
}

/// Whether so few endpoints are available that all are used.
pub(in crate::upstream) fn in_panic(available: usize, count: usize, threshold: f64) -> bool {
    (available as f64) < threshold * count as f64
}

impl<'a> Candidates<'a> {
    pub(in crate::upstream) fn new(
        endpoints: &'a [Arc<Endpoint>],
        ask: &'a Ask<'a>,
        scope: Scope,
        warming: Warming,
    ) -> Self {
        Candidates { endpoints, ask, scope, warming }
    }

    /// What is asked.
    pub(super) fn ask(&self) -> &'a Ask<'a> {
        self.ask
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.endpoints.len()
    }

    /// The moment of the choice.
    pub(super) fn now(&self) -> Millis {
        self.ask.now
    }

    /// The endpoint of that index if nothing speaks against it: the common case.
    pub(super) fn good(&self, index: usize) -> Option<&'a Arc<Endpoint>> {
        let endpoint = self.endpoints.get(index)?;
        (self.is_untried(endpoint) && endpoint.is_available(self.ask.now) && self.is_warm(endpoint)).then_some(endpoint)
    }

    /// Works out, by one look at every endpoint, who may be chosen; `None` when nobody may.
    ///
    /// That a request tried an endpoint is a preference, not a law: with nobody else left it is tried again.
    pub(super) fn rule(&self) -> Option<Rule> {
        let (mut available, mut fresh, mut untried) = (0, 0, 0);
        for endpoint in self.endpoints {
            let is_available = endpoint.is_available(self.ask.now);
            let is_untried = self.is_untried(endpoint) && !endpoint.is_barred(self.ask.now);
            available += usize::from(is_available);
            untried += usize::from(is_untried);
            fresh += usize::from(is_available && is_untried);
        }
        let history = |left: usize| if left > 0 { History::Untried } else { History::Any };
        let rule = |health, history| Rule { health, history, warmth: Warmth::Any };
        let count = self.endpoints.len();
        let rule = match self.scope {
            Scope::Near(threshold) if fresh == 0 || in_panic(available, count, threshold) => return None,
            Scope::All(threshold) if in_panic(available, count, threshold) => rule(Health::Any, history(untried)),
            _ if available == 0 => return None,
            _ => rule(Health::Available, history(fresh)),
        };
        Some(self.warmed(rule))
    }

    /// The rule, for warm endpoints only where there is one.
    fn warmed(&self, rule: Rule) -> Rule {
        let warm = Rule { warmth: Warmth::Enough, ..rule };
        let any = self.warming == Warming::Slowly && self.endpoints.iter().any(|endpoint| self.admits(warm, endpoint));
        if any { warm } else { rule }
    }

    /// The endpoint of that index if the rule admits it.
    pub(super) fn admitted(&self, rule: Rule, index: usize) -> Option<&'a Arc<Endpoint>> {
        self.endpoints.get(index).filter(|endpoint| self.admits(rule, endpoint))
    }

    /// One of those the rule admits, by weight. Looks at every endpoint. The number may have been used for a draw
    /// before.
    pub(super) fn any(&self, rule: Rule, random: u64) -> Option<&'a Arc<Endpoint>> {
        let admitted = || self.endpoints.iter().filter(|endpoint| self.admits(rule, endpoint));
        let total: u64 = admitted().map(|endpoint| u64::from(endpoint.weight())).sum();
        let mut left = scale(mix(random), total);
        admitted().find(|endpoint| {
            let weight = u64::from(endpoint.weight());
            let found = left < weight;
            left = left.saturating_sub(weight);
            found
        })
    }

    fn admits(&self, rule: Rule, endpoint: &Endpoint) -> bool {
        (rule.history == History::Any || self.is_untried(endpoint))
            && match rule.health {
                Health::Any => !endpoint.is_barred(self.ask.now),
                Health::Available => endpoint.is_available(self.ask.now),
            }
            && (rule.warmth == Warmth::Any || self.is_warm(endpoint))
    }

    /// Whether an endpoint is warm enough for this request: of an endpoint's share, a part as large as it is warm.
    fn is_warm(&self, endpoint: &Endpoint) -> bool {
        if self.warming == Warming::AtOnce {
            return true;
        }
        let warmth = endpoint.warmth(self.ask.now);
        warmth >= 1.0 || ((mix(self.ask.random ^ endpoint.bits()) >> 11) as f64) < warmth * (1_u64 << 53) as f64
    }

    fn is_untried(&self, endpoint: &Endpoint) -> bool {
        !self.ask.tried.contains(&endpoint.id())
    }
}

/// Another number for each number, unrelated to the eye: the finaliser of SplitMix64 (G. L. Steele et al., 2014).
pub(in crate::upstream) fn mix(number: u64) -> u64 {
    let number = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

/// Maps 64 random bits onto `0..below` without division; 0 when `below` is 0.
pub(super) fn scale(random: u64, below: u64) -> u64 {
    ((u128::from(random) * u128::from(below)) >> 64) as u64
}
