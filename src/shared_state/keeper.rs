//! Keeps the connection, on a thread of its own: answers must not wait for health checks or a scrape of the metrics.

use super::counter::CounterStore as _;
use super::courier::{self, Errand};
use super::purges;
use super::store::Store;
use super::wire::Wire;
use rand::Rng as _;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};

/// How often the gateway says that it is there.
const HEARTBEAT: Duration = Duration::from_secs(2);
/// How long the store may take to answer who keeps the connection.
const ANSWER: Duration = Duration::from_secs(1);
/// Between two tries to connect, at first and at most; each wait is half of it or more, by chance.
const PAUSES: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(1));
/// How often leases are looked through for what lies unused.
const SWEEP: Duration = Duration::from_millis(500);
/// What returning the leases may take at the end.
const FAREWELL: Duration = Duration::from_millis(200);

/// Runs until told to stop.
pub(super) async fn run(
    store: Arc<Store>,
    mut inbox: mpsc::UnboundedReceiver<Errand>,
    mut stop: watch::Receiver<bool>,
) {
    let id = format!("{:016x}", rand::thread_rng().r#gen::<u64>());
    tokio::select! {
        () = keep_connected(&store, &id) => {}
        () = courier::run(&store, &mut inbox) => {}
        () = sweep(&store) => {}
        () = purges::run(&store) => {}
        _ = stop.wait_for(|over| *over) => {}
    }
    let unused = store.leases().drain();
    if !unused.is_empty() {
        let _ = tokio::time::timeout(FAREWELL, store.decide(&unused)).await;
    }
    store.breaker().observe::<()>(&Err(super::StoreError::Connection));
    store.connect(None);
}

async fn keep_connected(store: &Store, id: &str) {
    let mut pause = PAUSES.0;
    let mut told = false;
    loop {
        match connect(store, id).await {
            Ok(wire) => {
                store.connect(Some(Box::new(wire)));
                log::info!("shared state: {} answers, {} gateways", store.describe(), store.gateways());
                (pause, told) = (PAUSES.0, false);
                while_connected(store, id).await;
                store.connect(None);
                log::warn!("shared state: {} is out of reach", store.describe());
            }
            Err(why) => {
                store.connect(None);
                store.metrics().failed("connect");
                if !std::mem::replace(&mut told, true) {
                    log::warn!("shared state: {} cannot be reached: {why}", store.describe());
                }
            }
        }
        let part = rand::thread_rng().gen_range(0.5..1.0);
        tokio::time::sleep(pause.mul_f64(part)).await;
        pause = (pause * 2).min(PAUSES.1);
    }
}

/// A connection over which the store has answered, and may be written to.
async fn connect(store: &Store, id: &str) -> Result<Wire, String> {
    let wire = Wire::connect(store.plan()).await?;
    let answer = tokio::time::timeout(ANSWER, wire.presence(id)).await;
    let gateways = answer.map_err(|_| "it does not answer".to_owned())?.map_err(|error| error.to_string())?;
    store.set_gateways(gateways);
    Ok(wire)
}

async fn while_connected(store: &Store, id: &str) {
    let mut beats = tokio::time::interval(HEARTBEAT);
    beats.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = store.breaker().tripped() => return,
            _ = beats.tick() => {}
        }
        let Some(connected) = store.connected() else { return };
        let answer =
            tokio::time::timeout(ANSWER, connected.presence(id)).await.unwrap_or(Err(super::StoreError::Timeout));
        match answer {
            Ok(gateways) => store.set_gateways(gateways),
            Err(_) => {
                store.breaker().observe::<()>(&Err(super::StoreError::Connection));
                return;
            }
        }
    }
}

async fn sweep(store: &Store) {
    let mut ticks = tokio::time::interval(SWEEP);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        store.leases().sweep(store.age()).into_iter().for_each(|ask| store.tell(ask));
    }
}
