//! Upstreams: from the written form to settings, and from settings and the running ones to new ones.

use super::Compiling;
use super::routes::on_or;
use crate::config::{
    BalanceConfig, BreakerScope, EjectionConfig, EndpointConfig, HashConfig, HealthConfig, OverloadConfig,
    UpstreamConfig, UpstreamTlsConfig,
};
use crate::upstream::{
    Balance, BreakerSpec, CheckKind, ClientIdentity, EjectionSpec, EndpointSpec, Family, HashOn, HealthSpec, Host,
    Labels, OverloadSpec, Protocol, Timeouts, TlsSpec, Transport, Upstream, UpstreamSpec, Verify, ZoneSpec,
};
use crate::value::{self, OrOff, Percent, Place, Scheme, Spanned, Url};
use http::HeaderName;
use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

const CONNECT: Duration = Duration::from_secs(2);
const WRITE: Duration = Duration::from_secs(30);
const IDLE: Duration = Duration::from_secs(55);
/// A route's own timeout is far shorter; this bounds routes without one.
const READ: Duration = Duration::from_secs(600);
const DNS_INTERVAL: Duration = Duration::from_secs(10);
const H2_STREAMS: usize = 100;
const PANIC: Percent = Percent::new(50);
const SPILL: Percent = Percent::new(70);

/// The upstreams of a compilation, and which of them are used.
pub(super) struct Upstreams {
    compiled: BTreeMap<String, Arc<Upstream>>,
    /// Names that were written, compiled or not: a route that names one with a problem has none of its own.
    written: BTreeSet<String>,
    used: BTreeSet<String>,
}

impl Upstreams {
    pub(super) fn get(&mut self, name: &str) -> Option<Arc<Upstream>> {
        self.used.insert(name.to_owned());
        self.compiled.get(name).cloned()
    }

    pub(super) fn is_written(&self, name: &str) -> bool {
        self.written.contains(name)
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.written.iter().map(String::as_str)
    }

    pub(super) fn into_compiled(self) -> BTreeMap<String, Arc<Upstream>> {
        self.compiled
    }
}

impl Compiling<'_> {
    /// All named upstreams.
    pub(super) fn upstreams(&mut self) -> Upstreams {
        let mut all = Upstreams { compiled: BTreeMap::new(), written: BTreeSet::new(), used: BTreeSet::new() };
        all.written.extend(self.loaded.written_names("upstreams").into_iter().map(str::to_owned));
        let mut subsets = super::subsets::asked_for(&self.loaded.config);
        self.affinity_cookies();
        for (name, written) in self.loaded.config.upstreams.iter() {
            all.written.insert(name.value.clone());
            let subsets = subsets.remove(name.value.as_str()).unwrap_or_default();
            if let Some(spec) =
                self.spec(name, written).map(|spec| UpstreamSpec { subsets: subsets.into_iter().collect(), ..spec })
                && let Some(upstream) = self.upstream(spec, name.place)
            {
                all.compiled.insert(name.value.clone(), upstream);
            }
        }
        all
    }

    /// An upstream that a route writes down itself, named after the route.
    pub(super) fn inline(
        &mut self,
        all: &mut Upstreams,
        name: &str,
        endpoints: &[(&EndpointConfig, Place)],
    ) -> Option<Arc<Upstream>> {
        if let Some(known) = all.compiled.get(name) {
            return Some(Arc::clone(known));
        }
        let written = UpstreamConfig {
            endpoints: endpoints.iter().map(|(endpoint, place)| Spanned::new((*endpoint).clone(), *place)).collect(),
            ..UpstreamConfig::default()
        };
        let place = endpoints.first().map_or(Place::NOWHERE, |(_, place)| *place);
        for (endpoint, place) in endpoints {
            crate::config::check_weight(endpoint.weight, *place, &mut self.problems);
        }
        let spec = self.spec(&Spanned::new(name.to_owned(), place), &written)?;
        let upstream = self.upstream(spec, place)?;
        all.used.insert(name.to_owned());
        all.compiled.insert(name.to_owned(), Arc::clone(&upstream));
        Some(upstream)
    }

    /// Upstreams that no route names.
    pub(super) fn warn_unused(&mut self, all: &Upstreams) {
        if self.is_fatal() {
            return; // the route that names one may have been left out
        }
        for (name, _) in self.loaded.config.upstreams.iter() {
            if !all.used.contains(&name.value) {
                self.problems.warn(name.place, format!("upstream `{}` is used by no route", name.value));
            }
        }
    }

    fn upstream(&mut self, spec: UpstreamSpec, place: Place) -> Option<Arc<Upstream>> {
        let previous = self.surroundings.previous.and_then(|previous| previous.upstreams.get(&spec.name));
        match Upstream::new(spec, previous.map(Arc::as_ref), self.surroundings.seed) {
            Ok(upstream) => Some(upstream),
            Err(error) => {
                self.problems.error(place, error.to_string());
                None
            }
        }
    }

    fn spec(&mut self, name: &Spanned<String>, written: &UpstreamConfig) -> Option<UpstreamSpec> {
        let mut endpoints: Vec<EndpointSpec> = written
            .endpoints
            .iter()
            .map(|written| EndpointSpec {
                zone: written.zone.as_deref().map(Into::into),
                labels: super::subsets::labels(&written.labels),
                ..endpoint(&written.url, written.weight.value)
            })
            .collect();
        let mut dns_interval = DNS_INTERVAL;
        if let Some(discover) = &written.discover {
            match format!("{}://{}:{}", discover.scheme, discover.dns, discover.port).parse::<Url>() {
                Ok(url) => endpoints.push(endpoint(&url, 1)),
                Err(error) => {
                    self.problems.error(discover.place, error.to_string());
                }
            }
            dns_interval = discover.interval.get();
        }
        if endpoints.is_empty() {
            return None; // said by the written type's check
        }
        let get = |duration: Option<value::Duration>, default: Duration| duration.map_or(default, value::Duration::get);
        let connect = get(written.connect_timeout, CONNECT);
        Some(UpstreamSpec {
            name: name.value.clone(),
            endpoints,
            subsets: Vec::new(),
            balance: balance(&written.balance),
            affinity: self.affinity(written),
            health: written.health.as_ref().map(health),
            ejection: match &written.ejection {
                Some(OrOff::Off) => None,
                Some(OrOff::On(written)) => Some(ejection(written)),
                None => Some(ejection(&EjectionConfig::default())),
            },
            panic_threshold: written.panic.unwrap_or(PANIC).fraction(),
            tls: self.upstream_tls(name, &written.tls)?,
            timeouts: Timeouts {
                connect,
                total_connect: connect * 2,
                read: get(written.read_timeout, READ),
                write: get(written.write_timeout, WRITE),
                idle: get(written.idle_timeout, IDLE),
            },
            breaker: breaker(written, BreakerScope::Upstream),
            endpoint_breaker: breaker(written, BreakerScope::Endpoint),
            slow_start: written.slow_start.map(value::Duration::get),
            zone: self.zone(name, written),
            max_in_flight: written.max_in_flight.map(|most| most.value),
            overload: on_or(written.overload.as_ref(), OverloadSpec::USUAL, |overload| self::overload(overload)),
            h2_streams: written.h2_streams.map_or(H2_STREAMS, usize::from),
            dns_interval,
            family: Family::default(),
        })
    }

    /// The preferred zone, where there is one; endpoints whose zone makes no difference are told.
    fn zone(&mut self, name: &Spanned<String>, written: &UpstreamConfig) -> Option<ZoneSpec> {
        let own = written.zone.as_ref().or(self.loaded.config.server.zone.as_ref());
        let zoned = written.endpoints.iter().any(|endpoint| endpoint.zone.is_some());
        if own.is_none() && zoned {
            self.problems
                .warn(
                    name.place,
                    format!("endpoints of upstream `{}` have zones, and this gateway has none", name.value),
                )
                .hint("write `server: { zone: … }`, or `zone:` beside the endpoints");
        }
        let spill_below = written.spill_below.unwrap_or(SPILL).fraction();
        own.filter(|_| zoned).map(|own| ZoneSpec { own: own.as_str().into(), spill_below })
    }

    fn upstream_tls(&mut self, name: &Spanned<String>, written: &UpstreamTlsConfig) -> Option<TlsSpec> {
        let ca = written.ca.as_ref().map(|path| self.read_file(path)).transpose_some()?;
        let client = match (&written.cert, &written.key) {
            (Some(cert), Some(key)) => Some(ClientIdentity { chain: self.read_file(cert)?, key: self.read_file(key)? }),
            _ => None,
        };
        if !written.verify {
            self.problems
                .warn(name.place, format!("certificates of upstream `{}` are not verified", name.value))
                .hint("name their CA with `ca:` instead of `verify: false`");
        }
        let verify = if written.verify { Verify::Full } else { Verify::Off };
        Some(TlsSpec { ca, client, sni: written.sni.clone(), verify })
    }

    /// The content of a file, or a problem at the place that names it.
    pub(super) fn read_file(&mut self, path: &Spanned<String>) -> Option<Vec<u8>> {
        let full = self.sources().resolve(path.place, &path.value);
        match std::fs::read(&full) {
            Ok(content) => Some(content),
            Err(error) => {
                self.problems.error(path.place, format!("{} cannot be read: {error}", full.display()));
                None
            }
        }
    }
}

/// `Option<Option<T>>` where the inner `None` means that a problem was recorded.
trait TransposeSome<T> {
    fn transpose_some(self) -> Option<Option<T>>;
}

impl<T> TransposeSome<T> for Option<Option<T>> {
    fn transpose_some(self) -> Option<Option<T>> {
        match self {
            None => Some(None),
            Some(inner) => inner.map(Some),
        }
    }
}

fn endpoint(url: &Url, weight: u32) -> EndpointSpec {
    let protocol = match url.scheme {
        Scheme::H2 | Scheme::H2c => Protocol::Http2,
        Scheme::Http | Scheme::Https => Protocol::Http1,
    };
    EndpointSpec {
        host: match &url.host {
            value::Host::Ip(address) => Host::Ip(*address),
            value::Host::Name(name) => Host::Name(name.clone()),
        },
        port: url.port,
        protocol,
        transport: if url.scheme.is_tls() { Transport::Tls } else { Transport::Plain },
        weight: NonZeroU32::new(weight).unwrap_or(NonZeroU32::MIN),
        label: url.to_string(),
        zone: None,
        labels: Labels::default(),
    }
}

fn balance(written: &BalanceConfig) -> Balance {
    match written {
        BalanceConfig::RoundRobin => Balance::RoundRobin,
        BalanceConfig::Random => Balance::Random,
        BalanceConfig::LeastRequests => Balance::LeastRequests,
        BalanceConfig::PeakEwma => Balance::PeakEwma,
        BalanceConfig::Hash(HashConfig::Client) => Balance::Hash(HashOn::Client),
        BalanceConfig::Hash(HashConfig::Path) => Balance::Hash(HashOn::Path),
        BalanceConfig::Hash(HashConfig::Cookie(name)) => Balance::Hash(HashOn::Cookie(name.clone())),
        // The name was parsed when it was read.
        BalanceConfig::Hash(HashConfig::Header(name)) => HeaderName::from_bytes(name.as_bytes())
            .map_or(Balance::Hash(HashOn::Client), |name| Balance::Hash(HashOn::Header(name))),
    }
}

fn health(written: &HealthConfig) -> HealthSpec {
    let kind = match &written.path {
        _ if written.grpc.is_some() => {
            CheckKind::Grpc { service: written.grpc.as_ref().map(|service| service.value.clone()).unwrap_or_default() }
        }
        Some(path) if !written.tcp => CheckKind::Http {
            path: path.value.clone(),
            host: written.host.clone(),
            statuses: written.statuses.iter().map(|range| range.first..=range.last).collect(),
        },
        _ => CheckKind::Tcp,
    };
    HealthSpec {
        kind,
        port: written.port,
        interval: written.interval.get(),
        timeout: written.timeout.get(),
        healthy_after: written.healthy_after,
        unhealthy_after: written.unhealthy_after,
    }
}

fn ejection(written: &EjectionConfig) -> EjectionSpec {
    EjectionSpec {
        after: written.after,
        base: written.lasting.get(),
        longest: written.longest.get(),
        at_most: written.at_most.fraction(),
    }
}

fn overload(written: &OverloadConfig) -> OverloadSpec {
    OverloadSpec { at_least: written.at_least, tolerance: written.tolerance }
}

/// The breaker of that scope, if there is one.
fn breaker(written: &UpstreamConfig, scope: BreakerScope) -> Option<BreakerSpec> {
    let written = written.breaker.as_ref().filter(|breaker| breaker.per == scope)?;
    Some(BreakerSpec {
        open_at: written.open_at.fraction(),
        of_at_least: written.of_at_least,
        lasting: written.lasting.get(),
        window: written.window.get(),
        probes: written.probes,
    })
}
