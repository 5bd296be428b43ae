//! Amounts of data, written with their unit.

use super::Invalid;
use super::form::text_form;
use std::fmt;
use std::str::FromStr;

/// An amount of data in bytes: `512B`, `64KiB`, `10MiB`, `1GB`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ByteSize(u64);

/// The units, in the order in which the canonical form prefers them.
const UNITS: [(&str, u64); 7] = [
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("KB", 1_000),
    ("B", 1),
];

impl ByteSize {
    /// That many bytes.
    pub const fn new(bytes: u64) -> ByteSize {
        ByteSize(bytes)
    }

    /// The amount in bytes.
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The amount as a length in memory; what does not fit becomes the largest that does.
    pub fn as_usize(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

impl FromStr for ByteSize {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<ByteSize, Invalid> {
        let digits = text.bytes().position(|b| !b.is_ascii_digit()).unwrap_or(text.len());
        let (number, unit) = text.split_at_checked(digits).unwrap_or((text, ""));
        let wrong = || {
            Invalid::new(format!("`{text}` is not a size"))
                .hint("write a whole number with its unit (B, KiB, MiB, GiB, KB, MB, GB), such as `64KiB` or `10MiB`")
        };
        if number.is_empty() {
            return Err(wrong());
        }
        if unit.is_empty() {
            return Err(Invalid::new(format!("the size `{text}` has no unit"))
                .hint(format!("write `{text}B` for bytes, or use KiB, MiB or GiB")));
        }
        let size = UNITS.iter().find(|(name, _)| *name == unit).map(|(_, size)| *size);
        let size = size.ok_or_else(|| match unit.to_ascii_lowercase().as_str() {
            "k" | "kb" | "kib" => wrong().hint(format!("write `{number}KiB` (1024) or `{number}KB` (1000)")),
            "m" | "mb" | "mib" => wrong().hint(format!("write `{number}MiB` (1024²) or `{number}MB` (1000²)")),
            "g" | "gb" | "gib" => wrong().hint(format!("write `{number}GiB` (1024³) or `{number}GB` (1000³)")),
            _ => wrong(),
        })?;
        let number: u64 = number.parse().map_err(|_| wrong())?;
        number.checked_mul(size).map(ByteSize).ok_or_else(|| Invalid::new(format!("the size `{text}` is too large")))
    }
}

impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let exact = UNITS.iter().find(|(_, size)| self.0 > 0 && self.0.is_multiple_of(*size));
        let (unit, size) = exact.copied().unwrap_or(("B", 1));
        write!(f, "{}{unit}", self.0 / size)
    }
}

text_form!(ByteSize, "a size such as `512B`, `64KiB` or `10MiB`", {
    "pattern": r"^[0-9]+(B|KiB|MiB|GiB|KB|MB|GB)$",
    "examples": ["512B", "64KiB", "10MiB", "1GB"],
});

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_binary_and_decimal_units() {
        for (text, bytes, canonical) in [
            ("512B", 512, "512B"),
            ("64KiB", 65_536, "64KiB"),
            ("1024KiB", 1_048_576, "1MiB"),
            ("10MiB", 10_485_760, "10MiB"),
            ("1GB", 1_000_000_000, "1GB"),
            ("0B", 0, "0B"),
        ] {
            let size: ByteSize = text.parse().unwrap();
            assert_eq!((size.get(), size.to_string().as_str()), (bytes, canonical), "{text}");
            assert_eq!(canonical.parse(), Ok(size));
        }
    }

    #[test]
    fn says_what_to_write_where_the_unit_is_missing_or_ambiguous() {
        assert_eq!(
            "10".parse::<ByteSize>().unwrap_err().hint.unwrap(),
            "write `10B` for bytes, or use KiB, MiB or GiB"
        );
        assert_eq!("10mb".parse::<ByteSize>().unwrap_err().hint.unwrap(), "write `10MiB` (1024²) or `10MB` (1000²)");
    }

    #[test]
    fn refuses_what_is_no_size() {
        for text in ["", "B", "-1B", "1.5MiB", "1 KiB", "18446744073709551615KiB", "99999999999999999999B"] {
            assert!(text.parse::<ByteSize>().is_err(), "{text}");
        }
    }
}
