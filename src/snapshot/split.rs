//! The upstreams of a route: which of them a request goes to.
//!
//! Conditions first (`when`), then shares. Shares are drawn anew for each request, or, where the route is sticky, by a key
//! of the request. Keys are spread by weighted rendezvous hashing (D. Thaler, C. Ravishankar, "Using Name-Based Mappings To
//! Increase Hit Rates", 1998; weights after J. Schindelhauer, G. Schomaker, "Weighted Distributed Hash Tables", 2005): each
//! upstream draws a number from key and name, and the highest has the key. When a weight grows, keys move to that upstream
//! alone; when it shrinks, only keys of that upstream move. Nothing is kept, so that gateways and restarts agree.

use crate::exchange::call::Callee;
use crate::request::{RequestCx, Scheme, cookie};
use crate::routing::{Predicate, Target as Request};
use crate::upstream::hash_of;
use crate::value::Sticky;
use http::{HeaderMap, HeaderValue};
use smallvec::SmallVec;
use std::fmt;

/// A longer cookie is none of ours, and is replaced.
const LONGEST_COOKIE: usize = 128;

/// The upstreams of a route, by weight.
pub struct Target {
    choices: SmallVec<[Choice; 1]>,
    total: u64,
    /// Whether some requests are sent somewhere whatever the shares.
    forces: bool,
    sticky: Option<Box<Sticky>>,
}

/// One upstream of a target.
pub struct Choice {
    /// The upstream, or the subset of it that requests are for.
    pub to: Callee,
    /// Its share, relative to the others; 0 takes no requests.
    pub weight: u32,
    /// Requests for which all of these hold go there whatever the shares; none where it is empty.
    pub when: Box<[Predicate]>,
}

impl Choice {
    /// What it draws its numbers with.
    fn digest(&self) -> u64 {
        match self.to.subset {
            None => hash_of(self.to.upstream.name().as_bytes()),
            Some(_) => hash_of(self.to_string().as_bytes()),
        }
    }
}

/// The upstream, and the subset of it where not all of it is meant.
impl fmt::Display for Choice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.to.fmt(f)
    }
}

/// By what the shares of one request are drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Draw {
    /// By chance: 64 random bits.
    Random(u64),
    /// By the digest of a key.
    Key(u64),
}

impl Target {
    /// A target of at least one choice with a weight.
    pub fn new(choices: Vec<Choice>, sticky: Option<Sticky>) -> Option<Self> {
        let total = choices.iter().map(|choice| u64::from(choice.weight)).sum();
        let forces = choices.iter().any(|choice| !choice.when.is_empty());
        (total > 0).then(|| Self { choices: choices.into(), total, forces, sticky: sticky.map(Box::new) })
    }

    /// The number of the choice that a request is sent to by what it says.
    pub fn forced(&self, request: &Request<'_>) -> Option<usize> {
        let forced = |choice: &Choice| !choice.when.is_empty() && choice.when.iter().all(|told| told.holds(request));
        self.choices.iter().position(|choice| self.forces && forced(choice))
    }

    /// What keeps requests at one choice; `None` where each is drawn anew.
    pub fn sticky(&self) -> Option<&Sticky> {
        self.sticky.as_deref()
    }

    /// The digest of the key that keeps a request at one choice; `None` where it has none.
    pub fn key(&self, cx: &RequestCx, headers: &HeaderMap) -> Option<u64> {
        key(self.sticky()?, cx, headers)
    }

    /// A key for a request that has none, and the `Set-Cookie` that gives it to the client. It is no secret: who makes one up
    /// chooses among the upstreams that have a share anyway.
    pub fn issue(&self, scheme: Scheme, random: u64) -> Option<(u64, HeaderValue)> {
        issue(self.sticky()?, scheme, random)
    }

    /// The number of the choice that the shares give a request.
    pub fn by_share(&self, draw: Draw) -> Option<usize> {
        if self.choices.len() == 1 {
            return Some(0);
        }
        match draw {
            Draw::Random(random) => self.by_chance(random),
            Draw::Key(digest) => self.by_key(digest),
        }
    }

    fn by_chance(&self, random: u64) -> Option<usize> {
        let mut ticket = random % self.total;
        self.choices.iter().position(|choice| {
            let weight = u64::from(choice.weight);
            let here = ticket < weight;
            ticket = ticket.saturating_sub(weight);
            here
        })
    }

    fn by_key(&self, digest: u64) -> Option<usize> {
        let drawn = self.choices.iter().map(|choice| {
            let number = fraction(digest, choice.digest());
            f64::from(choice.weight) / -number.ln()
        });
        let highest = drawn.enumerate().filter(|(_, score)| *score > 0.0).max_by(|(_, a), (_, b)| a.total_cmp(b));
        highest.map(|(place, _)| place)
    }

    /// All choices.
    pub fn choices(&self) -> &[Choice] {
        &self.choices
    }
}

/// A number between 0 and 1, neither of them, for a key and a name: both digests through the finaliser of SplitMix64
/// (G. L. Steele et al., 2014), once each.
fn fraction(key: u64, name: u64) -> f64 {
    let mix = |bits: u64| {
        let bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        bits ^ (bits >> 31)
    };
    let bits = mix(mix(key.wrapping_add(0x9E37_79B9_7F4A_7C15)) ^ name);
    ((bits >> 11) as f64 + 0.5) / (1_u64 << 53) as f64
}

fn key(sticky: &Sticky, cx: &RequestCx, headers: &HeaderMap) -> Option<u64> {
    match sticky {
        Sticky::Consumer => cx.caller().map(|caller| hash_of(caller.id.as_bytes())),
        Sticky::Client => Some(match cx.client.address {
            std::net::IpAddr::V4(address) => hash_of(&address.octets()),
            std::net::IpAddr::V6(address) => hash_of(&address.octets()),
        }),
        Sticky::Header(name) => headers.get(name).map(|value| hash_of(value.as_bytes())),
        Sticky::Cookie { name, .. } => {
            let value = cookie(headers, name)?;
            (1..=LONGEST_COOKIE).contains(&value.len()).then(|| hash_of(&value))
        }
    }
}

fn issue(sticky: &Sticky, scheme: Scheme, random: u64) -> Option<(u64, HeaderValue)> {
    let Sticky::Cookie { name, lasts } = sticky else { return None };
    let value = format!("{random:016x}");
    let secure = if scheme == Scheme::Https { "; Secure" } else { "" };
    let (age, digest) = (lasts.as_secs(), hash_of(value.as_bytes()));
    let field = format!("{name}={value}; Path=/; Max-Age={age}; HttpOnly; SameSite=Lax{secure}");
    Some((digest, HeaderValue::try_from(field).ok()?))
}

#[cfg(test)]
mod tests;
