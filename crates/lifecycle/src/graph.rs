//! The network as a graph, with what the instances that live have on it.

use llcm_graph::{Chain, Graph, Instance, Segment, SegmentEnd, Unit};
use llcm_names::ContainerName;
use llcm_topology::Topology;

use crate::chains::{ChainRecord, NamedEnd};
use crate::core::Core;
use crate::plan::{InstancePlan, SapPlace};
use crate::request::InstanceState;

/// The graph of everything that lives, from records only.
pub(crate) fn graph(core: &Core) -> Graph {
    let mut live: Vec<_> = core.state().instances.values().cloned().collect();
    live.retain(|instance| instance.state().is_live());
    live.sort_by_cached_key(|instance| (instance.view().created_at, instance.id));
    let instances = live.iter().map(|instance| {
        let chains = instance.memory().record.chains.values().map(of_chain).collect();
        Instance { chains, ..of_plan(&instance.plan, instance.state()) }
    });
    Graph::new(Topology::clone(&core.topology.get()), instances.collect())
}

pub(crate) fn of_plan(plan: &InstancePlan, state: InstanceState) -> Instance {
    let is_sap = |name: &ContainerName| plan.saps.iter().any(|sap| sap.name == *name);
    let containers = plan.containers.iter().map(|container| Unit {
        name: container.name.to_string(),
        vnf_id: (!is_sap(&container.name)).then(|| container.vnf_id.clone()),
        datacenter: container.datacenter().clone(),
        on_host: false,
    });
    let on_host = plan.saps.iter().filter(|sap| matches!(sap.place, SapPlace::Host { .. }));
    let interfaces = on_host.map(|sap| Unit {
        name: sap.name.to_string(),
        vnf_id: None,
        datacenter: sap.datacenter.clone(),
        on_host: true,
    });
    let segments = plan.links.iter().map(|link| {
        let ends = link
            .ends
            .iter()
            .map(|end| SegmentEnd { unit: end.container.to_string(), interface: end.interface.to_string() });
        Segment::new(&link.id, link.connectivity.as_str(), ends.collect())
    });
    Instance {
        id: plan.instance().to_string(),
        name: plan.name.clone(),
        state: word(state).to_owned(),
        units: containers.chain(interfaces).collect(),
        segments: segments.collect(),
        chains: Vec::new(),
    }
}

fn of_chain(record: &ChainRecord) -> Chain {
    let end =
        |end: &NamedEnd| SegmentEnd { unit: end.container.to_string(), interface: end.interface.to_string() };
    Chain {
        id: record.spec.id.get(),
        source: end(&record.source),
        destination: end(&record.destination),
        bidirectional: record.spec.bidirectional,
        matches: record.spec.matches.to_string(),
        priority: record.spec.priority,
        paths: Vec::new(),
        paths_left_out: 0,
    }
}

/// As clients read it elsewhere.
fn word(state: InstanceState) -> &'static str {
    match state {
        InstanceState::Planned => "planned",
        InstanceState::Creating => "creating",
        InstanceState::Running => "running",
        InstanceState::Degraded => "degraded",
        InstanceState::Terminating => "terminating",
        InstanceState::Unwinding => "unwinding",
        InstanceState::Stuck => "stuck",
        InstanceState::Terminated => "terminated",
        InstanceState::Failed => "failed",
    }
}
