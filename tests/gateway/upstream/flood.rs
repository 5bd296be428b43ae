//! A flood that is counted, not timed: for every share of its work that a service does, three times as many requests come in,
//! so that it is always asked for three times what it does, however fast the machine is. When nothing is left to serve before
//! a share is done, it was lost by turning too many away.

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Mutex, mpsc};

use crate::support::client::{Client, Request};
use crate::support::gateway::Gateway;
use crate::support::wait;

/// What is served in a round, and the requests of one: three times as many, a fifth of them critical, a fifth background.
const ROUND: usize = 5;
const ASKED: [(&str, usize); 3] = [("/crawl", 3), ("/shop", 9), ("/pay", 3)];
/// Requests that can be under way at once.
const CLIENTS: usize = 200;

/// The routes of a flood to that upstream: its paths by priority.
pub fn routes(upstream: &str) -> String {
    format!(
        "routes:\n  /pay: {{ to: {upstream}, priority: critical }}\n  /shop: {{ to: {upstream} }}\n  \
         /crawl: {{ to: {upstream}, priority: background }}\n"
    )
}

/// What came of a flood once the gateway knew of it.
#[derive(Debug)]
pub struct Outcome {
    /// Served of what could be.
    pub good: f64,
    /// Of background, normal and critical requests, the share that was served.
    pub shares: [f64; 3],
    /// The most that was outstanding.
    pub most: usize,
}

/// Floods a gateway for so many rounds, after as many as it may take to find out.
pub fn flood(gateway: &Gateway, (first, then): (usize, usize)) -> Outcome {
    let tallies = Tallies::default();
    let (jobs, inbox) = mpsc::channel();
    let inbox = Mutex::new(inbox);
    std::thread::scope(|scope| {
        (0..CLIENTS).for_each(|_| drop(scope.spawn(|| client(gateway, &inbox, &tallies))));
        rounds(first, &jobs, &tallies);
        let before = tallies.counts();
        let (lost, most) = rounds(then, &jobs, &tallies);
        let after = tallies.counts();
        drop(jobs);
        let share = |class: usize| {
            let ((sent, served), (sent_before, served_before)) = (after[class], before[class]);
            (served - served_before) as f64 / (sent - sent_before) as f64
        };
        Outcome { good: 1.0 - lost as f64 / (then * ROUND) as f64, shares: [share(0), share(1), share(2)], most }
    })
}

impl Outcome {
    /// That nine tenths of what could be served was, critical requests are unharmed, and the least important go first.
    #[track_caller]
    pub fn assert_good(&self) {
        let [background, normal, critical] = self.shares;
        assert!(self.good >= 0.9, "too many were turned away: {self:?}");
        assert!(critical >= 0.95, "critical requests were turned away: {self:?}");
        assert!(
            background < 0.1 && background < normal && normal < critical,
            "not the least important first: {self:?}"
        );
        assert!(self.most < CLIENTS, "work waits without end: {self:?}");
    }
}

/// Requests of one priority so far.
#[derive(Default)]
struct Tally {
    sent: AtomicUsize,
    served: AtomicUsize,
    refused: AtomicUsize,
}

#[derive(Default)]
struct Tallies([Tally; 3]);

impl Tallies {
    fn served(&self) -> usize {
        self.0.iter().map(|tally| tally.served.load(SeqCst)).sum()
    }

    fn outstanding(&self) -> usize {
        let (sent, done) = self.0.iter().fold((0, 0), |(sent, done), tally| {
            let (served, refused) = (tally.served.load(SeqCst), tally.refused.load(SeqCst));
            (sent + tally.sent.load(SeqCst), done + served + refused)
        });
        sent.saturating_sub(done)
    }

    /// Sent and served, by priority.
    fn counts(&self) -> [(usize, usize); 3] {
        self.0.each_ref().map(|tally| (tally.sent.load(SeqCst), tally.served.load(SeqCst)))
    }
}

/// Sends what it is told to, each over a connection that stays while it may.
fn client(gateway: &Gateway, jobs: &Mutex<mpsc::Receiver<usize>>, tallies: &Tallies) {
    let mut client = Client::connect(gateway.address());
    loop {
        let job = jobs.lock().expect("jobs").recv();
        let Ok(class) = job else { return };
        let response = client.send(&Request::get(ASKED[class].0));
        let tally = &tallies.0[class];
        if response.status == 200 {
            tally.served.fetch_add(1, SeqCst);
        } else {
            assert_eq!(response.json()["type"], "urn:tollgate:problem:overloaded");
            tally.refused.fetch_add(1, SeqCst);
        }
        if !response.keeps_alive() {
            client = Client::connect(gateway.address());
        }
    }
}

/// Runs so many rounds. Returns how much of what could be served was not, since nothing was there to serve, and the most
/// that was outstanding.
fn rounds(count: usize, jobs: &mpsc::Sender<usize>, tallies: &Tallies) -> (usize, usize) {
    let (begun, mut lost, mut most) = (tallies.served(), 0, 0);
    for round in 1..=count {
        for (class, (_, requests)) in ASKED.iter().enumerate() {
            tallies.0[class].sent.fetch_add(*requests, SeqCst);
            (0..*requests).for_each(|_| jobs.send(class).expect("clients"));
        }
        most = most.max(tallies.outstanding());
        let share = begun + round * ROUND;
        wait::until("the worker has done its share", || tallies.served() + lost >= share || tallies.outstanding() == 0);
        lost = lost.max(share.saturating_sub(tallies.served()));
    }
    (lost, most)
}
