//! Signed tokens, good ones and whatever a test wants instead, by keys made on the spot.

use std::time::{SystemTime, UNIX_EPOCH};

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    self, EcdsaKeyPair, EcdsaSigningAlgorithm, Ed25519KeyPair, KeyPair, RsaEncoding, RsaKeyPair,
};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};

/// Who signs tokens.
pub struct Signer {
    /// The algorithm, by its name.
    pub alg: &'static str,
    /// The key's name, if it has one.
    pub kid: Option<String>,
    private: Private,
}

enum Private {
    Rsa(RsaKeyPair, &'static dyn RsaEncoding),
    Ec(EcdsaKeyPair, &'static str),
    Ed(Ed25519KeyPair),
    Secret(Box<hmac::Key>, Vec<u8>),
}

/// Bytes as tokens write them.
pub fn base64url(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Seconds since the epoch.
pub fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("a time after 1970").as_secs()
}

impl Signer {
    /// One with a new key for that algorithm.
    pub fn new(alg: &'static str) -> Self {
        let rsa = |scheme| Private::Rsa(RsaKeyPair::generate(KeySize::Rsa2048).expect("an RSA key"), scheme);
        let ec = |curve: &'static EcdsaSigningAlgorithm, name| {
            Private::Ec(EcdsaKeyPair::generate(curve).expect("a key on a curve"), name)
        };
        let secret = |algorithm, length| {
            let mut bytes = vec![0; length];
            aws_lc_rs::rand::fill(&mut bytes).expect("random bytes");
            let text: Vec<u8> = base64url(bytes).into_bytes();
            Private::Secret(Box::new(hmac::Key::new(algorithm, &text)), text)
        };
        let private = match alg {
            "RS256" => rsa(&signature::RSA_PKCS1_SHA256),
            "RS384" => rsa(&signature::RSA_PKCS1_SHA384),
            "RS512" => rsa(&signature::RSA_PKCS1_SHA512),
            "PS256" => rsa(&signature::RSA_PSS_SHA256),
            "PS384" => rsa(&signature::RSA_PSS_SHA384),
            "PS512" => rsa(&signature::RSA_PSS_SHA512),
            "ES256" => ec(&signature::ECDSA_P256_SHA256_FIXED_SIGNING, "P-256"),
            "ES384" => ec(&signature::ECDSA_P384_SHA384_FIXED_SIGNING, "P-384"),
            "ES512" => ec(&signature::ECDSA_P521_SHA512_FIXED_SIGNING, "P-521"),
            "EdDSA" => Private::Ed(Ed25519KeyPair::generate().expect("an Ed25519 key")),
            "HS256" => secret(hmac::HMAC_SHA256, 48),
            "HS384" => secret(hmac::HMAC_SHA384, 48),
            "HS512" => secret(hmac::HMAC_SHA512, 48),
            other => panic!("no algorithm {other}"),
        };
        Self { alg, kid: None, private }
    }

    /// The same with a name for its key.
    pub fn named(mut self, kid: &str) -> Self {
        self.kid = Some(kid.into());
        self
    }

    /// One that signs with a secret of your own.
    pub fn with_secret(secret: &[u8]) -> Self {
        let private = Private::Secret(Box::new(hmac::Key::new(hmac::HMAC_SHA256, secret)), secret.to_vec());
        Self { alg: "HS256", kid: None, private }
    }

    /// The public key as a JWK, with its `alg`; for a secret the secret.
    pub fn jwk(&self) -> Value {
        let mut jwk = match &self.private {
            Private::Rsa(pair, _) => {
                let public = pair.public_key();
                let n = base64url(public.modulus().big_endian_without_leading_zero());
                let e = base64url(public.exponent().big_endian_without_leading_zero());
                json!({ "kty": "RSA", "n": n, "e": e })
            }
            Private::Ec(pair, curve) => {
                let point = &pair.public_key().as_ref()[1..];
                let (x, y) = point.split_at(point.len() / 2);
                json!({ "kty": "EC", "crv": curve, "x": base64url(x), "y": base64url(y) })
            }
            Private::Ed(pair) => json!({ "kty": "OKP", "crv": "Ed25519", "x": base64url(pair.public_key()) }),
            Private::Secret(_, secret) => json!({ "kty": "oct", "k": base64url(secret) }),
        };
        jwk["alg"] = self.alg.into();
        if let Some(kid) = &self.kid {
            jwk["kid"] = kid.as_str().into();
        }
        jwk
    }

    /// The private key as PEM (PKCS #8), for other libraries to sign with; for a secret the secret itself.
    pub fn private_pem(&self) -> String {
        let der = match &self.private {
            Private::Rsa(pair, _) => AsDer::<Pkcs8V1Der<'_>>::as_der(pair).expect("DER").as_ref().to_vec(),
            Private::Ec(pair, _) => pair.to_pkcs8v1().expect("DER").as_ref().to_vec(),
            Private::Ed(pair) => pair.to_pkcs8v1().expect("DER").as_ref().to_vec(),
            Private::Secret(_, secret) => return String::from_utf8(secret.clone()).expect("text"),
        };
        let body = STANDARD.encode(der);
        let lines: Vec<&str> =
            body.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).expect("base64")).collect();
        format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", lines.join("\n"))
    }

    /// The public key as PEM; for a secret the secret itself.
    pub fn pem(&self) -> String {
        let der = match &self.private {
            Private::Rsa(pair, _) => pair.public_key().as_der().expect("DER").as_ref().to_vec(),
            Private::Ec(pair, _) => pair.public_key().as_der().expect("DER").as_ref().to_vec(),
            Private::Ed(pair) => pair.public_key().as_der().expect("DER").as_ref().to_vec(),
            Private::Secret(_, secret) => return String::from_utf8(secret.clone()).expect("text"),
        };
        format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", STANDARD.encode(der))
    }

    /// Its signature of a message.
    pub fn sign(&self, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match &self.private {
            Private::Rsa(pair, scheme) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(*scheme, &random, message, &mut signature).expect("a signature");
                signature
            }
            Private::Ec(pair, _) => pair.sign(&random, message).expect("a signature").as_ref().to_vec(),
            Private::Ed(pair) => pair.sign(message).as_ref().to_vec(),
            Private::Secret(key, _) => hmac::sign(key, message).as_ref().to_vec(),
        }
    }

    /// A token with those claims.
    pub fn token(&self, claims: &Value) -> String {
        let mut head = json!({ "alg": self.alg, "typ": "JWT" });
        if let Some(kid) = &self.kid {
            head["kid"] = kid.as_str().into();
        }
        self.token_of(&head.to_string(), &claims.to_string())
    }

    /// A token of any head and payload at all, signed.
    pub fn token_of(&self, head: &str, payload: &str) -> String {
        let message = format!("{}.{}", base64url(head), base64url(payload));
        let signature = base64url(self.sign(message.as_bytes()));
        format!("{message}.{signature}")
    }
}

/// A JWK Set of those keys.
pub fn jwks(signers: &[&Signer]) -> String {
    let keys: Vec<Value> = signers.iter().map(|signer| signer.jwk()).collect();
    json!({ "keys": keys }).to_string()
}
