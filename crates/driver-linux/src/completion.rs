//! What segments and chains lack after some of their data centers were made anew.

use std::collections::BTreeSet;

use llcm_names::DcName;
use llcm_netlink::{fdb, link};
use llcm_runtime::{DriverResult, SegmentSpec};

use crate::installation::Installation;
use crate::segment::device_names;
use crate::underlay::Datacenters;
use crate::wiring::sites;

impl Installation {
    /// Completes the segments and chains with ends in data centers that were made anew: what they had there has gone with
    /// those that were there before. What has an end in a data center that is not there waits until that comes.
    pub(crate) fn complete(&self, fresh: &BTreeSet<DcName>) -> DriverResult<()> {
        // Held all the while, so that nothing comes back that is removed meanwhile.
        let mut state = self.state();
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
        Ok(())
    }

    /// The data centers of a segment, if all are there.
    fn all_of(&self, segment: &SegmentSpec) -> DriverResult<Option<Datacenters>> {
        let sites = sites(segment);
        let found = self.open_all(sites.iter().copied())?;
        Ok((found.len() == sites.len()).then_some(found))
    }
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
