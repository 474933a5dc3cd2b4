//! Brings the filters of devices to what the wiring says.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use llcm_names::DcName;
use llcm_netlink::tc::{self, Action, Filter, Hook, Match};
use llcm_netlink::{Device, NetlinkError, Socket, link};
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
        let patched = exchange(&mut socket, wire, known).during("patch", &wire.device)?;
        if let Some(patched) = patched {
            self.0.insert(key, patched);
        }
        Ok(())
    }
}

/// Exchanges the filters of a wire's device. `None` when there is no such device.
fn exchange(
    socket: &mut Socket,
    wire: &Wire,
    known: Option<Patched>,
) -> Result<Option<Patched>, NetlinkError> {
    let Some(info) = link::find(socket, &wire.device)? else { return Ok(None) };
    let device = info.device();
    let known = known.filter(|known| known.device == device);
    let mut names = Names::default();
    let [chains, rules] = [names.resolve(socket, &wire.chains)?, names.resolve(socket, &wire.rules)?];
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
    Ok(Some(Patched { device, chains, rules }))
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

/// The devices of names that were looked up.
#[derive(Default)]
struct Names(BTreeMap<String, Option<Device>>);

impl Names {
    fn find(&mut self, socket: &mut Socket, name: &str) -> Result<Option<Device>, NetlinkError> {
        if let Some(found) = self.0.get(name) {
            return Ok(*found);
        }
        let found = link::find(socket, name)?.map(|info| info.device());
        self.0.insert(name.to_owned(), found);
        Ok(found)
    }

    /// Filters for rules, without those that have to wait for their devices.
    fn resolve(&mut self, socket: &mut Socket, rules: &[Rule]) -> Result<Vec<Filter>, NetlinkError> {
        let mut filters = Vec::new();
        for rule in rules {
            let from_is_there = match &rule.matches {
                Match::From(name) => self.find(socket, name)?.is_some(),
                Match::All | Match::To(_) | Match::Words(_) => true,
            };
            let target = self.find(socket, &rule.target)?.or(rule.or_lose.then_some(NOWHERE));
            if let Some(target) = target
                && from_is_there
            {
                let action = if rule.copy { Action::Copy(target) } else { Action::Redirect(target) };
                filters.push(Filter { matches: rule.matches.clone(), action });
            }
        }
        Ok(filters)
    }
}
