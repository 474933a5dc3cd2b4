//! A server on a socket, and a client that writes what it is told to.

use std::net::SocketAddr;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use llcm_api::{Listener, listen, serve};
use llcm_runtime::simulated::{Call, Observer, Operation, When};
use rustls::ServerConfig;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::common::Server;

const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) struct Running {
    pub(crate) address: SocketAddr,
    stop: oneshot::Sender<()>,
    served: JoinHandle<()>,
}

impl Running {
    pub(crate) fn start(server: &Server) -> Self {
        Self::start_at(server, "127.0.0.1:0", None)
    }

    /// At an address, with TLS if there is a configuration for it. Clients come by the loopback interface.
    pub(crate) fn start_at(server: &Server, address: &str, tls: Option<Arc<ServerConfig>>) -> Self {
        let socket = listen(address.parse().unwrap()).unwrap();
        let address = SocketAddr::from(([127, 0, 0, 1], socket.local_addr().unwrap().port()));
        let listener = match tls {
            None => Listener::plain(server.state.dialect(), socket),
            Some(config) => Listener::tls(server.state.dialect(), socket, config),
        };
        let (stop, asked) = oneshot::channel::<()>();
        let state = server.state.clone();
        let served = tokio::spawn(async move {
            let shutdown = async move { drop(asked.await) };
            serve(vec![listener], state, shutdown).await.unwrap();
        });
        Self { address, stop, served }
    }

    pub(crate) async fn stop(self) {
        self.stop.send(()).unwrap();
        tokio::time::timeout(PATIENCE, self.served).await.unwrap().unwrap();
    }
}

pub(crate) struct Client {
    pub(crate) stream: TcpStream,
}

impl Client {
    pub(crate) async fn connect(running: &Running) -> Self {
        Self { stream: TcpStream::connect(running.address).await.unwrap() }
    }

    pub(crate) async fn write(&mut self, text: &str) {
        self.stream.write_all(text.as_bytes()).await.unwrap();
    }

    /// What comes at once: a short reply.
    pub(crate) async fn reply(&mut self) -> String {
        let mut bytes = vec![0; 16 * 1024];
        let count = tokio::time::timeout(PATIENCE, self.stream.read(&mut bytes)).await.unwrap().unwrap();
        String::from_utf8_lossy(&bytes[..count]).into_owned()
    }

    /// All that comes until the server closes the connection.
    pub(crate) async fn rest(&mut self) -> String {
        let mut bytes = Vec::new();
        tokio::time::timeout(PATIENCE, self.stream.read_to_end(&mut bytes)).await.unwrap().unwrap();
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

/// Holds the calls of one operation back, right before their effect, until it is opened: what a test does meanwhile is
/// done before, however long it takes. For tests on a runtime with several threads.
pub(crate) struct Gate {
    operation: Operation,
    is_open: Mutex<bool>,
    opened: Condvar,
}

impl Gate {
    pub(crate) fn closed(server: &Server, operation: Operation) -> Arc<Self> {
        let gate = Arc::new(Self { operation, is_open: Mutex::new(false), opened: Condvar::new() });
        server.world.observe(Some(Arc::clone(&gate) as Arc<dyn Observer>));
        gate
    }

    pub(crate) fn open(&self) {
        *self.is_open.lock().unwrap() = true;
        self.opened.notify_all();
    }
}

impl Observer for Gate {
    fn at(&self, call: &Call, when: When) {
        if call.operation == self.operation && when == When::Before {
            // Not for ever: a runtime is not dropped before its threads are free, which a failed test would wait for.
            let wait =
                || self.opened.wait_timeout_while(self.is_open.lock().unwrap(), PATIENCE, |open| !*open);
            drop(tokio::task::block_in_place(wait).unwrap());
        }
    }
}

/// Waits, not for ever, until something holds.
pub(crate) async fn until(what: &str, holds: impl Fn() -> bool) {
    let poll = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    assert!(tokio::time::timeout(PATIENCE, poll).await.is_ok(), "in vain: {what}");
}
