//! Status codes of gRPC.

use super::Invalid;
use std::fmt;
use std::str::FromStr;

/// How a call ended (<https://grpc.io/docs/guides/status-codes/>); never a number that means nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct GrpcCode(u8);

impl GrpcCode {
    /// All is well.
    pub const OK: Self = Self(0);
    /// Whoever called has given it up.
    pub const CANCELLED: Self = Self(1);
    /// The two sides do not understand each other.
    pub const INTERNAL: Self = Self(13);
    /// How it ended is not known.
    pub const UNKNOWN: Self = Self(2);

    /// The names of all codes, by their numbers.
    pub const NAMES: [&str; 17] = [
        "OK",
        "CANCELLED",
        "UNKNOWN",
        "INVALID_ARGUMENT",
        "DEADLINE_EXCEEDED",
        "NOT_FOUND",
        "ALREADY_EXISTS",
        "PERMISSION_DENIED",
        "RESOURCE_EXHAUSTED",
        "FAILED_PRECONDITION",
        "ABORTED",
        "OUT_OF_RANGE",
        "UNIMPLEMENTED",
        "INTERNAL",
        "UNAVAILABLE",
        "DATA_LOSS",
        "UNAUTHENTICATED",
    ];

    /// What a client of HTTP is told instead, by the numbers of the codes (google/rpc/code.proto).
    const STATUSES: [u16; 17] = [200, 499, 500, 400, 504, 404, 409, 403, 429, 400, 409, 400, 501, 500, 503, 500, 401];

    /// The code of that number; one that means nothing is [`Self::UNKNOWN`].
    pub fn new(number: u8) -> Self {
        if usize::from(number) < Self::NAMES.len() { Self(number) } else { Self::UNKNOWN }
    }

    /// The code that a `grpc-status` says; one that says nothing that is known is [`Self::UNKNOWN`].
    pub fn told(field: &[u8]) -> Self {
        let number = std::str::from_utf8(field).ok().and_then(|text| text.trim().parse().ok());
        number.map_or(Self::UNKNOWN, Self::new)
    }

    /// Its number.
    pub fn number(self) -> u8 {
        self.0
    }

    /// Its name: `NOT_FOUND`.
    pub fn name(self) -> &'static str {
        Self::NAMES.get(usize::from(self.0)).copied().unwrap_or("UNKNOWN")
    }

    /// The status of HTTP that says the same.
    pub fn status(self) -> u16 {
        Self::STATUSES.get(usize::from(self.0)).copied().unwrap_or(500)
    }
}

/// In lower case, as operators write it: `resource_exhausted`.
impl fmt::Display for GrpcCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name().to_ascii_lowercase())
    }
}

impl FromStr for GrpcCode {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let same = |name: &&str| name.chars().map(|letter| letter.to_ascii_lowercase()).eq(text.chars());
        let number = Self::NAMES.iter().position(same).and_then(|at| u8::try_from(at).ok());
        number.map(Self).ok_or_else(|| {
            Invalid::new(format!("`{text}` is no status of gRPC")).hint("write `unavailable` or `resource_exhausted`")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_written_and_read_in_lower_case() {
        for number in 0..17 {
            let code = GrpcCode::new(number);
            assert_eq!(code.to_string().parse(), Ok(code));
        }
        assert!("UNAVAILABLE".parse::<GrpcCode>().is_err() && "".parse::<GrpcCode>().is_err());
    }

    #[test]
    fn what_means_nothing_is_unknown() {
        for field in ["17", "-1", "x", "", "300", "5x"] {
            assert_eq!(GrpcCode::told(field.as_bytes()), GrpcCode::UNKNOWN, "{field}");
        }
        assert_eq!(GrpcCode::told(b" 5 ").name(), "NOT_FOUND");
    }
}
