//! What this kernel can do, found by doing it in a namespace that is thrown away: neither a kernel's
//! configuration nor its version tells (modules, back-ports, containers).

use std::fs::File;
use std::net::Ipv4Addr;
use std::os::fd::AsFd;

use llcm_netlink::link_kind::{BridgePort, Peer, Vxlan, add_bridge, add_veth, add_vxlan, set_bridge_port};
use llcm_netlink::netns::throw_away;
use llcm_netlink::shape::{self, Bucket};
use llcm_netlink::tc::{self, Action, Filter, Hook, Match};
use llcm_netlink::{Device, NetlinkError, Socket, link};
use llcm_runtime::{DriverError, DriverResult, ErrorKind};
use llcm_topology::Topology;

use crate::error::{Context, refused};
use crate::underlay::{UNSUPPORTED, missing, rate};

/// A kernel that can do what data centers, links and segments need.
#[derive(Debug)]
pub struct Kernel {
    /// Whether the bandwidth of links can be limited.
    bandwidth: DriverResult<()>,
}

impl Kernel {
    /// Tries all that the driver does to the kernel, in a namespace that is thrown away. It may be called with or
    /// without an installation, and nothing is left of it.
    ///
    /// # Errors
    /// `Unsupported` with what is missing; `Denied` without the privileges.
    pub fn check() -> DriverResult<Self> {
        check_kernel()
    }

    /// The properties of links by name, each with the reason where it cannot be emulated.
    #[must_use]
    pub fn properties(&self) -> Vec<(&'static str, Result<(), String>)> {
        let bandwidth = self.bandwidth.as_ref().copied().map_err(|error| error.message.clone());
        let missing = UNSUPPORTED.map(|name| (name, Err("this program does not emulate it yet".to_owned())));
        std::iter::once(("bandwidth", bandwidth)).chain(missing).collect()
    }

    /// What of a topology's links would not be emulated, as [`crate::LinuxNetwork`] says it when it prepares for them.
    #[must_use]
    pub fn not_emulated(&self, topology: &Topology) -> Vec<String> {
        let reason = self.bandwidth.as_ref().err().map(|error| error.message.as_str());
        let mut told = Vec::new();
        for link in &topology.links {
            for (from, to) in [(&link.a, &link.b), (&link.b, &link.a)] {
                told.extend(missing(link, from, to, reason.filter(|_| rate(from).is_some())));
            }
        }
        told
    }
}

/// Checks that the kernel has everything that segments are made of.
///
/// # Errors
/// `Unsupported` with what is missing; `Denied` without the privileges.
pub(crate) fn check_kernel() -> DriverResult<Kernel> {
    throw_away(|| {
        let mut socket = Socket::open().during("try", "netlink")?;
        let own = File::open("/proc/thread-self/ns/net").during("open", "network namespace")?;
        let mut attempt = |what: &str, module: &str, work: &mut Attempt<'_>| {
            work(&mut socket).map_err(|error| explain(what, module, &error))
        };
        attempt("veth pairs", "veth", &mut |socket| {
            let peer = Peer { name: "t1", netns: Some(own.as_fd()), mac: None };
            add_veth(socket, "t0", 1, 1500, &peer)
        })?;
        attempt("bridges", "bridge", &mut |socket| add_bridge(socket, "t2", 1))?;
        attempt("isolated bridge ports", "bridge", &mut |socket| {
            let master = Some(device(socket, "t2")?);
            let port = device(socket, "t1")?;
            link::change(socket, port, &link::Change { master, ..Default::default() })?;
            set_bridge_port(socket, port, BridgePort { isolated: true, inbound_only: true })
        })?;
        attempt("VXLAN devices", "vxlan", &mut |socket| {
            let local = Ipv4Addr::LOCALHOST;
            let vxlan = Vxlan { name: "t3", group: 1, id: 1, port: 4789, local, learning: true, mtu: 1450 };
            add_vxlan(socket, own.as_fd(), &vxlan)
        })?;
        attempt("traffic control hooks", "sch_ingress", &mut |socket| {
            let hooked = device(socket, "t0")?;
            tc::ensure_hooks(socket, hooked)
        })?;
        attempt("u32 filters with mirred actions", "cls_u32, act_mirred", &mut |socket| {
            let hooked = device(socket, "t0")?;
            let action = Action::Redirect(device(socket, "t3")?);
            tc::add_filter(socket, hooked, Hook::Ingress, 1, &Filter { matches: Match::All, action })
        })?;
        // Only links that are limited need it.
        let limited = device(&mut socket, "t0").during("find", "a device to limit")?;
        let bucket = Bucket { rate: 125_000, burst: 10_240, limit: 20_480 };
        let bandwidth = shape::set_bucket(&mut socket, limited, bucket).during("limit bandwidth of", "t0");
        Ok(Kernel { bandwidth })
    })
    .during("make network namespace", "for a trial")?
}

type Attempt<'a> = dyn FnMut(&mut Socket) -> Result<(), NetlinkError> + 'a;

fn device(socket: &mut Socket, name: &str) -> Result<Device, NetlinkError> {
    Ok(link::find(socket, name)?.map_or(Device(0), |info| info.device()))
}

fn explain(what: &str, module: &str, error: &NetlinkError) -> DriverError {
    let said = error.to_string();
    let error = refused(error, "try", what);
    if error.kind == ErrorKind::Denied {
        return error;
    }
    let message = format!("{said}; this kernel lacks {what} ({module})");
    DriverError::new(ErrorKind::Unsupported, "try", what, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_named_with_its_module() {
        let refused = NetlinkError::Refused {
            source: rustix::io::Errno::NOENT.into(),
            text: "TC classifier not found".to_owned(),
        };
        let error = explain("u32 filters", "cls_u32", &refused);
        assert_eq!(error.kind, ErrorKind::Unsupported);
        assert!(error.to_string().contains("cls_u32"), "{error}");
        assert!(error.to_string().contains("classifier not found"), "{error}");
    }

    #[test]
    fn what_a_topology_asks_for_in_vain_is_told() {
        let text = b"datacenters: [a, b]\nlinks:\n  - {ends: [a, b], name: x, bandwidth: 1Mbps, forward: {delay: 1ms}}\n";
        let topology = llcm_topology::load(text).0.unwrap();
        let able = Kernel { bandwidth: Ok(()) };
        assert_eq!(able.not_emulated(&topology), ["link x, a to b: delay of 1000 us"]);
        let error = DriverError::new(ErrorKind::Unsupported, "limit bandwidth of", "t0", "no tbf");
        let unable = Kernel { bandwidth: Err(error) };
        let told = unable.not_emulated(&topology);
        assert_eq!(told[0], "link x, a to b: bandwidth (no tbf)");
        assert_eq!(told.len(), 3, "{told:?}");
        assert!(unable.not_emulated(&llcm_topology::default_topology()).is_empty());
        assert_eq!(unable.properties()[0], ("bandwidth", Err("no tbf".to_owned())));
        let names: Vec<_> =
            able.properties().into_iter().map(|(name, result)| (name, result.is_ok())).collect();
        assert_eq!(names, [("bandwidth", true), ("delay", false), ("jitter", false), ("loss", false)]);
    }

    #[test]
    fn a_missing_privilege_stays_one() {
        let refused = NetlinkError::Refused { source: rustix::io::Errno::PERM.into(), text: String::new() };
        assert_eq!(explain("bridges", "bridge", &refused).kind, ErrorKind::Denied);
    }
}
