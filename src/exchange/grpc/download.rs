//! A stream of messages on its way down.

use super::Transcode;
use super::binding::Binding;
use super::format::Format;
use super::frames::{BadFrames, Deframer};
use super::run::{bad_frames, bad_message};
use super::status::{CallStatus, Counting, Failed};
use crate::exchange::call::AnswerBody;
use crate::exchange::{Frame, Frames};
use crate::reply::Reply;
use crate::value::GrpcCode;
use async_trait::async_trait;
use bytes::Bytes;
use http::HeaderMap;
use prost_reflect::DynamicMessage;
use std::sync::Arc;

/// Messages that have come together are written together, up to about so many bytes.
const TOGETHER: usize = 64 * 1024;

/// A stream of messages as it is written to the client.
pub(super) struct Download {
    pub(super) transcode: Arc<Transcode>,
    pub(super) binding: Arc<Binding>,
    pub(super) body: AnswerBody,
    pub(super) deframer: Deframer,
    pub(super) format: Format,
    pub(super) request_id: Box<str>,
    pub(super) trailers: Option<HeaderMap>,
    pub(super) none_yet: bool,
    pub(super) ended: bool,
    pub(super) counting: Counting,
}

impl Download {
    /// What of the messages that are there already is written next; empty for nothing.
    fn written(&mut self) -> Result<Vec<u8>, Failed> {
        let mut out = Vec::new();
        while out.len() < TOGETHER {
            let Some(message) = self.deframer.next().map_err(bad_frames)? else { break };
            let message = DynamicMessage::decode(self.binding.method.output.clone(), message).map_err(bad_message)?;
            let (json, _) = self.binding.answer(&message, &self.transcode.json).map_err(bad_message)?;
            out.extend_from_slice(self.format.before(self.none_yet));
            out.extend_from_slice(&json);
            out.extend_from_slice(self.format.after());
            self.none_yet = false;
        }
        Ok(out)
    }

    fn end(&mut self) -> Result<Vec<u8>, Failed> {
        self.ended = true;
        self.deframer.finish().map_err(bad_frames)?;
        let status = self.trailers.as_ref().and_then(CallStatus::read).unwrap_or_else(CallStatus::untold);
        match status.is_ok() {
            true => {
                self.counting.ends(GrpcCode::OK);
                Ok(self.format.end(self.none_yet).to_vec())
            }
            false => Err(status.into_failed(self.transcode.schema.pool(), &self.transcode.json)),
        }
    }

    /// A bad end is told within the stream where the format has a way to, else the answer breaks off.
    fn told(&mut self, failed: Failed) -> Result<Option<Frame>, Box<Reply>> {
        let Failed { code, reply } = failed;
        self.ended = true;
        self.counting.ends(code);
        match self.format.failure(&reply, &self.request_id) {
            Some(told) => Ok(Some(Frame::Data(told.into()))),
            None => Err(reply),
        }
    }
}

#[async_trait]
impl Frames for Download {
    async fn next(&mut self) -> Result<Option<Frame>, Box<Reply>> {
        while !self.ended {
            let made = self.written();
            let made = match made {
                Ok(made) if made.is_empty() => match self.body.next().await {
                    Ok(Some(Frame::Data(piece))) => {
                        self.deframer.push(piece);
                        continue;
                    }
                    Ok(Some(Frame::Trailers(trailers))) => {
                        self.trailers = Some(trailers);
                        continue;
                    }
                    Ok(None) => self.end(),
                    Err(error) => Err(error.into()),
                },
                made => made,
            };
            match made {
                Ok(made) if made.is_empty() => {}
                Ok(made) => return Ok(Some(Frame::Data(Bytes::from(made)))),
                Err(failed) => return self.told(failed),
            }
        }
        Ok(None)
    }

    fn is_endless(&self) -> bool {
        true
    }
}

impl From<BadFrames> for String {
    fn from(bad: BadFrames) -> Self {
        match bad {
            BadFrames::TooLong => "a message is longer than this route takes",
            BadFrames::Malformed => "what came is no sequence of messages",
            BadFrames::CutOff => "the last message is cut off",
        }
        .to_owned()
    }
}
