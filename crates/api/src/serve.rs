//! From sockets to handlers, for programs that have no actix application of their own.

use std::collections::BTreeMap;
use std::future::Future;
use std::net::{SocketAddr, TcpListener};

use actix_web::dev::Server;
use actix_web::{App, HttpServer, web};
use futures_util::future::{join_all, try_join_all};
use llcm_lifecycle::Dialect;
use thiserror::Error;

use crate::routes;
use crate::state::ApiState;

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
    listeners: Vec<(Dialect, TcpListener)>,
    state: ApiState,
    shutdown: impl Future<Output = ()>,
) -> Result<(), ServeError> {
    let mut by_dialect: BTreeMap<Dialect, Vec<TcpListener>> = BTreeMap::new();
    for (dialect, listener) in listeners {
        by_dialect.entry(dialect).or_default().push(listener);
    }
    let running: Vec<Server> = by_dialect
        .into_iter()
        .map(|(dialect, listeners)| start(listeners, &state.speaking(dialect)))
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
fn start(listeners: Vec<TcpListener>, state: &ApiState) -> Result<Server, ServeError> {
    let shared = state.clone();
    let mut server = HttpServer::new(move || {
        let state = shared.clone();
        // Beyond every path there is `OPTIONS *`.
        App::new()
            .configure(move |config| crate::configure(config, state))
            .default_service(web::to(routes::unknown))
    })
    .disable_signals()
    .shutdown_timeout(state.settings().drain.as_secs().max(1));
    for listener in listeners {
        server = server.listen(listener).map_err(ServeError::Server)?;
    }
    Ok(server.run())
}
