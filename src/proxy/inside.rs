//! The way of the gateway to itself: a connection in memory to the front of a listener, for the client of a request that is
//! under way.

use super::{Front, Gate};
use crate::listener::Connections;
use crate::observe::metrics::ListenerMetrics;
use async_trait::async_trait;
use http::HeaderValue;
use pingora_core::protocols::raw_connect::ProxyDigest;
use pingora_core::protocols::tls::SslDigest;
use pingora_core::protocols::{
    Digest, GetProxyDigest, GetSocketDigest, GetTimingDigest, Peek, Shutdown, SocketDigest, Ssl, TimingDigest,
    UniqueID, UniqueIDType,
};
use pingora_proxy::HttpProxy;
use std::io::Result;
use std::pin::Pin;
use std::sync::{Arc, OnceLock, Weak};
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf, duplex};

/// Bytes that lie between the two ends at most.
const BETWEEN: usize = 64 * 1024;

/// The gateway's end of a connection that it has made to itself. It says of its other end what the connection said that
/// the client has made.
#[derive(Debug)]
pub struct Inside {
    stream: DuplexStream,
    socket: Option<Arc<SocketDigest>>,
    tls: Option<Arc<SslDigest>>,
    /// The request id of what it is part of.
    pub within: HeaderValue,
}

impl Inside {
    /// Both ends of a new connection, for the client of another.
    pub fn pair(client: Option<&Digest>, within: HeaderValue) -> (DuplexStream, Self) {
        let (near, far) = duplex(BETWEEN);
        let socket = client.and_then(|digest| digest.socket_digest.clone());
        let tls = client.and_then(|digest| digest.ssl_digest.clone());
        (near, Self { stream: far, socket, tls, within })
    }
}

/// Leads from a gate to the front before it. The front is made after the gate, and holds it.
#[derive(Clone, Default)]
pub struct Inward(Arc<OnceLock<Behind>>);

struct Behind {
    proxy: Weak<HttpProxy<Gate>>,
    connections: Arc<Connections>,
    metrics: Arc<ListenerMetrics>,
}

impl Inward {
    /// Says what the gate stands behind; once.
    pub fn lead_to(&self, front: &Front) {
        let proxy = Arc::downgrade(&front.proxy);
        let (connections, metrics) = (Arc::clone(&front.connections), Arc::clone(&front.metrics));
        // Who has been told keeps to it.
        let _ = self.0.set(Behind { proxy, connections, metrics });
    }

    /// The front before a gate, while it stands.
    pub fn front(&self, gate: &Gate) -> Option<Arc<Front>> {
        let Behind { proxy, connections, metrics } = self.0.get()?;
        let (connections, metrics) = (Arc::clone(connections), Arc::clone(metrics));
        Some(Arc::new(Front { proxy: proxy.upgrade()?, gate: gate.clone(), connections, metrics }))
    }
}

impl AsyncRead for Inside {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Inside {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[async_trait]
impl Shutdown for Inside {
    async fn shutdown(&mut self) {
        // An end that is gone already is shut too.
        let _ = tokio::io::AsyncWriteExt::shutdown(&mut self.stream).await;
    }
}

impl UniqueID for Inside {
    fn id(&self) -> UniqueIDType {
        -1
    }
}

impl Ssl for Inside {
    fn get_ssl_digest(&self) -> Option<Arc<SslDigest>> {
        self.tls.clone()
    }
}

impl GetTimingDigest for Inside {
    fn get_timing_digest(&self) -> Vec<Option<TimingDigest>> {
        Vec::new()
    }
}

impl GetProxyDigest for Inside {
    fn get_proxy_digest(&self) -> Option<Arc<ProxyDigest>> {
        None
    }
}

impl GetSocketDigest for Inside {
    fn get_socket_digest(&self) -> Option<Arc<SocketDigest>> {
        self.socket.clone()
    }
}

impl Peek for Inside {}
