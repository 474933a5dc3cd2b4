//! A server, from listening to the last reply.

use std::future::Future;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use anyhow::{Context as _, anyhow};
use llcm_api::{ApiSettings, ApiState};
use llcm_lifecycle::{Dialect, Orchestrator};
use llcm_names::InstallationId;
use llcm_runtime::Backend;
use tokio_util::sync::CancellationToken;

use crate::compose::{self, Composed};
use crate::config::Config;
use crate::ground::Ground;

/// A server that is ready to run.
#[derive(Debug)]
pub(crate) struct Server {
    listeners: Vec<(Dialect, TcpListener)>,
    addresses: Vec<(Dialect, SocketAddr)>,
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
        let mut listeners = Vec::new();
        let mut addresses = Vec::new();
        for listen in &config.listen {
            let listener = TcpListener::bind(listen.address).with_context(|| {
                format!(
                    "cannot listen on {}: choose another address with --listen ADDRESS:PORT",
                    listen.address
                )
            })?;
            let address = listener.local_addr().context("cannot tell the address listened on")?;
            addresses.push((listen.dialect, address));
            listeners.push((listen.dialect, listener));
        }
        let Composed { orchestrator, backend, installation, engine } = compose::open(config, ground).await?;
        let settings = ApiSettings {
            engine,
            installation: Some(installation.to_string()),
            max_upload: config.settings.limits.compressed_bytes,
            upload_concurrency: config.upload_concurrency,
            drain: config.settings.drain,
            hosts: config.allowed_hosts.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            ..ApiSettings::default()
        };
        let exit = CancellationToken::new();
        let asked = exit.clone();
        let state = ApiState::new(Arc::clone(&orchestrator), settings, move || asked.cancel());
        let stop_instances = config.stop_instances;
        Ok(Self { listeners, addresses, orchestrator, backend, installation, state, exit, stop_instances })
    }

    /// Where clients on this host reach it.
    pub(crate) fn url(&self) -> String {
        self.addresses.first().map(|(_, address)| url(address)).unwrap_or_default()
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
                Dialect::Tango => log::info!("listening on {}", url(address)),
                Dialect::Sonata => log::info!("dialect sonata: listening on {}", url(address)),
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

/// The URL of an address; one that stands for all addresses is reached by the loopback one.
fn url(address: &SocketAddr) -> String {
    let mut address = *address;
    if address.ip().is_unspecified() {
        address.set_ip(match address {
            SocketAddr::V4(_) => std::net::Ipv4Addr::LOCALHOST.into(),
            SocketAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
        });
    }
    format!("http://{address}")
}
