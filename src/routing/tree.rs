//! The path patterns of one host as a tree of segments.
//!
//! A look-up goes down the tree in order of precedence: at each node it tries the literal child, then those with a
//! regular expression, the capture, `*`, and at last `**`; when a branch holds no rule that takes the request it comes
//! back and tries the next. Two branches never meet again further down, so a look-up visits each node at most once:
//! its cost is bounded by the nodes that match the beginning of the path, never by the number of ways to reach them.
//! Its depth is bounded by the longest pattern, 64 segments, whatever the path.

use ahash::AHashMap;

use super::Expression;
use super::captures::Captures;
use super::path::{lenient_key, literal_key};
use super::pattern::Segment;
use super::rule::Entry;
use super::target::split_at_byte;

/// How many literal children are searched one by one before a hash table is worth its while.
const FEW: usize = 8;

/// The tree of one host.
#[derive(Debug)]
pub(super) struct Tree {
    nodes: Vec<Node>,
}

/// An index into [`Tree::nodes`].
pub(super) type NodeId = u32;

#[derive(Debug, Default)]
pub(super) struct Node {
    literals: Literals,
    /// In order of precedence.
    pub(super) constrained: Vec<(Expression, NodeId)>,
    pub(super) capture: Option<NodeId>,
    pub(super) star: Option<NodeId>,
    /// The rules whose pattern ends here, in order of precedence.
    pub(super) here: Vec<Entry>,
    /// The rules whose pattern goes on from here with `**`, in order of precedence.
    pub(super) rest: Vec<Entry>,
}

#[derive(Debug)]
enum Literals {
    Few(Vec<(Box<str>, NodeId)>),
    /// Boxed, since most nodes are leaves and should be small.
    Many(Box<AHashMap<Box<str>, NodeId>>),
}

impl Default for Literals {
    fn default() -> Self {
        Self::Few(Vec::new())
    }
}

impl Literals {
    fn get(&self, key: &str) -> Option<NodeId> {
        match self {
            Self::Few(children) => children.iter().find(|(name, _)| **name == *key).map(|(_, node)| *node),
            Self::Many(children) => children.get(key).copied(),
        }
    }

    fn insert(&mut self, key: Box<str>, node: NodeId) {
        match self {
            Self::Few(children) if children.len() < FEW => children.push((key, node)),
            Self::Few(children) => {
                let all = std::mem::take(children).into_iter().chain([(key, node)]);
                *self = Self::Many(Box::new(all.collect()));
            }
            Self::Many(children) => {
                children.insert(key, node);
            }
        }
    }

    fn is_empty(&self) -> bool {
        matches!(self, Self::Few(children) if children.is_empty())
    }
}

impl Node {
    /// The child below the very same segment of a pattern.
    pub(super) fn child(&self, segment: &Segment) -> Option<NodeId> {
        match segment {
            Segment::Literal(key) => self.literals.get(key),
            Segment::Constrained(expression) => {
                self.constrained.iter().find(|(known, _)| known == expression).map(|(_, child)| *child)
            }
            Segment::Capture => self.capture,
            Segment::Star => self.star,
        }
    }
}

impl Tree {
    pub(super) const ROOT: NodeId = 0;

    pub(super) fn new() -> Self {
        Self { nodes: vec![Node::default()] }
    }

    pub(super) fn node(&self, id: NodeId) -> Option<&Node> {
        self.nodes.get(id as usize)
    }

    /// All nodes, each once.
    pub(super) fn nodes(&self) -> impl Iterator<Item = &Node> {
        self.nodes.iter()
    }

    /// Adds a rule below its pattern's segments.
    pub(super) fn insert(&mut self, segments: &[Segment], rest: bool, entry: Entry) {
        let mut at = Self::ROOT;
        for segment in segments {
            at = self.child(at, segment);
        }
        if let Some(node) = self.nodes.get_mut(at as usize) {
            if rest { &mut node.rest } else { &mut node.here }.push(entry);
        }
    }

    /// The child of a node below a segment, made where there is none.
    fn child(&mut self, parent: NodeId, segment: &Segment) -> NodeId {
        // A tree of 2³² nodes would not fit into memory.
        let fresh = NodeId::try_from(self.nodes.len()).unwrap_or(NodeId::MAX);
        let Some(node) = self.nodes.get_mut(parent as usize) else { return parent };
        if let Some(child) = node.child(segment) {
            return child;
        }
        match segment {
            Segment::Literal(key) => node.literals.insert(key.clone(), fresh),
            Segment::Constrained(expression) => node.constrained.push((expression.clone(), fresh)),
            Segment::Capture => node.capture = Some(fresh),
            Segment::Star => node.star = Some(fresh),
        }
        self.nodes.push(Node::default());
        fresh
    }

    /// Puts everything in order of precedence; to be called once after the last [`Tree::insert`].
    pub(super) fn settle(&mut self) {
        for node in &mut self.nodes {
            node.constrained.sort_by(|(one, _), (two, _)| one.cmp(two));
            node.constrained.shrink_to_fit();
            for entries in [&mut node.here, &mut node.rest] {
                entries.sort_by(Entry::precedence);
                entries.shrink_to_fit();
            }
        }
    }

    /// Offers the rules of every pattern that matches `path` to `choose`, in order of precedence, until it takes one.
    /// `captures` then holds the captures of that rule's pattern; else it is as it was. `path` begins with a slash.
    pub(super) fn walk<'t, C>(&'t self, path: &str, captures: &mut Captures, choose: C) -> Option<&'t Entry>
    where
        C: FnMut(&'t [Entry]) -> Option<&'t Entry>,
    {
        Walk { tree: self, path, captures, choose }.descend(Self::ROOT, Some("/".len()))
    }
}

impl Node {
    /// The child of the literal that a segment spells.
    fn literal(&self, segment: &str) -> Option<NodeId> {
        let key = literal_key(segment);
        self.literals.get(&key).or_else(|| self.literals.get(&lenient_key(&key)?))
    }
}

struct Walk<'t, 'p, C> {
    tree: &'t Tree,
    path: &'p str,
    captures: &'p mut Captures,
    choose: C,
}

impl<'t, C: FnMut(&'t [Entry]) -> Option<&'t Entry>> Walk<'t, '_, C> {
    /// Tries the patterns that go on from a node; `start` is where the next segment begins, `None` behind the last.
    fn descend(&mut self, id: NodeId, start: Option<usize>) -> Option<&'t Entry> {
        let node = self.tree.node(id)?;
        let Some(start) = start else {
            return self.offer(&node.here).or_else(|| self.rest(node, self.path.len()));
        };
        let tail = self.path.get(start..)?;
        let (segment, next) = match split_at_byte(tail, b'/') {
            Some((segment, _)) => (segment, Some(start + segment.len() + 1)),
            None => (tail, None),
        };
        if !node.literals.is_empty()
            && let Some(child) = node.literal(segment)
            && let Some(found) = self.descend(child, next)
        {
            return Some(found);
        }
        if !segment.is_empty()
            && let Some(found) = self.variable(node, (start, start + segment.len()), next)
        {
            return Some(found);
        }
        self.rest(node, start)
    }

    /// Tries the children that match a segment whatever it says, or by an expression.
    fn variable(&mut self, node: &'t Node, range: (usize, usize), next: Option<usize>) -> Option<&'t Entry> {
        for (expression, child) in &node.constrained {
            if expression.matches(self.path.get(range.0..range.1)?.as_bytes())
                && let Some(found) = self.capturing(range, |walk| walk.descend(*child, next))
            {
                return Some(found);
            }
        }
        if let Some(child) = node.capture
            && let Some(found) = self.capturing(range, |walk| walk.descend(child, next))
        {
            return Some(found);
        }
        node.star.and_then(|child| self.descend(child, next))
    }

    /// Offers the rules whose `**` begins at this node.
    fn rest(&mut self, node: &'t Node, start: usize) -> Option<&'t Entry> {
        if node.rest.is_empty() {
            return None;
        }
        self.capturing((start, self.path.len()), |walk| walk.offer(&node.rest))
    }

    fn offer(&mut self, entries: &'t [Entry]) -> Option<&'t Entry> {
        if entries.is_empty() { None } else { (self.choose)(entries) }
    }

    /// Goes on with one more capture, and takes it back when nothing comes of it.
    fn capturing<F>(&mut self, (start, end): (usize, usize), go_on: F) -> Option<&'t Entry>
    where
        F: FnOnce(&mut Self) -> Option<&'t Entry>,
    {
        self.captures.push(start, end);
        let found = go_on(self);
        if found.is_none() {
            self.captures.pop();
        }
        found
    }
}
