//! Text to tree.

use super::bounds::{DEEPEST, MOST_NODES, MOST_REPEATED};
use super::keys::Keys;
use super::tree::{Entry, Key, Kind, Node, Style};
use crate::value::{Place, Problem, Problems, SourceId};
use serde_saphyr::granit_parser::{
    Event, Options, Parser, ScalarStyle, ScanError, Span, StrInput, StructureStyle, Tag,
};
use std::collections::HashMap;

/// A document and what fmt must know of it.
#[derive(Debug)]
pub struct Document {
    /// The tree.
    pub root: Node,
    /// Whether the text holds comments, which the tree does not.
    pub has_comments: bool,
}

/// Makes a tree of a text. `None` where it is not YAML, or exceeds the bounds; duplicate keys are recorded and left out.
pub fn parse(source: SourceId, text: &str, problems: &mut Problems) -> Option<Document> {
    let mut options = Options::default();
    options.flow_nesting_limit = DEEPEST;
    options.block_nesting_limit = DEEPEST;
    let mut builder = Builder {
        parser: Parser::new_from_str_with_options(text, options),
        text,
        source,
        anchors: HashMap::new(),
        nodes: 0,
        repeated: 0,
        seen: 0,
        has_comments: false,
        problems,
    };
    match check_characters(source, text).map_or_else(|| builder.document(), Err) {
        Ok(root) => {
            let has_comments = builder.has_comments;
            Some(Document { root, has_comments })
        }
        Err(problem) => {
            problems.push(problem);
            None
        }
    }
}

/// The first character that YAML does not allow (§5.1), if there is one.
fn check_characters(source: SourceId, text: &str) -> Option<Problem> {
    let illegal = |c: char| (c.is_control() && !matches!(c, '\t' | '\n' | '\r' | '\u{85}')) || c == '\u{fffe}';
    let (offset, found) = text.char_indices().find(|(_, c)| illegal(*c))?;
    let message = format!("the file holds the control character U+{:04X}", u32::from(found));
    Some(Problem::error(place_of(source, text, offset), message))
}

/// The place of the character at an offset in bytes.
pub fn place_of(source: SourceId, text: &str, offset: usize) -> Place {
    let before = text.get(..offset).unwrap_or_default();
    let line = before.rsplit('\n').next().unwrap_or_default();
    Place {
        source,
        line: narrow(before.matches('\n').count() + 1),
        column: narrow(line.chars().count() + 1),
        len: 1,
        offset: narrow(offset),
    }
}

struct Builder<'t, 'p> {
    parser: Parser<'t, StrInput<'t>>,
    text: &'t str,
    source: SourceId,
    /// Anchored nodes and the number of nodes in them.
    anchors: HashMap<usize, (Node, usize)>,
    nodes: usize,
    repeated: usize,
    /// Up to where the text has been looked at for comments, in bytes.
    seen: usize,
    has_comments: bool,
    problems: &'p mut Problems,
}

impl<'t> Builder<'t, '_> {
    fn document(&mut self) -> Result<Node, Problem> {
        let mut root = None;
        loop {
            let (event, span) = self.next()?;
            match event {
                Event::StreamStart | Event::DocumentEnd => {}
                Event::DocumentStart(..) if root.is_none() => {}
                Event::DocumentStart(..) => {
                    return Err(Problem::error(self.place(span), "a second document begins here; a file holds one"));
                }
                Event::StreamEnd => break,
                event => root = Some(self.node(event, span, 0)?),
            }
        }
        self.look_for_comments(self.text.len());
        let start = Place { source: self.source, line: 1, column: 1, len: 1, offset: 0 };
        Ok(root.unwrap_or_else(|| Node::new(Kind::Null, start)))
    }

    fn next(&mut self) -> Result<(Event<'t>, Span), Problem> {
        let Some(next) = self.parser.next_event() else {
            return Err(Problem::error(None, "the file ends in the middle"));
        };
        let (event, span) = next.map_err(|error| self.not_yaml(&error))?;
        let bytes = (span.start.byte_offset(), span.end.byte_offset());
        if let (Some(start), Some(end)) = bytes {
            self.look_for_comments(start);
            self.seen = self.seen.max(end);
        }
        Ok((event, span))
    }

    /// Between nodes, a `#` at the start of a line or after a blank begins a comment (YAML 1.2.2 §6.6).
    fn look_for_comments(&mut self, end: usize) {
        let between = self.text.get(self.seen..end).unwrap_or_default();
        let before = self.text.get(..self.seen).and_then(|text| text.chars().next_back());
        let comment = between.char_indices().filter(|(_, c)| *c == '#').any(|(at, _)| {
            let previous = between.get(..at).and_then(|text| text.chars().next_back()).or(before);
            previous.is_none_or(char::is_whitespace)
        });
        self.has_comments |= comment;
        self.seen = self.seen.max(end);
    }

    fn node(&mut self, event: Event<'t>, span: Span, depth: usize) -> Result<Node, Problem> {
        let place = self.place(span);
        if depth >= DEEPEST {
            return Err(Problem::error(place, format!("more than {DEEPEST} lists and maps within one another")));
        }
        let before = self.nodes;
        self.nodes += 1;
        if self.nodes > MOST_NODES {
            return Err(Problem::error(place, format!("more than {MOST_NODES} keys and values in one file")));
        }
        let (kind, anchor) = match event {
            Event::Alias(anchor) => return self.alias(anchor, place),
            Event::Scalar(text, style, anchor, tag) => {
                (self.scalar(text.into_owned(), style, tag.as_deref(), place)?, anchor)
            }
            Event::SequenceStart(style, anchor, tag) => {
                self.check_tag(tag.as_deref(), place)?;
                (Kind::List(self.elements(depth)?, collection(style)), anchor)
            }
            Event::MappingStart(style, anchor, tag) => {
                self.check_tag(tag.as_deref(), place)?;
                (Kind::Map(self.entries(depth)?, collection(style)), anchor)
            }
            _ => return Err(Problem::error(place, "a value is missing here")),
        };
        let node = Node::new(kind, place);
        if anchor != 0 {
            let size = self.nodes - before;
            self.repeated += size;
            self.check_repeated(place)?;
            self.anchors.insert(anchor, (node.clone(), size));
        }
        Ok(node)
    }

    fn scalar(&self, text: String, style: ScalarStyle, tag: Option<&Tag>, place: Place) -> Result<Kind, Problem> {
        self.check_tag(tag, place)?;
        let forced = tag.is_some_and(|tag| tag.core_suffix() == Some("str"));
        let plain = style == ScalarStyle::Plain && !forced;
        Ok(match plain {
            true if matches!(text.as_str(), "" | "~" | "null" | "Null" | "NULL") => Kind::Null,
            true => Kind::Scalar(text, Style::Plain),
            false => Kind::Scalar(text, Style::Quoted),
        })
    }

    /// Tags of the core schema say what is plain anyway; others mean nothing here.
    fn check_tag(&self, tag: Option<&Tag>, place: Place) -> Result<(), Problem> {
        match tag {
            Some(tag) if tag.core_suffix().is_none() => {
                Err(Problem::error(place, format!("the tag `{}` has no meaning here", tag.original())))
            }
            _ => Ok(()),
        }
    }

    fn elements(&mut self, depth: usize) -> Result<Vec<Node>, Problem> {
        let mut elements = Vec::new();
        loop {
            match self.next()? {
                (Event::SequenceEnd, _) => return Ok(elements),
                (event, span) => elements.push(self.node(event, span, depth + 1)?),
            }
        }
    }

    fn entries(&mut self, depth: usize) -> Result<Vec<Entry>, Problem> {
        let mut keys = Keys::default();
        loop {
            let (event, span) = self.next()?;
            if event == Event::MappingEnd {
                return Ok(keys.finish(self.problems));
            }
            let key = self.key(event, span, depth)?;
            let (event, span) = self.next()?;
            let mut value = self.node(event, span, depth + 1)?;
            value.owner = key.place;
            keys.add(key, value, self.problems);
        }
    }

    fn key(&mut self, event: Event<'t>, span: Span, depth: usize) -> Result<Key, Problem> {
        let place = self.place(span);
        // An empty plain scalar, `null` and the like are no names.
        match self.node(event, span, depth + 1)?.kind {
            Kind::Scalar(text, style) => Ok(Key { text, style, place }),
            _ => Err(Problem::error(place, "a key must be text")),
        }
    }

    fn alias(&mut self, anchor: usize, place: Place) -> Result<Node, Problem> {
        let within = || Problem::error(place, "an alias cannot stand within what it names");
        let size = self.anchors.get(&anchor).map(|(_, size)| *size).ok_or_else(within)?;
        // Before the copy is made, and counted into the size of what holds the alias: so a bomb never grows.
        self.repeated += size;
        self.check_repeated(place)?;
        self.nodes += size;
        let mut node = self.anchors.get(&anchor).map(|(node, _)| node.clone()).ok_or_else(within)?;
        node.owner = place;
        Ok(node)
    }

    fn check_repeated(&self, place: Place) -> Result<(), Problem> {
        match self.repeated > MOST_REPEATED {
            true => Err(Problem::error(place, format!("aliases repeat more than {MOST_REPEATED} keys and values"))),
            false => Ok(()),
        }
    }

    fn place(&self, span: Span) -> Place {
        let len = span.end.index().saturating_sub(span.start.index());
        Place {
            source: self.source,
            line: narrow(span.start.line().max(1)),
            column: narrow(span.start.col() + 1),
            len: narrow(len.max(1)),
            offset: narrow(span.start.byte_offset().unwrap_or(0)),
        }
    }

    fn not_yaml(&self, error: &ScanError) -> Problem {
        let place = self.place(Span::empty(*error.marker()));
        let mut problem = Problem::error(place, format!("not YAML: {}", error.info()));
        let line = self.text.split('\n').nth(error.marker().line().saturating_sub(1)).unwrap_or_default();
        if line.trim_start_matches(' ').starts_with('\t') {
            problem.hint("indent with spaces, not with tabs");
        }
        problem
    }
}

fn collection(style: StructureStyle) -> Style {
    match style {
        StructureStyle::Block => Style::Plain,
        StructureStyle::Flow => Style::Flow,
    }
}

fn narrow(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

#[cfg(test)]
#[path = "parse_tests.rs"]
mod tests;
