//! Trailers as the last frame of a gRPC-Web body.

use bytes::{BufMut, Bytes, BytesMut};
use http::HeaderMap;

/// The flag of a frame that holds trailers, not compressed.
const TRAILERS: u8 = 0x80;

/// Flag and length stand before every frame.
const PREFIX: usize = 5;

/// The frame: flag, length in four bytes, then `name: value` lines. Names are in lower case, as the protocol asks.
pub fn frame(trailers: &HeaderMap) -> Bytes {
    let length: usize = trailers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum();
    let mut frame = BytesMut::with_capacity(PREFIX + length);
    frame.put_u8(TRAILERS);
    // HTTP/2 bounds a list of fields far below four gigabytes.
    frame.put_u32(u32::try_from(length).unwrap_or(u32::MAX));
    for (name, value) in trailers {
        frame.put_slice(name.as_str().as_bytes());
        frame.put_slice(b": ");
        frame.put_slice(value.as_bytes());
        frame.put_slice(b"\r\n");
    }
    frame.freeze()
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{HeaderName, HeaderValue};
    use proptest::prelude::*;

    #[test]
    fn the_lines_of_every_trailer_stand_in_one_frame() {
        let mut trailers = HeaderMap::new();
        trailers.insert("grpc-status", HeaderValue::from_static("5"));
        trailers.insert("Grpc-Message", HeaderValue::from_static("no%20such thing"));
        trailers.append("x", HeaderValue::from_static("1"));
        trailers.append("x", HeaderValue::from_static(""));
        let lines = b"grpc-status: 5\r\ngrpc-message: no%20such thing\r\nx: 1\r\nx: \r\n";
        assert_eq!(frame(&trailers), [&[0x80, 0, 0, 0, 58], lines.as_slice()].concat());
    }

    #[test]
    fn no_trailers_make_an_empty_frame() {
        assert_eq!(frame(&HeaderMap::new()), [0x80, 0, 0, 0, 0].as_slice());
    }

    proptest! {
        #[test]
        fn the_length_is_that_of_what_follows(fields in prop::collection::vec(("[a-z-]{1,20}", "[ -~]{0,200}"), 0..10)) {
            let mut trailers = HeaderMap::new();
            for (name, value) in &fields {
                trailers.append(HeaderName::from_bytes(name.as_bytes()).unwrap(), HeaderValue::from_str(value).unwrap());
            }
            let frame = frame(&trailers);
            let (prefix, lines) = frame.split_at(PREFIX);
            prop_assert_eq!(&prefix[1..], &u32::try_from(lines.len()).unwrap().to_be_bytes());
            prop_assert_eq!(lines.iter().filter(|byte| **byte == b'\n').count(), fields.len());
        }
    }
}
