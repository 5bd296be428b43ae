//! Overload control before a model of a service: so many workers, a queue without end, a clock moved by hand. Time is
//! counted in microseconds; random numbers are fixed.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::*;
use crate::upstream::balance::mix;

const SECOND: u64 = 1_000_000;

/// A service: workers, and what one request takes, microseconds.
#[derive(Clone, Copy)]
struct Service {
    workers: usize,
    takes: u64,
}

/// Requests a second, by priority.
type Load = [f64; 3];

/// What came of the requests of one priority.
#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    sent: u64,
    refused: u64,
    /// Answered in time.
    good: u64,
}

struct Simulation {
    overload: Overload,
    spec: OverloadSpec,
    now: u64,
    random: u64,
    /// When each worker is free again.
    workers: BinaryHeap<Reverse<u64>>,
    /// Requests under way: end, begin, priority.
    under_way: BinaryHeap<Reverse<(u64, u64, usize)>>,
    /// Answers later than this are of no use to anybody.
    patience: u64,
    tallies: [Tally; 3],
    most_waiting: u32,
}

impl Simulation {
    fn new(workers: usize) -> Self {
        Self {
            overload: Overload::default(),
            spec: OverloadSpec::USUAL,
            now: 60 * SECOND,
            random: 1,
            workers: (0..workers).map(|_| Reverse(0)).collect(),
            under_way: BinaryHeap::new(),
            patience: SECOND,
            tallies: Default::default(),
            most_waiting: 0,
        }
    }

    /// From 0 to 1, without 0.
    fn chance(&mut self) -> f64 {
        self.random += 1;
        ((mix(self.random) >> 11) + 1) as f64 / (1_u64 << 53) as f64
    }

    /// Exponential with that mean.
    fn wait(&mut self, mean: f64) -> u64 {
        (-self.chance().ln() * mean) as u64
    }

    /// Runs for so many seconds. `takes` says how long a request takes a worker, given a random number; 0 workers answer
    /// as many as come.
    fn run(&mut self, seconds: u64, load: Load, takes: impl Fn(f64) -> u64) -> [Tally; 3] {
        self.tallies = Default::default();
        let end = self.now + seconds * SECOND;
        let rate: f64 = load.iter().sum();
        let mut next = self.now + self.wait(SECOND as f64 / rate);
        while next < end {
            self.finish_until(next);
            self.now = next;
            let mut ticket = self.chance() * rate;
            let class = load.iter().position(|share| {
                ticket -= share;
                ticket <= 0.0
            });
            self.send(class.unwrap_or(1), &takes);
            next = self.now + self.wait(SECOND as f64 / rate);
        }
        self.finish_until(end);
        self.now = end;
        self.tallies
    }

    fn send(&mut self, class: usize, takes: &impl Fn(f64) -> u64) {
        self.tallies[class].sent += 1;
        if !self.overload.enter(Priority::ALL[class]) {
            self.tallies[class].refused += 1;
            return;
        }
        self.most_waiting = self.most_waiting.max(self.overload.state().waiting);
        let chance = self.chance();
        let span = takes(chance);
        let begin = self.now;
        let ends = match self.workers.pop() {
            Some(Reverse(free)) => {
                let ends = free.max(begin) + span;
                self.workers.push(Reverse(ends));
                ends
            }
            None => begin + span,
        };
        self.under_way.push(Reverse((ends, begin, class)));
    }

    fn finish_until(&mut self, moment: u64) {
        while let Some(Reverse((end, begin, class))) = self.under_way.peek().copied().filter(|next| next.0.0 <= moment)
        {
            self.under_way.pop();
            self.overload.leave();
            if end - begin <= self.patience {
                self.tallies[class].good += 1;
            }
            let latency = Duration::from_micros(end - begin);
            self.overload.observe(latency, Millis(begin / 1_000), &self.spec, Millis(end / 1_000));
        }
    }
}

/// Between half and one and a half of the mean.
fn about(mean: u64) -> impl Fn(f64) -> u64 {
    move |chance| (mean as f64 * (0.5 + chance)) as u64
}

/// A load of so many times what the service can do: a fifth background, a fifth critical.
fn load(service: Service, times: f64) -> Load {
    let capacity = service.workers as f64 * SECOND as f64 / service.takes as f64;
    [0.2, 0.6, 0.2].map(|share| share * capacity * times)
}

/// Seconds in which a flood is found to be one, and the limit settles.
const FIND_OUT: u64 = 10;

const SERVICES: [Service; 4] = [
    Service { workers: 20, takes: 50_000 },
    Service { workers: 8, takes: 5_000 },
    Service { workers: 100, takes: 20_000 },
    Service { workers: 200, takes: 200_000 },
];

#[test]
fn at_three_times_the_capacity_nearly_all_of_it_is_put_to_use_and_critical_requests_are_unharmed() {
    for service in SERVICES {
        let mut simulation = Simulation::new(service.workers);
        simulation.run(30, load(service, 0.6), about(service.takes));
        // Nobody knows that a flood is coming: that takes a few seconds, and they count too.
        let found = simulation.run(FIND_OUT, load(service, 3.0), about(service.takes));
        let then = simulation.run(60 - FIND_OUT, load(service, 3.0), about(service.takes));
        let per_second = service.workers as f64 * SECOND as f64 / service.takes as f64;
        let good = |tallies: &[Tally; 3]| tallies.iter().map(|tally| tally.good).sum::<u64>() as f64;
        let (all, rest) = (60.0 * per_second, (60 - FIND_OUT) as f64 * per_second);
        assert!(good(&found) + good(&then) >= 0.9 * all, "{} workers: {found:?} {then:?}", service.workers);
        assert!(good(&then) >= 0.9 * rest, "{} workers: {then:?}", service.workers);
        let [background, normal, critical] = then.map(|tally| tally.good as f64 / tally.sent as f64);
        assert!(critical >= 0.995, "{} workers: {then:?}", service.workers);
        assert!(background < normal && normal < critical, "{} workers: {then:?}", service.workers);
    }
}

#[test]
fn after_a_quarter_of_an_hour_of_overload_the_queue_is_no_longer_than_after_a_minute() {
    let service = Service { workers: 10, takes: 40_000 };
    let mut simulation = Simulation::new(service.workers);
    simulation.run(30, load(service, 0.6), about(service.takes));
    simulation.run(60, load(service, 3.0), about(service.takes));
    simulation.most_waiting = 0;
    simulation.run(60, load(service, 3.0), about(service.takes));
    let minute = simulation.most_waiting;
    simulation.run(900, load(service, 3.0), about(service.takes));
    simulation.most_waiting = 0;
    simulation.run(60, load(service, 3.0), about(service.takes));
    assert!(simulation.most_waiting <= minute * 3 / 2, "{minute}, then {}", simulation.most_waiting);
    // And never so long that who is let in waits longer than it has patience for.
    let longest = u64::from(simulation.most_waiting) * service.takes / service.workers as u64;
    assert!(longest <= simulation.patience, "{longest} µs");
}

#[test]
fn when_the_flood_is_over_the_limit_goes() {
    for service in SERVICES {
        let mut simulation = Simulation::new(service.workers);
        simulation.run(30, load(service, 0.6), about(service.takes));
        simulation.run(30, load(service, 3.0), about(service.takes));
        assert!(simulation.overload.state().limit.is_some(), "{} workers", service.workers);
        simulation.run(20, load(service, 0.6), about(service.takes));
        let calm = simulation.run(20, load(service, 0.6), about(service.takes));
        let refused: u64 = calm.iter().map(|tally| tally.refused).sum();
        assert_eq!((simulation.overload.state().limit, refused), (None, 0), "{} workers", service.workers);
    }
}

#[test]
fn a_service_that_is_well_is_never_refused_anything() {
    let exponential = |mean: f64| move |chance: f64| (-chance.ln() * mean) as u64;
    for service in SERVICES {
        let mut simulation = Simulation::new(service.workers);
        for times in [0.1, 0.7, 0.3, 0.65, 0.05] {
            let tallies = simulation.run(120, load(service, times), exponential(service.takes as f64));
            let refused: u64 = tallies.iter().map(|tally| tally.refused).sum();
            assert_eq!(refused, 0, "{} workers at {times}: {tallies:?}", service.workers);
        }
    }
}

/// One in a hundred takes ten times as long: then there are queues at seven tenths of the capacity, for a moment.
#[test]
fn a_service_of_very_uneven_requests_loses_next_to_nothing() {
    let service = Service { workers: 20, takes: 50_000 };
    let mut simulation = Simulation::new(service.workers);
    let uneven = |chance: f64| {
        let tail = if ((chance * 1e6) as u64).is_multiple_of(100) { 10.0 } else { 0.9 };
        (-chance.ln() * 50_000.0 * tail) as u64
    };
    simulation.run(60, load(service, 0.1), uneven);
    let [background, normal, critical] = simulation.run(600, load(service, 0.7), uneven);
    let refused = background.refused + normal.refused;
    assert!(refused * 100 < background.sent + normal.sent, "{background:?} {normal:?}");
    assert!(normal.refused * 1_000 < normal.sent && critical.refused == 0, "{normal:?} {critical:?}");
}

#[test]
fn one_slow_endpoint_of_three_is_not_taken_for_overload() {
    let mut simulation = Simulation::new(0);
    let takes = |chance: f64| if chance < 0.33 { 500_000 } else { 10_000 };
    simulation.run(30, [0.0, 1_000.0, 0.0], about(10_000));
    let tallies = simulation.run(60, [0.0, 1_000.0, 0.0], takes);
    assert_eq!(tallies[1].refused, 0);
}

#[test]
fn a_service_that_has_become_slower_keeps_its_requests_after_a_moment() {
    let mut simulation = Simulation::new(0);
    simulation.run(30, [0.0, 1_000.0, 0.0], about(10_000));
    // Slower is not overloaded: once that is found out nobody is refused any more.
    simulation.run(FIND_OUT, [0.0, 1_000.0, 0.0], about(200_000));
    let later = simulation.run(120, [0.0, 1_000.0, 0.0], about(200_000));
    assert_eq!(later[1].refused, 0, "{later:?}");
}

#[test]
fn a_few_requests_at_once_are_never_refused_however_slow_they_are() {
    let overload = Overload::default();
    for n in 0..500_u64 {
        let waiting: Vec<bool> = (0..20).map(|_| overload.enter(Priority::Background)).collect();
        assert!(waiting.iter().all(|let_in| *let_in), "{n}");
        for _ in waiting {
            overload.leave();
            let latency = Duration::from_millis(1 + n * n);
            overload.observe(latency, Millis(n * 1_000), &OverloadSpec::USUAL, Millis(n * 1_000));
        }
    }
}
