//! Which coding a client wants: `Accept-Encoding` with its weights (RFC 9110 §12.5.3).

use super::Coding;
use crate::request::Headers;
use http::header;

/// What a client accepts, of the codings it was asked about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// The coding to use; `None` where the body is better left as it is.
    pub coding: Option<Coding>,
    /// Whether the body may also go out uncoded.
    pub plain: bool,
}

/// A weight in thousandths (RFC 9110 §12.4.2); `None` where it is malformed.
fn weight(text: &[u8]) -> Option<u16> {
    let (whole, fraction) = match text {
        [whole @ (b'0' | b'1')] => (*whole, &[][..]),
        [whole @ (b'0' | b'1'), b'.', fraction @ ..] if fraction.len() <= 3 => (*whole, fraction),
        _ => return None,
    };
    let mut thousandths = u16::from(whole - b'0') * 1000;
    let mut unit = 100;
    for digit in fraction {
        if !digit.is_ascii_digit() {
            return None;
        }
        thousandths += u16::from(digit - b'0') * unit;
        unit /= 10;
    }
    Some(thousandths).filter(|weight| *weight <= 1000)
}

/// Name and weight of one element. A malformed weight is none: the coding is not wanted.
pub fn element(text: &[u8]) -> Option<(&[u8], u16)> {
    let mut parts = text.split(|byte| *byte == b';').map(<[u8]>::trim_ascii);
    let name = parts.next().filter(|name| !name.is_empty())?;
    let mut found = 1000;
    for parameter in parts {
        if let [b'q' | b'Q', rest @ ..] = parameter
            && let [b'=', value @ ..] = rest.trim_ascii_start()
        {
            found = weight(value.trim_ascii()).unwrap_or(0);
        }
    }
    Some((name, found))
}

/// The best of `offered` for a client with these fields: the highest weight, and of equal ones the first offered.
pub fn accepted(headers: &dyn Headers, offered: &[Coding]) -> Accepted {
    const LEFT: Accepted = Accepted { coding: None, plain: true };
    let mut weights: [Option<u16>; 4] = [None; 4];
    let (mut any, mut identity, mut said) = (None, None, false);
    headers.each(&header::ACCEPT_ENCODING, &mut |value| {
        said = true;
        for (name, weight) in value.split(|byte| *byte == b',').filter_map(element) {
            match Coding::parse(name) {
                Some(coding) => {
                    if let Some(slot) = weights.get_mut(coding as usize) {
                        *slot = Some(slot.map_or(weight, |known| known.max(weight)));
                    }
                }
                None if name == b"*" => any = Some(weight),
                None if name.eq_ignore_ascii_case(b"identity") => identity = Some(weight),
                None => {}
            }
        }
    });
    if !said {
        return LEFT; // anything would do, and the body as it is costs nothing
    }
    let mut best: Option<(Coding, u16)> = None;
    for coding in offered {
        let named = weights.get(*coding as usize).copied().flatten();
        let weight = named.or(any).unwrap_or(0);
        if weight > best.map_or(0, |(_, best)| best) {
            best = Some((*coding, weight));
        }
    }
    // Without being named, identity is acceptable, but nothing is said of how much; `*;q=0` takes it away.
    let plain = identity.or(any.filter(|weight| *weight == 0)) != Some(0);
    let wanted_plain = identity.unwrap_or(0);
    let coding = best.filter(|(_, weight)| *weight >= wanted_plain).map(|(coding, _)| coding);
    Accepted { coding, plain }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{HeaderMap, HeaderValue};

    const ALL: [Coding; 3] = [Coding::Zstd, Coding::Brotli, Coding::Gzip];

    fn choose(fields: &[&str]) -> (Option<Coding>, bool) {
        let mut headers = HeaderMap::new();
        for field in fields {
            headers.append(header::ACCEPT_ENCODING, HeaderValue::from_str(field).unwrap());
        }
        let Accepted { coding, plain } = accepted(&headers, &ALL);
        (coding, plain)
    }

    #[test]
    fn the_table_of_what_clients_say() {
        use Coding::{Brotli, Gzip, Zstd};
        for (fields, coding, plain) in [
            (&[][..], None, true),
            (&[""], None, true),
            (&["gzip"], Some(Gzip), true),
            (&["x-gzip"], Some(Gzip), true),
            (&["GZIP;Q=0.5"], Some(Gzip), true),
            (&["gzip, deflate, br, zstd"], Some(Zstd), true),
            (&["gzip, deflate, br"], Some(Brotli), true),
            (&["gzip", "br"], Some(Brotli), true),
            (&["gzip;q=1, br;q=0.9"], Some(Gzip), true),
            (&["gzip;q=0"], None, true),
            (&["gzip;q=0.000"], None, true),
            (&["gzip;q=0, *"], Some(Zstd), true),
            (&["*"], Some(Zstd), true),
            (&["*;q=0"], None, false),
            (&["*;q=0, gzip"], Some(Gzip), false),
            (&["*;q=0, identity;q=0.5"], None, true),
            (&["identity;q=0"], None, false),
            (&["identity;q=0, gzip;q=0.1"], Some(Gzip), false),
            (&["identity, gzip;q=0.5"], None, true),
            (&["identity;q=0.5, gzip"], Some(Gzip), true),
            (&["identity, gzip"], Some(Gzip), true),
            (&["deflate"], None, true),
            (&["gzip;q=1.5"], None, true),
            (&["gzip;q=x"], None, true),
            (&["gzip;q=0.1234"], None, true),
            (&["gzip ; q = 0.5"], Some(Gzip), true),
            (&["gzip;level=9;q=0.5"], Some(Gzip), true),
            (&[",,gzip,,"], Some(Gzip), true),
            (&["compress, lzma"], None, true),
        ] {
            assert_eq!(choose(fields), (coding, plain), "{fields:?}");
        }
    }
}
