//! Tells when the kernel has ended a network namespace, which it does some time after the last of its users left: one
//! device of a pair lies in the namespace, and the other one, in a namespace of its own, goes with it.

use std::fs::File;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use llcm_netlink::link_kind::{Peer, add_veth};
use llcm_netlink::netns::throw_away;
use llcm_netlink::{Socket, link};
use llcm_runtime::DriverResult;

use crate::error::Context;
use crate::netns::Netns;
use crate::pause::pause;

/// The name of both devices.
const NAME: &str = "canary";
/// How long to wait at most: somebody may be in the namespace who stays.
const PATIENCE: Duration = Duration::from_secs(1);
/// How often to look.
const PACE: Duration = Duration::from_millis(2);

/// One side of the pair, in a namespace that goes with it.
#[derive(Debug)]
pub(crate) struct Canary {
    netns: File,
    socket: Socket,
}

impl Canary {
    /// Without a pair yet.
    pub(crate) fn make() -> DriverResult<Self> {
        throw_away(|| {
            let netns = File::open("/proc/thread-self/ns/net").during("open network namespace of", NAME)?;
            let socket = Socket::open().during("open netlink socket in", NAME)?;
            Ok(Self { netns, socket })
        })
        .during("make network namespace of", NAME)?
    }

    /// Puts the other side into a namespace.
    pub(crate) fn place(&self, into: &Netns) -> DriverResult<()> {
        let peer = Peer { name: NAME, netns: Some(self.netns.as_fd()), mac: None };
        into.call("place canary in", into.name(), |socket| add_veth(socket, NAME, 0, 1500, &peer))
    }

    /// Waits until that namespace has ended, or for a second.
    pub(crate) fn wait(mut self) -> DriverResult<()> {
        let end = Instant::now() + PATIENCE;
        while Instant::now() < end && link::find(&mut self.socket, NAME).during("look for", NAME)?.is_some() {
            pause(PACE);
        }
        Ok(())
    }
}
