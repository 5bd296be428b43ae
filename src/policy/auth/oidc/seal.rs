//! Encryption of what a browser keeps for the gateway.
//!
//! AES-256-GCM (NIST SP 800-38D) under keys that HKDF (RFC 5869) derives from the secrets: one key for a secret and a
//! provider, so that a cookie of one provider says nothing to another. The purpose, the cookie's name, is authenticated
//! with the content: one cookie cannot be passed off as another. Nonces are random; at the 2³² cookies where that stops
//! being safe a secret has long been rotated.

use crate::value::Secret;
use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::hkdf::{HKDF_SHA256, Salt};
use aws_lc_rs::rand;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// Shorter secrets, in bytes, are refused: they could be guessed from a cookie.
pub const SHORTEST_SECRET: usize = 32;

/// Seals with the first key, opens with any of them.
pub struct Sealer {
    keys: Box<[LessSafeKey]>,
}

impl Sealer {
    /// Keys of these secrets for one provider; `context` is all that must be equal for a cookie to keep its meaning.
    /// `None` where the library refuses, which it never does for keys of these lengths.
    pub fn new(secrets: &[Secret], context: &[&str]) -> Option<Self> {
        let keys: Option<Box<[LessSafeKey]>> = secrets.iter().map(|secret| key(secret, context)).collect();
        keys.filter(|keys| !keys.is_empty()).map(|keys| Self { keys })
    }

    /// The content as text that may stand in a cookie.
    pub fn seal(&self, purpose: &str, content: &[u8]) -> Option<String> {
        let key = self.keys.first()?;
        let nonce: [u8; NONCE_LEN] = random()?;
        let mut sealed = content.to_vec();
        key.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(purpose.as_bytes()), &mut sealed)
            .ok()?;
        let mut whole = nonce.to_vec();
        whole.append(&mut sealed);
        Some(URL_SAFE_NO_PAD.encode(whole))
    }

    /// The content of what was sealed for that purpose under one of the keys; `None` for anything else.
    pub fn open(&self, purpose: &str, sealed: &str) -> Option<Vec<u8>> {
        let whole = URL_SAFE_NO_PAD.decode(sealed).ok()?;
        let (nonce, body) = whole.split_first_chunk::<NONCE_LEN>()?;
        self.keys.iter().find_map(|key| {
            let mut body = body.to_vec();
            let nonce = Nonce::assume_unique_for_key(*nonce);
            let length = key.open_in_place(nonce, Aad::from(purpose.as_bytes()), &mut body).ok()?.len();
            body.truncate(length);
            Some(body)
        })
    }
}

fn key(secret: &Secret, context: &[&str]) -> Option<LessSafeKey> {
    let mut info = b"tollgate oidc cookie".to_vec();
    for part in context {
        // With its length before it no part can borrow from the next.
        info.extend_from_slice(&u64::try_from(part.len()).ok()?.to_be_bytes());
        info.extend_from_slice(part.as_bytes());
    }
    let extracted = Salt::new(HKDF_SHA256, b"tollgate").extract(secret.expose().as_bytes());
    let info = [info.as_slice()];
    let derived = extracted.expand(&info, &AES_256_GCM).ok()?;
    Some(LessSafeKey::new(UnboundKey::from(derived)))
}

/// Random bytes for secrets; `None` where the system has none to give.
pub fn random<const N: usize>() -> Option<[u8; N]> {
    let mut bytes = [0; N];
    rand::fill(&mut bytes).ok()?;
    Some(bytes)
}

/// Random text of 128 bits and more: for `state`, `nonce` and the names of sessions.
pub fn random_text<const N: usize>() -> Option<String> {
    random::<N>().map(|bytes| URL_SAFE_NO_PAD.encode(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sealer(secrets: &[&str], context: &[&str]) -> Sealer {
        let secrets: Vec<Secret> = secrets.iter().map(|text| Secret::new(*text)).collect();
        Sealer::new(&secrets, context).unwrap()
    }

    #[test]
    fn what_was_sealed_is_opened_and_never_twice_the_same_text() {
        let sealer = sealer(&["a"], &["idp"]);
        let (one, two) = (sealer.seal("c", b"content").unwrap(), sealer.seal("c", b"content").unwrap());
        assert_ne!(one, two);
        assert_eq!(sealer.open("c", &one).unwrap(), b"content");
        assert!(one.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)));
    }

    #[test]
    fn every_changed_bit_every_cut_and_every_other_purpose_is_refused() {
        let sealer = sealer(&["a"], &["idp"]);
        let sealed = sealer.seal("c", b"content").unwrap();
        let bytes = URL_SAFE_NO_PAD.decode(&sealed).unwrap();
        for bit in 0..bytes.len() * 8 {
            let mut changed = bytes.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(sealer.open("c", &URL_SAFE_NO_PAD.encode(changed)), None, "bit {bit}");
        }
        for length in 0..sealed.len() {
            assert_eq!(sealer.open("c", &sealed[..length]), None, "cut to {length}");
        }
        for (purpose, text) in [("d", sealed.clone()), ("c", format!("{sealed}A")), ("c", format!("{sealed}="))] {
            assert_eq!(sealer.open(purpose, &text), None, "{purpose} {text}");
        }
    }

    #[test]
    fn the_first_secret_seals_and_all_of_them_open() {
        let (old, both, new) = (sealer(&["old"], &["p"]), sealer(&["new", "old"], &["p"]), sealer(&["new"], &["p"]));
        let before = old.seal("c", b"1").unwrap();
        assert_eq!(both.open("c", &before).unwrap(), b"1");
        let after = both.seal("c", b"2").unwrap();
        assert_eq!((new.open("c", &after).unwrap(), old.open("c", &after)), (b"2".to_vec(), None));
    }

    #[test]
    fn a_provider_does_not_read_the_cookies_of_another() {
        let sealed = sealer(&["a"], &["idp", "x"]).seal("c", b"1").unwrap();
        for other in [&["other", "x"][..], &["idpx"], &["idp", "x", ""], &["id", "px"]] {
            assert_eq!(sealer(&["a"], other).open("c", &sealed), None, "{other:?}");
        }
    }
}
