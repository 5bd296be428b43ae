//! From the rules of all routes to the one that takes a request.

use ahash::AHashMap;

use super::conflict::{self, Conflict};
use super::method::AllowSet;
use super::pattern::Shape;
use super::regexes::Regexes;
use super::rule::{Entry, RouteRule, Search};
use super::tree::Tree;
use super::{Captures, Holds, HostPattern, Methods};
use crate::request::Headers;
use crate::value::json::Json;

/// What routing looks at in a request.
#[derive(Clone, Copy)]
pub struct Target<'a> {
    /// The host in normal form; see [`super::normalise_host`].
    pub host: &'a str,
    /// The path in normal form; see [`super::normalise`].
    pub path: &'a str,
    /// The method, as it was sent.
    pub method: &'a str,
    /// The query without `?`, as it was sent.
    pub query: Option<&'a str>,
    /// The header fields.
    pub headers: &'a dyn Headers,
    /// The body.
    pub body: Reading<'a>,
}

/// What is known of a request's body.
#[derive(Clone, Copy)]
pub enum Reading<'a> {
    /// Nothing yet.
    Unread,
    /// It is too large, or not what its type says, or of a type that is not read: no condition on it holds.
    Unfit,
    /// What it says; `null` where there is none.
    Read(&'a Json),
}

/// What a look-up comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// This route takes the request; the number is the rule's index.
    Route(usize),
    /// Some routes would take it with another method: 405, with these in `Allow` (RFC 9110 §15.5.6).
    MethodNotAllowed(AllowSet),
    /// 404.
    NoRoute,
    /// This route takes the request if its body is what the route asks for: it must be read first.
    Unread(usize),
}

/// All routes, compiled. Immutable, so any number of threads may look up at once.
#[derive(Debug)]
pub struct Router {
    pub(super) rules: Vec<RouteRule>,
    exact: AHashMap<Box<str>, HostTable>,
    /// By suffix, without `*.`.
    wildcard: AHashMap<Box<str>, HostTable>,
    any: HostTable,
}

/// The routes of one host.
#[derive(Debug)]
pub(super) struct HostTable {
    pub(super) tree: Tree,
    pub(super) regexes: Regexes,
}

impl HostTable {
    fn new() -> Self {
        Self { tree: Tree::new(), regexes: Regexes::default() }
    }

    fn insert(&mut self, shape: &Shape, entry: Entry) {
        match shape {
            Shape::Segments { segments, rest } => self.tree.insert(segments, *rest, entry),
            Shape::Expression(expression) => self.regexes.insert(expression, entry),
        }
    }

    fn settle(&mut self) {
        self.tree.settle();
        self.regexes.settle();
    }

    /// As [`Tree::walk`]; regular expressions come last. What is no path, such as `*`, matches nothing.
    fn walk<'t, C>(&'t self, path: &str, captures: &mut Captures, mut choose: C) -> Option<&'t Entry>
    where
        C: FnMut(&'t [Entry]) -> Option<&'t Entry>,
    {
        if !path.starts_with('/') {
            return None;
        }
        let found = self.tree.walk(path, captures, &mut choose);
        found.or_else(|| self.regexes.walk(path, captures, &mut choose))
    }
}

impl Router {
    /// Compiles the rules; the index of a rule is the number of its route.
    ///
    /// # Errors
    ///
    /// Every [`Conflict`] among them, in order of the routes that lose.
    pub fn build(mut rules: Vec<RouteRule>) -> Result<Self, Vec<Conflict>> {
        let mut router =
            Self { rules: Vec::new(), exact: AHashMap::new(), wildcard: AHashMap::new(), any: HostTable::new() };
        for (route, rule) in rules.iter_mut().enumerate() {
            rule.hosts.sort_by(|one, two| (two.rank(), one).cmp(&(one.rank(), two)));
            rule.hosts.dedup();
            let entry = Entry::new(route, rule.methods.clone(), rule.predicates.clone());
            if rule.hosts.is_empty() {
                router.any.insert(&rule.path.shape, entry.clone());
            }
            for host in &rule.hosts {
                router.table(host).insert(&rule.path.shape, entry.clone());
            }
        }
        let tables = router.exact.values_mut().chain(router.wildcard.values_mut()).chain([&mut router.any]);
        tables.for_each(HostTable::settle);
        router.rules = rules;
        let conflicts = conflict::find(&router);
        if conflicts.is_empty() { Ok(router) } else { Err(conflicts) }
    }

    /// The rules it was built from.
    pub fn rules(&self) -> &[RouteRule] {
        &self.rules
    }

    /// Finds the route that takes a request. `captures` is emptied first, and holds the captures of the found route.
    ///
    /// A host without a route for the path does not hide those of less specific hosts.
    pub fn find(&self, target: &Target<'_>, captures: &mut Captures) -> Found {
        captures.clear();
        let mut search = Search::new(target);
        for table in self.tables(target.host) {
            if let Some(entry) = table.walk(target.path, captures, |entries| search.choose(entries)) {
                return if search.unread { Found::Unread(entry.route) } else { Found::Route(entry.route) };
            }
        }
        if search.missed_by_method { self.allowed(target) } else { Found::NoRoute }
    }

    /// What is left when no route takes the request.
    fn allowed(&self, target: &Target<'_>) -> Found {
        let mut allow = AllowSet::default();
        for table in self.tables(target.host) {
            table.walk(target.path, &mut Captures::new(), |entries| {
                for entry in entries.iter().filter(|entry| entry.judge(target) != Holds::No) {
                    if let Methods::Named(set) = &entry.methods {
                        allow.allow(set);
                    }
                }
                None
            });
        }
        if allow.is_empty() { Found::NoRoute } else { Found::MethodNotAllowed(allow) }
    }

    /// The tables that hold routes for a host, the most specific first.
    fn tables(&self, host: &str) -> impl Iterator<Item = &HostTable> {
        let dots = if self.wildcard.is_empty() { "" } else { host };
        let suffixes = dots.match_indices('.').filter_map(move |(dot, _)| host.get(dot + 1..));
        let wildcard = suffixes.filter_map(|suffix| self.wildcard.get(suffix));
        self.exact.get(host).into_iter().chain(wildcard).chain([&self.any])
    }

    /// The table of one host pattern.
    pub(super) fn table_of(&self, host: Option<&HostPattern>) -> Option<&HostTable> {
        match host {
            Some(HostPattern::Exact(name)) => self.exact.get(name),
            Some(HostPattern::Wildcard(suffix)) => self.wildcard.get(suffix),
            None => Some(&self.any),
        }
    }

    /// All tables, in no order.
    pub(super) fn all_tables(&self) -> impl Iterator<Item = &HostTable> {
        self.exact.values().chain(self.wildcard.values()).chain([&self.any])
    }

    fn table(&mut self, host: &HostPattern) -> &mut HostTable {
        match host {
            HostPattern::Exact(name) => self.exact.entry(name.clone()).or_insert_with(HostTable::new),
            HostPattern::Wildcard(suffix) => self.wildcard.entry(suffix.clone()).or_insert_with(HostTable::new),
        }
    }
}

#[cfg(test)]
mod tests;
