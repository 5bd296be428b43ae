//! A stream of messages on its way up: the lines of the client's body, each a message.

use super::binding::{Binding, Values, invalid};
use super::frames::frame;
use super::json::Json;
use crate::exchange::ClientBody;
use crate::exchange::call::Pieces;
use crate::reply::{Reason, Reply};
use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use std::sync::Arc;

/// Messages made of lines.
pub(super) struct Lines {
    body: ClientBody,
    /// What has come, up to the first line that is not complete.
    held: BytesMut,
    /// How far it has been looked through for the end of a line.
    looked: usize,
    ended: bool,
    number: u64,
    making: Making,
}

/// What makes a message of a line.
pub(super) struct Making {
    pub(super) binding: Arc<Binding>,
    pub(super) values: Values,
    pub(super) json: Json,
    pub(super) most: usize,
}

impl Lines {
    pub(super) fn new(body: ClientBody, making: Making) -> Self {
        Self { body, held: BytesMut::new(), looked: 0, ended: false, number: 0, making }
    }

    /// The next line that is not blank and complete already.
    fn line(&mut self) -> Option<Bytes> {
        loop {
            let rest = self.held.get(self.looked..).unwrap_or_default();
            let line = match memchr::memchr(b'\n', rest) {
                Some(at) => self.held.split_to(self.looked + at + 1).freeze(),
                None if self.ended && !self.held.is_empty() => self.held.split().freeze(),
                None => {
                    self.looked = self.held.len();
                    return None;
                }
            };
            self.looked = 0;
            self.number += 1;
            if !line.trim_ascii().is_empty() {
                return Some(line);
            }
        }
    }

    fn message(&self, line: &Bytes) -> Result<Bytes, Box<Reply>> {
        let Making { binding, values, json, most } = &self.making;
        let made = binding.message(Some(line), values, json, &HeaderMap::new());
        let made = made.map_err(|reply| invalid(format!("Line {}: {}", self.number, reply.detail)))?;
        let framed = frame(&made);
        if framed.len() > *most + 5 {
            return Err(Box::new(Reason::BodyTooLarge.into()));
        }
        Ok(framed)
    }
}

#[async_trait]
impl Pieces for Lines {
    async fn next(&mut self) -> Result<Option<Bytes>, Box<Reply>> {
        loop {
            if let Some(line) = self.line() {
                return self.message(&line).map(Some);
            }
            if self.ended {
                return Ok(None);
            }
            if self.held.len() > self.making.most {
                return Err(Box::new(Reason::BodyTooLarge.into()));
            }
            match self.body.next().await? {
                Some(piece) => self.held.extend_from_slice(&piece),
                None => self.ended = true,
            }
        }
    }
}
