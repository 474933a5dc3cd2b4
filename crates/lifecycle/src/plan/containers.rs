//! Units -> containers: names, places, limits, ports, environment, interfaces.

use std::collections::{BTreeMap, BTreeSet};

use llcm_names::{ContainerName, EngineName, MacAddr};
use llcm_netplan::{PortBook, published_port};
use llcm_placement::{Demand, Placed};
use llcm_runtime::{ContainerSpec, CpuLimit, ExposedPort, PortBinding, PortSpec};

use super::build::{Making, PlanRequest};
use super::drafts::Draft;
use super::environment::{environment, scripts};
use super::findings::Findings;
use super::placing::place;
use super::policy::privileges;
use super::ports;
use super::saps::Saps;
use super::service::{Service, Socket, UnitRef};
use super::{ContainerPlan, InterfacePlan, Load, PlacementPlan, images, limits, volumes};
use crate::settings::Dialect;

/// The containers of an instance, without the addresses and segments of their interfaces, where they were placed, and
/// how well. Empty when there is an error that leaves no sensible containers.
pub(super) fn containers(
    making: &mut Making<'_>,
    saps: &Saps<'_>,
    drafts: &[Draft<'_>],
) -> (Vec<ContainerPlan>, Vec<Placed>, PlacementPlan) {
    let (request, service) = (making.request, making.service);
    let findings = &mut making.findings;
    let names = names(request, service, findings);
    let cpus = request.facts.map(|facts| &facts.cpus);
    let limits: Vec<CpuLimit> =
        service.units.iter().map(|unit| limits::cpu(unit, request.settings.vcpus, cpus, findings)).collect();
    let Some(names) = names else { return Default::default() };
    let access_points = saps.functions();
    let is_access_point = |vnf_id: &str| access_points.contains(vnf_id);
    let placed = place(request, service, drafts, is_access_point, (&names, &limits), findings);
    let Some((placed, placement)) = placed else { return Default::default() };
    volumes::check(request, &mut making.findings);
    ports::check(request.dialect, service, &mut making.findings);
    let mut book = port_book(request);
    let mut containers = Vec::with_capacity(service.units.len());
    let decided = limits.into_iter().zip(names).zip(&placed);
    for (position, (unit, ((cpu, (name, engine_name)), placed))) in
        service.units.iter().zip(decided).enumerate()
    {
        images::check(unit, request.settings, &mut making.findings);
        let privileges = privileges(unit, &request.settings.policy, &mut making.findings);
        let environment = environment(unit, &name, request.env_files.get(name.as_str()));
        let (start, stop) = scripts(&environment);
        let spec = ContainerSpec {
            owner: making.owner.clone(),
            name: engine_name,
            logical_name: name.to_string(),
            datacenter: placed.datacenter.clone(),
            image: images::reference(unit),
            environment,
            cpu,
            memory_bytes: unit.unit.memory.map(|memory| memory.0),
            exposed: exposed(request.dialect, unit),
            published: published(request, unit, &name, &mut book, &mut making.findings),
            binds: volumes::binds(request, unit),
            devices: privileges.devices,
            cap_add: privileges.cap_add,
            ipc_mode: privileges.ipc_mode,
            interfaces: unit.interfaces.iter().map(|interface| interface.name.clone()).collect(),
            management: None,
        };
        containers.push(ContainerPlan {
            name,
            vnf_id: unit.vnf_id.to_owned(),
            du_id: unit.unit.id.clone(),
            load: load(placed.unit.demand),
            interfaces: interfaces(making, position, unit, &spec),
            management: None,
            spec,
            start,
            stop,
        });
    }
    limits::leave_out(request, &mut containers, &mut making.findings);
    (containers, placed, placement)
}

/// The logical and engine names; `None` when one of them cannot be.
fn names(
    request: &PlanRequest<'_>,
    service: &Service<'_>,
    findings: &mut Findings,
) -> Option<Vec<(ContainerName, EngineName)>> {
    let mut seen: BTreeMap<ContainerName, &UnitRef<'_>> = BTreeMap::new();
    let mut names = Vec::with_capacity(service.units.len());
    for unit in &service.units {
        let place = (unit.vnfd.document.as_str(), unit.unit.path.as_str());
        let name = match unit.container_name(request.dialect, request.ssiid) {
            Ok(name) => name,
            Err(error) => {
                findings.error(
                    "bad-container-name",
                    place,
                    error.to_string(),
                    "change vnf_id or the unit's id",
                );
                continue;
            }
        };
        if let Some(other) = seen.get(&name) {
            let (vnf, du) = (other.vnf_id, &other.unit.id);
            findings.error(
                "container-name-twice",
                place,
                format!("{} {} and {vnf} {du} would both be called {name}", unit.vnf_id, unit.unit.id),
                "change one of the ids",
            );
            continue;
        }
        seen.insert(name.clone(), unit);
        let plain = name.engine_name();
        let foreign = request.facts.is_some_and(|facts| facts.foreign_names.contains(&plain));
        let engine_name = if foreign || request.state.engine_names.contains(&plain) {
            name.qualified_engine_name(request.instance)
        } else {
            plain
        };
        names.push((name, engine_name));
    }
    (names.len() == service.units.len()).then_some(names)
}

/// Host ports that live instances have.
fn port_book(request: &PlanRequest<'_>) -> PortBook {
    let mut book = PortBook::new();
    // Each can be taken once only, so that a claim that fails was made before.
    for (protocol, ports) in &request.state.host_ports {
        for (port, holder) in ports {
            let _ = book.claim(*protocol, *port, holder);
        }
    }
    book
}

/// The declared ports, then those that are published without being declared.
fn exposed(dialect: Dialect, unit: &UnitRef<'_>) -> Vec<ExposedPort> {
    let published = ports::published(dialect, unit).into_iter().map(|(port, protocol, _)| (port, protocol));
    let all = ports::exposed(dialect, unit).into_iter().chain(published);
    let mut seen = BTreeSet::new();
    all.map(|(port, protocol)| ExposedPort { port, protocol }).filter(|port| seen.insert(*port)).collect()
}

fn published(
    request: &PlanRequest<'_>,
    unit: &UnitRef<'_>,
    name: &ContainerName,
    book: &mut PortBook,
    findings: &mut Findings,
) -> Vec<PortBinding> {
    let place = (unit.vnfd.document.as_str(), unit.unit.path.as_str());
    let mut bindings = Vec::new();
    for (container, protocol, declared) in ports::published(request.dialect, unit) {
        let in_use = |host| request.facts.is_some_and(|facts| facts.ports_in_use.contains(&(protocol, host)));
        let claimed = published_port(declared, request.settings.port_offset, request.ssiid.get())
            .map_err(|error| ("port-overflow", error.to_string()))
            .and_then(|host| match book.claim(protocol, host, name.as_str()) {
                Err(error) => Err(("port-taken", error.to_string())),
                Ok(()) if in_use(host) => {
                    Err(("port-taken", format!("host port {host}/{protocol} is in use on this host")))
                }
                Ok(()) => Ok(host),
            });
        match claimed {
            Ok(host) => bindings.push(PortBinding {
                container,
                protocol,
                host,
                host_ip: request.settings.publish_address,
            }),
            Err((code, error)) => findings.error(
                code,
                place,
                format!("{name} cannot publish {container}/{protocol}: {error}"),
                "publish another port, stop what holds it, or change the setting `port_offset`",
            ),
        }
    }
    bindings
}

fn interfaces(
    making: &mut Making<'_>,
    position: usize,
    unit: &UnitRef<'_>,
    spec: &ContainerSpec,
) -> Vec<InterfacePlan> {
    let mut plans = Vec::with_capacity(unit.interfaces.len());
    for (interface, point) in unit.interfaces.iter().enumerate() {
        let static_address = making.service.static_address(Socket { unit: position, interface });
        let endpoint = format!("{}:{}", spec.logical_name, point.id);
        plans.push(InterfacePlan {
            id: point.id.clone(),
            static_address,
            port: PortSpec {
                owner: making.owner.clone(),
                id: making.ids.port(),
                group: making.group,
                datacenter: spec.datacenter.clone(),
                container: spec.name.clone(),
                ifname: point.name.clone(),
                mac: point.mac.unwrap_or_else(|| MacAddr::derive(making.request.instance, &endpoint)),
                addresses: static_address.into_iter().collect(),
                mtu: making.request.settings.mtu,
                segments: Vec::new(),
                neighbours: Vec::new(),
                host: None,
            },
        });
    }
    plans
}

fn load(demand: Demand) -> Load {
    Load { units: 1, cpu_milli: demand.cpu_milli, memory_bytes: demand.memory_bytes }
}
