//! One link: two devices, one in each underlay, and what they are.
//!
//! What a link needs decides of what kind its devices are, and the kind stands in their names. A link that comes to need
//! another kind gets new devices beside the old ones; routes move over, and then the old ones go, so that no packet is
//! lost. A kind that can do more than is needed stays: a change takes effect in place, and nothing is lost either.

use std::collections::BTreeMap;

use llcm_delayline::{LineView, Tap};
use llcm_names::{DcName, InstallationId};
use llcm_netlink::link_kind::{Peer, add_veth};
use llcm_netlink::{Device, LinkInfo, Socket, link, neighbour, netns, shape};
use llcm_runtime::DriverResult;
use llcm_topology::Link;

use crate::datacenter::Datacenter;
use crate::error::Context;
use crate::names::{link_device, link_mac, link_mark, parse_link_mark};
use crate::shaping::{Shaping, mtu};
use crate::underlay::{Datacenters, list};

/// Frames that may wait for the delay line: more than a moment of a fast link.
const TAP_QUEUE: u32 = 4096;

/// Of what kind the devices of a link are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A veth pair, with a token bucket at those ends that are limited, or have been.
    Pair {
        /// By end.
        limited: [bool; 2],
    },
    /// A veth pair with netem and a token bucket at both ends.
    Netem,
    /// Two TAP devices with a token bucket each, joined by a delay line.
    Line,
}

impl Kind {
    /// What the devices' names end in.
    fn suffix(self) -> &'static str {
        match self {
            Self::Pair { limited: [false, false] } => "p0",
            Self::Pair { limited: [true, false] } => "p1",
            Self::Pair { limited: [false, true] } => "p2",
            Self::Pair { limited: [true, true] } => "p3",
            Self::Netem => "n",
            Self::Line => "d",
        }
    }

    const ALL: [Self; 6] = [
        Self::Line,
        Self::Netem,
        Self::Pair { limited: [true, true] },
        Self::Pair { limited: [true, false] },
        Self::Pair { limited: [false, true] },
        Self::Pair { limited: [false, false] },
    ];

    /// The kind of a device, by its name.
    pub(crate) fn of(device: &str) -> Option<Self> {
        let suffix = device.get(stem(device).len()..)?;
        Self::ALL.into_iter().find(|kind| kind.suffix() == suffix)
    }

    /// Whether devices of this kind can be as they are wanted.
    fn covers(self, wanted: Self) -> bool {
        match (self, wanted) {
            (Self::Pair { limited: [a, b] }, Self::Pair { limited: [wanted_a, wanted_b] }) => {
                (a || !wanted_a) && (b || !wanted_b)
            }
            (_, Self::Pair { .. }) => true,
            (present, wanted) => present == wanted,
        }
    }

    /// By what frames are delayed.
    pub(crate) fn delays_by(self) -> Option<&'static str> {
        match self {
            Self::Pair { .. } => None,
            Self::Netem => Some("netem"),
            Self::Line => Some("delay line"),
        }
    }
}

/// What the names of all devices of a link begin with.
pub(crate) fn device_stem(link: &Link) -> String {
    link_device(&link.name, [&link.a.dc, &link.b.dc])
}

/// The same, from a device's name.
pub(crate) fn stem(device: &str) -> &str {
    device.get(..STEM).unwrap_or(device)
}

/// Bytes of a stem.
const STEM: usize = 13;

/// The devices of links that there are.
#[derive(Debug)]
pub(crate) struct Present {
    /// By data center and name.
    devices: BTreeMap<(DcName, String), LinkInfo>,
    /// By data center and device: rate and limit of its token bucket.
    pub(crate) buckets: BTreeMap<(DcName, u32), (u64, u32)>,
}

impl Present {
    /// Looks in all underlays.
    pub(crate) fn look(installation: &InstallationId, datacenters: &Datacenters) -> DriverResult<Self> {
        let mut found = Self { devices: BTreeMap::new(), buckets: BTreeMap::new() };
        for (name, dc) in datacenters {
            let buckets = dc.underlay.call("list limits of", name.as_str(), shape::list_buckets)?;
            let buckets = buckets.into_iter().map(|it| ((name.clone(), it.device), (it.rate, it.limit)));
            found.buckets.extend(buckets);
            // One that was made and not yet marked is found again by its name.
            let ours = |info: &LinkInfo| {
                info.alias.is_empty() || parse_link_mark(installation, &info.alias).is_some()
            };
            let devices = list(dc)?.into_iter().filter(ours);
            found.devices.extend(devices.map(|info| ((name.clone(), info.name.clone()), info)));
        }
        Ok(found)
    }

    fn get(&self, link: &Link, kind: Kind) -> [Option<&LinkInfo>; 2] {
        let name = format!("{}{}", device_stem(link), kind.suffix());
        [&link.a.dc, &link.b.dc].map(|dc| self.devices.get(&(dc.clone(), name.clone())))
    }
}

/// Makes sure that a link's two devices exist and are as the link says, and returns them with their kind.
pub(crate) fn ensure(
    installation: &InstallationId,
    link: &Link,
    sides: [&Datacenter; 2],
    present: &Present,
    shaping: &Shaping<'_>,
    lines: &BTreeMap<String, LineView>,
) -> DriverResult<([Device; 2], Kind)> {
    let wanted = shaping.kind(link);
    let stem = device_stem(link);
    let name = |kind: Kind| format!("{stem}{}", kind.suffix());
    let whole = |kind: &Kind| {
        let is_joined = *kind != Kind::Line || lines.contains_key(&name(*kind));
        is_joined && present.get(link, *kind).iter().all(Option::is_some)
    };
    let mut usable = Kind::ALL.into_iter().filter(|kind| kind.covers(wanted));
    let kind = usable.find(whole).unwrap_or(wanted);
    let mut found = present.get(link, kind).map(|info| info.cloned());
    let nothing = BTreeMap::new();
    let mut buckets = &present.buckets;
    if !whole(&kind) {
        let find = |dc: &Datacenter| {
            dc.underlay.call("find link", &link.name, |socket| link::find(socket, &name(kind)))
        };
        // Half a link is what a crash leaves. Looked for again, since what was seen may be a device that was just going, with a
        // process that moved its frames, and its number another device's by now.
        for dc in sides {
            if let Some(info) = find(dc)? {
                dc.underlay
                    .call("remove half link", &link.name, |socket| link::delete(socket, info.device()))?;
            }
        }
        make(link, kind, &name(kind), sides, shaping)?;
        found = [find(sides[0])?, find(sides[1])?];
        buckets = &nothing;
    }
    let [Some(a), Some(b)] = found else {
        return Err(crate::failed("make link", &link.name, "its device vanished"));
    };
    shaping.shape(link, kind, sides, [&a, &b], lines.get(&name(kind)), buckets)?;
    for (end, info) in [&a, &b].into_iter().enumerate() {
        set_up(installation, link, end, sides, info)?;
    }
    Ok(([a.device(), b.device()], kind))
}

/// Makes a link's devices. They are down.
fn make(
    link: &Link,
    kind: Kind,
    name: &str,
    [a, b]: [&Datacenter; 2],
    shaping: &Shaping<'_>,
) -> DriverResult<()> {
    if kind == Kind::Line {
        let taps = netns::throw_away(|| -> DriverResult<_> { Ok([tap(name, a, 0)?, tap(name, b, 1)?]) })
            .during("make link", &link.name)??;
        return shaping.join(link, name, taps.map(Into::into));
    }
    a.underlay.call("make link", &link.name, |socket| {
        let peer = Peer { name, netns: Some(b.underlay.fd()), mac: Some(link_mac(name, 1)) };
        add_veth(socket, name, 0, mtu(link), &peer)?;
        let mac = Some(link_mac(name, 0));
        let near = link::find(socket, name)?.map_or(Device(0), |info| info.device());
        link::change(socket, near, &link::Change { mac, ..Default::default() })
    })
}

/// Makes a TAP device in the calling thread's namespace and moves it to an underlay: its descriptor keeps the namespace
/// that it was made in, and is not to keep the underlay.
fn tap(name: &str, dc: &Datacenter, end: usize) -> DriverResult<Tap> {
    let tap = Tap::create(name).during("make TAP device", name)?;
    let mut socket = Socket::open().during("make TAP device", name)?;
    let made = link::find(&mut socket, name).during("make TAP device", name)?;
    let device = made.map_or(Device(0), |info| info.device());
    let change = link::Change {
        mac: Some(link_mac(name, end)),
        queue: Some(TAP_QUEUE),
        netns: Some(dc.underlay.fd()),
        ..Default::default()
    };
    link::change(&mut socket, device, &change).during("move TAP device", name)?;
    Ok(tap)
}

/// Marks one of a link's devices and sets it up or down. The neighbour's hardware address is known from the beginning: to
/// ask for it would take as long as the link does, and longer than packets may wait.
fn set_up(
    installation: &InstallationId,
    link: &Link,
    end: usize,
    sides: [&Datacenter; 2],
    info: &LinkInfo,
) -> DriverResult<()> {
    let mark = link_mark(installation, end, &link.name);
    let mtu = mtu(link);
    if info.up == link.up && info.mtu == mtu && info.alias == mark {
        return Ok(());
    }
    sides[end].underlay.call("set up link", &link.name, |socket| {
        let change = link::Change { mtu: Some(mtu), up: Some(link.up), ..Default::default() };
        link::change(socket, info.device(), &change)?;
        // The kernel forgets neighbours when a device goes down.
        if link.up {
            let mac = link_mac(&info.name, 1 - end);
            neighbour::set(socket, info.device(), sides[1 - end].address, mac)?;
        }
        // Last, since what is marked and up is taken to have all this.
        let change = link::Change { alias: Some(&mark), ..Default::default() };
        link::change(socket, info.device(), &change)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_stand_in_the_names_of_devices() {
        for kind in Kind::ALL {
            let name = format!("l0123456789ab{}", kind.suffix());
            assert!(name.len() <= 15, "{name}");
            assert_eq!(Kind::of(&name), Some(kind));
            assert_eq!(stem(&name), "l0123456789ab");
        }
        assert_eq!((Kind::of("l0123456789ab"), Kind::of("lo"), Kind::of("")), (None, None, None));
    }

    #[test]
    fn what_can_do_more_stays() {
        let pair = |a, b| Kind::Pair { limited: [a, b] };
        assert!(pair(true, true).covers(pair(true, false)) && pair(true, false).covers(pair(false, false)));
        assert!(!pair(true, false).covers(pair(false, true)) && !pair(true, true).covers(Kind::Line));
        assert!(Kind::Line.covers(pair(true, true)) && Kind::Netem.covers(pair(false, false)));
        assert!(!Kind::Netem.covers(Kind::Line) && !Kind::Line.covers(Kind::Netem));
    }
}
