//! Passwords as they are kept: argon2id or bcrypt.

use crate::value::Invalid;
use argon2::password_hash::phc::PasswordHash as Phc;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use argon2::{Argon2, Params};
use std::fmt;

/// The most memory one argon2 hash may take, in KiB.
const MOST_MEMORY: u32 = 1024 * 1024;
/// The most passes of one argon2 hash.
const MOST_PASSES: u32 = 64;
/// The highest bcrypt cost: each step doubles the time, and 16 is about four seconds.
const HIGHEST_COST: u32 = 16;

/// Random bytes in place of salt and hash.
const NOBODY: &str = "$argon2id$v=19$m=19456,t=2,p=1$dG9sbGdhdGVub2JvZHk$JmNYfZzJ3i6xFzWnZ3vS8Q0k1b0y1m3oY8Jt1mJq4bM";

/// The hash of a password, with what made it.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash {
    text: Box<str>,
    kind: Kind,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Argon2id,
    Bcrypt,
}

impl PasswordHash {
    /// Whether a text says that it is a hash, of any kind.
    pub fn is_written(text: &str) -> bool {
        ["$argon2", "$2", "$1$", "$5$", "$6$", "$apr1$", "{SHA}", "{SSHA}"].iter().any(|start| text.starts_with(start))
    }

    /// Reads `$argon2id$…` or `$2b$…` (`$2y$`, `$2a$`).
    ///
    /// # Errors
    /// It is of another kind, malformed, or would take too long to check. The text is never repeated.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let hint = "make one by `htpasswd -nBC 10 USER` (bcrypt), or use argon2id";
        let kind = if text.starts_with("$argon2id$") {
            let parsed = Phc::new(text).map_err(|_| Invalid::new("the argon2id hash is malformed").hint(hint))?;
            let whole = parsed.salt.is_some() && parsed.hash.is_some();
            let params = Params::try_from(&parsed).ok().filter(|_| whole);
            let params = params.ok_or_else(|| Invalid::new("the argon2id hash is malformed").hint(hint))?;
            if params.m_cost() > MOST_MEMORY || params.t_cost() > MOST_PASSES {
                return Err(Invalid::new("the argon2id hash asks for more than 1GiB or 64 passes"));
            }
            Kind::Argon2id
        } else if ["$2y$", "$2b$", "$2a$"].iter().any(|start| text.starts_with(start)) {
            let parsed = text.parse::<bcrypt::HashParts>();
            let parsed = parsed.map_err(|_| Invalid::new("the bcrypt hash is malformed").hint(hint))?;
            if text.len() != 60 {
                return Err(Invalid::new("the bcrypt hash is malformed").hint(hint));
            }
            if !(4..=HIGHEST_COST).contains(&parsed.get_cost()) {
                return Err(Invalid::new(format!("the bcrypt cost is not within 4 and {HIGHEST_COST}")));
            }
            Kind::Bcrypt
        } else {
            let what = match () {
                () if text.starts_with("{SHA}") => "a SHA-1 hash, which is broken in seconds",
                () if text.starts_with("{SSHA}") => "a salted SHA-1 hash, which is broken in minutes",
                () if text.starts_with("$apr1$") || text.starts_with("$1$") => {
                    "an MD5 hash, which is broken in minutes"
                }
                () if text.starts_with("$5$") || text.starts_with("$6$") => "a SHA crypt hash, which is not supported",
                () if text.starts_with("$argon2") => "an argon2 hash of another kind than argon2id",
                () => "neither an argon2id nor a bcrypt hash (crypt and plain text are refused)",
            };
            return Err(Invalid::new(format!("the password is {what}")).hint(hint));
        };
        Ok(Self { text: text.into(), kind })
    }

    /// The argon2id hash of a password, of the parameters OWASP recommends (19 MiB, two passes), with a salt of its own.
    ///
    /// # Errors
    /// The system gives no random bytes.
    pub fn of(password: &str) -> Result<Self, Invalid> {
        let failed = || Invalid::new("the password cannot be hashed");
        let mut salt = [0; 16];
        aws_lc_rs::rand::fill(&mut salt).map_err(|_| failed())?;
        let hash: Phc = Argon2::default().hash_password_with_salt(password.as_bytes(), &salt).map_err(|_| failed())?;
        Ok(Self { text: hash.to_string().into(), kind: Kind::Argon2id })
    }

    /// A hash that costs what [`PasswordHash::of`] costs and whose password nobody knows.
    pub fn of_nobody() -> Self {
        Self { text: NOBODY.into(), kind: Kind::Argon2id }
    }

    /// Whether it is the hash of that password. Takes tens of milliseconds: not for a thread that serves requests.
    pub fn verify(&self, password: &[u8]) -> bool {
        match self.kind {
            Kind::Argon2id => {
                Phc::new(&self.text).is_ok_and(|hash| Argon2::default().verify_password(password, &hash).is_ok())
            }
            Kind::Bcrypt => bcrypt::verify(password, &self.text).unwrap_or(false),
        }
    }

    /// The hash as it is written, to tell whether it is still the same.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_its_password_and_no_other() {
        let hash = PasswordHash::of("pässword").unwrap();
        assert!(hash.verify("pässword".as_bytes()) && !hash.verify(b"password"));
        assert_ne!(hash, PasswordHash::of("pässword").unwrap());
        assert!(PasswordHash::parse(hash.as_str()).unwrap().verify("pässword".as_bytes()));
        assert_eq!(format!("{hash:?}"), "***");
    }

    #[test]
    fn nobodys_hash_is_checked_like_any_other() {
        assert_eq!(PasswordHash::parse(NOBODY), Ok(PasswordHash::of_nobody()));
        assert!(!PasswordHash::of_nobody().verify(b""));
    }

    #[test]
    fn reads_bcrypt_of_every_maker() {
        let made = bcrypt::hash_with_result("secret", 4).unwrap();
        for version in [bcrypt::Version::TwoA, bcrypt::Version::TwoB, bcrypt::Version::TwoY] {
            let hash = PasswordHash::parse(&made.format_for_version(version)).unwrap();
            assert!(hash.verify(b"secret") && !hash.verify(b"Secret"));
        }
    }

    #[test]
    fn refuses_weak_malformed_and_ruinous_hashes_without_repeating_them() {
        let whole = PasswordHash::of("x").unwrap();
        let costly = whole.as_str().replace("m=19456", "m=4194304");
        for text in [
            "{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=",
            "$apr1$r31.....$HqJZimcKQFAMYayBlzkrA/",
            "$1$abc$def",
            "$6$rounds=5000$abc$def",
            "rqXexS6ZhobKA",
            "open sesame",
            "",
            "$2y$10$short",
            "$2y$31$L6Bc/AlTQHyd9liGgGEZyOFLPHNgyxeEPfgYfBCVxJ7JIlwxyVU3u",
            "$argon2i$v=19$m=19456,t=2,p=1$c2FsdHNhbHQ$aGFzaGhhc2g",
            "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHQ",
            "$argon2id$",
            &costly,
        ] {
            let invalid = PasswordHash::parse(text).unwrap_err();
            assert!(text.is_empty() || !invalid.to_string().contains(text), "{invalid}");
        }
    }
}
