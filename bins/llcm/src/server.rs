//! A server, from listening to the last reply.

use std::future::Future;
use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, anyhow, bail};
use llcm_access::{AuditLog, TokenFile};
use llcm_api::{Access, ApiSettings, ApiState, Listener};
use llcm_lifecycle::{Dialect, Orchestrator};
use llcm_names::InstallationId;
use llcm_runtime::Backend;
use tokio_util::sync::CancellationToken;

use crate::compose::{self, Composed};
use crate::config::Config;
use crate::ground::Ground;
use crate::tls;

/// How long an address may be a program's that a killed server was just starting: it has the server's sockets until it
/// executes.
const MOMENT: Duration = Duration::from_secs(1);

/// A server that is ready to run.
#[derive(Debug)]
pub(crate) struct Server {
    listeners: Vec<Listener>,
    addresses: Vec<(Dialect, SocketAddr)>,
    scheme: &'static str,
    orchestrator: Arc<Orchestrator>,
    backend: Backend,
    installation: InstallationId,
    state: ApiState,
    exit: CancellationToken,
    stop_instances: bool,
}

impl Server {
    /// Listens, then opens the life-cycle manager: what cannot be listened on is told before anything is
    /// touched, and clients that come early wait instead of being refused.
    ///
    /// # Errors
    /// When an address is in use, the drivers cannot be had, or the store cannot be opened.
    pub(crate) async fn open(config: &Config, ground: &Ground) -> anyhow::Result<Self> {
        let access = &config.access;
        let tokens = TokenFile::at(&access.tokens_file);
        check_tokens(&tokens, access.needs_token.as_deref())?;
        let certificate = access.tls.as_ref().map(|(chain, key)| tls::server(chain, key)).transpose()?;
        let mut listeners = Vec::new();
        let mut addresses = Vec::new();
        for listen in &config.listen {
            let listener = bind(listen.address).await.with_context(|| {
                format!(
                    "cannot listen on {}: choose another address with --listen ADDRESS:PORT",
                    listen.address
                )
            })?;
            let address = listener.local_addr().context("cannot tell the address listened on")?;
            addresses.push((listen.dialect, address));
            listeners.push(match &certificate {
                None => Listener::plain(listen.dialect, listener),
                Some(config) => Listener::tls(listen.dialect, listener, Arc::clone(config)),
            });
        }
        let Composed { orchestrator, backend, installation, engine } = compose::open(config, ground).await?;
        let settings = ApiSettings {
            engine,
            installation: Some(installation.to_string()),
            max_upload: config.settings.limits.compressed_bytes,
            drain: config.settings.drain,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            ..access.api.clone()
        };
        let audit = AuditLog::in_dir(&config.data_dir, access.audit);
        let keepers = Access { tokens: Some(Arc::new(tokens)), audit: Some(Arc::new(audit)) };
        let exit = CancellationToken::new();
        let asked = exit.clone();
        let state = ApiState::guarded(Arc::clone(&orchestrator), settings, keepers, move || asked.cancel());
        let stop_instances = config.stop_instances;
        let scheme = if certificate.is_some() { "https" } else { "http" };
        Ok(Self {
            listeners,
            addresses,
            scheme,
            orchestrator,
            backend,
            installation,
            state,
            exit,
            stop_instances,
        })
    }

    /// Where clients on this host reach it.
    pub(crate) fn url(&self) -> String {
        self.addresses.first().map(|(_, address)| url(self.scheme, address)).unwrap_or_default()
    }

    /// The drivers.
    pub(crate) fn backend(&self) -> &Backend {
        &self.backend
    }

    /// Whose everything is that the server creates.
    pub(crate) fn installation(&self) -> &InstallationId {
        &self.installation
    }

    /// Answers until `stop` resolves or a client asks the server to exit; then finishes what is going on. Tells
    /// whether no instance is left.
    ///
    /// # Errors
    /// When a listener fails, or instances cannot be taken down.
    pub(crate) async fn run(self, stop: impl Future<Output = ()>) -> anyhow::Result<bool> {
        for (dialect, address) in &self.addresses {
            match dialect {
                Dialect::Tango => log::info!("listening on {}", url(self.scheme, address)),
                Dialect::Sonata => log::info!("dialect sonata: listening on {}", url(self.scheme, address)),
            }
        }
        let exit = self.exit;
        let asked = async move {
            tokio::select! {
                () = stop => {}
                () = exit.cancelled() => log::info!("a client asked the server to exit"),
            }
        };
        llcm_api::serve(self.listeners, self.state, asked).await.context("cannot serve")?;
        self.orchestrator
            .shutdown(self.stop_instances)
            .await
            .map_err(|error| anyhow!("cannot end cleanly: {}", compose::told(&error)))?;
        Ok(self.orchestrator.instances(false).is_empty())
    }
}

/// Refuses to listen where a token is needed and there is none: nobody could use the server.
fn check_tokens(tokens: &TokenFile, needed: Option<&str>) -> anyhow::Result<()> {
    let known = tokens.list();
    let Some(why) = needed else {
        // Nobody is asked for one; that those who show one are not known is worth a line.
        if let Err(error) = known {
            log::warn!("{error}");
        }
        return Ok(());
    };
    if known?.is_empty() {
        bail!(
            "{why}, and there is no token that lets anybody in: make one with `llcm token create`, for the same data \
             directory ({})",
            tokens.path().display()
        );
    }
    Ok(())
}

/// The URL of an address; one that stands for all addresses is reached by the loopback one.
fn url(scheme: &str, address: &SocketAddr) -> String {
    let mut address = *address;
    if address.ip().is_unspecified() {
        address.set_ip(match address {
            SocketAddr::V4(_) => std::net::Ipv4Addr::LOCALHOST.into(),
            SocketAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
        });
    }
    format!("{scheme}://{address}")
}

/// Listens, also where somebody else does for a moment more.
async fn bind(address: SocketAddr) -> std::io::Result<TcpListener> {
    let end = Instant::now() + MOMENT;
    loop {
        match TcpListener::bind(address) {
            Err(error) if error.kind() == ErrorKind::AddrInUse && Instant::now() < end => {
                tokio::time::sleep(MOMENT / 50).await;
            }
            bound => return bound,
        }
    }
}
