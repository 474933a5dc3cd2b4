//! Connections that neither ask for anything nor end are ended.
//!
//! The HTTP library waits for the first request's head for a limited time, but not for the heads of later ones, nor for
//! bodies that no handler reads. So each connection knows whether a request is being answered on it, and one on which
//! none is for too long is shut down. A client that does not take its reply is ended by the kernel (`TCP_USER_TIMEOUT`).

use std::any::Any;
use std::net::{Shutdown, TcpStream};
use std::os::fd::AsFd as _;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use actix_web::dev::Extensions;
use actix_web::rt;

/// How long the kernel keeps data that the other side does not take.
const UNTAKEN: Duration = Duration::from_secs(60);

/// A connection: in the extensions of each of its requests.
#[derive(Debug)]
pub(crate) struct Connection {
    /// A handle of its own on the socket.
    socket: TcpStream,
    /// Requests that are being answered, and since when there are as many.
    answering: Mutex<(usize, Instant)>,
}

/// A request that is being answered, until this is dropped.
#[derive(Debug)]
pub(crate) struct Answering(Arc<Connection>);

impl Connection {
    /// Begins to look after a connection that may be without a request for so long.
    pub(crate) fn accepted(io: &dyn Any, extensions: &mut Extensions, patience: Duration) {
        type Tls = actix_tls::accept::rustls_0_23::TlsStream<rt::net::TcpStream>;
        let plain = io.downcast_ref::<rt::net::TcpStream>();
        let Some(stream) = plain.or_else(|| io.downcast_ref::<Tls>().map(|tls| tls.get_ref().0)) else {
            return;
        };
        // A kernel without it keeps such data for longer.
        let _ = socket2::SockRef::from(stream).set_tcp_user_timeout(Some(UNTAKEN));
        match stream.as_fd().try_clone_to_owned() {
            Ok(socket) => {
                let answering = Mutex::new((0, Instant::now()));
                let connection = Arc::new(Self { socket: socket.into(), answering });
                rt::spawn(look_after(Arc::downgrade(&connection), patience));
                extensions.insert(connection);
            }
            Err(error) => log::warn!("a connection is not looked after: {error}"),
        }
    }

    /// Says that a request is being answered.
    pub(crate) fn answer(self: &Arc<Self>) -> Answering {
        self.count(|number| number + 1);
        Answering(Arc::clone(self))
    }

    fn count(&self, change: impl FnOnce(usize) -> usize) {
        let mut answering = self.answering.lock().unwrap_or_else(PoisonError::into_inner);
        *answering = (change(answering.0), Instant::now());
    }

    /// How long no request has been answered; `None` while one is.
    fn idle(&self) -> Option<Duration> {
        let (number, since) = *self.answering.lock().unwrap_or_else(PoisonError::into_inner);
        (number == 0).then(|| since.elapsed())
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        self.0.count(|number| number.saturating_sub(1));
    }
}

async fn look_after(connection: Weak<Connection>, patience: Duration) {
    let mut rest = patience;
    loop {
        rt::time::sleep(rest).await;
        let Some(connection) = connection.upgrade() else { return };
        let idle = connection.idle().unwrap_or_default();
        if idle >= patience {
            // It may have ended by itself just now.
            let _ = connection.socket.shutdown(Shutdown::Both);
            return;
        }
        rest = patience.saturating_sub(idle).max(Duration::from_millis(10));
    }
}
