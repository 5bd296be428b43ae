//! The service: tonic, with the messages of `shop.proto` written out.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use crate::support::tonic::{Raw, Served};
use bytes::Bytes;
use prost::Message;
use tokio_stream::Stream;
use tonic::body::Body;
use tonic::codegen::Service;
use tonic::metadata::MetadataMap;
use tonic::{Request, Response, Status, Streaming};

/// `shop.GetRequest`.
#[derive(Clone, PartialEq, Message)]
pub struct Get {
    #[prost(string, tag = "1")]
    pub name: String,
    #[prost(int64, tag = "2")]
    pub revision: i64,
}

/// `shop.CreateRequest`.
#[derive(Clone, PartialEq, Message)]
pub struct Create {
    #[prost(string, tag = "1")]
    pub parent: String,
    #[prost(message, optional, tag = "2")]
    pub item: Option<Item>,
    #[prost(bool, tag = "3")]
    pub dry_run: bool,
}

/// `shop.Item`.
#[derive(Clone, PartialEq, Message)]
pub struct Item {
    #[prost(string, tag = "1")]
    pub name: String,
    #[prost(int64, tag = "2")]
    pub price: i64,
    #[prost(string, repeated, tag = "3")]
    pub tags: Vec<String>,
    #[prost(message, optional, boxed, tag = "4")]
    pub inner: Option<Box<Item>>,
}

impl Item {
    /// An item of that name and price.
    pub fn new(name: &str, price: i64) -> Self {
        Self { name: name.into(), price, ..Self::default() }
    }

    /// Its bytes.
    pub fn bytes(&self) -> Bytes {
        self.encode_to_vec().into()
    }
}

/// A call that has come.
pub struct Call {
    /// `/package.Service/Method`.
    pub path: String,
    /// Its metadata.
    pub metadata: MetadataMap,
    /// Its messages.
    pub messages: Streaming<Bytes>,
}

impl Call {
    /// The one message of it.
    pub async fn message<M: Message + Default>(&mut self) -> M {
        let bytes = self.messages.message().await.expect("a message").expect("one message");
        M::decode(bytes).expect("a message of that type")
    }
}

/// The messages of an answer.
pub type Messages = Pin<Box<dyn Stream<Item = Result<Bytes, Status>> + Send>>;
/// An answer in the making.
pub type Answering = Pin<Box<dyn Future<Output = Result<Response<Messages>, Status>> + Send>>;
type Script = Arc<dyn Fn(Call) -> Answering + Send + Sync>;

/// An answer of one message.
pub fn one(message: Bytes) -> Result<Response<Messages>, Status> {
    Ok(Response::new(Box::pin(tokio_stream::iter([Ok(message)]))))
}

/// A running service; it ends when dropped.
pub struct Shop(Served);

impl Shop {
    /// Answers calls as `script` says.
    pub fn start<F>(script: impl Fn(Call) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<Response<Messages>, Status>> + Send + 'static,
    {
        Self(Served::start(Http(Arc::new(move |call| Box::pin(script(call)) as Answering))))
    }

    /// Its URL.
    pub fn url(&self) -> String {
        self.0.url()
    }
}

#[derive(Clone)]
struct Http(Script);

impl Service<http::Request<Body>> for Http {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let scripted = Scripted { path: request.uri().path().to_owned(), script: Arc::clone(&self.0) };
        Box::pin(async move {
            let mut grpc = tonic::server::Grpc::new(Raw);
            Ok(grpc.streaming(scripted, request).await)
        })
    }
}

struct Scripted {
    path: String,
    script: Script,
}

impl Service<Request<Streaming<Bytes>>> for Scripted {
    type Response = Response<Messages>;
    type Error = Status;
    type Future = Answering;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Status>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Streaming<Bytes>>) -> Self::Future {
        let (metadata, _, messages) = request.into_parts();
        (self.script)(Call { path: self.path.clone(), metadata, messages })
    }
}
