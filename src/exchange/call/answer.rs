//! The answer to a call: its head, and its body as it comes.

use super::attempt::{Attempt, Broken};
use super::calls::Lane;
use super::clock::{Bounds, LONGEST_SILENCE};
use super::{CallError, Callee, classify};
use crate::exchange::{Frame, Frames, Held};
use crate::observe::metrics::AttemptOutcome;
use crate::reply::{Reason, Reply};
use crate::upstream::Clock;
use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use futures_util::future::BoxFuture;
use http::{HeaderMap, StatusCode};
use pingora_core::ErrorType;
use pingora_core::protocols::http::client::HttpSession;
use pingora_core::upstreams::peer::HttpPeer;
use std::sync::Arc;

/// What an upstream answers. Dropping it before its end gives the call up: over HTTP/1 the connection is closed, over
/// HTTP/2 the stream is reset.
pub struct CallAnswer {
    /// Its status; never an interim one.
    pub status: StatusCode,
    /// Its header fields, without those of one connection and without `Transfer-Encoding`.
    pub headers: HeaderMap,
    /// Its body.
    pub body: AnswerBody,
}

/// The body of an answer. At its end the connection is kept for the next call.
pub struct AnswerBody {
    state: Option<Box<Reading>>,
}

/// What is needed as long as the body has not ended.
pub(super) struct Reading {
    pub(super) attempt: Attempt,
    pub(super) link: Link,
    pub(super) peer: HttpPeer,
    pub(super) lane: Arc<Lane>,
    pub(super) to: Callee,
    pub(super) bounds: Bounds,
    pub(super) clock: Clock,
    /// Trailers are told apart from the end.
    pub(super) ending: bool,
}

impl AnswerBody {
    pub(super) fn new(reading: Reading) -> Self {
        Self { state: Some(Box::new(reading)) }
    }

    /// The next piece, or the trailers; `None` at the end. It may be dropped while it waits, and asked again.
    ///
    /// # Errors
    /// The answer breaks off, or is not complete by the deadline. Nothing comes after that.
    pub async fn next(&mut self) -> Result<Option<Frame>, CallError> {
        let Some(state) = &mut self.state else { return Ok(None) };
        match state.next().await {
            Ok(Some(frame)) => Ok(Some(frame)),
            Ok(None) => {
                if let Some(state) = self.state.take() {
                    state.finish().await;
                }
                Ok(None)
            }
            Err(broken) => {
                let Some(mut state) = self.state.take() else { return Ok(None) };
                if let Broken::Upstream(error) = &broken {
                    let (kind, outcome, _) = classify(error);
                    let told = state.bounds.outcome(kind);
                    state.to.upstream.record(&state.attempt.picked, told, state.clock.now());
                    state.attempt.outcome = outcome;
                }
                Err(broken.into_error(state.bounds.is_late()))
            }
        }
    }

    /// The whole body and its trailers, at most so many bytes.
    ///
    /// # Errors
    /// As for [`Self::next`], and [`Reason::UpstreamBody`] for a longer one.
    pub async fn collect(&mut self, most: usize) -> Result<(Bytes, Option<HeaderMap>), CallError> {
        self.gather(most, |_| Ok(())).await
    }

    /// The same, with room held for what arrives.
    ///
    /// # Errors
    /// As for [`Self::collect`], and [`Reason::Overloaded`] where there is no room.
    pub async fn collect_into(&mut self, most: usize, held: &mut Held) -> Result<Bytes, CallError> {
        let gathered = self.gather(most, |bytes| held.grow(bytes).map_err(|full| Reply::from(full).into()));
        gathered.await.map(|(body, _)| body)
    }

    async fn gather(
        &mut self,
        most: usize,
        mut takes: impl FnMut(usize) -> Result<(), CallError> + Send,
    ) -> Result<(Bytes, Option<HeaderMap>), CallError> {
        let (mut whole, mut single, mut trailers) = (BytesMut::new(), None::<Bytes>, None);
        while let Some(frame) = self.next().await? {
            match frame {
                Frame::Data(piece) => {
                    if whole.len() + single.as_ref().map_or(0, Bytes::len) + piece.len() > most {
                        self.state = None;
                        let detail = "The answer of the service behind this route is too long.";
                        return Err(Reply::new(Reason::UpstreamBody).detail(detail).into());
                    }
                    if let Err(full) = takes(piece.len()) {
                        self.state = None;
                        return Err(full);
                    }
                    // Most answers come in one piece, which need not be copied.
                    match single.take() {
                        None if whole.is_empty() => single = Some(piece),
                        first => {
                            whole.extend_from_slice(&first.unwrap_or_default());
                            whole.extend_from_slice(&piece);
                        }
                    }
                }
                Frame::Trailers(fields) => trailers = Some(fields),
            }
        }
        Ok((single.unwrap_or_else(|| whole.freeze()), trailers))
    }
}

impl AnswerBody {
    /// The connection, where the upstream has switched to the protocol it was asked for.
    pub fn upgraded(mut self) -> Option<Upgraded> {
        let mut reading = self.state.take()?;
        let HttpSession::H1(session) = &mut reading.link.session else { return None };
        if !session.was_upgraded() {
            return None;
        }
        session.maybe_upgrade_body_writer();
        // What was left until the deadline of the request it was opened for means nothing to those that follow.
        session.read_timeout = Some(LONGEST_SILENCE);
        session.write_timeout = reading.peer.options.write_timeout;
        reading.attempt.outcome = AttemptOutcome::Answered;
        Some(Upgraded { reading })
    }
}

/// A connection on which another protocol is spoken. Dropping it closes it; until then it counts as under way.
pub struct Upgraded {
    reading: Box<Reading>,
}

impl Upgraded {
    /// The next bytes; `None` at the end. It may be dropped while it waits, and asked again.
    ///
    /// # Errors
    /// The connection breaks off, or is silent for too long.
    pub async fn read(&mut self) -> Result<Option<Bytes>, CallError> {
        self.reading.link.session.read_response_body().await.map_err(|error| classify(&error).2.into())
    }

    /// Sends bytes.
    ///
    /// # Errors
    /// The connection breaks off, or takes nothing for too long.
    pub async fn write(&mut self, bytes: Bytes) -> Result<(), CallError> {
        let HttpSession::H1(session) = &mut self.reading.link.session else { return Err(Reason::Internal.into()) };
        session.write_body(&bytes).await.map_err(|error| CallError::from(classify(&error).2))?;
        Ok(())
    }
}

#[async_trait]
impl Frames for AnswerBody {
    async fn next(&mut self) -> Result<Option<Frame>, Box<Reply>> {
        AnswerBody::next(self).await.map_err(Into::into)
    }
}

impl Reading {
    async fn next(&mut self) -> Result<Option<Frame>, Broken> {
        if self.ending {
            return Ok(None);
        }
        self.link.session.set_read_timeout(self.bounds.read()?);
        if let Some(piece) = self.link.piece().await? {
            return Ok(Some(Frame::Data(piece)));
        }
        let trailers = match &mut self.link.session {
            HttpSession::H2(session) => {
                let trailers = session.read_trailers().await?;
                session.check_response_end_or_error()?;
                trailers
            }
            _ => None,
        };
        self.ending = true;
        Ok(trailers.map(Frame::Trailers))
    }

    /// The answer is whole: its connection may serve the next call.
    async fn finish(self) {
        let Self { mut attempt, link, peer, lane, .. } = self;
        attempt.outcome = AttemptOutcome::Answered;
        drop(attempt);
        if link.upload.reusable {
            lane.connector().release_http_session(link.session, &peer, peer.options.idle_timeout).await;
        }
    }
}

/// A connection with an answer on it, and what is still being sent.
pub(super) struct Link {
    session: HttpSession,
    upload: Upload,
}

impl Link {
    pub(super) fn new(session: HttpSession, upload: Upload) -> Self {
        Self { session, upload }
    }

    async fn piece(&mut self) -> Result<Option<Bytes>, Broken> {
        let Self { session, upload } = self;
        loop {
            tokio::select! {
                biased;
                piece = session.read_response_body() => match piece {
                    // Of a frame without data nothing is told.
                    Ok(Some(piece)) if piece.is_empty() => {}
                    Ok(piece) => return Ok(piece),
                    Err(error) => return Err(error.into()),
                },
                sent = upload.go_on() => sent?,
            }
        }
    }
}

/// A request's body that is still being sent.
pub(super) struct Upload {
    rest: Option<BoxFuture<'static, Result<(), Broken>>>,
    /// Whether the connection can serve another call afterwards.
    reusable: bool,
}

impl Upload {
    /// Nothing is left to be sent.
    pub(super) fn done(reusable: bool) -> Self {
        Self { rest: None, reusable }
    }

    pub(super) fn under_way(rest: BoxFuture<'static, Result<(), Broken>>) -> Self {
        Self { rest: Some(rest), reusable: true }
    }

    /// Goes on sending; waits for ever once all is sent. It may be dropped while it waits.
    pub(super) async fn go_on(&mut self) -> Result<(), Broken> {
        let Some(rest) = &mut self.rest else { return std::future::pending().await };
        let sent = rest.await;
        self.rest = None;
        match sent {
            // An answer is being read: it says more than the end of the upload.
            Err(Broken::Upstream(error)) if *error.etype() != ErrorType::WriteTimedout => Ok(()),
            sent => sent,
        }
    }
}
