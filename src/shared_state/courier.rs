//! Carries what gateways lease, return and count afterwards to the store: many questions on one errand.
//!
//! What requests wait for goes at once, with all that has come together while the errand before was under way; what can
//! wait goes with it, or after [`PATIENCE`].

use super::counter::{Answer, Ask, StoreError};
use super::lease::{LeaseKey, Source};
use super::store::Store;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};

/// How long what nobody waits for may lie.
const PATIENCE: Duration = Duration::from_millis(10);
/// Questions of one script: the server does nothing else meanwhile.
const MOST: usize = 128;

/// What somebody who waits for a lease hears: what it got for itself, where there was no room to keep a lease.
pub(super) type Heard = Result<Option<Answer>, StoreError>;

/// What is to be carried.
pub(super) enum Errand {
    /// More of a lease; `cost` is 0 where nobody waits.
    Lease { key: LeaseKey, source: Arc<Source>, cost: u32, heard: Option<oneshot::Sender<Heard>> },
    /// What only has to be told.
    Tell(Ask),
}

impl Errand {
    fn waits(&self) -> bool {
        matches!(self, Self::Lease { heard: Some(_), .. })
    }
}

/// A lease to ask for, with all who wait for it.
struct Wanted {
    source: Arc<Source>,
    waiting: Vec<(u32, oneshot::Sender<Heard>)>,
}

impl Wanted {
    /// Tells all who wait; who has gone away hears nothing.
    fn tell(self, what: Heard) {
        for (_, heard) in self.waiting {
            let _ = heard.send(what);
        }
    }
}

/// Runs until the sender is gone.
pub(super) async fn run(store: &Store, inbox: &mut mpsc::UnboundedReceiver<Errand>) {
    let mut gathered = Vec::new();
    while let Some(first) = inbox.recv().await {
        let mut urgent = first.waits();
        gathered.push(first);
        let patience = tokio::time::sleep(PATIENCE);
        tokio::pin!(patience);
        while !urgent {
            tokio::select! {
                () = &mut patience => break,
                next = inbox.recv() => match next {
                    Some(errand) => {
                        urgent = errand.waits();
                        gathered.push(errand);
                    }
                    None => break,
                }
            }
        }
        while let Ok(errand) = inbox.try_recv() {
            gathered.push(errand);
        }
        carry(store, std::mem::take(&mut gathered)).await;
    }
}

/// Asks for all of this.
async fn carry(store: &Store, errands: Vec<Errand>) {
    let (mut asks, mut wanted) = (Vec::new(), HashMap::<LeaseKey, Wanted>::new());
    for errand in errands {
        match errand {
            Errand::Tell(ask) => asks.push((ask, None)),
            Errand::Lease { key, source, cost, heard } => {
                let wanted = wanted.entry(key).or_insert_with(|| Wanted { source, waiting: Vec::new() });
                wanted.waiting.extend(heard.map(|heard| (cost, heard)));
            }
        }
    }
    for (key, wanted) in wanted {
        let least = wanted.waiting.iter().map(|(cost, _)| *cost).min().unwrap_or(0);
        let all = wanted.waiting.iter().fold(0_u32, |all, (cost, _)| all.saturating_add(*cost));
        match store.leases().ask(key, store.age(), &wanted.source, (least, all)) {
            Some(ask) => asks.push((ask, Some((key, wanted)))),
            None => wanted.tell(Ok(None)),
        }
    }
    while !asks.is_empty() {
        let rest = asks.split_off(asks.len().min(MOST));
        let (questions, wanted): (Vec<Ask>, Vec<_>) = std::mem::replace(&mut asks, rest).into_iter().unzip();
        let decided = store.decide(&questions).await;
        for (index, wanted) in wanted.into_iter().enumerate() {
            let Some((key, wanted)) = wanted else { continue };
            match &decided {
                Ok(decided) => granted(store, key, wanted, decided.answers.get(index).copied().unwrap_or_default()),
                Err(error) => {
                    store.leases().failed(key);
                    wanted.tell(Err(*error));
                }
            }
        }
    }
}

fn granted(store: &Store, key: LeaseKey, wanted: Wanted, answer: Answer) {
    if store.leases().grant(key, store.age(), &answer) {
        wanted.tell(Ok(None));
        return;
    }
    let mut left = answer.granted;
    for (cost, heard) in wanted.waiting {
        let granted = if u64::from(cost) <= left { u64::from(cost) } else { 0 };
        // Who has gone away in the meantime has taken nothing.
        if heard.send(Ok(Some(Answer { granted, ..answer }))).is_ok() {
            left -= granted;
        }
    }
    if let Ok(unused) = u32::try_from(left)
        && unused > 0
    {
        store.tell(wanted.source.give_back(unused));
    }
}
