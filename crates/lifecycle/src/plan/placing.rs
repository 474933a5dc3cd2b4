//! Units -> data centers: what placement sees, and what it says.

use llcm_names::{ContainerName, DcName, EngineName};
use llcm_netplan::Shape;
use llcm_placement::{
    AccessPoint, Delays, Demand, Placed, Placement, PlacementError, ServiceLink, ServiceView, Site, Unit,
    overloads, place_all_outside, place_service, round_trips_us, select,
};
use llcm_runtime::{CpuLimit, TreeRole};
use llcm_topology::Paths;

use super::build::PlanRequest;
use super::drafts::{Draft, Member};
use super::findings::Findings;
use super::paths::NO_PATH;
use super::service::Service;
use super::{PlacementPlan, limits};

/// The units of a service, placed within the data centers' capacity, and how well; `access_points` are the functions
/// that are such.
pub(super) fn place(
    request: &PlanRequest<'_>,
    service: &Service<'_>,
    drafts: &[Draft<'_>],
    is_access_point: impl Fn(&str) -> bool,
    (names, cpus): (&[(ContainerName, EngineName)], &[CpuLimit]),
    findings: &mut Findings,
) -> Option<(Vec<Placed>, PlacementPlan)> {
    let name_of = |unit: usize| names.get(unit).map(|(name, _)| name.to_string());
    let units: Vec<Unit> = service
        .units
        .iter()
        .zip(names)
        .zip(cpus)
        .enumerate()
        .map(|(position, ((unit, (name, _)), cpu))| {
            let is_it = |member: &Member| matches!(member, Member::Unit(socket) if socket.unit == position);
            Unit {
                name: name.to_string(),
                vnf_id: unit.vnf_id.to_owned(),
                demand: Demand {
                    // Microseconds of a period of a second, as thousandths.
                    cpu_milli: cpu.quota_us.unwrap_or(limits::PERIOD_US).div_ceil(limits::PERIOD_US / 1000),
                    memory_bytes: unit.unit.memory.map_or(0, |memory| memory.0),
                },
                access_point: is_access_point(unit.vnf_id).then(|| near(&is_it, drafts, name_of)),
            }
        })
        .collect();
    let (sites, links) = (sites(request), links(drafts));
    let delays = Distances(Paths::new(request.topology));
    let turn = request.state.placement_turn;
    let view = ServiceView { sites: &sites, units: &units, links: &links, delays: &delays, turn };
    let result = algorithm(request).and_then(|algorithm| place_service(algorithm.as_ref(), &view));
    match result {
        Ok((placed, quality)) => {
            for (placed, unit) in placed.iter().zip(&service.units) {
                if let Some(warning) = &placed.warning {
                    let place = (unit.vnfd.document.as_str(), unit.unit.path.as_str());
                    findings.warn("placement", place, warning.clone(), "");
                }
            }
            check_capacity(&sites, &placed, findings)?;
            let plan = PlacementPlan {
                algorithm: request.placement.is_none().then(|| request.settings.placement.algorithm.clone()),
                round_trips_us: round_trips_us(&sites, &placed, &links, &delays),
                quality,
            };
            Some((placed, plan))
        }
        Err(error) => {
            no_place(&error, ("", ""), findings);
            None
        }
    }
}

/// How far data centers are from one another. Sites are counted as the topology counts them.
struct Distances<'a>(Paths<'a>);

impl Delays for Distances<'_> {
    fn delay_us(&self, from: usize, to: usize) -> Option<u64> {
        self.0.delay_by_number_us(from, to)
    }

    fn round_trips_us(&self, of: usize, _sites: usize) -> Vec<Option<u64>> {
        self.0.round_trips_us(of)
    }
}

/// What can be done where there is no room.
const MORE_ROOM: &str = "terminate instances, or state a larger capacity in the topology, or none";

/// Refuses what asks data centers for more than they have, whatever placed it.
fn check_capacity(sites: &[Site], placed: &[Placed], findings: &mut Findings) -> Option<()> {
    let overloads = overloads(sites, placed);
    for overload in &overloads {
        findings.error(
            "no-capacity",
            ("", "network_functions"),
            format!("the units placed on {overload}"),
            "terminate instances, place the service with `least-loaded` or `latency`, which look for room, or state a \
             larger capacity in the topology, or none",
        );
    }
    overloads.is_empty().then_some(())
}

/// The links between units, as placement sees them. External access points stand beside their neighbours, which are
/// placed before: they are left out.
fn links(drafts: &[Draft<'_>]) -> Vec<ServiceLink> {
    let link = |draft: &Draft<'_>| {
        let (mut roots, mut leaves) = (Vec::new(), Vec::new());
        for (member, role) in &draft.members {
            if let Member::Unit(socket) = member {
                let leaf = draft.shape == Shape::Tree && *role == TreeRole::Leaf;
                if leaf { leaves.push(socket.unit) } else { roots.push(socket.unit) }
            }
        }
        ServiceLink::tree(roots, leaves)
    };
    drafts.iter().filter(|draft| draft.members.len() > 1).map(link).collect()
}

/// The data center of an external access point.
pub(super) fn outside(
    request: &PlanRequest<'_>,
    placed: &[Placed],
    unit: Unit,
    findings: &mut Findings,
) -> Option<DcName> {
    let place = ("", "connection_points");
    let turn = request.state.placement_turn;
    let result = algorithm(request)
        .and_then(|it| place_all_outside(it.as_ref(), &sites(request), placed, &[unit], turn));
    match result {
        Ok(mut placed) => {
            let placed = placed.pop()?;
            if let Some(warning) = placed.warning {
                findings.warn("placement", place, warning, "");
            }
            Some(placed.datacenter)
        }
        Err(error) => {
            no_place(&error, place, findings);
            None
        }
    }
}

fn no_place(error: &PlacementError, place: (&str, &str), findings: &mut Findings) {
    let (code, place, hint) = match error {
        PlacementError::NoRoom { .. } | PlacementError::NoRoomTogether => {
            ("no-capacity", ("", "network_functions"), MORE_ROOM)
        }
        PlacementError::Apart => (
            NO_PATH,
            ("", "network_functions"),
            "add links to the topology, or more room where there are links",
        ),
        _ => ("placement", place, "see the setting `placement` and the topology"),
    };
    findings.error(code, place, error.to_string(), hint);
}

/// The neighbours of an access point, which has the ends of links that `is_it` says.
pub(super) fn near(
    is_it: &dyn Fn(&Member) -> bool,
    drafts: &[Draft<'_>],
    name_of: impl Fn(usize) -> Option<String>,
) -> AccessPoint {
    let mut near = AccessPoint::default();
    for draft in drafts.iter().filter(|draft| draft.members.iter().any(|(member, _)| is_it(member))) {
        let others = draft.members.iter().filter(|(member, _)| !is_it(member));
        let names = others.filter_map(|(member, _)| match member {
            Member::Unit(socket) => name_of(socket.unit),
            Member::Sap(_) => None,
        });
        let list = if draft.shape == Shape::Line { &mut near.on_lines } else { &mut near.on_lans };
        list.extend(names);
    }
    near
}

/// An algorithm: the embedder's, or the one that the settings name.
enum Algorithm<'a> {
    Given(&'a dyn Placement),
    Named(Box<dyn Placement>),
}

impl Algorithm<'_> {
    fn as_ref(&self) -> &dyn Placement {
        match self {
            Self::Given(algorithm) => *algorithm,
            Self::Named(algorithm) => algorithm.as_ref(),
        }
    }
}

fn algorithm<'a>(request: &PlanRequest<'a>) -> Result<Algorithm<'a>, PlacementError> {
    let settings = &request.settings.placement;
    match request.placement {
        Some(algorithm) => Ok(Algorithm::Given(algorithm)),
        None => select(&settings.algorithm, &settings.fixed, settings.seed).map(Algorithm::Named),
    }
}

fn sites(request: &PlanRequest<'_>) -> Vec<Site> {
    request
        .topology
        .datacenters
        .iter()
        .map(|dc| {
            let load = request.state.load.get(&dc.name).copied().unwrap_or_default();
            Site {
                datacenter: llcm_placement::DataCenter {
                    name: dc.name.clone(),
                    cpu_milli: dc.capacity.cpu_milli,
                    memory_bytes: dc.capacity.memory_bytes,
                },
                load: Demand { cpu_milli: load.cpu_milli, memory_bytes: load.memory_bytes },
                units: load.units,
            }
        })
        .collect()
}
