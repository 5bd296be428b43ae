//! The thread that writes, and what it shares with the workers.
//!
//! A worker formats its line into a buffer of its own, under a lock that only this thread also takes, and only to swap
//! the buffer for an empty one. This thread comes round ten times a second, or when a worker's buffer has filled to
//! [`WAKE_AT`]. While it is stuck in a write, buffers fill to their bound and then lines are dropped.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use super::entry::AccessEntry;
use super::line::{self, Shape};
use super::redact::Redaction;
use super::sink::Sink;
use crate::observe::worker::Padded;
use crate::observe::{TimeText, Worker};

/// Bytes in a worker's buffer at which the writing thread is woken.
const WAKE_AT: usize = 64 * 1024;
/// Between two rounds when nobody wakes the thread.
const ROUND: Duration = Duration::from_millis(100);
/// Buffers that grew beyond this are given back once written.
const KEEP: usize = 4 * WAKE_AT;

/// What workers, the writing thread and those who give it orders share.
pub(super) struct Shared {
    buffers: Box<[Padded<Mutex<Buffer>>]>,
    /// Bound of one worker's buffer in bytes.
    bound: usize,
    /// Whether lines go anywhere. Only a hint: what counts is the writer's sink.
    on: AtomicBool,
    dropped: Arc<AtomicU64>,
    orders: Mutex<Orders>,
    round_done: Condvar,
    writer: OnceLock<Thread>,
}

/// How lines are written.
#[derive(Clone, Debug)]
pub(super) struct Format {
    pub(super) shape: Shape,
    pub(super) redaction: Arc<Redaction>,
}

/// One worker's lines that wait to be written.
struct Buffer {
    lines: Vec<u8>,
    format: Format,
    clock: TimeText,
}

impl Buffer {
    const fn new(format: Format) -> Self {
        let clock = TimeText::new(format.shape.time_style());
        Self { lines: Vec::new(), format, clock }
    }

    /// Takes over the format of `fresh`; gives back what it had, to be freed when the lock is no longer held.
    fn reform(&mut self, fresh: Self) -> (Format, TimeText) {
        let Self { format, clock, .. } = fresh;
        (std::mem::replace(&mut self.format, format), std::mem::replace(&mut self.clock, clock))
    }

    fn push(&mut self, entry: &AccessEntry<'_>) {
        let Self { lines, format, clock } = self;
        match format.shape {
            Shape::Json => line::write_json(entry, &format.redaction, clock, lines),
            Shape::Text => line::write_text(entry, &format.redaction, clock, lines),
        }
    }
}

/// What the writing thread is to do besides writing.
#[derive(Default)]
struct Orders {
    switch: Option<(Sink, Format)>,
    reopen: bool,
    stop: bool,
    stopped: bool,
    /// Rounds asked for by those who wait for one, and the last of them that is done.
    rounds_wanted: u64,
    rounds_done: u64,
}

impl Shared {
    pub(super) fn new(workers: usize, bound: usize, format: &Format, dropped: Arc<AtomicU64>) -> Self {
        let buffer = || Padded(Mutex::new(Buffer::new(format.clone())));
        Self {
            buffers: (0..workers.max(1)).map(|_| buffer()).collect(),
            bound,
            on: AtomicBool::new(false),
            dropped,
            orders: Mutex::default(),
            round_done: Condvar::new(),
            writer: OnceLock::new(),
        }
    }

    /// Takes a line, or drops and counts it if the worker's buffer is full. Waits for nothing but the swap of a buffer.
    pub(super) fn is_on(&self) -> bool {
        self.on.load(Ordering::Relaxed)
    }

    pub(super) fn record(&self, worker: Worker, entry: &AccessEntry<'_>) {
        if !self.on.load(Ordering::Relaxed) {
            return;
        }
        let Some(buffer) = self.buffers.get(worker.0).or(self.buffers.first()) else { return };
        let mut buffer = buffer.lock();
        let before = buffer.lines.len();
        if before >= self.bound {
            drop(buffer);
            self.count_dropped(1);
            return;
        }
        buffer.push(entry);
        let after = buffer.lines.len();
        drop(buffer);
        if before < WAKE_AT && after >= WAKE_AT {
            self.wake();
        }
    }

    pub(super) fn set_on(&self, sink: &Sink) {
        self.on.store(sink.is_on(), Ordering::Relaxed);
    }

    pub(super) fn set_writer(&self, thread: Thread) {
        // It is started once.
        let _ = self.writer.set(thread);
    }

    /// Orders the file to be opened again.
    pub(super) fn reopen(&self) {
        self.orders.lock().reopen = true;
        self.wake();
    }

    /// Orders another sink and format.
    pub(super) fn switch(&self, sink: Sink, format: Format) {
        self.orders.lock().switch = Some((sink, format));
        self.wake();
    }

    /// Orders the thread to write what is there and end.
    pub(super) fn stop(&self) {
        self.orders.lock().stop = true;
        self.wake();
    }

    /// Waits until all that was recorded and ordered before is done; `false` if it was not within `patience`.
    pub(super) fn flush(&self, patience: Duration) -> bool {
        self.wait_for_round(|_| {}, patience)
    }

    /// Orders the thread to end and waits until it has written what is there; `false` if it did not within `patience`.
    pub(super) fn flush_and_stop(&self, patience: Duration) -> bool {
        self.wait_for_round(|orders| orders.stop = true, patience)
    }

    /// Gives an order and waits for the round that follows it. Both under one lock: a round in between would be the
    /// thread's last if the order is to stop.
    fn wait_for_round(&self, order: impl FnOnce(&mut Orders), patience: Duration) -> bool {
        let deadline = Instant::now() + patience;
        let mut orders = self.orders.lock();
        order(&mut orders);
        orders.rounds_wanted += 1;
        let mine = orders.rounds_wanted;
        self.wake();
        while orders.rounds_done < mine && !orders.stopped {
            if self.round_done.wait_until(&mut orders, deadline).timed_out() {
                break;
            }
        }
        orders.rounds_done >= mine
    }

    fn wake(&self) {
        if let Some(thread) = self.writer.get() {
            thread.unpark();
        }
    }

    fn count_dropped(&self, lines: u64) {
        if lines > 0 {
            self.dropped.fetch_add(lines, Ordering::Relaxed);
        }
    }
}

/// The writing thread's own things.
pub(super) struct Writer {
    shared: Arc<Shared>,
    sink: Sink,
    /// An empty buffer, to be swapped for a full one.
    spare: Vec<u8>,
}

impl Writer {
    pub(super) fn new(shared: Arc<Shared>, sink: Sink) -> Self {
        shared.set_on(&sink);
        Self { shared, sink, spare: Vec::new() }
    }

    /// Writes until told to stop.
    pub(super) fn run(mut self) {
        while self.round() {
            // Whoever gives an order unparks this thread after giving it, so no order waits for the next round.
            if self.sink.is_on() {
                thread::park_timeout(ROUND);
            } else {
                thread::park();
            }
        }
    }

    /// Follows the orders and writes what there is; `false` once told to stop.
    fn round(&mut self) -> bool {
        let mut orders = self.shared.orders.lock();
        let switch = orders.switch.take();
        let reopen = std::mem::take(&mut orders.reopen);
        let (stop, round) = (orders.stop, orders.rounds_wanted);
        drop(orders);

        if stop {
            self.shared.on.store(false, Ordering::Relaxed);
        }
        self.drain(switch.as_ref().map(|(_, format)| format));
        if let Some((sink, _)) = switch {
            self.sink = sink;
            self.shared.set_on(&self.sink);
        } else if reopen {
            self.sink.reopen();
        }

        let mut orders = self.shared.orders.lock();
        orders.rounds_done = round;
        orders.stopped = stop;
        drop(orders);
        self.shared.round_done.notify_all();
        !stop
    }

    /// Writes every worker's lines to the sink of now, and gives the workers the format of later lines, if it changes.
    fn drain(&mut self, format: Option<&Format>) {
        let shared = Arc::clone(&self.shared);
        for buffer in &shared.buffers {
            let fresh = format.cloned().map(Buffer::new);
            let mut buffer = buffer.lock();
            let lines = std::mem::replace(&mut buffer.lines, std::mem::take(&mut self.spare));
            let replaced = fresh.map(|fresh| buffer.reform(fresh));
            drop(buffer);
            drop(replaced);
            self.shared.count_dropped(self.sink.write(&lines));
            self.spare = lines;
            self.spare.clear();
            self.spare.shrink_to(KEEP);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_spare_buffer_goes_round_and_does_not_stay_large() {
        let format = Format { shape: Shape::Json, redaction: Arc::default() };
        let shared = Arc::new(Shared::new(2, 1 << 20, &format, Arc::default()));
        let mut writer = Writer::new(Arc::clone(&shared), Sink::to(std::io::sink()));
        shared.buffers[0].lock().lines = vec![b'\n'; 2 * KEEP];
        writer.drain(None);
        assert!(shared.buffers[0].lock().lines.is_empty());
        assert!(writer.spare.capacity() <= KEEP);
    }
}
