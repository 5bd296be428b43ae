//! Several gateways on one store, with clocks that an adversary moves by hand, answers that are late, and returns that get
//! lost: what they let pass together stays within the rate and gateways × batch, in every window.

use super::counter::{Answer, Ask, Bearing, Measure};
use super::lease::{LeaseKey, Leases, Source, Taken};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use std::sync::Arc;
use std::time::Duration;

const KEY: LeaseKey = (1, 1);

/// What `counter.lua` does for a rate; the two are held together by the tests against a real server.
struct Model {
    now: f64,
    tat: f64,
}

impl Model {
    fn decide(&mut self, ask: &Ask) -> Answer {
        let Measure::Rate { interval, depth } = ask.measure else { panic!("only rates are simulated") };
        let ahead = (self.tat - self.now).max(0.0);
        let fits = ((depth - ahead + 0.05) / interval).floor().max(0.0);
        let granted = if ask.bearing == Bearing::Forced { ask.most as f64 } else { fits.min(ask.most as f64) };
        if ask.bearing != Bearing::Forced && granted < ask.least as f64 {
            let wait = Duration::from_secs_f64((ahead + ask.least as f64 * interval - depth) / 1e6);
            return Answer { granted: 0, remaining: fits as u64, wait };
        }
        let ahead = (ahead + granted * interval).max(0.0);
        self.tat = self.now + ahead;
        Answer { granted: granted.max(0.0) as u64, remaining: 0, wait: Duration::ZERO }
    }
}

/// A gateway, and the answers on their way to it.
struct Gateway {
    leases: Leases,
    late: Vec<Answer>,
}

/// Plays one game; the moments at which requests passed, in microseconds.
fn play(seed: u64, gateways: usize, source: &Arc<Source>, steps: usize) -> Vec<f64> {
    let mut random = SmallRng::seed_from_u64(seed);
    let mut model = Model { now: 1e9, tat: 0.0 };
    let mut all: Vec<Gateway> = (0..gateways).map(|_| Gateway { leases: Leases::new(64), late: Vec::new() }).collect();
    let mut passed = Vec::new();
    for _ in 0..steps {
        model.now += random.gen_range(0.0..4_000.0);
        let gateway = &mut all[random.gen_range(0..gateways)];
        // Forwards, backwards, far away: whatever this gateway believes.
        let mut clock = || Duration::from_micros(random.gen_range(0..20_000_000));
        let (taken, top_up) = gateway.leases.take(KEY, clock(), 1);
        let want = match (&taken, &top_up) {
            (Taken::Passes { .. }, None) | (Taken::Refused { .. }, _) => None,
            (Taken::Passes { .. }, Some(_)) => Some((0, 0)),
            (Taken::Short, _) => Some((1, 1)),
        };
        if matches!(taken, Taken::Passes { .. }) {
            passed.push(model.now);
        }
        let ask = want.and_then(|costs| gateway.leases.ask(KEY, clock(), source, costs));
        if let Some(ask) = ask {
            let answer = model.decide(&ask);
            gateway.late.push(answer);
        }
        if random.gen_bool(0.8) {
            for answer in std::mem::take(&mut gateway.late) {
                let now = Duration::from_micros(random.gen_range(0..20_000_000));
                gateway.leases.grant(KEY, now, &answer);
            }
            // Who waited tries again.
            let now = Duration::from_micros(random.gen_range(0..20_000_000));
            if matches!(taken, Taken::Short) && matches!(gateway.leases.take(KEY, now, 1).0, Taken::Passes { .. }) {
                match random.gen_bool(0.1) {
                    true => gateway.leases.give_back(KEY, 1), // another limit refused it
                    false => passed.push(model.now),
                }
            }
        }
        if random.gen_bool(0.02) {
            let now = Duration::from_micros(random.gen_range(0..40_000_000));
            for ask in gateway.leases.sweep(now) {
                if random.gen_bool(0.9) {
                    model.decide(&ask);
                }
            }
        }
    }
    passed
}

#[test]
fn whatever_their_clocks_do_gateways_pass_the_rate_and_their_leases_at_most() {
    for (rate, burst, batch) in [(1_000.0, 50.0, 20), (200.0, 20.0, 5), (5_000.0, 400.0, 400)] {
        let interval = 1e6 / rate;
        let measure = Measure::Rate { interval, depth: interval * burst };
        let source = Arc::new(Source { key: "k".into(), measure, batch });
        for seed in 0..60 {
            let gateways = 1 + usize::try_from(seed % 5).unwrap();
            let passed = play(seed, gateways, &source, 1_500);
            let bound = burst + f64::from(batch) * gateways as f64 + 1e-6;
            // The most that passed in any window beyond the rate, from the front: the largest rise of passed − rate × time.
            let mut lowest = f64::INFINITY;
            for (index, at) in passed.iter().enumerate() {
                let grown = index as f64 - at * rate / 1e6;
                lowest = lowest.min(grown);
                let excess = grown + 1.0 - lowest;
                assert!(excess <= bound + 0.01, "seed {seed}: {excess} of {bound}");
            }
        }
    }
}

#[test]
fn honest_clocks_waste_little() {
    let measure = Measure::Rate { interval: 1_000.0, depth: 100_000.0 };
    let source = Arc::new(Source { key: "k".into(), measure, batch: 10 });
    let (leases, mut model, mut passed) = (Leases::new(64), Model { now: 1e9, tat: 0.0 }, 0_u32);
    // Twice the rate for two seconds: 2,000 accrue, and 100 were there.
    for step in 0..4_000_u64 {
        model.now += 500.0;
        let now = Duration::from_micros(step * 500);
        let (mut taken, top_up) = leases.take(KEY, now, 1);
        if taken == Taken::Short || top_up.is_some() {
            let costs = if taken == Taken::Short { (1, 1) } else { (0, 0) };
            if let Some(ask) = leases.ask(KEY, now, &source, costs) {
                leases.grant(KEY, now, &model.decide(&ask));
            }
            if taken == Taken::Short {
                taken = leases.take(KEY, now, 1).0;
            }
        }
        passed += u32::from(matches!(taken, Taken::Passes { .. }));
    }
    assert!((2_079..=2_101).contains(&passed), "{passed}");
}
