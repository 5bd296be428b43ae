//! Cookies of a request, read as leniently as servers read them (RFC 6265 §5.4).

use super::Headers;
use http::header;

/// Names and values of one Cookie field. What has no `=` is no cookie.
pub fn cookies(line: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    line.split(|byte| *byte == b';').filter_map(|pair| {
        let at = memchr::memchr(b'=', pair)?;
        let (name, value) = pair.split_at_checked(at)?;
        Some((name.trim_ascii(), value.get(1..)?.trim_ascii()))
    })
}

/// The first value of a cookie.
pub fn cookie(headers: &dyn Headers, name: &str) -> Option<Vec<u8>> {
    let mut found = None;
    headers.each(&header::COOKIE, &mut |line| {
        if found.is_none() {
            found = cookies(line).find(|(own, _)| *own == name.as_bytes()).map(|(_, value)| value.to_vec());
        }
    });
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{HeaderMap, HeaderValue};

    #[test]
    fn a_cookie_is_found_by_its_whole_name() {
        let headers = |line| HeaderMap::from_iter([(header::COOKIE, HeaderValue::from_static(line))]);
        assert_eq!(cookie(&headers("xsession=1; session=two; z=3"), "session"), Some(b"two".to_vec()));
        assert_eq!(cookie(&headers("a=1;session = two ;session=3"), "session"), Some(b"two".to_vec()));
        assert_eq!(cookie(&headers("sessions=1; session"), "session"), None);
    }
}
