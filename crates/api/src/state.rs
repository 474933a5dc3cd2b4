//! What the handlers share.

use std::sync::Arc;
use std::time::Duration;

use llcm_lifecycle::{Dialect, Orchestrator};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::access::Access;
use crate::access::callers::Refusals;

/// What can be set for the REST interfaces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiSettings {
    /// The program's version, as `GET /api/llcm/v1/version` tells it.
    pub version: String,
    /// The container engine's name, likewise.
    pub engine: String,
    /// The installation's id, likewise.
    pub installation: Option<String>,
    /// The largest upload in bytes, counted on what arrives. Default 512 MiB.
    pub max_upload: u64,
    /// Uploads that are received at a time; further ones wait for their turn. Default 4.
    pub upload_concurrency: usize,
    /// How long an upload may bring nothing, and how long one may wait for its turn. Default 60 s.
    pub upload_idle: Duration,
    /// How long an upload may take in all, from its turn on. Default 1 h.
    pub upload_deadline: Duration,
    /// How long a JSON body may take in all. Default 10 s.
    pub body_timeout: Duration,
    /// How long the head of a request may take, on a new connection and on one that is kept alive. Default 10 s.
    pub header_timeout: Duration,
    /// How long a TLS handshake may take. Default 5 s.
    pub tls_timeout: Duration,
    /// Connections at a time, of all listeners together; further ones wait to be accepted. Default 512.
    pub max_connections: usize,
    /// Host names, besides `localhost` and addresses, under which the server may be addressed; `*` stands for all.
    pub hosts: Vec<String>,
    /// Origins (`https://lab.example:8443`) whose pages may do what the server's own may; none by default.
    pub origins: Vec<String>,
    /// Whether a token is needed on the loopback interface, too. Elsewhere one always is.
    pub require_tokens: bool,
    /// How long requests in flight may take once the server is asked to stop. Default 30 s.
    pub drain: Duration,
}

impl Default for ApiSettings {
    fn default() -> Self {
        Self {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            engine: String::new(),
            installation: None,
            max_upload: 512 * 1024 * 1024,
            upload_concurrency: 4,
            upload_idle: Duration::from_secs(60),
            upload_deadline: Duration::from_secs(60 * 60),
            body_timeout: Duration::from_secs(10),
            header_timeout: Duration::from_secs(10),
            tls_timeout: Duration::from_secs(5),
            max_connections: 512,
            hosts: Vec::new(),
            origins: Vec::new(),
            require_tokens: false,
            drain: Duration::from_secs(30),
        }
    }
}

/// What the handlers share, and the dialect that they speak; cheap to clone. One may serve several listeners,
/// those of the other dialect by [`ApiState::speaking`].
#[derive(Clone)]
pub struct ApiState {
    inner: Arc<Inner>,
    dialect: Dialect,
}

struct Inner {
    orchestrator: Arc<Orchestrator>,
    settings: ApiSettings,
    access: Access,
    refusals: Refusals,
    exit: Box<dyn Fn() + Send + Sync>,
    uploads: Arc<Semaphore>,
    closing: CancellationToken,
}

impl std::fmt::Debug for ApiState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ApiState")
            .field("dialect", &self.dialect)
            .field("settings", &self.inner.settings)
            .field("access", &self.inner.access)
            .field("closing", &self.inner.closing.is_cancelled())
            .finish_non_exhaustive()
    }
}

impl ApiState {
    /// Without tokens and without an audit log: see [`ApiState::guarded`]. Speaks dialect `tango`. `exit` is called when a client asked the server to stop (`PUT /emulator/exit`), after its instances are
    /// stopped; it must not block, and the server goes on until the `shutdown` given to [`crate::serve()`]
    /// resolves.
    #[must_use]
    pub fn new(
        orchestrator: Arc<Orchestrator>,
        settings: ApiSettings,
        exit: impl Fn() + Send + Sync + 'static,
    ) -> Self {
        Self::guarded(orchestrator, settings, Access::default(), exit)
    }

    /// As [`ApiState::new`], with tokens that open it and a log of who changed what.
    #[must_use]
    pub fn guarded(
        orchestrator: Arc<Orchestrator>,
        settings: ApiSettings,
        access: Access,
        exit: impl Fn() + Send + Sync + 'static,
    ) -> Self {
        let uploads = Arc::new(Semaphore::new(settings.upload_concurrency.max(1)));
        let inner = Inner {
            orchestrator,
            settings,
            access,
            refusals: Refusals::default(),
            exit: Box::new(exit),
            uploads,
            closing: CancellationToken::new(),
        };
        Self { inner: Arc::new(inner), dialect: Dialect::Tango }
    }

    /// The same, in another dialect: one life-cycle manager, one number of uploads, one end.
    #[must_use]
    pub fn speaking(&self, dialect: Dialect) -> Self {
        Self { inner: Arc::clone(&self.inner), dialect }
    }

    /// The dialect that is spoken, and whose conventions uploaded services follow.
    #[must_use]
    pub fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// The life-cycle manager.
    #[must_use]
    pub fn orchestrator(&self) -> &Arc<Orchestrator> {
        &self.inner.orchestrator
    }

    /// What is set.
    #[must_use]
    pub fn settings(&self) -> &ApiSettings {
        &self.inner.settings
    }

    /// Cancelled when the server stops: replies without an end (events, logs) end then.
    #[must_use]
    pub fn closing(&self) -> &CancellationToken {
        &self.inner.closing
    }

    pub(crate) fn access(&self) -> &Access {
        &self.inner.access
    }

    pub(crate) fn refusals(&self) -> &Refusals {
        &self.inner.refusals
    }

    pub(crate) fn uploads(&self) -> &Arc<Semaphore> {
        &self.inner.uploads
    }

    pub(crate) fn exit(&self) {
        (self.inner.exit)();
    }
}
