//! Deleting devices, many at a time.
//!
//! Deleting is what costs: tens of milliseconds for one device alone, which the kernel waits, and hardly more for
//! several in one request. While it deletes it holds its network lock, which every start of a container on the host
//! needs several times: for a fraction of a millisecond a device, and for as long as that whole wait when the device is a
//! bridge. So the devices of an instance share a link group and go by group, but not too many in one request; and
//! bridges go one by one in the whole program, with pauses in which others come to the lock.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use llcm_names::Owner;
use llcm_netlink::{LinkInfo, link};
use llcm_runtime::{DriverError, DriverResult};

use crate::datacenter::Datacenter;
use crate::names::parse_mark;
use crate::netns::Netns;
use crate::pause::pause;

/// Data centers in which devices are deleted at once.
const AT_ONCE: usize = 8;
/// Devices that go in one request.
const TOGETHER: usize = 48;
/// After each bridge: what a container's start needs to take the network lock as often as it must.
const PAUSE: Duration = Duration::from_millis(5);
/// Held by who deletes a bridge.
static TURN: Mutex<()> = Mutex::new(());
/// A group that no instance has: [`llcm_names::LinkGroup`] ends below it. Devices are moved into it when
/// their own group is not all that may go.
const DOOMED: u32 = 0x8000_0000;

/// Deletes the devices of a data center for which `doomed` holds, and no others, whatever is made meanwhile.
pub(crate) fn delete_where(dc: &Datacenter, doomed: impl Fn(&LinkInfo) -> bool) -> DriverResult<()> {
    delete_in(&dc.overlay, doomed)
}

/// As [`delete_where`], in the underlay.
pub(crate) fn delete_links_where(dc: &Datacenter, doomed: impl Fn(&LinkInfo) -> bool) -> DriverResult<()> {
    delete_in(&dc.underlay, doomed)
}

fn delete_in(netns: &Netns, doomed: impl Fn(&LinkInfo) -> bool) -> DriverResult<()> {
    let devices = netns.call("list devices of", netns.name(), link::list)?;
    let doomed: Vec<&LinkInfo> = devices.iter().filter(|info| doomed(info)).collect();
    delete_all(netns, &doomed)
}

/// Does work in many data centers, a few at a time: after a deletion the kernel waits, for all that wait together,
/// and its network lock is free meanwhile.
pub(crate) fn in_each<'a, T: Sync + 'a>(
    items: impl IntoIterator<Item = &'a T>,
    work: impl Fn(&T) -> DriverResult<()> + Sync,
) -> Vec<DriverError> {
    let items: Vec<&T> = items.into_iter().collect();
    if let [only] = items.as_slice() {
        return work(only).err().into_iter().collect();
    }
    let next = AtomicUsize::new(0);
    let take = || -> Vec<DriverError> {
        let items = std::iter::from_fn(|| items.get(next.fetch_add(1, Ordering::Relaxed)));
        items.filter_map(|item| work(item).err()).collect()
    };
    std::thread::scope(|scope| {
        // One that cannot be made is missing, no more: the work is done by the others, by this thread at least.
        let spawn = |_| std::thread::Builder::new().name("removal".to_owned()).spawn_scoped(scope, take).ok();
        let helpers: Vec<_> = (1..AT_ONCE.min(items.len())).filter_map(spawn).collect();
        let mut errors = take();
        for helper in helpers {
            errors.extend(helper.join().unwrap_or_else(|_| {
                vec![crate::failed("delete devices in", "data centers", "a thread panicked")]
            }));
        }
        errors
    })
}

/// As [`delete_where`], for all that an instance has: whole link groups go, with devices of the instance that
/// are made meanwhile.
pub(crate) fn delete_groups_where(dc: &Datacenter, doomed: impl Fn(&LinkInfo) -> bool) -> DriverResult<()> {
    let devices = dc.overlay.call("list devices of", dc.overlay.name(), link::list)?;
    let (doomed, others): (Vec<&LinkInfo>, Vec<&LinkInfo>) = devices.iter().partition(|info| doomed(info));
    let groups: BTreeSet<u32> = doomed.iter().map(|info| info.group).collect();
    let whole = !groups.contains(&0) && !others.iter().any(|info| groups.contains(&info.group));
    if !whole || doomed.len() > TOGETHER || doomed.iter().any(|info| is_bridge(info)) {
        delete_all(&dc.overlay, &doomed)?;
    }
    if whole { groups.into_iter().try_for_each(|group| delete_group(&dc.overlay, group)) } else { Ok(()) }
}

fn is_bridge(info: &LinkInfo) -> bool {
    info.kind == "bridge"
}

fn delete_all(netns: &Netns, doomed: &[&LinkInfo]) -> DriverResult<()> {
    let (bridges, rest): (Vec<&LinkInfo>, Vec<&LinkInfo>) = doomed.iter().partition(|info| is_bridge(info));
    match rest.as_slice() {
        [info] => netns.call("delete", &info.name, |socket| link::delete(socket, info.device()))?,
        _ => rest.chunks(TOGETHER).try_for_each(|chunk| delete_chunk(netns, chunk))?,
    }
    for bridge in bridges {
        let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        netns.call("delete", &bridge.name, |socket| link::delete(socket, bridge.device()))?;
        pause(PAUSE);
    }
    Ok(())
}

fn delete_group(netns: &Netns, group: u32) -> DriverResult<()> {
    let target = format!("{group} in {}", netns.name());
    netns.call("delete link group", &target, |socket| link::delete_group(socket, group))
}

fn delete_chunk(netns: &Netns, devices: &[&LinkInfo]) -> DriverResult<()> {
    netns.call("delete devices in", netns.name(), |socket| {
        let mut moved = false;
        for info in devices {
            let change = link::Change { group: Some(DOOMED), ..Default::default() };
            match link::change(socket, info.device(), &change) {
                Err(error) if error.is_absent() => {}
                other => {
                    other?;
                    moved = true;
                }
            }
        }
        if moved { link::delete_group(socket, DOOMED) } else { Ok(()) }
    })
}

/// Whether a device is an owner's.
pub(crate) fn is_owned(info: &LinkInfo, owner: &Owner) -> bool {
    parse_mark(&info.alias).is_some_and(|(holder, _)| holder == *owner)
}

/// Whether a device is one of ours that a crash left before it was marked: in a namespace of ours, in an
/// instance's group, of a kind and a name that this driver gives.
pub(crate) fn is_unfinished(info: &LinkInfo) -> bool {
    let (letter, number) = info.name.split_at_checked(1).unwrap_or_default();
    let number = number.split('.').all(|part| u32::from_str_radix(part, 16).is_ok());
    let kind = match letter {
        "p" | "h" | "i" => "veth",
        "v" | "w" | "x" => "vxlan",
        "s" => "bridge",
        _ => return false,
    };
    info.alias.is_empty() && info.group != 0 && number && info.kind == kind
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_names_and_kinds_count_as_unfinished() {
        let info = |name: &str, kind: &str, group| LinkInfo {
            name: name.to_owned(),
            kind: kind.to_owned(),
            group,
            ..LinkInfo::default()
        };
        assert!(is_unfinished(&info("p1f", "veth", 5)));
        assert!(is_unfinished(&info("h1f.0", "veth", 5)));
        assert!(is_unfinished(&info("sffffff", "bridge", 5)));
        for (name, kind, group) in
            [("p1f", "veth", 0), ("p1f", "vxlan", 5), ("eth0", "veth", 5), ("lo", "", 5), ("", "veth", 5)]
        {
            assert!(!is_unfinished(&info(name, kind, group)), "{name} {kind} {group}");
        }
    }
}
