//! What checks and name resolution need from the process around them. Made once by whoever owns the gateway and shared
//! by all upstreams: a connector loads the system's trust store, which is too much to do for each.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use pingora_core::connectors::http::Connector;

use super::balance::mix;
use super::dns::Resolve;
use super::time::{Clock, Millis};

/// Clock, randomness, resolver and connector of background work.
pub struct Background {
    clock: Clock,
    noise: AtomicU64,
    resolver: Box<dyn Resolve>,
    connector: Connector,
}

impl Background {
    /// `seed` sets the jitter of all intervals: gateways with different ones do not check in step.
    pub fn new(clock: Clock, seed: u64, resolver: Box<dyn Resolve>) -> Background {
        Background { clock, noise: AtomicU64::new(seed), resolver, connector: Connector::new(None) }
    }

    /// The present moment.
    pub fn now(&self) -> Millis {
        self.clock.now()
    }

    pub(super) fn resolver(&self) -> &dyn Resolve {
        &*self.resolver
    }

    pub(super) fn connector(&self) -> &Connector {
        &self.connector
    }

    /// Some 64 bits, different each time.
    pub(super) fn random(&self) -> u64 {
        mix(self.noise.fetch_add(1, Relaxed))
    }
}

/// A span made up to a tenth longer or shorter, as 64 random bits have it.
pub(super) fn jittered(span: Duration, random: u64) -> Duration {
    // 0.9 to 1.1, from the upper 53 bits.
    let factor = 0.9 + 0.2 * ((random >> 11) as f64 / (1_u64 << 53) as f64);
    span.mul_f64(factor)
}
