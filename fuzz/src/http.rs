//! A server on a connection in memory: the HTTP library's parser, the routes, and the life-cycle on simulated drivers.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use actix_http::HttpService;
use actix_service::{Service as _, ServiceFactory as _, map_config};
use actix_web::App;
use actix_web::dev::AppConfig;
use llcm_access::{AuditLog, AuditOptions, NewToken, TokenFile};
use llcm_api::{Access, ApiSettings, ApiState};
use llcm_lifecycle::store::memory::MemoryStore;
use llcm_lifecycle::{Dialect, Orchestrator, Parts, Settings, SystemClock, SystemIds};
use llcm_runtime::simulated::{self, World};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};
use tokio::runtime::Runtime;
use tokio::task::LocalSet;

/// The largest reply that is read, in bytes.
const LARGEST: usize = 4 * 1024 * 1024;

type Serve = Box<dyn Fn(DuplexStream) -> Pin<Box<dyn Future<Output = ()>>>>;

thread_local! {
    /// Where servers keep what they write, which is to be written fast; removed at the thread's end.
    static BASE: tempfile::TempDir = {
        let memory = std::path::Path::new("/dev/shm");
        let base = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
        base.expect("a temporary directory")
    };
}

/// A server of a thread.
pub struct Server {
    runtime: Runtime,
    local: LocalSet,
    serve: Serve,
    orchestrator: Arc<Orchestrator>,
    exited: Arc<AtomicBool>,
    locked: bool,
    _dir: tempfile::TempDir,
}

impl Server {
    /// A server of a dialect; a locked one wants a token, and the tokens that there are nobody knows.
    pub fn start(dialect: Dialect, locked: bool) -> Self {
        // Time goes on by itself whenever all wait: no input takes long.
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .start_paused(true)
            .build()
            .expect("a runtime");
        let local = LocalSet::new();
        let dir = BASE.with(|base| tempfile::tempdir_in(base.path())).expect("a temporary directory");
        let exited = Arc::new(AtomicBool::new(false));
        let (state, orchestrator) =
            local.block_on(&runtime, state(dir.path(), dialect, locked, Arc::clone(&exited)));
        let serve = local.block_on(&runtime, service(state));
        Self { runtime, local, serve, orchestrator, exited, locked, _dir: dir }
    }

    /// Sends bytes on a connection and checks what comes back and what came of it.
    ///
    /// # Panics
    /// When a promise is broken.
    pub fn answer(&self, bytes: &[u8]) {
        let reply = self.local.block_on(&self.runtime, async {
            let (mut client, server) = tokio::io::duplex(64 * 1024);
            let served = tokio::task::spawn_local((self.serve)(server));
            let talk = async {
                let (mut reader, mut writer) = tokio::io::split(&mut client);
                let mut reply = Vec::new();
                let send = async {
                    // The server may hang up in the middle.
                    let _ = writer.write_all(bytes).await;
                };
                let receive = async {
                    let mut piece = [0; 16 * 1024];
                    while let Ok(count @ 1..) = reader.read(&mut piece).await {
                        reply.extend_from_slice(&piece[..count]);
                        if reply.len() > LARGEST {
                            break;
                        }
                    }
                };
                // Replies without an end, and connections that are kept alive.
                let _ = tokio::time::timeout(Duration::from_secs(20), async { tokio::join!(send, receive) })
                    .await;
                reply
            };
            let reply = talk.await;
            drop(client);
            served.abort();
            let _ = served.await;
            reply
        });
        self.check(&reply);
        self.clean();
    }

    fn check(&self, reply: &[u8]) {
        if reply.is_empty() {
            return;
        }
        assert!(reply.starts_with(b"HTTP/1."), "no reply of HTTP: {:?}", String::from_utf8_lossy(reply));
        if !self.locked {
            return;
        }
        let text = String::from_utf8_lossy(reply);
        for line in text.lines().filter(|line| line.starts_with("HTTP/1.")) {
            let status = line.split(' ').nth(1).unwrap_or_default();
            assert!(
                matches!(status, "100" | "200") || status.starts_with('4') || status.starts_with('5'),
                "{line}"
            );
            assert!(
                status != "200"
                    || text.contains("{\"status\":\"ok\"}")
                    || text.contains("content-length: 15"),
                "{text}"
            );
        }
        assert!(self.orchestrator.services().is_empty() && self.orchestrator.instances(true).is_empty());
        assert!(!self.exited.load(Ordering::SeqCst), "a stranger made it exit");
    }

    /// Takes back what the input made.
    fn clean(&self) {
        if self.exited.swap(false, Ordering::SeqCst) || self.orchestrator.services().is_empty() {
            return;
        }
        self.local.block_on(&self.runtime, async {
            for instance in self.orchestrator.instances(false) {
                if let Ok(request) = self.orchestrator.terminate(instance.id).await {
                    let _ = self.orchestrator.wait(request.id).await;
                }
            }
            for service in self.orchestrator.services() {
                let _ = self.orchestrator.remove_service(service.id).await;
            }
        });
    }

    /// Whether a client made it exit for good.
    pub fn is_over(&self) -> bool {
        self.local.block_on(&self.runtime, async { self.orchestrator.staging_file().is_err() })
    }
}

async fn state(
    dir: &std::path::Path,
    dialect: Dialect,
    locked: bool,
    exited: Arc<AtomicBool>,
) -> (ApiState, Arc<Orchestrator>) {
    let installation = llcm_lifecycle::installation::installation_id(dir, &SystemIds).expect("an id");
    let parts = Parts {
        data_dir: dir.to_owned(),
        settings: Settings { min_free_disk: 0, ..Settings::default() },
        topology: llcm_topology::default_topology(),
        backend: simulated::backend(&World::new(), &installation),
        placement: None,
        clock: Arc::new(SystemClock),
        ids: Arc::new(SystemIds),
    };
    let orchestrator =
        Orchestrator::open_with(parts, Arc::new(MemoryStore::default())).await.expect("it opens");
    let tokens = TokenFile::at(dir.join("tokens.json"));
    let wanted = NewToken { name: None, read_only: false, created_at: "2026-01-31T12:00:00.000Z" };
    tokens.create(&wanted).expect("a token");
    let audit = AuditLog::in_dir(dir, AuditOptions { file_bytes: 100_000, files: 2 });
    let access = Access { tokens: Some(Arc::new(tokens)), audit: Some(Arc::new(audit)) };
    let settings = ApiSettings { require_tokens: locked, max_upload: 1 << 20, ..ApiSettings::default() };
    let exit = move || exited.store(true, Ordering::SeqCst);
    let state = ApiState::guarded(Arc::clone(&orchestrator), settings, access, exit);
    (state.speaking(dialect), orchestrator)
}

async fn service(state: ApiState) -> Serve {
    let app = App::new().configure(|config| llcm_api::configure(config, state));
    let app = actix_service::IntoServiceFactory::into_factory(app);
    let http = HttpService::<DuplexStream, _, _>::build()
        .h1_allow_half_closed(false)
        .h1(map_config(app, |()| AppConfig::default()));
    let service = http.new_service(()).await.expect("a service");
    let service = std::rc::Rc::new(service);
    Box::new(move |io| {
        let called = service.call((io, None));
        Box::pin(async move {
            // How a connection ends is no concern: what it got is checked.
            let _ = called.await;
        })
    })
}
