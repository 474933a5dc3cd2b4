//! What links do to packets: bandwidth, delay, jitter and loss, by the means that this kernel has.

use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::time::Duration;

use llcm_delayline::{Impairment, LineView};
use llcm_names::DcName;
use llcm_netlink::shape::{self, Bucket, Netem};
use llcm_netlink::{LinkInfo, link};
use llcm_runtime::DriverResult;
use llcm_topology::{Link, LinkEnd, LinkProperties};

use crate::datacenter::Datacenter;
use crate::delay_lines::DelayLines;
use crate::links::Kind;
use crate::trial::{Kernel, Means};

/// What VXLAN adds to a VNF's IP packet: its Ethernet header, VXLAN, UDP and IP (RFC 7348).
pub(crate) const VXLAN_OVERHEAD: u32 = 50;
/// The largest packet of a link that states none: VNFs keep 9000 and more.
pub(crate) const LINK_MTU: u32 = 9216;
/// How long a packet may wait for its turn on a link of limited bandwidth that states no queue.
const QUEUE_MS: u64 = 50;
/// Bytes of a queued packet, for queues that are stated in packets: 1500 and the headers around it.
const PACKET: u64 = 1564;
/// Bytes per second of a token bucket that limits nothing: more than any memory moves.
pub(crate) const UNLIMITED: u64 = 1 << 40;
/// Bytes that may be on their way over a link that does not limit them by its rate.
const ON_THE_WAY: u64 = 256 << 20;
/// Beyond its rate: what bursts and changes of it may bring.
const SPARE: u64 = 4 << 20;
/// Bytes of a small packet with the headers around it: netem counts packets and not bytes.
const SMALL_PACKET: u64 = 100;

/// What shapes links here.
#[derive(Debug)]
pub(crate) struct Shaping<'a> {
    pub(crate) kernel: &'a Kernel,
    /// Who moves frames where the kernel cannot delay them.
    pub(crate) lines: &'a DelayLines,
}

impl Shaping<'_> {
    /// Of what kind the devices of a link have to be.
    pub(crate) fn kind(&self, link: &Link) -> Kind {
        let ends = [&link.a, &link.b];
        let is_impaired = ends.iter().any(|end| is_impaired(&end.egress));
        match &self.kernel.delay {
            Ok(Means::Netem) if is_impaired => Kind::Netem,
            Ok(Means::Line { .. }) if is_impaired => Kind::Line,
            _ => Kind::Pair { limited: ends.map(|end| rate(end).is_some() && self.kernel.bandwidth.is_ok()) },
        }
    }

    /// Whether a link has to be given single packets, not frames that stand for many, for what it does to be right: netem
    /// loses whole frames, and a token bucket below it that cuts them makes kernels before 6.13 count wrong until netem
    /// takes nothing any more (CVE-2024-56770).
    pub(crate) fn needs_packets(&self, link: &Link) -> bool {
        let has_bucket = self.kernel.bandwidth.is_ok();
        self.kind(link) == Kind::Netem
            && [&link.a, &link.b]
                .iter()
                .any(|end| end.egress.loss_ppm > 0 || (has_bucket && rate(end).is_some()))
    }

    /// The delay lines that there are, by the names of their devices.
    pub(crate) fn present(&self) -> DriverResult<BTreeMap<String, LineView>> {
        if !matches!(self.kernel.delay, Ok(Means::Line { .. })) {
            return Ok(BTreeMap::new());
        }
        let lines =
            self.lines.keeper()?.list().map_err(|error| said("list delay lines of", "links", &error))?;
        Ok(lines.into_iter().map(|line| (line.name.clone(), line)).collect())
    }

    /// Joins two TAP devices.
    pub(crate) fn join(&self, link: &Link, name: &str, taps: [OwnedFd; 2]) -> DriverResult<()> {
        let joined = self.lines.keeper()?.put(name, taps, impairments(link));
        joined.map_err(|error| said("make delay line of link", &link.name, &error))
    }

    /// Sets what a link's devices do to packets, where it is not so already. What waits in them stays.
    pub(crate) fn shape(
        &self,
        link: &Link,
        kind: Kind,
        sides: [&Datacenter; 2],
        devices: [&LinkInfo; 2],
        line: Option<&LineView>,
        buckets: &BTreeMap<(DcName, u32), (u64, u32)>,
    ) -> DriverResult<()> {
        if kind == Kind::Line
            && let Some(line) = line
            && line.impairments != impairments(link)
        {
            self.set_line(link, sides, devices)?;
        }
        for ((end, dc), info) in [&link.a, &link.b].into_iter().zip(sides).zip(devices) {
            let device = info.device();
            let limited = match kind {
                Kind::Pair { limited } => limited[usize::from(end.dc == link.b.dc)],
                Kind::Netem | Kind::Line => self.kernel.bandwidth.is_ok(),
            };
            let bucket = bucket_of(link, end);
            // Bursts follow from the rate, and limits from both.
            let present = buckets.get(&(end.dc.clone(), device.0));
            let limited = limited && present != Some(&(bucket.rate, bucket.limit));
            dc.underlay.call("shape link", &link.name, |socket| {
                if kind == Kind::Netem {
                    shape::set_netem(socket, device, netem(end, bucket))?;
                }
                if limited {
                    let below = kind == Kind::Netem;
                    shape::set_bucket(socket, device, bucket, below)?;
                }
                Ok(())
            })?;
        }
        Ok(())
    }

    /// Changes a delay line. Frames come as single packets before any of them may get lost, so that none is on its way then
    /// that stands for many; and again as many together only when no packet gets lost any more.
    fn set_line(&self, link: &Link, sides: [&Datacenter; 2], devices: [&LinkInfo; 2]) -> DriverResult<()> {
        let ends = [&link.a, &link.b].into_iter().zip(sides).zip(devices);
        let cut = |only: bool| {
            ends.clone().try_for_each(|((end, dc), info)| {
                let is_lossy = end.egress.loss_ppm > 0;
                let segments = if is_lossy { 1 } else { link::MANY_PACKETS };
                if is_lossy != only || info.gso_max_segs == segments {
                    return Ok(());
                }
                let change = link::Change { gso_max_segs: Some(segments), ..Default::default() };
                dc.underlay.call("set frames of link", &link.name, |socket| {
                    link::change(socket, info.device(), &change)
                })
            })
        };
        cut(true)?;
        let set = self.lines.keeper()?.set(&devices[0].name, impairments(link));
        set.map_err(|error| said("set delay line of link", &link.name, &error))?;
        cut(false)
    }
}

fn said(operation: &'static str, target: &str, error: &dyn std::fmt::Display) -> llcm_runtime::DriverError {
    crate::failed(operation, target, &error.to_string())
}

/// Whether packets are delayed or lost.
fn is_impaired(properties: &LinkProperties) -> bool {
    properties.delay_us > 0 || properties.jitter_us > 0 || properties.loss_ppm > 0
}

/// The MTU of a link's devices. A pair has one in effect: the receiver drops what is larger than its own.
pub(crate) fn mtu(link: &Link) -> u32 {
    let stated = [link.a.egress.mtu, link.b.egress.mtu].into_iter().flatten().min();
    stated.map_or(LINK_MTU, |mtu| mtu.saturating_add(VXLAN_OVERHEAD).min(65_535))
}

/// The limit of what leaves by one end of a link, in bits per second.
pub(crate) fn rate(end: &LinkEnd) -> Option<u64> {
    end.egress.bandwidth_bps.filter(|rate| *rate > 0)
}

/// What packets of both directions experience besides the limit.
fn impairments(link: &Link) -> [Impairment; 2] {
    [&link.a, &link.b].map(|end| {
        let LinkProperties { delay_us, jitter_us, loss_ppm, .. } = end.egress;
        Impairment {
            delay: Duration::from_micros(delay_us),
            jitter: Duration::from_micros(jitter_us),
            loss_ppm: loss_ppm.min(1_000_000),
            limit: on_the_way(end),
        }
    })
}

/// Bytes that may be on their way in one direction: twice what the rate can have sent.
fn on_the_way(end: &LinkEnd) -> u64 {
    let micros = end.egress.delay_us.saturating_add(end.egress.jitter_us);
    rate(end).map_or(ON_THE_WAY, |rate| {
        let bytes = u128::from(rate) * u128::from(micros) / 8 / 1_000_000 * 2;
        u64::try_from(bytes).unwrap_or(u64::MAX).saturating_add(SPARE)
    })
}

/// Netem's queue holds what is on its way and what waits in the bucket below it.
fn netem(end: &LinkEnd, bucket: Bucket) -> Netem {
    let LinkProperties { delay_us, jitter_us, loss_ppm, .. } = end.egress;
    let packets = on_the_way(end).saturating_add(bucket.limit.into()) / SMALL_PACKET;
    Netem {
        delay: Duration::from_micros(delay_us),
        jitter: Duration::from_micros(jitter_us),
        loss_ppm,
        limit: u32::try_from(packets).unwrap_or(u32::MAX),
    }
}

fn bucket_of(link: &Link, end: &LinkEnd) -> Bucket {
    match rate(end) {
        Some(rate) => bucket(rate, end.egress.queue_packets, mtu(link)),
        None => Bucket { rate: UNLIMITED, burst: 1 << 20, limit: 64 << 20 },
    }
}

/// The token bucket of a rate in bits per second: bursts of 2 ms, never less than a packet or 10 KB.
fn bucket(bits_per_second: u64, queue_packets: Option<u32>, mtu: u32) -> Bucket {
    let rate = bits_per_second.div_ceil(8);
    let burst = (rate / 500).max(10 * 1024).max(u64::from(mtu) + 50);
    let queue =
        queue_packets.map_or(rate.saturating_mul(QUEUE_MS) / 1000, |packets| u64::from(packets) * PACKET);
    let limit = queue.saturating_add(burst);
    let clamp = |bytes: u64| u32::try_from(bytes).unwrap_or(u32::MAX / 2);
    Bucket { rate, burst: clamp(burst), limit: clamp(limit) }
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
    fn netem_is_given_packets_where_frames_would_be_lost_or_cut_in_it() {
        let link = |what: &str| {
            let text = format!("datacenters: [a, b]\nlinks:\n  - {{ends: [a, b]{what}}}\n");
            llcm_topology::load(text.as_bytes()).0.unwrap().links.remove(0)
        };
        let lines = DelayLines::new(None, "unused".into());
        let line = Means::Line { offload: llcm_delayline::Offload::Tunnels, precedes: true };
        let needs = |delay, what| {
            let kernel = Kernel { bandwidth: Ok(()), delay: Ok(delay) };
            Shaping { kernel: &kernel, lines: &lines }.needs_packets(&link(what))
        };
        for (what, needed) in [
            ("", false),
            (", bandwidth: 1Mbps", false),
            (", delay: 1ms", false),
            (", delay: 1ms, bandwidth: 1Mbps", true),
            (", forward: {delay: 1ms}, backward: {bandwidth: 1Mbps}", true),
            (", backward: {loss: 1%}", true),
        ] {
            assert_eq!(needs(Means::Netem, what), needed, "{what}");
            assert!(!needs(line, what), "{what}");
        }
    }

    #[test]
    fn no_rate_overflows() {
        let bucket = bucket(u64::MAX, Some(u32::MAX), u32::MAX);
        assert!(bucket.burst > 0 && bucket.limit > 0 && bucket.rate > 0);
    }

    #[test]
    fn what_is_on_its_way_has_space_for_twice_what_was_sent() {
        let text = b"datacenters: [a, b]\nlinks:\n  - {ends: [a, b], bandwidth: 80Mbps, delay: 100ms, jitter: 100ms, backward: {bandwidth: 800Mbps}}\n";
        let link = llcm_topology::load(text).0.unwrap().links.remove(0);
        assert_eq!(on_the_way(&link.a), 4_000_000 + SPARE);
        assert_eq!(on_the_way(&link.b), 40_000_000 + SPARE);
        let mut unlimited = link.a.clone();
        unlimited.egress.bandwidth_bps = None;
        assert_eq!(on_the_way(&unlimited), ON_THE_WAY);
        unlimited.egress =
            LinkProperties { bandwidth_bps: Some(u64::MAX), delay_us: u64::MAX, ..unlimited.egress };
        assert_eq!(on_the_way(&unlimited), u64::MAX);
    }
}
