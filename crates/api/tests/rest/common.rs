//! A server without sockets: the real orchestrator on simulated drivers, with ids and time that are the same in
//! every run, so that replies can be compared as they are.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use actix_web::http::Method;
use actix_web::test::{self, TestRequest};
use actix_web::{App, body};
use bytes::Bytes;
use llcm_api::{Access, ApiSettings, ApiState, configure};
use llcm_lifecycle::{Clock, Dialect, IdSource, Orchestrator, Parts, Settings, Timestamp};
use llcm_runtime::simulated::{self, Script, World};
use serde_json::Value;
use tempfile::TempDir;
use uuid::Uuid;

use crate::conform;

/// Counts: 1, 2, 3...
#[derive(Debug, Default)]
struct Numbers(AtomicU64);

impl IdSource for Numbers {
    fn uuid(&self) -> Uuid {
        let number = self.0.fetch_add(1, Ordering::Relaxed) + 1;
        // The first digits tell ids apart in qualified container names.
        let number = u128::from(number);
        Uuid::from_u128((number << 96) | (0x4000_8000 << 64) | number)
    }
}

/// A clock that only a test moves.
#[derive(Debug)]
pub(crate) struct Hands(AtomicU64);

impl Hands {
    pub(crate) fn advance(&self, millis: u64) {
        self.0.fetch_add(millis, Ordering::Relaxed);
    }
}

impl Clock for Hands {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::Relaxed))
    }
}

pub(crate) struct Server {
    pub(crate) state: ApiState,
    pub(crate) world: Arc<World>,
    pub(crate) clock: Arc<Hands>,
    pub(crate) exits: Arc<AtomicUsize>,
    pub(crate) dir: TempDir,
}

impl Server {
    pub(crate) async fn start() -> Self {
        Self::with(Script::default(), ApiSettings::default()).await
    }

    pub(crate) async fn with(script: Script, settings: ApiSettings) -> Self {
        Self::build(script, settings, Settings::default(), |_| Access::default()).await
    }

    /// With settings of the life-cycle.
    pub(crate) async fn set(lifecycle: Settings) -> Self {
        Self::build(Script::default(), ApiSettings::default(), lifecycle, |_| Access::default()).await
    }

    /// With settings of the life-cycle, too, and with what `access` makes of the data directory.
    pub(crate) async fn build(
        script: Script,
        settings: ApiSettings,
        lifecycle: Settings,
        access: impl FnOnce(&Path) -> Access,
    ) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let ids: Arc<Numbers> = Arc::default();
        let clock = Arc::new(Hands(AtomicU64::new(1_700_000_000_000)));
        let world = World::with_script(script);
        let installation = llcm_lifecycle::installation::installation_id(dir.path(), ids.as_ref()).unwrap();
        let orchestrator = Orchestrator::open(Parts {
            data_dir: dir.path().to_owned(),
            settings: lifecycle,
            topology: llcm_topology::default_topology(),
            backend: simulated::backend(&world, &installation),
            placement: None,
            clock: Arc::clone(&clock) as Arc<dyn Clock>,
            ids,
        })
        .await
        .unwrap();
        let exits = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&exits);
        let settings =
            ApiSettings { engine: "simulated".to_owned(), version: "0.0.0".to_owned(), ..settings };
        let state = ApiState::guarded(orchestrator, settings, access(dir.path()), move || {
            count.fetch_add(1, Ordering::SeqCst);
        });
        Self { state, world, clock, exits, dir }
    }

    /// The same server, heard at a listener of another dialect.
    pub(crate) fn speak(&mut self, dialect: Dialect) {
        self.state = self.state.speaking(dialect);
    }

    /// The reply to a request; a reply that the OpenAPI document does not describe fails the test.
    pub(crate) async fn call(&self, request: TestRequest) -> Reply {
        let state = self.state.clone();
        let app = test::init_service(App::new().configure(|config| configure(config, state))).await;
        let request = request.to_request();
        let (method, path) = (request.method().clone(), request.path().to_owned());
        let response = test::call_service(&app, request).await;
        let headers = response
            .headers()
            .iter()
            .map(|(name, value)| (name.as_str().to_owned(), value.to_str().unwrap().to_owned()))
            .collect();
        let status = response.status().as_u16();
        let reply = Reply { status, headers, body: body::to_bytes(response.into_body()).await.unwrap() };
        // The document is that of the other dialect.
        if self.state.dialect() == Dialect::Tango {
            conform::check(&method, &path, &reply);
        }
        reply
    }

    pub(crate) async fn send(&self, method: Method, uri: &str, body: impl Into<Bytes>) -> Reply {
        self.call(TestRequest::default().method(method).uri(uri).set_payload(body)).await
    }

    pub(crate) async fn get(&self, uri: &str) -> Value {
        let reply = self.send(Method::GET, uri, "").await;
        assert_eq!(reply.status, 200, "{uri}: {reply:?}");
        reply.json()
    }

    pub(crate) async fn post(&self, uri: &str, body: impl Into<Bytes>) -> Reply {
        self.send(Method::POST, uri, body).await
    }

    /// The names of the containers in the engine, sorted.
    pub(crate) fn containers(&self) -> Vec<String> {
        let mut names: Vec<_> =
            self.world.snapshot().containers.iter().map(|container| container.name.to_string()).collect();
        names.sort();
        names
    }

    /// Nothing is in any list, in the simulated world, or left of uploads on disk.
    pub(crate) async fn assert_empty(&self) {
        for uri in ["/packages", "/services", "/functions", "/instantiations", "/api/v3/requests"] {
            assert_eq!(self.get(uri).await, Value::Array(Vec::new()), "{uri}");
        }
        assert_eq!(self.files(), Vec::<String>::new());
        assert!(self.world.snapshot().containers.is_empty());
    }

    /// The files below the data directory, without the server's own store.
    pub(crate) fn files(&self) -> Vec<String> {
        let mut found = Vec::new();
        let mut open = vec![self.dir.path().to_owned()];
        while let Some(dir) = open.pop() {
            for entry in std::fs::read_dir(dir).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    open.push(path);
                } else {
                    found.push(path.strip_prefix(self.dir.path()).unwrap().display().to_string());
                }
            }
        }
        let own = ["installation", "tokens", "audit"];
        found.retain(|path| !own.iter().any(|name| path.starts_with(name)));
        found.retain(|path| !path.contains("store") && !path.ends_with(".redb"));
        found.sort();
        found
    }
}

#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Bytes,
}

impl Reply {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

/// A multipart body with one file, and its content type.
pub(crate) fn multipart(field: &str, bytes: &[u8]) -> (String, Vec<u8>) {
    let mut body = format!(
        "--XyZ\r\nContent-Disposition: form-data; name=\"{field}\"; filename=\"p.tgo\"\r\n\
         Content-Type: application/octet-stream\r\n\r\n"
    )
    .into_bytes();
    body.extend_from_slice(bytes);
    body.extend_from_slice(b"\r\n--XyZ--\r\n");
    ("multipart/form-data; boundary=XyZ".to_owned(), body)
}
