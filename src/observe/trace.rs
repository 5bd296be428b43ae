//! Trace context as it travels in `traceparent` and `tracestate` (W3C Trace Context, level 1).

use crate::value::digits::{unhex, write_hex};

/// The id of a whole trace; never all zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceId([u8; 16]);

impl TraceId {
    /// The sixteen bytes, most significant first.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

/// The id of one span, called parent-id in `traceparent`; never all zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpanId([u8; 8]);

impl SpanId {
    /// The eight bytes, most significant first.
    pub const fn as_bytes(&self) -> &[u8; 8] {
        &self.0
    }

    /// An id from random bits; zero, which is not allowed, becomes one.
    fn from_random(random: u64) -> Self {
        Self(random.max(1).to_be_bytes())
    }
}

/// Whether the caller may have recorded this trace, and so whether we should (§3.2.2.5.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sampling {
    /// The sampled flag is set.
    Sampled,
    /// The sampled flag is not set.
    NotSampled,
}

/// What `traceparent` says: which trace, which span of it is the parent, and whether it is recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceContext {
    /// The trace this request belongs to.
    pub trace_id: TraceId,
    /// The span that sent the request.
    pub span_id: SpanId,
    /// Whether the sender recorded it.
    pub sampling: Sampling,
}

impl TraceContext {
    /// Bytes of a version 00 `traceparent`.
    pub const LENGTH: usize = 55;

    /// Reads a `traceparent` field value (§3.2.2); `None` is a value that must be ignored, and `tracestate` with it.
    ///
    /// Versions above 00 are read as far as version 00 goes and may have more after another hyphen (§3.2.4);
    /// version `ff`, upper-case digits and all-zero ids are invalid. More than one `traceparent` field is for the
    /// caller to ignore.
    pub fn parse(value: &[u8]) -> Option<Self> {
        let (known, more) = value.split_at_checked(Self::LENGTH)?;
        let (version, known) = hex_field::<1>(known)?;
        let (trace_id, known) = hex_field::<16>(after_hyphen(known)?)?;
        let (span_id, known) = hex_field::<8>(after_hyphen(known)?)?;
        let ([flags], _) = hex_field::<1>(after_hyphen(known)?)?;
        match (version, more) {
            ([0xff], _) | ([0], [_, ..]) => return None,
            (_, [] | [b'-', ..]) => {}
            (_, _) => return None,
        }
        if trace_id == [0; 16] || span_id == [0; 8] {
            return None;
        }
        let sampling = if flags & 1 == 1 { Sampling::Sampled } else { Sampling::NotSampled };
        Some(Self { trace_id: TraceId(trace_id), span_id: SpanId(span_id), sampling })
    }

    /// Begins a trace, with ids from 192 random bits.
    pub fn new(random: [u64; 3], sampling: Sampling) -> Self {
        let [high, low, span] = random;
        let trace_id = u128::from(high) << 64 | u128::from(low);
        Self { trace_id: TraceId(trace_id.max(1).to_be_bytes()), span_id: SpanId::from_random(span), sampling }
    }

    /// The context to send on: the same trace, our own span, its id from 64 random bits.
    pub fn child(&self, random: u64) -> Self {
        Self { span_id: SpanId::from_random(random), ..*self }
    }

    /// The `traceparent` field value, always of version 00; flags we do not know are not passed on (§3.2.2.5.2).
    pub fn to_bytes(&self) -> [u8; Self::LENGTH] {
        let mut text = [b'-'; Self::LENGTH];
        let flags = match self.sampling {
            Sampling::Sampled => 1,
            Sampling::NotSampled => 0,
        };
        let fields: [(_, &[u8]); 4] =
            [(0..2, &[0]), (3..35, &self.trace_id.0), (36..52, &self.span_id.0), (53..55, &[flags])];
        for (place, bytes) in fields {
            if let Some(slots) = text.get_mut(place) {
                write_hex(bytes, slots);
            }
        }
        text
    }
}

/// Whether a `tracestate` value is worth passing on: at most 512 bytes (§3.3.1.5), visible ASCII, blanks and tabs
/// only, at most 32 members with a `=` in each (§3.3.1). Checked loosely, since we never look inside.
///
/// Several `tracestate` fields are one list; join them with commas first.
pub fn is_tracestate(value: &[u8]) -> bool {
    const LONGEST: usize = 512;
    const MEMBERS: usize = 32;
    let members = || value.split(|&byte| byte == b',').map(<[u8]>::trim_ascii).filter(|member| !member.is_empty());
    value.len() <= LONGEST
        && value.iter().all(|byte| matches!(byte, b'\t' | b' '..=b'~'))
        && (1..=MEMBERS).contains(&members().count())
        && members().all(|member| member.iter().position(|&byte| byte == b'=').is_some_and(|at| at > 0))
}

/// Reads `N` bytes in lower-case hexadecimal; gives them and what follows.
fn hex_field<const N: usize>(text: &[u8]) -> Option<([u8; N], &[u8])> {
    let (digits, rest) = text.split_at_checked(2 * N)?;
    if digits.iter().any(u8::is_ascii_uppercase) {
        return None;
    }
    let mut bytes = [0; N];
    let (pairs, _) = digits.as_chunks::<2>();
    for (byte, &[high, low]) in bytes.iter_mut().zip(pairs) {
        *byte = unhex(high)? << 4 | unhex(low)?;
    }
    Some((bytes, rest))
}

fn after_hyphen(text: &[u8]) -> Option<&[u8]> {
    text.strip_prefix(b"-")
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXAMPLE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn reads_and_writes_the_example_of_the_standard() {
        let context = TraceContext::parse(EXAMPLE.as_bytes()).unwrap();
        assert_eq!(context.trace_id.as_bytes().first(), Some(&0x4b));
        assert_eq!(context.span_id.as_bytes().last(), Some(&0xb7));
        assert_eq!(context.sampling, Sampling::Sampled);
        assert_eq!(context.to_bytes(), EXAMPLE.as_bytes());
    }

    #[test]
    fn accepts_what_the_standard_accepts() {
        for value in [
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-ff",
            "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-what-the-future-will-be-like",
            "cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-",
        ] {
            assert!(TraceContext::parse(value.as_bytes()).is_some(), "{value}");
        }
    }

    #[test]
    fn refuses_what_the_standard_refuses() {
        for value in [
            "",
            "00",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e473g-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-1",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0G",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-extra",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01 ",
            "00_4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e473600f067aa0ba902b7--01",
            "cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01.what",
            "0-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-011",
        ] {
            assert_eq!(TraceContext::parse(value.as_bytes()), None, "{value}");
        }
        assert_eq!(TraceContext::parse(&[0xff; 55]), None);
    }

    #[test]
    fn unknown_flags_are_not_passed_on() {
        let value = "cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-ff-more";
        assert_eq!(TraceContext::parse(value.as_bytes()).unwrap().to_bytes(), EXAMPLE.as_bytes());
    }

    #[test]
    fn a_child_stays_in_the_trace_with_a_span_of_its_own() {
        let parent = TraceContext::parse(EXAMPLE.as_bytes()).unwrap();
        let child = parent.child(0xabc);
        assert_eq!(child.to_bytes(), *b"00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000abc-01");
    }

    #[test]
    fn a_new_trace_never_has_an_all_zero_id() {
        let context = TraceContext::new([0; 3], Sampling::NotSampled);
        assert_eq!(context.to_bytes(), *b"00-00000000000000000000000000000001-0000000000000001-00");
        assert_eq!(TraceContext::parse(&context.to_bytes()), Some(context));
    }

    #[test]
    fn tracestate_is_bounded_and_plain() {
        assert!(is_tracestate(b"rojo=00f067aa0ba902b7,congo=t61rcWkgMzE"));
        assert!(is_tracestate(b"rojo=1, ,congo=2,"));
        assert!(is_tracestate(&[b"a=".as_slice(), &[b'x'; 510]].concat()));
        assert!(!is_tracestate(&[b"a=".as_slice(), &[b'x'; 511]].concat()));
        assert!(!is_tracestate(b""));
        assert!(!is_tracestate(b"no-value"));
        assert!(!is_tracestate(b"=x"));
        assert!(!is_tracestate(b"a=b\r\nX-Evil: 1"));
        assert!(!is_tracestate("a=\u{e9}".as_bytes()));
        assert!(!is_tracestate("a=1,".repeat(33).as_bytes()));
    }
}
