//! Seeing what flows: the network driver's ports by the names that users know.

use llcm_names::InstanceId;
use llcm_runtime::{
    CaptureEnd, CapturePoint, CaptureSpec, ContainerState, Counters, ErrorKind, FrameSink, LinkCounts,
    PortSpec,
};

use crate::core::Core;
use crate::error::{ErrorCode, LifecycleError, code_of};
use crate::instance::Instance;
use crate::known::it_has;
use crate::orchestrator::Orchestrator;
use crate::plan::SapPlace;
use crate::request::{CaptureOptions, CaptureTarget, InterfaceTraffic};

/// Captures that may go on at a time: each has a thread, a socket and some megabytes.
pub(crate) const CAPTURES: usize = 16;

/// The counters of an instance's interfaces, in the order of its plan: containers, then the host's.
pub(crate) async fn of_instance(
    core: &Core,
    id: InstanceId,
) -> Result<Vec<InterfaceTraffic>, LifecycleError> {
    let instance = core.find_instance(id)?;
    let counts = counters(core)?.ports(instance.owner()).await?;
    let of = |port: &PortSpec| counts.iter().find(|counts| counts.port == port.id);
    let seen = interfaces(&instance).into_iter().map(|(container, vnf_id, port)| {
        let counts = of(port);
        InterfaceTraffic {
            container: container.to_owned(),
            vnf_id: vnf_id.to_owned(),
            interface: port.ifname.clone(),
            datacenter: port.datacenter.clone(),
            sent: counts.map(|counts| counts.sent),
            received: counts.map(|counts| counts.received),
        }
    });
    Ok(seen.collect())
}

/// The counters of all links.
pub(crate) async fn of_links(core: &Core) -> Result<Vec<LinkCounts>, LifecycleError> {
    Ok(counters(core)?.links().await?)
}

/// Looks at frames until it is enough.
pub(crate) async fn capture(
    core: &Core,
    target: &CaptureTarget,
    options: CaptureOptions,
    sink: &mut dyn FrameSink,
) -> Result<CaptureEnd, LifecycleError> {
    let (target, point) = find_target(core, target)?;
    let Some(capture) = core.parts.backend.network().capture() else {
        return Err(unsupported("show frames"));
    };
    let _one = core.captures.try_acquire().map_err(|_| {
        let message = format!("{CAPTURES} captures go on already, the most there can be: end one");
        LifecycleError::new(ErrorCode::TooBusy, message)
    })?;
    let spec = CaptureSpec { point, snap_length: options.snap_length, duration: options.duration };
    capture.capture(&spec, sink).await.map_err(|error| match error.kind {
        // Known, and not there now. The driver's words are of ports and devices.
        ErrorKind::NotFound => LifecycleError::new(ErrorCode::WrongState, absent(core, &target)),
        ErrorKind::Conflict => LifecycleError::new(ErrorCode::WrongState, error.to_string()),
        other => LifecycleError::new(code_of(other), error.to_string()),
    })
}

/// Why there is nothing to look at.
fn absent(core: &Core, target: &CaptureTarget) -> String {
    match target {
        CaptureTarget::Interface { instance, container, interface } => {
            let instance = core.instance(*instance);
            let is_down = instance.is_some_and(|instance| {
                let planned = instance.plan.containers.iter().find(|it| it.name.as_str() == container);
                let state = planned.map(|it| instance.memory().seen.get(&it.spec.name).copied());
                state.is_some_and(|state| state != Some(ContainerState::Running))
            });
            let why = if is_down { ": its container does not run" } else { "" };
            format!("interface {container}:{interface} is not there now{why}")
        }
        CaptureTarget::Link { name, end } => {
            let end = end.as_ref().map(|end| format!(" in {end}")).unwrap_or_default();
            format!("link {name} has no end{end} now")
        }
    }
}

impl Orchestrator {
    /// What a capture would look at, by its own names: the container's instead of a function's id, the interface's instead
    /// of a connection point's id, a link with the end. For whoever writes down what is done before it is done.
    ///
    /// # Errors
    /// `InstanceNotFound`, `PointNotFound`.
    pub fn capture_target(&self, target: &CaptureTarget) -> Result<CaptureTarget, LifecycleError> {
        find_target(&self.core, target).map(|(named, _)| named)
    }
}

/// The target with all its own names (the container's, the interface's, the end of the link), and where it is.
fn find_target(core: &Core, target: &CaptureTarget) -> Result<(CaptureTarget, CapturePoint), LifecycleError> {
    match target {
        CaptureTarget::Interface { instance: id, container, interface } => {
            let instance = core.find_instance(*id)?;
            let (container, port) = find(&instance, container, interface)?;
            let named = CaptureTarget::Interface {
                instance: *id,
                container: container.to_owned(),
                interface: port.ifname.to_string(),
            };
            let point = CapturePoint::Port {
                owner: port.owner.clone(),
                datacenter: port.datacenter.clone(),
                port: port.id,
            };
            Ok((named, point))
        }
        CaptureTarget::Link { name, end } => {
            let topology = core.topology.get();
            let link = topology.link(name).ok_or_else(|| not_found(topology.no_link(name).to_string()))?;
            let end = match end {
                None => &link.a.dc,
                Some(end) => [&link.a.dc, &link.b.dc].into_iter().find(|dc| *dc == end).ok_or_else(|| {
                    not_found(format!("link {name} joins {} and {}, not {end}", link.a.dc, link.b.dc))
                })?,
            };
            let named = CaptureTarget::Link { name: name.clone(), end: Some(end.clone()) };
            Ok((named, CapturePoint::Link { name: name.clone(), end: end.clone() }))
        }
    }
}

/// An interface by the name of its container or function, and its own name or its connection point's id; with its
/// container's name.
fn find<'a>(
    instance: &'a Instance,
    container: &str,
    interface: &str,
) -> Result<(&'a str, &'a PortSpec), LifecycleError> {
    let ids = instance.plan.containers.iter().flat_map(|it| &it.interfaces);
    let id_of = |port: &PortSpec| ids.clone().find(|it| it.port.id == port.id).map(|it| it.id.as_str());
    let here = interfaces(instance).into_iter().filter(|(name, vnf_id, port)| {
        let named = port.ifname.as_str() == interface || id_of(port) == Some(interface);
        named && (*name == container || *vnf_id == container)
    });
    let found: Vec<_> = here.collect();
    match found.as_slice() {
        [(name, _, port)] => Ok((name, port)),
        [] => {
            let all =
                interfaces(instance).into_iter().map(|(name, _, port)| format!("{name}:{}", port.ifname));
            let it_has = it_has(&all.collect::<Vec<_>>());
            Err(not_found(format!(
                "the instance {} has no interface {container}:{interface}{it_has}",
                instance.plan.name
            )))
        }
        several => {
            let names: Vec<_> = several.iter().map(|(name, ..)| *name).collect();
            Err(not_found(format!(
                "{container}:{interface} may be of {}: name one of these instead of the function",
                names.join(" or ")
            )))
        }
    }
}

/// Container's name, function's id and port of all interfaces.
fn interfaces(instance: &Instance) -> Vec<(&str, &str, &PortSpec)> {
    let plan = &instance.plan;
    let of_containers = plan.containers.iter().flat_map(|container| {
        let ports = container.interfaces.iter();
        ports.map(|it| (container.name.as_str(), container.vnf_id.as_str(), &it.port))
    });
    let of_host = plan.saps.iter().filter_map(|sap| match &sap.place {
        SapPlace::Host { port } => Some((sap.name.as_str(), sap.id.as_str(), &**port)),
        SapPlace::Container => None,
    });
    of_containers.chain(of_host).collect()
}

fn counters(core: &Core) -> Result<&dyn Counters, LifecycleError> {
    core.parts.backend.network().counters().ok_or_else(|| unsupported("count what flows"))
}

fn unsupported(what: &str) -> LifecycleError {
    LifecycleError::new(ErrorCode::Unsupported, format!("this network driver cannot {what}"))
}

fn not_found(message: String) -> LifecycleError {
    LifecycleError::new(ErrorCode::PointNotFound, message)
}
