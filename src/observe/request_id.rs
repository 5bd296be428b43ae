//! Request ids: UUID version 7 (RFC 9562 §5.7), which sort by the time they were made.

use std::fmt;
use std::ops::Range;

use super::UnixMillis;
use crate::value::digits::write_hex;

/// A request id in its text form, `018f3c1e-7a5b-7c3d-9e8f-0123456789ab`. Lives on the stack.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId([u8; Self::LENGTH]);

impl RequestId {
    /// Bytes of the text form.
    pub const LENGTH: usize = 36;

    /// An id made at `now` from 128 random bits, of which 74 are used.
    ///
    /// Ids of different milliseconds sort by time; within a millisecond their order is random.
    pub fn new(now: UnixMillis, random: [u64; 2]) -> Self {
        const TIMESTAMP: u64 = (1 << 48) - 1;
        const RANDOM_A: u64 = (1 << 12) - 1;
        const RANDOM_B: u64 = (1 << 62) - 1;
        const VERSION: u64 = 7 << 12;
        const VARIANT: u64 = 0b10 << 62;
        let [random_a, random_b] = random;
        let high = (now.0 & TIMESTAMP) << 16 | VERSION | random_a & RANDOM_A;
        let low = VARIANT | random_b & RANDOM_B;
        Self::from_bits(u128::from(high) << 64 | u128::from(low))
    }

    fn from_bits(bits: u128) -> Self {
        const GROUPS: [(Range<usize>, Range<usize>); 5] =
            [(0..4, 0..8), (4..6, 9..13), (6..8, 14..18), (8..10, 19..23), (10..16, 24..36)];
        let bytes = bits.to_be_bytes();
        let mut text = [b'-'; Self::LENGTH];
        for (bytes_of, place) in GROUPS {
            if let (Some(bytes), Some(slots)) = (bytes.get(bytes_of), text.get_mut(place)) {
                write_hex(bytes, slots);
            }
        }
        Self(text)
    }

    /// The text as bytes.
    pub const fn as_bytes(&self) -> &[u8; Self::LENGTH] {
        &self.0
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        // Only hexadecimal digits and hyphens are ever put in.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.as_str())
    }
}

impl fmt::Debug for RequestId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "RequestId({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn follows_the_example_of_rfc_9562_appendix_a_6() {
        let id = RequestId::new(UnixMillis(0x017F_22E2_79B0), [0xCC3, 0x18C4_DC0C_0C07_398F]);
        assert_eq!(id.as_str(), "017f22e2-79b0-7cc3-98c4-dc0c0c07398f");
    }

    #[test]
    fn version_and_variant_stand_whatever_the_random_bits_are() {
        for random in [[0, 0], [u64::MAX, u64::MAX], [0x1234_5678_9abc_def0, 0x0fed_cba9_8765_4321]] {
            let id = uuid::Uuid::parse_str(RequestId::new(UnixMillis(u64::MAX), random).as_str()).unwrap();
            assert_eq!(id.get_version_num(), 7);
            assert_eq!(id.get_variant(), uuid::Variant::RFC4122);
        }
    }

    #[test]
    fn the_time_can_be_read_back() {
        let id = RequestId::new(UnixMillis(1_795_500_249_042), [7, 9]);
        let (seconds, nanos) = uuid::Uuid::parse_str(id.as_str()).unwrap().get_timestamp().unwrap().to_unix();
        assert_eq!((seconds, nanos), (1_795_500_249, 42_000_000));
    }

    #[test]
    fn ids_of_later_milliseconds_sort_later() {
        let early = RequestId::new(UnixMillis(1_000), [u64::MAX, u64::MAX]);
        let late = RequestId::new(UnixMillis(1_001), [0, 0]);
        assert!(early < late);
        assert!(early.as_str() < late.as_str());
    }
}
