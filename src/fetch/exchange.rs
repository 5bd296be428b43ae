//! One request and its answer over one connection.

use super::{Answer, Call, FetchError};
use crate::value::Scheme;
use bytes::{Bytes, BytesMut};
use http::{HeaderValue, StatusCode, header};
use pingora_core::protocols::http::client::HttpSession;
use pingora_http::{RequestHeader, ResponseHeader};

/// Informational responses (1xx) before the real one that are put up with.
const MOST_INFORMATIONAL: usize = 8;
/// The longest head of an answer, in bytes of names and values: parts of it may go on to clients and upstreams.
const LONGEST_HEAD: usize = 32 * 1024;

/// Why an exchange failed, and whether the server can have seen anything of it.
pub(super) struct Failure {
    pub(super) error: FetchError,
    /// The connection was gone before the first byte of an answer.
    pub(super) unanswered: bool,
}

impl From<FetchError> for Failure {
    fn from(error: FetchError) -> Self {
        Self { error, unanswered: false }
    }
}

/// The head of the request.
pub(super) fn request(call: &Call) -> Result<RequestHeader, FetchError> {
    let bad = |error: Box<pingora_core::Error>| FetchError::BadCall(error.etype().as_str().to_owned());
    if matches!(call.url.scheme, Scheme::H2c | Scheme::H2) || !call.target.starts_with('/') {
        return Err(FetchError::BadCall("not an http or https URL".into()));
    }
    let mut request = RequestHeader::build(call.method.clone(), call.target.as_bytes(), Some(8)).map_err(bad)?;
    request.insert_header(header::HOST, call.url.authority()).map_err(bad)?;
    request.insert_header(header::USER_AGENT, "tollgate").map_err(bad)?;
    request.insert_header(header::ACCEPT_ENCODING, "identity").map_err(bad)?;
    for (name, value) in &call.fields {
        request.append_header(name.clone(), value.clone()).map_err(bad)?;
    }
    if !call.body.is_empty() || call.method == http::Method::POST {
        request.insert_header(header::CONTENT_LENGTH, HeaderValue::from(call.body.len())).map_err(bad)?;
    }
    Ok(request)
}

/// Sends the request and reads the answer to its end.
pub(super) async fn run(session: &mut HttpSession, request: RequestHeader, call: &Call) -> Result<Answer, Failure> {
    let unanswered = |error: Box<pingora_core::Error>| Failure { error: broken(&error), unanswered: true };
    session.write_request_header(Box::new(request)).await.map_err(unanswered)?;
    if !call.body.is_empty() {
        session.write_request_body(call.body.clone(), true).await.map_err(unanswered)?;
    }
    session.finish_request_body().await.map_err(unanswered)?;
    let (status, headers) = {
        let head = head(session).await?;
        let bytes: usize = head.headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
        if bytes > LONGEST_HEAD {
            return Err(FetchError::TooLong.into());
        }
        (head.status, head.headers.clone())
    };
    Ok(Answer { status, headers, body: body(session, call.most).await? })
}

/// Reads the head of the real answer.
async fn head(session: &mut HttpSession) -> Result<&ResponseHeader, Failure> {
    let mut seen = 0;
    loop {
        session
            .read_response_header()
            .await
            .map_err(|error| Failure { unanswered: seen == 0 && is_silent_end(&error), error: broken(&error) })?;
        match session.response_header().map(|head| head.status) {
            None => return Err(FetchError::Connection("no answer".into()).into()),
            Some(StatusCode::SWITCHING_PROTOCOLS) => {
                return Err(FetchError::Connection("another protocol than HTTP".into()).into());
            }
            Some(status) if !status.is_informational() => break,
            Some(_) => seen += 1,
        }
        if seen > MOST_INFORMATIONAL {
            return Err(FetchError::Connection("nothing but interim answers".into()).into());
        }
    }
    session.response_header().ok_or_else(|| FetchError::Connection("no answer".into()).into())
}

async fn body(session: &mut HttpSession, most: usize) -> Result<Bytes, FetchError> {
    let mut whole = BytesMut::new();
    while let Some(piece) = session.read_response_body().await.map_err(|error| broken(&error))? {
        if whole.len() + piece.len() > most {
            return Err(FetchError::TooLong);
        }
        whole.extend_from_slice(&piece);
    }
    Ok(whole.freeze())
}

/// Whether the connection ended before the first byte of an answer. Pingora says so in words only.
fn is_silent_end(error: &pingora_core::Error) -> bool {
    let said = error.context.as_ref().map(|context| context.as_str());
    said.is_some_and(|said| said.ends_with("bytes already read: 0"))
}

/// What went wrong, without addresses.
pub(super) fn broken(error: &pingora_core::Error) -> FetchError {
    FetchError::Connection(error.etype().as_str().to_owned())
}
