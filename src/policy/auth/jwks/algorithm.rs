//! Signature algorithms of tokens (RFC 7518 §3.1, RFC 8037 §3.1).

use crate::value::Invalid;
use crate::value::form::text_form;
use aws_lc_rs::hmac;
use aws_lc_rs::signature::{self, EcdsaVerificationAlgorithm, RsaParameters};
use std::fmt;
use std::str::FromStr;

/// What an algorithm needs: with one family a provider cannot be made to take a public key for a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// HMAC: whoever can check a token can make one.
    Secret,
    /// A public key checks what a private key has made.
    Public,
}

macro_rules! algorithms {
    ($($(#[$doc:meta])* $kind:ident = $name:literal;)*) => {
        /// A signature algorithm. There is no `none`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Algorithm { $($(#[$doc])* $kind,)* }

        impl Algorithm {
            /// All there are.
            pub const ALL: [Self; 13] = [$(Self::$kind,)*];

            /// Its name in the head of a token.
            pub fn name(self) -> &'static str {
                match self { $(Self::$kind => $name,)* }
            }

            /// The algorithm of that name, letter for letter. `Ed25519` is the newer name of `EdDSA` (RFC 9864).
            pub fn named(name: &str) -> Option<Self> {
                match name { $($name => Some(Self::$kind),)* "Ed25519" => Some(Self::EdDsa), _ => None }
            }
        }
    };
}

algorithms! {
    /// HMAC with SHA-256.
    Hs256 = "HS256";
    /// HMAC with SHA-384.
    Hs384 = "HS384";
    /// HMAC with SHA-512.
    Hs512 = "HS512";
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    Rs256 = "RS256";
    /// RSASSA-PKCS1-v1_5 with SHA-384.
    Rs384 = "RS384";
    /// RSASSA-PKCS1-v1_5 with SHA-512.
    Rs512 = "RS512";
    /// RSASSA-PSS with SHA-256.
    Ps256 = "PS256";
    /// RSASSA-PSS with SHA-384.
    Ps384 = "PS384";
    /// RSASSA-PSS with SHA-512.
    Ps512 = "PS512";
    /// ECDSA on P-256 with SHA-256.
    Es256 = "ES256";
    /// ECDSA on P-384 with SHA-384.
    Es384 = "ES384";
    /// ECDSA on P-521 with SHA-512.
    Es512 = "ES512";
    /// Ed25519.
    EdDsa = "EdDSA";
}

impl Algorithm {
    /// What it needs.
    pub fn family(self) -> Family {
        match self {
            Self::Hs256 | Self::Hs384 | Self::Hs512 => Family::Secret,
            _ => Family::Public,
        }
    }

    /// The HMAC it is, and the shortest secret it may be used with, in bytes (RFC 7518 §3.2).
    pub(super) fn hmac(self) -> Option<(hmac::Algorithm, usize)> {
        match self {
            Self::Hs256 => Some((hmac::HMAC_SHA256, 32)),
            Self::Hs384 => Some((hmac::HMAC_SHA384, 48)),
            Self::Hs512 => Some((hmac::HMAC_SHA512, 64)),
            _ => None,
        }
    }

    /// The RSA scheme it is, with keys of 2048 bits and more (RFC 7518 §3.3, §3.5).
    pub(super) fn rsa(self) -> Option<&'static RsaParameters> {
        match self {
            Self::Rs256 => Some(&signature::RSA_PKCS1_2048_8192_SHA256),
            Self::Rs384 => Some(&signature::RSA_PKCS1_2048_8192_SHA384),
            Self::Rs512 => Some(&signature::RSA_PKCS1_2048_8192_SHA512),
            Self::Ps256 => Some(&signature::RSA_PSS_2048_8192_SHA256),
            Self::Ps384 => Some(&signature::RSA_PSS_2048_8192_SHA384),
            Self::Ps512 => Some(&signature::RSA_PSS_2048_8192_SHA512),
            _ => None,
        }
    }

    /// The curve it is bound to, and the length of a coordinate in bytes (RFC 7518 §3.4, §6.2.1.2).
    pub(super) fn curve(self) -> Option<(&'static EcdsaVerificationAlgorithm, usize)> {
        match self {
            Self::Es256 => Some((&signature::ECDSA_P256_SHA256_FIXED, 32)),
            Self::Es384 => Some((&signature::ECDSA_P384_SHA384_FIXED, 48)),
            Self::Es512 => Some((&signature::ECDSA_P521_SHA512_FIXED, 66)),
            _ => None,
        }
    }
}

impl FromStr for Algorithm {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        if text.eq_ignore_ascii_case("none") {
            return Err(Invalid::new("`none` is no algorithm: anybody could make such a token")
                .hint("write the algorithm the issuer signs with, such as `RS256`"));
        }
        Self::named(text).ok_or_else(|| {
            let names: Vec<&str> = Self::ALL.iter().map(|algorithm| algorithm.name()).collect();
            Invalid::new(format!("`{text}` is no signature algorithm"))
                .hint(format!("write one of {}", names.join(", ")))
        })
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

text_form!(Algorithm, "a signature algorithm such as `RS256`", {
    "enum": [
        "HS256", "HS384", "HS512", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA",
        "Ed25519"
    ],
});

/// A set of algorithms.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Algorithms(u16);

impl Algorithms {
    /// All of a family.
    pub fn of(family: Family) -> Self {
        Algorithm::ALL.into_iter().filter(|algorithm| algorithm.family() == family).collect()
    }

    /// Whether it is one of them.
    pub fn contains(self, algorithm: Algorithm) -> bool {
        self.0 & (1 << algorithm as u16) != 0
    }

    /// Each of them.
    pub fn iter(self) -> impl Iterator<Item = Algorithm> {
        Algorithm::ALL.into_iter().filter(move |algorithm| self.contains(*algorithm))
    }
}

impl FromIterator<Algorithm> for Algorithms {
    fn from_iter<I: IntoIterator<Item = Algorithm>>(algorithms: I) -> Self {
        Self(algorithms.into_iter().fold(0, |set, algorithm| set | 1 << algorithm as u16))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_letter_for_letter_and_none_is_none() {
        for algorithm in Algorithm::ALL {
            assert_eq!(Algorithm::named(algorithm.name()), Some(algorithm));
            assert_eq!(Algorithm::named(&algorithm.name().to_lowercase()), None);
        }
        for name in ["none", "None", "NONE", "nOnE", "", "RS1", "RS256 ", "A256KW"] {
            assert_eq!(Algorithm::named(name), None, "{name}");
            assert!(name.parse::<Algorithm>().is_err(), "{name}");
        }
    }

    #[test]
    fn a_set_holds_what_was_put_in() {
        let set = Algorithms::of(Family::Secret);
        assert!(set.contains(Algorithm::Hs512) && !set.contains(Algorithm::Rs256));
        assert_eq!(Algorithms::of(Family::Public).iter().count(), 10);
    }
}
