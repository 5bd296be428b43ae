//! Which of several media types a client likes best: `Accept` (RFC 9110 §12.5.1).

use crate::policy::coding::element;
use crate::request::Headers;
use http::header;

/// The number of the best of `offered`: the highest weight, and of equal ones the first. `None` where the client wants none
/// of them; without `Accept` the first is as good as any.
pub fn best<'o>(headers: &dyn Headers, offered: impl Iterator<Item = &'o str>) -> Option<usize> {
    let mut ranges: Vec<(Vec<u8>, u16)> = Vec::new();
    headers.each(&header::ACCEPT, &mut |value| {
        let elements = value.split(|byte| *byte == b',').filter_map(element);
        ranges.extend(elements.map(|(range, weight)| (range.to_ascii_lowercase(), weight)));
    });
    if ranges.is_empty() {
        return Some(0);
    }
    let mut found: Option<(usize, u16)> = None;
    for (place, kind) in offered.enumerate() {
        let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        let weight = weight(&ranges, kind.as_bytes());
        if weight > found.map_or(0, |(_, best)| best) {
            found = Some((place, weight));
        }
    }
    found.map(|(place, _)| place)
}

/// The weight of a media type: that of the most specific range it falls into.
fn weight(ranges: &[(Vec<u8>, u16)], kind: &[u8]) -> u16 {
    let family = kind.split(|byte| *byte == b'/').next().unwrap_or_default();
    let specific = |range: &[u8]| match range {
        b"*/*" => Some(0),
        [front @ .., b'/', b'*'] if front == family => Some(1),
        range if range == kind => Some(2),
        _ => None,
    };
    let fitting = ranges.iter().filter_map(|(range, weight)| Some((specific(range)?, *weight)));
    fitting.max_by_key(|(specific, _)| *specific).map_or(0, |(_, weight)| weight)
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{HeaderMap, HeaderValue};

    #[test]
    fn the_heaviest_wins_and_the_most_specific_range_counts() {
        const OFFERED: [&str; 3] = ["application/json", "application/xml; charset=utf-8", "text/html"];
        for (accept, expected) in [
            ("*/*", Some(0)),
            ("text/html", Some(2)),
            ("text/*", Some(2)),
            ("application/xml, application/json;q=0.5", Some(1)),
            ("application/json;q=0, */*;q=0.1", Some(1)),
            ("application/json; q=0.2, application/*;q=0.3", Some(1)),
            ("APPLICATION/XML", Some(1)),
            ("image/png", None),
            ("*/*;q=0", None),
            ("nonsense;;q=x", None),
        ] {
            let mut headers = HeaderMap::new();
            headers.append("accept", HeaderValue::from_static(accept));
            assert_eq!(best(&headers, OFFERED.into_iter()), expected, "{accept}");
        }
        assert_eq!(best(&HeaderMap::new(), OFFERED.into_iter()), Some(0));
    }
}
