//! A service on tonic whose messages are plain bytes: `Add` answers a call with itself, `Watch` streams what the test
//! sends, every other method is unknown.

use std::convert::Infallible;
use std::future::{Future, Ready, ready};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use crate::support::tonic::{Raw, Served};
use bytes::Bytes;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio_stream::wrappers::UnboundedReceiverStream;
use tonic::body::Body;
use tonic::codegen::Service;
use tonic::server::{Grpc, ServerStreamingService, UnaryService};
use tonic::{Code, Request, Response, Status};

type Event = Result<Bytes, Status>;

/// A running service; it ends when dropped.
pub struct Cart {
    served: Served,
    events: Option<UnboundedSender<Event>>,
}

impl Cart {
    /// Starts it, for one call of `Watch`.
    pub fn start() -> Self {
        let (events, watched) = unbounded_channel();
        let methods = Methods { watched: Arc::new(Mutex::new(Some(watched))) };
        Self { served: Served::start(methods), events: Some(events) }
    }

    /// Its URL.
    pub fn url(&self) -> String {
        self.served.url()
    }

    /// Sends a message to who watches.
    pub fn send(&self, message: &[u8]) {
        let events = self.events.as_ref().expect("a stream that has not ended");
        events.send(Ok(Bytes::copy_from_slice(message))).expect("a service");
    }

    /// Ends the stream: with that status, or well.
    pub fn end(&mut self, status: Option<Status>) {
        let events = self.events.take().expect("a stream that has not ended");
        if let Some(status) = status {
            events.send(Err(status)).expect("a service");
        }
    }
}

#[derive(Clone)]
struct Methods {
    watched: Arc<Mutex<Option<UnboundedReceiver<Event>>>>,
}

impl Service<http::Request<Body>> for Methods {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let watched = Arc::clone(&self.watched);
        Box::pin(async move {
            let mut grpc = Grpc::new(Raw);
            Ok(match request.uri().path() {
                "/shop.Cart/Add" => grpc.unary(Add, request).await,
                "/shop.Cart/Watch" => grpc.server_streaming(Watch(watched), request).await,
                _ => Status::unimplemented("no such method").into_http(),
            })
        })
    }
}

struct Add;

impl UnaryService<Bytes> for Add {
    type Response = Bytes;
    type Future = Ready<Result<Response<Bytes>, Status>>;

    /// An empty message is refused, any other sent back.
    fn call(&mut self, request: Request<Bytes>) -> Self::Future {
        let message = request.into_inner();
        ready(if message.is_empty() {
            Err(Status::new(Code::InvalidArgument, "an empty item: ü"))
        } else {
            Ok(Response::new(message))
        })
    }
}

struct Watch(Arc<Mutex<Option<UnboundedReceiver<Event>>>>);

impl ServerStreamingService<Bytes> for Watch {
    type Response = Bytes;
    type ResponseStream = UnboundedReceiverStream<Event>;
    type Future = Ready<Result<Response<Self::ResponseStream>, Status>>;

    fn call(&mut self, _: Request<Bytes>) -> Self::Future {
        let events = self.0.lock().expect("events").take().expect("one call");
        ready(Ok(Response::new(UnboundedReceiverStream::new(events))))
    }
}
