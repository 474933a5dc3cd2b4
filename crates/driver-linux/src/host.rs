//! The host as an end of segments: what is set for an interface of its own, and taken back.
//!
//! Each has a table of nf_tables of its own, so that it can be made and removed in one step:
//!
//! ```text
//! forward      nobody else's packets go to the interface, and what comes in by it stays on the host; with
//!              translation, it may leave, and answers may come back
//! zone         with translation: what comes in by it is not taken for a connection of the host's own, even when
//!              it is: the host's packets may have gone into the segment by one interface and come back by another
//! postrouting  with translation: what came in by it leaves with the host's address
//! ports        with translation: forwarding is needed, see `llcm_netlink::forwarding`
//! ```
//! Docker drops what it does not know of everybody's packets, but for what the chain accepts that it keeps for others,
//! `DOCKER-USER`. With translation, it gets a rule for each direction, marked with the table's name.

use std::collections::BTreeSet;
use std::fs;
use std::io;

use ipnetwork::Ipv4Network;
use llcm_names::{InstallationId, PortId};
use llcm_netlink::forwarding::{self, Switch};
use llcm_netlink::nf_tables::{
    self, Base, Batch, Direction, ESTABLISHED, Expression, Hook, MarkedRule, RELATED, Verdict,
};
use llcm_netlink::{Device, NetlinkError, Socket, link, netns, route};
use llcm_runtime::{DriverError, DriverResult, ErrorKind, HostPort, HostSide, PortSpec};

use crate::error::Context;
use crate::names::host_tables;

/// Priorities (linux/netfilter_ipv4.h): before connections are tracked, filters, translation of sources.
const RAW: i32 = -300;
const FILTER: i32 = 0;
const SOURCE_NAT: i32 = 100;

/// No device has it; the kernel looks at privileges first.
const NO_DEVICE: Device = Device(i32::MAX as u32);

/// The table of a port.
fn table(installation: &InstallationId, port: PortId) -> String {
    format!("{}{:x}", host_tables(installation), port.get())
}

/// What the host is like as an end of segments.
pub(crate) fn side() -> DriverResult<HostSide> {
    let mut socket = Socket::open().during("open", "netlink")?;
    let routes = route::destinations(&mut socket).during("list routes of", "the host")?;
    let networks = routes.into_iter().filter_map(|(to, prefix)| Ipv4Network::new(to, prefix).ok());
    Ok(HostSide { obstacle: obstacle(&mut socket), networks: networks.collect(), filters: filters() })
}

/// The filters that would not let pass what comes out of a service.
fn filters() -> Vec<String> {
    let read = || -> Result<_, NetlinkError> {
        let mut socket = Socket::open_netfilter()?;
        Ok((nf_tables::chains_that_drop_forwarded(&mut socket)?, nf_tables::chains(&mut socket)?))
    };
    // Without nf_tables there are no ports of the host either, and that is told.
    let Ok((drop, all)) = read() else { return Vec::new() };
    let has_door = |table: &str| all.iter().any(|(of, chain)| of == table && chain == DOCKERS_DOOR);
    let closed = drop.into_iter().filter(|(table, _)| !has_door(table));
    closed
        .map(|(table, chain)| format!("chain {chain} of table {table} drops what it does not know"))
        .collect()
}

/// Docker's chain for rules of others.
const DOCKERS_DOOR: &str = "DOCKER-USER";

/// Why the host can have no interface on a segment.
fn obstacle(socket: &mut Socket) -> Option<String> {
    match link::delete(socket, NO_DEVICE) {
        Err(error) if error.errno() == Some(rustix::io::Errno::PERM) => {
            return Some("interfaces of the host take root".to_owned());
        }
        _ => {}
    }
    let tried = netns::throw_away(|| {
        let batch = rules("llcm-trial", "t0", HostPort { nat: true }, 1);
        batch.commit(&mut Socket::open_netfilter()?)
    });
    match tried {
        Ok(Ok(())) => None,
        Ok(Err(error)) => Some(format!("the kernel does not take the rules for it (nf_tables): {error}")),
        Err(error) => Some(format!("a network namespace for a trial cannot be made: {error}")),
    }
}

/// Refuses what this host cannot have.
pub(crate) fn check(spec: &PortSpec) -> DriverResult<()> {
    let mut socket = Socket::open().during("open", "netlink")?;
    match obstacle(&mut socket) {
        None => Ok(()),
        Some(reason) => {
            Err(DriverError::new(ErrorKind::Unsupported, "attach port", spec.ifname.as_str(), reason))
        }
    }
}

/// Sets all that a port of the host has besides its interface, which is not up yet. May be repeated.
pub(crate) fn open(installation: &InstallationId, spec: &PortSpec, host: HostPort) -> DriverResult<()> {
    let name = spec.ifname.as_str();
    let forwards = if host.nat { "1" } else { "0" };
    for (parameter, value) in [
        // What the host sent into the segment may come back by this interface, and so may what other VNFs send.
        ("ipv4/conf/{}/accept_local", "1"),
        ("ipv4/conf/{}/rp_filter", "2"),
        ("ipv4/conf/{}/forwarding", forwards),
        ("ipv6/conf/{}/disable_ipv6", "1"),
    ] {
        let path = format!("/proc/sys/net/{}", parameter.replace("{}", name));
        match fs::write(&path, value) {
            // A kernel without IPv6.
            Err(error) if error.kind() == io::ErrorKind::NotFound && path.contains("ipv6") => {}
            written => written.during("set kernel parameters of", name)?,
        }
    }
    let table = table(installation, spec.id);
    let write = forwarding::change(|socket, chains| {
        let mut batch = rules(&table, name, host, zone(spec.id));
        let marked = nf_tables::marked_rules(socket)?;
        if host.nat && !marked.iter().any(|rule| rule.mark == table) {
            let accept = Expression::Verdict(Verdict::Accept);
            for (door, _) in chains.iter().filter(|(_, chain)| chain == DOCKERS_DOOR) {
                for direction in [Direction::In, Direction::Out] {
                    let rule = [Expression::DeviceIs(direction, name), accept];
                    batch.insert_rule(door, DOCKERS_DOOR, &rule, &table);
                }
            }
        }
        let there = |chain: &str| chains.iter().any(|(of, it)| *of == table && it == chain);
        let is_off = host.nat && !forwarding::is_on()?;
        if is_off && !there(forwarding::WAS_OFF) {
            batch.add_chain(&table, forwarding::WAS_OFF, None);
        }
        Ok(Some((batch, if is_off { Switch::On } else { Switch::Stays })))
    });
    write.during("set rules for", name)
}

/// Takes back what [`open`] did for a port; one that is no port of the host has nothing.
pub(crate) fn close(installation: &InstallationId, port: PortId) -> DriverResult<()> {
    let table = table(installation, port);
    remove_where(|name| name == table).during("remove rules of port", &port.to_string())
}

/// The same for all ports of an installation.
pub(crate) fn close_all(installation: &InstallationId) -> DriverResult<()> {
    let prefix = host_tables(installation);
    remove_where(|name| name.starts_with(&prefix)).during("remove rules of", installation.as_str())
}

fn remove_where(doomed: impl Fn(&str) -> bool) -> io::Result<()> {
    let read = || -> Result<_, NetlinkError> {
        let mut socket = Socket::open_netfilter()?;
        Ok((nf_tables::chains(&mut socket)?, nf_tables::marked_rules(&mut socket)?))
    };
    let (chains, marked) = match read() {
        // Without nf_tables, or without the privilege, there were never any.
        Err(error) if error.is_out_of_reach() => return Ok(()),
        read => read?,
    };
    let names = chains.into_iter().map(|(table, _)| table).chain(marked.into_iter().map(|rule| rule.mark));
    let tables: BTreeSet<String> = names.filter(|name| doomed(name)).collect();
    tables.iter().try_for_each(|table| remove(table, nf_tables::marked_rules))
}

/// Removes a table, and the rules in tables of others that are marked with its name. `marked` lists those of everybody.
fn remove(
    table: &str,
    mut marked: impl FnMut(&mut Socket) -> Result<Vec<MarkedRule>, NetlinkError>,
) -> io::Result<()> {
    forwarding::change(|socket, chains| {
        let mut batch = Batch::default();
        let mut switch = Switch::Stays;
        let is_there = chains.iter().any(|(owner, _)| owner == table);
        if is_there {
            switch = forwarding::hand_over(&mut batch, table, chains);
            batch.delete_table(table);
        }
        let marked: Vec<_> = marked(socket)?.into_iter().filter(|rule| rule.mark == table).collect();
        marked.iter().for_each(|rule| batch.delete_rule(rule));
        Ok((is_there || !marked.is_empty()).then_some((batch, switch)))
    })
}

/// The zone of a port: of 16 bits, never 0, which is that of everything else. Two ports that share one are
/// confused only where the same packet comes by both.
fn zone(port: PortId) -> u16 {
    u16::try_from(port.get() % u32::from(u16::MAX)).map_or(1, |number| number + 1)
}

fn rules(table: &str, name: &str, host: HostPort, zone: u16) -> Batch {
    let mut batch = Batch::default();
    batch.add_table(table);
    batch.flush_rules(table);
    let filter = |hook, priority| Some(Base { kind: "filter", hook, priority });
    batch.add_chain(table, "forward", filter(Hook::Forward, FILTER));
    let from = Expression::DeviceIs(Direction::In, name);
    let to = Expression::DeviceIs(Direction::Out, name);
    let known = Expression::State(ESTABLISHED | RELATED);
    let [accept, drop] = [Verdict::Accept, Verdict::Drop].map(Expression::Verdict);
    if host.nat {
        batch.add_chain(table, forwarding::NEEDED, None);
        batch.add_chain(table, "zone", filter(Hook::Prerouting, RAW));
        batch.add_chain(
            table,
            "postrouting",
            Some(Base { kind: "nat", hook: Hook::Postrouting, priority: SOURCE_NAT }),
        );
        batch.add_rule(table, "zone", &[from, Expression::SetZone(zone)]);
        batch.add_rule(table, "forward", &[to, known, accept]);
        let leaves = Expression::DeviceIsNot(Direction::Out, name);
        batch.add_rule(table, "postrouting", &[Expression::ZoneIs(zone), leaves, Expression::Masquerade]);
    } else {
        batch.add_rule(table, "forward", &[from, drop]);
    }
    batch.add_rule(table, "forward", &[to, drop]);
    batch
}

#[cfg(test)]
mod tests;
