//! Segments and ports, made and removed. Synchronous; [`crate::driver`] calls this off the runtime's
//! threads.

use std::collections::BTreeSet;
use std::path::Path;

use llcm_names::{DcName, EngineName, InstallationId, Owner, PortId, SegmentId};
use llcm_netlink::{LinkInfo, link};
use llcm_runtime::{
    AttachPoint, DriverError, DriverResult, ErrorKind, NetworkObject, PortSpec, PortView, SegmentSpec,
};

use crate::host;
use crate::installation::{Installation, State, datacenter_names};
use crate::names::{Role, branch_prefix, overlay_namespace, parse_mark, port_device};
use crate::netns::Netns;
use crate::port::{configure, ensure_pair, join, raise};
use crate::records::read_specs;
use crate::removal::{delete_groups_where, delete_where, in_each, is_owned, is_unfinished};
use crate::segment::{check, device_names, find};
use crate::underlay::Datacenters;
use crate::wiring::{Wire, is_remote, sites};

impl Installation {
    /// Makes a segment's devices and joins the ports that are there already.
    pub(crate) fn ensure_segment(&self, spec: &SegmentSpec) -> DriverResult<()> {
        check(spec)?;
        self.check_owner("make segment", &spec.owner)?;
        let mut datacenters = Datacenters::new();
        for site in sites(spec) {
            datacenters.insert(site.clone(), self.datacenter(site)?);
        }
        let mut state = self.state();
        if state.records.chains().contains_key(&spec.id) {
            return Err(conflict("make segment", spec.id, "a chain has its id"));
        }
        match state.records.segments().get(&spec.id) {
            Some(present) if present.owner != spec.owner => {
                return Err(conflict("make segment", spec.id, "it is another instance's"));
            }
            Some(present) if present != spec => {
                return Err(conflict(
                    "make segment",
                    spec.id,
                    "it exists with another spec; remove it first",
                ));
            }
            Some(_) => self.join_sites(spec, true)?,
            None => {
                state.records.put_segment(spec)?;
                self.join_sites(spec, false)?;
            }
        }
        self.make_segment(&mut state, spec, &datacenters)
    }

    /// Makes the routes between the data centers of a segment, which is recorded. With `known` it was before, and has
    /// its routes if the topology was not prepared by this program yet.
    pub(crate) fn join_sites(&self, spec: &SegmentSpec, known: bool) -> DriverResult<()> {
        match self.routing().as_mut() {
            _ if !is_remote(spec) => Ok(()),
            Some(routing) => routing.join(&sites(spec), &|name| self.datacenter(name)),
            None if known => Ok(()),
            None => {
                let message = "the way between its data centers is not known: prepare the topology first";
                Err(DriverError::new(ErrorKind::Invalid, "make segment", spec.id.to_string(), message))
            }
        }
    }

    /// Makes a port and plugs it in.
    pub(crate) fn attach(&self, spec: &PortSpec, point: &AttachPoint) -> DriverResult<PortView> {
        self.check_owner("attach port", &spec.owner)?;
        let dc = self.datacenter(&spec.datacenter)?;
        self.check_port(&self.state(), spec)?;
        let container = far_side(spec, point)?;
        let pair = ensure_pair(spec, &dc, &container)?;
        let plugged = configure(spec, &container, pair.far).and_then(|()| {
            let mut state = self.state();
            // Again: what was asked before may have been removed since.
            self.check_port(&state, spec)?;
            state.records.put_port(spec)?;
            if !pair.found {
                state.patches.fresh(&dc.name, &port_device(spec.id), pair.near);
            }
            join(spec, &dc, pair.near, state.view().segments_of(spec))?;
            let wires = state.view().wires_around(spec);
            self.wire(&mut state, &wires)?;
            drop(state);
            if let Some(port) = spec.host {
                host::open(&self.id, spec, port)?;
            }
            raise(spec, &dc, &container, pair.far)
        });
        match plugged {
            Ok(()) => Ok(PortView { id: spec.id, host_device: port_device(spec.id) }),
            // What was there before stays: it may still carry traffic.
            Err(error) if pair.found => Err(error),
            Err(mut error) => {
                if let Err(undo) = self.detach(&spec.owner, &spec.datacenter, spec.id) {
                    error.message = format!("{}; and undoing it: {undo}", error.message);
                }
                Err(error)
            }
        }
    }

    /// Checks that an owner is an instance of this installation.
    pub(crate) fn check_owner(&self, operation: &'static str, owner: &Owner) -> DriverResult<()> {
        if owner.installation == self.id {
            return Ok(());
        }
        let message = format!("it is of installation {}, not {}", owner.installation, self.id);
        Err(crate::invalid(operation, &owner.instance.to_string(), &message))
    }

    /// Checks a port against what is recorded.
    fn check_port(&self, state: &State, spec: &PortSpec) -> DriverResult<()> {
        match state.records.ports().get(&spec.id) {
            Some(present) if present.owner != spec.owner => {
                return Err(conflict("attach port", spec.id, "it is another instance's"));
            }
            Some(present) if present != spec => {
                return Err(conflict("attach port", spec.id, "it exists with another spec; detach it first"));
            }
            _ => {}
        }
        for id in &spec.segments {
            let target = spec.id.to_string();
            let segment = state.records.segments().get(id).ok_or_else(|| {
                let message = format!("segment {id} is not known; make it first");
                DriverError::new(ErrorKind::NotFound, "attach port", &target, message)
            })?;
            let here =
                |end: &llcm_runtime::SegmentEnd| end.port == spec.id && end.datacenter == spec.datacenter;
            if segment.owner != spec.owner {
                return Err(conflict("attach port", spec.id, "its segment is another instance's"));
            }
            if !segment.ends.iter().any(here) {
                let message = format!("segment {id} has no such end in {}", spec.datacenter);
                return Err(crate::invalid("attach port", &target, &message));
            }
        }
        Ok(())
    }

    /// Unplugs and removes a port.
    pub(crate) fn detach(&self, owner: &Owner, datacenter: &DcName, port: PortId) -> DriverResult<()> {
        let mut state = self.state();
        if let Some(spec) = state.records.ports().get(&port).cloned() {
            if spec.owner != *owner {
                return Err(conflict("detach port", port, "it is another instance's"));
            }
            if spec.host.is_some() {
                host::close(&self.id, port)?;
            }
            state.records.remove_port(port)?;
            // The others first, so that no patch leads to a device that goes.
            let wires = state.view().wires_around(&spec);
            self.wire(&mut state, &wires)?;
        }
        let name = port_device(port);
        state.patches.forget(|_, device| device == name || device.starts_with(&branch_prefix(port)));
        drop(state);
        let Some(dc) = self.find_datacenter(datacenter)? else { return Ok(()) };
        if let Some(info) = dc.overlay.call("find port", &name, |socket| link::find(socket, &name))?
            && parse_mark(&info.alias).is_some_and(|(holder, _)| holder != *owner)
        {
            return Err(conflict("detach port", port, "it is another instance's"));
        }
        let deleted = delete_where(&dc, |info| {
            info.name == name
                || parse_mark(&info.alias)
                    .is_some_and(|(holder, role)| holder == *owner && role == Role::Branch(port))
        });
        if deleted.is_err() {
            self.state().scattered.insert(owner.clone());
        }
        deleted
    }

    /// Sets the data center's side of a port up or down.
    pub(crate) fn set_port(
        &self,
        owner: &Owner,
        datacenter: &DcName,
        port: PortId,
        up: bool,
    ) -> DriverResult<()> {
        // Not beside something that is done to the same port.
        let state = self.state();
        if state.records.ports().get(&port).is_some_and(|spec| spec.owner != *owner) {
            return Err(conflict("set port", port, "it is another instance's"));
        }
        let name = port_device(port);
        let device = match self.find_datacenter(datacenter)? {
            Some(dc) => find(&dc, &name, owner)?.map(|info| (dc, info.device())),
            None => None,
        };
        match device {
            Some((dc, device)) => {
                let change = link::Change { up: Some(up), ..Default::default() };
                let set = dc.overlay.call("set port", &name, |socket| link::change(socket, device, &change));
                match set {
                    // It went with its container meanwhile.
                    Err(error) if !up && error.kind == ErrorKind::NotFound => Ok(()),
                    result => result,
                }
            }
            None if up => {
                let message = "there is no such port: attach it";
                Err(DriverError::new(ErrorKind::NotFound, "set port", port.to_string(), message))
            }
            None => Ok(()),
        }
    }

    /// Removes a segment, or a chain; its ports stay.
    pub(crate) fn remove_segment(&self, owner: &Owner, segment: SegmentId) -> DriverResult<()> {
        let mut state = self.state();
        if state.records.chains().contains_key(&segment) {
            drop(state);
            return self.remove_chain(owner, segment);
        }
        let datacenters = match state.records.segments().get(&segment).cloned() {
            Some(spec) => {
                if spec.owner != *owner {
                    return Err(conflict("remove segment", segment, "it is another instance's"));
                }
                state.records.remove_segment(segment)?;
                let wires = state.view().wires_of(&spec);
                self.wire(&mut state, &wires)?;
                self.open_all(sites(&spec))?
            }
            None => self.all_datacenters()?,
        };
        state.patches.forget(|_, name| device_names(segment).iter().any(|known| known == name));
        drop(state);
        let segments = |info: &LinkInfo| is_owned(info, owner) && device_names(segment).contains(&info.name);
        match in_each(datacenters.values(), |dc| delete_where(dc, segments)).into_iter().next() {
            None => Ok(()),
            Some(error) => {
                self.state().scattered.insert(owner.clone());
                Err(error)
            }
        }
    }

    /// Removes all ports and segments of an instance.
    pub(crate) fn remove_instance(&self, owner: &Owner) -> Result<(), Vec<DriverError>> {
        let mut errors = Vec::new();
        let mut state = self.state();
        let groups: BTreeSet<u32> = (state.records.ports().values())
            .filter(|port| port.owner == *owner)
            .map(|port| port.group.get())
            .chain(state.records.segments().values().filter(|s| s.owner == *owner).map(|s| s.group.get()))
            .chain(state.records.chains().values().filter(|c| c.owner == *owner).map(|c| c.group.get()))
            .collect();
        let chains = state.records.chains().values().map(|chain| (&chain.owner, chain.id));
        let links =
            state.records.segments().values().map(|segment| (&segment.owner, segment.id)).chain(chains);
        let gone: BTreeSet<String> = links
            .filter(|(holder, _)| *holder == owner)
            .flat_map(|(_, id)| device_names(id))
            .chain(state.records.ports().values().filter(|p| p.owner == *owner).map(|p| port_device(p.id)))
            .collect();
        for port in state.records.ports().values().filter(|port| port.owner == *owner && port.host.is_some())
        {
            errors.extend(host::close(&self.id, port.id).err());
        }
        let reach = self.reach(&state, owner);
        errors.extend(state.records.remove_owner(owner).err());
        state.patches.forget(|_, name| gone.contains(name));
        drop(state);
        let doomed =
            |info: &LinkInfo| is_owned(info, owner) || is_unfinished(info) && groups.contains(&info.group);
        match reach {
            Ok(datacenters) => {
                errors.extend(in_each(datacenters.values(), |dc| delete_groups_where(dc, doomed)));
            }
            Err(error) => errors.push(error),
        }
        let mut state = self.state();
        if errors.is_empty() {
            state.scattered.remove(owner);
        } else {
            state.scattered.insert(owner.clone());
        }
        if errors.is_empty() { Ok(()) } else { Err(errors) }
    }

    /// All marked objects of an installation, as the kernel and the records have them.
    pub(crate) fn list_owned(&self, installation: &InstallationId) -> DriverResult<Vec<NetworkObject>> {
        let mut found = BTreeSet::new();
        for datacenter in datacenter_names(&self.namespaces, installation)? {
            for info in self.devices(installation, &datacenter)? {
                match parse_mark(&info.alias) {
                    Some((owner, Role::Port(id, _) | Role::Branch(id)))
                        if owner.installation == *installation =>
                    {
                        found.insert(NetworkObject::Port { owner, datacenter: datacenter.clone(), id });
                    }
                    Some((owner, Role::Segment(id))) if owner.installation == *installation => {
                        found.insert(NetworkObject::Segment { owner, id });
                    }
                    _ => {}
                }
            }
        }
        let dir = self.run_dir.join(installation.as_str());
        let (segments, chains, ports) = read_specs(&dir).map_err(|error| {
            crate::failed("read records in", &dir.display().to_string(), &error.to_string())
        })?;
        found.extend(
            segments.into_iter().map(|spec| NetworkObject::Segment { owner: spec.owner, id: spec.id }),
        );
        found
            .extend(chains.into_iter().map(|spec| NetworkObject::Segment { owner: spec.owner, id: spec.id }));
        // Of those of the host there may be rules still where there is no interface any more.
        let of_host = ports.into_iter().filter(|spec| spec.host.is_some());
        found.extend(of_host.map(|spec| {
            let PortSpec { owner, datacenter, id, .. } = spec;
            NetworkObject::Port { owner, datacenter, id }
        }));
        Ok(found.into_iter().collect())
    }

    /// The devices of a data center of an installation, which need not be this one; none where there is no such one.
    fn devices(&self, installation: &InstallationId, datacenter: &DcName) -> DriverResult<Vec<LinkInfo>> {
        let name = overlay_namespace(installation, datacenter);
        let list = |netns: &Netns| netns.call("list devices of", &name, link::list);
        if *installation == self.id
            && let Some(dc) = self.find_datacenter(datacenter)?
            && dc.is_current(&self.namespaces)
        {
            return list(&dc.overlay);
        }
        match self.namespaces.open(&name) {
            Err(error) if error.kind == ErrorKind::NotFound => Ok(Vec::new()),
            other => list(&other?),
        }
    }

    /// Brings the filters of the given devices to what the wiring says.
    pub(crate) fn wire(&self, state: &mut State, wires: &[Wire]) -> DriverResult<()> {
        for wire in wires {
            if let Some(dc) = self.find_datacenter(&wire.datacenter)? {
                state.patches.apply(&dc, wire)?;
            }
        }
        Ok(())
    }
}

/// The namespace that a port's interface is made in.
fn far_side(spec: &PortSpec, point: &AttachPoint) -> DriverResult<Netns> {
    if spec.host.is_some() {
        host::check(spec)?;
        return Netns::open(Path::new("/proc/thread-self/ns/net"), "the host");
    }
    open_container("attach port", &spec.container, point)
}

/// The network namespace of a container that has one of its own.
pub(crate) fn open_container(
    operation: &'static str,
    name: &EngineName,
    point: &AttachPoint,
) -> DriverResult<Netns> {
    let path = point.netns.as_deref().ok_or_else(|| {
        crate::invalid(operation, name.as_str(), "the container has no network namespace here")
    })?;
    let container = Netns::open(path, name.as_str())?;
    if container.is_own()? {
        let message = "the container shares the host's network; its interfaces are not touched";
        return Err(crate::invalid(operation, name.as_str(), message));
    }
    Ok(container)
}

pub(crate) fn conflict(
    operation: &'static str,
    target: impl std::fmt::Display,
    message: &str,
) -> DriverError {
    DriverError::new(ErrorKind::Conflict, operation, target.to_string(), message)
}
