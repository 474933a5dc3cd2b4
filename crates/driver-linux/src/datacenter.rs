//! A data center: two namespaces, and its address among the others.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::sync::atomic::AtomicBool;

use llcm_names::{DcName, InstallationId};
use llcm_netlink::{address, link};
use llcm_runtime::{DriverError, DriverResult, ErrorKind};

use crate::names::{overlay_namespace, underlay_namespace};
use crate::netns::{Netns, NetnsDir};

/// Where the data centers' addresses come from: the range for carrier-grade translation (RFC 6598), which
/// no VNF's segment has a reason to use. They live in the underlays only, where nothing else is.
const FIRST_ADDRESS: u32 = 0x6440_0001;
const LAST_ADDRESS: u32 = 0x647f_fffe;

/// An open data center.
#[derive(Debug)]
pub(crate) struct Datacenter {
    /// Its name.
    pub(crate) name: DcName,
    /// Ports, bridges and the upper side of VXLAN devices; no IP address at all.
    pub(crate) overlay: Netns,
    /// Links, routes, shaping and the sockets of VXLAN devices.
    pub(crate) underlay: Netns,
    /// Its address, which the VXLAN devices of others send to.
    pub(crate) address: Ipv4Addr,
    /// Whether frames that stand for many packets are cut before they enter a tunnel.
    pub(crate) cuts: AtomicBool,
}

impl Datacenter {
    /// Opens a data center that was made before.
    ///
    /// # Errors
    /// `NotFound` when it was not, or not completely.
    pub(crate) fn open(dir: &NetnsDir, installation: &InstallationId, name: &DcName) -> DriverResult<Self> {
        let overlay = dir.open(&overlay_namespace(installation, name))?;
        let underlay = dir.open(&underlay_namespace(installation, name))?;
        let address = own_address(&underlay)?.ok_or_else(|| {
            DriverError::new(
                ErrorKind::NotFound,
                "open data center",
                name.as_str(),
                "its underlay has no address; prepare the topology again",
            )
        })?;
        Ok(Self { name: name.clone(), overlay, underlay, address, cuts: AtomicBool::new(false) })
    }

    /// Makes a data center with an address that no other one has.
    pub(crate) fn create(
        dir: &NetnsDir,
        installation: &InstallationId,
        name: &DcName,
        address: Ipv4Addr,
    ) -> DriverResult<Self> {
        let overlay = dir.create(&overlay_namespace(installation, name), &overlay_parameters())?;
        let underlay = dir.create(&underlay_namespace(installation, name), &underlay_parameters())?;
        underlay.call("address underlay", name.as_str(), |socket| {
            if let Some(lo) = link::find(socket, "lo")? {
                link::change(socket, lo.device(), &link::Change { up: Some(true), ..Default::default() })?;
                address::add(
                    socket,
                    lo.device(),
                    ipnetwork::IpNetwork::from(std::net::IpAddr::from(address)),
                )?;
            }
            Ok(())
        })?;
        Ok(Self { name: name.clone(), overlay, underlay, address, cuts: AtomicBool::new(false) })
    }

    /// Whether both namespaces are still those that have the data center's names.
    pub(crate) fn is_current(&self, dir: &NetnsDir) -> bool {
        [&self.overlay, &self.underlay].into_iter().all(|netns| dir.holds(netns))
    }
}

/// Addresses that no data center has, the lowest first.
#[derive(Debug)]
pub(crate) struct FreeAddresses {
    taken: BTreeSet<Ipv4Addr>,
    next: u32,
}

impl FreeAddresses {
    /// All but those that are taken.
    pub(crate) fn new(taken: BTreeSet<Ipv4Addr>) -> Self {
        Self { taken, next: FIRST_ADDRESS }
    }

    /// One for a data center.
    ///
    /// # Errors
    /// `Invalid` when there is none left.
    pub(crate) fn take(&mut self, name: &DcName) -> DriverResult<Ipv4Addr> {
        while self.next <= LAST_ADDRESS {
            let address = Ipv4Addr::from(self.next);
            self.next += 1;
            if !self.taken.contains(&address) {
                return Ok(address);
            }
        }
        Err(DriverError::new(ErrorKind::Invalid, "address data center", name.as_str(), "too many"))
    }
}

fn own_address(underlay: &Netns) -> DriverResult<Option<Ipv4Addr>> {
    let addresses = underlay.call("read addresses of", underlay.name(), address::list_v4)?;
    let own = |address: &Ipv4Addr| (FIRST_ADDRESS..=LAST_ADDRESS).contains(&u32::from(*address));
    Ok(addresses.into_iter().map(|(_, address)| address).find(own))
}

/// No IPv6, no answers to ARP (`arp_ignore` 8), no packet filter between the ports of a bridge.
fn overlay_parameters() -> Vec<(String, &'static str)> {
    let mut parameters = quiet();
    parameters.push(("ipv4/conf/all/arp_ignore".to_owned(), "8"));
    for filter in ["arptables", "iptables", "ip6tables"] {
        parameters.push((format!("bridge/bridge-nf-call-{filter}"), "0"));
    }
    parameters
}

/// No IPv6; forwarding, which resets other parameters and therefore comes first; no check of the way back,
/// which may differ.
fn underlay_parameters() -> Vec<(String, &'static str)> {
    let mut parameters = quiet();
    parameters.push(("ipv4/ip_forward".to_owned(), "1"));
    for scope in ["all", "default"] {
        parameters.push((format!("ipv4/conf/{scope}/rp_filter"), "0"));
        parameters.push((format!("ipv4/conf/{scope}/arp_ignore"), "0"));
        parameters.push((format!("ipv4/conf/{scope}/send_redirects"), "0"));
    }
    for filter in ["arptables", "iptables", "ip6tables"] {
        parameters.push((format!("bridge/bridge-nf-call-{filter}"), "0"));
    }
    parameters
}

fn quiet() -> Vec<(String, &'static str)> {
    ["all", "default"].map(|scope| (format!("ipv6/conf/{scope}/disable_ipv6"), "1")).to_vec()
}
