//! JSON Web Keys (RFC 7517): what of a document can be used to check signatures.

use super::key::Material;
use super::{Algorithm, Algorithms, Family, Key, json};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

/// Keys a document may hold.
const MOST_KEYS: usize = 128;

/// The keys of a document, and how many of its keys were passed over: for encryption, of a kind that is not known, too
/// short.
#[derive(Debug)]
pub struct Read {
    /// The usable ones, in order.
    pub keys: Vec<Key>,
    /// The others, each with why.
    pub ignored: Vec<&'static str>,
}

/// Reads a JWK Set (RFC 7517 §5). Secrets in it are never taken: what a URL serves to everyone is none.
///
/// # Errors
/// It is no JWK Set, or holds too many keys.
pub fn read_set(document: &[u8], allowed: Algorithms) -> Result<Read, &'static str> {
    let object = json::object(document).ok_or("it is not JSON, or a name stands twice in it")?;
    let Some(Value::Array(keys)) = object.get("keys") else { return Err("it has no `keys`") };
    if keys.len() > MOST_KEYS {
        return Err("it has more than 128 keys");
    }
    let mut read = Read { keys: Vec::new(), ignored: Vec::new() };
    for key in keys {
        match key.as_object().ok_or("not an object").and_then(|key| public(key, allowed)) {
            Ok(key) => read.keys.push(key),
            Err(why) => read.ignored.push(why),
        }
    }
    Ok(read)
}

/// One public key. Its `x5c`, `x5u` and `x5t` say nothing here: who publishes the set vouches for it.
fn public(jwk: &Map<String, Value>, allowed: Algorithms) -> Result<Key, &'static str> {
    let text = |name: &str| jwk.get(name).and_then(Value::as_str);
    if text("use").is_some_and(|purpose| purpose != "sig") {
        return Err("not for signatures");
    }
    let verifies = |operations: &Vec<Value>| operations.iter().any(|operation| operation == "verify");
    if jwk.get("key_ops").is_some_and(|operations| !operations.as_array().is_some_and(verifies)) {
        return Err("not for verifying");
    }
    let own = match jwk.get("alg") {
        None => Algorithms::of(Family::Public),
        Some(name) => {
            let named = name.as_str().and_then(Algorithm::named).ok_or("of an algorithm that is not known")?;
            [named].into_iter().filter(|algorithm| algorithm.family() == Family::Public).collect()
        }
    };
    let bytes = |name: &str| {
        text(name).and_then(|text| URL_SAFE_NO_PAD.decode(text).ok()).ok_or("a part is missing or is not base64url")
    };
    let material = match text("kty") {
        Some("RSA") => Material::Rsa(without_zeros(bytes("n")?), without_zeros(bytes("e")?)),
        Some("EC") => point(text("crv"), &bytes("x")?, &bytes("y")?)?,
        Some("OKP") if text("crv") == Some("Ed25519") => Material::Ed25519(bytes("x")?),
        Some("oct") => return Err("a secret"),
        _ => return Err("of a kind that is not known"),
    };
    let kid = match jwk.get("kid") {
        None => None,
        Some(kid) => Some(kid.as_str().ok_or("its `kid` is not text")?),
    };
    Key::new(kid, material, allowed.iter().filter(|algorithm| own.contains(*algorithm)).collect())
}

/// The curve decides the algorithm; a coordinate has the length of its curve's field (RFC 7518 §6.2.1.2).
fn point(curve: Option<&str>, x: &[u8], y: &[u8]) -> Result<Material, &'static str> {
    let algorithm = match curve {
        Some("P-256") => Algorithm::Es256,
        Some("P-384") => Algorithm::Es384,
        Some("P-521") => Algorithm::Es512,
        _ => return Err("on a curve that is not known"),
    };
    let length = algorithm.curve().map_or(0, |(_, length)| length);
    if x.len() != length || y.len() != length {
        return Err("a coordinate is of the wrong length");
    }
    Ok(Material::Point(algorithm, [&[4], x, y].concat()))
}

/// Some issuers write the sign byte of DER; the number is the same.
fn without_zeros(number: Vec<u8>) -> Vec<u8> {
    number.into_iter().skip_while(|byte| *byte == 0).collect()
}
