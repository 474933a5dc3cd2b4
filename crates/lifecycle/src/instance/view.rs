//! An instance as clients see it.

use std::collections::{BTreeMap, BTreeSet};

use super::{Instance, Memory};
use crate::plan::document::SapDocument;
use crate::plan::{ContainerPlan, LinkPlan};
use crate::request::{ContainerStatus, InstanceState, InstanceView, LinkStatus, ManagementStatus};
use crate::watching::reasons;

pub(super) fn view(instance: &Instance, memory: &Memory) -> InstanceView {
    let plan = &instance.plan;
    let record = &memory.record;
    // The addresses of an interface are those that its port gets, static ones and those of its links.
    let containers = plan.containers.iter().map(|container| container_status(container, memory)).collect();
    InstanceView {
        id: instance.id,
        service_id: instance.service_id(),
        name: plan.name.clone(),
        ssiid: plan.ssiid,
        state: record.state,
        created_at: record.planned.at,
        progress: memory.progress,
        activity: memory.activity.clone(),
        errors: record.errors.clone(),
        reasons: if record.state == InstanceState::Degraded { reasons(plan, memory) } else { Vec::new() },
        retry: record.retry.filter(|_| record.state == InstanceState::Stuck),
        warnings: plan.warnings.clone(),
        containers,
        links: plan.links.iter().map(link_status).collect(),
        saps: plan.saps.iter().map(|sap| SapDocument::new(sap, plan)).collect(),
        emulated_by: memory.record.planned.emulated_by.clone(),
    }
}

fn container_status(container: &ContainerPlan, memory: &Memory) -> ContainerStatus {
    let spec = &container.spec;
    let ports = spec.published.iter().map(|port| {
        let host = port.host_ip.map_or_else(String::new, |ip| match ip {
            std::net::IpAddr::V4(ip) => format!("{ip}:"),
            std::net::IpAddr::V6(ip) => format!("[{ip}]:"),
        });
        format!("{host}{}:{}/{}", port.host, port.container, port.protocol)
    });
    let interfaces = container.interfaces.iter().map(|interface| {
        let addresses: BTreeSet<String> = interface.port.addresses.iter().map(ToString::to_string).collect();
        (interface.port.ifname.to_string(), addresses.into_iter().collect())
    });
    let management = container.management.as_ref().map(|management| ManagementStatus {
        interface: management.name.to_string(),
        address: memory.management.get(&spec.name).cloned(),
    });
    ContainerStatus {
        name: container.name.clone(),
        engine_name: spec.name.clone(),
        vnf_id: container.vnf_id.clone(),
        du_id: container.du_id.clone(),
        datacenter: spec.datacenter.clone(),
        image: spec.image.clone(),
        state: memory.seen.get(&spec.name).copied(),
        ports: ports.collect(),
        interfaces: interfaces.collect::<BTreeMap<_, _>>(),
        management,
        scripts: memory.record.scripts.get(&container.name).cloned().unwrap_or_default(),
    }
}

fn link_status(link: &LinkPlan) -> LinkStatus {
    LinkStatus {
        id: link.id.clone(),
        kind: link.connectivity.as_str().to_owned(),
        subnet: link.subnet.to_string(),
        ends: link.ends.iter().map(|end| format!("{}:{}", end.container, end.interface)).collect(),
    }
}
