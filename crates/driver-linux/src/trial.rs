//! What this kernel can do, found by doing it in a namespace that is thrown away: neither a kernel's
//! configuration nor its version tells (modules, back-ports, containers).

use std::fs::File;
use std::net::Ipv4Addr;
use std::os::fd::AsFd;

use llcm_netlink::link_kind::{BridgePort, Peer, Vxlan, add_bridge, add_veth, add_vxlan, set_bridge_port};
use llcm_netlink::netns::throw_away;
use llcm_netlink::tc::{self, Action, Filter, Hook, Match};
use llcm_netlink::{Device, NetlinkError, Socket, link};
use llcm_runtime::{DriverError, DriverResult, ErrorKind};

use crate::error::{Context, refused};

/// Checks that the kernel has everything that segments are made of.
///
/// # Errors
/// `Unsupported` with what is missing; `Denied` without the privileges.
pub(crate) fn check_kernel() -> DriverResult<()> {
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
        })
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
    fn a_missing_privilege_stays_one() {
        let refused = NetlinkError::Refused { source: rustix::io::Errno::PERM.into(), text: String::new() };
        assert_eq!(explain("bridges", "bridge", &refused).kind, ErrorKind::Denied);
    }
}
