//! The consumers in force: exchanged whole when a file of them changes, without a reload.

use super::Consumers;
use arc_swap::{ArcSwap, Guard};
use parking_lot::Mutex;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Where a snapshot's consumers are found. A request looks once and keeps what it found.
#[derive(Debug, Default)]
pub struct CurrentConsumers {
    current: ArcSwap<Consumers>,
    /// Names that rules are written with. Complete once the snapshot is compiled, and never looked at by a request.
    expected: Mutex<BTreeSet<Box<str>>>,
}

impl CurrentConsumers {
    /// Begins with these.
    pub fn new(first: Consumers) -> Self {
        Self { current: ArcSwap::from_pointee(first), expected: Mutex::default() }
    }

    /// Notes that a rule is written for the consumer of that name; whether there is one.
    pub fn expect(&self, name: &str) -> bool {
        self.expected.lock().insert(name.into());
        self.load().by_id(name).is_some()
    }

    /// The names that rules are written with and no consumer in force has.
    pub fn missing(&self) -> Vec<Box<str>> {
        let current = self.load();
        self.expected.lock().iter().filter(|name| current.by_id(name).is_none()).cloned().collect()
    }

    /// Those in force.
    pub fn load(&self) -> Guard<Arc<Consumers>> {
        self.current.load()
    }

    /// Puts others in force, and gives back those before: requests under way may still hold them, and whoever lets go of
    /// them last takes a million apart.
    #[must_use]
    pub fn exchange(&self, next: Consumers) -> Arc<Consumers> {
        self.current.swap(Arc::new(next))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::consumer::Consumer;

    fn of(names: &[&str]) -> Consumers {
        let mut consumers = Consumers::default();
        for name in names {
            let consumer = Consumer { id: (*name).into(), groups: Box::default(), plan: None };
            consumers.add(consumer, &[]).unwrap();
        }
        consumers
    }

    #[test]
    fn names_that_rules_are_written_with_are_looked_for_after_every_exchange() {
        let current = CurrentConsumers::new(of(&["acme", "beta"]));
        assert!(current.expect("acme") && current.expect("beta") && !current.expect("typo"));
        assert_eq!(current.missing().join(" "), "typo");
        drop(current.exchange(of(&["beta", "typo"])));
        assert_eq!(current.missing().join(" "), "acme");
    }
}
