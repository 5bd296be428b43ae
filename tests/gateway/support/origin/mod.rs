//! A scripted HTTP/1.1 upstream over real sockets, honest or not, that keeps what it was asked.
//!
//! One thread for each connection; everything ends when the value is dropped.

mod answer;
pub mod h2;
mod request;

use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::thread::JoinHandle;
use std::time::Duration;

use pingora::tls::ssl::SslAcceptor;

pub use answer::{Answer, Ending};
pub use request::Request;

use super::wait::{self, DEADLINE};
use super::wire::{Socket, Wire};
use answer::Step;

type Script = dyn Fn(&Request) -> Answer + Send + Sync;

/// A running upstream.
pub struct Origin {
    address: SocketAddr,
    shared: Arc<Shared>,
    acceptor: Option<JoinHandle<()>>,
}

struct Shared {
    script: Box<Script>,
    tls: Option<SslAcceptor>,
    connections: AtomicUsize,
    requests: Mutex<Vec<Request>>,
    errors: Mutex<Vec<String>>,
    sockets: Mutex<Vec<Weak<TcpStream>>>,
    stopping: AtomicBool,
}

impl Origin {
    /// Answers each request as `script` says.
    pub fn start(script: impl Fn(&Request) -> Answer + Send + Sync + 'static) -> Self {
        Self::listen(None, Box::new(script))
    }

    /// As [`Self::start`], over TLS.
    pub fn start_tls(tls: SslAcceptor, script: impl Fn(&Request) -> Answer + Send + Sync + 'static) -> Self {
        Self::listen(Some(tls), Box::new(script))
    }

    /// Answers each request with itself as JSON.
    pub fn echo() -> Self {
        Self::start(Answer::echo)
    }

    fn listen(tls: Option<SslAcceptor>, script: Box<Script>) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let address = listener.local_addr().expect("the address of a bound socket");
        let shared = Arc::new(Shared {
            script,
            tls,
            connections: AtomicUsize::new(0),
            requests: Mutex::default(),
            errors: Mutex::default(),
            sockets: Mutex::default(),
            stopping: AtomicBool::new(false),
        });
        let acceptor = std::thread::spawn({
            let shared = Arc::clone(&shared);
            move || shared.accept(&listener)
        });
        Self { address, shared, acceptor: Some(acceptor) }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its URL without a path: `http://…` or `https://…`.
    pub fn url(&self) -> String {
        let scheme = if self.shared.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://{}", self.address)
    }

    /// Connections accepted so far.
    pub fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::SeqCst)
    }

    /// The requests received so far, in the order their ends came.
    pub fn requests(&self) -> Vec<Request> {
        self.shared.requests.lock().expect("requests").clone()
    }

    /// Forgets the requests received so far.
    pub fn forget(&self) {
        self.shared.requests.lock().expect("requests").clear();
    }

    /// The only request received.
    ///
    /// # Panics
    /// When there was none or more than one.
    #[track_caller]
    pub fn only_request(&self) -> Request {
        let mut requests = self.requests();
        assert_eq!(requests.len(), 1, "requests received: {requests:#?}");
        requests.remove(0)
    }

    /// Waits until so many requests have come.
    #[track_caller]
    pub fn await_requests(&self, count: usize) {
        wait::until(&format!("the upstream has {count} requests"), || self.requests().len() >= count);
    }

    /// What clients sent that was not HTTP/1.1, or how their connections failed.
    pub fn errors(&self) -> Vec<String> {
        self.shared.errors.lock().expect("errors").clone()
    }
}

impl Drop for Origin {
    fn drop(&mut self) {
        self.shared.stopping.store(true, Ordering::SeqCst);
        for socket in self.shared.sockets.lock().expect("sockets").drain(..) {
            // A connection that is gone already needs no shutting down.
            let _ = socket.upgrade().map(|socket| socket.shutdown(Shutdown::Both));
        }
        // Wakes the thread that accepts.
        let _ = TcpStream::connect(self.address);
        let _ = self.acceptor.take().map(JoinHandle::join);
    }
}

impl Shared {
    fn accept(self: Arc<Self>, listener: &TcpListener) {
        for stream in listener.incoming() {
            if self.stopping.load(Ordering::SeqCst) {
                return;
            }
            let socket = Arc::new(stream.expect("a connection"));
            let connection = self.connections.fetch_add(1, Ordering::SeqCst);
            self.sockets.lock().expect("sockets").push(Arc::downgrade(&socket));
            let shared = Arc::clone(&self);
            std::thread::spawn(move || {
                if let Err(error) = shared.serve(&socket, connection) {
                    shared.errors.lock().expect("errors").push(error);
                }
            });
        }
    }

    fn serve(&self, socket: &Arc<TcpStream>, connection: usize) -> Result<(), String> {
        let text = |error: std::io::Error| error.to_string();
        socket.set_nodelay(true).map_err(text)?;
        socket.set_read_timeout(Some(DEADLINE * 6)).map_err(text)?;
        let stream = Socket(Arc::clone(socket));
        let mut wire = match &self.tls {
            Some(tls) => Wire::new(tls.accept(stream).map_err(|error| error.to_string())?),
            None => Wire::new(stream),
        };
        while let Some(request) = Request::read(&mut wire, connection)? {
            let answer = (self.script)(&request);
            let method = request.method.clone();
            self.requests.lock().expect("requests").push(request);
            if perform(answer.steps(&method), &mut wire, socket)? != Ending::KeepAlive {
                return Ok(());
            }
        }
        Ok(())
    }
}

/// Does what the answer says; the connection closes or resets when its last owner lets go of it.
fn perform(steps: Vec<Step>, wire: &mut Wire, socket: &TcpStream) -> Result<Ending, String> {
    for step in steps {
        match step {
            Step::Send(bytes) => wire.send(&bytes).map_err(|error| error.to_string())?,
            Step::Wait(gate) if gate.pass() => {}
            Step::Wait(_) => return Err("a gate was never opened".into()),
            Step::End(Ending::Reset) => {
                let linger = socket2::SockRef::from(socket).set_linger(Some(Duration::ZERO));
                return linger.map(|()| Ending::Reset).map_err(|error| error.to_string());
            }
            Step::End(Ending::Stall) => return wire.rest().map(|_| Ending::Stall),
            Step::End(ending) => return Ok(ending),
        }
    }
    Ok(Ending::KeepAlive)
}
