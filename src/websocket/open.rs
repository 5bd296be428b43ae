//! The connections that are open, so that they can be asked to leave: when the process stops or hands over, when their
//! listener closes, and when a reload takes their route away.

use futures_util::task::AtomicWaker;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::task::Waker;

/// The connections that are open.
#[derive(Debug, Default)]
pub struct Sockets(Mutex<Members>);

#[derive(Debug, Default)]
struct Members {
    next: u64,
    all: HashMap<u64, Arc<Member>>,
}

/// Where a connection belongs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Belongs {
    /// The listener it came by.
    pub listener: Box<str>,
    /// The api of its route.
    pub api: Option<Box<str>>,
    /// The key of its route.
    pub route: Box<str>,
}

#[derive(Debug)]
struct Member {
    belongs: Belongs,
    asked: AtomicBool,
    waker: AtomicWaker,
}

/// A connection among those that are open, as long as this lives.
#[derive(Debug)]
pub struct Membership {
    sockets: Arc<Sockets>,
    number: u64,
    member: Arc<Member>,
}

impl Sockets {
    /// One more.
    pub fn join(self: &Arc<Self>, belongs: Belongs) -> Membership {
        let member = Arc::new(Member { belongs, asked: AtomicBool::new(false), waker: AtomicWaker::new() });
        let mut members = self.0.lock();
        let number = members.next;
        members.next += 1;
        members.all.insert(number, Arc::clone(&member));
        Membership { sockets: Arc::clone(self), number, member }
    }

    /// Asks those to leave.
    pub fn ask(&self, which: impl Fn(&Belongs) -> bool) {
        let members = self.0.lock();
        for member in members.all.values().filter(|member| which(&member.belongs)) {
            member.asked.store(true, Relaxed);
            member.waker.wake();
        }
    }

    /// How many are open.
    pub fn count(&self) -> usize {
        self.0.lock().all.len()
    }
}

impl Membership {
    /// Whether it was asked to leave; if not, that task is woken when it is.
    pub fn is_asked(&self, waker: &Waker) -> bool {
        self.member.waker.register(waker);
        self.member.asked.load(Relaxed)
    }
}

impl Drop for Membership {
    fn drop(&mut self) {
        self.sockets.0.lock().all.remove(&self.number);
    }
}
