//! What segments and chains lack in the kernel: all of it when they are new, and what has gone when some of their data
//! centers were made anew.

use std::collections::BTreeSet;

use llcm_netlink::{Device, fdb, link};
use llcm_runtime::{DriverResult, ErrorKind, PortSpec, SegmentSpec};

use crate::datacenter::Datacenter;
use crate::installation::{Installation, State};
use crate::names::port_device;
use crate::port::join;
use crate::segment::{device_names, ensure_site};
use crate::underlay::Datacenters;
use crate::wiring::sites;

impl Installation {
    /// Makes the devices of a segment, which is recorded, in its data centers, and joins the ports that are there.
    pub(crate) fn make_segment(
        &self,
        state: &mut State,
        spec: &SegmentSpec,
        datacenters: &Datacenters,
    ) -> DriverResult<()> {
        for site in datacenters.values() {
            ensure_site(spec, site, datacenters)?;
        }
        for end in &spec.ends {
            let Some(port) = state.records.ports().get(&end.port) else { continue };
            let Some(dc) = datacenters.get(&end.datacenter) else { continue };
            join_present(port, dc, |near| join(port, dc, near, state.view().segments_of(port)))?;
        }
        let wires = state.view().wires_of(spec);
        self.wire(state, &wires)
    }

    /// Completes the segments and chains with ends in data centers that were made anew: what they had there has gone with
    /// those that were there before. What has an end in a data center that is not there waits until that comes. Which data
    /// centers is written down until all is done: the program may be killed, or fail, in between.
    pub(crate) fn complete(&self) -> DriverResult<()> {
        // Held all the while, so that nothing comes back that is removed meanwhile.
        let mut state = self.state();
        let fresh = state.records.incomplete();
        let meant = |segment: &SegmentSpec| segment.ends.iter().any(|end| fresh.contains(&end.datacenter));
        let segments: Vec<_> =
            state.records.segments().values().filter(|spec| meant(spec)).cloned().collect();
        let chains: Vec<_> =
            state.records.chains().values().filter(|spec| meant(&spec.segment())).cloned().collect();
        for segment in &segments {
            if let Some(datacenters) = self.all_of(segment)? {
                self.make_segment(&mut state, segment, &datacenters)?;
                forget_others(segment, &datacenters)?;
            }
        }
        for chain in &chains {
            let segment = chain.segment();
            if let Some(datacenters) = self.all_of(&segment)? {
                self.make_chain(&mut state, chain, &segment, &datacenters)?;
                forget_others(&segment, &datacenters)?;
            }
        }
        state.records.all_complete()
    }

    /// The data centers of a segment, if all are there.
    fn all_of(&self, segment: &SegmentSpec) -> DriverResult<Option<Datacenters>> {
        let sites = sites(segment);
        let found = self.open_all(sites.iter().copied())?;
        Ok((found.len() == sites.len()).then_some(found))
    }
}

/// Joins a port to its segments if its device is there. It goes with its container, at any time: when it has gone since it
/// was looked up there is nothing to join, or another one.
fn join_present(
    port: &PortSpec,
    dc: &Datacenter,
    mut join: impl FnMut(Device) -> DriverResult<()>,
) -> DriverResult<()> {
    let name = port_device(port.id);
    let find = || dc.overlay.call("find port", &name, |socket| link::find(socket, &name));
    let mut found = find()?.map(|info| info.device());
    while let Some(near) = found {
        let joined = join(near);
        match &joined {
            Err(error) if error.kind == ErrorKind::NotFound => found = find()?.map(|info| info.device()),
            _ => return joined,
        }
        if found == Some(near) {
            return joined;
        }
    }
    Ok(())
}

/// Lets a segment's tunnels forget addresses that its data centers have no more: whoever was learned there would not be
/// reached until that is forgotten, minutes later, and what goes to all would go there, too.
fn forget_others(segment: &SegmentSpec, datacenters: &Datacenters) -> DriverResult<()> {
    let names = device_names(segment.id);
    for site in datacenters.values() {
        let target = site.name.as_str();
        let devices = site.overlay.call("list devices of", target, link::list)?;
        let tunnels: BTreeSet<u32> =
            devices.iter().filter(|info| names.contains(&info.name)).map(|info| info.index).collect();
        let entries = site.overlay.call("list destinations in", target, fdb::list)?;
        let is_known = |entry: &fdb::Entry| datacenters.values().any(|dc| dc.address == entry.remote);
        for entry in entries.iter().filter(|entry| tunnels.contains(&entry.device.0) && !is_known(entry)) {
            site.overlay.call("remove destination in", target, |socket| fdb::remove(socket, entry))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
