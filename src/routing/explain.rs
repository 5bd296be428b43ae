//! Why a request went where it went: the routes that came near, and what each lost on.
//!
//! Every rule is looked at on its own, without the tree, so this is slow and may allocate; that it names the same
//! winner as [`Router::find`] is held by a property test.

use std::cmp::Ordering;

use super::method::{Asked, Fit};
use super::path::{lenient_key, literal_key};
use super::pattern::{PathPattern, Segment, Shape};
use super::rule::{Entry, RouteRule};
use super::{Methods, Predicate, Router, Target};

/// The most candidates that are told.
const MOST: usize = 50;

/// A route that was considered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// The number of the route.
    pub route: usize,
    /// What became of it.
    pub verdict: Verdict,
}

/// What became of a route: it won, or the first thing it lost on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It takes the request.
    Won,
    /// It would take the request too, but `winner` is ahead of it.
    Outranked {
        /// The route that won.
        winner: usize,
        /// What it is ahead in.
        on: Step,
    },
    /// It is for other hosts; path and method would have matched.
    Host,
    /// The path does not match.
    Path {
        /// The segment that differs, counted from 0; `None` for a regular expression over the whole path.
        segment: Option<usize>,
    },
    /// It is for other methods.
    Method(Methods),
    /// This predicate does not hold.
    Predicate(Predicate),
}

/// The steps of precedence, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// The more specific host.
    Host,
    /// The more specific path.
    Path,
    /// The method named rather than any.
    Method,
    /// More predicates, or more specific ones.
    Predicates,
}

/// One rule, compared with a request.
struct Judged<'r> {
    rule: &'r RouteRule,
    entry: Entry,
    /// Of the most specific of its hosts that match, else of its most specific one.
    host_rank: usize,
    fit: Option<Fit>,
    verdict: Verdict,
    /// How near it came; the greater is nearer.
    nearness: (u8, usize),
}

impl Router {
    /// The routes that came nearest to taking a request, at most 50, in order of precedence. Routes of other hosts are
    /// told only where path and method match.
    pub fn explain(&self, target: &Target<'_>) -> Vec<Candidate> {
        let mut judged: Vec<Judged<'_>> =
            self.rules.iter().enumerate().filter_map(|(route, rule)| judge(route, rule, target)).collect();
        let in_order = |one: &Judged<'_>, two: &Judged<'_>| ahead(one, two).map_or(Ordering::Equal, |(_, order)| order);
        judged.sort_by(in_order);
        // Stable: of equally near ones those ahead are kept, so the winner is.
        judged.sort_by_key(|judged| std::cmp::Reverse(judged.nearness));
        judged.truncate(MOST);
        judged.sort_by(in_order);
        let winner = judged.iter().position(|judged| judged.verdict == Verdict::Won);
        let verdict = |at: usize, one: &Judged<'_>| match winner.and_then(|winner| Some((winner, judged.get(winner)?)))
        {
            Some((position, winner)) if position != at && one.verdict == Verdict::Won => {
                let on = ahead(winner, one).map_or(Step::Predicates, |(step, _)| step);
                Verdict::Outranked { winner: winner.entry.route, on }
            }
            _ => one.verdict.clone(),
        };
        judged
            .iter()
            .enumerate()
            .map(|(at, one)| Candidate { route: one.entry.route, verdict: verdict(at, one) })
            .collect()
    }
}

/// Compares a rule with a request; `None` when it is too far from it to be told.
fn judge<'r>(route: usize, rule: &'r RouteRule, target: &Target<'_>) -> Option<Judged<'r>> {
    let entry = Entry::new(route, rule.methods.clone(), rule.predicates.clone());
    let host = rule.hosts.iter().filter(|host| host.matches(target.host)).map(|host| host.rank()).max();
    let on_host = host.is_some() || rule.hosts.is_empty();
    let host_rank = host.or_else(|| rule.hosts.iter().map(|host| host.rank()).max()).unwrap_or(0);
    let fit = rule.methods.fit(Asked::new(target.method));
    let failing = || rule.predicates.iter().find(|predicate| !predicate.holds(target));
    let (verdict, nearness) = match mismatch(&rule.path, target.path) {
        Some(_) if !on_host => return None,
        Some(segment) => (Verdict::Path { segment }, (0, segment.unwrap_or(0))),
        None if !on_host && fit.is_none() => return None,
        None if !on_host => (Verdict::Host, (1, 0)),
        None if fit.is_none() => (Verdict::Method(rule.methods.clone()), (2, 0)),
        None => match failing() {
            Some(predicate) => (Verdict::Predicate(predicate.clone()), (3, 0)),
            None => (Verdict::Won, (4, 0)),
        },
    };
    Some(Judged { rule, entry, host_rank, fit, verdict, nearness })
}

/// The first step in which two rules differ, and the order it puts them in.
fn ahead(one: &Judged<'_>, two: &Judged<'_>) -> Option<(Step, Ordering)> {
    let takes_no = |judged: &Judged<'_>| (judged.fit.is_none(), judged.fit);
    let steps = [
        (Step::Host, two.host_rank.cmp(&one.host_rank)),
        (Step::Path, one.rule.path.precedence(&two.rule.path)),
        (Step::Method, takes_no(one).cmp(&takes_no(two))),
        (Step::Predicates, one.entry.precedence(&two.entry)),
    ];
    steps.into_iter().find(|(_, order)| order.is_ne())
}

/// Where a path differs from a pattern: `None` when it matches, `Some(None)` when an expression does not.
fn mismatch(pattern: &PathPattern, path: &str) -> Option<Option<usize>> {
    let (segments, rest) = match &pattern.shape {
        Shape::Segments { segments, rest } => (segments, *rest),
        Shape::Expression(expression) if path.starts_with('/') && expression.matches(path.as_bytes()) => return None,
        Shape::Expression(_) => return Some(None),
    };
    if !path.starts_with('/') {
        return Some(Some(0));
    }
    let mut given = path.split('/').skip(1);
    for (at, segment) in segments.iter().enumerate() {
        if !given.next().is_some_and(|given| segment_matches(segment, given)) {
            return Some(Some(at));
        }
    }
    if rest || given.next().is_none() { None } else { Some(Some(segments.len())) }
}

fn segment_matches(segment: &Segment, given: &str) -> bool {
    match segment {
        Segment::Literal(key) => {
            let given = literal_key(given);
            *given == **key || lenient_key(&given).is_some_and(|given| *given == **key)
        }
        _ if given.is_empty() => false,
        Segment::Constrained(expression) => expression.matches(given.as_bytes()),
        Segment::Capture | Segment::Star => true,
    }
}

#[cfg(test)]
mod tests;
