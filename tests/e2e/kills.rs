//! The server killed at random moments of a mixed load, again and again: nothing that was acknowledged is lost, and
//! nothing is left that nobody knows of.
//!
//! `LLCM_KILLS` is how often (by default a few, for CI), `LLCM_SEED` the seed of all that is drawn; it is printed. The
//! figures of a run stand in its output.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use llcm_testkit::Lots;
use serde_json::Value;

use crate::engine::{On, on_each_engine};
use crate::lab::{Lab, Server, text};
use crate::look::{assert_nothing_left, namespaces_of_servers_in};
use crate::packages::demo_chain;

on_each_engine!(what_was_acknowledged_is_there_and_nothing_else);

/// Kills where nobody says how many.
const KILLS: u64 = 4;
/// Those who ask at the same time.
const CLIENTS: u64 = 4;
/// Instances that clients do not go beyond, each of three containers.
const INSTANCES: usize = 5;
const SERVICES: usize = 4;
/// curl's exit code when nobody listens.
const NO_CONNECTION: i32 = 7;
/// A restart may take this long until the server answers, whatever it has to take down first.
const RECOVERY: Duration = Duration::from_secs(20);

fn what_was_acknowledged_is_there_and_nothing_else(on: On) {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let kills = number("LLCM_KILLS").unwrap_or(KILLS);
    let seed = number("LLCM_SEED").unwrap_or_else(|| u64::from(std::process::id()));
    let Some(lab) = Lab::new(on) else { return };
    println!("{on:?}: {kills} kills, LLCM_SEED={seed}");
    lab.image(&["llcm-test:latest"]);
    let package = demo_chain(&lab);
    let mut lots = Lots::new(seed);
    let model = Mutex::new(Model::default());
    // So many milliseconds the load goes on before the server is killed, at most: long enough for all that happens.
    let load = if on == On::Docker { 6_000 } else { 1_500 };
    let mut recoveries = Vec::new();
    let mut server = lab.serve(&[]);
    for kill in 0..kills {
        let over = AtomicBool::new(false);
        let moment = Duration::from_millis(50 + lots.below(load));
        let seeds: Vec<u64> = (0..CLIENTS).map(|_| lots.draw()).collect();
        std::thread::scope(|scope| {
            for seed in seeds {
                let (lab, package, model, over) = (&lab, package.to_str().unwrap(), &model, &over);
                scope.spawn(move || Client { lab, package, model, lots: Lots::new(seed) }.work(over));
            }
            std::thread::sleep(moment);
            server.kill();
            over.store(true, Ordering::Release);
        });
        let began = Instant::now();
        server = lab.serve(&[]);
        let took = began.elapsed();
        assert!(took < RECOVERY, "kill {kill}: the server answers after {took:?}");
        recoveries.push(took);
        model.lock().unwrap().compare(&server, &format!("{on:?}, seed {seed}, kill {kill} after {moment:?}"));
    }
    recoveries.sort_unstable();
    let model = model.into_inner().unwrap_or_else(PoisonError::into_inner);
    println!(
        "{on:?}: {kills} kills, seed {seed}: {} uploads, {} instantiations, {} terminations, {} removals acknowledged, \
         {} in doubt; the next server answers after {:?} in the middle, {:?} at most",
        model.acknowledged[0],
        model.acknowledged[1],
        model.acknowledged[2],
        model.acknowledged[3],
        model.doubtful,
        recoveries.get(recoveries.len() / 2).copied().unwrap_or_default(),
        recoveries.last().copied().unwrap_or_default(),
    );
    for instance in &model.instances {
        server.terminate(instance);
    }
    for service in &model.services {
        let reply = server.curl(&["-X", "DELETE"], &format!("/packages/{service}"));
        assert_eq!(reply.status, 204, "{reply:?}");
    }
    assert_eq!(server.get("/services"), Value::Array(Vec::new()));
    assert!(directories(&lab).is_empty(), "packages: {:?}", directories(&lab));
    assert_nothing_left(&server);
}

/// What clients know: what was acknowledged, and what they were not told the end of.
#[derive(Debug, Default)]
struct Model {
    services: BTreeSet<String>,
    instances: BTreeSet<String>,
    /// What somebody works on: nobody else does.
    taken: BTreeSet<String>,
    /// Uploads and instantiations without a reply.
    uploads: usize,
    instantiations: usize,
    /// Services and instances whose removal got no reply.
    removals: BTreeSet<String>,
    /// Uploads, instantiations, terminations, removals of services.
    acknowledged: [usize; 4],
    doubtful: usize,
}

impl Model {
    /// Compares with a server that has just been started again, and from then on knows what it has.
    fn compare(&mut self, server: &Server<'_>, when: &str) {
        let ids = |list: &Value, key: &str| -> BTreeSet<String> {
            list.as_array().unwrap().iter().map(|item| item[key].as_str().unwrap().to_owned()).collect()
        };
        let services = ids(&server.get("/services"), "uuid");
        check("services", &self.services, &services, &self.removals, self.uploads, when);
        let list = server.get("/api/llcm/v1/instances");
        let instances = ids(&list, "id");
        check("instances", &self.instances, &instances, &self.removals, self.instantiations, when);
        for instance in list.as_array().unwrap() {
            assert_eq!(instance["state"], "running", "{when}: {instance}");
        }
        let containers: BTreeSet<String> = list
            .as_array()
            .unwrap()
            .iter()
            .flat_map(|instance| instance["containers"].as_array().unwrap())
            .map(|container| container["engine_name"].as_str().unwrap().to_owned())
            .collect();
        let lab = server.lab;
        // What the killed server had asked Docker for may be made only now; it is found and removed a moment later.
        let begun = Instant::now();
        loop {
            let seen = lab.containers();
            let running: BTreeSet<String> = lab.running().into_iter().map(|seen| seen.name).collect();
            if seen == containers && running == containers {
                break;
            }
            let in_vain = format!("{when}: containers {seen:?}, running {running:?}, listed {containers:?}");
            assert!(begun.elapsed() < Duration::from_secs(30), "{in_vain}");
            std::thread::sleep(Duration::from_millis(50));
        }
        assert_eq!(directories(lab), services, "{when}: directories of packages");
        assert_eq!(ports(lab), 3 * containers.len(), "{when}: ports in the data centers");
        let requests = server.get("/api/llcm/v1/requests");
        let unended = |request: &&Value| !matches!(request["status"].as_str(), Some("READY" | "ERROR"));
        let unended: Vec<_> = requests.as_array().unwrap().iter().filter(unended).collect();
        assert!(unended.is_empty(), "{when}: requests that nobody works on: {unended:?}");
        self.doubtful += self.uploads + self.instantiations + self.removals.len();
        *self = Self {
            services,
            instances,
            acknowledged: self.acknowledged,
            doubtful: self.doubtful,
            ..Self::default()
        };
    }
}

/// What is there is what was acknowledged, but for what is in doubt.
fn check(
    what: &str,
    acknowledged: &BTreeSet<String>,
    there: &BTreeSet<String>,
    removals: &BTreeSet<String>,
    additions: usize,
    when: &str,
) {
    let lost: Vec<_> = acknowledged.difference(there).filter(|id| !removals.contains(*id)).collect();
    assert!(lost.is_empty(), "{when}: {what} lost: {lost:?}");
    let unknown: Vec<_> = there.difference(acknowledged).collect();
    assert!(
        unknown.len() <= additions,
        "{when}: {what} that nobody asked for: {unknown:?}, {additions} in doubt"
    );
}

/// Somebody who uploads, instantiates and terminates.
struct Client<'a> {
    lab: &'a Lab,
    package: &'a str,
    model: &'a Mutex<Model>,
    lots: Lots,
}

impl Client<'_> {
    fn work(mut self, over: &AtomicBool) {
        while !over.load(Ordering::Acquire) {
            let (services, instances) = {
                let model = self.model();
                let free = |set: &BTreeSet<String>| -> Vec<String> {
                    set.difference(&model.taken).cloned().collect()
                };
                (free(&model.services), free(&model.instances))
            };
            let lot = self.lots.below(10);
            if services.is_empty() || (lot == 0 && services.len() < SERVICES) {
                self.upload();
            } else if lot == 1 && services.len() > 1 {
                self.remove(&services);
            } else if instances.len() >= INSTANCES || (lot < 5 && !instances.is_empty()) {
                self.terminate(&instances);
            } else {
                self.instantiate(&services);
            }
        }
    }

    fn model(&self) -> std::sync::MutexGuard<'_, Model> {
        self.model.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn one_of(&mut self, all: &[String]) -> String {
        all[self.lots.pick(all.len())].clone()
    }

    /// The status and the body of the reply; `None`: there was none.
    fn ask(&self, args: &[&str], path: &str) -> Option<(u16, Value)> {
        let out = self
            .lab
            .command("curl")
            .args(["-s", "--max-time", "60", "-w", "\n%{http_code}"])
            .args(args)
            .arg(format!("http://127.0.0.1:5000{path}"))
            .output()
            .unwrap();
        if out.status.code() == Some(NO_CONNECTION) {
            // Nobody was there to begin anything.
            return Some((503, Value::Null));
        }
        let printed = String::from_utf8_lossy(&out.stdout).into_owned();
        let (body, status) =
            printed.rsplit_once('\n').unwrap_or_else(|| panic!("curl {path}: {}", text(&out)));
        let status = status.parse().unwrap();
        out.status.success().then(|| (status, serde_json::from_str(body).unwrap_or(Value::Null)))
    }

    fn upload(&self) {
        self.model().uploads += 1;
        let Some((status, body)) = self.ask(&["-F", &format!("package=@{}", self.package)], "/packages")
        else {
            return;
        };
        let mut model = self.model();
        model.uploads -= 1;
        if status == 503 {
            return;
        }
        assert_eq!(status, 201, "upload: {body}");
        model.acknowledged[0] += 1;
        model.services.insert(body["service_uuid"].as_str().unwrap().to_owned());
    }

    fn instantiate(&mut self, services: &[String]) {
        let service = self.one_of(services);
        self.model().instantiations += 1;
        let body = format!(r#"{{"service_uuid": "{service}"}}"#);
        let Some((status, body)) = self.ask(&["-X", "POST", "-d", &body], "/instantiations") else { return };
        let mut model = self.model();
        model.instantiations -= 1;
        match status {
            201 => {
                model.acknowledged[1] += 1;
                model.instances.insert(body["service_instance_uuid"].as_str().unwrap().to_owned());
            }
            // Removed by another client meanwhile, or too many at a time.
            404 | 409 | 429 | 503 => {}
            _ => panic!("instantiate: {status} {body}"),
        }
    }

    fn terminate(&mut self, instances: &[String]) {
        let instance = self.one_of(instances);
        if !self.take(&instance) {
            return;
        }
        let body = format!(r#"{{"service_instance_uuid": "{instance}"}}"#);
        let Some((status, body)) = self.ask(&["-X", "DELETE", "-d", &body], "/instantiations") else {
            return;
        };
        let mut model = self.model();
        model.taken.remove(&instance);
        model.removals.remove(&instance);
        if status == 503 {
            return;
        }
        assert_eq!(status, 200, "terminate {instance}: {body}");
        model.acknowledged[2] += 1;
        model.instances.remove(&instance);
    }

    fn remove(&mut self, services: &[String]) {
        let service = self.one_of(services);
        if !self.take(&service) {
            return;
        }
        let Some((status, body)) = self.ask(&["-X", "DELETE"], &format!("/packages/{service}")) else {
            return;
        };
        let mut model = self.model();
        model.taken.remove(&service);
        model.removals.remove(&service);
        match status {
            204 => {
                model.acknowledged[3] += 1;
                model.services.remove(&service);
            }
            // It has instances.
            409 | 503 => {}
            _ => panic!("remove {service}: {status} {body}"),
        }
    }

    /// Claims what is to be removed: until there is a reply, it may be there or not.
    fn take(&self, id: &str) -> bool {
        let mut model = self.model();
        let is_free = model.taken.insert(id.to_owned());
        if is_free {
            model.removals.insert(id.to_owned());
        }
        is_free
    }
}

/// The services that have a directory.
fn directories(lab: &Lab) -> BTreeSet<String> {
    let entries = std::fs::read_dir(lab.data().join("packages")).into_iter().flatten().flatten();
    entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}

/// How many ports the data centers' namespaces hold.
fn ports(lab: &Lab) -> usize {
    let directory = match lab.on {
        On::User => lab.server_root().join(lab.data().strip_prefix("/").unwrap()).join("run/netns"),
        On::Docker | On::Embedded => "/run/netns".into(),
    };
    let mut ports = BTreeMap::new();
    for name in namespaces_of_servers_in(lab).into_iter().filter(|name| !name.ends_with(".ul")) {
        let at = format!("--net={}", directory.join(&name).display());
        let mut command = std::process::Command::new("nsenter");
        if lab.on == On::User {
            // The mount namespace in which the namespaces have names is the server's own.
            let pid = lab.server_root().parent().unwrap().file_name().unwrap().to_string_lossy().into_owned();
            command.args(["--target", &pid, "--user", "--preserve-credentials"]);
        }
        let out = command.args([&at, "--", "ip", "-j", "link"]).output().unwrap();
        assert!(out.status.success(), "{name}: {}", text(&out));
        let links: Value = serde_json::from_slice(&out.stdout).unwrap();
        let is_port = |link: &&Value| link["ifname"].as_str().is_some_and(|name| name.starts_with('p'));
        ports.insert(name, links.as_array().unwrap().iter().filter(is_port).count());
    }
    ports.values().sum()
}
