//! One request: its message made, the call, the answer as JSON.

use super::Transcode;
use super::binding::{Asked, Binding};
use super::download::Download;
use super::format::Format;
use super::frames::{BadFrames, Deframer, frame};
use super::status::{CallStatus, Counting, Failed, GRPC_STATUS};
use super::upload::{Lines, Making};
use crate::exchange::call::{Call, CallAnswer, CallBody, Flow};
use crate::exchange::content::{is_json, media_type};
use crate::exchange::{Answer, Incoming};
use crate::reply::{Fixed, Reason, Reply};
use crate::value::GrpcCode;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use prost_reflect::DynamicMessage;
use std::sync::Arc;
use std::time::{Duration, Instant};

const GRPC_TIMEOUT: HeaderName = HeaderName::from_static("grpc-timeout");
const GRPC_ENCODING: HeaderName = HeaderName::from_static("grpc-encoding");

/// Media types of a body of lines.
const LINES: [&str; 4] =
    ["application/x-ndjson", "application/ndjson", "application/jsonl", "application/x-json-stream"];

pub(super) async fn run(transcode: Arc<Transcode>, mut request: Incoming) -> Result<Answer, Box<Reply>> {
    let (method, captures) = (request.method.clone(), std::mem::take(&mut request.captures));
    let (path, query) = (std::mem::take(&mut request.path), request.query.take());
    let asked = Asked { method: &method, path: &path, query: query.as_deref(), captures: &captures };
    let (callable, texts) = transcode.callable(&asked).ok_or_else(no_such_call)?;
    let binding = Arc::clone(&callable.binding);
    let values = binding.values(&asked, &texts, &transcode.json)?;
    let kind = binding.method.kind;
    let fields = transcode.metadata.of_request(&request.headers)?;
    let mut call = Call::new(transcode.to.clone(), Method::POST, binding.method.target.clone(), fields);
    call.retries = Arc::clone(&transcode.retries);
    let reads = binding.reads_body(&method);
    if reads {
        check_type(&binding, &request.headers)?;
    }
    let body = std::mem::replace(&mut request.body, crate::exchange::ClientBody::new().0);
    call.body = match reads && kind.takes_stream() {
        true => {
            let (json, most) = (transcode.json.clone(), transcode.most);
            let making = Making { binding: Arc::clone(&binding), values, json, most };
            CallBody::stream(None, Box::new(Lines::new(body, making)))
        }
        false => {
            let mut body = body;
            let whole = if reads { Some(body.whole(transcode.most).await?) } else { None };
            let message = binding.message(whole.as_ref(), &values, &transcode.json, &request.headers)?;
            CallBody::Whole(frame(&message))
        }
    };
    if kind.gives_stream() {
        call.flow = Some(Flow::Streaming);
    } else if let Some(deadline) = request.origin.deadline {
        call.fields.insert(GRPC_TIMEOUT, timeout(deadline.saturating_duration_since(Instant::now())));
    }
    let mut counting = Counting::begin(&callable.metrics, request.origin.worker);
    let answered = async {
        let answer = request.calls.send(call, &request.origin).await?;
        check_head(&transcode, &answer)?;
        match kind.gives_stream() {
            true => Ok(Ok(answer)),
            false => whole(&transcode, &binding, answer).await.map(Err),
        }
    };
    match answered.await {
        Ok(Ok(answer)) => Ok(stream((Arc::clone(&transcode), binding), answer, &request, counting)),
        Ok(Err(fixed)) => {
            counting.ends(GrpcCode::OK);
            Ok(Answer::Whole(fixed))
        }
        Err(Failed { code, reply }) => {
            counting.ends(code);
            Err(reply)
        }
    }
}

/// The refusal of a path that the pattern of the route matches, and none of its templates.
pub(super) fn no_such_call() -> Box<Reply> {
    Box::new(Reason::NoRoute.into())
}

/// Refuses a body of a type that is not read, so that what a page of another site can send is no call (Fetch, "CORS-safelisted
/// request-header").
pub(super) fn check_type(binding: &Binding, headers: &HeaderMap) -> Result<(), Box<Reply>> {
    let kind = media_type(headers);
    let lines = binding.method.kind.takes_stream() && LINES.contains(&&*kind);
    if kind.is_empty() || is_json(&kind) || lines || binding.takes_any_body() {
        return Ok(());
    }
    let detail = "This route takes JSON; send `Content-Type: application/json`.";
    Err(Box::new(Reply::new(Reason::UnsupportedProtocol).title("Unsupported media type").detail(detail)))
}

/// Whether the answer is one of a call that goes on.
fn check_head(transcode: &Transcode, answer: &CallAnswer) -> Result<(), Failed> {
    let fields = &answer.headers;
    let kind = fields.get(header::CONTENT_TYPE).map(HeaderValue::as_bytes).unwrap_or_default();
    let is_grpc = kind.starts_with(b"application/grpc") && !kind.starts_with(b"application/grpc-web");
    // A status in the head ends the call, whatever else stands there ("Trailers-Only").
    if let Some(status) = CallStatus::read(fields).filter(|status| !status.is_ok()) {
        return Err(status.into_failed(transcode.schema.pool(), &transcode.json));
    }
    if answer.status != StatusCode::OK || !(is_grpc || fields.contains_key(GRPC_STATUS)) {
        let status = match answer.status {
            StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT | StatusCode::TOO_MANY_REQUESTS => {
                answer.status
            }
            _ => StatusCode::BAD_GATEWAY,
        };
        let detail = "The service behind this route did not answer with gRPC.";
        return Err(Box::new(Reply::new(Reason::UpstreamInvalid).status(status).detail(detail)).into());
    }
    Ok(())
}

fn deframer(transcode: &Transcode, headers: &HeaderMap) -> Deframer {
    let gzip = headers.get(GRPC_ENCODING).is_some_and(|coding| coding.as_bytes().eq_ignore_ascii_case(b"gzip"));
    Deframer::new(transcode.most, gzip)
}

/// The one message of an answer.
async fn whole(transcode: &Transcode, binding: &Binding, mut answer: CallAnswer) -> Result<Fixed, Failed> {
    let mut deframer = deframer(transcode, &answer.headers);
    let (body, trailers) = answer.body.collect(transcode.most.saturating_add(5)).await?;
    let told = trailers.as_ref().and_then(CallStatus::read).or_else(|| CallStatus::read(&answer.headers));
    let status = told.unwrap_or_else(CallStatus::untold);
    if !status.is_ok() {
        return Err(status.into_failed(transcode.schema.pool(), &transcode.json));
    }
    deframer.push(body);
    let Some(message) = deframer.next().map_err(bad_frames)? else { return Err(bad_frames(BadFrames::CutOff)) };
    if !matches!(deframer.next(), Ok(None)) || deframer.finish().is_err() {
        return Err(bad_frames(BadFrames::Malformed));
    }
    let message = DynamicMessage::decode(binding.method.output.clone(), message).map_err(bad_message)?;
    let (body, kind) = binding.answer(&message, &transcode.json).map_err(bad_message)?;
    let kind = kind.and_then(|kind| HeaderValue::try_from(kind).ok());
    let kind = kind.unwrap_or_else(|| HeaderValue::from_static("application/json"));
    let mut fields = vec![(header::CONTENT_TYPE, kind)];
    let told = transcode.metadata.of_answer(&answer.headers, trailers.as_ref());
    fields.extend(told.iter().map(|(name, value)| (name.clone(), value.clone())));
    Ok(Fixed { status: StatusCode::OK, fields, body: body.into() })
}

fn stream(
    (transcode, binding): (Arc<Transcode>, Arc<Binding>),
    answer: CallAnswer,
    request: &Incoming,
    counting: Counting,
) -> Answer {
    let format = Format::accepted(&request.headers);
    let mut headers = transcode.metadata.of_answer(&answer.headers, None);
    headers.insert(header::CONTENT_TYPE, format.content_type());
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    let deframer = deframer(&transcode, &answer.headers);
    let body = Download {
        transcode,
        binding,
        deframer,
        format,
        request_id: request.origin.request_id.to_str().unwrap_or_default().into(),
        // An answer without a body has its status in its head.
        trailers: answer.headers.contains_key(GRPC_STATUS).then(|| answer.headers.clone()),
        body: answer.body,
        none_yet: true,
        ended: false,
        counting,
    };
    Answer::Stream { status: StatusCode::OK, headers, body: Box::new(body) }
}

/// The refusal of an answer that is no sequence of messages.
pub(super) fn bad_frames(bad: BadFrames) -> Failed {
    bad_message(String::from(bad))
}

/// The refusal of an answer whose message cannot be told.
pub(super) fn bad_message(why: impl std::fmt::Display) -> Failed {
    let detail = format!("The answer of the service behind this route cannot be told: {why}.");
    Failed { code: GrpcCode::INTERNAL, reply: Box::new(Reply::new(Reason::UpstreamBody).detail(detail)) }
}

/// A span as `grpc-timeout`: milliseconds while eight digits hold them, never none.
fn timeout(left: Duration) -> HeaderValue {
    let (millis, seconds) = (left.as_millis().max(1), left.as_secs().min(99_999_999));
    let text = if millis < 100_000_000 { format!("{millis}m") } else { format!("{seconds}S") };
    HeaderValue::try_from(text).unwrap_or_else(|_| HeaderValue::from_static("1m"))
}
