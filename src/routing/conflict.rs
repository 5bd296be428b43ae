//! Routes that would never win, or of which neither would.
//!
//! What is found is decided from the rules alone and is exact in what it reports: of each pair, every request that the
//! loser takes is taken by the winner first (shadowed), or some request is taken by both equally well (a tie). What two
//! different regular expressions have in common is not looked into, nor what several routes cover only together.
//!
//! A route can be shadowed by one at the same place (that asks for more predicates, which the loser's imply), by one
//! with a capture where it has `*` (both match the same segments, and the capture ranks higher), and a regular
//! expression also by `/**` on its host. A more specific host shadows nothing, since it matches fewer requests.
//!
//! Rules of equal weight at one place are compared each with each; all else costs about a look-up per rule.

use std::collections::BTreeSet;

use super::pattern::{Segment, Shape};
use super::router::{HostTable, Router};
use super::rule::{Entry, RouteRule};
use super::tree::{NodeId, Tree};

/// Two routes that cannot stand side by side.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Conflict {
    /// The route to complain about: the one that never wins, or of a tie the later one.
    pub loser: usize,
    /// The route it meets.
    pub winner: usize,
    /// How they meet.
    pub kind: ConflictKind,
}

/// How two routes meet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ConflictKind {
    /// Some request is taken by both, and nothing ranks one of them higher.
    Tie,
    /// The winner takes every request before the loser can.
    Shadowed,
}

/// All conflicts, in order of the losers, each loser named once for a tie and once for being shadowed.
pub(super) fn find(router: &Router) -> Vec<Conflict> {
    let mut conflicts: Vec<Conflict> = ties(router).into_iter().collect();
    let shadowed = router.rules.iter().enumerate().filter_map(|(loser, rule)| {
        let winner = shadow(router, loser, rule)?;
        Some(Conflict { loser, winner, kind: ConflictKind::Shadowed })
    });
    conflicts.extend(shadowed);
    conflicts.sort();
    conflicts
}

fn ties(router: &Router) -> BTreeSet<Conflict> {
    let mut ties = BTreeSet::new();
    for table in router.all_tables() {
        let places = table.tree.nodes().flat_map(|node| [&node.here, &node.rest]);
        for entries in places.chain(table.regexes.groups().iter().map(|group| &group.entries)) {
            for (at, entry) in entries.iter().enumerate() {
                // Sorted, so equals are neighbours.
                let before = entries.iter().take(at).rev().take_while(|other| other.rank(entry).is_eq());
                if let Some(other) = before.into_iter().find(|other| other.ties_with(entry)) {
                    let (winner, loser) = (entry.route.min(other.route), entry.route.max(other.route));
                    ties.insert(Conflict { loser, winner, kind: ConflictKind::Tie });
                }
            }
        }
    }
    ties
}

/// The route that shadows a rule: on all of its hosts, so that it can win on none.
fn shadow(router: &Router, route: usize, rule: &RouteRule) -> Option<usize> {
    let hosts = rule.hosts.iter().map(Some).chain(rule.hosts.is_empty().then_some(None));
    let mut winner = None;
    for host in hosts {
        let found = shadow_on(router.table_of(host)?, route, &rule.path.shape)?;
        winner = winner.or(Some(found));
    }
    winner
}

fn shadow_on(table: &HostTable, route: usize, shape: &Shape) -> Option<usize> {
    match shape {
        Shape::Segments { segments, rest } => {
            let own = own_entry(&table.tree, segments, *rest, route)?;
            Cover { tree: &table.tree, loser: own, rest: *rest }.descend(Tree::ROOT, segments)?.ok()
        }
        Shape::Expression(expression) => {
            let group = table.regexes.groups().iter().find(|group| group.expression == *expression)?;
            let own = group.entries.iter().find(|entry| entry.route == route)?;
            let everything = table.tree.node(Tree::ROOT).map(|root| root.rest.as_slice()).unwrap_or_default();
            let above = everything.iter().find(|entry| covers_from_afar(entry, own));
            above.or_else(|| covering_beside(&group.entries, own)).map(|entry| entry.route)
        }
    }
}

fn own_entry<'t>(tree: &'t Tree, segments: &[Segment], rest: bool, route: usize) -> Option<&'t Entry> {
    let root = tree.node(Tree::ROOT)?;
    let node = segments.iter().try_fold(root, |node, segment| tree.node(node.child(segment)?))?;
    if rest { &node.rest } else { &node.here }.iter().find(|entry| entry.route == route)
}

/// Whether a rule whose path ranks higher, and covers the loser's, takes all that the loser would.
fn covers_from_afar(entry: &Entry, loser: &Entry) -> bool {
    entry.methods.covers(&loser.methods) && entry.asks_no_more_than(loser)
}

/// The rule at the same place that is tried before the loser and takes all that it would.
fn covering_beside<'t>(entries: &'t [Entry], loser: &Entry) -> Option<&'t Entry> {
    entries.iter().take_while(|entry| entry.rank(loser).is_lt()).find(|entry| {
        // A method that the loser names is its own before one that merely follows from `GET`.
        entry.methods.covers_by_name(&loser.methods) && entry.asks_no_more_than(loser)
    })
}

/// A look-up, in order of precedence, of the patterns that match all paths the loser's pattern matches. Its cost is
/// bounded as that of a look-up of a path, see [`super::tree`].
struct Cover<'t> {
    tree: &'t Tree,
    loser: &'t Entry,
    /// Whether the loser's pattern ends with `**`.
    rest: bool,
}

impl Cover<'_> {
    /// `Some(Ok(winner))` when the loser is shadowed, `Some(Err(()))` when the loser itself was reached.
    fn descend(&self, id: NodeId, segments: &[Segment]) -> Option<Result<usize, ()>> {
        let node = self.tree.node(id)?;
        let Some((segment, tail)) = segments.split_first() else {
            return match self.rest {
                true => self.offer(&node.rest),
                false => self.offer(&node.here).or_else(|| self.offer(&node.rest)),
            };
        };
        let literal = match segment {
            Segment::Literal(_) => node.child(segment),
            _ => None,
        };
        let constrained = node.constrained.iter().filter(|(expression, _)| match segment {
            // A key is not always spelled as a request would be; where it is not, nothing is claimed.
            Segment::Literal(key) => !key.is_empty() && is_own_key(key) && expression.matches(key.as_bytes()),
            Segment::Constrained(own) => own == expression,
            Segment::Capture | Segment::Star => false,
        });
        let variable = [node.capture, node.star].into_iter().flatten().filter(|_| !is_empty(segment));
        literal
            .into_iter()
            .chain(constrained.map(|(_, child)| *child))
            .chain(variable)
            .find_map(|child| self.descend(child, tail))
            .or_else(|| self.offer(&node.rest))
    }

    fn offer(&self, entries: &[Entry]) -> Option<Result<usize, ()>> {
        if entries.iter().any(|entry| entry.route == self.loser.route) {
            return Some(covering_beside(entries, self.loser).map(|entry| entry.route).ok_or(()));
        }
        entries.iter().find(|entry| covers_from_afar(entry, self.loser)).map(|entry| Ok(entry.route))
    }
}

fn is_empty(segment: &Segment) -> bool {
    matches!(segment, Segment::Literal(key) if key.is_empty())
}

/// Whether a literal has one spelling only: no character in it may also be escaped.
fn is_own_key(key: &str) -> bool {
    key.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~'))
}

#[cfg(test)]
mod tests;
