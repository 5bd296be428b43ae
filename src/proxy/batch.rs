//! A route that takes batches: each request of one comes in again at the listener the batch came in at.

use super::answer::write_refusal;
use super::ctx::ProxyCtx;
use super::exchange::run_with;
use super::fence::Fence;
use super::inside::Inside;
use super::{Front, Gate};
use crate::exchange::batch::{Batch, Door};
use crate::reply::{Reason, Reply};
use http::HeaderValue;
use pingora_core::Result;
use pingora_core::protocols::Digest;
use pingora_proxy::Session;
use std::sync::Arc;
use tokio::io::DuplexStream;

/// Lets requests of a batch in.
struct Doorway {
    front: Arc<Front>,
    client: Option<Digest>,
    within: HeaderValue,
}

impl Door for Doorway {
    fn open(&self) -> Option<DuplexStream> {
        let (near, far) = Inside::pair(self.client.as_ref(), self.within.clone());
        let front = Arc::clone(&self.front);
        // It ends with its one request, or when the other end is dropped.
        tokio::spawn(async move { front.serve_inside(far).await });
        Some(near)
    }
}

/// The request id of the batch that a request is part of.
pub fn within(session: &Session) -> Option<&HeaderValue> {
    Fence::of(&session.downstream_session)?.inside().map(|inside| &inside.within)
}

/// Runs a batch to its end. An error has been told to nobody yet: `fail_to_proxy` does.
pub async fn run(gate: &Gate, session: &mut Session, ctx: &mut ProxyCtx, batch: Arc<Batch>) -> Result<()> {
    if within(session).is_some() {
        let nested = Reply::new(Reason::Forbidden).detail("A batch cannot stand in a batch.");
        return write_refusal(session, ctx, &nested).await;
    }
    let Some(front) = gate.inward.front(gate) else {
        return write_refusal(session, ctx, &Reason::Internal.into()).await;
    };
    let (client, within) = (session.digest().cloned(), ctx.ids.request.clone());
    let door: Arc<dyn Door> = Arc::new(Doorway { front, client, within });
    run_with(gate, session, ctx, |incoming| batch.answer(incoming, door)).await
}
