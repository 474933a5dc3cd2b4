//! The links between data centers: pairs of devices in the underlays, and their shaping.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use llcm_names::{DcName, InstallationId};
use llcm_netlink::link_kind::{Peer, add_veth};
use llcm_netlink::shape::{self, Bucket};
use llcm_netlink::{Device, LinkInfo, link};
use llcm_runtime::{DriverResult, ErrorKind, LinkView};
use llcm_topology::{Link, LinkEnd, LinkProperties, Topology};

use crate::datacenter::Datacenter;
use crate::names::{link_device, link_mark, parse_link_mark};
use crate::removal::delete_links_where;

/// The data centers by name.
pub(crate) type Datacenters = BTreeMap<DcName, Arc<Datacenter>>;

/// What VXLAN adds to a VNF's IP packet: its Ethernet header, VXLAN, UDP and IP (RFC 7348).
pub(crate) const VXLAN_OVERHEAD: u32 = 50;
/// The largest packet of a link that states none: VNFs keep 9000 and more.
pub(crate) const LINK_MTU: u32 = 9216;
/// How long a packet may wait for its turn on a link of limited bandwidth that states no queue.
const QUEUE_MS: u64 = 50;
/// How long to wait at most for the kernel to take notice of links.
const SETTLING: Duration = Duration::from_secs(1);
/// Bytes of a queued packet, for queues that are stated in packets: 1500 and the headers around it.
const PACKET: u64 = 1564;

/// What [`apply`] made of a topology's links.
#[derive(Debug)]
pub(crate) struct Applied {
    /// By link, in the topology's order: its device at the first end and at the second.
    pub(crate) devices: Vec<[Device; 2]>,
    /// What this host cannot emulate.
    pub(crate) not_emulated: Vec<String>,
}

/// Brings links and shaping to what a topology says. Links that it does not have stay: routes may still lead over them.
pub(crate) fn apply(
    installation: &InstallationId,
    topology: &Topology,
    datacenters: &Datacenters,
) -> DriverResult<Applied> {
    let mut applied = Applied { devices: Vec::new(), not_emulated: Vec::new() };
    for link in &topology.links {
        let made = ensure_link(installation, link, datacenters)?;
        for ((from, to), device) in [(&link.a, &link.b), (&link.b, &link.a)].into_iter().zip(made) {
            let shaped = datacenters.get(&from.dc).map(|dc| shape_end(link, from, dc, device)).transpose();
            let reason = match shaped {
                Ok(_) => None,
                Err(error) if error.kind == ErrorKind::Unsupported => Some(error.message),
                Err(error) => return Err(error),
            };
            applied.not_emulated.extend(missing(link, from, to, reason.as_deref()));
        }
        applied.devices.push(made);
    }
    Ok(applied)
}

/// What is not emulated of what leaves by one end of a link; `bandwidth`: why that is not limited as it should be.
pub(crate) fn missing(
    link: &Link,
    from: &LinkEnd,
    to: &LinkEnd,
    bandwidth: Option<&str>,
) -> impl Iterator<Item = String> {
    let direction = format!("link {}, {} to {}", link.name, from.dc, to.dc);
    let bandwidth = bandwidth.map(|reason| format!("bandwidth ({reason})"));
    bandwidth.into_iter().chain(unsupported(&from.egress)).map(move |what| format!("{direction}: {what}"))
}

/// The names of what [`unsupported`] tells.
pub(crate) const UNSUPPORTED: [&str; 3] = ["delay", "jitter", "loss"];

/// Properties that this driver does not emulate.
fn unsupported(properties: &LinkProperties) -> impl Iterator<Item = String> + use<> {
    let delay = (properties.delay_us > 0).then(|| format!("delay of {} us", properties.delay_us));
    let jitter = (properties.jitter_us > 0).then(|| format!("jitter of {} us", properties.jitter_us));
    let loss = (properties.loss_ppm > 0).then(|| format!("loss of {} ppm", properties.loss_ppm));
    [delay, jitter, loss].into_iter().flatten()
}

fn device_name(link: &Link) -> String {
    link_device(&link.name, [&link.a.dc, &link.b.dc])
}

/// Removes the devices of links that the topology does not have, all of a data center in one request.
pub(crate) fn remove_others(
    installation: &InstallationId,
    topology: &Topology,
    datacenters: &Datacenters,
) -> DriverResult<()> {
    let wanted: BTreeSet<String> = topology.links.iter().map(device_name).collect();
    let other = |info: &LinkInfo| {
        parse_link_mark(installation, &info.alias).is_some() && !wanted.contains(&info.name)
    };
    datacenters.values().try_for_each(|dc| delete_links_where(dc, other))
}

/// Waits until links that were just set up carry packets: the kernel drops them for a moment longer.
pub(crate) fn settle(installation: &InstallationId, datacenters: &Datacenters) -> DriverResult<()> {
    let end = Instant::now() + SETTLING;
    let waits = |info: &LinkInfo| {
        info.up && info.carrier && !info.running && parse_link_mark(installation, &info.alias).is_some()
    };
    for dc in datacenters.values() {
        while list(dc)?.iter().any(waits) && Instant::now() < end {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
    Ok(())
}

fn list(dc: &Datacenter) -> DriverResult<Vec<LinkInfo>> {
    dc.underlay.call("list devices of", dc.underlay.name(), link::list)
}

/// Makes sure that a link's two devices exist and returns them.
fn ensure_link(
    installation: &InstallationId,
    link: &Link,
    datacenters: &Datacenters,
) -> DriverResult<[Device; 2]> {
    let name = device_name(link);
    let sides = [&link.a.dc, &link.b.dc].map(|dc| datacenters.get(dc));
    let [Some(a), Some(b)] = sides else {
        return Err(crate::invalid("make link", &link.name, "an end names no data center of the topology"));
    };
    let find =
        |dc: &Datacenter| dc.underlay.call("find link", &link.name, |socket| link::find(socket, &name));
    let mtu = mtu(link);
    let mut found = [find(a)?, find(b)?];
    if found.iter().any(Option::is_none) {
        // Half a link is what a crash leaves, and deleting one device deletes both.
        for (dc, info) in [a, b].into_iter().zip(&found) {
            if let Some(info) = info {
                dc.underlay
                    .call("remove half link", &link.name, |socket| link::delete(socket, info.device()))?;
            }
        }
        a.underlay.call("make link", &link.name, |socket| {
            let peer = Peer { name: &name, netns: Some(b.underlay.fd()), mac: None };
            add_veth(socket, &name, 0, mtu, &peer)
        })?;
        found = [find(a)?, find(b)?];
    }
    let mut devices = [Device(0); 2];
    for (end, (dc, info)) in [a, b].into_iter().zip(found).enumerate() {
        let Some(info) = info else {
            return Err(crate::failed("make link", &link.name, "its device vanished"));
        };
        devices[end] = info.device();
        let mark = link_mark(installation, end, &link.name);
        if info.up && info.mtu == mtu && info.alias == mark {
            continue;
        }
        let change =
            link::Change { alias: Some(&mark), mtu: Some(mtu), up: Some(true), ..Default::default() };
        dc.underlay.call("set up link", &link.name, |socket| link::change(socket, info.device(), &change))?;
    }
    Ok(devices)
}

/// The MTU of a link's devices. A pair has one in effect: the receiver drops what is larger than its own.
fn mtu(link: &Link) -> u32 {
    let stated = [link.a.egress.mtu, link.b.egress.mtu].into_iter().flatten().min();
    stated.map_or(LINK_MTU, |mtu| mtu.saturating_add(VXLAN_OVERHEAD).min(65_535))
}

/// The limit of what leaves by one end of a link, in bits per second.
pub(crate) fn rate(end: &LinkEnd) -> Option<u64> {
    end.egress.bandwidth_bps.filter(|rate| *rate > 0)
}

/// Shapes what leaves by one end of a link.
fn shape_end(link: &Link, end: &LinkEnd, dc: &Datacenter, device: Device) -> DriverResult<()> {
    match rate(end) {
        Some(rate) => {
            let bucket = bucket(rate, end.egress.queue_packets, mtu(link));
            dc.underlay.call("limit bandwidth of link", &link.name, |socket| {
                shape::set_bucket(socket, device, bucket)
            })
        }
        None => dc
            .underlay
            .call("unlimit bandwidth of link", &link.name, |socket| shape::remove_bucket(socket, device)),
    }
}

/// The token bucket of a rate in bits per second: bursts of 2 ms, never less than a packet or 10 KB, and
/// 128 KB from 1 Gb/s on, where timers are too coarse for less.
fn bucket(bits_per_second: u64, queue_packets: Option<u32>, mtu: u32) -> Bucket {
    let rate = bits_per_second.div_ceil(8);
    let least = if bits_per_second >= 1_000_000_000 { 128 * 1024 } else { 10 * 1024 };
    let burst = (rate / 500).max(least).max(u64::from(mtu) + 50);
    let queue =
        queue_packets.map_or(rate.saturating_mul(QUEUE_MS) / 1000, |packets| u64::from(packets) * PACKET);
    let limit = queue.saturating_add(burst);
    let clamp = |bytes: u64| u32::try_from(bytes).unwrap_or(u32::MAX / 2);
    Bucket { rate, burst: clamp(burst), limit: clamp(limit) }
}

/// One end of a link as the kernel has it: its data center, whether it carries frames, what limits it.
type Side = (DcName, bool, String);

/// The links as the kernel has them.
pub(crate) fn views(installation: &InstallationId, datacenters: &Datacenters) -> DriverResult<Vec<LinkView>> {
    // By device name: the link's name, and per end the data center, whether it is up, and its limit.
    let mut found: BTreeMap<String, (String, [Option<Side>; 2])> = BTreeMap::new();
    for (name, dc) in datacenters {
        let buckets: BTreeMap<u32, u64> =
            dc.underlay.call("list limits of", name.as_str(), shape::list_buckets)?.into_iter().collect();
        for info in list(dc)? {
            let Some((end, link)) = parse_link_mark(installation, &info.alias) else { continue };
            let emulated = buckets.get(&info.index).map_or_else(|| "none".to_owned(), |_| "tbf".to_owned());
            let entry = found.entry(info.name).or_insert((link, [None, None]));
            entry.1[end] = Some((name.clone(), info.up && info.carrier, emulated));
        }
    }
    let complete = |(name, sides): (String, [Option<Side>; 2])| match sides {
        [Some((a, a_up, a_by)), Some((b, b_up, b_by))] => {
            Some(LinkView { name, ends: [a, b], up: a_up && b_up, emulated_by: [a_by, b_by] })
        }
        _ => None,
    };
    let mut views: Vec<LinkView> = found.into_values().filter_map(complete).collect();
    views.sort_by(|left, right| left.name.cmp(&right.name));
    Ok(views)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bursts_grow_with_the_rate() {
        assert_eq!(bucket(100_000_000, None, LINK_MTU).burst, 25_000);
        assert_eq!(bucket(1_000_000, None, LINK_MTU).burst, 10_240);
        assert_eq!(bucket(1_000_000_000, None, LINK_MTU).burst, 250_000);
        assert_eq!(bucket(5_000_000_000, None, LINK_MTU).burst, 1_250_000);
        let bucket = bucket(1_000_000, Some(10), LINK_MTU);
        assert_eq!((bucket.rate, bucket.limit), (125_000, 10_240 + 15_640));
    }

    #[test]
    fn no_rate_overflows() {
        let bucket = bucket(u64::MAX, Some(u32::MAX), u32::MAX);
        assert!(bucket.burst > 0 && bucket.limit > 0 && bucket.rate > 0);
    }
}
