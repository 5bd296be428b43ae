//! Overload of the gateway itself, over real sockets: one worker that is asked for three times what it can do.
//!
//! What a request takes is the worker's own time: the thread is kept busy, as by work of the processor. Everything is
//! counted, nothing timed: for every request that the worker serves three more come in, so that it is always asked for
//! three times what it does, however fast the machine is. When nothing is left to serve before the worker has done its
//! share of a round, that share was lost by turning too many away.

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use tollgate::exchange::{Answer, Answering, Exchange, Incoming};
use tollgate::reply::Fixed;

use crate::support::client::{Client, Request};
use crate::support::gateway::Gateway;
use crate::support::origin::Origin;
use crate::support::service::Service;
use crate::support::wait;

/// Keeps the worker busy: waits for its turn as a request that is under way does, then holds the thread.
struct Work(Service);

impl Exchange for Work {
    fn answer(self: Arc<Self>, _: Incoming) -> Answering {
        Box::pin(async move {
            tokio::task::yield_now().await;
            self.0.serve();
            Ok(Answer::Whole(Fixed { status: StatusCode::OK, fields: Vec::new(), body: Bytes::from_static(b"done") }))
        })
    }

    fn describe(&self) -> Vec<String> {
        vec!["works".into()]
    }
}

/// What is served in a round, and the requests of one: three times as many, a fifth of them critical, a fifth background.
const ROUND: usize = 5;
const ASKED: [(&str, usize); 3] = [("/crawl", 3), ("/shop", 9), ("/pay", 3)];
/// Requests that can be under way at once.
const CLIENTS: usize = 200;

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
        wait::until("the worker has done its share", || {
            tallies.served() + lost >= share || tallies.outstanding() == 0
        });
        lost = lost.max(share.saturating_sub(tallies.served()));
    }
    (lost, most)
}

#[test]
fn a_gateway_asked_for_three_times_what_it_can_do_does_it_and_turns_the_least_important_away() {
    let origin = Origin::echo();
    let url = origin.url();
    let work = Arc::new(Work(Service::new(1, Duration::from_millis(20))));
    let gateway = Gateway::exchanging(
        &format!(
            "server: {{ threads: 1 }}\nroutes:\n  /pay: {{ to: {url}, priority: critical }}\n  /shop: {{ to: {url} }}\n  \
             /crawl: {{ to: {url}, priority: background }}\n"
        ),
        move |_| Arc::clone(&work) as _,
    );
    let tallies = Tallies::default();
    let (jobs, inbox) = mpsc::channel();
    let inbox = Mutex::new(inbox);
    let (lost, most, counts) = std::thread::scope(|scope| {
        (0..CLIENTS).for_each(|_| drop(scope.spawn(|| client(&gateway, &inbox, &tallies))));
        // Nobody knows that a flood is coming: it is found, and the threshold settles.
        rounds(60, &jobs, &tallies);
        let before = tallies.counts();
        let (lost, most) = rounds(100, &jobs, &tallies);
        let after = tallies.counts();
        drop(jobs);
        (lost, most, [0, 1, 2].map(|class| (after[class].0 - before[class].0, after[class].1 - before[class].1)))
    });
    let share = |(sent, served): (usize, usize)| served as f64 / sent as f64;
    let [background, normal, critical] = counts.map(share);
    eprintln!("lost {lost}, most {most}, {counts:?}");
    assert!(lost <= 50, "{lost} of 500 could have been served and were not: {counts:?}");
    assert!(critical >= 0.95, "critical requests were turned away: {counts:?}");
    assert!(background <= 0.05 && background < normal && normal < critical, "{counts:?}");
    assert!(most < CLIENTS, "work waits without end: {most} requests at once");
    let shed = |priority: &str| gateway.metric("tollgate_gateway_shed_total", &[&format!("priority=\"{priority}\"")]);
    assert!(shed("background") > 0.0 && shed("normal") > 0.0);
    wait::until("everything passes again", || gateway.get("/crawl").status == 200);
}
