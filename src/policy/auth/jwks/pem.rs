//! Public keys in PEM (RFC 7468): `PUBLIC KEY` (RFC 5280) and `RSA PUBLIC KEY` (RFC 8017).

use super::key::Material;
use super::{Algorithm, Algorithms, Key};
use aws_lc_rs::rsa::PublicKey;
use aws_lc_rs::signature::{ED25519, ParsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// Whether a text is meant as PEM.
pub fn is_pem(text: &str) -> bool {
    text.trim_start().starts_with("-----BEGIN")
}

/// The public keys of a PEM text.
///
/// # Errors
/// What is wrong with it.
pub fn read_pem(text: &str, allowed: Algorithms) -> Result<Vec<Key>, &'static str> {
    let mut keys = Vec::new();
    let mut rest = text;
    while let Some((_, block)) = rest.split_once("-----BEGIN ") {
        let (label, body) = block.split_once("-----").ok_or("its first line does not end")?;
        let (body, after) = body.split_once("-----END ").ok_or("its end is missing")?;
        if label.contains("PRIVATE") {
            return Err("it is a private key: who checks tokens needs only the public one");
        }
        if !matches!(label, "PUBLIC KEY" | "RSA PUBLIC KEY") {
            return Err("it is not a public key");
        }
        let base64: String = body.chars().filter(|c| !c.is_ascii_whitespace()).collect();
        let der = STANDARD.decode(base64).map_err(|_| "it is not base64")?;
        keys.push(Key::new(None, material(&der).ok_or("no key of a kind that is known")?, allowed)?);
        rest = after;
    }
    if keys.is_empty() { Err("it is not PEM") } else { Ok(keys) }
}

/// What stands in a SubjectPublicKeyInfo, found by who can read it: each curve takes its own keys only.
fn material(der: &[u8]) -> Option<Material> {
    if let Ok(rsa) = PublicKey::from_der(der) {
        let bytes = |number: aws_lc_rs::io::Positive<'_>| number.big_endian_without_leading_zero().to_vec();
        return Some(Material::Rsa(bytes(rsa.modulus()), bytes(rsa.exponent())));
    }
    let curves = [Algorithm::Es256, Algorithm::Es384, Algorithm::Es512];
    let on =
        |algorithm: &Algorithm| algorithm.curve().is_some_and(|(curve, _)| ParsedPublicKey::new(curve, der).is_ok());
    if let Some(algorithm) = curves.into_iter().find(on) {
        return Some(Material::Point(algorithm, der.to_vec()));
    }
    ParsedPublicKey::new(&ED25519, der).is_ok().then(|| Material::Ed25519(der.to_vec()))
}
