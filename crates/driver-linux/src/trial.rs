//! What this kernel can do, found by doing it in a namespace that is thrown away: neither a kernel's
//! configuration nor its version tells (modules, back-ports, containers).

use std::fs::File;
use std::net::Ipv4Addr;
use std::os::fd::AsFd;
use std::time::Duration;

use llcm_delayline::{Offload, Tap};
use llcm_netlink::link_kind::{BridgePort, Peer, Vxlan, add_bridge, add_veth, add_vxlan, set_bridge_port};
use llcm_netlink::netns::throw_away;
use llcm_netlink::shape::{self, Bucket, Netem};
use llcm_netlink::tc::{self, Action, Filter, Hook, Match};
use llcm_netlink::{Device, NetlinkError, Socket, link};
use llcm_runtime::{DriverError, DriverResult, ErrorKind};
use llcm_topology::{Link, LinkEnd, LinkProperties, Topology};

use crate::error::{Context, refused};
use crate::shaping::rate;

/// What netem deviates by at most: it keeps jitter as a signed 32-bit number of nanoseconds.
const NETEM_JITTER_US: u64 = 2_147_483;

/// A kernel that can do what data centers, links and segments need.
#[derive(Debug)]
pub struct Kernel {
    /// Whether the bandwidth of links can be limited.
    pub(crate) bandwidth: DriverResult<()>,
    /// By what packets can be delayed and lost.
    pub(crate) delay: DriverResult<Means>,
}

/// By what packets are delayed and lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Means {
    /// By the kernel.
    Netem,
    /// By a program.
    Line {
        /// How large the frames are that it is given.
        offload: Offload,
        /// Whether its threads may run before others.
        precedes: bool,
    },
}

/// The properties that [`Means`] are for.
const DELAYS: [&str; 3] = ["delay", "jitter", "loss"];

impl Kernel {
    /// Tries all that the driver does to the kernel, in a namespace that is thrown away. It may be called with or
    /// without an installation, and nothing is left of it.
    ///
    /// # Errors
    /// `Unsupported` with what is missing; `Denied` without the privileges.
    pub fn check() -> DriverResult<Self> {
        check_kernel()
    }

    /// The properties of links by name, each with what emulates it, or the reason why nothing does.
    #[must_use]
    pub fn properties(&self) -> Vec<(&'static str, Result<String, String>)> {
        let bandwidth = match &self.bandwidth {
            Ok(()) => Ok("tbf".to_owned()),
            Err(error) => Err(error.message.clone()),
        };
        let delay = match &self.delay {
            Ok(Means::Netem) => Ok("netem".to_owned()),
            Ok(Means::Line { offload, precedes }) => {
                // Five sixths of what a link can carry is what it costs.
                let packets = if *offload == Offload::Tunnels { "" } else { ", packet by packet" };
                let rank = if *precedes { "" } else { ", longer on a busy host (no real-time priority)" };
                Ok(format!("delay line{packets}{rank}"))
            }
            Err(error) => Err(error.message.clone()),
        };
        std::iter::once(("bandwidth", bandwidth)).chain(DELAYS.map(|name| (name, delay.clone()))).collect()
    }

    /// What of a topology's links would not be emulated, as [`crate::LinuxNetwork`] says it when it prepares for them.
    #[must_use]
    pub fn not_emulated(&self, topology: &Topology) -> Vec<String> {
        let ends =
            topology.links.iter().flat_map(|link| [(link, &link.a, &link.b), (link, &link.b, &link.a)]);
        ends.flat_map(|(link, from, to)| self.missing(link, from, to)).collect()
    }

    /// What is not emulated of what leaves by one end of a link.
    pub(crate) fn missing(&self, link: &Link, from: &LinkEnd, to: &LinkEnd) -> Vec<String> {
        let LinkProperties { delay_us, jitter_us, loss_ppm, .. } = from.egress;
        let direction = format!("link {}, {} to {}", link.name, from.dc, to.dc);
        let mut told = Vec::new();
        if let (Some(rate), Err(error)) = (rate(from), &self.bandwidth) {
            told.push(format!("{direction}: bandwidth of {rate} bit/s ({})", error.message));
        }
        if matches!(self.delay, Ok(Means::Netem)) && jitter_us > NETEM_JITTER_US {
            told.push(format!(
                "{direction}: jitter of {jitter_us} us (netem deviates by {NETEM_JITTER_US} us at most)"
            ));
        }
        if let Err(error) = &self.delay {
            let values = [
                (u64::from(loss_ppm), "loss", "ppm"),
                (jitter_us, "jitter", "us"),
                (delay_us, "delay", "us"),
            ];
            for (value, name, unit) in values.into_iter().rev().filter(|(value, ..)| *value > 0) {
                told.push(format!("{direction}: {name} of {value} {unit} ({})", error.message));
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
        // Only links that have such properties need the rest.
        let shaped = device(&mut socket, "t0").during("find", "a device to shape")?;
        let bucket = Bucket { rate: 125_000, burst: 10_240, limit: 20_480 };
        let bandwidth =
            shape::set_bucket(&mut socket, shaped, bucket, false).during("limit bandwidth of", "t0");
        let delay = delay(&mut socket);
        Ok(Kernel { bandwidth, delay })
    })
    .during("make network namespace", "for a trial")?
}

/// By what packets can be delayed here: netem, else TAP devices.
fn delay(socket: &mut Socket) -> DriverResult<Means> {
    let netem = Netem { delay: Duration::from_millis(1), jitter: Duration::ZERO, loss_ppm: 1, limit: 1000 };
    let device = device(socket, "t1").during("find", "a device to delay")?;
    // Times in nanoseconds came later than netem; an older one would take 0 for the delay.
    let tried = shape::set_netem(socket, device, netem);
    let Err(no_netem) = tried else { return Ok(Means::Netem) };
    let offload = Tap::create("t4").and_then(|tap| tap.set_offload(Offload::Tunnels));
    let precedes = llcm_delayline::try_precedence().is_ok();
    offload.map(|offload| Means::Line { offload, precedes }).map_err(|no_tap| {
        let message = format!(
            "netem (sch_netem): {no_netem}; TAP devices (tun, /dev/net/tun): {no_tap}; this kernel has to have one of them"
        );
        DriverError::new(ErrorKind::Unsupported, "delay packets of", "t1", message)
    })
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
    fn netem_deviates_by_two_seconds_only() {
        let topology = |jitter: &str| {
            let text = format!(
                "datacenters: [a, b]\nlinks:\n  - {{ends: [a, b], name: x, delay: 50s, forward: {{jitter: {jitter}}}}}\n"
            );
            llcm_topology::load(text.as_bytes()).0.unwrap()
        };
        let able = Kernel { bandwidth: Ok(()), delay: Ok(Means::Netem) };
        let told = able.not_emulated(&topology("3s"));
        assert_eq!(told, ["link x, a to b: jitter of 3000000 us (netem deviates by 2147483 us at most)"]);
        assert!(able.not_emulated(&topology("2s")).is_empty());
        let line = Kernel {
            bandwidth: Ok(()),
            delay: Ok(Means::Line { offload: Offload::Tunnels, precedes: true }),
        };
        assert!(line.not_emulated(&topology("3s")).is_empty());
    }

    #[test]
    fn what_a_topology_asks_for_in_vain_is_told() {
        let text = b"datacenters: [a, b]\nlinks:\n  - {ends: [a, b], name: x, bandwidth: 1Mbps, forward: {delay: 1ms}}\n";
        let topology = llcm_topology::load(text).0.unwrap();
        let no = |what: &str| DriverError::new(ErrorKind::Unsupported, "try", "t0", what);
        let able = Kernel { bandwidth: Ok(()), delay: Ok(Means::Netem) };
        assert!(able.not_emulated(&topology).is_empty());
        assert_eq!(able.properties()[3], ("loss", Ok("netem".to_owned())));
        let unable = Kernel { bandwidth: Err(no("no tbf")), delay: Err(no("neither")) };
        let told = unable.not_emulated(&topology);
        assert_eq!(told[0], "link x, a to b: bandwidth of 1000000 bit/s (no tbf)");
        assert_eq!(told[1], "link x, a to b: delay of 1000 us (neither)");
        assert_eq!(told.len(), 3, "{told:?}");
        assert!(unable.not_emulated(&llcm_topology::default_topology()).is_empty());
        assert_eq!(unable.properties()[0], ("bandwidth", Err("no tbf".to_owned())));
        let half = Means::Line { offload: Offload::Flows, precedes: false };
        let half = Kernel { bandwidth: Ok(()), delay: Ok(half) };
        let told: Vec<_> =
            half.properties().into_iter().map(|(name, result)| (name, result.unwrap())).collect();
        let slow = "delay line, packet by packet, longer on a busy host (no real-time priority)";
        let line = |name| (name, slow.to_owned());
        assert_eq!(told, [("bandwidth", "tbf".to_owned()), line("delay"), line("jitter"), line("loss")]);
    }

    #[test]
    fn a_missing_privilege_stays_one() {
        let refused = NetlinkError::Refused { source: rustix::io::Errno::PERM.into(), text: String::new() };
        assert_eq!(explain("bridges", "bridge", &refused).kind, ErrorKind::Denied);
    }
}
