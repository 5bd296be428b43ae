//! Keys and the one algorithm each is for.

use super::config::{Encoding, SignatureKeyConfig};
use crate::policy::Setup;
use crate::value::Spanned;
use aws_lc_rs::hmac;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ED25519, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256,
    RSA_PSS_2048_8192_SHA512, VerificationAlgorithm,
};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The shortest secret that is taken, in bytes: shorter ones can be guessed (RFC 2104 §3).
const SHORTEST_SECRET: usize = 32;

/// Algorithms (RFC 9421 §3.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub enum Algorithm {
    /// HMAC with SHA-256, by a shared secret.
    #[serde(rename = "hmac-sha256")]
    HmacSha256,
    /// Ed25519.
    #[serde(rename = "ed25519")]
    Ed25519,
    /// ECDSA over P-256 with SHA-256.
    #[serde(rename = "ecdsa-p256-sha256")]
    EcdsaP256Sha256,
    /// ECDSA over P-384 with SHA-384.
    #[serde(rename = "ecdsa-p384-sha384")]
    EcdsaP384Sha384,
    /// RSA, PKCS #1 v1.5, with SHA-256; 2048 bits at least.
    #[serde(rename = "rsa-v1_5-sha256")]
    RsaV15Sha256,
    /// RSA-PSS with SHA-512; 2048 bits at least.
    #[serde(rename = "rsa-pss-sha512")]
    RsaPssSha512,
}

impl Algorithm {
    /// Its registered name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::HmacSha256 => "hmac-sha256",
            Self::Ed25519 => "ed25519",
            Self::EcdsaP256Sha256 => "ecdsa-p256-sha256",
            Self::EcdsaP384Sha384 => "ecdsa-p384-sha384",
            Self::RsaV15Sha256 => "rsa-v1_5-sha256",
            Self::RsaPssSha512 => "rsa-pss-sha512",
        }
    }

    fn verification(self) -> Option<&'static dyn VerificationAlgorithm> {
        match self {
            Self::HmacSha256 => None,
            Self::Ed25519 => Some(&ED25519),
            Self::EcdsaP256Sha256 => Some(&ECDSA_P256_SHA256_FIXED),
            Self::EcdsaP384Sha384 => Some(&ECDSA_P384_SHA384_FIXED),
            Self::RsaV15Sha256 => Some(&RSA_PKCS1_2048_8192_SHA256),
            Self::RsaPssSha512 => Some(&RSA_PSS_2048_8192_SHA512),
        }
    }
}

/// Object identifiers by which a public key says what it is, in DER (RFC 8410 §3, RFC 5480 §2.1.1, RFC 8017 A.1).
const IDENTIFIERS: [(&[u8], &[Algorithm]); 4] = [
    (&[0x06, 0x03, 0x2b, 0x65, 0x70], &[Algorithm::Ed25519]),
    (&[0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07], &[Algorithm::EcdsaP256Sha256]),
    (&[0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x22], &[Algorithm::EcdsaP384Sha384]),
    (
        &[0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01],
        &[Algorithm::RsaV15Sha256, Algorithm::RsaPssSha512],
    ),
];
/// Where in a public key its identifiers stand: before the key itself.
const HEAD: usize = 40;

enum Material {
    Shared(Box<hmac::Key>),
    Public(ParsedPublicKey),
}

/// A key and the one algorithm it is for.
pub(super) struct Key {
    pub(super) algorithm: Algorithm,
    /// Whose it is.
    pub(super) consumer: Box<str>,
    material: Material,
}

impl Key {
    /// Compiles what is written; `None` where a problem was recorded.
    pub(super) fn compile(
        name: &Spanned<String>,
        written: &Spanned<SignatureKeyConfig>,
        setup: &mut Setup<'_>,
    ) -> Option<Self> {
        let (algorithm, material) = match (&written.secret, &written.public_key) {
            (Some(_), None) => (Algorithm::HmacSha256, shared(written, setup)?),
            (None, Some(file)) => public(written, file, setup)?,
            _ => {
                setup
                    .problems
                    .error(written.place, format!("key `{}` needs a `secret` or a `public_key`", name.value))
                    .hint("write exactly one of them");
                return None;
            }
        };
        if let Some(asked) = written.algorithm.as_ref().filter(|asked| asked.value != algorithm) {
            setup
                .problems
                .error(asked.place, format!("this key is not for {}", asked.value.as_str()))
                .hint(format!("it is for {}", algorithm.as_str()));
            return None;
        }
        let consumer = written.consumer.as_ref().unwrap_or(name).value.as_str().into();
        Some(Self { algorithm, consumer, material })
    }

    /// Whether the signature is this key's over that text. Takes the same time wherever it differs.
    pub(super) fn verifies(&self, text: &[u8], signature: &[u8]) -> bool {
        match &self.material {
            Material::Shared(key) => hmac::verify(key, text, signature).is_ok(),
            Material::Public(key) => key.verify_sig(text, signature).is_ok(),
        }
    }
}

fn shared(written: &Spanned<SignatureKeyConfig>, setup: &mut Setup<'_>) -> Option<Material> {
    let config = written.secret.as_ref()?;
    let secret = setup.secret(config)?;
    let bytes = match written.encoding {
        Encoding::Text => Some(secret.expose().as_bytes().to_vec()),
        Encoding::Base64 => STANDARD.decode(secret.expose()).ok(),
    };
    let problem = match bytes {
        Some(bytes) if bytes.len() >= SHORTEST_SECRET => {
            return Some(Material::Shared(Box::new(hmac::Key::new(hmac::HMAC_SHA256, &bytes))));
        }
        Some(_) => "the secret is shorter than 32 bytes",
        None => "the secret is not base64",
    };
    setup.problems.error(config.place, problem).hint("make one with `openssl rand -base64 48`");
    None
}

fn public(
    written: &Spanned<SignatureKeyConfig>,
    file: &Spanned<String>,
    setup: &mut Setup<'_>,
) -> Option<(Algorithm, Material)> {
    let pem = setup.read_file(file)?;
    let parsed = der(&pem).and_then(|der| parse(&der, written.algorithm.as_ref().map(|asked| asked.value)));
    if parsed.is_none() {
        setup
            .problems
            .error(file.place, format!("{} holds no public key that can be used", file.value))
            .hint("write a PEM file with `BEGIN PUBLIC KEY`: Ed25519, P-256, P-384, or RSA of 2048 bits at least");
    }
    parsed
}

/// The key in its file: PEM with one `PUBLIC KEY` (RFC 7468 §13).
fn der(pem: &[u8]) -> Option<Vec<u8>> {
    let text = std::str::from_utf8(pem).ok()?;
    let (_, rest) = text.split_once("-----BEGIN PUBLIC KEY-----")?;
    let (body, _) = rest.split_once("-----END PUBLIC KEY-----")?;
    STANDARD.decode(body.split_ascii_whitespace().collect::<String>()).ok()
}

/// The key, for the algorithm that is asked for where it can be for several.
fn parse(der: &[u8], asked: Option<Algorithm>) -> Option<(Algorithm, Material)> {
    let head = der.get(..HEAD.min(der.len()))?;
    let (_, possible) = IDENTIFIERS.iter().find(|(id, _)| memchr::memmem::find(head, id).is_some())?;
    let algorithm = possible.iter().find(|one| Some(**one) == asked).or(possible.first())?;
    let key = ParsedPublicKey::new(algorithm.verification()?, der).ok()?;
    Some((*algorithm, Material::Public(key)))
}

#[cfg(test)]
impl Key {
    pub(super) fn of_secret(base64: &str) -> Self {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &STANDARD.decode(base64).unwrap());
        Self { algorithm: Algorithm::HmacSha256, consumer: "test".into(), material: Material::Shared(Box::new(key)) }
    }

    pub(super) fn of_pem(pem: &str, asked: Option<Algorithm>) -> Self {
        let (algorithm, material) = parse(&der(pem.as_bytes()).unwrap(), asked).unwrap();
        Self { algorithm, consumer: "test".into(), material }
    }
}
