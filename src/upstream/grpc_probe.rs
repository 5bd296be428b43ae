//! One question to the health service of gRPC (<https://github.com/grpc/grpc/blob/master/doc/health-checking.md>).

use super::probe::brief;
use crate::value::GrpcCode;
use bytes::{BufMut, Bytes, BytesMut};
use http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, Version, header};
use pingora_core::connectors::http::Connector;
use pingora_core::protocols::http::client::HttpSession;
use pingora_core::upstreams::peer::HttpPeer;
use pingora_http::RequestHeader;

const CHECK: &str = "/grpc.health.v1.Health/Check";
/// The longest answer that is looked at: there are two bytes in it.
const LONGEST: usize = 1_024;
/// The names of what a service may be, by their numbers (grpc.health.v1.HealthCheckResponse.ServingStatus).
const SERVING: [&str; 4] = ["UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN"];

/// Asks whether a service is served; empty for the server as a whole. Both results say in a few words what was seen.
pub(super) async fn check(
    connector: &Connector,
    peer: &HttpPeer,
    host: &HeaderValue,
    service: &str,
) -> Result<String, String> {
    let mut peer = peer.clone();
    peer.options.set_http_version(2, 2);
    let (session, _) = connector.get_http_session(&peer).await.map_err(|error| brief(&error))?;
    let HttpSession::H2(mut session) = session else { return Err("no HTTP/2".into()) };
    let request = request(&peer, host).map_err(|error| brief(&error))?;
    let exchange = async {
        session.write_request_header(Box::new(request), false)?;
        session.write_request_body(question(service), true).await?;
        session.read_response_header().await?;
        let mut body = BytesMut::new();
        while let Some(piece) = session.read_response_body().await? {
            if body.len() + piece.len() <= LONGEST {
                body.extend_from_slice(&piece);
            }
        }
        Ok((body, session.read_trailers().await?))
    };
    let (body, trailers) = exchange.await.map_err(|error: Box<pingora_core::Error>| brief(&error))?;
    let Some(head) = session.response_header() else { return Err("no answer".into()) };
    if head.status != StatusCode::OK {
        return Err(format!("status {}", head.status.as_u16()));
    }
    let told = |fields: &HeaderMap| fields.get("grpc-status").map(|code| GrpcCode::told(code.as_bytes()));
    match trailers.as_ref().and_then(told).or_else(|| told(&head.headers)) {
        Some(GrpcCode::OK) => judged(&body),
        Some(code) => Err(code.name().to_owned()),
        None => Err("no status".into()),
    }
}

fn request(peer: &HttpPeer, host: &HeaderValue) -> pingora_core::Result<RequestHeader> {
    let mut request = RequestHeader::build(Method::POST, CHECK.as_bytes(), Some(4))?;
    request.insert_header(header::USER_AGENT, "tollgate-health")?;
    request.insert_header(header::CONTENT_TYPE, "application/grpc")?;
    request.insert_header(header::TE, "trailers")?;
    let scheme = if peer.is_tls() { "https" } else { "http" };
    let authority = host.to_str().unwrap_or_default();
    let uri = Uri::builder().scheme(scheme).authority(authority).path_and_query(CHECK).build();
    request.set_version(Version::HTTP_2);
    uri.into_iter().for_each(|uri| request.set_uri(uri));
    Ok(request)
}

/// `HealthCheckRequest { string service = 1; }`, framed.
fn question(service: &str) -> Bytes {
    let mut message = Vec::new();
    if !service.is_empty() {
        prost::encoding::string::encode(1, &service.to_owned(), &mut message);
    }
    let mut framed = BytesMut::with_capacity(5 + message.len());
    framed.put_u8(0);
    framed.put_u32(u32::try_from(message.len()).unwrap_or(u32::MAX));
    framed.extend_from_slice(&message);
    framed.freeze()
}

/// What `HealthCheckResponse { ServingStatus status = 1; }` says. A message without the field says UNKNOWN.
fn judged(body: &[u8]) -> Result<String, String> {
    let status = match body {
        [0, 0, 0, 0, 0] => Some(0),
        [0, 0, 0, 0, 2, 0x08, status] => Some(usize::from(*status)),
        _ => None,
    };
    match status.and_then(|status| SERVING.get(status)) {
        Some(name) if *name == "SERVING" => Ok((*name).to_owned()),
        Some(name) => Err((*name).to_owned()),
        None => Err("an answer that says nothing".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_service_that_is_served_passes() {
        assert_eq!(judged(&[0, 0, 0, 0, 2, 8, 1]), Ok("SERVING".into()));
        assert_eq!(judged(&[0, 0, 0, 0, 2, 8, 2]), Err("NOT_SERVING".into()));
        assert_eq!(judged(&[0, 0, 0, 0, 0]), Err("UNKNOWN".into()));
        for body in [&b""[..], &[0, 0, 0, 0, 2, 8, 9], &[1, 0, 0, 0, 2, 8, 1], b"hello world"] {
            assert!(judged(body).is_err(), "{body:?}");
        }
    }

    #[test]
    fn the_question_names_the_service() {
        assert_eq!(question(""), [0, 0, 0, 0, 0].as_slice());
        assert_eq!(question("a.B"), [0, 0, 0, 0, 5, 10, 3, b'a', b'.', b'B'].as_slice());
    }
}
