//! What the host and its engines are and have, as plans are told it.

use std::collections::{BTreeMap, BTreeSet};

use llcm_names::DcName;
use llcm_runtime::{Backend, EngineId, EngineInfo, HostSide};
use llcm_topology::Topology;

use crate::core::Core;
use crate::engines;
use crate::error::LifecycleError;
use crate::plan::HostFacts;

/// What the engines said when the server began: it does not change while the server runs.
#[derive(Debug)]
pub(crate) struct Known {
    infos: Vec<(EngineId, EngineInfo)>,
    host: HostFacts,
}

impl Known {
    pub(crate) fn new(infos: Vec<(EngineId, EngineInfo)>) -> Self {
        let host = of_host(&infos);
        Self { infos, host }
    }
}

/// What is known without asking, of the data centers that there are now.
pub(crate) fn known(core: &Core) -> HostFacts {
    let (topology, backend) = (core.topology.get(), &core.parts.backend);
    HostFacts {
        missing_limits: missing_limits(&core.known.infos, backend, &topology),
        without_management: without_management(backend, &topology),
        ..core.known.host.clone()
    }
}

/// What the host has now, others' names and ports included. The caller holds [`Core::allocation`].
pub(crate) async fn now(core: &Core) -> Result<HostFacts, LifecycleError> {
    // A host does not tell whom a listener serves. Looked at before the host is: no instance can be added
    // meanwhile, and the ports of one that goes meanwhile are not taken for somebody else's.
    let ours: BTreeSet<_> = core
        .state()
        .instances
        .values()
        .filter(|instance| instance.state().is_live())
        .flat_map(|instance| &instance.plan.containers)
        .flat_map(|container| &container.spec.published)
        .map(|binding| (binding.protocol, binding.host))
        .collect();
    let taken = engines::taken(core).await?;
    let address = core.parts.settings.publish_address;
    let in_the_way = taken.ports.into_iter().filter(|held| held.blocks(address));
    let ports_in_use = in_the_way.map(|held| (held.protocol, held.port));
    let host = if core.parts.settings.any_saps() {
        core.parts.backend.network().host_side().await?
    } else {
        HostSide::default()
    };
    Ok(HostFacts {
        host,
        ports_in_use: ports_in_use.filter(|port| !ours.contains(port)).collect(),
        foreign_names: taken.names,
        ..known(core)
    })
}

/// What the engines have together: they are on one host.
fn of_host(infos: &[(EngineId, EngineInfo)]) -> HostFacts {
    // What is taken is asked again for each plan.
    let mut facts = HostFacts::default();
    for (_, info) in infos {
        facts.cpus.extend(&info.cpus);
        for network in &info.networks {
            match network.parse() {
                Ok(network) => facts.engine_networks.push(network),
                Err(error) => {
                    log::warn!("{} reports a network {network:?} that is none: {error}", info.name);
                }
            }
        }
    }
    facts
}

/// The limits that cannot be set, by data center: engines differ in them.
fn missing_limits(
    infos: &[(EngineId, EngineInfo)],
    backend: &Backend,
    topology: &Topology,
) -> BTreeMap<DcName, BTreeMap<String, String>> {
    let datacenters = topology.datacenters.iter().filter_map(|datacenter| {
        let engine = backend.engine_of(&datacenter.name);
        let (_, info) = infos.iter().find(|(id, _)| *id == engine)?;
        Some((datacenter.name.clone(), info.missing_limits.clone()))
    });
    datacenters.filter(|(_, missing)| !missing.is_empty()).collect()
}

/// The data centers whose containers have no interface of the engine's that could be given a name, with the engine.
fn without_management(backend: &Backend, topology: &Topology) -> BTreeMap<DcName, String> {
    let can = backend.network().management().is_some();
    let offers = topology.datacenters.iter().map(|dc| (&dc.name, backend.containers_of(&dc.name).offers()));
    let without = offers.filter(|(_, offers)| !(can && offers.management));
    without.map(|(name, offers)| (name.clone(), offers.engine.to_string())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn engines_are_on_one_host() {
        let info = |name: &str, cpus: &[u32], networks: &[&str]| {
            let info = EngineInfo {
                name: name.to_owned(),
                cpus: cpus.to_vec(),
                networks: networks.iter().map(|&network| network.to_owned()).collect(),
                ..EngineInfo::default()
            };
            (EngineId::new(name), info)
        };
        let facts = of_host(&[
            info("one", &[0, 1], &["172.17.0.0/16"]),
            info("silent", &[], &["no network"]),
            info("other", &[1, 2], &["10.88.0.0/16"]),
        ]);
        assert_eq!(facts.cpus.into_iter().collect::<Vec<_>>(), [0, 1, 2]);
        let networks: Vec<_> = facts.engine_networks.iter().map(ToString::to_string).collect();
        assert_eq!(networks, ["172.17.0.0/16", "10.88.0.0/16"]);
    }
}
