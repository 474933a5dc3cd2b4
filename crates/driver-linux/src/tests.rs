//! What tests of several modules need.

use llcm_names::{DcName, EngineName, IfName, InstallationId, InstanceId, LinkGroup, MacAddr, Owner, PortId};
use llcm_netlink::link_kind::{Peer, add_veth};
use llcm_netlink::{Socket, link, netns};
use llcm_runtime::PortSpec;
use uuid::Uuid;

/// Whether there is root, for tests that are skipped without.
pub(crate) fn is_root() -> bool {
    if rustix::process::geteuid().is_root() {
        return true;
    }
    assert!(!std::env::var("LLCM_REQUIRE_SYSTEM_TESTS").is_ok_and(|it| it == "1"), "needs root");
    println!("needs root: skipped");
    false
}

/// Runs work in a network namespace of its own.
pub(crate) fn apart(work: impl FnOnce(&mut Socket) + Send) {
    if is_root() {
        netns::throw_away(|| work(&mut Socket::open().unwrap())).unwrap();
    }
}

/// Makes a pair of devices.
pub(crate) fn add_pair(socket: &mut Socket, name: &str, far: &str) {
    add_veth(socket, name, 0, 1500, &Peer { name: far, netns: None, mac: None }).unwrap();
}

/// Deletes a device, which must be there.
pub(crate) fn delete(socket: &mut Socket, name: &str) {
    let found = link::find(socket, name).unwrap().unwrap();
    link::delete(socket, found.device()).unwrap();
}

/// The first port of an installation, on nothing.
pub(crate) fn port(installation: u32, ifname: &str) -> PortSpec {
    let instance = InstanceId::new(Uuid::from_u128(1));
    PortSpec {
        owner: Owner { installation: InstallationId::from_bits(installation), instance },
        id: PortId::new(1),
        group: LinkGroup::try_from(1).unwrap(),
        datacenter: DcName::parse("dc1").unwrap(),
        container: EngineName::parse("c1").unwrap(),
        ifname: IfName::parse(ifname).unwrap(),
        mac: MacAddr::derive(instance, ifname),
        addresses: Vec::new(),
        mtu: 1500,
        segments: Vec::new(),
        neighbours: Vec::new(),
        host: None,
    }
}
