//! The rules: which packets go to which container, and that nothing else goes through.
//!
//! ```text
//! guard        before connection tracking: a container cannot speak to the host's loopback
//! input        from containers only answers, so that they do not reach the host
//! forward      from containers only answers, so that they do not reach others; to them only what was translated
//! prerouting   what comes for a published port is translated; not when it claims to be for loopback
//! output       the same for what the host itself sends
//! postrouting  what comes from loopback, and all UDP, gets an address that the container surely answers by the pair
//! ports        the published ports
//! ```
//! All rules of an engine are written anew with each change, in one step. What is connected stays so: the kernel
//! remembers the translation of a connection apart from the rules.

use std::fs::File;
use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::AsFd as _;

use llcm_netlink::link_kind::{Peer, add_veth};
use llcm_netlink::nf_tables::{
    Base, Batch, DESTINATION_NAT, Direction, ESTABLISHED, Expression, Hook, RELATED, Verdict,
};
use llcm_netlink::{NetlinkError, Socket, netns, rule};

use super::{Protocol, Publish};

/// The chain with the published ports; a table that has it is one of ours.
pub(super) const PORTS: &str = llcm_netlink::forwarding::NEEDED;

/// Numbers of protocols (IANA).
const TCP: u8 = 6;
const UDP: u8 = 17;

/// The loopback network's first byte.
const LOOPBACK: &[u8] = &[127];

/// The rules for ports that lead to addresses. `others`: also for clients on other machines.
pub(super) fn batch(table: &str, prefix: &str, ports: &[(Publish, Ipv4Addr)], others: bool) -> Batch {
    let mut batch = Batch::default();
    batch.add_table(table);
    batch.flush_rules(table);
    for (chain, kind, hook, priority) in [
        ("guard", "filter", Hook::Prerouting, -300),
        ("input", "filter", Hook::Input, 0),
        ("forward", "filter", Hook::Forward, 0),
        ("prerouting", "nat", Hook::Prerouting, -100),
        ("output", "nat", Hook::Output, -100),
        ("postrouting", "nat", Hook::Postrouting, 100),
    ] {
        batch.add_chain(table, chain, Some(Base { kind, hook, priority }));
    }
    batch.add_chain(table, PORTS, None);
    let from = Expression::Device(Direction::In, prefix);
    let to = Expression::Device(Direction::Out, prefix);
    let known = Expression::State(ESTABLISHED | RELATED);
    let to_loopback = Expression::Destination(LOOPBACK);
    let [accept, drop, translate] =
        [Verdict::Accept, Verdict::Drop, Verdict::Jump(PORTS)].map(Expression::Verdict);
    let mut add = |chain: &str, rule: &[Expression<'_>]| batch.add_rule(table, chain, rule);
    add("guard", &[from, to_loopback, drop]);
    add("input", &[from, known, accept]);
    add("input", &[from, drop]);
    add("forward", &[from, known, accept]);
    add("forward", &[from, drop]);
    add("forward", &[to, known, accept]);
    add("forward", &[to, Expression::Status(DESTINATION_NAT), accept]);
    add("forward", &[to, drop]);
    if others {
        add("prerouting", &[to_loopback, accept]);
        add("prerouting", &[Expression::DestinationIsLocal, translate]);
    }
    add("output", &[Expression::DestinationIsLocal, translate]);
    add("postrouting", &[to, Expression::Source(LOOPBACK), Expression::Masquerade]);
    // A UDP server that listens at all addresses lets a route choose the one it answers from, and without this that
    // would be a route of the container's own. To a neighbour on the pair it is the right one. TCP answers from the
    // address it was spoken to at.
    add("postrouting", &[to, Expression::Protocol(UDP), Expression::Masquerade]);
    for (port, address) in ports {
        let protocol = match port.protocol {
            Protocol::Tcp => TCP,
            Protocol::Udp => UDP,
        };
        let rule = [
            Expression::Protocol(protocol),
            Expression::DestinationPort(port.host_port),
            Expression::TranslateDestination(*address, port.container_port),
        ];
        match port.address() {
            // IPv6 is the proxy's.
            Some(IpAddr::V6(_)) => {}
            Some(IpAddr::V4(host)) if !host.is_unspecified() => {
                let octets = host.octets();
                let [protocol, host_port, translate] = rule;
                add(PORTS, &[Expression::Destination(&octets), protocol, host_port, translate]);
            }
            _ => add(PORTS, &rule),
        }
    }
    batch
}

/// Why rules cannot be used, if so: all of it is tried in a namespace that is thrown away, and the privilege in this
/// one.
pub(super) fn obstacle() -> Option<String> {
    let tried = netns::throw_away(|| -> Result<(), String> {
        let said = |what: &'static str| move |error: NetlinkError| format!("{what}: {error}");
        let mut filter = Socket::open_netfilter().map_err(said("the kernel has no packet filter"))?;
        let port = Publish { protocol: Protocol::Tcp, host_ip: None, host_port: 1, container_port: 1 };
        let ports = [(port, Ipv4Addr::LOCALHOST)];
        batch("llcm-trial", "lp", &ports, true)
            .commit(&mut filter)
            .map_err(said("the kernel does not take the rules (nf_tables with nat, fib and masquerade)"))?;
        let mut socket = Socket::open().map_err(said("netlink"))?;
        rule::add_from(&mut socket, Ipv4Addr::LOCALHOST, 100)
            .map_err(said("the kernel has no policy rules"))?;
        let own = File::open("/proc/thread-self/ns/net").map_err(|error| error.to_string())?;
        let peer = Peer { name: "t1", netns: Some(own.as_fd()), mac: None };
        add_veth(&mut socket, "t0", 0, 1500, &peer).map_err(said("the kernel has no veth pairs"))
    });
    match tried {
        Err(error) => return Some(format!("a network namespace for a trial cannot be made: {error}")),
        Ok(Err(text)) => return Some(text),
        Ok(Ok(())) => {}
    }
    let own = || -> Result<(), NetlinkError> {
        let mut batch = Batch::default();
        batch.delete_table("llcm-no-such-table");
        match batch.commit(&mut Socket::open_netfilter()?) {
            Err(error) if error.is_absent() => Ok(()),
            other => other,
        }
    };
    own().err().map(|error| format!("this program may not change rules of its network: {error}"))
}

#[cfg(test)]
mod tests {
    use rustix::thread::{CapabilitySet, capabilities, set_capabilities};

    use super::*;

    /// Privileges are a thread's own.
    #[test]
    fn what_is_in_the_way_is_told() {
        if !rustix::process::geteuid().is_root() {
            assert!(!std::env::var("LLCM_REQUIRE_SYSTEM_TESTS").is_ok_and(|it| it == "1"), "needs root");
            println!("what_is_in_the_way_is_told needs root: skipped");
            return;
        }
        let without = |capability| {
            std::thread::spawn(move || {
                let mut sets = capabilities(None).unwrap();
                sets.effective.remove(capability);
                set_capabilities(None, sets).unwrap();
                obstacle().unwrap()
            })
            .join()
            .unwrap()
        };
        let text = without(CapabilitySet::SYS_ADMIN);
        assert!(text.contains("namespace") && text.contains("not permitted"), "{text}");
        let text = without(CapabilitySet::NET_ADMIN);
        assert!(text.contains("does not take the rules") && text.contains("not permitted"), "{text}");
        assert_eq!(obstacle(), None);
    }
}
