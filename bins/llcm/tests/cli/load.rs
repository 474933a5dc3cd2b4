//! Many clients at once, on a server with the simulated engine: every route, nothing fails that should not, memory
//! stays, and every instance is accounted for.
//!
//! `LLCM_LOAD_SECONDS` is how long (by default a few, for CI), `LLCM_SEED` the seed; both are printed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use llcm_testkit::Lots;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::run::Server;

const CLIENTS: u64 = 200;
const SECONDS: u64 = 6;
/// Instances and services that clients do not go beyond, so that memory has a reason to stay as it is.
const INSTANCES: usize = 60;
const SERVICES: usize = 20;
/// What the world takes its time for.
const SCRIPT: &str =
    "latency: {ensure-image: 5ms, create: 5ms~5ms, start: 20ms~10ms, attach: 2ms, stop: 10ms}\n";

/// What the clients know.
#[derive(Debug, Default)]
struct Known {
    services: BTreeSet<String>,
    /// Uploads that go on: each may become a service.
    uploads: usize,
    instances: BTreeSet<String>,
    /// What somebody is about to remove.
    taken: BTreeSet<String>,
    /// Replies by what was asked and their status.
    replies: BTreeMap<(&'static str, u16), usize>,
    wrong: Vec<String>,
}

struct Client {
    http: reqwest::Client,
    url: String,
    package: Arc<Vec<u8>>,
    known: Arc<Mutex<Known>>,
    lots: Lots,
}

#[test]
fn two_hundred_clients_find_everything_as_they_left_it() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let seconds = number("LLCM_LOAD_SECONDS").unwrap_or(SECONDS);
    let seed = number("LLCM_SEED").unwrap_or_else(|| u64::from(std::process::id()));
    let dir = tempfile::tempdir().unwrap();
    let package = Arc::new(llcm_testkit::demo_chain().build());
    let script = dir.path().join("script.yml");
    std::fs::write(&script, SCRIPT).unwrap();
    let settings = ["--simulated-script", script.to_str().unwrap(), "--header-timeout", "60"];
    let server = Server::start(&dir.path().join("data"), &settings);
    let known = Arc::new(Mutex::new(Known::default()));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let end = Instant::now() + Duration::from_secs(seconds);
    let (mut memory, pid) = (Vec::new(), server.pid());
    runtime.block_on(async {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|number| Client {
                http: plain(),
                url: server.url.clone(),
                package: Arc::clone(&package),
                known: Arc::clone(&known),
                lots: Lots::new(seed.wrapping_mul(CLIENTS).wrapping_add(number)),
            })
            .map(|client| tokio::spawn(client.work(end)))
            .collect();
        while Instant::now() < end {
            tokio::time::sleep(Duration::from_millis(250)).await;
            memory.push(resident(pid));
        }
        for client in clients {
            client.await.unwrap();
        }
    });
    let known = known.lock().unwrap();
    let asked: usize = known.replies.values().sum();
    let (middle, late) =
        (median(&memory[memory.len() / 3..memory.len() * 2 / 3]), median(&memory[memory.len() * 2 / 3..]));
    eprintln!(
        "{CLIENTS} clients, {seconds} s, LLCM_SEED={seed}: {asked} requests, memory {middle} KiB, then {late} KiB\n{:#?}",
        known.replies
    );
    assert!(
        known.wrong.is_empty(),
        "{} replies are wrong, the first:\n{}",
        known.wrong.len(),
        known.wrong[0]
    );
    assert!(late < middle + middle / 5 + 16 * 1024, "memory grows: {memory:?}");

    let ids = |path: &str, key: &str| -> BTreeSet<String> {
        let list = runtime.block_on(async {
            let reply = plain().get(format!("{}{path}", server.url)).send().await.unwrap();
            reply.json::<Value>().await.unwrap()
        });
        list.as_array().unwrap().iter().map(|item| item[key].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(ids("/api/llcm/v1/instances", "id"), known.instances, "instances");
    assert_eq!(ids("/services", "uuid"), known.services, "services");
    server.llcm(&["down", "--all"]).expect(0);
    assert!(ids("/api/llcm/v1/instances", "id").is_empty());
    assert_eq!(server.stop(), Some(0));
}

/// A client for plain HTTP, which trusts nobody's certificates and so need not read any.
fn plain() -> reqwest::Client {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls =
        rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let tls = tls.with_root_certificates(rustls::RootCertStore::empty()).with_no_client_auth();
    // Well before the server ends a connection that nobody asks on.
    let idle = Duration::from_secs(1);
    reqwest::Client::builder().tls_backend_preconfigured(tls).pool_idle_timeout(idle).build().unwrap()
}

fn resident(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

fn median(values: &[u64]) -> u64 {
    let mut values = values.to_vec();
    values.sort_unstable();
    values.get(values.len() / 2).copied().unwrap_or_default()
}

impl Client {
    async fn work(mut self, end: Instant) {
        while Instant::now() < end {
            match self.lots.below(20) {
                0 => self.upload().await,
                1 => self.remove_service().await,
                2..=4 => self.instantiate().await,
                5..=7 => self.terminate().await,
                8 => self.mistakes().await,
                9 => self.visit_a_container().await,
                10 => self.listen().await,
                _ => self.look().await,
            }
        }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn one_of(&mut self, all: &[String]) -> Option<String> {
        if all.is_empty() {
            return None;
        }
        let at = self.lots.pick(all.len());
        Some(all[at].clone())
    }

    fn free(&self, set: impl Fn(&Known) -> &BTreeSet<String>) -> Vec<String> {
        let known = self.known();
        set(&known).difference(&known.taken).cloned().collect()
    }

    /// Asks, and notes a reply that is not one of `fine`.
    async fn ask(
        &self,
        what: &'static str,
        (method, path): (Method, &str),
        body: Option<Vec<u8>>,
        fine: &[u16],
    ) -> Option<(StatusCode, Value)> {
        let mut request =
            self.http.request(method, format!("{}{path}", self.url)).timeout(Duration::from_secs(60));
        if let Some(body) = body {
            request = request.body(body);
        }
        let reply = match request.send().await {
            Ok(reply) => reply,
            Err(error) => {
                self.known().wrong.push(format!("{what} {path}: {error:?}"));
                return None;
            }
        };
        let status = reply.status();
        let text = reply.text().await.unwrap_or_default();
        let mut known = self.known();
        *known.replies.entry((what, status.as_u16())).or_default() += 1;
        if !fine.contains(&status.as_u16()) {
            known.wrong.push(format!("{what} {path}: {status} {text}"));
        }
        Some((status, serde_json::from_str(&text).unwrap_or(Value::Null)))
    }

    async fn upload(&mut self) {
        {
            let mut known = self.known();
            if known.services.len() + known.uploads >= SERVICES {
                return;
            }
            known.uploads += 1;
        }
        let package = self.package.as_ref().clone();
        // Only so many are received at a time; the others are told to come again.
        let asked = self.ask("upload", (Method::POST, "/packages"), Some(package), &[201, 429, 503]);
        let reply = asked.await;
        let mut known = self.known();
        known.uploads -= 1;
        if let Some((StatusCode::CREATED, body)) = reply {
            known.services.insert(body["service_uuid"].as_str().unwrap().to_owned());
        }
    }

    async fn remove_service(&mut self) {
        let free = self.free(|known| &known.services);
        if free.len() < 3 {
            return;
        }
        let Some(id) = self.one_of(&free).filter(|id| self.known().taken.insert(id.clone())) else { return };
        let path = format!("/api/v2/packages/{id}");
        let reply = self.ask("remove", (Method::DELETE, &path), None, &[204, 409]).await;
        let mut known = self.known();
        known.taken.remove(&id);
        if matches!(reply, Some((StatusCode::NO_CONTENT, _))) {
            known.services.remove(&id);
        }
    }

    async fn instantiate(&mut self) {
        if self.known().instances.len() >= INSTANCES {
            return;
        }
        let services = self.free(|known| &known.services);
        let Some(id) = self.one_of(&services) else { return };
        let body = json!({ "service_uuid": id }).to_string().into_bytes();
        // Removed meanwhile, or too many at a time.
        let fine = [201, 404, 429];
        let reply = self.ask("instantiate", (Method::POST, "/instantiations"), Some(body), &fine).await;
        if let Some((StatusCode::CREATED, body)) = reply {
            self.known().instances.insert(body["service_instance_uuid"].as_str().unwrap().to_owned());
        }
    }

    async fn terminate(&mut self) {
        let instances = self.free(|known| &known.instances);
        let Some(id) = self.one_of(&instances).filter(|id| self.known().taken.insert(id.clone())) else {
            return;
        };
        let body = json!({ "service_instance_uuid": id }).to_string().into_bytes();
        let reply = self.ask("terminate", (Method::DELETE, "/instantiations"), Some(body), &[200]).await;
        let mut known = self.known();
        known.taken.remove(&id);
        if matches!(reply, Some((StatusCode::OK, _))) {
            known.instances.remove(&id);
        }
    }

    async fn mistakes(&mut self) {
        let all: [(Method, &str, &[u8], u16); 6] = [
            (Method::GET, "/nowhere", b"", 404),
            (Method::PATCH, "/packages", b"", 405),
            (Method::POST, "/packages", b"no package", 400),
            (Method::POST, "/instantiations", b"{\"service_uuid\": ", 400),
            (Method::DELETE, "/instantiations", b"{\"service_instance_uuid\": \"no such\"}", 404),
            (Method::GET, "/api/llcm/v1/instances/no-such", b"", 404),
        ];
        let at = self.lots.pick(all.len());
        let (method, path, body, status) = all.into_iter().nth(at).unwrap();
        let body = (!body.is_empty()).then(|| body.to_vec());
        let fine: &[u16] = if path == "/packages" { &[status, 429, 503] } else { &[status] };
        self.ask("mistake", (method, path), body, fine).await;
    }

    /// Runs a command, reads output, looks at the plan; what was terminated meanwhile is not there any more.
    async fn visit_a_container(&mut self) {
        let instances = self.free(|known| &known.instances);
        let Some(id) = self.one_of(&instances) else { return };
        let fine = [200, 404, 409];
        let base = format!("/api/llcm/v1/instances/{id}");
        let Some((StatusCode::OK, body)) = self.ask("instance", (Method::GET, &base), None, &fine).await
        else {
            return;
        };
        let Some(name) = body["containers"][0]["name"].as_str() else { return };
        let exec = format!("{base}/containers/{name}/exec");
        let argv = json!({ "argv": ["true"] }).to_string().into_bytes();
        self.ask("exec", (Method::POST, &exec), Some(argv), &fine).await;
        self.ask("logs", (Method::GET, &format!("{base}/containers/{name}/logs")), None, &fine).await;
        self.ask("plan", (Method::GET, &format!("{base}/plan")), None, &fine).await;
    }

    /// Listens to events for a while.
    async fn listen(&mut self) {
        let asked = self.http.get(format!("{}/api/llcm/v1/events", self.url)).send().await;
        match asked {
            Ok(mut reply) => {
                *self.known().replies.entry(("events", reply.status().as_u16())).or_default() += 1;
                let _ = tokio::time::timeout(Duration::from_millis(200), reply.chunk()).await;
            }
            Err(error) => self.known().wrong.push(format!("events: {error:?}")),
        }
    }

    async fn look(&mut self) {
        let all = [
            "/packages",
            "/services",
            "/functions",
            "/instantiations",
            "/api/v2/requests",
            "/api/v3/packages",
            "/api/v3/services",
            "/api/v3/records/services",
            "/api/llcm/v1/instances?ended=true",
            "/api/llcm/v1/services",
            "/api/llcm/v1/requests",
            "/api/llcm/v1/version",
            "/api/llcm/v1/health",
            "/api/openapi.json",
        ];
        let at = self.lots.pick(all.len());
        self.ask("look", (Method::GET, all[at]), None, &[200]).await;
    }
}
