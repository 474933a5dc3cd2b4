//! From sockets to handlers, for programs that have no actix application of their own.

use std::collections::BTreeMap;
use std::future::Future;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::Server;
use actix_web::{App, HttpServer, web};
use futures_util::future::{join_all, try_join_all};
use llcm_lifecycle::Dialect;
use rustls::ServerConfig;
use thiserror::Error;

use crate::connection::Connection;
use crate::routes;
use crate::state::ApiState;

/// Threads that answer, at most; the work is done on the caller's runtime.
const MOST_WORKERS: usize = 16;

/// How long a connection is kept open for another request.
const KEEP_ALIVE: Duration = Duration::from_secs(5);

/// How long a connection may take to end once it is to.
const DISCONNECT: Duration = Duration::from_secs(5);

/// Serving that failed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ServeError {
    /// An address cannot be listened on.
    #[error("cannot listen on {address}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// The server failed.
    #[error("the HTTP server failed")]
    Server(#[source] std::io::Error),
}

/// Listens on an address; port 0 is a free port of the system's choice.
///
/// # Errors
/// When the address is taken, not this host's, or not allowed.
pub fn listen(address: SocketAddr) -> Result<TcpListener, ServeError> {
    TcpListener::bind(address).map_err(|source| ServeError::Listen { address, source })
}

/// A socket with what is spoken on it.
#[derive(Debug)]
pub struct Listener {
    dialect: Dialect,
    socket: TcpListener,
    tls: Option<Arc<ServerConfig>>,
}

impl Listener {
    /// Plain HTTP.
    #[must_use]
    pub fn plain(dialect: Dialect, socket: TcpListener) -> Self {
        Self { dialect, socket, tls: None }
    }

    /// HTTP/1.1 over TLS.
    #[must_use]
    pub fn tls(dialect: Dialect, socket: TcpListener, config: Arc<ServerConfig>) -> Self {
        Self { dialect, socket, tls: Some(config) }
    }
}

impl From<(Dialect, TcpListener)> for Listener {
    fn from((dialect, socket): (Dialect, TcpListener)) -> Self {
        Self::plain(dialect, socket)
    }
}

/// Serves on listeners, each in its dialect, until `shutdown` resolves; then takes no new connection, ends replies without an end
/// (events, followed logs), and waits for the requests in flight, at most for
/// [`crate::ApiSettings::drain`].
///
/// Runs on the caller's Tokio runtime, which must be a multi-threaded one: what a request begins goes on there
/// when the request is gone. Signals are the caller's business.
///
/// # Errors
/// When a listener cannot be used.
pub async fn serve(
    listeners: Vec<impl Into<Listener>>,
    state: ApiState,
    shutdown: impl Future<Output = ()>,
) -> Result<(), ServeError> {
    let mut by_dialect: BTreeMap<Dialect, Vec<Listener>> = BTreeMap::new();
    for listener in listeners.into_iter().map(Into::into) {
        by_dialect.entry(listener.dialect).or_default().push(listener);
    }
    let servers = by_dialect.len();
    let running: Vec<Server> = by_dialect
        .into_iter()
        .map(|(dialect, listeners)| start(listeners, &state.speaking(dialect), servers))
        .collect::<Result<_, _>>()?;
    let handles: Vec<_> = running.iter().map(Server::handle).collect();
    let stop = async {
        shutdown.await;
        state.closing().cancel();
        join_all(handles.iter().map(|handle| handle.stop(true))).await;
    };
    tokio::select! {
        outcome = try_join_all(running) => outcome.map(drop).map_err(ServeError::Server),
        () = stop => Ok(()),
    }
}

/// Apart from [`serve`], whose future may then be sent to another thread: an `HttpServer` may not.
fn start(listeners: Vec<Listener>, state: &ApiState, servers: usize) -> Result<Server, ServeError> {
    let shared = state.clone();
    let settings = state.settings();
    let workers =
        std::thread::available_parallelism().map_or(2, std::num::NonZeroUsize::get).min(MOST_WORKERS);
    let share = (settings.max_connections / (workers * servers)).max(1);
    let patience = settings.header_timeout.saturating_add(KEEP_ALIVE);
    let mut server = HttpServer::new(move || {
        let state = shared.clone();
        // Beyond every path there is `OPTIONS *`.
        App::new()
            .configure(move |config| crate::configure(config, state))
            .default_service(web::to(routes::unknown))
    })
    .disable_signals()
    .workers(workers)
    .max_connections(share)
    .client_request_timeout(settings.header_timeout)
    .client_disconnect_timeout(DISCONNECT)
    // A client that has hung up is noticed while it is answered, too.
    .h1_allow_half_closed(false)
    .keep_alive(KEEP_ALIVE)
    .on_connect(move |io, extensions| Connection::accepted(io, extensions, patience))
    .tls_handshake_timeout(settings.tls_timeout)
    .shutdown_timeout(settings.drain.as_secs().max(1));
    for Listener { socket, tls, .. } in listeners {
        server = match tls {
            None => server.listen(socket),
            Some(config) => server.listen_rustls_0_23(socket, ServerConfig::clone(&config)),
        }
        .map_err(ServeError::Server)?;
    }
    Ok(server.run())
}
