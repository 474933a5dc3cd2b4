//! Brings the filters of devices to what the wiring says.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;

use llcm_names::DcName;
use llcm_netlink::tc::{self, Action, Filter, Hook, Match};
use llcm_netlink::{Device, LinkInfo, NetlinkError, Socket, link};
use llcm_runtime::DriverResult;

use crate::datacenter::Datacenter;
use crate::error::Context;
use crate::wiring::{Rule, Wire};

/// What filters devices have, as far as this program set them; what it does not know it asks the kernel.
#[derive(Debug, Default)]
pub(crate) struct Patches(BTreeMap<(DcName, String, Hook), Patched>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Patched {
    device: Device,
    chains: Layer,
    rules: Layer,
}

/// The filters of one kind.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Layer {
    /// Their priority; `None` when there are none.
    priority: Option<u16>,
    filters: Vec<Filter>,
}

/// The priorities of the filters of chains, before which there are none. Filters are exchanged without a gap and all at
/// once: the new ones are complete at the next priority, where nothing comes to them, before the old ones go.
const OF_CHAINS: RangeInclusive<u16> = 1..=9_999;
/// Those of the other filters, likewise. Programs before there were chains had them where chains are now.
const OF_RULES: RangeInclusive<u16> = 10_000..=60_000;
/// How often filters are set for devices that have gone by then.
const ATTEMPTS: usize = 8;
/// The loopback device of every namespace, which is down in those of data centers: what is sent out there is lost. A
/// kernel need not have an action that drops.
const NOWHERE: Device = Device(1);

impl Patches {
    /// Notes that a device is new and has no filters.
    pub(crate) fn fresh(&mut self, datacenter: &DcName, name: &str, device: Device) {
        let patched = Patched { device, chains: Layer::default(), rules: Layer::default() };
        self.0.insert((datacenter.clone(), name.to_owned(), Hook::Ingress), patched);
    }

    /// Forgets the devices of a data center for which the condition holds.
    pub(crate) fn forget(&mut self, condition: impl Fn(&DcName, &str) -> bool) {
        self.0.retain(|(datacenter, name, _), _| !condition(datacenter, name));
    }

    /// Sets the filters of one device. Rules whose devices are not there are left out: they are set when
    /// those come.
    pub(crate) fn apply(&mut self, datacenter: &Datacenter, wire: &Wire) -> DriverResult<()> {
        let key = (wire.datacenter.clone(), wire.device.clone(), wire.hook);
        let known = self.0.remove(&key);
        let mut socket = datacenter.overlay.socket();
        let patched = exchange(&mut socket, wire, known, link::find).during("patch", &wire.device)?;
        if let Some(patched) = patched {
            self.0.insert(key, patched);
        }
        Ok(())
    }
}

/// Exchanges the filters of a wire's device. `None` when there is no such device. Devices of ports go with their
/// containers, at any time: when one has gone since it was looked up, by `find`, all are looked up again.
fn exchange(
    socket: &mut Socket,
    wire: &Wire,
    mut known: Option<Patched>,
    mut find: impl FnMut(&mut Socket, &str) -> Result<Option<LinkInfo>, NetlinkError>,
) -> Result<Option<Patched>, NetlinkError> {
    let mut attempts = 1;
    let mut seen = Names::look(socket, wire, &mut find)?;
    while let Some(device) = seen.get(&wire.device) {
        let error = match set(socket, wire, device, &seen, known.take()) {
            Err(error) if error.is_absent() && attempts < ATTEMPTS => error,
            other => return other.map(Some),
        };
        let now = Names::look(socket, wire, &mut find)?;
        if now == seen {
            return Err(error);
        }
        seen = now;
        attempts += 1;
    }
    Ok(None)
}

/// Sets the filters of a wire's device, as devices have been seen.
fn set(
    socket: &mut Socket,
    wire: &Wire,
    device: Device,
    seen: &Names,
    known: Option<Patched>,
) -> Result<Patched, NetlinkError> {
    let known = known.filter(|known| known.device == device);
    let [chains, rules] = [seen.resolve(&wire.chains), seen.resolve(&wire.rules)];
    let found = match &known {
        Some(known) => known.chains.priority.into_iter().chain(known.rules.priority).collect(),
        None => tc::priorities(socket, device, wire.hook)?,
    };
    if found.is_empty() && !(chains.is_empty() && rules.is_empty()) {
        tc::ensure_hooks(socket, device)?;
    }
    let (known_chains, known_rules) = known.map(|known| (known.chains, known.rules)).unzip();
    let at = (device, wire.hook);
    // What chains take no more goes on by rules that are up to date.
    let rules = exchange_layer(socket, at, OF_RULES, &found, known_rules, rules)?;
    let chains = exchange_layer(socket, at, OF_CHAINS, &found, known_chains, chains)?;
    Ok(Patched { device, chains, rules })
}

/// Exchanges the filters of one kind. `found`: the priorities at which the device has filters.
fn exchange_layer(
    socket: &mut Socket,
    (device, hook): (Device, Hook),
    priorities: RangeInclusive<u16>,
    found: &[u16],
    known: Option<Layer>,
    filters: Vec<Filter>,
) -> Result<Layer, NetlinkError> {
    if let Some(known) = known
        && known.filters == filters
    {
        return Ok(known);
    }
    let mut old: Vec<u16> = found.iter().copied().filter(|found| priorities.contains(found)).collect();
    old.sort_unstable();
    if old.len() > 1 {
        // An exchange that was cut off: the first set is the one in effect.
        for priority in old.drain(1..) {
            tc::remove_filters(socket, device, hook, priority)?;
        }
    }
    let next = old.first().map(|old| old + 1).filter(|next| priorities.contains(next));
    // Behind the last comes the first: that one exchange of thousands takes effect filter by filter.
    let priority = next.unwrap_or(*priorities.start());
    for filter in &filters {
        tc::add_filter(socket, device, hook, priority, filter)?;
    }
    for priority in old {
        tc::remove_filters(socket, device, hook, priority)?;
    }
    let priority = (!filters.is_empty()).then_some(priority);
    Ok(Layer { priority, filters })
}

/// The devices of all names in a wire, as they were looked up.
#[derive(Debug, PartialEq, Eq)]
struct Names(BTreeMap<String, Option<Device>>);

impl Names {
    fn look(
        socket: &mut Socket,
        wire: &Wire,
        find: &mut impl FnMut(&mut Socket, &str) -> Result<Option<LinkInfo>, NetlinkError>,
    ) -> Result<Self, NetlinkError> {
        let mut names = BTreeSet::from([wire.device.as_str()]);
        for rule in wire.chains.iter().chain(&wire.rules) {
            names.insert(&rule.target);
            if let Match::From(name) = &rule.matches {
                names.insert(name);
            }
        }
        let look = |name: &str| Ok((name.to_owned(), find(socket, name)?.map(|info| info.device())));
        names.into_iter().map(look).collect::<Result<_, _>>().map(Self)
    }

    fn get(&self, name: &str) -> Option<Device> {
        self.0.get(name).copied().flatten()
    }

    /// Filters for rules, without those that have to wait for their devices.
    fn resolve(&self, rules: &[Rule]) -> Vec<Filter> {
        let filter = |rule: &Rule| {
            let from_is_there = match &rule.matches {
                Match::From(name) => self.get(name).is_some(),
                Match::All | Match::To(_) | Match::Words(_) => true,
            };
            let target = self.get(&rule.target).or(rule.or_lose.then_some(NOWHERE))?;
            let action = if rule.copy { Action::Copy(target) } else { Action::Redirect(target) };
            from_is_there.then(|| Filter { matches: rule.matches.clone(), action })
        };
        rules.iter().filter_map(filter).collect()
    }
}

#[cfg(test)]
mod tests;
