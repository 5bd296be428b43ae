//! gRPC-Web for services that speak plain gRPC: browsers cannot read trailers nor force HTTP/2, so trailers come as the
//! last frame of the body, and bodies may be base64
//! (<https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-WEB.md>).
//!
//! Messages keep their framing both ways, so that nothing is buffered and nothing is parsed: only heads, the text
//! encoding and trailers change.

mod content_type;
mod text;
mod trailers;

pub use content_type::{Encoding, WebType};
pub use text::{InvalidBase64, TextDecoder};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, header};

/// What is done to one exchange.
#[derive(Clone, Debug, Default)]
pub enum Translation {
    /// Nothing: not gRPC-Web, or the service speaks it itself.
    #[default]
    Off,
    /// Request and answer are translated.
    On {
        /// Turns a text request into bytes; `None` where the request is binary already.
        request: Option<TextDecoder>,
        /// How the client wants the answer; `None` where the service's answer is not gRPC and passes as it is.
        response: Option<Encoding>,
    },
}

impl Translation {
    /// Begins with the head of a request for a service that speaks gRPC: a gRPC-Web request becomes a gRPC one, any other
    /// is left alone.
    pub fn begin(headers: &mut HeaderMap) -> Self {
        let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| WebType::parse(value.as_bytes()));
        let Some((kind, grpc)) = content_type.and_then(|kind| Some((kind.encoding, kind.to_grpc()?))) else {
            return Self::Off;
        };
        let accepted = headers.get(header::ACCEPT).and_then(|accept| Encoding::accepted(accept.as_bytes()));
        headers.insert(header::CONTENT_TYPE, grpc);
        headers.insert(header::TE, HeaderValue::from_static("trailers"));
        let request = (kind == Encoding::Text).then(TextDecoder::default);
        if request.is_some() {
            headers.remove(header::CONTENT_LENGTH);
        }
        Self::On { request, response: Some(accepted.unwrap_or(kind)) }
    }

    /// Translates a piece of the request's body, in place; `end` with the last one.
    ///
    /// # Errors
    /// The client promised base64 and sent something else.
    pub fn request_chunk(&mut self, body: &mut Option<Bytes>, end: bool) -> Result<(), InvalidBase64> {
        let Self::On { request: Some(decoder), .. } = self else { return Ok(()) };
        if let Some(chunk) = body {
            *chunk = decoder.decode(chunk)?;
        }
        if end { decoder.finish() } else { Ok(()) }
    }

    /// Translates the head of the answer. A status in it (a "trailers-only" answer) stays: clients read it there too.
    pub fn response_head(&mut self, headers: &mut HeaderMap) {
        let Self::On { response, .. } = self else { return };
        let grpc = headers.get(header::CONTENT_TYPE);
        let web = response.and_then(|encoding| encoding.of_grpc(grpc?.as_bytes()));
        match web {
            Some(web) => {
                headers.insert(header::CONTENT_TYPE, web);
                headers.remove(header::CONTENT_LENGTH);
                headers.remove(header::TRAILER);
            }
            None => *response = None,
        }
    }

    /// Translates a piece of the answer's body, in place.
    pub fn response_chunk(&self, body: &mut Option<Bytes>) {
        if let (Self::On { response: Some(Encoding::Text), .. }, Some(chunk)) = (self, body) {
            *chunk = text::encode(chunk);
        }
    }

    /// The end of the answer's body that stands for its trailers; `None` where they pass as trailers.
    pub fn trailers(&self, trailers: &HeaderMap) -> Option<Bytes> {
        let Self::On { response: Some(encoding), .. } = self else { return None };
        let frame = trailers::frame(trailers);
        Some(match encoding {
            Encoding::Binary => frame,
            Encoding::Text => text::encode(&frame),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(fields: &[(&'static str, &'static str)]) -> HeaderMap {
        let pair = |(name, value): &(&'static str, &'static str)| {
            (http::HeaderName::from_static(name), HeaderValue::from_static(value))
        };
        fields.iter().map(pair).collect()
    }

    fn begun(fields: &[(&'static str, &'static str)]) -> (Translation, HeaderMap) {
        let mut headers = headers(fields);
        (Translation::begin(&mut headers), headers)
    }

    #[test]
    fn other_requests_are_left_alone() {
        let fields =
            [("content-type", "application/grpc"), ("content-length", "5"), ("accept", "application/grpc-web")];
        let (translation, left) = begun(&fields);
        assert!(matches!(translation, Translation::Off));
        assert_eq!(left, headers(&fields));
    }

    #[test]
    fn a_binary_request_keeps_its_length_and_a_text_one_does_not() {
        let (_, binary) = begun(&[("content-type", "application/grpc-web+proto"), ("content-length", "5")]);
        assert_eq!(
            binary,
            headers(&[("content-type", "application/grpc+proto"), ("content-length", "5"), ("te", "trailers")])
        );
        let (_, text) = begun(&[("content-type", "application/grpc-web-text"), ("content-length", "8")]);
        assert_eq!(text, headers(&[("content-type", "application/grpc"), ("te", "trailers")]));
    }

    #[test]
    fn the_answer_is_written_as_accept_says_else_as_the_request_was() {
        let cases = [
            (Some("application/grpc-web"), Encoding::Binary),
            (Some("application/grpc-web-text"), Encoding::Text),
            (Some("*/*"), Encoding::Text),
            (None, Encoding::Text),
        ];
        for (accept, expected) in cases {
            let accept = accept.map(|accept| ("accept", accept));
            let fields: Vec<_> = [("content-type", "application/grpc-web-text")].into_iter().chain(accept).collect();
            let (translation, _) = begun(&fields);
            let Translation::On { response, .. } = translation else { panic!("off") };
            assert_eq!(response, Some(expected), "{accept:?}");
        }
    }

    #[test]
    fn an_answer_that_is_not_grpc_passes_as_it_is() {
        let (mut translation, _) = begun(&[("content-type", "application/grpc-web-text")]);
        let fields = [("content-type", "text/html"), ("content-length", "3")];
        let mut answer = headers(&fields);
        translation.response_head(&mut answer);
        let mut body = Some(Bytes::from_static(b"404"));
        translation.response_chunk(&mut body);
        assert_eq!((answer, body), (headers(&fields), Some(Bytes::from_static(b"404"))));
        assert_eq!(translation.trailers(&HeaderMap::new()), None);
    }

    #[test]
    fn a_request_that_ends_within_four_characters_is_refused_at_its_end() {
        let (mut translation, _) = begun(&[("content-type", "application/grpc-web-text")]);
        let mut body = Some(Bytes::from_static(b"AAAAA"));
        assert_eq!(translation.request_chunk(&mut body, false), Ok(()));
        assert_eq!(body, Some(Bytes::from_static(&[0; 3])));
        assert_eq!(translation.request_chunk(&mut None, true), Err(InvalidBase64));
    }
}
