//! A driver of one's own under the life-cycle: a network that draws its cabling as Graphviz instead of laying
//! it. A real one does something in each of these methods; the life-cycle neither knows nor cares.
//!
//! `cargo run -p llcm-lifecycle --example custom_driver | dot -Tsvg > cabling.svg`
//!
//! Before a driver of your own is used in earnest, run the contract suite (`llcm_runtime::contract`) on it.
#![expect(clippy::print_stdout, reason = "an example talks to its reader")]

use std::collections::BTreeMap;
use std::error::Error;
use std::io::Write;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use llcm_lifecycle::installation::installation_id;
use llcm_lifecycle::request::{ServiceRef, Upload};
use llcm_lifecycle::{Dialect, Orchestrator, Parts, Settings, SystemClock, SystemIds};
use llcm_names::{DcName, InstallationId, Owner, PortId, SegmentId};
use llcm_packaging::Sha1Reader;
use llcm_runtime::simulated::{SimulatedContainers, World};
use llcm_runtime::{
    AttachPoint, Backend, ContainerDriver, DriverError, DriverResult, EngineId, ErrorKind, LinkView, Needs,
    NetworkDriver, NetworkObject, NotEmulated, PortSpec, PortView, PrepareReport, SegmentSpec,
};
use llcm_topology::Topology;

/// Segments and ports on paper. What the contract asks for is in the maps: the same thing twice is fine,
/// something else under the same id is a conflict, and everything can be listed by its owner.
struct Drawing {
    engine: EngineId,
    paper: Mutex<Paper>,
}

#[derive(Default)]
struct Paper {
    segments: BTreeMap<SegmentId, SegmentSpec>,
    ports: BTreeMap<PortId, PortSpec>,
}

impl Drawing {
    fn new(engine: EngineId) -> Self {
        Self { engine, paper: Mutex::default() }
    }

    fn paper(&self) -> MutexGuard<'_, Paper> {
        self.paper.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn graph(&self) -> String {
        let paper = self.paper();
        let mut lines = vec!["graph cabling {".to_owned()];
        for port in paper.ports.values() {
            let segments = port.segments.iter().filter_map(|id| paper.segments.get(id));
            lines.extend(segments.map(|segment| {
                format!("  \"{}\" -- \"segment {}\" [label=\"{}\"];", port.container, segment.id, port.ifname)
            }));
        }
        lines.push("}".to_owned());
        lines.join("\n")
    }
}

/// Adds a thing, unless another one has its id.
fn put<K: Ord, V: PartialEq + Clone>(
    map: &mut BTreeMap<K, V>,
    key: K,
    value: &V,
    what: &str,
) -> DriverResult<()> {
    if map.get(&key).is_some_and(|known| known != value) {
        return Err(DriverError::new(ErrorKind::Conflict, "draw", what, "something else has this id"));
    }
    map.insert(key, value.clone());
    Ok(())
}

#[async_trait]
impl NetworkDriver for Drawing {
    fn needs(&self) -> Needs {
        Needs::Engine(self.engine.clone())
    }

    async fn prepare(&self, topology: &Topology) -> DriverResult<PrepareReport> {
        // Honest about what it does not do.
        let links = topology.links.iter().map(|link| NotEmulated {
            link: link.name.clone(),
            what: format!("{}: a drawing carries no traffic", link.name),
        });
        Ok(PrepareReport { not_emulated: links.collect() })
    }

    async fn ensure_segment(&self, spec: &SegmentSpec) -> DriverResult<()> {
        put(&mut self.paper().segments, spec.id, spec, &format!("segment {}", spec.id))
    }

    async fn attach(&self, spec: &PortSpec, _point: &AttachPoint) -> DriverResult<PortView> {
        put(&mut self.paper().ports, spec.id, spec, &format!("port {}", spec.id))?;
        Ok(PortView { id: spec.id, host_device: String::new() })
    }

    async fn detach(&self, _owner: &Owner, _datacenter: &DcName, port: PortId) -> DriverResult<()> {
        self.paper().ports.remove(&port);
        Ok(())
    }

    async fn set_port(&self, _owner: &Owner, _dc: &DcName, port: PortId, up: bool) -> DriverResult<()> {
        if up && !self.paper().ports.contains_key(&port) {
            return Err(DriverError::new(
                ErrorKind::NotFound,
                "set up",
                port.to_string(),
                "it was not drawn",
            ));
        }
        Ok(())
    }

    async fn remove_segment(&self, _owner: &Owner, segment: SegmentId) -> DriverResult<()> {
        self.paper().segments.remove(&segment);
        Ok(())
    }

    async fn list_owned(&self, installation: &InstallationId) -> DriverResult<Vec<NetworkObject>> {
        let paper = self.paper();
        let ports = paper.ports.values().map(|port| NetworkObject::Port {
            owner: port.owner.clone(),
            datacenter: port.datacenter.clone(),
            id: port.id,
        });
        let segments = paper.segments.values();
        let segments = segments.map(|it| NetworkObject::Segment { owner: it.owner.clone(), id: it.id });
        Ok(ports.chain(segments).filter(|object| object.owner().installation == *installation).collect())
    }

    async fn links(&self) -> DriverResult<Vec<LinkView>> {
        Ok(Vec::new())
    }

    async fn teardown(&self) -> DriverResult<()> {
        *self.paper() = Paper::default();
        Ok(())
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let data_dir = tempfile::tempdir()?;
    installation_id(data_dir.path(), &SystemIds)?;
    let containers = Arc::new(SimulatedContainers::new(World::new()));
    let drawing = Arc::new(Drawing::new(containers.offers().engine));
    let network: Arc<dyn NetworkDriver> = drawing.clone();
    let llcm = Orchestrator::open(Parts {
        data_dir: data_dir.path().to_owned(),
        // A drawing emulates nothing, and says so.
        settings: Settings { best_effort: true, ..Settings::default() },
        topology: llcm_topology::default_topology(),
        backend: Backend::pair(containers, network)?,
        placement: None,
        clock: Arc::new(SystemClock),
        ids: Arc::new(SystemIds),
    })
    .await?;

    let package = llcm_testkit::demo_chain().build();
    let mut file = llcm.staging_file()?;
    file.write_all(&package)?;
    let (size, sha1) = Sha1Reader::new(package.as_slice()).finish()?;
    llcm.onboard(Upload { file, size, sha1: sha1.parse()? }, Dialect::Tango).await?;
    let request = llcm.instantiate(&ServiceRef::Latest).await?;
    llcm.wait(request.id).await?;
    println!("{}", drawing.graph());
    llcm.shutdown(true).await?;
    assert!(drawing.paper().ports.is_empty());
    Ok(())
}
