//! Numbers as ASCII, appended to a byte buffer without the formatting machinery.

use std::net::IpAddr;
use std::time::Duration;

/// The longest number in decimal.
pub(crate) type Digits = [u8; 20];

/// `number` in decimal, in as much of `room` as it takes.
pub(crate) fn decimal(mut number: u64, room: &mut Digits) -> &[u8] {
    let mut length = 0;
    for slot in room.iter_mut().rev() {
        *slot = b'0' + (number % 10) as u8;
        number /= 10;
        length += 1;
        if number == 0 {
            break;
        }
    }
    room.get(room.len() - length..).unwrap_or_default()
}

/// Appends `number` in decimal.
pub(crate) fn push_number(number: u64, out: &mut Vec<u8>) {
    out.extend_from_slice(decimal(number, &mut Digits::default()));
}

/// Appends a time as milliseconds with three decimals: `12.345`.
pub(crate) fn push_millis(time: Duration, out: &mut Vec<u8>) {
    let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
    push_number(micros / 1000, out);
    let decimals = [micros / 100 % 10, micros / 10 % 10, micros % 10].map(|digit| b'0' + digit as u8);
    out.push(b'.');
    out.extend_from_slice(&decimals);
}

/// The two lower-case hexadecimal digits of a byte.
pub(crate) const fn hex(byte: u8) -> [u8; 2] {
    const fn digit(nibble: u8) -> u8 {
        if nibble < 10 { b'0' + nibble } else { b'a' + nibble - 10 }
    }
    [digit(byte >> 4), digit(byte & 15)]
}

/// Writes bytes as lower-case hexadecimal digits into the beginning of `slots`, as far as there is room.
pub(crate) fn write_hex(bytes: &[u8], slots: &mut [u8]) {
    let (pairs, _) = slots.as_chunks_mut::<2>();
    for (pair, &byte) in pairs.iter_mut().zip(bytes) {
        *pair = hex(byte);
    }
}

/// The value of a hexadecimal digit of either case.
pub(crate) const fn unhex(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

/// Appends a number of at most three digits in decimal.
fn push_octet(octet: u8, out: &mut Vec<u8>) {
    if octet >= 100 {
        out.push(b'0' + octet / 100);
    }
    if octet >= 10 {
        out.push(b'0' + octet / 10 % 10);
    }
    out.push(b'0' + octet % 10);
}

/// Appends an address, without brackets: `192.0.2.1`, `2001:db8::1`. An IPv4-mapped IPv6 address is written as IPv4.
pub(crate) fn push_address(address: IpAddr, out: &mut Vec<u8>) {
    match address.to_canonical() {
        IpAddr::V4(v4) => {
            let [first, rest @ ..] = v4.octets();
            push_octet(first, out);
            for octet in rest {
                out.push(b'.');
                push_octet(octet, out);
            }
        }
        IpAddr::V6(v6) => {
            // Writing to a `Vec` cannot fail.
            let _ = std::io::Write::write_fmt(out, format_args!("{v6}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn numbers_are_written_as_the_standard_library_writes_them() {
        for number in [0, 1, 9, 10, 99, 100, 1_234_567_890, u64::MAX] {
            assert_eq!(written(|out| push_number(number, out)), number.to_string());
        }
    }

    #[test]
    fn times_are_milliseconds_with_three_decimals() {
        assert_eq!(written(|out| push_millis(Duration::ZERO, out)), "0.000");
        assert_eq!(written(|out| push_millis(Duration::from_micros(12_345), out)), "12.345");
        assert_eq!(written(|out| push_millis(Duration::from_nanos(1_999), out)), "0.001");
        assert_eq!(written(|out| push_millis(Duration::from_secs(90), out)), "90000.000");
    }

    #[test]
    fn bytes_are_two_hexadecimal_digits() {
        for byte in 0..=255 {
            let [high, low] = hex(byte);
            assert_eq!(unhex(high).unwrap() << 4 | unhex(low).unwrap(), byte);
            assert!(!high.is_ascii_uppercase() && !low.is_ascii_uppercase());
        }
        assert_eq!((unhex(b'F'), unhex(b'g'), unhex(b'/')), (Some(15), None, None));
    }

    #[test]
    fn addresses_are_written_without_brackets() {
        for text in ["0.0.0.0", "192.0.2.255", "9.10.99.100", "2001:db8::1", "::"] {
            assert_eq!(written(|out| push_address(text.parse().unwrap(), out)), text);
        }
        assert_eq!(written(|out| push_address("::ffff:192.0.2.1".parse().unwrap(), out)), "192.0.2.1");
    }
}
