//! Reading user and password of a field (RFC 7617 §2).

use crate::value::Secret;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// The longest credentials, in bytes before they are decoded.
const LONGEST: usize = 2048;

/// What a field holds.
pub(super) enum Given {
    /// Nothing of this scheme.
    Nothing,
    /// Credentials that cannot be read, and why.
    Malformed(&'static str),
    /// A user and a password.
    Credentials(Credentials),
}

/// A user and a password. Neither has control characters.
pub(super) struct Credentials {
    pub user: Box<str>,
    pub password: Secret,
}

/// Reads the value of `Authorization`.
pub(super) fn read(field: Option<&[u8]>) -> Given {
    let Some(encoded) = field.and_then(after_scheme) else { return Given::Nothing };
    if encoded.len() > LONGEST {
        return Given::Malformed("User and password are too long.");
    }
    let Ok(decoded) = STANDARD.decode(encoded) else {
        return Given::Malformed("User and password are not in base64.");
    };
    let Ok(text) = String::from_utf8(decoded) else {
        return Given::Malformed("User and password are not in UTF-8.");
    };
    let text = Secret::new(text);
    let Some((user, password)) = text.expose().split_once(':') else {
        return Given::Malformed("User and password are not separated by a colon.");
    };
    if text.expose().chars().any(char::is_control) {
        return Given::Malformed("User and password hold control characters.");
    }
    if user.is_empty() {
        return Given::Malformed("The user has no name.");
    }
    Given::Credentials(Credentials { user: user.into(), password: Secret::new(password) })
}

fn after_scheme(value: &[u8]) -> Option<&[u8]> {
    let (scheme, rest) = value.trim_ascii().split_at_checked("Basic".len())?;
    let matches = scheme.eq_ignore_ascii_case(b"Basic") && rest.first().is_none_or(|byte| *byte == b' ');
    matches.then(|| rest.trim_ascii())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(field: &str) -> String {
        match read(Some(field.as_bytes())) {
            Given::Nothing => "nothing".into(),
            Given::Malformed(why) => why.into(),
            Given::Credentials(Credentials { user, password }) => format!("{user} with {}", password.expose()),
        }
    }

    fn encoded(text: impl AsRef<[u8]>) -> String {
        said(&format!("Basic {}", STANDARD.encode(text)))
    }

    #[test]
    fn reads_user_and_password() {
        assert_eq!(said("Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="), "Aladdin with open sesame");
        assert_eq!(said("bASIC   QWxhZGRpbjpvcGVuIHNlc2FtZQ== "), "Aladdin with open sesame");
        assert_eq!(encoded("a:b:c"), "a with b:c");
        assert_eq!(encoded("ä:pä£"), "ä with pä£");
        assert_eq!(encoded("a:"), "a with ");
    }

    #[test]
    fn other_schemes_are_nothing() {
        for field in
            ["", "Basi", "Bearer QWxhZGRpbjpvcGVuIHNlc2FtZQ==", "BasicQWxhZGRpbjpvcGVuIHNlc2FtZQ==", "Basic\tx"]
        {
            assert_eq!(said(field), "nothing", "{field}");
        }
        assert!(matches!(read(None), Given::Nothing));
    }

    #[test]
    fn what_cannot_be_read_is_refused() {
        for field in
            ["Basic", "Basic ", "Basic QWxh ZGRp", "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ", "Basic QW_-", "Basic QQ==="]
        {
            assert!(said(field).starts_with("User and password are not"), "{field}: {}", said(field));
        }
        assert_eq!(encoded("nobody"), "User and password are not separated by a colon.");
        assert_eq!(encoded([b'a', b':', 0xff]), "User and password are not in UTF-8.");
        assert_eq!(encoded(":x"), "The user has no name.");
        for text in ["a\0:b", "a:b\n", "a:\u{7f}", "a:\u{85}"] {
            assert_eq!(encoded(text), "User and password hold control characters.", "{text:?}");
        }
        assert_eq!(encoded("a:".to_owned() + &"b".repeat(LONGEST)), "User and password are too long.");
    }
}
