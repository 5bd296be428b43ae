//! Purges of all gateways that share a state: what one takes out, all do.

use super::disk::{Disk, OnDisk};
use super::purge::Purge;
use super::storage::{Cache, SETTLING};
use super::store::Store;
use crate::shared_state::{Follower, Place, Purges};
use serde::Serialize;
use std::sync::{Arc, Weak};
use std::time::Duration;

/// How long the answer to a purge waits for the store to hear of it.
const TELLING: Duration = Duration::from_secs(1);

/// What has come of purges when they are answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Purged {
    /// How many objects were taken out here.
    purged: u64,
    /// Whether they are gone from the disk, where that is not so.
    #[serde(skip_serializing_if = "Option::is_none")]
    disk: Option<OnDisk>,
    /// Whether others know of it, where purges are shared.
    #[serde(skip_serializing_if = "Option::is_none")]
    gateways: Option<Reach>,
}

impl Purged {
    /// Whether what was purged cannot come back here, whatever happens to this process.
    pub fn holds(&self) -> bool {
        self.disk.is_none()
    }
}

/// How far a purge has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Reach {
    /// All gateways know of it, and who is away will.
    Told,
    /// The shared state is out of reach: the others hear of it when it is back.
    Later,
}

impl Cache {
    /// Shares purges by these from now on, or with nobody. What lies on the disk waits until it is known what was purged
    /// in the meantime.
    pub fn share(&self, purges: Option<&Arc<Purges>>) {
        let (disk, shared) = (self.store.disk(), self.shared.load());
        let goes_on = match (&*shared, purges) {
            (Some(before), Some(purges)) => Arc::ptr_eq(&before.0, purges) && same(before.1.as_ref(), disk.as_ref()),
            _ => false,
        };
        if goes_on {
            return;
        }
        if let Some(shared) = &*shared {
            shared.0.leave();
        }
        self.shared.store(purges.map(|purges| Arc::new((Arc::clone(purges), disk.clone()))));
        match purges {
            None => disk.iter().for_each(|disk| disk.may_scan()),
            Some(purges) => {
                let from = disk.as_ref().and_then(|disk| disk.position());
                let (store, disk) = (Arc::downgrade(&self.store), disk.as_ref().map(Arc::downgrade));
                purges.follow(Box::new(Following { store, disk }), from);
            }
        }
    }

    /// Whether others are told of purges.
    pub fn is_shared(&self) -> bool {
        self.shared.load().is_some()
    }

    /// Takes out what a purge takes, here and everywhere; answers with how many objects that were here.
    pub fn purge(&self, purge: &Purge) -> u64 {
        let count = self.store.purge(purge);
        if let Some(shared) = &*self.shared.load() {
            shared.0.publish(&purge.to_text());
        }
        count
    }

    /// Takes out what these take, and waits until that is gone from the disk too, and others know of it.
    pub async fn purge_and_wait(&self, purges: &[Purge]) -> Purged {
        let purged = purges.iter().map(|purge| self.purge(purge)).sum();
        let disk = match self.store.disk() {
            Some(disk) => Some(disk.flushed(SETTLING).await).filter(|how| *how == OnDisk::Later),
            None => None,
        };
        let gateways = match self.shared.load_full() {
            Some(shared) if shared.0.all_told(TELLING).await => Some(Reach::Told),
            Some(_) => Some(Reach::Later),
            None => None,
        };
        Purged { purged, disk, gateways }
    }
}

fn same<T>(one: Option<&Arc<T>>, other: Option<&Arc<T>>) -> bool {
    match (one, other) {
        (Some(one), Some(other)) => Arc::ptr_eq(one, other),
        (None, None) => true,
        _ => false,
    }
}

/// With whom purges are shared, and the disk that was there when that began.
pub(super) type Shared = (Arc<Purges>, Option<Arc<Disk>>);

/// Takes out what others have purged.
struct Following {
    store: Weak<Store>,
    /// The disk that was there when it began: how far another one is, it cannot know.
    disk: Option<Weak<Disk>>,
}

impl Follower for Following {
    fn purged(&self, what: &str) {
        if let Some(store) = self.store.upgrade() {
            store.purge(&Purge::of_text(what));
        }
    }

    fn lost(&self) {
        if let Some(store) = self.store.upgrade() {
            log::info!("cache: what other gateways have purged is not known: everything is taken out");
            store.purge(&Purge::Everything);
        }
    }

    fn reached(&self, place: &Place) {
        if let Some(disk) = self.disk.as_ref().and_then(Weak::upgrade) {
            disk.remember_position(place.to_text());
            disk.may_scan();
        }
    }
}
