//! The links between data centers as a whole: from what a topology says to what the kernel has, and back.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use llcm_names::{DcName, InstallationId};
use llcm_netlink::{Device, LinkInfo, link, shape, stats};
use llcm_runtime::{DriverResult, LinkView, NotEmulated};
use llcm_topology::Topology;

use crate::datacenter::Datacenter;
use crate::links::{Kind, Present, device_stem, ensure, stem};
use crate::names::parse_link_mark;
use crate::pause::pause;
use crate::removal::delete_links_where;
use crate::shaping::{Shaping, UNLIMITED};

/// The data centers by name.
pub(crate) type Datacenters = BTreeMap<DcName, Arc<Datacenter>>;

/// How long a packet takes at most that waits for nothing.
const IN_PASSING: Duration = Duration::from_millis(10);
/// How long devices that others have taken the place of are kept at most.
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// What [`apply`] made of a topology's links.
#[derive(Debug)]
pub(crate) struct Applied {
    /// By link, in the topology's order: its device at the first end and at the second.
    pub(crate) devices: Vec<[Device; 2]>,
    /// What this host cannot emulate.
    pub(crate) not_emulated: Vec<NotEmulated>,
    /// Whether any link has a delay line.
    pub(crate) has_lines: bool,
}

/// Brings links and shaping to what a topology says. Links that it does not have, and devices that others have taken the
/// place of, stay: routes may still lead over them.
pub(crate) fn apply(
    installation: &InstallationId,
    topology: &Topology,
    datacenters: &Datacenters,
    shaping: &Shaping<'_>,
) -> DriverResult<Applied> {
    // In this order: devices go with the process that moves their frames, and what it has is what they still have.
    let lines = shaping.present()?;
    let present = Present::look(installation, datacenters)?;
    let mut applied = Applied { devices: Vec::new(), not_emulated: Vec::new(), has_lines: false };
    for link in &topology.links {
        let sides = [&link.a.dc, &link.b.dc].map(|dc| datacenters.get(dc).map(AsRef::as_ref));
        let [Some(a), Some(b)] = sides else {
            return Err(crate::invalid(
                "make link",
                &link.name,
                "an end names no data center of the topology",
            ));
        };
        let (made, kind) = ensure(installation, link, [a, b], &present, shaping, &lines)?;
        applied.devices.push(made);
        applied.has_lines |= kind == Kind::Line;
        for (from, to) in [(&link.a, &link.b), (&link.b, &link.a)] {
            let missing = shaping.kernel.missing(link, from, to).into_iter();
            applied.not_emulated.extend(missing.map(|what| NotEmulated { link: link.name.clone(), what }));
        }
    }
    Ok(applied)
}

/// Removes the devices of links that the topology does not have, and those that others have taken the place of once what
/// waited in them has left; all of a data center in one request.
pub(crate) fn remove_others(
    installation: &InstallationId,
    topology: &Topology,
    datacenters: &Datacenters,
    applied: &[[Device; 2]],
) -> DriverResult<()> {
    let mut current: BTreeSet<(&DcName, u32)> = BTreeSet::new();
    for (link, devices) in topology.links.iter().zip(applied) {
        current.extend([(&link.a.dc, devices[0].0), (&link.b.dc, devices[1].0)]);
    }
    let known: BTreeSet<String> = topology.links.iter().map(device_stem).collect();
    let mut doomed: Vec<(&Datacenter, Vec<LinkInfo>)> = Vec::new();
    for (name, dc) in datacenters {
        let mut others = list(dc)?;
        // All that are needed are marked by now: one without a mark is what a crash left.
        let unmarked = |info: &LinkInfo| info.alias.is_empty() && Kind::of(&info.name).is_some();
        others.retain(|info| {
            (unmarked(info) || parse_link_mark(installation, &info.alias).is_some())
                && !current.contains(&(name, info.index))
        });
        if !others.is_empty() {
            doomed.push((dc, others));
        }
    }
    let is_replaced = |info: &&LinkInfo| known.contains(stem(&info.name));
    let replaced = doomed.iter().map(|(dc, others)| {
        let replaced = others.iter().filter(is_replaced).map(|info| info.index);
        (*dc, replaced.collect::<BTreeSet<u32>>())
    });
    empty(&replaced.filter(|(_, devices)| !devices.is_empty()).collect::<Vec<_>>())?;
    doomed.iter().try_for_each(|(dc, others)| {
        let indexes: BTreeSet<u32> = others.iter().map(|info| info.index).collect();
        delete_links_where(dc, |info| indexes.contains(&info.index))
    })
}

/// Waits until nothing waits any more in devices that others have taken the place of, so that it arrives; for a bounded time.
fn empty(replaced: &[(&Datacenter, BTreeSet<u32>)]) -> DriverResult<()> {
    if replaced.is_empty() {
        return Ok(());
    }
    let end = Instant::now() + LONGEST_WAIT;
    // What was being sent when the routes changed has reached the queues by then, and left the devices behind them.
    pause(IN_PASSING);
    for (dc, devices) in replaced {
        loop {
            let waiting = dc.underlay.call("list queues of", dc.underlay.name(), stats::waiting)?;
            let bytes: u64 = devices.iter().filter_map(|device| waiting.get(device)).sum();
            if bytes == 0 {
                break;
            }
            if Instant::now() >= end {
                log::warn!("{bytes} bytes are lost that still waited for links of {} as they were", dc.name);
                break;
            }
            pause(IN_PASSING);
        }
    }
    Ok(())
}

/// Waits until links that were just set up carry packets.
pub(crate) fn settle(installation: &InstallationId, datacenters: &Datacenters) -> DriverResult<()> {
    let is_ours = |info: &LinkInfo| parse_link_mark(installation, &info.alias).is_some();
    for dc in datacenters.values() {
        for info in list(dc)?.iter().filter(|info| info.is_settling() && is_ours(info)) {
            dc.underlay.call("wait for", &info.name, |socket| link::settle(socket, &info.name))?;
        }
    }
    Ok(())
}

pub(crate) fn list(dc: &Datacenter) -> DriverResult<Vec<LinkInfo>> {
    dc.underlay.call("list devices of", dc.underlay.name(), link::list)
}

/// One end of a link as the kernel has it: its data center, whether it carries frames, what shapes it.
type Side = (DcName, bool, String);

/// The links as the kernel has them. Where a link has two pairs of devices, one has just taken the other's place: the
/// later one counts.
pub(crate) fn views(installation: &InstallationId, datacenters: &Datacenters) -> DriverResult<Vec<LinkView>> {
    // By device name: the link's name, and per end the data center, whether it is up, and what shapes it.
    let mut found: BTreeMap<String, (String, [Option<Side>; 2])> = BTreeMap::new();
    for (name, dc) in datacenters {
        let limited: BTreeSet<u32> = (dc.underlay)
            .call("list limits of", name.as_str(), shape::list_buckets)?
            .into_iter()
            .filter(|bucket| bucket.rate < UNLIMITED)
            .map(|bucket| bucket.device)
            .collect();
        for info in list(dc)? {
            let Some((end, link)) = parse_link_mark(installation, &info.alias) else { continue };
            let bucket = limited.contains(&info.index).then_some("tbf");
            let means: Vec<&str> =
                bucket.into_iter().chain(Kind::of(&info.name).and_then(Kind::delays_by)).collect();
            let means = if means.is_empty() { "none".to_owned() } else { means.join(", ") };
            let entry = found.entry(info.name).or_insert((link, [None, None]));
            entry.1[end] = Some((name.clone(), info.up && info.carrier, means));
        }
    }
    let complete = |(name, sides): (String, [Option<Side>; 2])| match sides {
        [Some((a, a_up, a_by)), Some((b, b_up, b_by))] => {
            Some((name.clone(), LinkView { name, ends: [a, b], up: a_up && b_up, emulated_by: [a_by, b_by] }))
        }
        _ => None,
    };
    let views: BTreeMap<String, LinkView> = found.into_values().filter_map(complete).collect();
    Ok(views.into_values().collect())
}
