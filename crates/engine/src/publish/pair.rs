//! The pair of interfaces between the host and a container that publishes ports by rules.
//!
//! The host's end has a name made of the engine's and the container's, and an alias that says whose it is. The
//! container's end is `pub0`; it is used for answers only: packets from its address have a routing table of their own,
//! so that the container's other routes, its default one among them, are none of its business. The kernel is the only
//! place where addresses are kept.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;
use std::net::Ipv4Addr;
use std::os::fd::AsFd as _;
use std::path::Path;

use ipnetwork::{IpNetwork, Ipv4Network};
use llcm_netlink::link_kind::{Peer, add_veth};
use llcm_netlink::{Device, LinkInfo, NetlinkError, Socket, address, link, netns, route, rule};
use sha2::{Digest as _, Sha256};

use crate::error::{Context as _, EngineError};

/// The container's end.
pub(super) const INSIDE: &str = "pub0";

/// The addresses: pairs of one block that no router passes on (RFC 3927), and in which no cloud has its
/// `169.254.169.254`.
const BLOCK: Ipv4Addr = Ipv4Addr::new(169, 254, 64, 0);
const BLOCK_PREFIX: u8 = 18;
const PAIRS: u32 = 1 << (31 - BLOCK_PREFIX);

/// The routing table inside, and there for this alone.
const TABLE: u8 = 100;

/// So often another address is taken when somebody else took the same one at the same time.
const ATTEMPTS: usize = 8;

/// The names of an engine's objects in the host's network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Names {
    /// The table of rules.
    pub(super) table: String,
    /// What the names of all its interfaces begin with, and of nobody else's.
    pub(super) prefix: String,
    /// What their aliases begin with.
    mark: String,
}

impl Names {
    /// Two engines may have the same cgroup; their directories differ.
    pub(super) fn new(cgroup: &str, state_dir: &Path) -> Self {
        let digest = hex(state_dir.as_os_str().as_encoded_bytes());
        let engine = &digest[..6];
        Self {
            table: format!("llcm-{cgroup}-{engine}"),
            prefix: format!("lp{engine}"),
            mark: format!("llcm-engine/{cgroup}-{engine}/"),
        }
    }

    /// What no other engine's names have in them.
    pub(super) fn engine(&self) -> &str {
        self.prefix.trim_start_matches("lp")
    }

    /// The name of a container's interface: 15 bytes, as many as there may be.
    fn device(&self, container: &str) -> String {
        format!("{}{}", self.prefix, &hex(container.as_bytes())[..7])
    }

    fn alias(&self, container: &str) -> String {
        format!("{}{container}", self.mark)
    }

    /// One of this engine's interfaces; one without an alias was not finished.
    fn is_ours(&self, link: &LinkInfo) -> bool {
        link.name.starts_with(&self.prefix) && (link.alias.is_empty() || link.alias.starts_with(&self.mark))
    }

    /// Where in the block to begin to look for an address: somewhere else for each container, and the same for one of
    /// the same name, which what is left of old connections leads to.
    fn start(&self, container: &str, attempt: usize) -> u32 {
        let digest = Sha256::digest(self.alias(container));
        let bytes = digest.chunks(2).nth(attempt).unwrap_or_default();
        bytes.iter().fold(0, |start, byte| start << 8 | u32::from(*byte)) % PAIRS
    }
}

fn hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Makes sure that a container has its pair; gives the container's address.
///
/// # Errors
/// `Conflict` when the name is that of another interface or no address is left; `System`.
pub(super) fn ensure(names: &Names, container: &str, network: &Path) -> Result<Ipv4Addr, EngineError> {
    let device = names.device(container);
    let shown = Path::new(&device);
    let mut host = Socket::open().map_err(io::Error::from).context("open netlink for", shown)?;
    if let Some(found) = link::find(&mut host, &device).io().context("look for", shown)? {
        if !names.is_ours(&found) || !found.alias.is_empty() && found.alias != names.alias(container) {
            let problem =
                "is in use as the name of a network interface: choose another name for the container";
            return Err(EngineError::Conflict { kind: "container", name: container.to_owned(), problem });
        }
        // The other end may be in a namespace that is going, of the container's last run.
        let inside = File::open(network).context("open", network)?;
        if is_pair(&found, &inside).context("look into", network)?
            && let Some(address) = of(&mut host, found.device()).io().context("look at", shown)?
        {
            return Ok(address);
        }
        link::delete(&mut host, found.device()).io().context("delete", shown)?;
    }
    let inside = File::open(network).context("open", network)?;
    for attempt in 0..ATTEMPTS {
        let made = make(&mut host, names, container, &inside, attempt);
        if let Ok(Some(address)) = made {
            return Ok(address);
        }
        if let Some(half) = link::find(&mut host, &device).io().context("look for", shown)? {
            link::delete(&mut host, half.device()).io().context("delete", shown)?;
        }
        made.context("make interface", shown)?;
    }
    let source = io::Error::other("other programs take the same addresses all the time");
    Err(source).context("find an address for", shown)
}

/// Whether the other end of an interface is the one inside a namespace.
fn is_pair(found: &LinkInfo, network: &File) -> io::Result<bool> {
    netns::visit(network.as_fd(), || -> io::Result<bool> {
        let inside = link::find(&mut Socket::open()?, INSIDE)?;
        Ok(inside.is_some_and(|inside| inside.link == found.index && found.link == inside.index))
    })?
}

/// The address comes last: a pair with one is complete. `None` when another engine took it at the same moment; both
/// give way then, each to somewhere else.
fn make(
    host: &mut Socket,
    names: &Names,
    container: &str,
    network: &File,
    attempt: usize,
) -> io::Result<Option<Ipv4Addr>> {
    let device = names.device(container);
    let peer = Peer { name: INSIDE, netns: Some(network.as_fd()), mac: None };
    add_veth(host, &device, 0, 1500, &peer)?;
    let ours = require(host, &device)?;
    let alias = names.alias(container);
    link::change(host, ours, &link::Change { alias: Some(&alias), ..link::Change::default() })?;
    // No IPv6, by which a container could reach the host past the rules; answers to connections from loopback; and
    // nothing with an address that is not the container's.
    set("ipv6", &device, "disable_ipv6", "1")?;
    set("ipv4", &device, "route_localnet", "1")?;
    set("ipv4", &device, "rp_filter", "1")?;
    set("ipv4", &device, "arp_ignore", "1")?;
    let up = link::Change { up: Some(true), ..link::Change::default() };
    link::change(host, ours, &up)?;
    let (above, below) = free(host, names.start(container, attempt))?;
    netns::visit(network.as_fd(), || -> io::Result<()> {
        let mut inside = Socket::open()?;
        let device = require(&mut inside, INSIDE)?;
        set("ipv6", INSIDE, "disable_ipv6", "1")?;
        address::add_for_link(&mut inside, device, pair(below)?)?;
        link::change(&mut inside, device, &up)?;
        route::set_default(&mut inside, above, device, TABLE)?;
        rule::add_from(&mut inside, below, TABLE)?;
        Ok(())
    })??;
    address::add(host, ours, pair(above)?)?;
    // What is sent before is lost.
    link::settle(host, &device)?;
    let once = address::list_v4(host)?.iter().filter(|(_, address)| *address == above).count() == 1;
    Ok(once.then_some(below))
}

/// The first pair of addresses from `start` on that is in nobody's use: the host's and the container's.
pub(super) fn free(host: &mut Socket, start: u32) -> io::Result<(Ipv4Addr, Ipv4Addr)> {
    let used: BTreeSet<Ipv4Addr> = address::list_v4(host)?.into_iter().map(|(_, address)| address).collect();
    // What is wider than the block is no obstacle: the pair's own route is narrower and wins.
    let routes: Vec<_> = route::destinations(host)?
        .into_iter()
        .filter(|(_, prefix)| *prefix > BLOCK_PREFIX)
        .filter_map(|(network, prefix)| Ipv4Network::new(network, prefix).ok())
        .collect();
    let taken = |address| used.contains(&address) || routes.iter().any(|route| route.contains(address));
    (0..PAIRS)
        .map(|step| u32::from(BLOCK) + (start + step) % PAIRS * 2)
        .map(|above| (Ipv4Addr::from(above), Ipv4Addr::from(above + 1)))
        .find(|(above, below)| !taken(*above) && !taken(*below))
        .ok_or_else(|| io::Error::other("no address is left in 169.254.64.0/18"))
}

/// The address of a container that has a pair.
pub(super) fn find(names: &Names, container: &str) -> Result<Option<Ipv4Addr>, EngineError> {
    let device = names.device(container);
    let work = || -> Result<Option<Ipv4Addr>, NetlinkError> {
        let mut host = Socket::open()?;
        match link::find(&mut host, &device)? {
            Some(found) if found.alias == names.alias(container) => of(&mut host, found.device()),
            _ => Ok(None),
        }
    };
    work().io().context("look for", Path::new(&device))
}

/// Deletes a container's pair; none is fine. The host's end explicitly: after the namespace's end the kernel takes its
/// time.
pub(super) fn delete(names: &Names, container: &str) -> Result<(), EngineError> {
    let device = names.device(container);
    delete_where(names, |found| found.name == device && found.alias == names.alias(container))
}

/// Deletes the pairs of all containers but those named.
pub(super) fn delete_others(names: &Names, keep: &BTreeSet<String>) -> Result<(), EngineError> {
    delete_where(names, |found| {
        found.alias.strip_prefix(&names.mark).is_none_or(|container| !keep.contains(container))
    })
}

fn delete_where(names: &Names, which: impl Fn(&LinkInfo) -> bool) -> Result<(), EngineError> {
    let work = || -> Result<(), NetlinkError> {
        let mut host = Socket::open()?;
        for found in link::list(&mut host)?.iter().filter(|found| names.is_ours(found) && which(found)) {
            link::delete(&mut host, found.device())?;
        }
        Ok(())
    };
    work().io().context("delete interfaces", Path::new(&names.prefix))
}

/// The container's address, by that of the host's end.
fn of(host: &mut Socket, device: Device) -> Result<Option<Ipv4Addr>, NetlinkError> {
    let all = address::list_v4(host)?;
    let above = all.iter().find(|(index, _)| *index == device.0).map(|(_, address)| u32::from(*address));
    Ok(above.map(|above| Ipv4Addr::from(above + 1)))
}

fn require(socket: &mut Socket, name: &str) -> io::Result<Device> {
    let found = link::find(socket, name)?;
    found.map(|found| found.device()).ok_or_else(|| io::ErrorKind::NotFound.into())
}

pub(super) fn pair(address: Ipv4Addr) -> io::Result<IpNetwork> {
    let network = Ipv4Network::new(address, 31).map_err(io::Error::other)?;
    Ok(network.into())
}

/// A setting of an interface; a kernel without IPv6 has none for it.
fn set(family: &str, device: &str, name: &str, value: &str) -> io::Result<()> {
    match fs::write(format!("/proc/sys/net/{family}/conf/{device}/{name}"), value) {
        Err(error) if error.kind() == io::ErrorKind::NotFound && family == "ipv6" => Ok(()),
        other => other,
    }
}

/// Errors of netlink as the system's.
trait Io<T> {
    fn io(self) -> io::Result<T>;
}

impl<T> Io<T> for Result<T, NetlinkError> {
    fn io(self) -> io::Result<T> {
        self.map_err(io::Error::from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_fit_and_differ() {
        let names = Names::new("llcm", Path::new("/var/lib/one"));
        let other = Names::new("llcm", Path::new("/var/lib/two"));
        assert!(names.table.starts_with("llcm-llcm-") && names.table != other.table);
        let device = names.device(&"long".repeat(32));
        assert_eq!(device.len(), 15);
        assert!(device.starts_with(&names.prefix) && !device.starts_with(&other.prefix));
        assert_ne!(names.device("a"), names.device("b"));
        let link =
            |name: &str, alias: String| LinkInfo { name: name.to_owned(), alias, ..LinkInfo::default() };
        assert!(names.is_ours(&link(&names.device("a"), names.alias("a"))));
        assert!(names.is_ours(&link(&names.device("a"), String::new())));
        assert!(!names.is_ours(&link(&names.device("a"), "uplink".to_owned())));
        assert!(!names.is_ours(&link(&other.device("a"), other.alias("a"))));
        assert!(names.start("a", 0) < PAIRS && names.start("a", 0) != names.start("a", 1));
    }
}
