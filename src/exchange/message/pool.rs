//! Connections to upstreams that wait for the next request of the same caller.
//!
//! A connection was opened in the name of one caller, and what comes over it is for that caller alone: so it is kept apart
//! by caller (without one by the client's address), by its credential and by what was asked for. Whichever worker the next
//! request comes to takes it.

use super::socket::Socket;
use crate::exchange::call::Origin;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

/// Whose connection it is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Owner {
    who: Box<str>,
    target: Box<str>,
}

impl Owner {
    /// The owner of connections for that request.
    pub fn of(origin: &Origin, target: &str) -> Self {
        let who = match &origin.caller {
            Some(caller) => {
                let credential = caller.credential.as_deref().unwrap_or_default();
                let groups = caller.groups.join("\0");
                format!("{}\0{}\0{credential}\0{groups}", caller.provider, caller.id)
            }
            None => format!("\0{}", origin.client.address),
        };
        Self { who: who.into(), target: target.into() }
    }
}

/// Connections that wait, and how many there are in all.
pub struct Pool {
    most: usize,
    idle: Duration,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    open: usize,
    next: u64,
    waiting: HashMap<Owner, Vec<(u64, Socket)>>,
}

/// A place in the pool, and the connection in it. Dropped, both go.
pub struct Lease {
    pool: Arc<Pool>,
    owner: Owner,
    /// The connection; `None` until it is opened.
    pub socket: Option<Socket>,
}

impl Pool {
    /// At most so many connections, each of which waits that long.
    pub fn new(most: usize, idle: Duration) -> Arc<Self> {
        Arc::new(Self { most, idle, state: Mutex::default() })
    }

    /// A connection of that owner that waits, or a place for a new one; `None` where there is none.
    pub fn lease(self: &Arc<Self>, owner: Owner) -> Option<Lease> {
        let mut state = self.state.lock();
        let waiting = state.waiting.get_mut(&owner).and_then(Vec::pop);
        if let Some((_, socket)) = waiting {
            return Some(Lease { pool: Arc::clone(self), owner, socket: Some(socket) });
        }
        if state.open >= self.most && !state.drop_one() {
            return None;
        }
        state.open += 1;
        Some(Lease { pool: Arc::clone(self), owner, socket: None })
    }

    fn expire(&self, owner: &Owner, number: u64) {
        let mut state = self.state.lock();
        let Some(waiting) = state.waiting.get_mut(owner) else { return };
        let before = waiting.len();
        waiting.retain(|(known, _)| *known != number);
        let gone = before - waiting.len();
        if waiting.is_empty() {
            state.waiting.remove(owner);
        }
        state.open = state.open.saturating_sub(gone);
    }
}

impl State {
    /// Closes one that waits for somebody else.
    fn drop_one(&mut self) -> bool {
        self.waiting.retain(|_, waiting| !waiting.is_empty());
        let Some(owner) = self.waiting.keys().next().cloned() else { return false };
        let dropped = self.waiting.get_mut(&owner).and_then(Vec::pop).is_some();
        self.open = self.open.saturating_sub(usize::from(dropped));
        dropped
    }
}

impl Lease {
    /// Keeps the connection for the owner's next request.
    pub fn keep(mut self) {
        let Some(socket) = self.socket.take() else { return };
        let (pool, owner) = (Arc::clone(&self.pool), self.owner.clone());
        let number = {
            let mut state = pool.state.lock();
            state.open += 1; // this lease gives its place back
            state.next += 1;
            let number = state.next;
            state.waiting.entry(owner.clone()).or_default().push((number, socket));
            number
        };
        tokio::spawn(async move {
            tokio::time::sleep(pool.idle).await;
            pool.expire(&owner, number);
        });
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let mut state = self.pool.state.lock();
        state.open = state.open.saturating_sub(1);
    }
}
