//! One reading of a tree: what is found wrong, and what is set aside.

use super::bounds::MOST_PROBLEMS;
use super::deserialize::NodeReader;
use super::error::{Fresh, ReadError};
use super::tree::{Entry, Kind, Node};
use crate::value::written::Salvaged;
use crate::value::{Place, Problem, Problems, Sources, secret, suggest};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::cell::{Cell, RefCell};
use std::collections::HashSet;

/// Makes a value of a tree. Everything wrong is recorded in `problems`; the value is what remains without it, and `None`
/// where nothing does. Secrets that stand in the text itself are hidden in `sources`.
pub fn read<T: DeserializeOwned>(root: &Node, problems: &mut Problems, sources: &mut Sources) -> Option<T> {
    let reading = Reading::default();
    let value = Salvaged::deserialize(NodeReader { node: root, reading: &reading });
    problems.extend(reading.problems.into_inner());
    reading.hidden.into_inner().into_iter().for_each(|place| sources.hide(place));
    value.ok().and_then(|salvaged| salvaged.0)
}

/// The keys in whose values something was set aside: what is said of the whole of such a value may not be true.
pub fn spoiled(root: &Node) -> HashSet<Place> {
    fn walk(node: &Node, spoiled: &mut HashSet<Place>) -> bool {
        // Every part is looked at, so no short-circuit.
        let within = match &node.kind {
            Kind::Null | Kind::Scalar(..) => false,
            Kind::List(elements, _) => elements.iter().fold(false, |any, element| walk(element, spoiled) | any),
            Kind::Map(entries, _) => entries.iter().fold(false, |any, entry| walk(&entry.value, spoiled) | any),
        };
        if within {
            spoiled.insert(node.owner);
        }
        within || node.is_aside()
    }
    let mut places = HashSet::new();
    walk(root, &mut places);
    places
}

/// What has been found so far.
#[derive(Default)]
pub(super) struct Reading {
    problems: RefCell<Problems>,
    hidden: RefCell<Vec<Place>>,
    set_aside: Cell<usize>,
}

impl Reading {
    /// Records a fresh error at `node` and sets the node aside; the error then only says that this was done.
    pub fn settle(&self, node: &Node, error: ReadError) -> ReadError {
        if let ReadError::Fresh(fresh) = error {
            if !fresh.missing.is_some_and(|field| follows_from_another(node, field)) {
                self.record(node.blame(), *fresh);
            }
            self.set_aside(node);
        }
        ReadError::Recorded
    }

    /// Records a fresh error at the key of `entry` and sets the entry aside.
    pub fn settle_key(&self, entry: &Entry, error: ReadError) -> ReadError {
        if let ReadError::Fresh(fresh) = error {
            if secret::names_a_secret(&entry.key.text) {
                self.hide(&entry.value);
            }
            self.record(entry.key.place, *fresh);
            self.set_aside(&entry.value);
        }
        ReadError::Recorded
    }

    fn record(&self, place: Place, fresh: Fresh) {
        let mut problems = self.problems.borrow_mut();
        if problems.len() < MOST_PROBLEMS {
            let mut problem = Problem::error(place, fresh.message);
            problem.hint_if(fresh.hint);
            problems.push(problem);
        } else if problems.len() == MOST_PROBLEMS {
            problems.error(None, format!("more than {MOST_PROBLEMS} problems; the rest is not shown"));
        }
    }

    /// Leaves a node out from now on.
    pub fn set_aside(&self, node: &Node) {
        if node.set_aside() {
            self.set_aside.set(self.set_aside.get() + 1);
        }
    }

    /// How many nodes have been set aside: an attempt that adds none will not succeed the next time either.
    pub fn count_aside(&self) -> usize {
        self.set_aside.get()
    }

    /// Whether there are so many problems that looking for more is of no use.
    pub fn is_full(&self) -> bool {
        self.problems.borrow().len() > MOST_PROBLEMS
    }

    /// Hides every text of a node that is not a mere reference to a secret.
    pub fn hide(&self, node: &Node) {
        match &node.kind {
            Kind::Null => {}
            Kind::Scalar(text, _) => {
                let mut hidden = self.hidden.borrow_mut();
                if !secret::is_reference(text) && !hidden.contains(&node.place) {
                    hidden.push(node.place);
                }
            }
            Kind::List(elements, _) => elements.iter().for_each(|element| self.hide(element)),
            Kind::Map(entries, _) => {
                entries
                    .iter()
                    .filter(|entry| entry.key.text != "insecure_inline")
                    .for_each(|entry| self.hide(&entry.value));
            }
        }
    }

    /// Whether the node's text must not be shown.
    pub fn hides(&self, node: &Node) -> bool {
        self.hidden.borrow().contains(&node.place)
    }
}

/// Whether a field is missing only because what stands for it is wrong: it was set aside itself, or its name was.
fn follows_from_another(node: &Node, field: &str) -> bool {
    let Kind::Map(entries, _) = &node.kind else { return false };
    entries.iter().filter(|entry| entry.value.is_aside()).any(|entry| suggest(&entry.key.text, [field]).is_some())
}
