//! A service on tonic whose messages are plain bytes: `Add` answers a call with itself, `Watch` streams what the test
//! sends, every other method is unknown.

use std::convert::Infallible;
use std::future::{Future, Ready, ready};
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::thread::JoinHandle;

use bytes::{Buf, BufMut};
use tokio::net::TcpListener;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::oneshot;
use tokio_stream::wrappers::UnboundedReceiverStream;
use tonic::body::Body;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::codegen::Service;
use tonic::server::{Grpc, ServerStreamingService, UnaryService};
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic::{Code, Request, Response, Status};

type Event = Result<Vec<u8>, Status>;

/// A running service; it ends when dropped.
pub struct Cart {
    address: SocketAddr,
    events: Option<UnboundedSender<Event>>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Cart {
    /// Starts it, for one call of `Watch`.
    pub fn start() -> Self {
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let address = listener.local_addr().expect("the address of a bound socket");
        listener.set_nonblocking(true).expect("a non-blocking socket");
        let (events, watched) = unbounded_channel();
        let methods = Methods { watched: Arc::new(Mutex::new(Some(watched))) };
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async {
                let incoming = TcpIncoming::from(TcpListener::from_std(listener).expect("a listener of the runtime"));
                tokio::select! {
                    served = Server::builder().serve_with_incoming(methods, incoming) => served.expect("a server"),
                    _ = stopped => {}
                }
            });
            runtime.shutdown_background();
        });
        Self { address, events: Some(events), stop: Some(stop), thread: Some(thread) }
    }

    /// Its URL.
    pub fn url(&self) -> String {
        format!("grpc://{}", self.address)
    }

    /// Sends a message to who watches.
    pub fn send(&self, message: &[u8]) {
        let events = self.events.as_ref().expect("a stream that has not ended");
        events.send(Ok(message.to_vec())).expect("a service");
    }

    /// Ends the stream: with that status, or well.
    pub fn end(&mut self, status: Option<Status>) {
        let events = self.events.take().expect("a stream that has not ended");
        if let Some(status) = status {
            events.send(Err(status)).expect("a service");
        }
    }
}

impl Drop for Cart {
    fn drop(&mut self) {
        let _ = self.stop.take().map(|stop| stop.send(()));
        let _ = self.thread.take().map(JoinHandle::join);
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

impl UnaryService<Vec<u8>> for Add {
    type Response = Vec<u8>;
    type Future = Ready<Result<Response<Vec<u8>>, Status>>;

    /// An empty message is refused, any other sent back.
    fn call(&mut self, request: Request<Vec<u8>>) -> Self::Future {
        let message = request.into_inner();
        ready(if message.is_empty() {
            Err(Status::new(Code::InvalidArgument, "an empty item: ü"))
        } else {
            Ok(Response::new(message))
        })
    }
}

struct Watch(Arc<Mutex<Option<UnboundedReceiver<Event>>>>);

impl ServerStreamingService<Vec<u8>> for Watch {
    type Response = Vec<u8>;
    type ResponseStream = UnboundedReceiverStream<Event>;
    type Future = Ready<Result<Response<Self::ResponseStream>, Status>>;

    fn call(&mut self, _: Request<Vec<u8>>) -> Self::Future {
        let events = self.0.lock().expect("events").take().expect("one call");
        ready(Ok(Response::new(UnboundedReceiverStream::new(events))))
    }
}

/// Messages that are plain bytes.
#[derive(Clone, Copy)]
struct Raw;

impl Codec for Raw {
    type Encode = Vec<u8>;
    type Decode = Vec<u8>;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        *self
    }

    fn decoder(&mut self) -> Self {
        *self
    }
}

impl Encoder for Raw {
    type Item = Vec<u8>;
    type Error = Status;

    fn encode(&mut self, message: Vec<u8>, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put_slice(&message);
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = Vec<u8>;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Vec<u8>>, Status> {
        let mut message = vec![0; buffer.remaining()];
        buffer.copy_to_slice(&mut message);
        Ok(Some(message))
    }
}
