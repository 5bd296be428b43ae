//! Distinguished names (X.501) as text (RFC 4514).
//!
//! Read from DER and not by the TLS library's functions for text: those end at a NUL and reinterpret encodings, and either
//! makes the name of one party out of the name of another.

use std::fmt::Write as _;

const OID: u8 = 0x06;
const UTF8: u8 = 0x0c;
const PRINTABLE: u8 = 0x13;
const T61: u8 = 0x14;
const IA5: u8 = 0x16;
const UNIVERSAL: u8 = 0x1c;
const BMP: u8 = 0x1e;
const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;

const COMMON_NAME: &[u8] = &[0x55, 0x04, 0x03];

/// Attribute types with a short name: those of RFC 4514 §3, and others that certificates have and OpenSSL names so.
const SHORT_NAMES: &[(&[u8], &str)] = &[
    (COMMON_NAME, "CN"),
    (&[0x55, 0x04, 0x04], "SN"),
    (&[0x55, 0x04, 0x05], "serialNumber"),
    (&[0x55, 0x04, 0x06], "C"),
    (&[0x55, 0x04, 0x07], "L"),
    (&[0x55, 0x04, 0x08], "ST"),
    (&[0x55, 0x04, 0x09], "street"),
    (&[0x55, 0x04, 0x0a], "O"),
    (&[0x55, 0x04, 0x0b], "OU"),
    (&[0x55, 0x04, 0x0c], "title"),
    (&[0x55, 0x04, 0x2a], "GN"),
    (&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x01], "emailAddress"),
    (&[0x09, 0x92, 0x26, 0x89, 0x93, 0xf2, 0x2c, 0x64, 0x01, 0x01], "UID"),
    (&[0x09, 0x92, 0x26, 0x89, 0x93, 0xf2, 0x2c, 0x64, 0x01, 0x19], "DC"),
];

/// A distinguished name, read.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct DistinguishedName {
    /// Its text, the last part first, as RFC 4514 §2.1 has it.
    pub text: String,
    /// The common name: `None` where there is none, where there are several, and where it is empty or holds what no name
    /// has (control characters, NUL among them).
    pub common_name: Option<String>,
}

/// Reads a name in DER; `None` where it is none.
pub fn read(der: &[u8]) -> Option<DistinguishedName> {
    let (SEQUENCE, mut sets, []) = element(der)? else { return None };
    let (mut parts, mut common_names) = (Vec::new(), Vec::new());
    while !sets.is_empty() {
        let (SET, mut attributes, rest) = element(sets)? else { return None };
        let mut part = String::new();
        while !attributes.is_empty() {
            let (SEQUENCE, attribute, others) = element(attributes)? else { return None };
            let (OID, kind, value) = element(attribute)? else { return None };
            let (tag, content, []) = element(value)? else { return None };
            let decoded = decode(tag, content);
            if !part.is_empty() {
                part.push('+');
            }
            match SHORT_NAMES.iter().find(|(known, _)| *known == kind) {
                Some((_, name)) => part.push_str(name),
                None => dotted(kind, &mut part),
            }
            part.push('=');
            match &decoded {
                Some(text) => escape(text, &mut part),
                None => hexadecimal(value, &mut part),
            }
            if kind == COMMON_NAME {
                common_names.push(decoded.filter(|name| !name.is_empty() && !name.chars().any(char::is_control)));
            }
            attributes = others;
        }
        parts.push(part);
        sets = rest;
    }
    parts.reverse();
    let common_name = if common_names.len() == 1 { common_names.pop().flatten() } else { None };
    Some(DistinguishedName { text: parts.join(","), common_name })
}

/// The first element: tag, content, and what follows it (X.690 §8.1, §10.1).
fn element(input: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (tag, rest) = input.split_first()?;
    let (first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        0..=0x7f => (usize::from(*first), rest),
        0x81..=0x83 => {
            let (digits, rest) = rest.split_at_checked(usize::from(first - 0x80))?;
            (digits.iter().fold(0, |length, digit| length << 8 | usize::from(*digit)), rest)
        }
        _ => return None,
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some((*tag, content, rest))
}

/// The text of a string of that type; `None` for other types, and where it is not text in that type.
fn decode(tag: u8, content: &[u8]) -> Option<String> {
    match tag {
        UTF8 => std::str::from_utf8(content).ok().map(str::to_owned),
        PRINTABLE | IA5 | T61 => content.is_ascii().then(|| content.iter().map(|byte| char::from(*byte)).collect()),
        BMP => {
            let (units, []) = content.as_chunks::<2>() else { return None };
            String::from_utf16(&units.iter().map(|unit| u16::from_be_bytes(*unit)).collect::<Vec<u16>>()).ok()
        }
        UNIVERSAL => {
            let (units, []) = content.as_chunks::<4>() else { return None };
            units.iter().map(|unit| char::from_u32(u32::from_be_bytes(*unit))).collect()
        }
        _ => None,
    }
}

/// Escapes a value (RFC 4514 §2.4).
fn escape(text: &str, out: &mut String) {
    let last = text.chars().count().saturating_sub(1);
    for (position, c) in text.chars().enumerate() {
        let at_an_edge = position == 0 && matches!(c, ' ' | '#') || position == last && c == ' ';
        if at_an_edge || matches!(c, '"' | '+' | ',' | ';' | '<' | '>' | '\\') {
            out.push('\\');
            out.push(c);
        } else if c.is_control() {
            for byte in c.encode_utf8(&mut [0; 4]).bytes() {
                let _ = write!(out, "\\{byte:02X}");
            }
        } else {
            out.push(c);
        }
    }
}

/// A value that is no text: the whole element in hexadecimal after a number sign (RFC 4514 §2.4).
fn hexadecimal(element: &[u8], out: &mut String) {
    out.push('#');
    for byte in element {
        let _ = write!(out, "{byte:02X}");
    }
}

/// An object identifier in dotted form (X.690 §8.19).
fn dotted(oid: &[u8], out: &mut String) {
    let mut arc: u128 = 0;
    let mut first = true;
    for byte in oid {
        arc = arc << 7 | u128::from(byte & 0x7f);
        if byte & 0x80 == 0 {
            let _ = match (first, arc) {
                (true, 0..80) => write!(out, "{}.{}", arc / 40, arc % 40),
                (true, _) => write!(out, "2.{}", arc - 80),
                (false, _) => write!(out, ".{arc}"),
            };
            (arc, first) = (0, false);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tlv(tag: u8, content: &[u8]) -> Vec<u8> {
        let length = u8::try_from(content.len()).unwrap();
        let mut out = if length < 0x80 { vec![tag, length] } else { vec![tag, 0x81, length] };
        out.extend_from_slice(content);
        out
    }

    fn attribute(kind: &[u8], tag: u8, value: &[u8]) -> Vec<u8> {
        tlv(SEQUENCE, &[tlv(OID, kind), tlv(tag, value)].concat())
    }

    fn name(sets: &[Vec<Vec<u8>>]) -> Vec<u8> {
        let sets: Vec<Vec<u8>> = sets.iter().map(|attributes| tlv(SET, &attributes.concat())).collect();
        tlv(SEQUENCE, &sets.concat())
    }

    fn common(tag: u8, value: &[u8]) -> Option<String> {
        read(&name(&[vec![attribute(COMMON_NAME, tag, value)]])).unwrap().common_name
    }

    #[test]
    fn the_last_part_comes_first_and_what_is_special_is_escaped() {
        let der = name(&[
            vec![attribute(&[0x55, 4, 6], PRINTABLE, b"DE")],
            vec![attribute(&[0x55, 4, 10], UTF8, b"A, \"B\" + C")],
            vec![attribute(COMMON_NAME, UTF8, "#J\u{fc}rgen ".as_bytes()), attribute(&[0x55, 4, 11], UTF8, b"x\ny")],
            vec![attribute(&[0x2a, 0x03, 0x84, 0x01], 0x02, &[7])],
        ]);
        let read = read(&der).unwrap();
        assert_eq!(read.text, "1.2.3.513=#020107,CN=\\#J\u{fc}rgen\\ +OU=x\\0Ay,O=A\\, \\\"B\\\" \\+ C,C=DE");
        assert_eq!(read.common_name.as_deref(), Some("#J\u{fc}rgen "));
    }

    #[test]
    fn one_common_name_or_none() {
        let alice = || attribute(COMMON_NAME, UTF8, b"alice");
        let admin = || attribute(COMMON_NAME, UTF8, b"admin");
        for twice in [name(&[vec![alice()], vec![admin()]]), name(&[vec![alice(), admin()]]), name(&[])] {
            assert_eq!(read(&twice).unwrap().common_name, None);
        }
        assert_eq!(read(&name(&[vec![alice()]])).unwrap().common_name.as_deref(), Some("alice"));
    }

    #[test]
    fn a_name_is_what_its_encoding_says_and_nothing_shorter() {
        assert_eq!(common(UTF8, b"admin\0.evil.example"), None);
        assert_eq!(common(UTF8, b"admin\r\nX: y"), None);
        assert_eq!(common(UTF8, b""), None);
        assert_eq!(common(UTF8, b"\xff\xfe"), None);
        assert_eq!(common(PRINTABLE, b"admin").as_deref(), Some("admin"));
        assert_eq!(common(T61, b"adm\xefn"), None);
        assert_eq!(common(BMP, b"\0a\0d\0m").as_deref(), Some("adm"));
        // Read as bytes this would be `admins`.
        assert_eq!(common(BMP, b"admins").as_deref(), Some("\u{6164}\u{6d69}\u{6e73}"));
        assert_eq!(common(BMP, b"admin"), None);
        assert_eq!(common(UNIVERSAL, b"\0\0\0a").as_deref(), Some("a"));
        assert_eq!(common(0x04, b"admin"), None);
    }

    #[test]
    fn no_bytes_make_it_fail_otherwise_than_by_none() {
        let good = name(&[vec![attribute(COMMON_NAME, UTF8, b"alice")]]);
        for length in 0..good.len() {
            assert_eq!(read(&good[..length]), None, "{length}");
        }
        for position in 0..good.len() {
            for byte in [0x00, 0x30, 0x7f, 0x80, 0x81, 0x83, 0x84, 0xff] {
                let mut bad = good.clone();
                bad[position] = byte;
                let _ = read(&bad);
            }
        }
    }
}
