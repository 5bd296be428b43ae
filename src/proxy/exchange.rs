//! A route whose answer is made here, out of calls: hands the request to its exchange, the client's body as it is asked
//! for, and writes to the client what comes of it.

use super::answer::{write, write_refusal};
use super::answer_body::{deliver, may_have_body};
use super::bodies::Down;
use super::ctx::{Flow, ProxyCtx};
use super::{Gate, request_body_filter, response_body_filter, response_filter, response_trailer_filter, upgrade};
use crate::exchange::call::{Ledger, Origin};
use crate::exchange::{Answer, Answering, ClientBody, Exchange, Frame, Frames, Incoming, Want};
use crate::reply::{Reason, Reply};
use crate::request::ORIGIN_FIELDS;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, StatusCode, Version, header};
use pingora_core::protocols::http::HttpTask;
use pingora_core::{Error, Result};
use pingora_http::ResponseHeader;
use pingora_proxy::Session;
use std::sync::Arc;
use tokio::sync::mpsc::UnboundedReceiver;

/// Runs an exchange to its end. An error has been told to nobody yet: `fail_to_proxy` does.
pub async fn run(gate: &Gate, session: &mut Session, ctx: &mut ProxyCtx, exchange: Arc<dyn Exchange>) -> Result<()> {
    run_with(gate, session, ctx, |incoming| exchange.answer(incoming)).await
}

/// Runs whatever answers a request to its end.
pub async fn run_with(
    gate: &Gate,
    session: &mut Session,
    ctx: &mut ProxyCtx,
    answer: impl FnOnce(Incoming) -> Answering,
) -> Result<()> {
    let origin = Arc::new(origin(gate, session, ctx));
    ctx.exchange.origin = Some(Arc::clone(&origin));
    let (body, wants) = ClientBody::new();
    let mut client = Client::new(session, ctx, wants);
    let answering = answer(incoming(gate, session, ctx, (body, origin)));
    match answered(answering, session, ctx, &mut client).await? {
        Ok(Answer::Whole(fixed)) => write(session, ctx, fixed).await,
        Ok(Answer::Stream { status, headers, body }) => {
            stream(gate, session, ctx, &mut client, (status, headers, body)).await
        }
        Ok(Answer::Upgrade { fields, most, talk }) => upgrade::run(gate, session, ctx, (fields, most, talk)).await,
        Err(reply) => write_refusal(session, ctx, &reply).await,
    }
}

/// Waits for the answer, while the client's body is read as far as it is asked for.
pub async fn answered(
    mut answering: Answering,
    session: &mut Session,
    ctx: &mut ProxyCtx,
    client: &mut Client,
) -> Result<std::result::Result<Answer, Box<Reply>>> {
    let deadline = ctx.exchange.origin.as_ref().and_then(|origin| origin.deadline);
    let late = async move {
        match deadline {
            Some(deadline) => tokio::time::sleep_until(deadline.into()).await,
            None => std::future::pending().await,
        }
    };
    let mut late = std::pin::pin!(late);
    loop {
        tokio::select! {
            biased;
            answer = &mut answering => return Ok(answer),
            () = &mut late => return Ok(Err(Box::new(Reason::Deadline.into()))),
            step = client.step(session, ctx) => step?,
        }
    }
}

/// What the exchange is told of the request.
fn incoming(gate: &Gate, session: &Session, ctx: &ProxyCtx, (body, origin): (ClientBody, Arc<Origin>)) -> Incoming {
    let request = session.req_header();
    let path = request.uri.path();
    let rule = ctx.matched.route.and_then(|number| ctx.snapshot.router.rules().get(number));
    let count = rule.map_or(0, |rule| rule.path.captures().len());
    let captured = |index| ctx.matched.captures.get(path, index).unwrap_or_default().into();
    Incoming {
        method: request.method.clone(),
        host: ctx.matched.host.clone(),
        path: path.into(),
        query: request.uri.query().map(Into::into),
        headers: request.headers.clone(),
        captures: (0..count).map(captured).collect(),
        body,
        origin,
        calls: Arc::clone(&gate.shared.calls),
    }
}

/// On whose behalf its calls are made.
pub fn origin(gate: &Gate, session: &Session, ctx: &ProxyCtx) -> Origin {
    let request = session.req_header();
    let mut said = HeaderMap::new();
    if ctx.cx.client.via_trusted {
        for name in &ORIGIN_FIELDS {
            for value in request.headers.get_all(name) {
                said.append(name, value.clone());
            }
        }
    }
    let field = request.headers.get(header::HOST).cloned();
    let host = field.or_else(|| request.uri.authority().and_then(|host| HeaderValue::from_str(host.as_str()).ok()));
    let (timeout, own) = (ctx.timeout(), ctx.route().and_then(|route| route.timeout));
    Origin {
        client: ctx.cx.client,
        caller: ctx.cx.identity.caller.clone(),
        scheme: ctx.cx.scheme,
        host,
        port: gate.listener.port_text.clone(),
        rfc7239: ctx.route().is_some_and(|route| route.forward.rfc7239),
        said,
        request_id: ctx.ids.request.clone(),
        trace: ctx.ids.trace,
        deadline: timeout.and_then(|timeout| ctx.cx.time.started.checked_add(timeout)),
        impatient: timeout != own,
        deadline_header: ctx.route().and_then(|route| route.deadline_header.as_deref().cloned()),
        flow: ctx.exchange.flow,
        priority: ctx.route().map(|route| route.priority).unwrap_or_default(),
        worker: gate.worker,
        ledger: Ledger::default(),
    }
}

/// The client's side of an exchange: its body, as it is asked for, and whether it is still there.
pub struct Client {
    wants: UnboundedReceiver<Want>,
    /// Whether questions may still come.
    asking: bool,
    /// The question that is being answered.
    want: Option<Want>,
    /// Whether the body has been read to its end.
    ended: bool,
    /// Whether the client has been told to send, or need not be.
    told: bool,
}

impl Client {
    /// The client, and the questions for its body.
    pub fn new(session: &mut Session, ctx: &mut ProxyCtx, wants: UnboundedReceiver<Want>) -> Self {
        let mut ended = session.as_mut().is_body_done();
        if let Some(ahead) = &mut ctx.exchange.ahead {
            ahead.hand_over();
            ended = false;
        }
        let told = !session.req_header().headers.contains_key(header::EXPECT);
        Self { wants, asking: true, want: None, ended, told }
    }

    /// Goes one step; waits while there is nothing to do. May be dropped while it waits.
    ///
    /// # Errors
    /// The client has left, or its body cannot pass.
    async fn step(&mut self, session: &mut Session, ctx: &mut ProxyCtx) -> Result<()> {
        if self.want.is_none() {
            let leaves = async {
                match self.ended {
                    true => session.as_mut().read_body_or_idle(true).await.map_err(Error::into_down),
                    false => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                want = self.wants.recv(), if self.asking => {
                    self.asking = want.is_some();
                    self.want = want;
                }
                left = leaves => {
                    left?;
                }
            }
            return Ok(());
        }
        if self.ended {
            self.give(None);
            return Ok(());
        }
        if !self.told {
            self.told = true;
            session.as_mut().write_continue_response().await?;
        }
        let mut piece = match session.as_mut().is_body_done() {
            true => None, // it has been read before
            false => session.as_mut().read_body_or_idle(false).await.map_err(Error::into_down)?,
        };
        self.ended = piece.is_none() || session.as_mut().is_body_done();
        request_body_filter::run(session, &mut piece, self.ended, ctx).await?;
        // An empty piece says nothing, unless it is the last.
        if let Some(piece) = piece.filter(|piece| !piece.is_empty()) {
            self.give(Some(piece));
        } else if self.ended {
            self.give(None);
        }
        Ok(())
    }

    fn give(&mut self, piece: Option<Bytes>) {
        if let Some(want) = self.want.take() {
            // Whoever asked may have given up since.
            let _ = want.send(piece);
        }
    }
}

/// Writes an answer as it comes.
pub async fn stream(
    gate: &Gate,
    session: &mut Session,
    ctx: &mut ProxyCtx,
    client: &mut Client,
    (status, headers, mut frames): (StatusCode, HeaderMap, Box<dyn Frames>),
) -> Result<()> {
    if frames.is_endless() {
        ctx.exchange.flow = Flow::Streaming;
    }
    let (mut parts, ()) = http::Response::new(()).into_parts();
    parts.status = status;
    parts.headers = headers;
    let mut head = ResponseHeader::from(parts);
    response_filter::run(gate, session, &mut head, ctx)?;
    let head_only = session.req_header().method == Method::HEAD || !may_have_body(status);
    frame(session, &mut head, head_only);
    ctx.outcome.answered = true;
    if !matches!(ctx.exchange.bodies.down, Down::Held(_)) {
        session.write_response_tasks(vec![HttpTask::Header(Box::new(head), head_only)]).await?;
    }
    if head_only {
        return end(session, ctx, Vec::new()).await;
    }
    let mut trailers = None;
    while let Some(next) = next(&mut frames, session, ctx, client).await? {
        match next {
            Frame::Data(piece) => {
                let mut piece = Some(piece);
                response_body_filter::run(&mut piece, false, ctx)?;
                if piece.is_some() {
                    session.write_response_tasks(vec![HttpTask::Body(piece, false)]).await?;
                }
            }
            Frame::Trailers(fields) => trailers = Some(fields),
        }
    }
    let mut last = None;
    response_body_filter::run(&mut last, true, ctx)?;
    let mut tasks: Vec<HttpTask> = last.into_iter().map(|last| HttpTask::Body(Some(last), false)).collect();
    if let Some(fields) = trailers {
        tasks.push(match response_trailer_filter::run(&fields, ctx) {
            Some(bytes) => HttpTask::Body(Some(bytes), false),
            None => HttpTask::Trailer(Some(Box::new(fields))),
        });
    }
    end(session, ctx, tasks).await
}

/// Writes the end of an answer, or all of it where it was held until now.
async fn end(session: &mut Session, ctx: &mut ProxyCtx, mut tasks: Vec<HttpTask>) -> Result<()> {
    if matches!(ctx.exchange.bodies.down, Down::Held(_)) {
        deliver(session, ctx).await;
        return Ok(());
    }
    tasks.push(HttpTask::Done);
    session.write_response_tasks(tasks).await?;
    Ok(())
}

/// The next frame of the answer, while the client's body goes on being read as far as it is asked for.
async fn next(
    frames: &mut Box<dyn Frames>,
    session: &mut Session,
    ctx: &mut ProxyCtx,
    client: &mut Client,
) -> Result<Option<Frame>> {
    let mut next = frames.next();
    loop {
        tokio::select! {
            biased;
            frame = &mut next => return frame.map_err(|reply| response_filter::refuse(ctx, reply)),
            step = client.step(session, ctx) => step?,
        }
    }
}

/// Says how long the body is where its length is not known: over HTTP/1.1 it comes in chunks, to a client of HTTP/1.0 it
/// ends with the connection (RFC 9112 §6.3).
fn frame(session: &mut Session, head: &mut ResponseHeader, head_only: bool) {
    if head_only || head.headers.contains_key(header::CONTENT_LENGTH) {
        return;
    }
    match session.req_header().version {
        Version::HTTP_11 => {
            let _ = head.insert_header(header::TRANSFER_ENCODING, "chunked");
        }
        Version::HTTP_10 => session.set_keepalive(None),
        _ => {
            head.remove_header(&header::TRANSFER_ENCODING);
        }
    }
}
