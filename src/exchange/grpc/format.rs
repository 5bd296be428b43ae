//! How a stream of messages is written: JSON lines, server-sent events or a JSON array, by `Accept`.

use crate::reply::{Form, Reply, Templates, render};
use http::{HeaderMap, HeaderValue, header};

/// How a stream is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// One message a line (`application/x-ndjson`).
    Lines,
    /// One message an event (`text/event-stream`; HTML, "server-sent events").
    Events,
    /// All messages in an array (`application/json`).
    Array,
}

/// The media types that mean a format.
const TYPES: [(&str, Format); 8] = [
    ("application/x-ndjson", Format::Lines),
    ("application/ndjson", Format::Lines),
    ("application/jsonl", Format::Lines),
    ("application/x-json-stream", Format::Lines),
    ("application/json-seq", Format::Lines),
    ("text/event-stream", Format::Events),
    ("application/json", Format::Array),
    ("*/*", Format::Lines),
];

impl Format {
    /// What a client asks for with its `Accept` (RFC 9110 §12.5.1): what it likes best, of two the first; lines where it
    /// does not say.
    pub fn accepted(headers: &HeaderMap) -> Self {
        let mut best = (0.0_f32, Self::Lines);
        let ranges = headers.get_all(header::ACCEPT).iter().filter_map(|accept| accept.to_str().ok());
        for range in ranges.flat_map(|accept| accept.split(',')).take(32) {
            let mut parts = range.split(';').map(str::trim);
            let media = parts.next().unwrap_or_default().to_ascii_lowercase();
            let Some((_, format)) = TYPES.iter().find(|(known, _)| *known == media) else { continue };
            let quality = parts.find_map(|part| part.strip_prefix("q=")?.parse().ok()).unwrap_or(1.0);
            if quality > best.0 {
                best = (quality, *format);
            }
        }
        best.1
    }

    /// The media type.
    pub fn content_type(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::Lines => "application/x-ndjson",
            Self::Events => "text/event-stream",
            Self::Array => "application/json",
        })
    }

    /// What stands before a message: the first, or one of the others.
    pub fn before(self, first: bool) -> &'static [u8] {
        match (self, first) {
            (Self::Lines, _) => b"",
            (Self::Events, _) => b"data: ",
            (Self::Array, true) => b"[",
            (Self::Array, false) => b",",
        }
    }

    /// What stands after a message.
    pub fn after(self) -> &'static [u8] {
        match self {
            Self::Lines => b"\n",
            Self::Events => b"\n\n",
            Self::Array => b"",
        }
    }

    /// What stands at a good end, after all messages or none.
    pub fn end(self, none: bool) -> &'static [u8] {
        match (self, none) {
            (Self::Lines | Self::Events, _) => b"",
            (Self::Array, true) => b"[]",
            (Self::Array, false) => b"]",
        }
    }

    /// How a bad end is told within the stream; `None` where it cannot be, so that the answer must break off.
    pub fn failure(self, reply: &Reply, request_id: &str) -> Option<Vec<u8>> {
        let body = render(reply, Form::Problem, &Templates::default(), request_id).body;
        // On one line: a line ends what it stands in.
        let problem = serde_json::from_slice::<serde_json::Value>(&body).unwrap_or_default();
        match self {
            Self::Lines => Some(format!("{{\"error\":{problem}}}\n").into_bytes()),
            Self::Events => Some(format!("event: error\ndata: {problem}\n\n").into_bytes()),
            Self::Array => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_is_written_as_accept_says() {
        for (accept, format) in [
            (None, Format::Lines),
            (Some("*/*"), Format::Lines),
            (Some("application/json"), Format::Array),
            (Some("text/event-stream"), Format::Events),
            (Some("application/json;q=0.5, Application/X-NDJSON"), Format::Lines),
            (Some("application/json, */*;q=0.1"), Format::Array),
            (Some("text/html"), Format::Lines),
        ] {
            let mut headers = HeaderMap::new();
            headers.extend(accept.map(|accept| (header::ACCEPT, HeaderValue::from_static(accept))));
            assert_eq!(Format::accepted(&headers), format, "{accept:?}");
        }
    }
}
