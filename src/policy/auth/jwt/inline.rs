//! Keys that stand in the configuration: `key:`, and `jwks:` with a map.

use super::config::JwkSetConfig;
use crate::policy::Setup;
use crate::policy::auth::jwks::{Algorithms, Family, Key, KeySet, Material, is_pem, read_pem, read_set};
use crate::value::{Place, Secret, SecretConfig};
use serde_json::json;

/// The shortest secret (RFC 7518 §3.2), in bytes.
const SHORTEST_SECRET: usize = 32;

/// Keys, and what whoever has them can do with them.
pub struct Inline {
    pub set: KeySet,
    pub family: Family,
}

/// The keys of `key:`. `allowed` are the algorithms that are written, if any are.
pub fn one(written: &SecretConfig, allowed: Option<Algorithms>, setup: &mut Setup<'_>) -> Option<Inline> {
    let found = setup.secret(written)?;
    if !is_pem(found.expose()) {
        let key = shared(None, &found, allowed, written.place, setup)?;
        return Some(Inline { set: KeySet::new([key]), family: Family::Secret });
    }
    match read_pem(found.expose(), allowed.unwrap_or_else(|| Algorithms::of(Family::Public))) {
        Ok(keys) => Some(Inline { set: KeySet::new(keys), family: Family::Public }),
        Err(why) => {
            setup
                .problems
                .error(written.place, format!("`key` cannot be used: {why}"))
                .hint("give a public key in PEM, or a shared secret");
            None
        }
    }
}

fn shared(
    kid: Option<&str>,
    secret: &Secret,
    allowed: Option<Algorithms>,
    place: Place,
    setup: &mut Setup<'_>,
) -> Option<Key> {
    let secret = secret.expose().as_bytes();
    if secret.len() < SHORTEST_SECRET {
        setup
            .problems
            .error(place, "a secret that signs tokens has at least 32 bytes")
            .hint("make one with `openssl rand -hex 32`, for gateway and issuer");
        return None;
    }
    let allowed = allowed.unwrap_or_else(|| Algorithms::of(Family::Secret));
    let made = Key::new(kid, Material::Secret(secret.to_vec()), allowed);
    made.map_err(|_| {
        setup
            .problems
            .error(place, "no algorithm that is accepted goes with this secret")
            .hint("HS384 needs a secret of 48 bytes, HS512 one of 64 (RFC 7518 §3.2); others need a public key");
    })
    .ok()
}

/// The keys of a map.
pub fn set(written: &JwkSetConfig, allowed: Option<Algorithms>, setup: &mut Setup<'_>) -> Option<Inline> {
    let (mut keys, mut secrets) = (Vec::new(), Vec::new());
    for jwk in &written.keys {
        match &jwk.k {
            Some(k) => {
                let own = jwk.alg.as_deref().and_then(|name| name.parse().ok()).map(|own| [own].into_iter().collect());
                let found = setup.secret(k)?;
                secrets.push(shared(jwk.kid.as_deref(), &found, own.or(allowed), k.place, setup)?);
            }
            None => {
                let document = json!({ "keys": [serde_json::to_value(&jwk.value).unwrap_or_default()] }).to_string();
                let public = allowed.unwrap_or_else(|| Algorithms::of(Family::Public));
                match read_set(document.as_bytes(), public) {
                    Ok(read) if read.ignored.is_empty() => keys.extend(read.keys),
                    Ok(read) => {
                        let why = read.ignored.first().copied().unwrap_or_default();
                        setup.problems.error(jwk.place, format!("the key cannot be used: {why}"));
                    }
                    Err(why) => drop(setup.problems.error(jwk.place, why)),
                }
            }
        }
    }
    match (keys.is_empty(), secrets.is_empty()) {
        (false, true) => Some(Inline { set: KeySet::new(keys), family: Family::Public }),
        (true, false) => Some(Inline { set: KeySet::new(secrets), family: Family::Secret }),
        (true, true) => None,
        (false, false) => {
            let place = written.keys.first().map_or(Place::NOWHERE, |key| key.place);
            setup
                .problems
                .error(place, "public keys and secrets stand in one set")
                .hint("give the secrets a provider of their own; a route may name both");
            None
        }
    }
}
