//! Brings the filters of devices to what the wiring says.

use std::collections::BTreeMap;

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
    /// The priority of the filters; `None` when there are none.
    priority: Option<u16>,
    filters: Vec<Filter>,
}

/// Filters are exchanged without a gap: the new ones are complete at the other priority before the old ones
/// go.
const PRIORITIES: [u16; 2] = [1, 2];

impl Patches {
    /// Notes that a device is new and has no filters.
    pub(crate) fn fresh(&mut self, datacenter: &DcName, name: &str, device: Device) {
        let patched = Patched { device, priority: None, filters: Vec::new() };
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
    let filters = resolve(socket, &wire.rules)?;
    if known.as_ref().is_some_and(|known| known.filters == filters) {
        return Ok(known);
    }
    let mut old = match &known {
        Some(known) => known.priority.into_iter().collect(),
        None => tc::priorities(socket, device, wire.hook)?,
    };
    if old.len() > 1 {
        // An exchange that was cut off: either set may be incomplete, the first is the one in effect.
        for priority in old.drain(1..) {
            tc::remove_filters(socket, device, wire.hook, priority)?;
        }
    }
    let priority = if old.contains(&PRIORITIES[0]) { PRIORITIES[1] } else { PRIORITIES[0] };
    if !filters.is_empty() {
        if old.is_empty() {
            tc::ensure_hooks(socket, device)?;
        }
        for filter in &filters {
            tc::add_filter(socket, device, wire.hook, priority, filter)?;
        }
    }
    for priority in old {
        tc::remove_filters(socket, device, wire.hook, priority)?;
    }
    let priority = (!filters.is_empty()).then_some(priority);
    Ok(Some(Patched { device, priority, filters }))
}

fn resolve(socket: &mut Socket, rules: &[Rule]) -> Result<Vec<Filter>, NetlinkError> {
    let mut devices: BTreeMap<&str, Option<Device>> = BTreeMap::new();
    let mut filters = Vec::new();
    for rule in rules {
        let mut find = |name| -> Result<Option<Device>, NetlinkError> {
            if let Some(found) = devices.get(name) {
                return Ok(*found);
            }
            let found = link::find(socket, name)?.map(|info| info.device());
            devices.insert(name, found);
            Ok(found)
        };
        let from_is_there = match &rule.matches {
            Match::From(name) => find(name)?.is_some(),
            Match::All | Match::To(_) => true,
        };
        if let Some(target) = find(&rule.target)?
            && from_is_there
        {
            let action = if rule.copy { Action::Copy(target) } else { Action::Redirect(target) };
            filters.push(Filter { matches: rule.matches.clone(), action });
        }
    }
    Ok(filters)
}
