//! gRPC for services that speak HTTP and JSON: the rules of `google.api.http` the other way round. A message makes path, query and
//! body of a request; its JSON answer makes the message that goes back.

use super::binding::{BodyBinding, invalid};
use super::fields::FieldPath;
use super::frames::{BadFrames, Deframer, frame};
use super::json::Json;
use super::metadata::Metadata;
use super::query::{query, text};
use super::schema::Method;
use super::status::{CallStatus, Counting, Failed, GRPC_STATUS};
use super::template::Template;
use crate::exchange::call::{Call, CallBody, Callee, Retries};
use crate::exchange::{Answer, Answering, Exchange, Frame, Frames, Incoming};
use crate::observe::metrics::GrpcMetrics;
use crate::reply::{Fixed, Reason, Reply};
use crate::value::GrpcCode;
use async_trait::async_trait;
use bytes::Bytes;
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderName, HeaderValue, Method as HttpMethod, StatusCode, header};
use prost_reflect::{DynamicMessage, FieldDescriptor};
use std::sync::Arc;

/// The compiled form of a route that clients of gRPC call.
pub struct Reverse {
    /// The method they call.
    pub method: Method,
    /// What is sent instead: the method of HTTP,
    pub verb: HttpMethod,
    /// the path,
    pub template: Template,
    /// the fields that stand in it,
    pub fields: Vec<FieldPath>,
    /// and the body.
    pub body: BodyBinding,
    /// The field of the answer that the service answers with; `None` for the whole.
    pub response: Option<FieldDescriptor>,
    /// Who is asked.
    pub to: Callee,
    /// When another attempt is made.
    pub retries: Arc<Retries>,
    /// How JSON is read and written.
    pub json: Json,
    /// Which metadata become header fields, and back.
    pub metadata: Metadata,
    /// The longest message, in bytes.
    pub most: usize,
    /// Its counters.
    pub metrics: Arc<GrpcMetrics>,
}

impl Exchange for Reverse {
    fn answer(self: Arc<Self>, request: Incoming) -> Answering {
        Box::pin(async move { self.run(request).await })
    }

    fn describe(&self) -> Vec<String> {
        let body = match &self.body {
            BodyBinding::None => String::new(),
            BodyBinding::Whole | BodyBinding::ByMethod => ", the message as JSON".to_owned(),
            BodyBinding::Field(field) => format!(", its `{}` as JSON", field.name()),
        };
        let (name, upstream) = (&self.method.name, self.to.upstream.name());
        vec![
            format!("answers {name} out of {} {} of {upstream}{body}", self.verb, self.template),
            format!("messages up to {} bytes", self.most),
        ]
    }
}

impl Reverse {
    async fn run(&self, mut request: Incoming) -> Result<Answer, Box<Reply>> {
        check_type(&request.headers)?;
        let message = self.message(&mut request).await?;
        let mut call = self.call(message)?;
        call.fields.extend(self.metadata.of_request(&request.headers)?);
        for name in [header::TE, HeaderName::from_static("grpc-accept-encoding")] {
            call.fields.remove(name);
        }
        let json = HeaderValue::from_static("application/json");
        call.fields.insert(header::ACCEPT, json.clone());
        match call.body {
            CallBody::None => drop(call.fields.remove(header::CONTENT_TYPE)),
            _ => drop(call.fields.insert(header::CONTENT_TYPE, json)),
        }
        let mut counting = Counting::begin(&self.metrics, request.origin.worker);
        match self.called(call, &request).await {
            Ok(answer) => {
                counting.ends(GrpcCode::OK);
                Ok(answer)
            }
            Err(Failed { code, reply }) => {
                counting.ends(code);
                // A status of the service's own is told as it is; what went wrong on the way, as of any call.
                match reply.reason {
                    Reason::UpstreamError => Ok(Answer::Whole(ended(code, &reply.detail))),
                    _ => Err(reply),
                }
            }
        }
    }

    /// The one message of the call.
    async fn message(&self, request: &mut Incoming) -> Result<DynamicMessage, Box<Reply>> {
        let gzip = request.headers.get("grpc-encoding").is_some_and(|coding| coding == "gzip");
        let mut deframer = Deframer::new(self.most, gzip);
        deframer.push(request.body.whole(self.most.saturating_add(5)).await?);
        let message = deframer.next().and_then(|message| message.ok_or(BadFrames::CutOff));
        let message =
            message.map_err(|bad| invalid(format!("The call is not as it should be: {}.", String::from(bad))))?;
        if !matches!(deframer.next(), Ok(None)) || deframer.finish().is_err() {
            return Err(invalid("The call holds more than one message."));
        }
        DynamicMessage::decode(self.method.input.clone(), message)
            .map_err(|why| invalid(format!("The message is no {}: {why}.", self.method.input.full_name())))
    }

    /// The request that a message makes.
    fn call(&self, mut message: DynamicMessage) -> Result<Call, Box<Reply>> {
        let mut values = Vec::new();
        for field in &self.fields {
            let value = field.take(&mut message).filter(|value| value.as_str() != Some(""));
            let value = value.and_then(|value| text(&value, &field.kind(), &self.json).ok());
            values.push(
                value.ok_or_else(|| invalid(format!("Field `{}` stands in the path, and is empty.", field.name())))?,
            );
        }
        let path =
            self.template.fill(&values).ok_or_else(|| invalid("The values of the message make no such path."))?;
        let unwritable = |why| invalid(format!("The message cannot be written as JSON: {why}."));
        let body = match &self.body {
            BodyBinding::None => CallBody::None,
            BodyBinding::Field(field) => {
                let mut out = Vec::new();
                self.json.write_field(&message, field, &mut out).map_err(unwritable)?;
                message.clear_field(field);
                CallBody::Whole(out.into())
            }
            BodyBinding::Whole | BodyBinding::ByMethod => {
                let mut out = Vec::new();
                self.json.write(&message, &mut out).map_err(unwritable)?;
                message = DynamicMessage::new(self.method.input.clone());
                CallBody::Whole(out.into())
            }
        };
        let query = query(&message, &self.json).map_err(|why| invalid(format!("{why}.")))?;
        let target = if query.is_empty() { path } else { format!("{path}?{query}") };
        let target =
            PathAndQuery::try_from(target).map_err(|_| invalid("The values of the message make no such path."))?;
        let mut call = Call::new(self.to.clone(), self.verb.clone(), target, HeaderMap::new());
        call.body = body;
        call.retries = Arc::clone(&self.retries);
        Ok(call)
    }

    async fn called(&self, call: Call, request: &Incoming) -> Result<Answer, Failed> {
        let mut answer = request.calls.send(call, &request.origin).await?;
        let (body, _) = answer.body.collect(self.most).await?;
        if !answer.status.is_success() {
            return Err(refused(answer.status, &body));
        }
        let output = &self.method.output;
        let read = match &self.response {
            _ if body.is_empty() => Ok(DynamicMessage::new(output.clone())),
            Some(field) => self.json.read_field(field, &body),
            None => self.json.read(output, &body),
        };
        let message = read.map_err(super::run::bad_message)?;
        let mut headers = self.metadata.of_answer(&answer.headers, None);
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
        let body = Box::new(One { message: Some(frame(&message)), ended: false });
        Ok(Answer::Stream { status: StatusCode::OK, headers, body })
    }
}

/// Refuses what is no call: gRPC-Web, or messages in another form than that of the schema.
fn check_type(headers: &HeaderMap) -> Result<(), Box<Reply>> {
    let kind = crate::exchange::content::media_type(headers);
    match kind.as_str() {
        "application/grpc" | "application/grpc+proto" => Ok(()),
        _ => {
            let detail = "This route is called with gRPC: with `Content-Type: application/grpc`.";
            Err(Box::new(Reply::new(Reason::UnsupportedProtocol).detail(detail)))
        }
    }
}

/// What a status of HTTP means for a call, and what the service says of it, in a problem (RFC 9457) or the like.
fn refused(status: StatusCode, body: &Bytes) -> Failed {
    let code = match status.as_u16() {
        400 | 422 => 3,
        401 => 16,
        403 => 7,
        404 | 410 => 5,
        408 | 504 => 4,
        409 => 10,
        412 => 9,
        413 | 429 => 8,
        416 => 11,
        499 => 1,
        405 | 501 => 12,
        500 => 13,
        502 | 503 => 14,
        _ => 2,
    };
    let told: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
    let said = ["/detail", "/message", "/error/message", "/title", "/error"];
    let said = said.iter().find_map(|place| told.pointer(place)?.as_str());
    let said = said.map_or_else(|| format!("The service answered {}.", status.as_u16()), str::to_owned);
    let reply = Reply::new(Reason::UpstreamError).detail(said);
    Failed { code: GrpcCode::new(code), reply: Box::new(reply) }
}

/// An answer without a message: how the call ended ("Trailers-Only").
fn ended(code: GrpcCode, message: &str) -> Fixed {
    let mut fields = vec![(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"))];
    fields.push((GRPC_STATUS, HeaderValue::from(u16::from(code.number()))));
    fields.extend(CallStatus::message_field(message));
    Fixed { status: StatusCode::OK, fields, body: Bytes::new() }
}

/// One message, and that all is well.
struct One {
    message: Option<Bytes>,
    ended: bool,
}

#[async_trait]
impl Frames for One {
    async fn next(&mut self) -> Result<Option<Frame>, Box<Reply>> {
        if let Some(message) = self.message.take() {
            return Ok(Some(Frame::Data(message)));
        }
        if std::mem::replace(&mut self.ended, true) {
            return Ok(None);
        }
        Ok(Some(Frame::Trailers(HeaderMap::from_iter([(GRPC_STATUS, HeaderValue::from_static("0"))]))))
    }
}
