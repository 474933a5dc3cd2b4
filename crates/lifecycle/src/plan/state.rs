//! What a plan must not clash with: what is live, and what the host has.

use std::collections::{BTreeMap, BTreeSet};

use ipnetwork::{IpNetwork, Ipv4Network};
use llcm_names::{DcName, EngineName, LinkGroup, Port, PortId, Protocol, SegmentId};
use llcm_runtime::HostSide;
use serde::{Deserialize, Serialize};

use super::{InstancePlan, Load, Reserved};

/// Everything live that a new plan must not clash with: the sum of the plans of all instances that are not
/// gone and of what the on-boarded services have reserved. Equal histories give equal values.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PlanState {
    /// Subnets reserved by any service or instance.
    pub subnets: BTreeSet<Ipv4Network>,
    /// Names in the container engine.
    pub engine_names: BTreeSet<EngineName>,
    /// Published ports of the host, with who publishes each, in words.
    pub host_ports: BTreeMap<Protocol, BTreeMap<Port, String>>,
    /// Ports of data centers.
    pub ports: BTreeSet<PortId>,
    /// Segments.
    pub segments: BTreeSet<SegmentId>,
    /// Kernel groups.
    pub groups: BTreeSet<LinkGroup>,
    /// How many units were ever placed: where round-robin goes on.
    pub placement_turn: u64,
    /// What the data centers carry.
    pub load: BTreeMap<DcName, Load>,
}

impl PlanState {
    /// Marks what a service holds as taken.
    pub fn hold(&mut self, reserved: &Reserved) {
        self.subnets.extend(reserved.iter());
    }

    /// Gives back what a service held.
    pub fn give_back(&mut self, reserved: &Reserved) {
        for subnet in reserved.iter() {
            self.subnets.remove(&subnet);
        }
    }

    /// Marks everything that an instance uses as taken, and moves the placement's counter on.
    pub fn occupy(&mut self, plan: &InstancePlan) {
        self.hold(&plan.leases);
        self.groups.insert(plan.group);
        self.segments.extend(plan.segments().map(|segment| segment.id));
        self.ports.extend(plan.ports().map(|port| port.id));
        for container in &plan.containers {
            self.engine_names.insert(container.spec.name.clone());
            for binding in &container.spec.published {
                let holder = format!("{} of instance {}", container.name, plan.name);
                self.host_ports.entry(binding.protocol).or_default().insert(binding.host, holder);
            }
            let load = self.load.entry(container.datacenter().clone()).or_default();
            load.units = load.units.saturating_add(container.load.units);
            load.cpu_milli = load.cpu_milli.saturating_add(container.load.cpu_milli);
            load.memory_bytes = load.memory_bytes.saturating_add(container.load.memory_bytes);
        }
        self.placement_turn = self.placement_turn.max(plan.placement_turn);
    }

    /// Gives back everything that an instance used. The placement's counter stays.
    pub fn release(&mut self, plan: &InstancePlan) {
        self.give_back(&plan.leases);
        self.groups.remove(&plan.group);
        for segment in plan.segments() {
            self.segments.remove(&segment.id);
        }
        for port in plan.ports() {
            self.ports.remove(&port.id);
        }
        for container in &plan.containers {
            self.engine_names.remove(&container.spec.name);
            for binding in &container.spec.published {
                if let Some(ports) = self.host_ports.get_mut(&binding.protocol) {
                    ports.remove(&binding.host);
                }
            }
            self.host_ports.retain(|_, ports| !ports.is_empty());
            if let Some(load) = self.load.get_mut(container.datacenter()) {
                load.units = load.units.saturating_sub(container.load.units);
                load.cpu_milli = load.cpu_milli.saturating_sub(container.load.cpu_milli);
                load.memory_bytes = load.memory_bytes.saturating_sub(container.load.memory_bytes);
                if *load == Load::default() {
                    self.load.remove(container.datacenter());
                }
            }
        }
    }
}

/// What the host has, as far as it matters for a plan.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HostFacts {
    /// The numbers of its CPUs; empty: not known, every CPU is taken to exist.
    pub cpus: BTreeSet<u32>,
    /// Ports that somebody listens on who is no live instance.
    pub ports_in_use: BTreeSet<(Protocol, Port)>,
    /// Names in the container engine that containers of others hold.
    pub foreign_names: BTreeSet<EngineName>,
    /// The container engine's own networks, which no segment may overlap.
    pub engine_networks: Vec<IpNetwork>,
    /// Limits that the engine of a data center cannot set (`cpu`, `cpuset`, `memory`), each with the reason.
    pub missing_limits: BTreeMap<DcName, BTreeMap<String, String>>,
    /// The host as an end of segments.
    pub host: HostSide,
    /// Data centers whose containers get no interface of the engine's own that could be given a name, each with its
    /// engine.
    pub without_management: BTreeMap<DcName, String>,
}
