//! The answer to a part's call: read under bounds, decoded, taken as JSON; and why it cannot be.

use super::beside::{Recalled, Remember};
use crate::exchange::call::{CallAnswer, CallError};
use crate::exchange::content::{Packed, is_json, media_type, unpacked};
use crate::exchange::{Full, Held, Room};
use crate::reply::{Reason, Reply};
use crate::value::json::{Json, JsonBounds};
use http::{HeaderMap, StatusCode, header};
use std::sync::Arc;

/// What a part's call brought.
pub struct Answered {
    /// Its body.
    pub value: Json,
    /// Its status.
    pub status: StatusCode,
    /// Its fields.
    pub headers: HeaderMap,
    /// The room it takes.
    pub held: Held,
    /// Whether it was kept from before.
    pub kept: bool,
}

/// Why a part has no answer.
#[derive(Debug)]
pub struct Failed {
    /// What a client is told where the part is required.
    pub reply: Box<Reply>,
    /// The reason in short, for `Tollgate-Partial`.
    pub reason: Box<str>,
    /// The status that a service has answered.
    pub status: Option<u16>,
}

impl Failed {
    /// For a reason of the gateway's own.
    pub fn new(reply: Reply) -> Self {
        Self { reason: reply.reason.slug().into(), reply: Box::new(reply), status: None }
    }

    /// It did not come in its time.
    pub fn late() -> Self {
        Self { reason: "timeout".into(), reply: Box::new(Reason::UpstreamTimeout.into()), status: None }
    }

    /// A status that is no success: the client's own fault stays its fault (4xx), all else is a bad gateway.
    fn status(status: StatusCode, headers: &HeaderMap) -> Self {
        let mut reply = Reply::new(Reason::PartFailed).detail("A service behind this route refused its part.");
        if status.is_client_error() {
            reply = reply.status(status);
            let seconds = headers.get(header::RETRY_AFTER).and_then(|value| value.to_str().ok()?.trim().parse().ok());
            reply.retry_after = seconds;
        }
        let (reason, status) = (format!("status-{}", status.as_u16()).into(), Some(status.as_u16()));
        Self { reply: Box::new(reply), reason, status }
    }

    fn unreadable(what: String) -> Self {
        let detail = format!("The answer of a service behind this route cannot be used: {what}.");
        let reply = Box::new(Reply::new(Reason::UpstreamBody).detail(detail));
        Self { reason: "unreadable".into(), reply, status: None }
    }
}

impl From<CallError> for Failed {
    fn from(error: CallError) -> Self {
        let reason = match error.reason() {
            Reason::UpstreamTimeout | Reason::Deadline => "timeout",
            other => other.slug(),
        };
        Self { reason: reason.into(), reply: error.into(), status: None }
    }
}

impl From<Full> for Failed {
    fn from(full: Full) -> Self {
        Self::new(full.into())
    }
}

/// Reads an answer to its end, at most so many bytes, before and after decoding.
///
/// # Errors
/// It breaks off, is too long, is no success, is neither JSON nor text, or there is no room for it.
pub async fn read(
    mut answer: CallAnswer,
    most: usize,
    room: &Arc<Room>,
    remember: Option<Box<dyn Remember>>,
) -> Result<Answered, Failed> {
    if !answer.status.is_success() {
        return Err(Failed::status(answer.status, &answer.headers));
    }
    let mut held = room.hold();
    let body = answer.body.collect_into(most, &mut held).await?;
    let body = unpacked(body, &answer.headers, most).map_err(|why| {
        let told = match why {
            Packed::Otherwise => "it has a coding that was not asked for",
            Packed::Damaged => "it is not the gzip it says",
            Packed::TooLong => "it is too long when unpacked",
        };
        Failed::unreadable(told.into())
    })?;
    let value = value(&body, &answer.headers)?;
    if let Some(remember) = remember {
        remember.remember(answer.status, &answer.headers, &body).await;
    }
    drop(body);
    held.resize(value.weight())?;
    Ok(Answered { value, status: answer.status, headers: answer.headers, held, kept: false })
}

/// Takes an answer that was kept for what it is.
///
/// # Errors
/// It is too long, or there is no room for it.
pub fn recalled(known: Recalled, most: usize, room: &Arc<Room>) -> Result<Answered, Failed> {
    let Recalled { headers, body } = known;
    if body.len() > most {
        return Err(Failed::unreadable("it is too long".into()));
    }
    let value = value(&body, &headers)?;
    let mut held = room.hold();
    held.grow(value.weight())?;
    Ok(Answered { value, status: StatusCode::OK, headers, held, kept: true })
}

fn value(body: &[u8], headers: &HeaderMap) -> Result<Json, Failed> {
    if body.is_empty() {
        return Ok(Json::Null);
    }
    let kind = media_type(headers);
    if is_json(&kind) {
        return Json::parse(body, JsonBounds::default()).map_err(|error| Failed::unreadable(error.to_string()));
    }
    if kind.starts_with("text/") {
        let text = std::str::from_utf8(body).map_err(|_| Failed::unreadable("its text is not UTF-8".into()))?;
        return Ok(Json::text(text));
    }
    Err(Failed::unreadable("it is neither JSON nor text".into()))
}
