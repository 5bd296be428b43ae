//! A key that signatures are checked with, parsed once.

use super::{Algorithm, Algorithms};
use aws_lc_rs::digest::{Context, SHA256};
use aws_lc_rs::hmac;
use aws_lc_rs::rsa::PublicKeyComponents;
use aws_lc_rs::signature::{self, ParsedPublicKey};
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

/// What a key is made of.
pub enum Material {
    /// RSA: modulus and exponent, big-endian.
    Rsa(Vec<u8>, Vec<u8>),
    /// A point on the curve of that algorithm, uncompressed: `04`, x, y.
    Point(Algorithm, Vec<u8>),
    /// An Ed25519 public key.
    Ed25519(Vec<u8>),
    /// A shared secret.
    Secret(Vec<u8>),
}

/// How a key checks one algorithm.
enum Way {
    Public(ParsedPublicKey),
    Secret(Box<hmac::Key>),
}

/// A key.
pub struct Key {
    kid: Option<Box<str>>,
    ways: Box<[(Algorithm, Way)]>,
    /// Over everything that makes it this key.
    print: [u8; 32],
    retired: AtomicBool,
}

impl Key {
    /// A key for those of `allowed` that it can be used with; the reason where there is none.
    pub fn new(kid: Option<&str>, material: Material, allowed: Algorithms) -> Result<Self, &'static str> {
        let ways = ways(&material, allowed)?;
        let print = print(kid, &material, &ways);
        Ok(Self { kid: kid.map(Into::into), ways, print, retired: AtomicBool::new(false) })
    }

    /// Its name within its set.
    pub fn kid(&self) -> Option<&str> {
        self.kid.as_deref()
    }

    /// Whether it can be used with that algorithm.
    pub fn can(&self, algorithm: Algorithm) -> bool {
        self.ways.iter().any(|(way, _)| *way == algorithm)
    }

    /// The algorithms it can be used with.
    pub fn algorithms(&self) -> Algorithms {
        self.ways.iter().map(|(algorithm, _)| *algorithm).collect()
    }

    /// Whether `signature` is its signature of `message`. Secrets are compared in constant time.
    pub fn verify(&self, algorithm: Algorithm, message: &[u8], signature: &[u8]) -> bool {
        match self.ways.iter().find(|(way, _)| *way == algorithm) {
            Some((_, Way::Public(key))) => key.verify_sig(message, signature).is_ok(),
            Some((_, Way::Secret(key))) => hmac::verify(key, message, signature).is_ok(),
            None => false,
        }
    }

    /// Whether it is the same key, made of the same and for the same.
    pub fn same(&self, other: &Self) -> bool {
        self.print == other.print
    }

    /// Whether it has left its set: what it has signed counts no more.
    pub fn is_retired(&self) -> bool {
        self.retired.load(Relaxed)
    }

    pub(super) fn retire(&self) {
        self.retired.store(true, Relaxed);
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Key").field("kid", &self.kid).finish_non_exhaustive()
    }
}

fn ways(material: &Material, allowed: Algorithms) -> Result<Box<[(Algorithm, Way)]>, &'static str> {
    let mut ways = Vec::new();
    for algorithm in allowed.iter() {
        let key = match material {
            Material::Rsa(n, e) => match algorithm.rsa() {
                Some(scheme) => Some(Way::Public(rsa(n, e, scheme)?)),
                None => None,
            },
            Material::Point(own, point) if *own == algorithm => match algorithm.curve() {
                Some((curve, _)) => Some(Way::Public(parsed(curve, point)?)),
                None => None,
            },
            Material::Ed25519(x) if algorithm == Algorithm::EdDsa => Some(Way::Public(parsed(&signature::ED25519, x)?)),
            Material::Secret(secret) => algorithm
                .hmac()
                .filter(|(_, shortest)| secret.len() >= *shortest)
                .map(|(hmac, _)| Way::Secret(Box::new(hmac::Key::new(hmac, secret)))),
            Material::Point(..) | Material::Ed25519(_) => None,
        };
        ways.extend(key.map(|key| (algorithm, key)));
    }
    if ways.is_empty() { Err("no algorithm that is allowed goes with it") } else { Ok(ways.into()) }
}

fn rsa(n: &[u8], e: &[u8], scheme: &'static signature::RsaParameters) -> Result<ParsedPublicKey, &'static str> {
    let bits = n.len() * 8 - n.first().map_or(0, |first| usize::try_from(first.leading_zeros()).unwrap_or(8));
    match bits {
        0..2048 => Err("an RSA key of less than 2048 bits is no protection"),
        2048..=8192 => PublicKeyComponents { n, e }.to_parsed_public_key(scheme).map_err(|_| "no RSA key"),
        _ => Err("an RSA key of more than 8192 bits is not taken"),
    }
}

fn parsed(
    algorithm: &'static dyn signature::VerificationAlgorithm,
    bytes: &[u8],
) -> Result<ParsedPublicKey, &'static str> {
    ParsedPublicKey::new(algorithm, bytes).map_err(|_| "not a point on its curve")
}

fn print(kid: Option<&str>, material: &Material, ways: &[(Algorithm, Way)]) -> [u8; 32] {
    let (kind, parts): (u8, [&[u8]; 2]) = match material {
        Material::Rsa(n, e) => (1, [n, e]),
        Material::Point(algorithm, point) => (2, [algorithm.name().as_bytes(), point]),
        Material::Ed25519(x) => (3, [x, &[]]),
        Material::Secret(secret) => (4, [secret, &[]]),
    };
    let mut context = Context::new(&SHA256);
    context.update(&[kind, u8::from(kid.is_some())]);
    let names = ways.iter().map(|(algorithm, _)| algorithm.name().as_bytes());
    for part in parts.into_iter().chain([kid.unwrap_or_default().as_bytes()]).chain(names) {
        context.update(&part.len().to_be_bytes());
        context.update(part);
    }
    let mut print = [0; 32];
    print.copy_from_slice(context.finish().as_ref());
    print
}
