//! Keys and sets of them, from documents as issuers publish them.

use super::*;
use crate::policy::auth::tokens::{Signer, base64url, jwks};
use serde_json::{Value, json};

fn all() -> Algorithms {
    Algorithm::ALL.into_iter().collect()
}

fn read(document: &Value) -> Read {
    read_set(document.to_string().as_bytes(), all()).unwrap()
}

fn ignored(jwk: Value) -> &'static str {
    let read = read(&json!({ "keys": [jwk] }));
    assert!(read.keys.is_empty(), "{:?}", read.keys);
    read.ignored[0]
}

fn check(set: &KeySet, signer: &Signer, kid: Option<&str>) -> Checked {
    let signature = signer.sign(b"message");
    let algorithm = Algorithm::named(signer.alg).unwrap();
    set.check(&Signed { kid, algorithm, message: b"message", signature: &signature })
}

#[test]
fn a_key_of_every_public_algorithm_checks_its_own_signatures_and_no_others() {
    let signers: Vec<Signer> = Algorithms::of(Family::Public).iter().map(|own| Signer::new(own.name())).collect();
    let keys: Vec<Key> = signers.iter().flat_map(|signer| read(&json!({ "keys": [signer.jwk()] })).keys).collect();
    assert_eq!(keys.len(), signers.len());
    for (n, signer) in signers.iter().enumerate() {
        let (own, signature) = (Algorithm::named(signer.alg).unwrap(), signer.sign(b"message"));
        for (m, key) in keys.iter().enumerate() {
            assert_eq!(key.verify(own, b"message", &signature), n == m, "{} by key {m}", signer.alg);
        }
        let key = &keys[n];
        assert!(!key.verify(own, b"messagE", &signature));
        for other in Algorithm::ALL.into_iter().filter(|other| *other != own) {
            assert!(!key.verify(other, b"message", &signature), "{} as {other}", signer.alg);
        }
        for length in [0, 1, signature.len() - 1] {
            assert!(!key.verify(own, b"message", &signature[..length]), "{} cut to {length}", signer.alg);
        }
        let longer = [signature.as_slice(), &[0]].concat();
        assert!(!key.verify(own, b"message", &longer), "{} with a byte more", signer.alg);
        assert!(!key.verify(own, b"message", &vec![0; signature.len()]), "{} of zeros", signer.alg);
    }
}

#[test]
fn pem_holds_the_same_keys() {
    for algorithm in Algorithms::of(Family::Public).iter() {
        let signer = Signer::new(algorithm.name());
        let keys = read_pem(&signer.pem(), [algorithm].into_iter().collect()).unwrap();
        assert!(matches!(check(&KeySet::new(keys), &signer, None), Checked::Good(_)), "{algorithm}");
    }
    let private = "-----BEGIN PRIVATE KEY-----\nMC4=\n-----END PRIVATE KEY-----";
    assert!(read_pem(private, all()).unwrap_err().contains("private"));
    for text in ["", "-----BEGIN PUBLIC KEY-----", "-----BEGIN CERTIFICATE-----\nMA==\n-----END CERTIFICATE-----"] {
        assert!(read_pem(text, all()).is_err(), "{text}");
    }
    let point = Signer::new("ES256").pem();
    assert!(read_pem(&point, [Algorithm::Es384].into_iter().collect()).is_err());
}

#[test]
fn what_is_not_for_signatures_or_too_weak_is_passed_over() {
    let with = |name: &str, value: Value| {
        let mut jwk = Signer::new("ES256").jwk();
        jwk[name] = value;
        jwk
    };
    assert_eq!(ignored(with("use", "enc".into())), "not for signatures");
    assert_eq!(ignored(with("key_ops", json!(["encrypt"]))), "not for verifying");
    assert_eq!(ignored(with("key_ops", "verify".into())), "not for verifying");
    assert_eq!(ignored(with("alg", "RSA-OAEP".into())), "of an algorithm that is not known");
    assert_eq!(ignored(with("alg", "none".into())), "of an algorithm that is not known");
    assert_eq!(ignored(with("alg", "ES384".into())), "no algorithm that is allowed goes with it");
    assert_eq!(ignored(with("alg", "HS256".into())), "no algorithm that is allowed goes with it");
    assert_eq!(ignored(with("kid", json!(["a"]))), "its `kid` is not text");
    assert_eq!(ignored(with("crv", "P-384".into())), "a coordinate is of the wrong length");
    assert_eq!(ignored(with("crv", "secp256k1".into())), "on a curve that is not known");
    assert_eq!(ignored(with("x", base64url([7; 32]).into())), "not a point on its curve");
    assert_eq!(ignored(with("x", "a+b/=".into())), "a part is missing or is not base64url");
    assert_eq!(ignored(json!({ "kty": "oct", "k": base64url([7; 64]) })), "a secret");
    assert_eq!(ignored(json!(7)), "not an object");
    let short = json!({ "kty": "RSA", "n": base64url([0xC5; 128]), "e": "AQAB" });
    assert_eq!(ignored(short), "an RSA key of less than 2048 bits is no protection");
    let usable = with("key_ops", json!(["verify"]));
    assert_eq!(read(&json!({ "keys": [usable] })).keys.len(), 1);
}

#[test]
fn a_document_that_is_none_is_refused_whole() {
    let many = json!({ "keys": vec![json!({}); 129] }).to_string();
    for text in ["", "{}", r#"{"keys":{}}"#, r#"{"keys":[],"keys":[]}"#, "<html>", &many] {
        assert!(read_set(text.as_bytes(), all()).is_err(), "{text:.40}");
    }
}

#[test]
fn a_name_picks_the_key_and_a_token_without_one_tries_those_that_fit() {
    let (a, b) = (Signer::new("ES256").named("a"), Signer::new("ES256").named("b"));
    let stranger = Signer::new("ES256");
    let set = KeySet::new(read_set(jwks(&[&a, &b]).as_bytes(), all()).unwrap().keys);
    assert!(matches!(check(&set, &a, Some("a")), Checked::Good(key) if key.kid() == Some("a")));
    assert!(matches!(check(&set, &b, Some("a")), Checked::Bad));
    assert!(matches!(check(&set, &b, Some("c")), Checked::Unknown));
    assert!(matches!(check(&set, &b, None), Checked::Good(key) if key.kid() == Some("b")));
    assert!(matches!(check(&set, &stranger, None), Checked::Unknown));
    let nameless = KeySet::new(read_set(jwks(&[&stranger]).as_bytes(), all()).unwrap().keys);
    assert!(matches!(check(&nameless, &stranger, Some("whatever")), Checked::Good(_)));
}

#[test]
fn a_key_that_stays_is_the_same_one_and_one_that_leaves_is_retired() {
    let (a, b) = (Signer::new("ES256").named("a"), Signer::new("ES256").named("b"));
    let keys = |signers: &[&Signer]| read_set(jwks(signers).as_bytes(), all()).unwrap().keys;
    let first = KeySet::new(keys(&[&a, &b]));
    let second = first.followed_by(keys(&[&b]));
    first.retire_all_but(&second);
    assert!(first.keys()[0].is_retired() && !second.keys()[0].is_retired());
    assert!(std::sync::Arc::ptr_eq(&first.keys()[1], &second.keys()[0]));
    let third = second.followed_by(keys(&[&a, &b]));
    assert!(!third.keys()[0].is_retired(), "what comes back comes back new");
}
