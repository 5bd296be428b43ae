//! What is said of routes that cannot stand beside each other.

use super::Compiling;
use crate::routing::{Conflict, ConflictKind};
use crate::snapshot::Route;
use crate::value::Place;

impl Compiling<'_> {
    /// Says which of two routes cannot stand, and why; both by their numbers.
    pub(super) fn conflict(&mut self, conflict: &Conflict, routes: &[Route], places: &[Place]) {
        let key = |number: usize| routes.get(number).map_or("", |route| &*route.key);
        let place = |number: usize| places.get(number).copied().unwrap_or(Place::NOWHERE);
        let (loser, winner) = (key(conflict.loser), key(conflict.winner));
        let (message, hint) = match conflict.kind {
            ConflictKind::Tie => (
                format!("`{loser}` and `{winner}` take the same requests and neither is more specific"),
                "tell them apart by `match:`, by method, or remove one",
            ),
            ConflictKind::Shadowed => (
                format!("`{loser}` can never win: `{winner}` takes all of its requests"),
                "remove it, or make it more specific",
            ),
        };
        self.problems
            .error(place(conflict.loser), message)
            .hint(hint)
            .related(place(conflict.winner), "the other is here");
    }
}
