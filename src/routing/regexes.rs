//! The routes of one host whose path is a regular expression; they rank below every other pattern.

use regex::bytes::{RegexSet, RegexSetBuilder};

use super::Expression;
use super::captures::Captures;
use super::rule::Entry;

/// The most that all expressions of a host together may weigh, in bytes, before each is tried on its own.
const HEAVIEST: usize = 32 * 1024 * 1024;

/// The expressions of one host, in order of precedence.
#[derive(Debug, Default)]
pub(super) struct Regexes {
    /// Tells which of them match in one pass over the path.
    set: Option<RegexSet>,
    groups: Vec<Group>,
}

/// The rules of one expression.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) expression: Expression,
    /// The numbers of its named groups.
    named: Box<[usize]>,
    /// In order of precedence.
    pub(super) entries: Vec<Entry>,
}

impl Regexes {
    pub(super) fn groups(&self) -> &[Group] {
        &self.groups
    }

    /// Adds a rule.
    pub(super) fn insert(&mut self, expression: &Expression, entry: Entry) {
        match self.groups.iter_mut().find(|group| group.expression == *expression) {
            Some(group) => group.entries.push(entry),
            None => {
                let named = expression.names().map(|(group, _)| group).collect();
                self.groups.push(Group { expression: expression.clone(), named, entries: vec![entry] });
            }
        }
    }

    /// Puts everything in order of precedence; to be called once after the last [`Regexes::insert`].
    pub(super) fn settle(&mut self) {
        self.groups.sort_by(|one, two| one.expression.cmp(&two.expression));
        self.groups.iter_mut().for_each(|group| group.entries.sort_by(Entry::precedence));
        if self.groups.len() > 1 {
            let anchored = self.groups.iter().map(|group| group.expression.regex().as_str());
            self.set = RegexSetBuilder::new(anchored).size_limit(HEAVIEST).build().ok();
        }
    }

    /// As [`super::tree::Tree::walk`].
    pub(super) fn walk<'t, C>(&'t self, path: &str, captures: &mut Captures, mut choose: C) -> Option<&'t Entry>
    where
        C: FnMut(&'t [Entry]) -> Option<&'t Entry>,
    {
        let path = path.as_bytes();
        let mut offer = |group: &'t Group| {
            let found = choose(&group.entries)?;
            group.capture(path, captures);
            Some(found)
        };
        match &self.set {
            Some(set) => set.matches(path).iter().filter_map(|at| self.groups.get(at)).find_map(&mut offer),
            None => {
                let mut matching = self.groups.iter().filter(|group| group.expression.matches(path));
                matching.find_map(&mut offer)
            }
        }
    }
}

impl Group {
    fn capture(&self, path: &[u8], captures: &mut Captures) {
        if self.named.is_empty() {
            return;
        }
        let regex = self.expression.regex();
        let mut found = regex.capture_locations();
        regex.captures_read(&mut found, path);
        for group in &self.named {
            let (start, end) = found.get(*group).unwrap_or((0, 0));
            captures.push(start, end);
        }
    }
}
