//! So many at once under a key, for policies that count something else than requests under way.

use super::Scope;
use super::in_flight::MOST_IN_FLIGHT;
use super::key::{Key, LimitKey, Part};
use super::store::LimitStore;
use crate::policy::Setup;
use crate::request::{Held, Holder, RequestCx, RequestView};
use crate::value::Spanned;
use std::sync::Arc;

/// So many at once under a key, counted over reloads as long as it is written at the same level under the same name.
pub struct Seats {
    store: Arc<LimitStore>,
    key: Key,
    most: u32,
}

impl Seats {
    /// Compiles a bound of that name; `None` where a problem was recorded.
    pub fn compile(
        name: &str,
        most: Spanned<u32>,
        per: &[Spanned<LimitKey>],
        scope: Scope<'_>,
        setup: &mut Setup<'_>,
    ) -> Option<Self> {
        if !(1..=MOST_IN_FLIGHT).contains(&most.value) {
            setup.problems.error(most.place, format!("`{name}` are from 1 to {MOST_IN_FLIGHT}"));
            return None;
        }
        let mut parts = Vec::new();
        let mut place = |capture: &str| scope.captures.iter().position(|known| **known == *capture);
        for key in per {
            match Part::new(&key.value, &mut place) {
                Ok(part) => parts.push(part),
                Err(capture) => super::no_capture(&capture, key.place, scope, setup),
            }
        }
        let identity = [scope.level, name];
        let key = Key::new(setup.limits, &identity, parts, (scope.route, scope.api));
        Some(Self { store: Arc::clone(setup.limits), key, most: most.value })
    }

    /// Takes a seat for as long as what is returned lives; `None` where all are taken.
    pub fn take(&self, cx: &RequestCx, request: &RequestView<'_>) -> Option<Held> {
        let hash = self.store.hash(|hasher| self.key.write(hasher, cx, request));
        let holder: Arc<dyn Holder> = Arc::clone(self.store.in_flight()) as _;
        self.store.in_flight().take(hash, self.most).then(|| Held::new(holder, (hash.bucket, hash.print)))
    }

    /// How many are taken under the key of that request.
    pub fn taken(&self, cx: &RequestCx, request: &RequestView<'_>) -> u64 {
        let hash = self.store.hash(|hasher| self.key.write(hasher, cx, request));
        self.store.in_flight().count(hash)
    }

    /// How many there are.
    pub fn most(&self) -> u32 {
        self.most
    }
}
