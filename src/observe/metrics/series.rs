//! The live series of one kind, found by name when a snapshot is compiled.

use std::collections::HashMap;
use std::sync::{Arc, Weak};

use parking_lot::Mutex;

/// Holds series by name for as long as somebody else does.
///
/// Snapshots own their series. A name that two snapshots share keeps its counters over the reload; once no snapshot,
/// and no request that began under one, holds a series any more, it is gone from the exposition too.
#[derive(Debug)]
pub(super) struct Series<T>(Mutex<HashMap<String, Weak<T>>>);

impl<T> Default for Series<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T> Series<T> {
    /// The live series of that name, or a new one.
    pub(super) fn resolve(&self, name: String, make: impl FnOnce() -> T) -> Arc<T> {
        let mut held = self.0.lock();
        if let Some(series) = held.get(&name).and_then(Weak::upgrade) {
            return series;
        }
        let series = Arc::new(make());
        held.insert(name, Arc::downgrade(&series));
        series
    }

    /// How many there are at most; those nobody holds any more are counted until they are forgotten.
    pub(super) fn count(&self) -> usize {
        self.0.lock().len()
    }

    /// All live series, in no order. Forgets the dead.
    pub(super) fn live(&self) -> Vec<Arc<T>> {
        let mut live = Vec::new();
        self.0.lock().retain(|_, series| {
            let series = series.upgrade();
            live.extend(series.clone());
            series.is_some()
        });
        live
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_series_lives_as_long_as_it_is_held() {
        let series = Series::default();
        let first = series.resolve("a".to_owned(), || 1);
        let second = series.resolve("a".to_owned(), || 2);
        assert!(Arc::ptr_eq(&first, &second));
        drop((first, second));
        assert!(series.live().is_empty());
        assert_eq!(*series.resolve("a".to_owned(), || 3), 3);
    }
}
