//! One attempt to log in: what must come back with the browser, and what is sent along with it.

use super::seal::random_text;
use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// How long a login may take.
pub const LASTS: Duration = Duration::from_secs(600);

/// An attempt, as the browser keeps it, sealed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Attempt {
    /// Ties the answer to this attempt (RFC 6749 §10.12).
    pub state: String,
    /// Ties the ID token to it (OpenID Connect Core §3.1.2.1).
    pub nonce: String,
    /// Proves to the token endpoint who began it (RFC 7636 §4.1).
    pub verifier: String,
    /// Where the provider sends the browser back to.
    pub redirect_uri: String,
    /// Where the browser wanted to go: a path of this origin.
    pub return_to: String,
    /// When it began, in seconds since the epoch.
    pub began: u64,
}

impl Attempt {
    /// A new attempt; `None` where the system has no randomness to give.
    pub fn begin(redirect_uri: String, return_to: String, now: u64) -> Option<Self> {
        Some(Self {
            state: random_text::<18>()?,
            nonce: random_text::<18>()?,
            verifier: random_text::<32>()?,
            redirect_uri,
            return_to,
            began: now,
        })
    }

    /// Whether it may still come back at `now`. One from the future is of another clock, within reason.
    pub fn is_open(&self, now: u64) -> bool {
        now.saturating_sub(self.began) < LASTS.as_secs()
    }

    /// `S256` of the verifier (RFC 7636 §4.2).
    pub fn challenge(&self) -> String {
        URL_SAFE_NO_PAD.encode(digest(&SHA256, self.verifier.as_bytes()))
    }

    /// The attempt as it is sealed.
    pub fn to_bytes(&self) -> Option<Vec<u8>> {
        serde_json::to_vec(self).ok()
    }

    /// An attempt as it was sealed.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice(bytes).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_attempts_share_anything_random() {
        let begin = || Attempt::begin("http://a/cb".into(), "/".into(), 1).unwrap();
        let (one, two) = (begin(), begin());
        assert!(one.state != two.state && one.nonce != two.nonce && one.verifier != two.verifier);
        assert!(one.verifier.len() >= 43, "RFC 7636 §4.1 asks for 43 characters");
        assert_eq!(Attempt::from_bytes(&one.to_bytes().unwrap()), Some(one));
    }

    #[test]
    fn the_challenge_is_that_of_the_example() {
        // RFC 7636, Appendix B.
        let mut attempt = Attempt::begin(String::new(), String::new(), 0).unwrap();
        attempt.verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk".into();
        assert_eq!(attempt.challenge(), "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
    }

    #[test]
    fn an_attempt_is_open_for_ten_minutes() {
        let attempt = Attempt { began: 1000, ..Attempt::begin(String::new(), String::new(), 0).unwrap() };
        assert!(attempt.is_open(1000) && attempt.is_open(1599) && attempt.is_open(990));
        assert!(!attempt.is_open(1600));
    }
}
